package aoi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Blocks that nobody stands in any more go, and lists forget them: what a space
// keeps depends on who is there, not on who has been.
func TestWhatIsKeptIsNotMoreThanWhoIsThereNeeds(t *testing.T) {
	n, ticks := 400, 300
	if raced {
		n, ticks = 100, 100
	}
	rnd := rand.New(rand.NewPCG(12, 12))
	s := must[*Space](t)(New(Config{}))
	path := float32(0) // all walk along it, and leave places where nobody comes again
	anywhere := func() (x, z float32) { return path + rnd.Float32()*1000, rnd.Float32()*1000 - path }
	for range n {
		x, z := anywhere()
		must[Handle](t)(s.Add(x, z, Opts{Radius: 10}))
	}
	for range ticks {
		path += 400
		for h := range Handle(n) {
			x, z := anywhere()
			if err := s.Move(h, x, z); err != nil {
				t.Fatal(err)
			}
		}
		s.Tick()
	}
	if targets, eyes := len(s.targets.occ), len(s.watch.live); targets > 3*n || eyes > 3*n {
		t.Errorf("%d blocks of targets and %d of eyes for %d entries", targets, eyes, n)
	}
	listed := 0
	for _, l := range s.watch.lists {
		listed += cap(l.blocks)
	}
	if listed > 20*n {
		t.Errorf("lists of %d blocks in all for %d entries that see little", listed, n)
	}
	for h := range Handle(n) {
		if err := s.SetRadius(h, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.Tick()
	for b, live := range s.watch.live {
		if live != 0 {
			t.Fatalf("block %d still has eyes %016b, and nobody observes", b, live)
		}
	}
}

// Everybody gathers, scatters and lines up, so that the cells must become finer
// and coarser, and entries are for many ticks in two grids at once.
func TestChangeOfGridIsSeenInNoEvent(t *testing.T) {
	n, phase := 900, 100
	if testing.Short() || raced {
		n, phase = 500, 75
	}
	r, err := newRig(Config{MaxEntries: n + n/2}, append(variants(1), variant{Auto, 3}))
	if err != nil {
		t.Fatal(err)
	}
	w := world{name: "phases", size: 3000, step: 2, radius: 60, entries: n, perTick: n / 3}
	spread := func(g *gen, size float32) (x, z float32) { return g.spread(size), g.spread(size) }
	phases := []func(*gen) (x, z float32){
		func(g *gen) (x, z float32) { return spread(g, 3000) },
		func(g *gen) (x, z float32) { return spread(g, 40) },
		func(g *gen) (x, z float32) { return spread(g, 1500) },
		func(g *gen) (x, z float32) { return g.spread(3000), 0 },
		func(g *gen) (x, z float32) { return 1 + g.spread(1), 1 },
		func(g *gen) (x, z float32) { return spread(g, 2e6) },
	}
	g := newGen(w, 31, r)
	play := func(o op) error { return r.play(o) }
	between, long := 0, 0 // ticks with two grids, and how many of them on end
	for tick := range len(phases) * phase {
		g.place = phases[tick/phase]
		g.mood = allSorts
		if tick%phase < 12 {
			g.mood = leaping
		}
		if err := g.tick(play); err != nil {
			t.Fatalf("tick %d: %v", r.ticks, err)
		}
		if old := r.spaces[0].grids[1-r.spaces[0].now]; old.targets.n+old.eyes.n > 0 {
			between++
			if long++; long > 40 {
				t.Fatalf("tick %d: for %d ticks there have been two grids", r.ticks, long)
			}
		} else {
			long = 0
		}
	}
	if between < 3 {
		t.Errorf("only %d ticks with two grids", between)
	}
	t.Logf("%d of %d ticks with two grids", between, r.ticks)
}

// A bracket of keys is one of d² for those seen: the largest that fits, to the last bit.
func TestBeyondIsTheLargestSquareWhoseKeyFits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 9))
	check := func(v float32) {
		t.Helper()
		d := beyond(v)
		if next := math.Nextafter32(d, infinite); !(float32(d*stick) <= v) || float32(next*stick) <= v && next <= math.MaxFloat32 {
			t.Fatalf("beyond(%g) is %g", v, d)
		}
	}
	for _, v := range []float32{0, math.SmallestNonzeroFloat32, 1e-40, 1, 13, 1e36, math.MaxFloat32 * 0.8} {
		check(v)
	}
	for range 20_000 {
		check(math.Float32frombits(rnd.Uint32() % math.Float32bits(1e38)))
	}
	if beyond(-1) >= 0 || beyond(infinite) != infinite {
		t.Error("nothing must stay nothing, and everything everything")
	}
}

func TestSmallestFindsTheKeyOfEveryRank(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 10))
	for n := 1; n < 120; n++ {
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = rnd.Uint64() >> (rnd.IntN(2) * 59) // many equal ones
		}
		want := slices.Sorted(slices.Values(keys))
		for rank := 1; rank <= n; rank++ {
			if got := smallest(slices.Clone(keys), rank); got != want[rank-1] {
				t.Fatalf("rank %d of %v: %d, want %d", rank, keys, got, want[rank-1])
			}
		}
	}
}
