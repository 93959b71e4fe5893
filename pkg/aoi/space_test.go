package aoi

import (
	"errors"
	"math"
	"math/rand/v2"
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
		"empty":          {MinX: 1, MaxX: 1, MaxZ: 1},
		"inverted":       {MinX: 0, MaxX: 5, MinZ: 5, MaxZ: 0},
		"nan":            {MinX: nan, MaxX: 1, MaxZ: 1},
		"infinite":       {MaxX: inf, MaxZ: 1},
		"too far":        {MaxX: 2e18, MaxZ: 1},
		"cell nan":       {CellSize: nan},
		"cell negative":  {CellSize: -1},
		"cell infinite":  {CellSize: inf},
		"many entries":   {MaxEntries: MaxEntries + 1},
		"minus entries":  {MaxEntries: -1},
		"minus workers":  {Workers: -1},
		"unknown kernel": {Kernel: 200},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKernelsOfThisMachineAndNoOthersAreTaken(t *testing.T) {
	all := Kernels()
	if len(all) == 0 || all[0] != Portable || !slices.IsSorted(all) || slices.Contains(all, Auto) {
		t.Fatalf("kernels %v", all)
	}
	for k, name := range map[Kernel]string{Auto: "auto", Portable: "portable", AVX2: "avx2", AVX512: "avx512"} {
		if k.String() != name {
			t.Errorf("kernel %d is called %q", k, k)
		}
		s, err := New(Config{Kernel: k})
		switch has := slices.Contains(all, k); {
		case k == Auto && (err != nil || s.Kernel() != all[len(all)-1]):
			t.Errorf("auto: %v", err)
		case k != Auto && has && (err != nil || s.Kernel() != k):
			t.Errorf("%v: %v", k, err)
		case k != Auto && !has && !errors.Is(err, ErrConfig):
			t.Errorf("%v, which this machine has not got: %v", k, err)
		}
	}
}

func TestBadInputIsRefusedAndNotStored(t *testing.T) {
	s := must[*Space](t)(New(Config{MinX: -10, MinZ: -20, MaxX: 10, MaxZ: 20, MaxEntries: 2}))
	h := must[Handle](t)(s.Add(1, 2, Opts{Radius: 5, Nearest: 1}))
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
	for _, r := range [][2]float32{{nan, 1}, {1, nan}, {-1, 1}, {5, 4}, {inf, inf}, {1, inf}, {0, 1}, {-1, 0}} {
		if err := s.SetRadius(h, r[0], r[1]); !errors.Is(err, ErrRadius) {
			t.Errorf("radii %v: %v", r, err)
		}
		if _, err := s.Add(0, 0, Opts{Radius: r[0], LeaveRadius: r[1]}); !errors.Is(err, ErrRadius) {
			t.Errorf("add with radii %v: %v", r, err)
		}
	}
	_, err := s.Add(0, 0, Opts{Radius: 1, Nearest: -1})
	if set := s.SetNearest(h, -1); err == nil || set == nil {
		t.Errorf("at most -1 targets: %v, %v", err, set)
	}
	if x, z, ok := s.Position(h); x != 1 || z != 2 || !ok || s.Len() != 1 {
		t.Errorf("stored (%v, %v) %v, %d entries", x, z, ok, s.Len())
	}
	for name, err := range map[string]error{
		"move": s.Move(7, 0, 0), "radius": s.SetRadius(7, 1, 1), "hide": s.SetHidden(7, true), "remove": s.Remove(7),
		"layers": s.SetLayers(7, 1), "mask": s.SetMask(7, 1), "nearest": s.SetNearest(7, 1), "max": s.Remove(math.MaxUint32),
	} {
		if !errors.Is(err, ErrHandle) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
	other := must[Handle](t)(s.Add(6, 2, Opts{})) // exactly at the radius that stands
	if _, err := s.Add(0, 0, Opts{}); !errors.Is(err, ErrFull) || s.Len() != 2 {
		t.Errorf("third entry: %v, len %d", err, s.Len())
	}
	if ev := s.Tick(); !slices.Equal(ev.Enters, []Pair{{h, other}}) || len(ev.Leaves) > 0 {
		t.Errorf("after all that was refused: %v", ev)
	}
}

func TestOscillationBetweenTheRadiiYieldsNoEvent(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100, LeaveRadius: 110, Hidden: true})
	in := r.add(100, 0, Opts{})     // exactly on the enter radius
	out := r.add(100.01, 0, Opts{}) // just outside
	r.expect(nil, []Pair{{eye, in}})
	for i := range 50 {
		x := float32(100.5 + 9.5*float32(i%2)) // up to exactly the leave radius
		r.move(in, x, 0)
		r.move(out, 0, -x)
		r.expect(nil, nil)
	}
	r.move(in, 110.01, 0)
	r.expect([]Pair{{eye, in}}, nil)
	r.move(in, 105, 0)
	r.expect(nil, nil)
}

// The observer moves here, and everything else rests.
func TestObserverOscillatingBetweenTheRadiiYieldsNoEvent(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(-100, 0, Opts{Radius: 100, LeaveRadius: 110})
	x := r.add(0, 0, Opts{})
	r.expect(nil, []Pair{{eye, x}})
	for i := range 50 {
		r.move(eye, -100.5-9.5*float32(i%2), 0)
		r.expect(nil, nil)
	}
	r.move(eye, -110.01, 0)
	r.expect([]Pair{{eye, x}}, nil)
}

func TestDefaultLeaveRadiusIsATenthLarger(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 100})
	x := r.add(50, 0, Opts{})
	r.expect(nil, []Pair{{eye, x}})
	r.move(x, 109.9, 0)
	r.expect(nil, nil)
	r.move(x, 110.1, 0)
	r.expect([]Pair{{eye, x}}, nil)
}

// On the very edge the last bit of d² decides, and with it the order of the
// roundings: a fused multiply-add would differ for hundreds of these targets.
func TestDistancesAreRoundedAsDocumented(t *testing.T) {
	const n = 3000
	rnd := rand.New(rand.NewPCG(9, 9))
	for _, k := range Kernels() {
		s := must[*Space](t)(New(Config{Kernel: k}))
		const r = 49.37
		eye := must[Handle](t)(s.Add(3.3, -7.7, Opts{Radius: r, LeaveRadius: r, Hidden: true}))
		o := twinEntry{x: 3.3, z: -7.7, enter: r, leave: r}
		g := gen{rnd: rnd}
		want, fused := map[Handle]bool{}, 0
		for range n {
			x, z := g.brink(o)
			h := must[Handle](t)(s.Add(x, z, Opts{}))
			if square(o.x, o.z, x, z) <= float32(r)*float32(r) {
				want[h] = true
			}
			dx, dz := float64(x-o.x), float64(z-o.z)
			if other := float32(dx*dx+float64(float32(dz*dz))) <= float32(r)*float32(r); other != want[h] {
				fused++
			}
		}
		if fused < n/100 {
			t.Fatalf("only %d of %d targets tell the roundings apart", fused, n)
		}
		ev := s.Tick()
		for _, p := range ev.Enters {
			if p.Observer != eye || !want[p.Target] {
				t.Fatalf("%v: %v entered", k, p)
			}
		}
		found := 0
		s.Within(o.x, o.z, r, func(h Handle) bool {
			if found++; !want[h] {
				t.Fatalf("%v: within found %d", k, h)
			}
			return true
		})
		if len(ev.Enters) != len(want) || found != len(want) {
			t.Fatalf("%v: %d entered, %d found, want %d", k, len(ev.Enters), found, len(want))
		}
	}
}

func TestRespawnInOneTickIsLeaveAndEnter(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10})
	old := r.add(1, 1, Opts{})
	r.tick()
	r.remove(old)
	fresh := r.add(1, 1, Opts{})
	if r.spaces[0].Sees(eye, old) {
		t.Error("removed and still seen")
	}
	r.expect([]Pair{{eye, old}}, []Pair{{eye, fresh}})
	if h := r.add(2, 2, Opts{}); h == old {
		t.Error("handle given out while Events name it")
	}
	r.tick()
	if h := r.add(2, 2, Opts{}); h != old {
		t.Errorf("got %d, want %d again", h, old)
	}
}

func TestSpawnedAndRemovedWithinATickLeavesNoTrace(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10})
	r.tick()
	for range 40 { // more than two blocks
		r.remove(r.add(1, 1, Opts{Radius: 10}))
	}
	stays := r.add(2, 2, Opts{})
	r.expect(nil, []Pair{{eye, stays}})
	r.remove(eye)
	again := r.add(0, 0, Opts{Radius: 10})
	r.expect(nil, []Pair{{again, stays}}) // what the old one saw is nobody's business
}

func TestTeleportsWithinATickCountOnlyTheLast(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10, LeaveRadius: 12})
	x := r.add(11, 0, Opts{})
	y := r.add(10, 0, Opts{})
	r.expect(nil, []Pair{{eye, y}})
	for _, far := range []float32{1e4, 1e6, 1 << 24} {
		r.move(x, 0, 0)
		r.move(x, far, -far)
		r.move(x, 11, 0)
		r.move(y, far, -far)
		r.move(y, 12, 0)
		r.expect(nil, nil)
		r.move(eye, -far, far)
		r.move(eye, 0, 0)
		r.expect(nil, nil)
	}
	r.move(eye, 1e6, 1e6)
	r.expect([]Pair{{eye, y}}, nil)
	r.move(eye, 0, 0)
	r.expect(nil, nil) // y stands between the radii, and is new again
	r.move(y, 1e6, 1e6)
	r.move(eye, 1e6, 1e6)
	r.expect(nil, []Pair{{eye, y}})
	r.move(y, 11, 0)
	r.move(eye, 0, 0)
	r.expect(nil, nil) // both leap, side by side
}

func TestHideAndShow(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10, LeaveRadius: 12})
	x := r.add(9, 0, Opts{})
	r.expect(nil, []Pair{{eye, x}})
	r.hide(x, true)
	r.hide(x, false)
	r.move(x, 11, 0)
	r.hide(x, false)
	r.expect(nil, nil) // hidden and shown within a tick: it was in sight all the time
	r.hide(x, true)
	r.hide(x, true)
	r.expect([]Pair{{eye, x}}, nil)
	r.hide(x, false)
	r.expect(nil, nil) // it is beyond the enter radius
	r.hide(x, true)
	r.move(x, 5, 0)
	r.expect(nil, nil)
	r.move(x, 4, 0)
	r.hide(x, false)
	r.expect(nil, []Pair{{eye, x}})
	r.hide(x, true)
	r.remove(x)
	r.expect([]Pair{{eye, x}}, nil)
}

func TestRemovedObserverIsSilent(t *testing.T) {
	r := newScript(t, Config{})
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(1, 0, Opts{Radius: 10})
	r.tick()
	r.remove(a)
	r.expect([]Pair{{b, a}}, nil)
}

func TestObserverStopsAndStartsObserving(t *testing.T) {
	r := newScript(t, Config{})
	a := r.add(0, 0, Opts{Radius: 10})
	b := r.add(0, 0, Opts{})
	r.expect(nil, []Pair{{a, b}}) // equal positions; not itself
	r.radius(a, 0, 0)
	if !r.spaces[0].Sees(a, b) {
		t.Error("Sees is not as of the last Tick")
	}
	r.expect([]Pair{{a, b}}, nil) // radius 0 sees not even its own place
	r.radius(b, 1, 1)
	r.expect(nil, []Pair{{b, a}})
	r.radius(b, 0, 0)
	r.move(a, 1.05, 0)
	r.radius(b, 1, 1.1)
	r.expect(nil, nil) // off and on within a tick changes nothing
	r.hide(a, true)
	r.expect([]Pair{{b, a}}, nil)
	r.radius(b, 0, 0)
	r.remove(a)
	r.expect(nil, nil)
}
