package rules

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestStep(t *testing.T) {
	const w, h = 1000, 500
	for _, c := range []struct {
		name    string
		in, out Motion
	}{
		{"stands", Motion{X: 5, Z: 6}, Motion{X: 5, Z: 6}},
		{"starts at once", Motion{X: 5, Z: 6, WantVX: 80}, Motion{X: 85, Z: 6, VX: 80, WantVX: 80}},
		{"stops at once", Motion{X: 5, Z: 6, VX: 80, VZ: -3}, Motion{X: 5, Z: 6}},
		{"turns at once", Motion{X: 100, Z: 100, VX: 80, WantVZ: -50}, Motion{X: 100, Z: 50, VZ: -50, WantVZ: -50}},
		{"to the very edge", Motion{X: 919, Z: 50, WantVX: 80, WantVZ: -50}, Motion{X: 999, Z: 0, VX: 80, VZ: -50, WantVX: 80, WantVZ: -50}},
		{"into the east wall", Motion{X: 920, Z: 50, WantVX: 80}, Motion{X: 999, Z: 50, WantVX: 80}},
		{"into the west wall", Motion{X: 79, Z: 50, WantVX: -80}, Motion{X: 0, Z: 50, WantVX: -80}},
		{"along the wall", Motion{X: 0, Z: 50, WantVX: -60, WantVZ: 50}, Motion{X: 0, Z: 100, VZ: 50, WantVX: -60, WantVZ: 50}},
		{"into the corner", Motion{X: 990, Z: 490, WantVX: 50, WantVZ: 50}, Motion{X: 999, Z: 499, WantVX: 50, WantVZ: 50}},
		{"away from the wall", Motion{X: 999, Z: 50, WantVX: -1}, Motion{X: 998, Z: 50, VX: -1, WantVX: -1}},
		{"from outside", Motion{X: -500, Z: 2000, WantVX: 80, WantVZ: -80}, Motion{X: 0, Z: 499, WantVX: 80, WantVZ: -80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Step(c.in, w, h); got != c.out {
				t.Errorf("got %+v, want %+v", got, c.out)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		vx, vz int32
		want   bool
	}{
		{0, 0, true}, {80, 0, true}, {0, -80, true}, {-64, 48, true}, {56, 56, true},
		{81, 0, false}, {0, -81, false}, {64, 49, false}, {57, 57, false}, {80, 1, false},
		{1<<31 - 1, 0, false}, {-1 << 31, 0, false}, {1 << 16, 1 << 16, false}, {-1 << 31, -1 << 31, false}, // squares that would wrap to something small
	} {
		if got := Allowed(c.vx, c.vz); got != c.want {
			t.Errorf("%d, %d: %v", c.vx, c.vz, got)
		}
	}
}

// motion is a random one, often near a wall, sometimes faster than anybody may be.
func motion(r *rand.Rand, w, h int32) Motion {
	place := func(size int32) int32 {
		switch p := r.Int32N(min(size, 100)); r.IntN(3) {
		case 0:
			return p
		case 1:
			return size - 1 - p
		}
		return r.Int32N(size)
	}
	speed := func() int16 {
		if r.IntN(10) == 0 {
			return int16(r.Uint32())
		}
		return int16(r.IntN(2*MaxSpeed+1) - MaxSpeed)
	}
	return Motion{place(w), place(h), speed(), speed(), speed(), speed()}
}

func side(r *rand.Rand) int32 { return 1 + r.Int32N(1<<r.IntN(25)) }

// TestNobodyLeavesAndPredictionHolds states the rule as observers rely on it: a position moves by exactly the velocity that is said, except in the step that
// meets a wall, after which that axis says 0.
func TestNobodyLeavesAndPredictionHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	walls := 0
	for range 20_000 {
		w, h := side(r), side(r)
		m := motion(r, w, h)
		for range 5 {
			n := Step(m, w, h)
			axis := func(name string, from, to int32, want, got int16, size int32) {
				free := from+int32(want) >= 0 && from+int32(want) < size
				switch {
				case to < 0 || to >= size:
					t.Fatalf("%s is %d of %d: %+v became %+v", name, to, size, m, n)
				case free && (got != want || to != from+int32(want)):
					t.Fatalf("%s was free to move: %+v became %+v", name, m, n)
				case !free && (got != 0 || to != 0 && to != size-1):
					t.Fatalf("%s met a wall: %+v became %+v", name, m, n)
				case !free:
					walls++
				}
			}
			axis("x", m.X, n.X, m.WantVX, n.VX, w)
			axis("z", m.Z, n.Z, m.WantVZ, n.VZ, h)
			if n.WantVX != m.WantVX || n.WantVZ != m.WantVZ {
				t.Fatalf("the wish changed: %+v became %+v", m, n)
			}
			m = n
		}
	}
	if walls < 1000 {
		t.Errorf("only %d steps met a wall", walls)
	}
}

func ExampleStep() {
	m := Motion{X: 900, Z: 100, WantVX: 60, WantVZ: 20}
	for range 3 {
		m = Step(m, 1000, 1000)
		fmt.Println(m.X, m.Z, "at", m.VX, m.VZ)
	}
	// Output:
	// 960 120 at 60 20
	// 999 140 at 0 20
	// 999 160 at 0 20
}
