package aoi

import (
	"math/rand/v2"
	"testing"
)

// fidget lets everybody make a small step in a square, and ticks.
func fidget(t *testing.T, s *Space, all []Handle, side float32, rnd *rand.Rand) {
	t.Helper()
	for _, h := range all {
		x, z, _ := s.Position(h)
		if err := s.Move(h, min(max(x+rnd.Float32()-0.5, 0), side), min(max(z+rnd.Float32()-0.5, 0), side)); err != nil {
			t.Fatal(err)
		}
	}
	s.Tick()
}

// A zone asks its index all the time, and one who sees it all must not make that dear: cells suit the many, not the one.
func TestOneWhoSeesTheWorldDoesNotWidenTheCells(t *testing.T) {
	const side = 1000
	var sides []float64
	for _, spectated := range []bool{false, true} {
		s, rnd := must[*Space](t)(New(Config{})), rand.New(rand.NewPCG(1, 1))
		var all []Handle
		for range 3000 {
			all = append(all, must[Handle](t)(s.Add(rnd.Float32()*side, rnd.Float32()*side, Opts{})))
		}
		if spectated {
			must[Handle](t)(s.Add(side/2, side/2, Opts{Radius: side, Hidden: true}))
		}
		for range 2*every + 10 {
			fidget(t, s, all[:100], side, rnd)
		}
		sides = append(sides, s.grids[s.now].side)
	}
	if sides[1] > 1.2*sides[0] {
		t.Errorf("cells are %g wide with a spectator, %g without", sides[1], sides[0])
	}
}

// Where everybody has layers and a mask of its own there are as many blocks as entries: more than the table is made for, whatever the side.
func TestManyLayersAndMasksDoNotChangeTheGridForEver(t *testing.T) {
	const side = 300
	s, rnd := must[*Space](t)(New(Config{})), rand.New(rand.NewPCG(2, 2))
	var all []Handle
	for range 1000 {
		all = append(all, must[Handle](t)(s.Add(rnd.Float32()*side, rnd.Float32()*side, Opts{Layers: rnd.Uint32() | 1, Mask: rnd.Uint32() | 1, Radius: 20})))
	}
	for range every + 50 {
		fidget(t, s, all, side, rnd)
	}
	now := s.now
	for range 3 * every {
		fidget(t, s, all[:10], side, rnd)
		if s.now != now {
			t.Fatalf("another grid, of cells %g wide after %g, for the same entries", s.grids[s.now].side, s.grids[now].side)
		}
	}
}

// All workers saw many at the first Tick; later there is work for one.
func TestBuffersOfIdleWorkersShrink(t *testing.T) {
	const side = 400
	s, rnd := must[*Space](t)(New(Config{Workers: 2})), rand.New(rand.NewPCG(3, 3))
	var all []Handle
	for range 4000 {
		all = append(all, must[Handle](t)(s.Add(rnd.Float32()*side, rnd.Float32()*side, Opts{Radius: 50})))
	}
	s.Tick()
	if s.busy != 2 {
		t.Fatalf("%d workers were busy, want both", s.busy)
	}
	for _, h := range all[50:] {
		if err := s.Remove(h); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		fidget(t, s, all[:50], side, rnd)
	}
	for i := range s.shards {
		if n := cap(s.shards[i].enters.list) + cap(s.shards[i].leaves.list); n > 2000 {
			t.Errorf("worker %d keeps room for %d events", i, n)
		}
	}
}

// Radii go up and down, and in the end nobody observes: the lists that wait for another use are not kept.
func TestMemoryOfListsIsGivenBack(t *testing.T) {
	const side = 600
	s, rnd := must[*Space](t)(New(Config{})), rand.New(rand.NewPCG(4, 4))
	var all []Handle
	for range 3000 {
		all = append(all, must[Handle](t)(s.Add(rnd.Float32()*side, rnd.Float32()*side, Opts{Radius: 50})))
	}
	for _, radius := range []float32{5, 20, 60, 100, 40, 0} {
		for _, h := range all {
			r := radius * (0.5 + rnd.Float32())
			if err := s.SetRadius(h, r, r); err != nil {
				t.Fatal(err)
			}
		}
		for range 30 {
			fidget(t, s, all[:10], side, rnd)
		}
	}
	bytes := 0
	for _, w := range s.pool.waiting {
		for _, l := range w[:cap(w)] { // what was cut off, too
			bytes += 4*cap(l.blocks) + 32*cap(l.rows)
		}
	}
	if bytes > 1<<20 {
		t.Errorf("%d bytes of lists wait, and nobody observes", bytes)
	}
}

// Heroes appear at one point, and more stand there than a bounded view shows: no key parts them, and none may be looked for again and again.
func TestMoreAtOnePointThanAreShownAreLookedAtOnce(t *testing.T) {
	const stack = 300
	s := must[*Space](t)(New(Config{}))
	for range stack {
		must[Handle](t)(s.Add(0, 0, Opts{Radius: 100, Nearest: 20}))
	}
	other := must[Handle](t)(s.Add(1, 0, Opts{}))
	passes, rank := 0, s.kernel.rank
	s.kernel.rank = func(r *ranking) int {
		passes++
		return rank(r)
	}
	for i := range 60 {
		if i == 20 {
			passes = 0 // the stack has come to rest
		}
		if err := s.Move(other, 1+float32(i)/100, 0); err != nil {
			t.Fatal(err)
		}
		s.Tick()
	}
	if per := float64(passes) / stack / 40; per > 4 {
		t.Errorf("%.1f passes per observer and tick", per)
	}
}
