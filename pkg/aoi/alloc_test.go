//go:build !race

package aoi

import "testing"

func TestSteadyTickDoesNotAllocate(t *testing.T) {
	entities, warm := 1000, 600
	if testing.Short() {
		entities, warm = 300, 300
	}
	for _, step := range []float64{0.25, 5} {
		w := newWalkers(t, entities, step)
		found := 0
		count := func(Handle) bool { found++; return true }
		tick := func() {
			w.step(t)
			w.s.Within(w.x[0], w.z[0], 50, count)
			w.s.Visible(w.h[0], count)
			w.s.Sees(w.h[0], w.h[1])
		}
		for range warm { // buffers reach their working size
			tick()
		}
		if n := testing.AllocsPerRun(200, tick); n != 0 {
			t.Errorf("step %v: %v allocations per tick", step, n)
		}
	}
}
