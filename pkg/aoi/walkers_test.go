package aoi

import (
	"math"
	"math/rand/v2"
	"testing"
)

// walkers is a square world of walkers that turn at its edges, on average 50
// of them within 50 units of each other; a crowd has its world in one view.
type walkers struct {
	s      *Space
	h      []Handle
	x, z   []float32
	vx, vz []float32
	side   float32
}

func newWalkers(tb testing.TB, cfg Config, n int, step float64, o Opts) *walkers {
	tb.Helper()
	return walkersOn(tb, cfg, n, step, float32(math.Sqrt(float64(n)*math.Pi*50*50/50)), o)
}

// newCrowd puts n walkers on a square of 50, each of whom sees the nearest k.
func newCrowd(tb testing.TB, cfg Config, n, k int) *walkers {
	tb.Helper()
	return walkersOn(tb, cfg, n, 0.25, 50, Opts{Radius: 50, LeaveRadius: 55, Nearest: k})
}

func walkersOn(tb testing.TB, cfg Config, n int, step float64, side float32, o Opts) *walkers {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(42, uint64(n)))
	w := &walkers{side: side}
	cfg.MaxX, cfg.MaxZ = side, side
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w.s = s
	for range n {
		a := rnd.Float64() * 2 * math.Pi
		x, z := rnd.Float32()*w.side, rnd.Float32()*w.side
		h, err := s.Add(x, z, o)
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
		w.s.Visible(h, func(Handle) bool { n++; return true })
	}
	return n
}
