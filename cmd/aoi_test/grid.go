package main

import (
	"iter"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// grid is what interest is compared with: the engine that one writes first. Cells of the usual enter radius hold lists of who is in them; every observer has a set of what it sees, a
// map. A tick looks at the set of every observer for who went, and into the cells around it, nine for most, for who came. It reports the same events.
type grid struct {
	size   float32 // of a cell, in units of length
	across int     // cells in a row and in a column
	cells  [][]int32
	at     []int32 // cell of an entity
	slot   []int32 // its place there

	x, z      []float32
	opts      []aoi.Opts
	observers []int32
	sees      []map[int32]struct{} // nil: not an observer

	leaves, enters []pair
	near           []candidate
	chosen         map[int32]struct{}
}

// pair of entities by number: what an aoi.Pair is by handle.
type pair struct{ observer, target int32 }

func newGrid(w *world) *grid {
	g := &grid{size: usualRadius(w), chosen: map[int32]struct{}{}}
	g.across = int(w.side/g.size) + 1
	g.cells = make([][]int32, g.across*g.across)
	n := len(w.x)
	g.at, g.slot, g.sees = make([]int32, n), make([]int32, n), make([]map[int32]struct{}, n)
	g.x, g.z, g.opts = slices.Clone(w.x), slices.Clone(w.z), w.opts
	for i := range w.x {
		g.enterCell(int32(i), g.cellOf(w.x[i], w.z[i]))
		if w.opts[i].Radius > 0 {
			g.observers = append(g.observers, int32(i))
			g.sees[i] = map[int32]struct{}{}
		}
	}
	return g
}

// usualRadius is the median of the observers' enter radii.
func usualRadius(w *world) float32 {
	var radii []float32
	for i := range w.opts {
		if w.opts[i].Radius > 0 {
			radii = append(radii, w.opts[i].Radius)
		}
	}
	if len(radii) == 0 {
		return enterRadius
	}
	slices.Sort(radii)
	return radii[len(radii)/2]
}

func (g *grid) cellOf(x, z float32) int32 { return int32(g.row(z)*g.across + g.row(x)) }

func (g *grid) row(v float32) int { return min(max(int(v/g.size), 0), g.across-1) }

func (g *grid) enterCell(i, cell int32) {
	g.at[i], g.slot[i] = cell, int32(len(g.cells[cell]))
	g.cells[cell] = append(g.cells[cell], i)
}

// move puts an entity elsewhere.
func (g *grid) move(i int32, x, z float32) {
	g.x[i], g.z[i] = x, z
	cell := g.cellOf(x, z)
	if cell == g.at[i] {
		return
	}
	list := g.cells[g.at[i]]
	last := list[len(list)-1]
	list[g.slot[i]], g.slot[last] = last, g.slot[i]
	g.cells[g.at[i]] = list[:len(list)-1]
	g.enterCell(i, cell)
}

// load takes over where everyone stands, and what the engine saw at its last tick.
func (g *grid) load(c *crew, w *world) {
	for i := range w.x {
		g.move(int32(i), w.x[i], w.z[i])
	}
	for _, o := range g.observers {
		clear(g.sees[o])
		for t := range targets(c, o) {
			g.sees[o][t] = struct{}{}
		}
	}
}

// targets are the entities that an observer saw at the last tick.
func targets(c *crew, o int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		c.space.Visible(c.handles[o], func(t aoi.Handle) bool { return yield(c.number[t]) })
	}
}

// tick brings every set up to date and tells what changed, until the next tick.
func (g *grid) tick() (leaves, enters []pair) {
	g.leaves, g.enters = g.leaves[:0], g.enters[:0]
	for _, o := range g.observers {
		if g.opts[o].Nearest > 0 {
			g.lookNearest(o)
		} else {
			g.look(o)
		}
	}
	return g.leaves, g.enters
}

// look at everything in the circles of an observer.
func (g *grid) look(o int32) {
	sees, x, z := g.sees[o], g.x[o], g.z[o]
	enter2, leave2 := square(g.opts[o].Radius), square(g.opts[o].LeaveRadius)
	for t := range sees {
		if distance2(g.x[t]-x, g.z[t]-z) > leave2 {
			delete(sees, t)
			g.leaves = append(g.leaves, pair{o, t})
		}
	}
	g.around(o, func(list []int32) {
		for _, t := range list {
			if distance2(g.x[t]-x, g.z[t]-z) > enter2 || t == o {
				continue
			}
			if _, seen := sees[t]; !seen {
				sees[t] = struct{}{}
				g.enters = append(g.enters, pair{o, t})
			}
		}
	})
}

// around yields the cells that the enter circle of an observer touches.
func (g *grid) around(o int32, yield func([]int32)) {
	r := g.opts[o].Radius
	left, right := g.row(g.x[o]-r), g.row(g.x[o]+r)
	for row := g.row(g.z[o] - r); row <= g.row(g.z[o]+r); row++ {
		for _, list := range g.cells[row*g.across+left : row*g.across+right+1] {
			yield(list)
		}
	}
}

// candidate for one of the places that an observer with Nearest has.
type candidate struct {
	key    float32 // d², or less: who is seen already has an advantage
	target int32
}

// behind tells whether c yields its place to other.
func (c candidate) behind(other candidate) bool {
	return c.key > other.key || c.key == other.key && c.target > other.target
}

// stays is the advantage of who is seen already: nobody is replaced by one who is nearer by less than a tenth.
const stays = 0.8125

// lookNearest keeps the nearest of those in the circles of an observer.
func (g *grid) lookNearest(o int32) {
	sees, x, z, k := g.sees[o], g.x[o], g.z[o], g.opts[o].Nearest
	enter2, leave2 := square(g.opts[o].Radius), square(g.opts[o].LeaveRadius)
	g.near = g.near[:0]
	for t := range sees {
		if d2 := distance2(g.x[t]-x, g.z[t]-z); d2 <= leave2 {
			g.keep(candidate{d2 * stays, t}, k)
		}
	}
	g.around(o, func(list []int32) {
		for _, t := range list {
			d2 := distance2(g.x[t]-x, g.z[t]-z)
			if d2 > enter2 || t == o {
				continue
			}
			if _, seen := sees[t]; !seen {
				g.keep(candidate{d2, t}, k)
			}
		}
	})
	g.replace(o)
}

// keep a candidate among the first k, if it is one of them. Once near has k, it is a heap with the last of them on top.
func (g *grid) keep(c candidate, k int) {
	if len(g.near) == k {
		if g.near[0].behind(c) {
			g.near[0] = c
			g.sink(0)
		}
		return
	}
	if g.near = append(g.near, c); len(g.near) == k {
		for i := k/2 - 1; i >= 0; i-- {
			g.sink(i)
		}
	}
}

// sink moves a candidate down the heap to where it belongs.
func (g *grid) sink(i int) {
	h := g.near
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].behind(h[child]) {
			child++
		}
		if !h[child].behind(h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// replace the set of an observer by those that are near.
func (g *grid) replace(o int32) {
	sees := g.sees[o]
	clear(g.chosen)
	for _, c := range g.near {
		g.chosen[c.target] = struct{}{}
	}
	for t := range sees {
		if _, still := g.chosen[t]; !still {
			delete(sees, t)
			g.leaves = append(g.leaves, pair{o, t})
		}
	}
	for t := range g.chosen {
		if _, seen := sees[t]; !seen {
			sees[t] = struct{}{}
			g.enters = append(g.enters, pair{o, t})
		}
	}
}

func square(v float32) float32 { return v * v }

// distance2 is the square of a distance, each operation rounded to float32 by itself: no processor may join two.
func distance2(dx, dz float32) float32 { return float32(dx*dx) + float32(dz*dz) }
