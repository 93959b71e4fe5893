package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// A world that is verified has at most so many pairs of observer and target. What has more is made smaller, as dense as it was.
const (
	mostPairs  = 25_000_000
	namedPairs = 400_000_000 // if -entities asks for more
	fewerPairs = 1_000_000   // beside a benchmark
)

// verdict is what a comparison with brute force came to.
type verdict struct {
	Ops         int64 `json:"ops"`   // calls of Add, Move and Tick whose outcome was compared
	Pairs       int64 `json:"pairs"` // compared
	Divergences int   `json:"divergences"`
}

func (v *verdict) add(other verdict) {
	v.Ops, v.Pairs, v.Divergences = v.Ops+other.Ops, v.Pairs+other.Pairs, v.Divergences+other.Divergences
}

// witness is a space under verification.
type witness struct {
	*crew
	replay
	kernel  aoi.Kernel
	workers int
	broken  bool // it diverged, and is left alone since then
}

func (w *witness) String() string {
	return fmt.Sprintf("kernel %v, %s", w.kernel, plural(w.workers, "worker"))
}

// trial is a workload under verification.
type trial struct {
	workload
	plan
	kernels []aoi.Kernel
	workers []int
	report  func(format string, args ...any) // takes divergences
}

// scaled is a plan for at most so many pairs, with more ticks where there are fewer.
func (o *options) scaled(w workload, pairs int) plan {
	p := plan{entities: w.entities, ticks: o.ticks, seed: o.seed}
	if o.entities > 0 {
		p.entities = o.entities
	}
	looking := w.build(plan{entities: p.entities, ticks: 1, seed: 1}).observers()
	if all := float64(looking) * float64(p.entities); all > float64(pairs) {
		p.seed += uint64(p.entities) // workloads that shrink to the same size are not the same world
		p.entities = int(float64(p.entities) * math.Sqrt(float64(pairs)/all))
		looking = int(float64(looking) * math.Sqrt(float64(pairs)/all))
	}
	if p.ticks == 0 {
		p.ticks = min(max(40*mostPairs/max(looking*p.entities, 1), 40), 1000)
	}
	return p
}

// workersOf are the numbers of workers that are verified.
func (o *options) workersOf() []int {
	if o.workers > 1 {
		return []int{1, o.workers}
	}
	if o.workers == 1 {
		return []int{1}
	}
	return []int{1, 3}
}

// run compares every tick of every space with brute force.
func (t trial) run() (v verdict, err error) {
	w := t.build(t.plan)
	b := newBrute(w)
	var all []*witness
	for _, kernel := range t.kernels {
		for _, workers := range t.workers {
			c := &witness{crew: reserve(w), replay: replay{sets: newSets(len(b.observers), len(w.x))}, kernel: kernel, workers: workers}
			if err := c.enter(w, kernel, workers); err != nil {
				return v, fmt.Errorf("%s: %w", t.name, err)
			}
			v.Ops += int64(len(w.x))
			all = append(all, c)
		}
	}
	for tick := range t.plan.ticks + 1 {
		b.tick()
		var first aoi.Events
		for i, c := range all {
			if c.broken {
				continue
			}
			ev, err := c.tick(w)
			if err != nil {
				return v, fmt.Errorf("%s: %v: %w", t.name, c, err)
			}
			if i == 0 {
				first = ev
			}
			n, what := c.judge(b, tick, ev, first)
			if n > 0 {
				c.broken = true
				t.report("%s of %s entities, seed %d, %v, tick %d: %s", t.name, thousands(float64(len(w.x))), t.seed, c, tick, what)
			}
			v.Divergences += n
			v.Ops += int64(len(w.x)) + 1
			v.Pairs += int64(len(b.observers)) * int64(len(w.x))
		}
		w.step()
	}
	return v, nil
}

// judge compares a tick of a space: its events, their order, and what it says when asked. It counts what differs and describes the first of it.
func (c *witness) judge(b *brute, tick int, ev, first aoi.Events) (n int, what string) {
	c.apply(b, c.crew, ev)
	n, row, target := c.differ(b.sees)
	switch {
	case n > 0:
		return n + c.wrong, b.explain(c.replay, row, target, n)
	case c.wrong > 0:
		return c.wrong, fmt.Sprintf("%s cannot be: the pair changes twice, or was like that before", plural(c.wrong, "event"))
	case !slices.Equal(ev.Leaves, first.Leaves) || !slices.Equal(ev.Enters, first.Enters):
		return 1, "the order of the events is not that of the first space"
	}
	for probe := range min(8, len(b.observers)) { // others in each tick
		row := int32((tick*8 + probe) % len(b.observers))
		if n, what := c.ask(b, row); n > 0 {
			return n, what
		}
	}
	return 0, ""
}

// ask compares what a space tells about an observer.
func (c *witness) ask(b *brute, row int32) (n int, what string) {
	o := b.observers[row]
	told := newSets(1, len(b.w.x))
	twice := 0
	for t := range targets(c.crew, o) {
		if told.has(0, t) {
			twice++
			continue
		}
		told.flip(0, t)
	}
	want := sets{b.sees.words, b.sees.of(row)}
	if n, _, t := told.differ(want); n+twice > 0 {
		return n + twice, fmt.Sprintf("Visible of entity %d differs in %s and yields %d twice; the first is entity %d", o, plural(n, "target"), twice, t)
	}
	for t := range min(64, len(b.w.x)) {
		if c.space.Sees(c.handles[o], c.handles[t]) != want.has(0, int32(t)) {
			return 1, fmt.Sprintf("Sees of entities %d and %d is %t", o, t, !want.has(0, int32(t)))
		}
	}
	return 0, ""
}

// explain describes a pair that should not be seen, or should be.
func (b *brute) explain(r replay, row, t int32, n int) string {
	o := b.observers[row]
	verb := map[bool]string{true: "sees", false: "does not see"}
	opts := b.w.opts[o]
	text := fmt.Sprintf("%s; in the first, entity %d at (%v, %v) %s entity %d at (%v, %v), but by the rule it %s: d² = %v, enter² = %v, leave² = %v, seen before: %t",
		plural(n, "pair differs", "pairs differ"), o, b.w.x[o], b.w.z[o], verb[r.has(row, t)], t, b.w.x[t], b.w.z[t], verb[b.sees.has(row, t)],
		distance2(b.w.x[t]-b.w.x[o], b.w.z[t]-b.w.z[o]), square(opts.Radius), square(opts.LeaveRadius), b.before.has(row, t))
	if opts.Nearest > 0 {
		text += fmt.Sprintf(", nearest %d", opts.Nearest)
	}
	return text
}

// verifyAll compares all workloads and prints a line for each.
func verifyAll(o *options, c console) error {
	var total verdict
	for _, w := range o.workloads {
		most := mostPairs
		if o.entities > 0 {
			most, w.entities = namedPairs, o.entities
		}
		p := o.scaled(w, most)
		v, err := o.trial(w, p, c).run()
		if err != nil {
			return err
		}
		total.add(v)
		if !o.json {
			size := plural(p.entities, "entity", "entities")
			if p.entities < w.entities {
				size += " instead of " + thousands(float64(w.entities))
			}
			fmt.Fprintf(c.out, "%-5s %-14s %s, %s: %s, %s compared, %s\n", pass(v.Divergences), w.name, size, plural(p.ticks, "tick"),
				plural(int(v.Ops), "operation"), plural(int(v.Pairs), "pair"), plural(v.Divergences, "divergence"))
		}
	}
	if o.json {
		if err := writeJSON(c.out, summary{CPU: processor(), Kernel: o.kernels[0].String(), Workloads: []caseReport{}, Verify: total}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "\n%s: %s, %s; every tick against brute force, kernels %s, workers %s\n", pass(total.Divergences), plural(int(total.Ops), "operation"),
			plural(total.Divergences, "divergence"), names(o.verified), strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.workersOf())), ", "), "[]"))
	}
	return total.err()
}

// trial of a workload; divergences are told at once.
func (o *options) trial(w workload, p plan, c console) trial {
	return trial{workload: w, plan: p, kernels: o.verified, workers: o.workersOf(),
		report: func(format string, args ...any) { fmt.Fprintf(c.err, "DIVERGENCE: "+format+"\n", args...) }}
}

func (v verdict) err() error {
	if v.Divergences > 0 {
		return fmt.Errorf("FAIL: %s between the engine and brute force or the grid", plural(v.Divergences, "divergence"))
	}
	return nil
}

func pass(divergences int) string {
	if divergences > 0 {
		return "FAIL"
	}
	return "PASS"
}

func names(kernels []aoi.Kernel) string {
	var all []string
	for _, k := range kernels {
		all = append(all, k.String())
	}
	return strings.Join(all, ", ")
}
