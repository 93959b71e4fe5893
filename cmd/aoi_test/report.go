package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// spread is the median of some runs and their range.
type spread struct{ median, min, max float64 }

func spreadOf(all []sample, of func(sample) float64) spread {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	middle := len(values) / 2
	s := spread{values[middle], values[0], values[len(values)-1]}
	if len(values)%2 == 0 {
		s.median = (values[middle-1] + values[middle]) / 2
	}
	return spread{fourDigits(s.median), fourDigits(s.min), fourDigits(s.max)}
}

// caseReport is one workload under one kernel in the JSON. Figures are medians of the runs.
type caseReport struct {
	Name      string `json:"name"`
	Kernel    string `json:"kernel"`
	Workers   int    `json:"workers"`
	Clock     string `json:"clock"` // that ns and ms are told by: "CPU time" of the one thread, or "wall time"
	Entities  int    `json:"entities"`
	Observers int    `json:"observers"`
	Ticks     int    `json:"ticks"`

	Visible      float64 `json:"visible"` // per observer
	NS           float64 `json:"ns_per_entity_tick"`
	NSMin        float64 `json:"ns_per_entity_tick_min"`
	NSMax        float64 `json:"ns_per_entity_tick_max"`
	CPU          float64 `json:"cpu_ns_per_entity_tick"` // of all threads; 0: not to be had
	WorstTick    float64 `json:"worst_tick_ms"`
	WorstTickMin float64 `json:"worst_tick_ms_min"`
	WorstTickMax float64 `json:"worst_tick_ms_max"`
	WorstWall    float64 `json:"worst_tick_wall_ms"`
	MeanTick     float64 `json:"mean_tick_ms"`
	Events       float64 `json:"events_per_tick"`
	Bytes        float64 `json:"bytes_per_entity"`
	Allocs       float64 `json:"allocs_per_tick"`

	BaselineTicks int     `json:"baseline_ticks"`
	Baseline      float64 `json:"baseline_ns_per_entity_tick"`
	BaselineMin   float64 `json:"baseline_ns_per_entity_tick_min"`
	BaselineMax   float64 `json:"baseline_ns_per_entity_tick_max"`
	Ratio         float64 `json:"ratio"` // baseline ÷ engine, on the ticks that both made
	RatioMin      float64 `json:"ratio_min"`
	RatioMax      float64 `json:"ratio_max"`
}

// summary is the whole JSON.
type summary struct {
	CPU       string       `json:"cpu"`
	Kernel    string       `json:"kernel"`
	Runs      int          `json:"runs"`
	Seed      uint64       `json:"seed"`
	Workloads []caseReport `json:"workloads"`
	Verify    verdict      `json:"verify"`
}

func (o *options) summarize(samples map[cell][]sample, v verdict) summary {
	r := summary{CPU: processor(), Kernel: o.kernels[0].String(), Runs: o.runs, Seed: o.seed, Verify: v}
	for _, w := range o.workloads {
		for _, kernel := range o.kernels {
			j := o.job(w, kernel)
			r.Workloads = append(r.Workloads, newCase(j, j.build(plan{entities: j.plan.entities, ticks: 1, seed: 1}).observers(), samples[cell{w.name, kernel}]))
		}
	}
	return r
}

func newCase(j job, observers int, all []sample) caseReport {
	over := func(of func(sample) float64) spread { return spreadOf(all, of) }
	entities := float64(j.plan.entities)
	ns := over(func(s sample) float64 { return float64(mean(s.times)) / entities })
	worst := over(func(s sample) float64 { return millis(slices.Max(s.times)) })
	base := over(func(s sample) float64 { return float64(mean(s.baseline)) / entities })
	ratio := over(sample.ratio)
	perTick := func(of func(sample) float64) float64 {
		return over(func(s sample) float64 { return of(s) / float64(len(s.times)) }).median
	}
	return caseReport{
		Name: j.name, Kernel: j.kernel.String(), Workers: j.workers, Clock: all[0].clock, Entities: j.plan.entities, Observers: observers, Ticks: len(all[0].times),
		Visible: over(func(s sample) float64 { return s.visible }).median,
		NS:      ns.median, NSMin: ns.min, NSMax: ns.max,
		CPU:       perTick(func(s sample) float64 { return float64(s.cpu) / entities }),
		WorstTick: worst.median, WorstTickMin: worst.min, WorstTickMax: worst.max,
		WorstWall: over(func(s sample) float64 { return millis(s.worst) }).median,
		MeanTick:  over(func(s sample) float64 { return millis(mean(s.times)) }).median,
		Events:    perTick(func(s sample) float64 { return float64(s.events) }),
		Bytes:     over(func(s sample) float64 { return s.bytes / entities }).median,
		Allocs:    perTick(func(s sample) float64 { return s.allocs }),

		BaselineTicks: len(all[0].baseline),
		Baseline:      base.median, BaselineMin: base.min, BaselineMax: base.max,
		Ratio: ratio.median, RatioMin: ratio.min, RatioMax: ratio.max,
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// table prints everything for people.
func (o *options) table(r summary, out io.Writer) error {
	kernel := "kernel " + r.Kernel
	if o.column {
		kernel = "kernels " + names(o.kernels)
	}
	fmt.Fprintf(out, "%s, %s, seed %d", r.CPU, kernel, r.Seed)
	if r.Runs > 1 {
		fmt.Fprintf(out, "; median (least to most) of %d runs", r.Runs)
	}
	fmt.Fprint(out, "\n\n")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(o.header(), "\t")+"\t")
	for _, w := range r.Workloads {
		fmt.Fprintln(t, strings.Join(o.line(w), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	how := clocks(r.Workloads)
	fmt.Fprintf(out, "\nns: %s of all moves and the tick, per entity and tick", how[0])
	if len(how) > 1 {
		fmt.Fprintf(out, " (%s)", strings.Join(how[1:], "; "))
	}
	if o.baseline {
		fmt.Fprint(out, "; grid: the same by cells and maps, one thread; ratio: grid ÷ engine")
	}
	_, err := fmt.Fprintf(out, "\n%s: %s against brute force, %s\n", pass(r.Verify.Divergences), plural(int(r.Verify.Ops), "operation"), plural(r.Verify.Divergences, "divergence"))
	return err
}

// clocks says which workloads were measured by which clock.
func clocks(all []caseReport) (text []string) {
	var keys []string
	by := map[string][]string{}
	for _, w := range all {
		key := w.Clock
		if w.Workers > 1 {
			key += " of " + plural(w.Workers, "worker")
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if !slices.Contains(by[key], w.Name) {
			by[key] = append(by[key], w.Name)
		}
	}
	for i, key := range keys {
		if i > 0 {
			key = strings.Join(by[key], ", ") + ": " + key
		}
		text = append(text, key)
	}
	return text
}

func (o *options) header() []string {
	h := []string{"workload", "entities", "visible", "ns", "mean ms", "worst ms", "events/tick", "B/entity", "allocs/tick"}
	if o.column {
		h = slices.Insert(h, 1, "kernel")
	}
	if o.baseline {
		h = append(h, "grid ns", "ratio")
	}
	return h
}

func (o *options) line(w caseReport) []string {
	with := func(text string, least, most float64) string {
		if o.runs == 1 {
			return text
		}
		return fmt.Sprintf("%s (%s to %s)", text, short(least), short(most))
	}
	l := []string{w.Name, thousands(float64(w.Entities)), short(w.Visible), with(short(w.NS), w.NSMin, w.NSMax), short(w.MeanTick), with(short(w.WorstTick), w.WorstTickMin, w.WorstTickMax),
		thousands(w.Events), thousands(w.Bytes), short(w.Allocs)}
	if o.column {
		l = slices.Insert(l, 1, w.Kernel)
	}
	if o.baseline {
		l = append(l, thousands(w.Baseline), with(short(w.Ratio), w.RatioMin, w.RatioMax))
	}
	return l
}

func writeJSON(out io.Writer, r summary) error { return json.NewEncoder(out).Encode(r) }

// fourDigits rounds to as many digits, which is more than a measurement deserves.
func fourDigits(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// short writes three digits, or all before the point.
func short(v float64) string {
	switch size := math.Abs(v); {
	case v == 0:
		return "0"
	case size >= 99.95:
		return thousands(v)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thousands writes a whole number with commas.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v <= -0.5 {
		text = "-" + text
	}
	return text
}

// plural counts things; many is needed where it is not one with an s.
func plural(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return thousands(float64(n)) + " " + many[0]
	}
	return thousands(float64(n)) + " " + one + "s"
}
