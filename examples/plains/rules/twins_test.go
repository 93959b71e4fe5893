package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement/steptest"
	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

var update = flag.Bool("update", false, "rewrite testdata")

// field is a zone of w × h quanta without anything in it; wish is what a player's input asks for.
type field struct {
	W int32 `json:"w"`
	H int32 `json:"h"`
}

type wish struct {
	VX int16 `json:"vx"`
	VZ int16 `json:"vz"`
}

func (w wish) of(m Motion) Motion {
	m.WantVX, m.WantVZ = w.VX, w.VZ
	return m
}

func someWish(r *rand.Rand) wish {
	m := motion(r, 1, 1)
	return wish{m.WantVX, m.WantVZ}
}

// stepRule is Step, over fields of all sizes.
func stepRule() *steptest.Rule[field, Motion, wish] {
	return &steptest.Rule[field, Motion, wish]{
		Name: "plains step",
		Step: func(w *field, m Motion, in wish) Motion { return Step(in.of(m), w.W, w.H) },
		Begin: func(r *rand.Rand) (field, Motion) {
			f := field{side(r), side(r)}
			return f, motion(r, f.W, f.H)
		},
		Input: func(r *rand.Rand, _ *field, _ Motion) wish { return someWish(r) },
	}
}

// place says which of the maps in testdata a case is on.
type place struct {
	Map int32 `json:"map"` // 0: the houses, 1: the hills
}

// maps are a village of houses, and hills with walls, water and cliffs. The TypeScript test reads the same files.
func maps(t testing.TB) [2]Ground {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var village struct {
		Bounds terrain.Bounds
		Rects  []terrain.Rect
	}
	if err := json.Unmarshal(read("village.json"), &village); err != nil {
		t.Fatal(err)
	}
	houses, err := terrain.NewRects(village.Bounds, village.Rects)
	if err != nil {
		t.Fatal(err)
	}
	c, err := terrain.ParseGrid(read("hills.grid"))
	if err != nil {
		t.Fatal(err)
	}
	hills, err := terrain.NewGrid(c)
	if err != nil {
		t.Fatal(err)
	}
	return [2]Ground{houses, hills}
}

const world = 20_000 // quanta, the side of both maps: 62.5 m

// walkRule is Walk, on both maps. Whoever begins where it is free must never be elsewhere, nor too fast.
func walkRule(t testing.TB) *steptest.Rule[place, Motion, wish] {
	grounds := maps(t)
	return &steptest.Rule[place, Motion, wish]{
		Name: "plains walk",
		Step: func(w *place, m Motion, in wish) Motion { return Walk(in.of(m), grounds[w.Map]) },
		Begin: func(r *rand.Rand) (place, Motion) {
			p := place{r.Int32N(2)}
			for {
				m := motion(r, world, world)
				if free(grounds[p.Map], m) {
					return p, m
				}
			}
		},
		Input: func(r *rand.Rand, _ *place, m Motion) wish {
			if r.IntN(10) > 0 { // mostly straight on, so that it comes to something
				return wish{m.WantVX, m.WantVZ}
			}
			return someWish(r)
		},
		Holds: func(w *place, before Motion, in wish, after Motion) error {
			dx, dz := after.X-before.X, after.Z-before.Z
			switch {
			case !free(grounds[w.Map], after):
				return errors.New("ended inside of something")
			case !(fixed.Vec{X: dx, Y: dz}).Within(MaxSpeed) || !Allowed(int32(after.VX), int32(after.VZ)):
				return fmt.Errorf("moved by %d, %d, at %d, %d", dx, dz, after.VX, after.VZ)
			case after.VX != 0 && int32(after.VX) != dx || after.VZ != 0 && int32(after.VZ) != dz || after.WantVX != in.VX:
				return fmt.Errorf("said %d, %d and moved by %d, %d", after.VX, after.VZ, dx, dz)
			}
			return nil
		},
	}
}

func free(ground Ground, m Motion) bool {
	return ground.(interface{ Free(x, y, radius int32) bool }).Free(m.X, m.Z, Radius)
}

func TestStepsAreFresh(t *testing.T) {
	rule := stepRule()
	rule.Fresh(t, "testdata/steps.json", rule.Draw(3, 200, 5), *update)
}

// TestWalksAreFresh takes random walks, and a recorded list of inputs: keys that are held for a while, in all eight directions.
func TestWalksAreFresh(t *testing.T) {
	rule := walkRule(t)
	b, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := rule.Recorded(b)
	if err != nil {
		t.Fatal(err)
	}
	cases := append(recorded, rule.Draw(4, 60, 80)...)
	rule.Fresh(t, "testdata/walks.json", cases, *update)
	held := 0
	for _, c := range cases {
		m := c.Start
		for _, in := range c.Inputs {
			m = rule.Step(&c.World, m, in)
			if (m.VX == 0) != (in.VX == 0) || (m.VZ == 0) != (in.VZ == 0) {
				held++
			}
		}
	}
	if held < 300 {
		t.Errorf("only %d steps met anything", held)
	}
}

// TestABrokenTwinIsFound breaks the rule in small ways, and holds the harness to finding each.
func TestABrokenTwinIsFound(t *testing.T) {
	file, err := os.ReadFile("testdata/walks.json")
	if err != nil {
		t.Fatal(err)
	}
	grounds := maps(t)
	for name, step := range map[string]func(w *place, m Motion, in wish) Motion{
		"says how fast it wanted to be": func(w *place, m Motion, in wish) Motion {
			n := Walk(in.of(m), grounds[w.Map])
			n.VX, n.VZ = in.VX, in.VZ
			return n
		},
		"a quantum thinner": func(w *place, m Motion, in wish) Motion {
			m = in.of(m)
			x, z := grounds[w.Map].Walk(m.X, m.Z, int32(m.WantVX), int32(m.WantVZ), Radius-1)
			return arrive(m, x, z, m.WantVX, m.WantVZ)
		},
		"no limit": func(w *place, m Motion, in wish) Motion { return Step(in.of(m), world, world) },
	} {
		rule := walkRule(t)
		rule.Step = step
		var d *steptest.Difference
		if err := rule.Check(file); !errors.As(err, &d) || d.Field == "" || d.Got == d.Want {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(name, "·", err)
		}
	}
	if err := walkRule(t).Check(bytes.Replace(file, []byte(`"vz","wantVx"`), []byte(`"vz","wanted"`), 1)); err == nil {
		t.Error("a file with other fields was taken")
	}
}
