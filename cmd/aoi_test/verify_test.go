package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// TestDivergencesAreFound shows the judge events that are wrong in every way that it knows of.
func TestDivergencesAreFound(t *testing.T) {
	swap := func(list []aoi.Pair) { list[0], list[1] = list[1], list[0] }
	for _, test := range []struct {
		name string
		lie  func(ev *aoi.Events, c *witness)
		says string
	}{
		{"nothing", func(*aoi.Events, *witness) {}, ""},
		{"an enter too few", func(ev *aoi.Events, _ *witness) { ev.Enters = ev.Enters[1:] }, "but by the rule it sees"},
		{"a leave too few", func(ev *aoi.Events, _ *witness) { ev.Leaves = ev.Leaves[1:] }, "but by the rule it does not see"},
		{"an enter twice", func(ev *aoi.Events, _ *witness) { ev.Enters = append(ev.Enters, ev.Enters[0]) }, "cannot be"},
		{"a leave and an enter of what stays", func(ev *aoi.Events, c *witness) {
			stays := aoi.Pair{Observer: c.handles[0]}
			c.space.Visible(stays.Observer, func(t aoi.Handle) bool {
				stays.Target = t
				return slices.Contains(ev.Enters, stays)
			})
			ev.Leaves, ev.Enters = append(ev.Leaves, stays), append(ev.Enters, stays)
		}, "but by the rule it sees"},
		{"an enter of oneself", func(ev *aoi.Events, c *witness) {
			ev.Enters = append(ev.Enters, aoi.Pair{Observer: c.handles[3], Target: c.handles[3]})
		}, "entity 3 at"},
		{"another order", func(ev *aoi.Events, _ *witness) { swap(ev.Enters) }, "order"},
		{"another answer", func(_ *aoi.Events, c *witness) {
			if err := c.space.SetRadius(c.handles[1], 1, 2); err != nil {
				t.Fatal(err)
			}
			c.space.Tick()
		}, "Visible of entity 1 differs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWalkers(plan{entities: 400, seed: 1}, 20*pace).world
			b := newBrute(w)
			c := &witness{crew: reserve(w), replay: replay{sets: newSets(400, 400)}}
			if err := c.enter(w, aoi.Auto, 1); err != nil {
				t.Fatal(err)
			}
			for tick := range 3 {
				b.tick()
				ev, err := c.tick(w)
				if err != nil {
					t.Fatal(err)
				}
				said := aoi.Events{Leaves: slices.Clone(ev.Leaves), Enters: slices.Clone(ev.Enters)}
				want := ""
				if tick == 2 {
					want = test.says
					test.lie(&said, c)
				}
				if tick == 2 && want != "" && want != "order" {
					ev = said // or the order is wrong as well
				}
				row := tick
				if strings.HasPrefix(test.says, "Visible") {
					row = 0 // asks about entity 1
				}
				n, what := c.judge(b, row, said, ev)
				if (n > 0) != (want != "") || !strings.Contains(what, want) {
					t.Fatalf("tick %d: %d divergences, %q, want %q", tick, n, what, want)
				}
				w.step()
			}
		})
	}
}

func TestDivergenceFromTheGridIsFound(t *testing.T) {
	w := newWalkers(plan{entities: 300, seed: 1}, pace).world
	c := reserve(w)
	if err := c.enter(w, aoi.Auto, 1); err != nil {
		t.Fatal(err)
	}
	ev, g := c.space.Tick(), newGrid(w)
	leaves, enters := g.tick()
	if err := c.same(ev, leaves, enters); err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(enters)
	other[5].target++
	for name, wrong := range map[string][]pair{"few": enters[1:], "other": other} {
		if err := c.same(ev, leaves, wrong); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if err := c.same(ev, enters[:1], enters); err == nil {
		t.Error("a leave too many: not found")
	}
}

func TestDivergencesFailTheRun(t *testing.T) {
	if err := (verdict{Divergences: 2}).err(); err == nil || !strings.Contains(err.Error(), "FAIL: 2 divergences") {
		t.Error(err)
	}
	if err := (verdict{Ops: 1}).err(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsTooLargeForBruteForceIsScaledDown(t *testing.T) {
	for _, test := range []struct {
		name            string
		entities, named int
		ticks           int
	}{{"walk-1k", 1000, 0, 1000}, {"walk-100k", 5000, 0, 40}, {"million", 50_000, 0, 40}, {"walk-10k", 700, 700, 1000}} {
		chosen, err := choose([]string{test.name})
		if err != nil {
			t.Fatal(err)
		}
		p := (&options{entities: test.named}).scaled(chosen[0], mostPairs)
		if p.entities != test.entities || p.ticks != test.ticks {
			t.Errorf("%s: %d entities, %d ticks", test.name, p.entities, p.ticks)
		}
	}
}
