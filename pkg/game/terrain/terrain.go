// Package terrain says where bodies may walk: it has three maps for a zone, All (nothing in the way), Rects (rectangles that block) and Grid (cells that may be
// walked on, and their heights). web/sdk/fixed/terrain.ts has the same for prediction; a shared file of cases keeps both equal.
//
// Everything is in whole world quanta and gives the same result on every machine. A place is a square of one quantum, and a body of radius r covers the square
// of 2r+1 quanta around its centre: the square around a circle, so that at a corner it stops up to 0.41 r early, and along walls exactly. Bounds hold the centre
// of a body; what it covers beyond them is free.
//
// Walk goes in strides of 16 quanta (longer ones where the way is longer than 256 of them), each along the longer axis of the whole way first, then along the
// other. What is in the way stops one axis and leaves the other, which is how bodies slide along walls. Each stride is swept: nothing is jumped over at any
// speed. A body never goes back, never farther than asked on either axis, and never ends inside of anything. One that begins inside of something, or out of
// bounds, stays: put it where Free says yes.
//
// Maps do not change after they are made, so any number of zones and goroutines may use one. Walk, Free and Clear allocate nothing.
package terrain

import (
	"fmt"
	"math"
)

// MaxRadius is the largest radius of a body, in quanta; larger ones count as this, negative ones as 0.
const MaxRadius = 1 << 20

// MaxSight is how far along an axis Clear looks, in quanta (52 km of plains): nothing is seen beyond.
const MaxSight = 1 << 24

const (
	stride     = 16
	maxStrides = 256
)

// Bounds are the world's, or those of a part of it: places from (X, Y) up to, not including, (X+Width, Y+Height).
type Bounds struct{ X, Y, Width, Height int32 }

func (b Bounds) validate() error {
	if b.Width < 1 || b.Height < 1 || int64(b.X)+int64(b.Width) > math.MaxInt32 || int64(b.Y)+int64(b.Height) > math.MaxInt32 {
		return fmt.Errorf("terrain bounds %d × %d quanta from (%d, %d): need sides of at least 1 that end below 2^31", b.Width, b.Height, b.X, b.Y)
	}
	return nil
}

// corner and end are the least and the greatest coordinate of a centre.
func (b *Bounds) corner(axis int) int32 {
	if axis == 0 {
		return b.X
	}
	return b.Y
}

func (b *Bounds) end(axis int) int32 {
	if axis == 0 {
		return b.X + b.Width - 1
	}
	return b.Y + b.Height - 1
}

func (b *Bounds) holds(x, y int32) bool {
	return x >= b.X && y >= b.Y && x <= b.end(0) && y <= b.end(1)
}

// All is a map on which nothing is in the way but its bounds, whose sides must be at least 1. It differs from the others in one thing: who begins outside comes in, to the nearest place.
type All Bounds

// Walk goes as far as the bounds let it.
func (m All) Walk(x, y, dx, dy, _ int32) (nx, ny int32) {
	return within(x, dx, m.X, m.Width), within(y, dy, m.Y, m.Height)
}

func within(p, d, corner, size int32) int32 {
	low, high := int64(corner), int64(corner)+int64(size)-1
	return int32(min(max(int64(p)+int64(d), low), high))
}

// Free says whether a place is in bounds.
func (m All) Free(x, y, _ int32) bool {
	return within(x, 0, m.X, m.Width) == x && within(y, 0, m.Y, m.Height) == y
}

// Clear is true: nothing hides anything.
func (m All) Clear(_, _, _, _ int32) bool { return true }

// ground is what walk needs of a map.
type ground interface {
	Free(x, y, radius int32) bool
	// open says that a body gets from one place to another without any check on the way. It may err on the side of no.
	open(p, d [2]int32, radius int32) bool
	// slide moves a body at p, which is free, along one axis by d, which is not 0, and returns where on the axis it stops. Nothing on the way is left out.
	slide(p [2]int32, axis int, d, radius int32) int32
}

func walk(g ground, x, y, dx, dy, radius int32) (nx, ny int32) {
	if !g.Free(x, y, radius) {
		return x, y
	}
	p, d := [2]int32{x, y}, [2]int32{dx, dy}
	if g.open(p, d, radius) {
		return x + dx, y + dy
	}
	first := 0
	if length(dy) > length(dx) {
		first = 1
	}
	n := min((length(d[first])+stride-1)/stride, maxStrides)
	var done [2]int64
	for i := int64(1); i <= n; i++ {
		for _, axis := range [2]int{first, 1 - first} {
			to := int64(d[axis]) * i / n
			if part := int32(to - done[axis]); part != 0 {
				p[axis] = g.slide(p, axis, part, radius)
			}
			done[axis] = to
		}
	}
	return p[0], p[1]
}

func length(d int32) int64 { return max(int64(d), -int64(d)) }
