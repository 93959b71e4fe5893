package aoi

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// BenchmarkTick times moves and Tick together, per entity and tick.
func BenchmarkTick(b *testing.B) {
	walker := Opts{Radius: 50, LeaveRadius: 55}
	for _, c := range []struct {
		name string
		n    int
		make func(tb testing.TB, cfg Config, n int) *walkers
		tick func(tb testing.TB, w *walkers) Events
	}{
		{"walk-1k", 1_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 0.25, walker) }, stepAll},
		{"walk-10k", 10_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 0.25, walker) }, stepAll},
		{"walk-100k", 100_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 0.25, walker) }, stepAll},
		{"fast-10k", 10_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 5, walker) }, stepAll},
		{"crowd-5k", 5_000, func(tb testing.TB, cfg Config, n int) *walkers { return newCrowd(tb, cfg, n, 100) }, stepAll},
		{"resting-10k", 10_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 0.25, walker) }, stepOne},
		{"arrivals", 2_000, func(tb testing.TB, cfg Config, n int) *walkers { return newWalkers(tb, cfg, n, 0.25, walker) }, replaceAll},
	} {
		for _, k := range Kernels() {
			b.Run(c.name+"/"+k.String(), func(b *testing.B) {
				benchTick(b, c.n, func() *walkers { return c.make(b, Config{Kernel: k}, c.n) }, c.tick)
			})
		}
	}
}

func benchTick(b *testing.B, n int, start func() *walkers, tick func(testing.TB, *walkers) Events) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := start()
	for range 100 {
		tick(b, w)
	}
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		ev := tick(b, w)
		events += len(ev.Leaves) + len(ev.Enters)
	}
	entities := float64(n)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entities, "ns/entity")
	b.ReportMetric(float64(events)/float64(b.N)/entities, "events/entity")
	b.ReportMetric(float64(w.visible())/entities, "visible")
	w.h, w.x, w.z, w.vx, w.vz = nil, nil, nil, nil, nil // not the space's
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/entities, "B/entity")
	runtime.KeepAlive(w.s)
}

func stepAll(tb testing.TB, w *walkers) Events { return w.step(tb) }

// stepOne moves the first of many that rest.
func stepOne(tb testing.TB, w *walkers) Events {
	w.x[0] = w.side - w.x[0]
	if err := w.s.Move(w.h[0], w.x[0], w.z[0]); err != nil {
		tb.Fatal(err)
	}
	return w.s.Tick()
}

// replaceAll removes everybody and lets them in again.
func replaceAll(tb testing.TB, w *walkers) Events {
	for i, h := range w.h {
		if err := w.s.Remove(h); err != nil {
			tb.Fatal(err)
		}
		h, err := w.s.Add(w.x[i], w.z[i], Opts{Radius: 50, LeaveRadius: 55})
		if err != nil {
			tb.Fatal(err)
		}
		w.h[i] = h
	}
	return w.s.Tick()
}

func BenchmarkMove(b *testing.B) {
	w := newWalkers(b, Config{}, 10_000, 0.25, Opts{Radius: 50, LeaveRadius: 55})
	w.s.Tick()
	for _, c := range []struct {
		name string
		far  int
	}{{"step", 0}, {"teleport", 1}} {
		b.Run(c.name, func(b *testing.B) {
			i, dx := 0, float32(0.25)
			for b.Loop() {
				if i++; i == len(w.h) {
					i, dx = 0, -dx
					b.StopTimer()
					w.s.Tick()
					b.StartTimer()
				}
				z := w.z[(i+c.far)%len(w.h)]
				if err := w.s.Move(w.h[i], min(max(w.x[i]+dx, 0), w.side), z); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchQuery(b *testing.B, query func(s *Space, x, z float32, yield func(Handle) bool)) {
	for _, k := range Kernels() {
		b.Run(k.String(), func(b *testing.B) {
			w := newWalkers(b, Config{Kernel: k}, 10_000, 0.25, Opts{Radius: 50, LeaveRadius: 55})
			w.step(b)
			found, i := 0, 0
			count := func(Handle) bool { found++; return true }
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 1) % len(w.h)
				query(w.s, w.x[i], w.z[i], count)
			}
			b.ReportMetric(float64(found)/float64(b.N), "found")
		})
	}
}

func BenchmarkWithin(b *testing.B) {
	benchQuery(b, func(s *Space, x, z float32, yield func(Handle) bool) { s.Within(x, z, 10, yield) })
}

func BenchmarkNearest(b *testing.B) {
	benchQuery(b, func(s *Space, x, z float32, yield func(Handle) bool) { s.Nearest(x, z, 100, 10, yield) })
}

func BenchmarkBox(b *testing.B) {
	benchQuery(b, func(s *Space, x, z float32, yield func(Handle) bool) { s.Box(x-10, z-10, x+10, z+10, yield) })
}

func BenchmarkSector(b *testing.B) {
	benchQuery(b, func(s *Space, x, z float32, yield func(Handle) bool) { s.Sector(x, z, 20, 1, 1, 0.5, yield) })
}

// BenchmarkSpectator is an observer of 20,000 that moves while they rest.
func BenchmarkSpectator(b *testing.B) {
	for _, k := range Kernels() {
		b.Run(k.String(), func(b *testing.B) { benchSpectator(b, k) })
	}
}

func benchSpectator(b *testing.B, k Kernel) {
	s, err := New(Config{Kernel: k})
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	const n = 20_000
	for range n {
		if _, err := s.Add(rnd.Float32()*1e4, rnd.Float32()*1e4, Opts{}); err != nil {
			b.Fatal(err)
		}
	}
	eye, err := s.Add(0, 0, Opts{Hidden: true, Radius: 1e6})
	if err != nil {
		b.Fatal(err)
	}
	s.Tick()
	x := float32(0)
	for b.Loop() {
		x = 1 - x
		if err := s.Move(eye, x, 0); err != nil {
			b.Fatal(err)
		}
		s.Tick()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/target")
}
