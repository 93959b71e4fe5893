package aoi

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestConfigContradictionsAreRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]Config{
		"empty":         {MinX: 1, MaxX: 1, MaxZ: 1},
		"inverted":      {MinX: 0, MaxX: 5, MinZ: 5, MaxZ: 0},
		"nan":           {MinX: nan, MaxX: 1, MaxZ: 1},
		"infinite":      {MaxX: inf, MaxZ: 1},
		"too far":       {MaxX: 2e18, MaxZ: 1},
		"cell nan":      {CellSize: nan},
		"cell negative": {CellSize: -1},
		"cell infinite": {CellSize: inf},
		"many entries":  {MaxEntries: MaxEntries + 1},
		"minus entries": {MaxEntries: -1},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadInputIsRefusedAndNotStored(t *testing.T) {
	s := must[*Space](t)(New(Config{MinX: -10, MinZ: -20, MaxX: 10, MaxZ: 20, MaxEntries: 2}))
	h := must[Handle](t)(s.Add(1, 2, Opts{Radius: 5}))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, p := range [][2]float32{{nan, 0}, {0, nan}, {inf, 0}, {0, -inf}, {10.001, 0}, {0, -20.001}} {
		err := s.Move(h, p[0], p[1])
		if !errors.Is(err, ErrPosition) || !strings.Contains(err.Error(), "entry 0") || !strings.Contains(err.Error(), "[-10, 10] x [-20, 20]") {
			t.Errorf("move to %v: %v", p, err)
		}
		if _, err := s.Add(p[0], p[1], Opts{}); !errors.Is(err, ErrPosition) {
			t.Errorf("add at %v: %v", p, err)
		}
	}
	for _, r := range [][2]float32{{nan, 1}, {1, nan}, {-1, 1}, {5, 4}, {inf, inf}, {1, inf}, {0, 1}} {
		if err := s.SetRadius(h, r[0], r[1]); !errors.Is(err, ErrRadius) {
			t.Errorf("radii %v: %v", r, err)
		}
		if r[1] == 0 {
			continue
		}
		if _, err := s.Add(0, 0, Opts{Radius: r[0], LeaveRadius: r[1]}); !errors.Is(err, ErrRadius) {
			t.Errorf("add with radii %v: %v", r, err)
		}
	}
	if x, z, ok := s.Position(h); x != 1 || z != 2 || !ok {
		t.Errorf("stored (%v, %v) %v", x, z, ok)
	}
	for name, err := range map[string]error{
		"move": s.Move(7, 0, 0), "radius": s.SetRadius(7, 1, 1), "hide": s.SetHidden(7, true), "remove": s.Remove(7),
	} {
		if !errors.Is(err, ErrHandle) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
	must[Handle](t)(s.Add(0, 0, Opts{}))
	if _, err := s.Add(0, 0, Opts{}); !errors.Is(err, ErrFull) || s.Len() != 2 {
		t.Errorf("third entry: %v, len %d", err, s.Len())
	}
}

func TestOscillationBetweenTheRadiiYieldsNoEvent(t *testing.T) {
	r := newRig(t, Config{}, 1)
	eye := r.add(0, 0, Opts{Radius: 100, LeaveRadius: 110, Hidden: true})
	in := r.add(100, 0, Opts{})     // exactly on the enter radius
	out := r.add(100.01, 0, Opts{}) // just outside
	if ev := r.tick(); !slices.Equal(ev.Enters, []Pair{{eye, in}}) {
		t.Fatalf("first tick: %v", ev)
	}
	for i := range 50 {
		x := float32(100.5 + 9.5*float32(i%2)) // up to exactly the leave radius
		r.move(in, x, 0)
		r.move(out, 0, -x)
		if ev := r.tick(); len(ev.Leaves)+len(ev.Enters) > 0 {
			t.Fatalf("tick %d: %v", i, ev)
		}
	}
	r.move(in, 110.01, 0)
	if ev := r.tick(); !slices.Equal(ev.Leaves, []Pair{{eye, in}}) {
		t.Fatalf("beyond the leave radius: %v", ev)
	}
}

func TestDefaultLeaveRadiusIsATenthLarger(t *testing.T) {
	r := newRig(t, Config{}, 1)
	r.add(0, 0, Opts{Radius: 100})
	x := r.add(50, 0, Opts{})
	r.tick()
	r.move(x, 109.9, 0)
	if ev := r.tick(); len(ev.Leaves) != 0 {
		t.Fatal(ev)
	}
	r.move(x, 110.1, 0)
	if ev := r.tick(); len(ev.Leaves) != 1 {
		t.Fatal(ev)
	}
}

func TestRespawnInOneTickIsLeaveAndEnter(t *testing.T) {
	r := newRig(t, Config{}, 1)
	eye := r.add(0, 0, Opts{Radius: 10})
	old := r.add(1, 1, Opts{})
	r.tick()
	r.remove(old)
	fresh := r.add(1, 1, Opts{})
	if r.spaces[0].Sees(eye, old) {
		t.Error("removed and still seen")
	}
	ev := r.tick()
	if !slices.Equal(ev.Leaves, []Pair{{eye, old}}) || !slices.Equal(ev.Enters, []Pair{{eye, fresh}}) {
		t.Fatal(ev)
	}
	if h := r.add(2, 2, Opts{}); h == old {
		t.Error("handle given out while Events name it")
	}
	r.tick()
	if h := r.add(2, 2, Opts{}); h != old {
		t.Errorf("got %d, want %d again", h, old)
	}
}

func TestRemovedObserverIsSilent(t *testing.T) {
	r := newRig(t, Config{}, 1)
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(1, 0, Opts{Radius: 10})
	r.tick()
	r.remove(a)
	if ev := r.tick(); !slices.Equal(ev.Leaves, []Pair{{b, a}}) || len(ev.Enters) != 0 {
		t.Fatal(ev)
	}
}

func TestObserverStopsAndStartsObserving(t *testing.T) {
	r := newRig(t, Config{}, 1)
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(0, 0, Opts{})
	if ev := r.tick(); !slices.Equal(ev.Enters, []Pair{{a, b}}) { // equal positions; not itself
		t.Fatal(ev)
	}
	r.radius(a, 0, 0)
	if ev := r.tick(); !slices.Equal(ev.Leaves, []Pair{{a, b}}) { // radius 0 sees not even its own place
		t.Fatal(ev)
	}
	r.radius(b, 1, 1)
	if ev := r.tick(); !slices.Equal(ev.Enters, []Pair{{b, a}}) {
		t.Fatal(ev)
	}
	r.hide(a, true)
	if ev := r.tick(); !slices.Equal(ev.Leaves, []Pair{{b, a}}) {
		t.Fatal(ev)
	}
}

func TestCornersOfTheWorld(t *testing.T) {
	for _, cfg := range []Config{{}, {MinX: -1e18, MinZ: -1e18, MaxX: 1e18, MaxZ: 1e18}, {MaxX: 1e-30, MaxZ: 1e-30}, {MinX: 5, MaxX: 6, MinZ: -1, MaxZ: 1e9}} {
		r := newRig(t, cfg, 2)
		c := r.spaces[0].cfg
		span := max(c.MaxX-c.MinX, c.MaxZ-c.MinZ)
		for _, radius := range []float32{0, 1e-38, span / 1000, span, span * 2, math.MaxFloat32 / 2} {
			for _, x := range []float32{c.MinX, c.MaxX} {
				for _, z := range []float32{c.MinZ, c.MaxZ} {
					r.add(x, z, Opts{Radius: radius})
				}
			}
		}
		for range 2 {
			r.tick()
			r.check([][3]float32{{c.MinX, c.MaxZ, span}, {c.MaxX, c.MinZ, 0}, {0, 0, float32(math.Inf(1))}, {math.MaxFloat32, 0, 1}})
			for _, h := range r.live[:8] {
				r.move(h, c.MaxX, c.MinZ)
			}
		}
	}
}

func TestSpectatorSeesThousands(t *testing.T) {
	r := newRig(t, Config{}, 1)
	eye := r.add(0, 0, Opts{Hidden: true, Radius: 1e5})
	for i := range 3 * pageSlots {
		r.add(float32(i), float32(i%7), Opts{})
	}
	s := r.spaces[0]
	want := func(n int) {
		t.Helper()
		seen := map[Handle]bool{}
		s.Visible(eye, func(h Handle) bool { seen[h] = true; return true })
		if len(seen) != n {
			t.Fatalf("sees %d, want %d", len(seen), n)
		}
	}
	if ev := s.Tick(); len(ev.Enters) != 3*pageSlots {
		t.Fatal(len(ev.Enters))
	}
	want(3 * pageSlots)
	for _, n := range []int{2 * pageSlots, pageSlots + 1, pageSlots, 3, 2 * pageSlots, 1} {
		radius := float32(n - 1)
		if err := s.SetRadius(eye, radius+0.5, radius+0.5); err != nil {
			t.Fatal(err)
		}
		s.Tick()
		n := 0
		for i := range 3 * pageSlots {
			if near(0, 0, float32(i), float32(i%7), radius+0.5) {
				n++
			}
		}
		want(n)
		if err := s.Move(eye, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(eye); err != nil {
		t.Fatal(err)
	}
	if ev := s.Tick(); len(ev.Leaves)+len(ev.Enters) != 0 {
		t.Fatal("a removed spectator reported events")
	}
}

func TestYieldMayChangeTheSpace(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	eye := must[Handle](t)(s.Add(0, 0, Opts{Radius: 100}))
	for i := range 40 {
		must[Handle](t)(s.Add(float32(i), 0, Opts{}))
	}
	s.Tick()
	seen := map[Handle]bool{}
	s.Within(0, 0, 100, func(h Handle) bool {
		if seen[h] {
			t.Fatalf("%d twice", h)
		}
		seen[h] = true
		if err := s.Move(h, 90, 3); err != nil { // to a cell not yet walked
			t.Fatal(err)
		}
		must[Handle](t)(s.Add(1, 1, Opts{}))
		n := 0
		s.Within(0, 0, 1e6, func(Handle) bool { n++; return true })
		if n != s.Len() {
			t.Fatalf("query within a query found %d of %d", n, s.Len())
		}
		return true
	})
	if len(seen) != 41 {
		t.Errorf("found %d", len(seen))
	}
	n := 0
	s.Visible(eye, func(h Handle) bool {
		if n++; n == 20 {
			if err := s.Remove(eye); err != nil {
				t.Fatal(err)
			}
			return true
		}
		if err := s.Remove(h); err != nil {
			t.Fatal(err)
		}
		return true
	})
	if n != 20 {
		t.Errorf("yielded %d after the observer was gone", n-20)
	}
	s.Tick()
	s.Within(0, 0, 1e6, func(Handle) bool { n++; return n < 22 })
	if n != 22 {
		t.Errorf("yield said stop, went on to %d", n)
	}
}

func TestIdleTickReportsNothing(t *testing.T) {
	r := newRig(t, Config{}, 1)
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(1, 0, Opts{Radius: 10})
	r.tick()
	for range 3 {
		r.move(b, 1, 0)
		if ev := r.tick(); len(ev.Leaves)+len(ev.Enters) != 0 || !r.spaces[0].Sees(a, b) {
			t.Fatal(ev)
		}
	}
}

func TestVisibleSetsStayCompact(t *testing.T) {
	entities, ticks := 2000, 300
	if raced {
		entities, ticks = 600, 30
	}
	w := newWalkers(t, entities, 2)
	for range ticks {
		w.step(t)
	}
	used := slotBytes * w.visible()
	if have := cap(w.s.lists.mem); have > used+used/3 {
		t.Errorf("%d bytes for sets of %d", have, used)
	}
}
