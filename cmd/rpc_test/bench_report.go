package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// spread is the median of some runs and their range.
type spread struct {
	Median, Min, Max float64
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	s := spread{sorted[middle], sorted[0], sorted[len(sorted)-1]}
	if len(sorted)%2 == 0 {
		s.Median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}

// caseReport is one cell in the JSON.
type caseReport struct {
	Transport         string  `json:"transport"`
	Payload           int     `json:"payload"`
	Callers           int     `json:"callers"`
	Codec             string  `json:"codec"`
	CallsPerS         float64 `json:"calls_per_s"`
	CallsPerSMin      float64 `json:"calls_per_s_min"`
	CallsPerSMax      float64 `json:"calls_per_s_max"`
	P50               float64 `json:"p50_us"`
	P50Min            float64 `json:"p50_us_min"`
	P50Max            float64 `json:"p50_us_max"`
	P99               float64 `json:"p99_us"`
	P99Min            float64 `json:"p99_us_min"`
	P99Max            float64 `json:"p99_us_max"`
	CPUPerCall        float64 `json:"cpu_us_per_call"` // client and server
	CPUPerCallMin     float64 `json:"cpu_us_per_call_min"`
	CPUPerCallMax     float64 `json:"cpu_us_per_call_max"`
	AllocsPerCall     float64 `json:"allocs_per_call"` // client and server, messages included
	ClientAllocs      float64 `json:"allocs_per_call_client"`
	ServerAllocs      float64 `json:"allocs_per_call_server"`
	CallsPerSTimesRef float64 `json:"-"` // of gRPC over a Unix socket, 0: not measured
}

// report of a bench.
type report struct {
	json       bool
	order      []string              // of ratios
	GOMAXPROCS int                   `json:"gomaxprocs"`
	API        string                `json:"api"`
	Runs       int                   `json:"runs"`
	DurationMS float64               `json:"duration_ms"`
	Cases      []caseReport          `json:"cases"`
	Ratios     map[string]float64    `json:"ratios"`
	Spread     map[string][2]float64 `json:"ratio_spread"` // least and most of the runs
	aims       map[string]string
}

// ratio compares two cells run by run.
type ratio struct {
	name             string
	above, below     string // systems
	payload, callers int
	of               func(sample) float64
	aim              string // what is wanted, for the reader; "" when it is only told
}

func callsOf(s sample) float64 { return s.calls }
func p50Of(s sample) float64   { return s.p50 }
func p99Of(s sample) float64   { return s.p99 }
func cpuOf(s sample) float64   { return s.cpu }

// ratios that are told when both of their cells were measured. The aims depend on whether every process has one processor.
func ratios(single bool) []ratio {
	either := func(one, many string) string {
		if single {
			return one
		}
		return many
	}
	return []ratio{
		{"shm_vs_grpc_uds_64B_c64", "shm", "grpc-uds", 64, 64, callsOf, either(">= 20", ">= 12")},
		{"shm_vs_grpc_uds_1KiB_c64", "shm", "grpc-uds", 1024, 64, callsOf, ">= 10"},
		{"shm_vs_grpc_uds_64KiB_c64", "shm", "grpc-uds", 65536, 64, callsOf, ">= 30"},
		{"shm_vs_uds_64KiB_c64", "shm", "uds", 65536, 64, callsOf, ">= 4"},
		{"tcp_vs_grpc_tcp_64B_c64", "tcp", "grpc-tcp", 64, 64, callsOf, ">= 8"},
		{"tcp_vs_grpc_tcp_1KiB_c64", "tcp", "grpc-tcp", 1024, 64, callsOf, ">= 8"},
		{"p50_c1_shm_vs_raw_uds", "shm", "raw-uds", 64, 1, p50Of, either("<= 1.25", "")},
		{"p50_c1_shm_vs_grpc_uds", "shm", "grpc-uds", 64, 1, p50Of, either("", "<= 0.5")},
		{"p50_c1_uds_vs_raw_uds", "uds", "raw-uds", 64, 1, p50Of, ""},
		{"cpu_shm_vs_grpc_uds_64B_c64", "shm", "grpc-uds", 64, 64, cpuOf, "<= 0.1"},
		{"p99_shm_vs_grpc_uds_64B_c64", "shm", "grpc-uds", 64, 64, p99Of, ""},
		{"shm_vs_uds_64B_c64", "shm", "uds", 64, 64, callsOf, ""},
		{"shm_vs_uds_1KiB_c64", "shm", "uds", 1024, 64, callsOf, ""},
		{"uds_vs_grpc_uds_64B_c64", "uds", "grpc-uds", 64, 64, callsOf, ""},
		{"uds_vs_grpc_uds_1KiB_c64", "uds", "grpc-uds", 1024, 64, callsOf, ""},
		{"uds_vs_grpc_uds_64KiB_c64", "uds", "grpc-uds", 65536, 64, callsOf, ""},
	}
}

func newReport(b *benchOptions, samples map[cell][]sample) *report {
	r := &report{json: b.json, GOMAXPROCS: b.gomaxprocs(), API: b.api, Runs: b.runs, DurationMS: float64(b.duration.Microseconds()) / 1000,
		Ratios: map[string]float64{}, Spread: map[string][2]float64{}, aims: map[string]string{}}
	for _, payload := range b.payloads {
		for _, callers := range b.callers {
			for _, system := range systems() {
				if all := samples[cell{system, payload, callers}]; len(all) > 0 {
					r.Cases = append(r.Cases, newCase(b, cell{system, payload, callers}, all, samples[cell{"grpc-uds", payload, callers}]))
				}
			}
		}
	}
	for _, c := range ratios(b.gomaxprocs() == 1) {
		above, below := samples[cell{c.above, c.payload, c.callers}], samples[cell{c.below, c.payload, c.callers}]
		if got := compare(above, below, c.of); len(got) > 0 {
			s := spreadOf(got)
			r.order = append(r.order, c.name)
			r.aims[c.name] = c.aim
			r.Ratios[c.name] = fourDigits(s.Median)
			r.Spread[c.name] = [2]float64{fourDigits(s.Min), fourDigits(s.Max)}
		}
	}
	return r
}

// compare divides run by run.
func compare(above, below []sample, of func(sample) float64) (all []float64) {
	for run := range min(len(above), len(below)) {
		if of(below[run]) > 0 {
			all = append(all, of(above[run])/of(below[run]))
		}
	}
	return all
}

func newCase(b *benchOptions, at cell, all, reference []sample) caseReport {
	over := func(of func(sample) float64) spread {
		values := make([]float64, len(all))
		for i, s := range all {
			values[i] = of(s)
		}
		s := spreadOf(values)
		return spread{fourDigits(s.Median), fourDigits(s.Min), fourDigits(s.Max)}
	}
	calls, p50, p99, cpu := over(callsOf), over(p50Of), over(p99Of), over(cpuOf)
	client, server := over(func(s sample) float64 { return s.client }), over(func(s sample) float64 { return s.server })
	c := caseReport{
		Transport: at.system, Payload: at.payload, Callers: at.callers, Codec: b.codec,
		CallsPerS: calls.Median, CallsPerSMin: calls.Min, CallsPerSMax: calls.Max,
		P50: p50.Median, P50Min: p50.Min, P50Max: p50.Max, P99: p99.Median, P99Min: p99.Min, P99Max: p99.Max,
		CPUPerCall: cpu.Median, CPUPerCallMin: cpu.Min, CPUPerCallMax: cpu.Max,
		AllocsPerCall: fourDigits(client.Median + server.Median), ClientAllocs: client.Median, ServerAllocs: server.Median,
	}
	if at.system == "raw-uds" {
		c.Codec = "none"
	}
	if len(reference) > 0 {
		c.CallsPerSTimesRef = fourDigits(spreadOf(compare(all, reference, callsOf)).Median)
	}
	return c
}

// fourDigits rounds to as many digits, which is more than a measurement deserves.
func fourDigits(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// write prints tables for people and, if asked to, the JSON as the last line.
func (r *report) write(out io.Writer) error {
	fmt.Fprintf(out, "GOMAXPROCS=%d, -api=%s, median (least to most) of %d runs of %v ms\n", r.GOMAXPROCS, r.API, r.Runs, r.DurationMS)
	var t *tabwriter.Writer
	for i, c := range r.Cases {
		if i == 0 || r.Cases[i-1].Payload != c.Payload || r.Cases[i-1].Callers != c.Callers {
			if t != nil {
				t.Flush()
			}
			fmt.Fprintf(out, "\n%d bytes, %s\n", c.Payload, plural(c.Callers, "caller"))
			t = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(t, "system\tcalls/s\t\tp50 us\tp99 us\tCPU us/call\tallocs client\tserver\tx gRPC-UDS\t")
		}
		times := "-"
		if c.CallsPerSTimesRef > 0 {
			times = fmt.Sprintf("%.2f", c.CallsPerSTimesRef)
		}
		fmt.Fprintf(t, "%s\t%.0f\t(%.0f to %.0f)\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%s\t\n", c.Transport, c.CallsPerS, c.CallsPerSMin, c.CallsPerSMax, c.P50, c.P99,
			c.CPUPerCall, c.ClientAllocs, c.ServerAllocs, times)
	}
	if t != nil {
		t.Flush()
	}
	if len(r.order) > 0 {
		fmt.Fprintln(out, "\nratios, median (least to most) of those of each run")
		t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, name := range r.order {
			fmt.Fprintf(t, "%s\t%.3g\t(%.3g to %.3g)\t%s\n", name, r.Ratios[name], r.Spread[name][0], r.Spread[name][1], wanted(r.aims[name], r.Ratios[name]))
		}
		t.Flush()
	}
	if !r.json {
		return nil
	}
	return json.NewEncoder(out).Encode(r)
}

// wanted says what was aimed at, and whether it was reached.
func wanted(aim string, got float64) string {
	comparison, text, ok := strings.Cut(aim, " ")
	if !ok {
		return ""
	}
	var bound float64
	fmt.Sscan(text, &bound)
	reached := got >= bound
	if comparison == "<=" {
		reached = got <= bound
	}
	if reached {
		return "aim " + aim + ": reached"
	}
	return "aim " + aim + ": MISSED"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sortedKeys of a map, for output in a steady order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
