package main

import (
	"math"
	"math/rand/v2"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// Every world measures lengths in the same unit: most observers see 50 of them far and lose a target at 55.
const (
	enterRadius = 50
	leaveRadius = 55
	crowding    = 50   // entities that one sees at enterRadius in the worlds of walkers
	pace        = 0.25 // units that a walker makes in a tick
)

// plan is what a world is made from. The same plan makes the same world, tick by tick.
type plan struct {
	entities int
	ticks    int // that it will be watched; a flash mob arranges its time by it
	seed     uint64
}

// chance of one purpose: worlds do not shift when another purpose draws more often.
func (p plan) chance(purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(p.seed, purpose)) }

// world is a square full of entities and the way in which they move. It knows nothing of who looks at them, so that everybody who is measured is shown the same.
type world struct {
	side float32 // positions are in [0, side]²
	x, z []float32
	opts []aoi.Opts
	step func() // moves everybody by a tick, without allocating
	dots []spot // places worth a name in a picture
}

// spot is a named place.
type spot struct {
	x, z, radius float32
}

// newWorld returns n observers with the usual radii, all at (0, 0) and at rest.
func newWorld(n int, side float32) *world {
	w := &world{side: side, x: make([]float32, n), z: make([]float32, n), opts: make([]aoi.Opts, n)}
	for i := range w.opts {
		w.opts[i] = aoi.Opts{Radius: enterRadius, LeaveRadius: leaveRadius}
	}
	return w
}

// observers counts them.
func (w *world) observers() (n int) {
	for i := range w.opts {
		if w.opts[i].Radius > 0 {
			n++
		}
	}
	return n
}

// roomy is the side of a square in which n entities have crowding others within enterRadius, its edges apart.
func roomy(n int) float32 {
	return float32(math.Sqrt(float64(n) * math.Pi * enterRadius * enterRadius / crowding))
}

// polar turns a direction and a length into a vector.
func polar(angle, length float64) (x, z float32) {
	return float32(length * math.Cos(angle)), float32(length * math.Sin(angle))
}

// inDisc returns a point of a disc, all equally likely.
func inDisc(chance *rand.Rand, x, z, radius float32) (float32, float32) {
	dx, dz := polar(chance.Float64()*2*math.Pi, float64(radius)*math.Sqrt(chance.Float64()))
	return x + dx, z + dz
}

// within holds v in [0, side].
func within(v, side float32) float32 { return min(max(v, 0), side) }

// walkers of a speed go straight on and turn at the edges of the world.
type walkers struct {
	*world
	vx, vz []float32
}

func newWalkers(p plan, speed float64) *walkers {
	w := &walkers{newWorld(p.entities, roomy(p.entities)), make([]float32, p.entities), make([]float32, p.entities)}
	chance := p.chance(1)
	for i := range w.x {
		w.x[i], w.z[i] = chance.Float32()*w.side, chance.Float32()*w.side
		w.vx[i], w.vz[i] = polar(chance.Float64()*2*math.Pi, speed)
	}
	w.step = w.walk
	return w
}

func (w *walkers) walk() {
	for i := range w.x {
		x, z := w.x[i]+w.vx[i], w.z[i]+w.vz[i]
		if x < 0 || x > w.side {
			w.vx[i], x = -w.vx[i], w.x[i]
		}
		if z < 0 || z > w.side {
			w.vz[i], z = -w.vz[i], w.z[i]
		}
		w.x[i], w.z[i] = x, z
	}
}

// teleporters walk, but one in a hundred stands somewhere else in each tick.
func newTeleporters(p plan) *world {
	w, chance := newWalkers(p, pace), p.chance(2)
	w.step = func() {
		w.walk()
		for range max(1, len(w.x)/100) {
			i := chance.IntN(len(w.x))
			w.x[i], w.z[i] = chance.Float32()*w.side, chance.Float32()*w.side
		}
	}
	return w.world
}

// newMixedRadii makes walkers who see between 10 and 200 far, log-uniformly, and some who see 500.
func newMixedRadii(p plan) *world {
	w, chance := newWalkers(p, pace), p.chance(3)
	for i := range w.opts {
		radius := float32(10 * math.Pow(20, chance.Float64()))
		if i%500 == 250 {
			radius = 500
		}
		w.opts[i] = aoi.Opts{Radius: radius, LeaveRadius: 1.1 * radius}
	}
	return w.world
}

// newMillion makes walkers of whom one in a hundred looks.
func newMillion(p plan) *world {
	w := newWalkers(p, pace)
	for i := range w.opts {
		if i%100 != 0 {
			w.opts[i] = aoi.Opts{}
		}
	}
	return w.world
}

// newCrowd makes a crowd that stands in a disc of half the enter radius, all in view of each other, and strolls. Each sees its hundred nearest.
func newCrowd(p plan) *world {
	const radius, nearest = enterRadius / 2, 100
	w, chance := newWorld(p.entities, 20*enterRadius), p.chance(4)
	s := newStroll(w, radius)
	w.dots = []spot{{w.side / 2, w.side / 2, radius}}
	for i := range w.x {
		w.opts[i].Nearest = nearest
		w.x[i], w.z[i] = inDisc(chance, w.side/2, w.side/2, radius)
		s.turn(i, chance)
	}
	w.step = func() {
		for i := range w.x {
			s.stroll(i, chance)
		}
	}
	return w
}

// stroll is to walk about in a disc in the middle of the world, in a new direction now and then.
type stroll struct {
	*world
	radius float32
	vx, vz []float32
}

func newStroll(w *world, radius float32) *stroll {
	return &stroll{w, radius, make([]float32, len(w.x)), make([]float32, len(w.x))}
}

func (s *stroll) turn(i int, chance *rand.Rand) {
	s.vx[i], s.vz[i] = polar(chance.Float64()*2*math.Pi, pace)
}

func (s *stroll) stroll(i int, chance *rand.Rand) {
	const patience = 20 // ticks in one direction, in the mean
	if chance.IntN(patience) == 0 {
		s.turn(i, chance)
	}
	x, z := s.x[i]+s.vx[i], s.z[i]+s.vz[i]
	if dx, dz := x-s.side/2, z-s.side/2; dx*dx+dz*dz > s.radius*s.radius {
		s.turn(i, chance) // it waits a tick at the edge
		return
	}
	s.x[i], s.z[i] = x, z
}
