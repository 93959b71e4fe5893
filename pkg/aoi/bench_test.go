package aoi

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// walkers is a square world of walkers that turn at its edges, on average 50
// of them within 50 units of each other.
type walkers struct {
	s      *Space
	h      []Handle
	x, z   []float32
	vx, vz []float32
	side   float32
}

func newWalkers(tb testing.TB, n int, step float64) *walkers {
	rnd := rand.New(rand.NewPCG(42, uint64(n)))
	w := &walkers{side: float32(math.Sqrt(float64(n) * math.Pi * 50 * 50 / 50))}
	s, err := New(Config{MaxX: w.side, MaxZ: w.side})
	if err != nil {
		tb.Fatal(err)
	}
	w.s = s
	for range n {
		a := rnd.Float64() * 2 * math.Pi
		x, z := rnd.Float32()*w.side, rnd.Float32()*w.side
		h, err := s.Add(x, z, Opts{Radius: 50, LeaveRadius: 55})
		if err != nil {
			tb.Fatal(err)
		}
		w.h, w.x, w.z = append(w.h, h), append(w.x, x), append(w.z, z)
		w.vx, w.vz = append(w.vx, float32(step*math.Cos(a))), append(w.vz, float32(step*math.Sin(a)))
	}
	return w
}

func (w *walkers) step(tb testing.TB) Events {
	for i, h := range w.h {
		x, z := w.x[i]+w.vx[i], w.z[i]+w.vz[i]
		if x < 0 || x > w.side {
			w.vx[i] = -w.vx[i]
			x = w.x[i]
		}
		if z < 0 || z > w.side {
			w.vz[i] = -w.vz[i]
			z = w.z[i]
		}
		w.x[i], w.z[i] = x, z
		if err := w.s.Move(h, x, z); err != nil {
			tb.Fatal(err)
		}
	}
	return w.s.Tick()
}

func (w *walkers) visible() int {
	n := 0
	for _, h := range w.h {
		n += int(w.s.obs[h].visible.n)
	}
	return n
}

func BenchmarkTick(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		step float64
	}{{"walk-1k", 1_000, 0.25}, {"walk-10k", 10_000, 0.25}, {"walk-100k", 100_000, 0.25}, {"fast-10k", 10_000, 5}} {
		b.Run(c.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			w := newWalkers(b, c.n, c.step)
			for range 100 {
				w.step(b)
			}
			b.ReportAllocs()
			events := 0
			for b.Loop() {
				ev := w.step(b)
				events += len(ev.Leaves) + len(ev.Enters)
			}
			entities := float64(c.n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entities, "ns/entity")
			b.ReportMetric(float64(events)/float64(b.N)/entities, "events/entity")
			b.ReportMetric(float64(w.visible())/entities, "visible")
			w.h, w.x, w.z, w.vx, w.vz = nil, nil, nil, nil, nil // not the space's
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/entities, "B/entity")
			runtime.KeepAlive(w.s)
		})
	}
}

func BenchmarkMove(b *testing.B) {
	w := newWalkers(b, 10_000, 0.25)
	w.s.Tick()
	i := 0
	for b.Loop() {
		i = (i + 1) % len(w.h)
		if err := w.s.Move(w.h[i], w.x[i], w.z[(i+1)%len(w.h)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWithin(b *testing.B) {
	w := newWalkers(b, 10_000, 0.25)
	w.step(b)
	found, i := 0, 0
	count := func(Handle) bool { found++; return true }
	for b.Loop() {
		i = (i + 1) % len(w.h)
		w.s.Within(w.x[i], w.z[i], 10, count)
	}
	b.ReportMetric(float64(found)/float64(b.N), "found")
}

func BenchmarkSpectator(b *testing.B) {
	s, err := New(Config{})
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
