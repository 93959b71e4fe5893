package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// workload is a world that interest is measured in.
type workload struct {
	name     string
	what     string // for -list
	entities int
	workers  int  // that share a tick, unless -workers says otherwise
	warm     int  // ticks before the measured ones
	ticks    int  // measured, unless -ticks or -time say otherwise
	whole    bool // it tells a story in its ticks: none may be left out, and it begins with the first
	extra    bool // not among those that run when none is named
	build    func(plan) *world
}

// workloads are all of them, in the order in which they run.
func workloads() []workload {
	walk := func(speed float64) func(plan) *world {
		return func(p plan) *world { return newWalkers(p, speed).world }
	}
	return []workload{
		{name: "walk-1k", what: "walkers in a square, all observers; everyone makes 0.25 a tick and sees about 50", entities: 1_000, workers: 1, warm: 100, ticks: 2_000, build: walk(pace)},
		{name: "walk-10k", what: "the same in ten times the area", entities: 10_000, workers: 1, warm: 300, ticks: 400, build: walk(pace)},
		{name: "walk-100k", what: "the same in a hundred times the area", entities: 100_000, workers: 2, warm: 200, ticks: 60, build: walk(pace)},
		{name: "fast-10k", what: "walk-10k at 5 a tick", entities: 10_000, workers: 1, warm: 50, ticks: 200, build: walk(20 * pace)},
		{name: "crowd-5k", what: "a crowd in a disc of half the enter radius, everyone in reach of everyone; each sees its 100 nearest", entities: 5_000, workers: 1, warm: 20, ticks: 60, build: newCrowd},
		{name: "town-10k", what: "40 towns, the k-th with 1/k of the first one's people, and travellers between them", entities: 10_000, workers: 1, warm: 50, ticks: 200, build: newTowns},
		{name: "flash-5k", what: "a flash mob: people of a square gather where all see all, stay, and go; every tick counts", entities: 5_000, workers: 1, ticks: 200, whole: true, build: newFlash},
		{name: "teleport-10k", what: "walk-10k, 1 in 100 stands anywhere else in each tick", entities: 10_000, workers: 1, warm: 50, ticks: 200, build: newTeleporters},
		{name: "radii-10k", what: "walk-10k with enter radii from 10 to 200, log-uniform, and one in 500 of 500; leave 1.1 times", entities: 10_000, workers: 1, warm: 50, ticks: 150, build: newMixedRadii},
		{name: "million", what: "a million walkers, one in 100 an observer; only when named", entities: 1_000_000, workers: 2, warm: 20, ticks: 40, extra: true, build: newMillion},
	}
}

// choose picks workloads by name; none: all but the extra ones.
func choose(names []string) (chosen []workload, err error) {
	all := workloads()
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(w workload) bool { return w.extra }), nil
	}
	var known []string
	for _, w := range all {
		known = append(known, w.name)
	}
	for _, name := range names {
		i := slices.Index(known, name)
		switch {
		case i < 0:
			return nil, misuse("-workload: there is no %q%s; there is %s", name, spell.Suggestion(name, known, ""), strings.Join(known, ", "))
		case slices.ContainsFunc(chosen, func(w workload) bool { return w.name == name }):
			return nil, misuse("-workload names %s twice", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// list prints what there is.
func list(c console) error {
	for _, w := range workloads() {
		if _, err := fmt.Fprintf(c.out, "%-14s %9s  %s\n", w.name, thousands(float64(w.entities)), w.what); err != nil {
			return err
		}
	}
	return nil
}
