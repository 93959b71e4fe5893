// Package balance chooses which instance takes a call, how many retries a client may afford, and which instance gets a rest.
//
// The pickers P2C, Rendezvous and Direct are functions of the candidates handed in and a Source: they keep nothing, allocate nothing, and may be called from any goroutine, as may
// the methods of Source, Budget and Outlier. Nothing here runs, so nothing has to be stopped.
package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Candidate is an instance that may take a call. Its methods are called for every pick and must be cheap.
type Candidate interface {
	ID() string
	// InFlight is the number of calls that it has not answered yet.
	InFlight() int
	// Latency is a moving average of its answers; 0 if it is unknown.
	Latency() time.Duration
	// Weight is its share of the load compared to the others; below 1 counts as 1.
	Weight() int
}

// Source is a stream of random numbers that goroutines share without a lock: splitmix64 (Steele, Lea, Flood, 2014), whose state is a counter. The zero value is the source
// of seed 0. It is a rand.Source of math/rand/v2, and none for secrets.
type Source struct{ state atomic.Uint64 }

// NewSource makes one that always tells the same numbers for the same seed.
func NewSource(seed uint64) *Source {
	s := &Source{}
	s.state.Store(seed)
	return s
}

// Uint64 is the next number.
func (s *Source) Uint64() uint64 { return mix(s.state.Add(0x9e3779b97f4a7c15)) }

// mix is splitmix64's finalizer: every bit of x decides about half of the bits of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below turns a number into one of 0 … n-1. The low half of x is not used. For n below 2^16, one choice is likelier than another by less than one in 2^16.
func below(x uint64, n int) int { return int((x >> 32) * uint64(n) >> 32) }

const (
	// Floor is added to every latency: differences well below it are noise, and among such candidates the calls in flight decide.
	Floor = time.Millisecond
	// explore is how many picks of P2C, on average, hold one that takes its first choice without a comparison. Without it, a candidate that was slow once and sees no calls
	// since would never get the chance to prove that it is fast again.
	explore = 64
)

// P2C picks the less loaded of two candidates drawn at random (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001). The load is
//
//	(latency + Floor) × (calls in flight + 1) / weight
//
// where a candidate of unknown latency counts as being as fast as the other. Weights therefore share out calls that run at the same time; a lone caller goes to the heavier of the
// two. ready, if not nil, says who may be drawn. ok is false when there is nobody.
func P2C[C Candidate](candidates []C, ready func(C) bool, s *Source) (picked C, ok bool) {
	first := draw(candidates, ready, s, -1)
	if first < 0 {
		return picked, false
	}
	if len(candidates) == 1 || s.Uint64()%explore == 0 {
		return candidates[first], true
	}
	second := draw(candidates, ready, s, first)
	if second < 0 || !lighter(candidates[second], candidates[first]) {
		return candidates[first], true
	}
	return candidates[second], true
}

// draw chooses evenly among those who are ready, but for the candidate at index not; -1 if there is none.
func draw[C Candidate](candidates []C, ready func(C) bool, s *Source, not int) int {
	n := len(candidates)
	if n == 0 {
		return -1
	}
	for range 4 { // nearly always somebody is found at once
		i := below(s.Uint64(), n)
		if i != not && (ready == nil || ready(candidates[i])) {
			return i
		}
	}
	// Else count, and keep each with the chance that makes all equal (reservoir sampling): readiness may change between two looks, so there is only one.
	found, chosen := 0, -1
	for i, c := range candidates {
		if i == not || ready != nil && !ready(c) {
			continue
		}
		found++
		if below(s.Uint64(), found) == 0 {
			chosen = i
		}
	}
	return chosen
}

// lighter reports whether a has less load than b.
func lighter[C Candidate](a, b C) bool {
	la, lb := a.Latency(), b.Latency()
	if la <= 0 {
		la = lb
	}
	if lb <= 0 {
		lb = la
	}
	// In floating point, since a slow, busy and heavy one would overflow.
	loadA := float64(max(la, 0)+Floor) * float64(max(a.InFlight(), 0)+1) * float64(weight(b))
	loadB := float64(max(lb, 0)+Floor) * float64(max(b.InFlight(), 0)+1) * float64(weight(a))
	return loadA < loadB
}

func weight(c interface{ Weight() int }) int { return max(c.Weight(), 1) }

// Rendezvous picks the same candidate for the same key wherever it is called, as long as the same candidates are ready: highest random weight (Thaler, Ravishankar, 1998), with
// weights as Schindelhauer and Schomaker (2005) put them in. When a candidate comes, goes or changes its weight, only keys to or from that one move. The order of the
// candidates does not matter. ready, if not nil, says who may be picked; ok is false when there is nobody.
func Rendezvous[C Candidate](key string, candidates []C, ready func(C) bool) (picked C, ok bool) {
	seed := hash(key)
	var best, bestWeight float64
	for _, c := range candidates {
		if ready != nil && !ready(c) {
			continue
		}
		// Evenly spread over (0, 1); the logarithm below needs it to be neither.
		u := (float64(mix(seed+mix(hash(c.ID())))>>11) + 0.5) / (1 << 53)
		w := float64(weight(c))
		var wins bool
		switch {
		case !ok:
			wins = true
		case w == bestWeight && u == best:
			wins = c.ID() < picked.ID()
		case w == bestWeight: // nearly always, and the logarithm changes nothing
			wins = u > best
		default:
			wins = w/-math.Log(u) > bestWeight/-math.Log(best)
		}
		if wins {
			picked, best, bestWeight, ok = c, u, w, true
		}
	}
	return picked, ok
}

// hash is FNV-1a with a finalizer. It must never change: processes of two versions have to agree.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// Direct finds the candidate of this id. ok is false when it is missing or, with ready not nil, not ready.
func Direct[C Candidate](id string, candidates []C, ready func(C) bool) (picked C, ok bool) {
	for _, c := range candidates {
		if c.ID() == id {
			if ready != nil && !ready(c) {
				break
			}
			return c, true
		}
	}
	return picked, false
}
