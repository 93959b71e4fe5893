package aoi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// asks are all ways to ask for everything within 1e6 of the origin.
func asks(s *Space) map[string]func(yield func(Handle) bool) {
	all := map[string]func(func(Handle) bool){}
	for name, q := range map[string]search{"": s, "only ": s.Only(math.MaxUint32)} {
		all[name+"within"] = func(yield func(Handle) bool) { q.Within(0, 0, 1e6, yield) }
		all[name+"box"] = func(yield func(Handle) bool) { q.Box(-1e6, -1e6, 1e6, 1e6, yield) }
		all[name+"sector"] = func(yield func(Handle) bool) { q.Sector(0, 0, 1e6, 0, 1, 4, yield) }
		all[name+"nearest"] = func(yield func(Handle) bool) { q.Nearest(0, 0, 1e6, 1000, yield) }
	}
	return all
}

func gather(query func(yield func(Handle) bool)) []Handle {
	var found []Handle
	query(func(h Handle) bool { found = append(found, h); return true })
	return found
}

func sorted(hs []Handle) []Handle {
	slices.Sort(hs)
	return hs
}

func TestWithinIsExactAtItsEdge(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	on := must[Handle](t)(s.Add(3, 4, Opts{}))
	must[Handle](t)(s.Add(3, math.Nextafter32(4, 5), Opts{}))
	within := func(x, z, r float32) []Handle {
		return gather(func(y func(Handle) bool) { s.Within(x, z, r, y) })
	}
	if got := within(0, 0, 5); !slices.Equal(got, []Handle{on}) {
		t.Errorf("found %v", got)
	}
	if got := within(3, 4, 0); !slices.Equal(got, []Handle{on}) {
		t.Errorf("at the place itself found %v", got)
	}
	nan := float32(math.NaN())
	for _, q := range [][3]float32{{0, 0, -5}, {0, 0, nan}, {nan, 0, 9}, {0, nan, 9}, {float32(math.Inf(1)), 0, 9}} {
		if got := within(q[0], q[1], q[2]); got != nil {
			t.Errorf("%v found %v", q, got)
		}
	}
}

func TestBoxIsInclusiveAndAnEmptyOneFindsNothing(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	a := must[Handle](t)(s.Add(1, 2, Opts{}))
	b := must[Handle](t)(s.Add(5, 9, Opts{}))
	must[Handle](t)(s.Add(5, math.Nextafter32(9, 10), Opts{}))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		box  [4]float32
		want []Handle
	}{
		{[4]float32{1, 2, 5, 9}, []Handle{a, b}},
		{[4]float32{1, 2, 1, 2}, []Handle{a}},
		{[4]float32{-inf, -inf, inf, 9}, []Handle{a, b}},
		{[4]float32{math.Nextafter32(1, 2), 2, 5, 9}, []Handle{b}},
		{[4]float32{5, 9, 1, 2}, nil},
		{[4]float32{1, 9, 5, 2}, nil},
		{[4]float32{nan, 2, 5, 9}, nil},
		{[4]float32{1, 2, 5, nan}, nil},
	} {
		got := sorted(gather(func(y func(Handle) bool) { s.Box(c.box[0], c.box[1], c.box[2], c.box[3], y) }))
		if !slices.Equal(got, c.want) {
			t.Errorf("%v found %v, want %v", c.box, got, c.want)
		}
	}
}

func TestSectorLooksWhereItPoints(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	var around [8]Handle // 0°, 45°, …
	for i := range around {
		a := float64(i) * math.Pi / 4
		around[i] = must[Handle](t)(s.Add(float32(math.Round(10*math.Cos(a))), float32(math.Round(10*math.Sin(a))), Opts{}))
	}
	here := must[Handle](t)(s.Add(0, 0, Opts{}))
	at := func(is ...int) []Handle {
		hs := []Handle{here}
		for _, i := range is {
			hs = append(hs, around[i])
		}
		return sorted(hs)
	}
	for _, c := range []struct {
		dirX, dirZ, half float32
		want             []Handle
	}{
		{1, 0, 0.1, at(0)},
		{1e-3, 0, 0.1, at(0)}, // any length
		{1e6, 0, 0.8, at(7, 0, 1)},
		{0, -1, 0.1, at(6)},
		{-1, -1, 0.1, at(5)},
		{-1, 0, 1.6, at(2, 3, 4, 5, 6)},
		{-1, 0, 1.5, at(3, 4, 5)},
		{0, 1, 2.4, at(7, 0, 1, 2, 3, 4, 5)},
		{0, 1, 3.1, at(7, 0, 1, 2, 3, 4, 5)},
		{0, 1, 3.15, at(0, 1, 2, 3, 4, 5, 6, 7)},
		{0, 1, 100, at(0, 1, 2, 3, 4, 5, 6, 7)},
		{1, 0, 0, at(0)},
	} {
		got := sorted(gather(func(y func(Handle) bool) { s.Sector(0, 0, 20, c.dirX, c.dirZ, c.half, y) }))
		if !slices.Equal(got, c.want) {
			t.Errorf("towards (%v, %v) ±%v found %v, want %v", c.dirX, c.dirZ, c.half, got, c.want)
		}
	}
	if got := gather(func(y func(Handle) bool) { s.Sector(0, 0, 9.5, 1, 0, 4, y) }); !slices.Equal(got, []Handle{here}) {
		t.Errorf("radius 9.5 found %v", got)
	}
}

func TestNearestYieldsInOrder(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	h := make([]Handle, 5)
	for i, p := range [][2]float32{{3, 4}, {-5, 0}, {1, 1}, {0, 5}, {7, 0}} {
		h[i] = must[Handle](t)(s.Add(p[0], p[1], Opts{}))
	}
	for _, c := range []struct {
		radius float32
		n      int
		want   []Handle
	}{
		{10, 9, []Handle{h[2], h[0], h[1], h[3], h[4]}},
		{float32(math.Inf(1)), 5, []Handle{h[2], h[0], h[1], h[3], h[4]}},
		{5, 9, []Handle{h[2], h[0], h[1], h[3]}},
		{10, 2, []Handle{h[2], h[0]}},
		{10, 3, []Handle{h[2], h[0], h[1]}},
		{10, 0, nil},
		{10, -1, nil},
		{-1, 9, nil},
		{10, math.MaxInt, []Handle{h[2], h[0], h[1], h[3], h[4]}},
	} {
		if got := gather(func(y func(Handle) bool) { s.Nearest(0, 0, c.radius, c.n, y) }); !slices.Equal(got, c.want) {
			t.Errorf("%d within %v: %v, want %v", c.n, c.radius, got, c.want)
		}
	}
}

func TestQueriesKnowWhatHappenedSinceTheLastTick(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	var hs []Handle
	for i := range 100 {
		hs = append(hs, must[Handle](t)(s.Add(float32(i), 0, Opts{})))
	}
	check := func(what string) {
		t.Helper()
		for name, ask := range asks(s) {
			if got := sorted(gather(ask)); !slices.Equal(got, hs) {
				t.Fatalf("%s: %s found %v, want %v", what, name, got, hs)
			}
		}
	}
	check("before the first tick")
	s.Tick()
	check("after it")
	if err := s.SetHidden(hs[7], true); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(hs[20]); err != nil {
		t.Fatal(err)
	}
	if err := s.Move(hs[9], 1e7, 1e7); err != nil {
		t.Fatal(err)
	}
	away, shown := hs[9], hs[7]
	hs = slices.DeleteFunc(hs, func(h Handle) bool { return h == 7 || h == 20 || h == 9 })
	check("one hidden, one removed, one moved away")
	if err := s.Move(away, -50, -50); err != nil {
		t.Fatal(err)
	}
	if err := s.SetHidden(shown, false); err != nil {
		t.Fatal(err)
	}
	hs = sorted(append(hs, away, shown, must[Handle](t)(s.Add(3, 3, Opts{}))))
	check("shown, come back, and one new")
}

func TestYieldThatSaysStopIsNotCalledAgain(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	eye := must[Handle](t)(s.Add(0, 0, Opts{Radius: 1000}))
	for i := range 100 {
		must[Handle](t)(s.Add(float32(i), 0, Opts{}))
	}
	s.Tick()
	all := asks(s)
	all["visible"] = func(yield func(Handle) bool) { s.Visible(eye, yield) }
	for name, ask := range all {
		for _, stop := range []int{1, 2, 50} {
			n := 0
			ask(func(Handle) bool { n++; return n < stop })
			if n != stop {
				t.Errorf("%s: %d yielded, told to stop after %d", name, n, stop)
			}
		}
	}
}

// Whatever yield does to others, what it leaves alone is yielded exactly once,
// what it removed is not yielded after, and nothing is yielded twice.
func TestYieldMayChangeTheSpace(t *testing.T) {
	for name := range asks(must[*Space](t)(New(Config{}))) {
		for seed := range uint64(8) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			s := must[*Space](t)(New(Config{}))
			touched, removed, seen := map[Handle]bool{}, map[Handle]bool{}, map[Handle]bool{}
			const n = 150
			for range n {
				must[Handle](t)(s.Add(rnd.Float32()*100-50, rnd.Float32()*100-50, Opts{Radius: 30}))
			}
			if seed%2 == 0 {
				s.Tick()
			}
			asks(s)[name](func(h Handle) bool {
				if seen[h] || removed[h] {
					t.Fatalf("%s: %d twice, or after it was removed", name, h)
				}
				seen[h] = true
				meddle(t, s, rnd, touched, removed, n)
				return true
			})
			for h := range Handle(n) {
				if !touched[h] && !seen[h] {
					t.Fatalf("%s: %d, which nobody touched, is missing", name, h)
				}
			}
			s.Tick()
		}
	}
}

// meddle does something to one of the first n entries, or adds one.
func meddle(t *testing.T, s *Space, rnd *rand.Rand, touched, removed map[Handle]bool, n int) {
	t.Helper()
	victim := Handle(rnd.IntN(n))
	var err error
	switch k := rnd.IntN(8); {
	case k == 0:
		must[Handle](t)(s.Add(rnd.Float32()*10, 1, Opts{Radius: 5}))
	case k == 1:
		for _, ask := range asks(s) {
			if got := len(gather(ask)); got > s.Len() {
				t.Fatalf("query within a query found %d of %d", got, s.Len())
			}
		}
	case removed[victim]:
	case k == 2:
		err = s.Remove(victim)
		removed[victim], touched[victim] = true, true
	case k == 3:
		touched[victim] = true
		err = s.SetHidden(victim, rnd.IntN(2) == 0)
	case k == 4:
		touched[victim] = true
		err = s.SetLayers(victim, 1<<rnd.IntN(32))
	case k == 5:
		err = s.SetRadius(victim, rnd.Float32(), 50)
	default:
		touched[victim] = true
		err = s.Move(victim, rnd.Float32()*100-50, rnd.Float32()*100-50)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestQueryWithinAQueryFindsEverything(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	for i := range 60 {
		must[Handle](t)(s.Add(float32(i), 0, Opts{}))
	}
	for outer, ask := range asks(s) {
		n := 0
		ask(func(Handle) bool {
			n++
			for inner, again := range asks(s) {
				if got := len(gather(again)); got != 60 {
					t.Fatalf("%s within %s found %d", inner, outer, got)
				}
			}
			return true
		})
		if n != 60 {
			t.Fatalf("%s found %d with queries inside", outer, n)
		}
	}
}

func TestYieldOfVisibleMayChangeTheSpace(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	eye := must[Handle](t)(s.Add(0, 0, Opts{Radius: 100}))
	for i := range 60 {
		must[Handle](t)(s.Add(float32(i), 0, Opts{}))
	}
	s.Tick()
	seen := map[Handle]bool{}
	removed := map[Handle]bool{}
	s.Visible(eye, func(h Handle) bool {
		if seen[h] || removed[h] {
			t.Fatalf("%d twice, or after it was removed", h)
		}
		seen[h] = true
		if next := h%60 + 1; next%4 == 0 && !removed[next] { // handles 1 to 60 are targets
			removed[next] = true
			if err := s.Remove(next); err != nil {
				t.Fatal(err)
			}
		}
		if !removed[h] {
			if err := s.Move(h, 1e5, 1e5); err != nil { // as of the last Tick it is still in sight
				t.Fatal(err)
			}
		}
		if err := s.Move(eye, float32(h), 5000); err != nil {
			t.Fatal(err)
		}
		if err := s.SetRadius(eye, 1, 2); err != nil {
			t.Fatal(err)
		}
		must[Handle](t)(s.Add(0, 0, Opts{Radius: 50}))
		return true
	})
	for h := Handle(1); h <= 60; h++ {
		if !seen[h] && !removed[h] {
			t.Errorf("%d was not yielded", h)
		}
	}
	if ev := s.Tick(); len(ev.Leaves) != 60 {
		t.Errorf("%d leaves of 60", len(ev.Leaves))
	}
}

func TestVisibleEndsWhenItsObserverIsRemoved(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	eye := must[Handle](t)(s.Add(0, 0, Opts{Radius: 100}))
	for i := range 40 {
		must[Handle](t)(s.Add(float32(i), 0, Opts{}))
	}
	s.Tick()
	n := 0
	s.Visible(eye, func(Handle) bool {
		if n++; n == 20 {
			if err := s.Remove(eye); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	if n != 20 {
		t.Errorf("yielded %d after the observer was gone", n-20)
	}
	if ev := s.Tick(); len(ev.Leaves)+len(ev.Enters) > 0 {
		t.Error(ev)
	}
}
