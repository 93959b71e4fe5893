package main

import (
	"math"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// small plans are made of every workload.
func small(ticks int) plan { return plan{entities: 500, ticks: ticks, seed: 7} }

func TestWorldsAreMadeFromTheirPlanAlone(t *testing.T) {
	for _, w := range workloads() {
		const ticks = 50
		one, same, other := w.build(small(ticks)), w.build(small(ticks)), w.build(plan{entities: 500, ticks: ticks, seed: 8})
		moved := 0
		for range ticks {
			before := slices.Clone(one.x)
			one.step()
			same.step()
			other.step()
			for i := range one.x {
				if !(one.x[i] >= 0 && one.x[i] <= one.side && one.z[i] >= 0 && one.z[i] <= one.side) {
					t.Fatalf("%s: entity %d is at (%v, %v), outside of %v", w.name, i, one.x[i], one.z[i], one.side)
				}
				if one.x[i] != before[i] {
					moved++
				}
			}
		}
		if !slices.Equal(one.x, same.x) || !slices.Equal(one.z, same.z) || slices.Equal(one.x, other.x) {
			t.Errorf("%s is not that of its seed", w.name)
		}
		if moved < 500*ticks*9/10 {
			t.Errorf("%s: %d moves", w.name, moved)
		}
	}
}

func TestWalkersSeeFiftyOthers(t *testing.T) {
	w := newWalkers(plan{entities: 4000, seed: 1}, pace).world
	b := newBrute(w)
	b.tick()
	all := 0
	for row := range b.observers {
		all += count(b.sees.of(int32(row)))
	}
	if mean := float64(all) / 4000; mean < 0.8*crowding || mean > crowding {
		t.Errorf("%v are visible, without edges it were %d", mean, crowding)
	}
}

func count(bits []uint64) (n int) {
	s := sets{len(bits), bits}
	n, _, _ = s.differ(newSets(1, 64*len(bits)))
	return n
}

// farthest is how far the outermost entity is from the middle.
func farthest(w *world) (most float64) {
	for i := range w.x {
		most = max(most, math.Hypot(float64(w.x[i]-w.side/2), float64(w.z[i]-w.side/2)))
	}
	return most
}

func TestFlashMobGathersAndGoesHome(t *testing.T) {
	const ticks = 100
	w := newFlash(small(ticks))
	x, z := slices.Clone(w.x), slices.Clone(w.z)
	for tick := 1; tick <= ticks+5; tick++ {
		w.step()
		if there := farthest(w) <= enterRadius/2+0.01; there != (tick >= ticks*2/5 && tick <= ticks*3/5) {
			t.Errorf("tick %d: everyone is there: %t", tick, there)
		}
	}
	for i := range x {
		if d := distance2(x[i]-w.x[i], z[i]-w.z[i]); d > 0.01 {
			t.Fatalf("entity %d did not come home: it is %v away", i, math.Sqrt(float64(d)))
		}
	}
}

func TestCrowdStaysInItsDisc(t *testing.T) {
	w := newCrowd(small(0))
	for range 300 {
		w.step()
	}
	if most := farthest(w); most > enterRadius/2+0.01 {
		t.Errorf("somebody is %v away from the middle", most)
	}
}

func TestTownsFollowZipf(t *testing.T) {
	const n = 10_000
	w := newTowns(plan{entities: n, seed: 3})
	if len(w.dots) != 40 {
		t.Fatalf("%d towns", len(w.dots))
	}
	near := make([]int, len(w.dots))
	for i := range w.x {
		for k, town := range w.dots {
			if distance2(w.x[i]-town.x, w.z[i]-town.z) < square(3*town.radius) {
				near[k]++
				break
			}
		}
	}
	harmonic := 0.0
	for k := range near {
		harmonic += 1 / float64(k+1)
	}
	for _, k := range []int{0, 1, 3} {
		if want := n / harmonic / float64(k+1); math.Abs(float64(near[k])-want) > 0.15*want {
			t.Errorf("%d people are in town %d, want about %.0f", near[k], k+1, want)
		}
	}
}

func TestMixedRadiiAreMixed(t *testing.T) {
	w := newMixedRadii(plan{entities: 2000, seed: 1})
	below, far := 0, 0
	for _, o := range w.opts {
		if o.LeaveRadius != 1.1*o.Radius || o.Radius < 10 || o.Radius > 500 {
			t.Fatalf("%+v", o)
		}
		if o.Radius < 44.7 { // the middle of 10 and 200, as logarithms go
			below++
		}
		if o.Radius == 500 {
			far++
		}
	}
	if far != 4 || below < 900 || below > 1100 {
		t.Errorf("%d see 500 far, %d less than 44.7", far, below)
	}
	if got := newMillion(plan{entities: 2000}).observers(); got != 20 {
		t.Errorf("%d of 2,000 look", got)
	}
}

// TestGridEqualsBruteForce shows that what the engine is compared with is no straw man: it does the same.
func TestGridEqualsBruteForce(t *testing.T) { gridEqualsBruteForce(t, 6) }

func gridEqualsBruteForce(t *testing.T, ticks int) {
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			world := w.build(small(ticks))
			for i := range world.opts {
				if i%3 == 0 && world.opts[i].Nearest > 0 {
					world.opts[i].Nearest = 3
				}
			}
			b, g := newBrute(world), newGrid(world)
			r := replay{sets: newSets(len(b.observers), len(world.x))}
			c := &crew{number: identity(len(world.x))}
			for tick := range ticks {
				for i := range world.x {
					g.move(int32(i), world.x[i], world.z[i])
				}
				b.tick()
				leaves, enters := g.tick()
				r.apply(b, c, aoi.Events{Leaves: pairs(leaves), Enters: pairs(enters)})
				if n, row, target := r.differ(b.sees); n+r.wrong > 0 {
					t.Fatalf("tick %d: %d wrong events, %s", tick, r.wrong, b.explain(r, row, target, n))
				}
				world.step()
			}
		})
	}
}

func identity(n int) (list []int32) {
	for i := range n {
		list = append(list, int32(i))
	}
	return list
}

func pairs(list []pair) (all []aoi.Pair) {
	for _, p := range list {
		all = append(all, aoi.Pair{Observer: aoi.Handle(p.observer), Target: aoi.Handle(p.target)})
	}
	return all
}
