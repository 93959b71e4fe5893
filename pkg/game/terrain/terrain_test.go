package terrain_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

func rectsOf(t *testing.T, b terrain.Bounds, rects ...terrain.Rect) *terrain.Rects {
	t.Helper()
	m, err := terrain.NewRects(b, rects)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var square = terrain.Bounds{Width: 1000, Height: 1000}

func TestWalks(t *testing.T) {
	wall := terrain.Rect{X0: 500, Y0: 0, X1: 501, Y1: 900} // as thin as can be
	m := rectsOf(t, square, wall, terrain.Rect{X0: 100, Y0: 100, X1: 110, Y1: 110}, terrain.Rect{X0: 110, Y0: 110, X1: 120, Y1: 120})
	for _, c := range []struct {
		name                     string
		x, y, dx, dy, r, nx, ny_ int32
	}{
		{"freely", 10, 10, 50, 60, 5, 60, 70},
		{"not at all", 10, 10, 0, 0, 5, 10, 10},
		{"up to a wall", 480, 50, 80, 0, 5, 494, 50},
		{"up to a wall, and along it", 480, 50, 80, 40, 5, 494, 90},
		{"back from the other side", 600, 50, -200, 0, 5, 506, 50},
		{"not through a thin wall at any speed", 10, 50, math.MaxInt32, 0, 0, 499, 50},
		{"not between corners that touch", 110, 109, -1, 1, 0, 110, 109},
		{"around the wall's end", 495, 890, 0, 20, 4, 495, 910},
		{"to the edge of the world", 990, 990, 50, 50, 5, 999, 999},
		{"not out of a wall", 500, 10, 50, 0, 0, 500, 10},
		{"not in from outside", -1, 10, 50, 0, 0, -1, 10},
		{"a negative radius is none", 498, 10, 5, 0, -9, 499, 10},
	} {
		if x, y := m.Walk(c.x, c.y, c.dx, c.dy, c.r); x != c.nx || y != c.ny_ {
			t.Errorf("%s: %d, %d", c.name, x, y)
		}
	}
}

func TestAllHasBoundsOnly(t *testing.T) {
	m := terrain.All{X: -10, Y: 5, Width: 20, Height: 10}
	for _, c := range [][6]int32{{0, 6, 3, 4, 3, 10}, {0, 6, 30, -40, 9, 5}, {-500, 2000, 1, 1, -10, 14}, {9, 14, math.MaxInt32, math.MinInt32, 9, 5}} {
		if x, y := m.Walk(c[0], c[1], c[2], c[3], 99); x != c[4] || y != c[5] {
			t.Errorf("%v: %d, %d", c, x, y)
		}
	}
	if !m.Free(-10, 14, 5) || m.Free(10, 14, 0) || m.Free(0, 4, 0) || !m.Clear(0, 0, 9, 9) {
		t.Error("the bounds are not those")
	}
}

func TestHillsAreClimbedWhereTheyAreGentle(t *testing.T) {
	c, err := terrain.ParseText("01234\n01294\n.#~%.\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Cell, c.Climb, c.Drop = 10, 1, 2
	m, err := terrain.NewGrid(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		name                string
		x, y, dx, dy, nx, n int32
	}{
		{"up a slope", 5, 5, 40, 0, 45, 5},
		{"and down", 45, 5, -40, 0, 5, 5},
		{"not up a cliff", 5, 15, 40, 0, 29, 15},
		{"not down a cliff", 35, 15, -40, 0, 30, 15},
		{"past the cliff on the other axis", 25, 5, 0, 8, 25, 13},
		{"not into a wall", 15, 15, 0, 20, 15, 19},
		{"into tall grass only as far as it falls", 35, 25, 0, -20, 35, 20},
	} {
		if x, y := m.Walk(w.x, w.y, w.dx, w.dy, 0); x != w.nx || y != w.n {
			t.Errorf("%s: %d, %d", w.name, x, y)
		}
	}
	if m.Height(35, 15) != 9 || m.Height(-1, 0) != 0 || m.Height(999, 0) != 0 {
		t.Error("heights")
	}
	if m.Clear(5, 25, 15, 25) || !m.Clear(25, 22, 25, 28) || m.Clear(25, 25, 45, 25) || !m.Clear(5, 5, 45, 15) {
		t.Error("walls and tall grass hide, water and hills do not")
	}
	if m.Free(15, 25, 0) || m.Free(25, 25, 0) || !m.Free(35, 25, 0) || m.Free(35, 25, 6) {
		t.Error("walls and water are not stood on, tall grass is")
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for name, err := range map[string]error{
		"no bounds":       second(terrain.NewRects(terrain.Bounds{}, nil)),
		"past 2^31":       second(terrain.NewRects(terrain.Bounds{X: math.MaxInt32, Width: 1, Height: 1}, nil)),
		"an empty one":    second(terrain.NewRects(square, []terrain.Rect{{X0: 1, Y0: 1, X1: 1, Y1: 5}})),
		"no cells":        second(terrain.NewGrid(terrain.GridConfig{})),
		"too many":        second(terrain.NewGrid(terrain.GridConfig{Columns: 1 << 14, Rows: 1 << 14})),
		"too large":       second(terrain.NewGrid(terrain.GridConfig{Columns: 1 << 13, Rows: 1, Cell: 1 << 20})),
		"negative cells":  second(terrain.NewGrid(terrain.GridConfig{Columns: 1, Rows: 1, Cell: -1})),
		"missing bits":    second(terrain.NewGrid(terrain.GridConfig{Columns: 65, Rows: 1, Blocked: make([]uint64, 1)})),
		"too many bits":   second(terrain.NewGrid(terrain.GridConfig{Columns: 64, Rows: 1, Opaque: make([]uint64, 2)})),
		"missing heights": second(terrain.NewGrid(terrain.GridConfig{Columns: 64, Rows: 1, Heights: make([]uint16, 2)})),
		"an odd letter":   second(terrain.ParseText("..\n.x")),
		"uneven lines":    second(terrain.ParseText("..\n.")),
		"nothing":         second(terrain.ParseText("\n")),
		"no file":         second(terrain.ParseGrid([]byte("TXG1"))),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestGridFilesComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		c := someGrid(r)
		b, err := terrain.AppendGrid([]byte("x"), c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := terrain.ParseGrid(b[1:])
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v came back as %+v, %v", c, got, err)
		}
		if _, err := terrain.ParseGrid(b[1 : len(b)-1]); err == nil {
			t.Fatal("a file without its last byte was taken")
		}
	}
	if _, err := terrain.AppendGrid(nil, terrain.GridConfig{}); err == nil {
		t.Error("nothing was written")
	}
}

func FuzzParseGrid(f *testing.F) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		b, err := terrain.AppendGrid(nil, someGrid(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := terrain.ParseGrid(b)
		if err != nil {
			return
		}
		again, err := terrain.AppendGrid(nil, c)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("came back as %x, %v", again, err)
		}
		m, err := terrain.NewGrid(c)
		if err != nil {
			t.Fatal(err)
		}
		x, y := m.Walk(c.X, c.Y, 1<<20, 1<<20, 3)
		if m.Free(c.X, c.Y, 3) && !m.Free(x, y, 3) {
			t.Fatal("ended inside")
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add("..\n#~\n")
	f.Add("0123\r\n%%%%\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := terrain.ParseText(text)
		if err != nil {
			return
		}
		if _, err := terrain.NewGrid(c); err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, "#")+strings.Count(text, "~") == 0 && !reflect.DeepEqual(c.Blocked, make([]uint64, len(c.Blocked))) {
			t.Fatal("something blocks")
		}
	})
}
