//go:build !race

package terrain_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

// town is a map of n houses on a square of side quanta.
func town(n int, side int32) []terrain.Rect {
	r := rand.New(rand.NewPCG(9, 9))
	rects := make([]terrain.Rect, n)
	for i := range rects {
		x, y := r.Int32N(side), r.Int32N(side)
		rects[i] = terrain.Rect{X0: x, Y0: y, X1: x + 1000 + r.Int32N(4000), Y1: y + 1000 + r.Int32N(4000)}
	}
	return rects
}

func maps(t testing.TB) map[string]walker {
	const side = 320 * 1000
	list := map[string]walker{}
	for _, n := range []int{100, 2000} {
		m, err := terrain.NewRects(terrain.Bounds{Width: side, Height: side}, town(n, side))
		if err != nil {
			t.Fatal(err)
		}
		list[fmt.Sprintf("rects=%d", n)] = m
	}
	c := terrain.GridConfig{Columns: 1000, Rows: 1000, Climb: 900, Drop: 900, Blocked: make([]uint64, 15625), Heights: make([]uint16, 1_000_000)}
	r := rand.New(rand.NewPCG(9, 9))
	for range 100_000 {
		i := r.IntN(1_000_000)
		c.Blocked[i/64] |= 1 << (i % 64)
	}
	for i := range c.Heights {
		c.Heights[i] = uint16(r.IntN(1000))
	}
	m, err := terrain.NewGrid(c)
	if err != nil {
		t.Fatal(err)
	}
	list["grid"] = m
	return list
}

func TestNothingIsAllocated(t *testing.T) {
	for name, m := range maps(t) {
		r := rand.New(rand.NewPCG(1, 1))
		if n := testing.AllocsPerRun(200, func() {
			x, y := r.Int32N(320_000), r.Int32N(320_000)
			nx, ny := m.Walk(x, y, r.Int32N(4000)-2000, r.Int32N(4000)-2000, 100)
			m.Clear(x, y, nx, ny)
		}); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for name, m := range maps(b) {
		for _, step := range []int32{80, 3000} {
			b.Run(fmt.Sprintf("%s/step=%d", name, step), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 1))
				var p [1024][4]int32
				for i := range p {
					for p[i][2] == 0 || !m.Free(p[i][0], p[i][1], 100) {
						p[i] = [4]int32{r.Int32N(320_000), r.Int32N(320_000), r.Int32N(2*step) - step, r.Int32N(2*step) - step}
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N { // each goes on until it is stopped, and then turns
					q := &p[i%1024]
					x, y := m.Walk(q[0], q[1], q[2], q[3], 100)
					if x != q[0]+q[2] || y != q[1]+q[3] {
						q[2], q[3] = -q[3], q[2]
					}
					q[0], q[1] = x, y
				}
			})
		}
	}
}

func BenchmarkClear(b *testing.B) {
	for name, m := range maps(b) {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			var p [1024][4]int32
			for i := range p {
				x, y := r.Int32N(300_000), r.Int32N(300_000)
				p[i] = [4]int32{x, y, x + r.Int32N(16_000), y + r.Int32N(16_000)}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				q := &p[i%1024]
				m.Clear(q[0], q[1], q[2], q[3])
			}
		})
	}
}
