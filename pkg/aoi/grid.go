package aoi

import (
	"math"
	"math/bits"
)

// none is the number of no slot and no block.
const none = ^uint32(0)

// grid cuts the plane into square cells, and finds what lies in them through a table of fixed size: a torus, in which cells far apart share a place. It costs neither
// memory nor tuning where the world is vast, empty or lopsided.
type grid struct {
	side float64 // of a cell, in units of length; 0: there is no grid yet
	skin float64 // by which a block's box exceeds its cell: who walks along an edge stays where it is
	per  float64 // 1 / side

	cols, rows uint32 // powers of two
	shift      uint8  // cols = 1 << shift

	targets, eyes places
	levels        [levels]level // of eyes
}

// level is a coarser grid laid over the cells, each twice as wide as the one below. Eyes lie in cells about as wide as they see far, or those that see far would fill whole blocks
// seldom, and change them often; targets lie in level 0.
type level struct {
	n            int     // blocks of eyes
	far, farther float64 // no list reaches farther; and of those that the present sweep has seen, and those that came since it began
}

const levels = 16

// places are the heads of chains of blocks, per place of the table: those with room, and the full ones.
type places struct {
	open, full []uint32
	n          int // blocks in all
}

// minPlaces is the least size of the table.
const minPlaces = 64

// lay makes an empty grid of cells of a side, with a table fit for a number of blocks.
func (g *grid) lay(side float64, blocks int) {
	n := max(minPlaces, uint32(1)<<bits.Len(uint(max(blocks, 1))))
	log := bits.Len32(n) - 1
	g.side, g.skin, g.per = side, side/skinPart, 1/side
	g.shift = uint8((log + 1) / 2)
	g.cols = 1 << g.shift
	g.rows = n / g.cols
	g.targets.lay(int(n))
	g.eyes.lay(int(n))
	g.levels = [levels]level{}
}

// skinPart is how many skins make a cell. A wider skin saves walkers that turn at an edge a change of block, and makes every list longer.
const skinPart = 32

func (p *places) lay(n int) {
	p.open, p.full, p.n = resized(p.open, n), resized(p.full, n), 0
	for i := range p.open {
		p.open[i], p.full[i] = none, none
	}
}

// at is the coordinate of a cell that holds one of a point: exact to a part in 2^52, monotone.
func (g *grid) at(v float64) int32 { return int32(math.Floor(v * g.per)) }

func (g *grid) place(x, z int32) uint32 {
	return uint32(x)&(g.cols-1) | uint32(z)&(g.rows-1)<<g.shift
}

// levelPlace keeps the cells of different levels apart.
func (g *grid) levelPlace(x, z int32, level uint8) uint32 {
	return g.place(x+int32(level)*37, z+int32(level)*101)
}

// level of eyes that see so far.
func (g *grid) level(reach float64) uint8 {
	_, e := math.Frexp(reach * g.per * levelPart)
	return uint8(min(max(e-1, 0), levels-1))
}

// levelPart is the side of an eye's cell as a part of how far it sees.
const levelPart = 0.75

// home is the box of a cell with its skin, rounded outwards.
func (g *grid) home(x, z int32, level uint8) box {
	side, skin := math.Ldexp(g.side, int(level)), math.Ldexp(g.skin, int(level))
	return box{
		below(float64(x)*side - skin), below(float64(z)*side - skin),
		above(float64(x+1)*side + skin), above(float64(z+1)*side + skin),
	}
}

// area is what box and reach touch in cells, from and to inclusive. all says that no cell of the table is outside, or that walking the cells would cost more than the blocks.
type area struct {
	x0, z0, x1, z1 int32
	all            bool
}

func (g *grid) around(b box, reach float64, blocks int, level uint8) (a area) {
	// A block's box exceeds its cell by the skin, and by what rounding adds.
	reach = wider(reach)
	reach += math.Ldexp(g.skin, int(level))*1.001 + (reach+float64(max(-b.minX, b.maxX, -b.minZ, b.maxZ)))/(1<<22)
	per := math.Ldexp(g.per, -int(level))
	x0, z0 := (float64(b.minX)-reach)*per, (float64(b.minZ)-reach)*per
	x1, z1 := (float64(b.maxX)+reach)*per, (float64(b.maxZ)+reach)*per
	if !((x1-x0+2)*(z1-z0+2) < float64(blocks)+8) || x1-x0+2 >= float64(g.cols) || z1-z0+2 >= float64(g.rows) {
		a.all = true
		return a
	}
	// Less than a table's worth of cells: all of it fits an int32, as positions do.
	return area{int32(math.Floor(x0)), int32(math.Floor(z0)), int32(math.Floor(x1)), int32(math.Floor(z1)), false}
}

// chain joins the blocks of one place: next and prev by block.
type chain struct{ next, prev []uint32 }

func (c *chain) push(head *uint32, b uint32) {
	c.next[b], c.prev[b] = *head, none
	if *head != none {
		c.prev[*head] = b
	}
	*head = b
}

func (c *chain) drop(head *uint32, b uint32) {
	if p := c.prev[b]; p != none {
		c.next[p] = c.next[b]
	} else {
		*head = c.next[b]
	}
	if n := c.next[b]; n != none {
		c.prev[n] = c.prev[b]
	}
}

// holds is false for NaN.
func (b *box) holds(x, z float32) bool {
	return x >= b.minX && x <= b.maxX && z >= b.minZ && z <= b.maxZ
}

// gap is the square of the distance between two boxes, 0 if they touch.
func (b *box) gap(o *box) float64 {
	dx := max(float64(b.minX)-float64(o.maxX), float64(o.minX)-float64(b.maxX), 0)
	dz := max(float64(b.minZ)-float64(o.maxZ), float64(o.minZ)-float64(b.maxZ), 0)
	return dx*dx + dz*dz
}

// wider is a reach with room for all that float32 rounds: roundings make d² accept true distances up to r·(1 + 2^-22), and squares below 1e-22 vanish.
func wider(reach float64) float64 { return reach*(1+1e-6) + 1e-22 }

// within is the square of it.
func within(reach float64) float64 { return wider(reach) * wider(reach) }

func below(v float64) float32 {
	f := float32(v)
	if float64(f) > v {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

func above(v float64) float32 {
	f := float32(v)
	if float64(f) < v {
		f = math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}

// resized returns s with length n; its contents are not kept when it grows.
func resized[T any](s []T, n int) []T {
	if cap(s) < n || cap(s) > 4*n+1024 {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}
