package aoi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNearestBoundKeepsTheNearest(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100, LeaveRadius: 110, Nearest: 2})
	a := r.add(10, 0, Opts{})
	r.expect(nil, []Pair{{eye, a}})
	b := r.add(20, 0, Opts{})
	c := r.add(21, 0, Opts{})
	r.expect(nil, []Pair{{eye, b}})
	r.move(c, 19, 0) // 361, more than 0.8125 · 400 = 325
	r.expect(nil, nil)
	r.move(c, 18, 0) // 324
	r.expect([]Pair{{eye, b}}, []Pair{{eye, c}})
	r.move(c, 19.9, 0)
	r.expect(nil, nil)
	r.move(b, 18, 0)
	r.expect(nil, nil) // 324 against 321.75 now
	r.remove(a)
	r.expect([]Pair{{eye, a}}, []Pair{{eye, b}})
	d := r.add(90, 0, Opts{})
	r.hide(c, true)
	r.expect([]Pair{{eye, c}}, []Pair{{eye, d}})
	r.hide(c, false)
	r.expect([]Pair{{eye, d}}, []Pair{{eye, c}})
	r.nearest(eye, 3)
	r.expect(nil, []Pair{{eye, d}})
	r.move(d, 105, 0) // between the radii: it stays
	r.expect(nil, nil)
	r.nearest(eye, 1)
	r.expect([]Pair{{eye, c}, {eye, d}}, nil)
	r.nearest(eye, 0)
	r.expect(nil, []Pair{{eye, c}}) // d is new, and too far for that
}

func TestNearestBoundDecidesEqualDistancesByHandle(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100, Nearest: 3})
	var ring []Handle
	for _, p := range [][2]float32{{3, 4}, {-3, 4}, {4, 3}, {0, 5}, {5, 0}, {-4, -3}} {
		ring = append(ring, r.add(p[0], p[1], Opts{}))
	}
	r.expect(nil, []Pair{{eye, ring[0]}, {eye, ring[1]}, {eye, ring[2]}})
	r.move(ring[0], 0, -5)
	r.expect(nil, nil)
	r.remove(ring[1])
	r.expect([]Pair{{eye, ring[1]}}, []Pair{{eye, ring[3]}})
	r.move(ring[0], 13, 0) // 169 · 0.8125 = 137.3, as far as nothing else
	r.expect([]Pair{{eye, ring[0]}}, []Pair{{eye, ring[4]}})
}

// Keys of a seen and of a new target can be equal too: 0.8125 · 16 = 13 = 3² + 2².
func TestSeenAndNewTargetsOfEqualKeysAreDecidedByHandle(t *testing.T) {
	for _, swap := range []bool{false, true} {
		r := newScript(t, Config{})
		eye := r.add(0, 0, Opts{Radius: 100, Nearest: 1, Hidden: true})
		a := r.add(50, 0, Opts{})
		b := r.add(50, 0, Opts{})
		if swap {
			a, b = b, a
		}
		r.move(a, 4, 0)
		r.expect(nil, []Pair{{eye, a}})
		r.move(b, 3, 2)
		if a < b {
			r.expect(nil, nil)
		} else {
			r.expect([]Pair{{eye, a}}, []Pair{{eye, b}})
		}
	}
}

func TestJitterAroundTheLastPlaceMakesNoEvents(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100, Nearest: 10})
	var hs []Handle
	for i := range 20 {
		hs = append(hs, r.add(float32(40+i%2), float32(i), Opts{}))
	}
	r.tick()
	rnd := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		for i, h := range hs {
			a := float64(i) * math.Pi / 10
			d := 40 + rnd.Float64()*3 // 43² · 0.8125 < 40²
			r.move(h, float32(d*math.Cos(a)), float32(d*math.Sin(a)))
		}
		if ev := r.tick(); len(ev.Leaves)+len(ev.Enters) > 0 && r.ticks > 2 {
			t.Fatalf("tick %d: %v", r.ticks, ev)
		}
	}
	n := 0
	r.spaces[0].Visible(eye, func(Handle) bool { n++; return true })
	if n != 10 {
		t.Errorf("%d visible", n)
	}
}

// In a milling crowd the bound without its bonus would change sets without end.
func TestMillingCrowdHasLittleChurn(t *testing.T) {
	n, ticks := 400, 60
	if testing.Short() || raced {
		n, ticks = 150, 20
	}
	k := n / 4
	rnd := rand.New(rand.NewPCG(8, 8))
	s := must[*Space](t)(New(Config{}))
	at := make([][2]float32, n)
	for i := range at {
		a, d := rnd.Float64()*2*math.Pi, 25*math.Sqrt(rnd.Float64())
		at[i] = [2]float32{float32(d * math.Cos(a)), float32(d * math.Sin(a))}
		must[Handle](t)(s.Add(at[i][0], at[i][1], Opts{Radius: 60, Nearest: k}))
	}
	plain := make([][]bool, n) // what the nearest k without a bonus would be
	sticky, churn := 0, 0
	for tick := range ticks {
		ev := s.Tick()
		changes := nearestChanges(plain, at, k)
		for h := range at {
			sees := 0
			s.Visible(Handle(h), func(Handle) bool { sees++; return true })
			if sees != k {
				t.Fatalf("tick %d: %d sees %d, want %d", tick, h, sees, k)
			}
		}
		if tick > 0 {
			sticky += len(ev.Leaves) + len(ev.Enters)
			churn += changes
		}
		for i := range at {
			at[i][0] += rnd.Float32() - 0.5
			at[i][1] += rnd.Float32() - 0.5
			if err := s.Move(Handle(i), at[i][0], at[i][1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d events in %d ticks, %d without the bonus", sticky, ticks-1, churn)
	if sticky*4 > churn {
		t.Errorf("%d events, more than a quarter of the %d without the bonus", sticky, churn)
	}
}

// nearestChanges brings the sets of the nearest k up to date, and counts what changed.
func nearestChanges(sets [][]bool, at [][2]float32, k int) (changes int) {
	for h := range at {
		var all []contender
		for i, p := range at {
			if i != h {
				all = append(all, contender{square(at[h][0], at[h][1], p[0], p[1]), Handle(i)})
			}
		}
		slices.SortFunc(all, nearer)
		now := make([]bool, len(at))
		for _, c := range all[:k] {
			now[c.h] = true
		}
		for i := range now {
			if sets[h] != nil && now[i] != sets[h][i] {
				changes++
			}
		}
		sets[h] = now
	}
	return changes
}

// The bound holds from one to more than there are, in crowds larger than any block.
func TestEveryBoundInOneCrowd(t *testing.T) {
	r := newScript(t, Config{})
	rnd := rand.New(rand.NewPCG(6, 6))
	for i := range 150 {
		r.add(float32(rnd.IntN(12)), float32(rnd.IntN(12)), Opts{Radius: 9, LeaveRadius: 10, Nearest: i, Layers: 1 << (i % 3)})
	}
	ticks := 25
	if testing.Short() || raced {
		ticks = 10
	}
	for tick := range ticks {
		r.tick()
		for i, id := range r.live {
			h := Handle(r.ids[id])
			switch {
			case rnd.IntN(3) > 0:
				r.move(h, float32(rnd.IntN(12)), float32(rnd.IntN(12)))
			case tick%5 == 4:
				r.nearest(h, rnd.IntN(1+i))
			}
		}
	}
}

// The crowd leaves the view of its capped observers, by their steps or its own, and returns.
func TestCrowdThatLeapsAwayAndBack(t *testing.T) {
	r := newScript(t, Config{})
	var all []Handle
	for i := range 100 {
		all = append(all, r.add(float32(i%10), float32(i/10), Opts{Radius: 20, Nearest: 1 + i%40}))
	}
	r.tick()
	for i := range 10 {
		for j, h := range all {
			if j%10 == i || i%3 == 0 {
				r.move(h, float32(j%10+1000*(i%2)), float32(j/10))
			}
		}
		r.tick()
	}
}

// Where many stand close, a capped observer needs to look at little; when they
// have gone it must look as far as its radius again.
func TestCappedObserverLooksFarAgainWhenTheCrowdHasGone(t *testing.T) {
	for _, far := range []float32{0, 1, 40, 900} { // where it goes meanwhile
		r := newScript(t, Config{})
		eye := r.add(0, 0, Opts{Radius: 4000, Nearest: 2})
		var crowd []Handle
		for i := range 14 {
			crowd = append(crowd, r.add(float32(i), 0, Opts{}))
		}
		c := r.add(3000, 0, Opts{Layers: 2})
		for i := range 100 { // a town, for small cells
			r.add(float32(i%20)*50, float32(5000+i), Opts{})
		}
		for range 5 {
			r.tick()
			r.move(crowd[13], 13, 1) // somebody stirs
		}
		for _, h := range crowd {
			r.remove(h)
		}
		r.move(eye, far, -far)
		r.mask(eye, 2)
		r.expect([]Pair{{eye, crowd[0]}, {eye, crowd[1]}}, []Pair{{eye, c}})
		r.move(c, 3000, 1)
		r.expect(nil, nil)
	}
}
