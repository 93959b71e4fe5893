package terrain_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

// world is a map said in the plainest way: whether a quantum blocks, and whether a centre may cross from one to the next.
type world struct {
	bounds terrain.Bounds
	solid  func(x, y int32) bool
	cross  func(x0, y0, x1, y1 int32) bool
}

func (w *world) free(x, y, r int32) bool {
	in := func(x, y int32) bool {
		return x >= w.bounds.X && x < w.bounds.X+w.bounds.Width && y >= w.bounds.Y && y < w.bounds.Y+w.bounds.Height
	}
	if !in(x, y) {
		return false
	}
	for i := x - r; i <= x+r; i++ {
		for j := y - r; j <= y+r; j++ {
			if in(i, j) && w.solid(i, j) {
				return false
			}
		}
	}
	return true
}

// walk is the slow twin of Walk: quantum by quantum.
func (w *world) walk(x, y, dx, dy, r int32) (int32, int32) {
	if !w.free(x, y, r) {
		return x, y
	}
	abs := func(v int32) int32 { return max(v, -v) }
	n := min((max(abs(dx), abs(dy))+15)/16, 256)
	oneX := func(to int32) {
		for d := int32(1); to != 0; to -= d {
			if to < 0 {
				d = -1
			}
			if w.free(x+d, y, r) && w.cross(x, y, x+d, y) {
				x += d
			} else {
				return
			}
		}
	}
	oneY := func(to int32) {
		for d := int32(1); to != 0; to -= d {
			if to < 0 {
				d = -1
			}
			if w.free(x, y+d, r) && w.cross(x, y, x, y+d) {
				y += d
			} else {
				return
			}
		}
	}
	for i := int32(1); i <= n; i++ {
		px, py := dx*i/n-dx*(i-1)/n, dy*i/n-dy*(i-1)/n
		if abs(dy) > abs(dx) {
			oneY(py)
			oneX(px)
		} else {
			oneX(px)
			oneY(py)
		}
	}
	return x, y
}

// touches is the slow twin of a line of sight: the line and the closed square around places low … high, cut in fractions.
func touches(x0, y0, x1, y1 int32, low, high [2]int32) bool {
	from, to := big.NewRat(0, 1), big.NewRat(1, 1)
	for axis, p := range [2][2]int32{{x0, x1}, {y0, y1}} {
		a, d := big.NewRat(int64(p[0]), 1), big.NewRat(int64(p[1])-int64(p[0]), 1)
		l, h := big.NewRat(2*int64(low[axis])-1, 2), big.NewRat(2*int64(high[axis])+1, 2)
		if d.Sign() == 0 {
			if a.Cmp(l) < 0 || a.Cmp(h) > 0 {
				return false
			}
			continue
		}
		s, e := new(big.Rat).Sub(l, a), new(big.Rat).Sub(h, a)
		s.Quo(s, d)
		e.Quo(e, d)
		if d.Sign() < 0 {
			s, e = e, s
		}
		if s.Cmp(from) > 0 {
			from = s
		}
		if e.Cmp(to) < 0 {
			to = e
		}
	}
	return from.Cmp(to) <= 0
}

// someRects are random rectangles around small bounds, some of them touching by side or corner, some out of bounds.
func someRects(r *rand.Rand) (terrain.Bounds, []terrain.Rect) {
	b := terrain.Bounds{X: r.Int32N(100) - 50, Y: r.Int32N(100) - 50, Width: 20 + r.Int32N(120), Height: 20 + r.Int32N(120)}
	var rects []terrain.Rect
	for range r.IntN(14) {
		x, y, w, h := b.X+r.Int32N(b.Width+20)-10, b.Y+r.Int32N(b.Height+20)-10, 1+r.Int32N(20), 1+r.Int32N(20)
		rects = append(rects, terrain.Rect{X0: x, Y0: y, X1: x + w, Y1: y + h})
		switch r.IntN(3) {
		case 0:
			rects = append(rects, terrain.Rect{X0: x + w, Y0: y + h, X1: x + w + 5, Y1: y + h + 5})
		case 1:
			rects = append(rects, terrain.Rect{X0: x - 9, Y0: y, X1: x, Y1: y + h})
		}
	}
	return b, rects
}

func worldOfRects(b terrain.Bounds, rects []terrain.Rect) *world {
	return &world{bounds: b, cross: func(_, _, _, _ int32) bool { return true }, solid: func(x, y int32) bool {
		for _, r := range rects {
			if x >= r.X0 && x < r.X1 && y >= r.Y0 && y < r.Y1 {
				return true
			}
		}
		return false
	}}
}

func someGrid(r *rand.Rand) terrain.GridConfig {
	c := terrain.GridConfig{X: r.Int32N(100) - 50, Y: r.Int32N(100) - 50, Cell: 1 + r.Int32N(14), Columns: 1 + r.Int32N(12), Rows: 1 + r.Int32N(12)}
	set := func(per int) []uint64 {
		if r.IntN(4) == 0 {
			return nil
		}
		s := make([]uint64, (c.Columns*c.Rows+63)/64)
		for i := range c.Columns * c.Rows {
			if r.IntN(per) == 0 {
				s[i/64] |= 1 << (i % 64)
			}
		}
		return s
	}
	c.Blocked, c.Opaque = set(5), set(5)
	if r.IntN(2) == 0 {
		c.Heights = make([]uint16, c.Columns*c.Rows)
		for i := range c.Heights {
			c.Heights[i] = uint16(r.IntN(6))
		}
		c.Climb, c.Drop = uint16(r.IntN(4)), uint16(r.IntN(4))
	}
	return c
}

func has(set []uint64, i int32) bool { return set != nil && set[i/64]>>(i%64)&1 != 0 }

func worldOfGrid(c terrain.GridConfig) *world {
	at := func(x, y int32) int32 { return (y-c.Y)/c.Cell*c.Columns + (x-c.X)/c.Cell }
	return &world{bounds: terrain.Bounds{X: c.X, Y: c.Y, Width: c.Columns * c.Cell, Height: c.Rows * c.Cell},
		solid: func(x, y int32) bool { return has(c.Blocked, at(x, y)) },
		cross: func(x0, y0, x1, y1 int32) bool {
			if c.Heights == nil {
				return true
			}
			rise := int(c.Heights[at(x1, y1)]) - int(c.Heights[at(x0, y0)])
			return (c.Climb == 0 || rise <= int(c.Climb)) && (c.Drop == 0 || -rise <= int(c.Drop))
		}}
}

// ways makes a few walks on a map, from anywhere and at any speed, some of them many times through it.
func ways(r *rand.Rand, b terrain.Bounds, n int, f func(x, y, dx, dy, radius int32)) {
	for range n {
		reach := int32(1) << r.IntN(10)
		if r.IntN(20) == 0 {
			reach = 5000
		}
		f(b.X+r.Int32N(b.Width+4)-2, b.Y+r.Int32N(b.Height+4)-2, r.Int32N(2*reach+1)-reach, r.Int32N(2*reach+1)-reach, r.Int32N(7))
	}
}

type walker interface {
	Walk(x, y, dx, dy, radius int32) (nx, ny int32)
	Free(x, y, radius int32) bool
	Clear(x0, y0, x1, y1 int32) bool
}

// agrees holds a map to its slow twin and to what the package promises, and returns how many walks were stopped by something.
func agrees(t *testing.T, r *rand.Rand, m walker, w *world, walks int) (stopped int) {
	t.Helper()
	ways(r, w.bounds, walks, func(x, y, dx, dy, radius int32) {
		free := w.free(x, y, radius)
		if m.Free(x, y, radius) != free {
			t.Fatalf("%+v: a body of %d at %d, %d: free should be %v", w.bounds, radius, x, y, free)
		}
		nx, ny := m.Walk(x, y, dx, dy, radius)
		if wx, wy := w.walk(x, y, dx, dy, radius); nx != wx || ny != wy {
			t.Fatalf("%+v: a body of %d from %d, %d by %d, %d came to %d, %d, want %d, %d", w.bounds, radius, x, y, dx, dy, nx, ny, wx, wy)
		}
		if free && !w.free(nx, ny, radius) {
			t.Fatalf("a body of %d from %d, %d by %d, %d ended inside, at %d, %d", radius, x, y, dx, dy, nx, ny)
		}
		for _, d := range [2][2]int32{{nx - x, dx}, {ny - y, dy}} {
			if d[0] != 0 && d[0] > 0 != (d[1] > 0) || max(d[0], -d[0]) > max(d[1], -d[1]) {
				t.Fatalf("a body of %d from %d, %d by %d, %d went back or too far, to %d, %d", radius, x, y, dx, dy, nx, ny)
			}
		}
		if free && (nx != x+dx || ny != y+dy) {
			stopped++
		}
	})
	return stopped
}

// rounds is how many maps are tried.
func rounds() int {
	if testing.Short() {
		return 50
	}
	return 300
}

func TestRectsAreThoseOfTheSlowTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	stopped, seen, hidden := 0, 0, 0
	for range rounds() {
		b, rects := someRects(r)
		m, err := terrain.NewRects(b, rects)
		if err != nil {
			t.Fatal(err)
		}
		stopped += agrees(t, r, m, worldOfRects(b, rects), 60)
		ways(r, b, 60, func(x, y, dx, dy, _ int32) {
			want := true
			for _, c := range rects {
				x0, y0, x1, y1 := max(c.X0, b.X), max(c.Y0, b.Y), min(c.X1, b.X+b.Width), min(c.Y1, b.Y+b.Height)
				want = want && (x0 >= x1 || y0 >= y1 || !touches(x, y, x+dx, y+dy, [2]int32{x0, y0}, [2]int32{x1 - 1, y1 - 1}))
			}
			if m.Clear(x, y, x+dx, y+dy) != want || m.Clear(x+dx, y+dy, x, y) != want {
				t.Fatalf("%+v %+v: from %d, %d by %d, %d: sight should be %v", b, rects, x, y, dx, dy, want)
			}
			if want {
				seen++
			} else {
				hidden++
			}
		})
	}
	if min(stopped, seen, hidden) < 10*rounds() {
		t.Errorf("%d walks were stopped, %d lines were clear, %d were not: too few to mean anything", stopped, seen, hidden)
	}
}

func TestGridsAreThoseOfTheSlowTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	stopped, seen, hidden := 0, 0, 0
	for range rounds() {
		c := someGrid(r)
		m, err := terrain.NewGrid(c)
		if err != nil {
			t.Fatal(err)
		}
		w := worldOfGrid(c)
		stopped += agrees(t, r, m, w, 60)
		opaque := m.Config().Opaque
		ways(r, w.bounds, 60, func(x, y, dx, dy, _ int32) {
			want := true
			for i := range c.Columns * c.Rows {
				low := [2]int32{c.X + i%c.Columns*c.Cell, c.Y + i/c.Columns*c.Cell}
				want = want && (!has(opaque, i) || !touches(x, y, x+dx, y+dy, low, [2]int32{low[0] + c.Cell - 1, low[1] + c.Cell - 1}))
			}
			if m.Clear(x, y, x+dx, y+dy) != want || m.Clear(x+dx, y+dy, x, y) != want {
				t.Fatalf("%+v: from %d, %d by %d, %d: sight should be %v", c, x, y, dx, dy, want)
			}
			if want {
				seen++
			} else {
				hidden++
			}
		})
	}
	if min(stopped, seen, hidden) < 10*rounds() {
		t.Errorf("%d walks were stopped, %d lines were clear, %d were not: too few to mean anything", stopped, seen, hidden)
	}
}
