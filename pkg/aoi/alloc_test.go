//go:build !race

package aoi

import (
	"math/rand/v2"
	"testing"
)

func TestSteadyTickDoesNotAllocate(t *testing.T) {
	entities, warm := 600, 800
	if testing.Short() {
		entities, warm = 300, 600
	}
	steady := func(name string, tick func()) {
		t.Run(name, func(t *testing.T) {
			for range warm { // buffers reach their working size
				tick()
			}
			if n := testing.AllocsPerRun(200, tick); n != 0 {
				t.Errorf("%v allocations per tick", n)
			}
		})
	}
	for _, k := range Kernels() {
		cfg := Config{Kernel: k}
		w := newWalkers(t, cfg, entities, 0.25, Opts{Radius: 50, LeaveRadius: 55})
		steady("walk "+k.String(), func() { w.step(t) })
		f := newWalkers(t, cfg, entities, 5, Opts{Radius: 50, LeaveRadius: 55})
		steady("fast "+k.String(), func() { f.step(t) })
		c := newCrowd(t, cfg, entities/2, 20)
		steady("crowd "+k.String(), func() { c.step(t) })
	}
	w := newWalkers(t, Config{Workers: 2}, 3*entities, 0.25, Opts{Radius: 50, LeaveRadius: 55})
	steady("two workers", func() { w.step(t) })
	r := newWalkers(t, Config{}, entities, 0.25, Opts{Radius: 50, LeaveRadius: 55})
	steady("resting", func() { r.s.Tick() })
	rnd := rand.New(rand.NewPCG(2, 2))
	steady("one moves", func() {
		if err := r.s.Move(r.h[0], r.side*rnd.Float32(), r.side*rnd.Float32()); err != nil {
			t.Fatal(err)
		}
		r.s.Tick()
	})
}

func TestComingAndGoingDoesNotAllocate(t *testing.T) {
	w := newWalkers(t, Config{}, 300, 0.25, Opts{Radius: 50, LeaveRadius: 55})
	i := 0
	tick := func() {
		i = (i + 7) % len(w.h)
		if err := w.s.Remove(w.h[i]); err != nil {
			t.Fatal(err)
		}
		h, err := w.s.Add(w.x[i], w.z[i], Opts{Radius: 50, LeaveRadius: 55})
		if err != nil {
			t.Fatal(err)
		}
		w.h[i] = h
		w.step(t)
	}
	for range 3000 {
		tick()
	}
	if n := testing.AllocsPerRun(200, tick); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
}

func TestQueriesDoNotAllocate(t *testing.T) {
	for _, k := range Kernels() {
		w := newWalkers(t, Config{Kernel: k}, 1000, 0.25, Opts{Radius: 50, LeaveRadius: 55})
		w.step(t)
		found, i := 0, 0
		count := func(Handle) bool { found++; return true }
		only := w.s.Only(1)
		for name, query := range map[string]func(x, z float32){
			"within":       func(x, z float32) { w.s.Within(x, z, 50, count) },
			"box":          func(x, z float32) { w.s.Box(x-50, z-50, x+50, z+50, count) },
			"sector":       func(x, z float32) { w.s.Sector(x, z, 50, 1, 1, 1, count) },
			"nearest":      func(x, z float32) { w.s.Nearest(x, z, 1e4, 10, count) },
			"only within":  func(x, z float32) { only.Within(x, z, 50, count) },
			"only box":     func(x, z float32) { only.Box(x-50, z-50, x+50, z+50, count) },
			"only sector":  func(x, z float32) { only.Sector(x, z, 50, 1, 1, 1, count) },
			"only nearest": func(x, z float32) { only.Nearest(x, z, 1e4, 10, count) },
			"nested": func(x, z float32) {
				w.s.Within(x, z, 20, func(h Handle) bool { w.s.Within(x, z, 5, count); return true })
			},
			"visible": func(x, z float32) { w.s.Visible(w.h[i], count) },
			"sees":    func(x, z float32) { w.s.Sees(w.h[i], w.h[0]) },
		} {
			run := func() {
				i = (i + 1) % len(w.h)
				query(w.x[i], w.z[i])
			}
			for range len(w.h) {
				run()
			}
			if n := testing.AllocsPerRun(200, run); n != 0 {
				t.Errorf("%v: %s: %v allocations", k, name, n)
			}
		}
		if found == 0 {
			t.Error("nothing found")
		}
	}
}
