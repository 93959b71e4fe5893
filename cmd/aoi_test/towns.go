package main

import (
	"math"
	"math/rand/v2"
)

// settled are people of towns: most wander about theirs, a few are on their way to another.
type settled struct {
	*world
	chance *rand.Rand
	towns  []spot // radius: standard deviation of the places of its people
	at     []int  // town that an entity belongs to, or travels to
	toX    []float32
	toZ    []float32
	speed  []float32 // units per tick
}

// newTowns makes forty towns whose sizes follow Zipf's law (the k-th has 1/k of the first one's people), the larger the denser.
func newTowns(p plan) *world {
	const (
		towns     = 40
		travelled = 25 // one in so many travels
		gallop    = 4 * pace
	)
	n := p.entities
	s := &settled{world: newWorld(n, 2*roomy(n)), chance: p.chance(5), at: make([]int, n), toX: make([]float32, n), toZ: make([]float32, n), speed: make([]float32, n)}
	harmonic := 0.0
	for k := range towns {
		harmonic += 1 / float64(k+1)
	}
	for k := range towns {
		s.found(float64(n) / harmonic / float64(k+1))
	}
	last, before := 0, 0.0 // people of the towns so far
	for k := range towns {
		before += float64(n) / harmonic / float64(k+1)
		first := last
		last = min(int(math.Round(before)), n)
		for i := first; i < last; i++ {
			s.at[i], s.speed[i] = k, pace
			s.x[i], s.z[i] = s.place(k)
			s.toX[i], s.toZ[i] = s.place(k)
			if i%travelled == 0 {
				s.speed[i] = gallop
				s.depart(i)
				along := s.chance.Float32()
				s.x[i] += along * (s.toX[i] - s.x[i])
				s.z[i] += along * (s.toZ[i] - s.z[i])
			}
		}
	}
	s.dots = s.towns
	s.step = s.live
	return s.world
}

// found puts a town of so many people where it is far from the others, as far as a few tries find such a place.
func (s *settled) found(people float64) {
	spread := float32(12 * math.Pow(people, 0.25))
	edge := min(2.5*spread, s.side/2)
	best, most := spot{}, float32(-1)
	for range 12 {
		t := spot{edge + s.chance.Float32()*(s.side-2*edge), edge + s.chance.Float32()*(s.side-2*edge), spread}
		free := s.side
		for _, other := range s.towns {
			away := float32(math.Hypot(float64(t.x-other.x), float64(t.z-other.z)))
			free = min(free, away-2.5*(t.radius+other.radius))
		}
		if free > most || most < 0 {
			best, most = t, max(free, 0)
		}
	}
	s.towns = append(s.towns, best)
}

// place is somewhere in a town, normally distributed.
func (s *settled) place(town int) (x, z float32) {
	t := s.towns[town]
	return within(t.x+t.radius*float32(s.chance.NormFloat64()), s.side), within(t.z+t.radius*float32(s.chance.NormFloat64()), s.side)
}

// depart sends a traveller to any town.
func (s *settled) depart(i int) {
	s.at[i] = s.chance.IntN(len(s.towns))
	s.toX[i], s.toZ[i] = s.place(s.at[i])
}

func (s *settled) live() {
	for i := range s.x {
		dx, dz := s.toX[i]-s.x[i], s.toZ[i]-s.z[i]
		left := float32(math.Sqrt(float64(dx*dx + dz*dz)))
		if left <= s.speed[i] {
			s.x[i], s.z[i] = s.toX[i], s.toZ[i]
			if s.speed[i] > pace {
				s.depart(i)
			} else {
				s.toX[i], s.toZ[i] = s.place(s.at[i])
			}
			continue
		}
		s.x[i] = within(s.x[i]+dx*s.speed[i]/left, s.side)
		s.z[i] = within(s.z[i]+dz*s.speed[i]/left, s.side)
	}
}
