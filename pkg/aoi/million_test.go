package aoi

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	flagOps    = flag.Int("ops", 0, "calls that TestMillionOperations makes and compares; 0: a million (fewer with -short); not under -race")
	flagSeed   = flag.Uint64("seed", 1, "first seed of TestMillionOperations")
	flagShrink = flag.Duration("shrink", 30*time.Second, "how long to look for a shorter sequence that diverges too")
	flagWorld  = flag.String("world", "", "the only world of TestMillionOperations; empty: all in turn")
)

// episode is one sequence of operations of one world.
type episode struct {
	world world
	seed  uint64
	ticks int
	vs    []variant
}

// run makes operations up, plays them, and returns how many; a divergence ends t
// with the shortest sequence found that still diverges.
func (e episode) run(t testing.TB) int {
	t.Helper()
	r, err := newRig(e.world.cfg, e.vs)
	if err != nil {
		t.Fatal(err)
	}
	g := newGen(e.world, e.seed, r)
	var ops []op
	for range e.ticks {
		err := g.tick(func(o op) error {
			ops = append(ops, o)
			return r.play(o)
		})
		if err != nil {
			e.fail(t, ops, r.ticks, err)
		}
	}
	return len(ops)
}

func (e episode) fail(t testing.TB, ops []op, tick int, err error) {
	t.Helper()
	vs, short := shrink(e.world.cfg, e.vs, ops, *flagShrink)
	_, last := failure(e.world.cfg, vs, short)
	t.Fatalf("world %q, seed %d, tick %d, after %d operations: %v\n\nshortest sequence found, %d operations (%v): %v\n%s",
		e.world.name, e.seed, tick, len(ops), err, len(short), vs, last, source(e.world.cfg, vs[len(vs)-1], short))
}

func TestRandomOperationsEqualBruteForceEveryTick(t *testing.T) {
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			seeds, ticks := uint64(4), 60
			switch {
			case raced:
				seeds, ticks = 1, 25
			case testing.Short():
				seeds = 2
			}
			for seed := range seeds {
				episode{w, 1000 + seed, ticks, variants(1, 3)}.run(t)
			}
		})
	}
}

// The order of the events is compared too, in worlds large enough to be shared
// among goroutines.
func TestEveryKernelAndNumberOfWorkersReportsTheSame(t *testing.T) {
	entries, ticks := 2000, 20
	if testing.Short() || raced {
		entries, ticks = 600, 12
	}
	for _, w := range []world{
		{name: "large", size: 600, step: 3, radius: 60},
		{name: "large and crowded", size: 60, step: 3, radius: 20, opts: capped(20)},
		{name: "large and motley", size: 400, step: 3, radius: 50, place: inTown, opts: anything, radii: anyRadii},
	} {
		t.Run(w.name, func(t *testing.T) {
			n, ticks := entries, ticks
			if w.opts != nil { // dearer
				n, ticks = n/2, ticks/2
			}
			w.cfg.MaxEntries, w.entries, w.perTick = n+n/2, n, 2*n
			episode{w, 5, ticks, variants(1, 2, 3, 7)}.run(t)
		})
	}
}

// episodeOf draws what else there is to an episode from its seed, so that the
// seed and the world alone bring it back.
func episodeOf(w world, seed uint64, limit int) episode {
	rnd := rand.New(rand.NewPCG(seed, 2))
	kernels := Kernels()
	vs := append(variants(1), variant{kernels[rnd.IntN(len(kernels))], []int{2, 3, 7}[rnd.IntN(3)]})
	ticks := []int{40, 40, 150, 400}[rnd.IntN(4)]
	if rnd.IntN(60) == 0 && limit >= 1_000_000 {
		ticks = 5000
	}
	if rnd.IntN(4) == 0 && w.cfg.CellSize == 0 { // steers speed only
		w.cfg.CellSize = w.radius * []float32{0.03, 0.3, 1, 3, 30}[rnd.IntN(5)]
	}
	return episode{w, seed, ticks, vs}
}
