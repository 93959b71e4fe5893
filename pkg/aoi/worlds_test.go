package aoi

import (
	"math"
	"math/rand/v2"
)

// world is a setting for random operations.
type world struct {
	name             string
	cfg              Config
	size             float32 // entries live in ±size; 0: in the bounds
	step, radius     float32 // typical
	integer          bool
	entries, perTick int

	place func(*gen) (x, z float32)               // nil: anywhere
	drift func(*gen, *twinEntry) (dx, dz float32) // nil: any way
	radii func(g *gen) (enter, leave float32)     // nil: mostly typical
	opts  func(g *gen, o *op)                     // what else an entry is
}

var worlds = []world{
	{name: "metres", size: 200, step: 1, radius: 30, entries: 120, perTick: 60},
	{name: "quanta", size: 1 << 24, step: 1 << 16, radius: 1 << 22, integer: true, entries: 100, perTick: 60},
	{name: "crowd", cfg: Config{MinX: -20, MinZ: -20, MaxX: 20, MaxZ: 20}, step: 0.5, radius: 15, entries: 80, perTick: 40},
	{name: "sparse", size: 1 << 20, step: 500, radius: 50000, entries: 120, perTick: 60},
	{name: "far away", cfg: Config{MinX: 1e6, MinZ: -3, MaxX: 1e6 + 50, MaxZ: 3}, step: 0.5, radius: 3, entries: 100, perTick: 50},
	{name: "fine cells", cfg: Config{CellSize: 0.01}, size: 100, step: 2, radius: 20, entries: 100, perTick: 50},
	{name: "one cell", cfg: Config{CellSize: 1e6}, size: 100, step: 2, radius: 20, entries: 150, perTick: 50},
	{name: "lattice", cfg: Config{MinX: -8, MinZ: -8, MaxX: 8, MaxZ: 8}, step: 1, radius: 3, integer: true, entries: 90, perTick: 60},
	{name: "edges", size: 60, step: 1, radius: 25, integer: true, entries: 120, perTick: 50, radii: pythagorean, place: byTwelve},
	{name: "towns", size: 1000, step: 1, radius: 40, entries: 150, perTick: 60, place: inTown},
	{name: "hotspot", size: 500, step: 12, radius: 30, entries: 150, perTick: 90, drift: ebbAndFlow},
	{name: "vast", step: 40, radius: 100, entries: 150, perTick: 50, place: inOutpost},
	{name: "point", size: 0.001, step: 0.0001, radius: 1, entries: 100, perTick: 50, place: onPoint, drift: onThePoint},
	{name: "line", cfg: Config{MinX: -300, MinZ: 7, MaxX: 300, MaxZ: 8}, step: 1, radius: 20, entries: 120, perTick: 50},
	{name: "mixed radii", size: 300, step: 1, radius: 30, entries: 110, perTick: 50, radii: anyRadii},
	{name: "spectators", size: 300, step: 2, radius: 100, entries: 150, perTick: 60, opts: spectator},
	{name: "layers", size: 100, step: 1, radius: 40, entries: 110, perTick: 60, opts: layered},
	{name: "nearest 1", size: 60, step: 1, radius: 40, entries: 100, perTick: 60, opts: capped(1)},
	{name: "nearest 3", size: 8, step: 1, radius: 6, integer: true, entries: 100, perTick: 60, opts: capped(3)},
	{name: "nearest 10", size: 40, step: 0.5, radius: 40, entries: 120, perTick: 60, opts: capped(10)},
	{name: "nearest 100", size: 20, step: 1, radius: 60, entries: 160, perTick: 60, opts: capped(100)},
	{name: "nearest, spread", size: 2000, step: 5, radius: 3000, entries: 150, perTick: 60, place: inTown, opts: capped(2)},
	{name: "everything", size: 150, step: 1, radius: 50, entries: 150, perTick: 70, radii: anyRadii, place: inTown, opts: anything},
	{name: "full", cfg: Config{MaxEntries: 40}, size: 30, step: 1, radius: 15, entries: 60, perTick: 40, opts: anything},
	{name: "immense", cfg: Config{MinX: -1e18, MinZ: -1e18, MaxX: 1e18, MaxZ: 1e18}, step: 1e15, radius: 1e17, entries: 90, perTick: 50, radii: anyRadii},
	{name: "minute", cfg: Config{MaxX: 1e-30, MaxZ: 1e-30}, step: 1e-32, radius: 1e-31, entries: 60, perTick: 40, radii: anyRadii},
}

// pythagorean radii are hit exactly by differences such as (15, 20) and (7, 24).
func pythagorean(g *gen) (enter, leave float32) {
	r := []float32{0, 5, 10, 13, 25, 25, 50, 65}
	i := g.rnd.IntN(len(r))
	return r[i], r[min(i+g.rnd.IntN(2), len(r)-1)] * min(r[i], 1)
}

func byTwelve(g *gen) (x, z float32) {
	return float32(g.rnd.IntN(11)-5) * 12, float32(g.rnd.IntN(11)-5) * 5
}

func inTown(g *gen) (x, z float32) {
	town := g.rnd.IntN(6)
	spread := float64(g.size) / 20
	return float32(float64(town*town)/36*float64(g.size) + g.rnd.NormFloat64()*spread), float32(g.rnd.NormFloat64() * spread)
}

// inOutpost is near one of few points of a world far too large for its people.
func inOutpost(g *gen) (x, z float32) {
	at := func() float32 { return float32([]int{-1 << 24, 1 << 24, 0, 1 << 20, -12345678}[g.rnd.IntN(5)]) }
	return at() + float32(g.rnd.NormFloat64()*60), at() + float32(g.rnd.NormFloat64()*60)
}

func onPoint(*gen) (x, z float32) { return 0, 0 }

func onThePoint(g *gen, e *twinEntry) (dx, dz float32) {
	if e.x == 0 && g.rnd.IntN(4) == 0 {
		return g.step, 0
	}
	return -e.x, -e.z
}

// ebbAndFlow gathers everybody in the middle, and scatters them again.
func ebbAndFlow(g *gen, e *twinEntry) (dx, dz float32) {
	d := float32(math.Hypot(float64(e.x), float64(e.z))) + 1
	dx, dz = -e.x/d*g.step, -e.z/d*g.step
	if g.r.ticks/40%2 == 1 {
		dx, dz = -dx, -dz
	}
	return dx + g.spread(g.step/4), dz + g.spread(g.step/4)
}

// anyRadii go from next to nothing to more than the world.
func anyRadii(g *gen) (enter, leave float32) {
	if g.rnd.IntN(6) == 0 {
		return 0, 0
	}
	enter = g.radius * float32(math.Pow(10, g.rnd.Float64()*7-4))
	return enter, enter * []float32{1, 1.05, 1.1, 2, 50}[g.rnd.IntN(5)]
}

func spectator(g *gen, o *op) {
	if o.hidden = g.rnd.IntN(5) == 0; !o.hidden {
		o.a, o.b = 0, 0
	}
}

func layered(g *gen, o *op) {
	o.bits, o.mask = g.layers(), g.layers()
}

func capped(k int) func(*gen, *op) {
	return func(g *gen, o *op) {
		if o.n = k; k > 0 && g.rnd.IntN(10) == 0 {
			o.n = g.rnd.IntN(2 * k)
		}
	}
}

func anything(g *gen, o *op) {
	layered(g, o)
	capped([]int{0, 0, 1, 4, 20}[g.rnd.IntN(5)])(g, o)
}

// gen makes up the operations of one world.
type gen struct {
	world
	rnd  *rand.Rand
	r    *rig
	mood mood
	ids  int
	out  []op
}

// mood is what most entries do for some ticks.
type mood uint8

const (
	allSorts      mood = iota
	strolling          // everybody moves a little
	nearlyIdle         // one or two do, all others rest
	idle               // nobody does anything
	observersMove      // observers move, all else rests
	othersMove         // what observes nothing moves
	comeAndGo          // many come and go
	tuning             // settings change
	thereAndBack       // away and back within the tick
	leaping            // everybody teleports
	moods
)

func newGen(w world, seed uint64, r *rig) *gen {
	return &gen{world: w, rnd: rand.New(rand.NewPCG(seed, 1)), r: r}
}

func (g *gen) spread(d float32) float32 { return (g.rnd.Float32()*2 - 1) * d }

func (g *gen) layers() uint32 {
	if g.rnd.IntN(8) == 0 {
		return g.rnd.Uint32() // perhaps all bits, perhaps the highest
	}
	return 1 << g.rnd.IntN(4) & g.rnd.Uint32() // often 0
}

// inside keeps a position in the bounds, and whole where the world is.
func (g *gen) inside(x, z float32) (float32, float32) {
	if g.integer {
		x, z = float32(math.Trunc(float64(x))), float32(math.Trunc(float64(z)))
	}
	b := &g.r.bounds
	return min(max(x, b[0]), b[2]), min(max(z, b[1]), b[3])
}

func (g *gen) somewhere() (x, z float32) {
	if g.place != nil && g.rnd.IntN(20) > 0 {
		return g.inside(g.place(g))
	}
	b := g.r.bounds
	if g.size > 0 {
		b = [4]float32{-g.size, -g.size, g.size, g.size}
	}
	at := func(lo, hi float32) float32 {
		switch g.rnd.IntN(20) {
		case 0:
			return lo
		case 1:
			return hi
		}
		return lo + g.rnd.Float32()*(hi-lo)
	}
	return g.inside(at(b[0], b[2]), at(b[1], b[3]))
}

func (g *gen) reach() (enter, leave float32) {
	if g.radii != nil {
		enter, leave = g.radii(g)
	} else {
		switch g.rnd.IntN(10) {
		case 0, 1:
			return 0, 0
		case 2:
			enter = g.radius * 1e3 // the whole world
		case 3:
			enter = g.radius / 50
		default:
			enter = g.radius * (0.5 + g.rnd.Float32())
		}
		if g.integer {
			enter = float32(int(enter)) + 1
		}
		leave = enter * (1 + float32(g.rnd.IntN(3))*0.2)
	}
	return enter, max(enter, leave)
}
