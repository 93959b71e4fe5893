package aoi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCornersOfTheWorld(t *testing.T) {
	for _, cfg := range []Config{{}, {MinX: -1e18, MinZ: -1e18, MaxX: 1e18, MaxZ: 1e18}, {MaxX: 1e-30, MaxZ: 1e-30}, {MaxX: 1e-44, MaxZ: 1e-44}, {MinX: 5, MaxX: 6, MinZ: -1, MaxZ: 1e9}} {
		r := newScript(t, cfg)
		b := r.bounds
		span := max(b[2]-b[0], b[3]-b[1])
		for _, radius := range []float32{0, 1e-38, span / 1000, span, span * 2, math.MaxFloat32 / 2, math.MaxFloat32} {
			for _, x := range []float32{b[0], b[2]} {
				for _, z := range []float32{b[1], b[3]} {
					r.add(x, z, Opts{Radius: radius})
				}
			}
		}
		for range 3 {
			r.tick()
			for _, q := range [][3]float32{{b[0], b[3], span}, {b[2], b[1], 0}, {0, 0, float32(math.Inf(1))}, {math.MaxFloat32, 0, 1}, {b[0], b[1], math.MaxFloat32}} {
				r.do(op{kind: opWithin, x: q[0], z: q[1], a: q[2], zero: true})
				r.do(op{kind: opNearestTo, x: q[0], z: q[1], a: q[2], n: 9, zero: true})
				r.do(op{kind: opBox, x: q[0], z: q[1], a: q[2], b: q[2], zero: true})
			}
			for _, id := range r.live[:8] {
				r.move(Handle(r.ids[id]), b[2], b[1])
			}
		}
	}
}

func TestSpectatorSeesThousands(t *testing.T) {
	const n = 4096
	for _, k := range Kernels() {
		s := must[*Space](t)(New(Config{Kernel: k}))
		eye := must[Handle](t)(s.Add(0, 0, Opts{Hidden: true, Radius: 1e5}))
		for i := range n {
			must[Handle](t)(s.Add(float32(i), float32(i%7), Opts{}))
		}
		sees := 0
		for _, m := range []int{n, n / 2, 17, 16, 3, n / 3, 1, n} {
			radius := float32(m) - 0.5
			if err := s.SetRadius(eye, radius, radius); err != nil {
				t.Fatal(err)
			}
			want := 0
			for i := range n {
				if square(0, 0, float32(i), float32(i%7)) <= radius*radius {
					want++
				}
			}
			ev := s.Tick()
			if len(ev.Enters) != max(want-sees, 0) || len(ev.Leaves) != max(sees-want, 0) {
				t.Fatalf("%v: radius %v: %d enter, %d leave, from %d to %d", k, radius, len(ev.Enters), len(ev.Leaves), sees, want)
			}
			sees = want
			seen := map[Handle]bool{}
			s.Visible(eye, func(h Handle) bool { seen[h] = true; return true })
			if len(seen) != want {
				t.Fatalf("%v: sees %d, want %d", k, len(seen), want)
			}
		}
		if err := s.Remove(eye); err != nil {
			t.Fatal(err)
		}
		if ev := s.Tick(); len(ev.Leaves)+len(ev.Enters) != 0 {
			t.Fatal("a removed spectator reported events")
		}
	}
}

func TestIdleTickReportsNothing(t *testing.T) {
	r := newScript(t, Config{})
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(1, 0, Opts{Radius: 10})
	r.tick()
	for range 3 {
		r.expect(nil, nil)
		r.move(b, 1, 0)
		r.expect(nil, nil)
		if !r.spaces[0].Sees(a, b) {
			t.Fatal("out of sight")
		}
	}
}

// Targets come one by one to where an observer rests, until they fill many
// blocks, and go again in another order.
func TestRestingObserverSeesWhateverComesAndGoes(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100})
	var there []Handle
	for i := range 100 {
		h := r.add(float32(i%10), float32(i/10), Opts{})
		there = append(there, h)
		r.expect(nil, []Pair{{eye, h}})
	}
	for i := range there {
		h := there[i*37%len(there)]
		if i%3 == 0 {
			r.move(h, 5000, 0)
		} else {
			r.remove(h)
		}
		r.expect([]Pair{{eye, h}}, nil)
	}
	r.expect(nil, nil)
}

// An observer walks out of the place where it began, far, in small steps, and comes back in one.
func TestObserverWalksFar(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(-2000, 3, Opts{Radius: 50, Hidden: true})
	for i := range 100 {
		r.add(float32(40*i-2000), float32(i%5), Opts{})
	}
	for i := range 450 {
		r.move(eye, float32(9*i-2000), 3)
		r.tick()
	}
	r.move(eye, -2000, 3)
	r.tick()
	r.move(eye, 2000, 3)
	r.tick()
}

// What a space has kept of one tick must not outlive counters of whatever width.
func TestLongLifeOfASmallSpace(t *testing.T) {
	ticks := 70_000 // more than 16 bits count
	if testing.Short() || raced {
		ticks = 3_000
	}
	r, err := newRig(Config{MaxEntries: 24}, variants(1))
	if err != nil {
		t.Fatal(err)
	}
	w := world{name: "long", size: 30, step: 1, radius: 10, entries: 20, perTick: 4}
	g := newGen(w, 77, r)
	for range ticks {
		if err := g.tick(r.play); err != nil {
			t.Fatalf("tick %d: %v", r.ticks, err)
		}
	}
}

// More entries than 16 bits number, few of them observers, one of which sees all.
func TestFewObserversOfALargeWorldEqualBruteForce(t *testing.T) {
	n, ticks := 150_000, 6
	if testing.Short() || raced {
		n, ticks = 8_000, 4
	}
	const side = 4000
	rnd := rand.New(rand.NewPCG(21, 1))
	for _, v := range []variant{{Auto, 1}, {Auto, 2}, {Portable, 3}} {
		s := must[*Space](t)(New(v.of(Config{})))
		at := make([][2]float32, n)
		radii, saw := map[Handle]float32{}, map[Handle][]bool{}
		for i := range n {
			at[i] = [2]float32{rnd.Float32() * side, rnd.Float32() * side}
			if i%7 == 0 {
				at[i] = [2]float32{float32(rnd.NormFloat64()*30) + side/2, float32(rnd.NormFloat64() * 30)}
			}
			o := Opts{}
			if i%(n/24) == 5 {
				o.Radius, o.LeaveRadius = []float32{20, 100, 1000, 1e5}[len(radii)%4], 2e5
			}
			h := must[Handle](t)(s.Add(at[i][0], at[i][1], o))
			if int(h) != i {
				t.Fatalf("entry %d has handle %d", i, h)
			}
			if o.Radius > 0 {
				o.LeaveRadius = o.Radius * 1.2
				if err := s.SetRadius(h, o.Radius, o.LeaveRadius); err != nil {
					t.Fatal(err)
				}
				radii[h], saw[h] = o.Radius, make([]bool, n)
			}
		}
		for tick := range ticks {
			want := 0
			for h, enter := range radii {
				leave := enter * 1.2
				for i, p := range at {
					d2 := square(at[h][0], at[h][1], p[0], p[1])
					now := Handle(i) != h && (d2 <= enter*enter || saw[h][i] && d2 <= leave*leave)
					if now != saw[h][i] {
						want++
					}
					saw[h][i] = now
				}
			}
			ev := s.Tick()
			for _, p := range ev.Leaves {
				if saw[p.Observer][p.Target] {
					t.Fatalf("%v: tick %d: %v left", v, tick, p)
				}
			}
			for _, p := range ev.Enters {
				if !saw[p.Observer][p.Target] {
					t.Fatalf("%v: tick %d: %v entered", v, tick, p)
				}
			}
			if got := len(ev.Leaves) + len(ev.Enters); got != want || twice(ev) {
				t.Fatalf("%v: tick %d: %d events, want %d, none twice", v, tick, got, want)
			}
			for range n / 3 {
				i := rnd.IntN(n)
				at[i][0] += rnd.Float32()*20 - 10
				at[i][1] += rnd.Float32()*20 - 10
				if err := s.Move(Handle(i), at[i][0], at[i][1]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func twice(ev Events) bool {
	seen := map[Pair]bool{}
	for _, p := range slices.Concat(ev.Leaves, ev.Enters) {
		if seen[p] {
			return true
		}
		seen[p] = true
	}
	return false
}
