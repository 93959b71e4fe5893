package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

const (
	// baselineTime is how long the grid is measured in each workload, unless it is a whole story.
	baselineTime = 700 * time.Millisecond
	// patience bounds the measured time of a workload where neither -ticks nor -time does: a slow machine makes fewer ticks.
	patience = 3 * time.Second
	// anyTicks are more than -time will ever have.
	anyTicks = 1 << 20
)

// benchmark measures everything, compares a little of it with brute force, and tells.
func benchmark(o *options, c console) error {
	samples := map[cell][]sample{}
	var v verdict
	for run := range o.runs {
		for _, w := range o.workloads {
			var grid sample // one for all kernels of a run
			for i, kernel := range o.kernels {
				j := o.job(w, kernel)
				if i > 0 {
					j.baseline = 0
				}
				s, err := measure(j)
				var wrong divergence
				switch {
				case errors.As(err, &wrong):
					v.Divergences++
					fmt.Fprintf(c.err, "DIVERGENCE: seed %d, kernel %v: %v\n", o.seed, kernel, err)
				case err != nil:
					return err
				}
				if i == 0 {
					grid = s
				}
				s.baseline, s.compared = grid.baseline, grid.compared
				samples[cell{w.name, kernel}] = append(samples[cell{w.name, kernel}], s)
				o.progress(c, run, w, kernel)
			}
		}
	}
	for _, w := range o.workloads {
		p := o.scaled(w, fewerPairs)
		p.ticks = min(p.ticks, 40)
		one, err := o.trial(w, p, c).run()
		if err != nil {
			return err
		}
		v.add(one)
	}
	r := o.summarize(samples, v)
	if o.json {
		if err := writeJSON(c.out, r); err != nil {
			return err
		}
		return v.err()
	}
	if err := o.table(r, c.out); err != nil {
		return err
	}
	return v.err()
}

// cell is what is measured in each run.
type cell struct {
	workload string
	kernel   aoi.Kernel
}

func (o *options) progress(c console, run int, w workload, kernel aoi.Kernel) {
	switch {
	case o.json:
	case o.runs > 1:
		fmt.Fprintf(c.err, "run %d of %d: %s by %v done\n", run+1, o.runs, w.name, kernel)
	case len(o.kernels) > 1:
		fmt.Fprintf(c.err, "%s by %v done\n", w.name, kernel)
	default:
		fmt.Fprintf(c.err, "%s done\n", w.name)
	}
}

// job is what a workload comes to under the options.
func (o *options) job(w workload, kernel aoi.Kernel) job {
	j := job{workload: w, kernel: kernel, limit: patience}
	if o.workers > 0 {
		j.workers = o.workers
	}
	j.plan = plan{entities: w.entities, ticks: w.ticks, seed: o.seed}
	if o.entities > 0 {
		j.plan.entities = o.entities
	}
	switch {
	case o.ticks > 0:
		j.plan.ticks, j.limit = o.ticks, 0
	case o.time > 0 && !w.whole:
		j.plan.ticks, j.limit = anyTicks, o.time
	}
	if o.baseline {
		j.baseline = baselineTime
	}
	return j
}
