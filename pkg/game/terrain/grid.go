package terrain

import (
	"fmt"
	"math"
)

// Bounds of a Grid.
const (
	MaxCells = 1 << 26 // 8192 × 8192: 8 MB of bits, 128 MB of heights
	MaxCell  = 1 << 20 // quanta
)

// GridConfig describes a Grid: cells by rows from the lowest y on, each row from the lowest x on. The Grid keeps the slices; nobody may change them after that.
type GridConfig struct {
	X, Y          int32    // corner of the map, world quanta
	Cell          int32    // side of a cell, quanta; default 320, at most MaxCell
	Columns, Rows int32    // at least 1 each, together at most MaxCells
	Blocked       []uint64 // a bit per cell, the lowest first: nobody walks there; nil: nothing is
	Opaque        []uint64 // likewise: nobody sees through; nil: as Blocked
	Heights       []uint16 // of the ground, per cell, in a unit of the game's; nil: flat
	Climb         uint16   // the most that the ground may rise from a cell to the next for a body's centre to cross, in units of Heights; 0: anything
	Drop          uint16   // the same for falling ground
}

func (c *GridConfig) validate() error {
	if c.Cell == 0 {
		c.Cell = 320
	}
	cells := int64(c.Columns) * int64(c.Rows)
	switch {
	case c.Cell < 1 || c.Cell > MaxCell:
		return fmt.Errorf("terrain grid with cells of %d quanta: need 1 … %d", c.Cell, MaxCell)
	case c.Columns < 1 || c.Rows < 1 || cells > MaxCells:
		return fmt.Errorf("terrain grid of %d × %d cells: need at least 1 each, and at most %d together", c.Columns, c.Rows, MaxCells)
	case int64(c.Columns)*int64(c.Cell) > math.MaxInt32 || int64(c.Rows)*int64(c.Cell) > math.MaxInt32:
		return fmt.Errorf("terrain grid of %d × %d cells of %d quanta: the world ends at 2^31; take fewer or smaller cells", c.Columns, c.Rows, c.Cell)
	case c.Blocked != nil && int64(len(c.Blocked)) != words(cells):
		return fmt.Errorf("terrain grid: %d words of blocked cells, need %d for %d cells", len(c.Blocked), words(cells), cells)
	case c.Opaque != nil && int64(len(c.Opaque)) != words(cells):
		return fmt.Errorf("terrain grid: %d words of opaque cells, need %d for %d cells", len(c.Opaque), words(cells), cells)
	case c.Heights != nil && int64(len(c.Heights)) != cells:
		return fmt.Errorf("terrain grid: %d heights, need %d, one per cell", len(c.Heights), cells)
	}
	return c.bounds().validate()
}

func (c *GridConfig) bounds() Bounds { return Bounds{c.X, c.Y, c.Columns * c.Cell, c.Rows * c.Cell} }

// words is how many of 64 bits hold n bits.
func words(n int64) int64 { return (n + 63) / 64 }

// Grid is a map of square cells, each to be walked on or not, with heights. A body covers only cells to be walked on; its centre crosses from a cell to the next
// only where the ground does not rise more than Climb nor fall more than Drop. Sight is flat: it ends at opaque cells and takes no account of heights.
type Grid struct {
	bounds  Bounds
	c       GridConfig
	columns int64
}

// NewGrid makes a map, or says what is wrong with the configuration.
func NewGrid(c GridConfig) (*Grid, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Opaque == nil {
		c.Opaque = c.Blocked
	}
	return &Grid{bounds: c.bounds(), c: c, columns: int64(c.Columns)}, nil
}

// Config returns what the map was made of, in full.
func (m *Grid) Config() GridConfig { return m.c }

// Bounds returns those of the map.
func (m *Grid) Bounds() Bounds { return m.bounds }

// Height returns that of the ground at a place, in units of GridConfig.Heights; 0 out of bounds.
func (m *Grid) Height(x, y int32) uint16 {
	if m.c.Heights == nil || !m.bounds.holds(x, y) {
		return 0
	}
	return m.c.Heights[int64(m.cell(1, int64(y)))*m.columns+int64(m.cell(0, int64(x)))]
}

// cell returns the column (axis 0) or row of a coordinate; those out of bounds count as the nearest in them.
func (m *Grid) cell(axis int, v int64) int32 {
	corner := m.bounds.corner(axis)
	return int32(min(max(v, int64(corner)), int64(m.bounds.end(axis)))-int64(corner)) / m.c.Cell
}

func bit(set []uint64, i int64) bool { return set != nil && set[i>>6]>>(i&63)&1 != 0 }

// blocked says whether any cell of a line across an axis is: the one at i of the axis, from low to high of the other.
func (m *Grid) blocked(axis int, i, low, high int32) bool {
	at, step := int64(low)*m.columns+int64(i), m.columns
	if axis == 1 {
		at, step = int64(i)*m.columns+int64(low), 1
	}
	for ; low <= high; low++ {
		if bit(m.c.Blocked, at) {
			return true
		}
		at += step
	}
	return false
}

// Free says whether a body may stand at a place.
func (m *Grid) Free(x, y, radius int32) bool {
	if !m.bounds.holds(x, y) {
		return false
	}
	r := int64(size(radius))
	low, high := m.cell(0, int64(x)-r), m.cell(0, int64(x)+r)
	for row, last := m.cell(1, int64(y)-r), m.cell(1, int64(y)+r); row <= last; row++ {
		if m.blocked(1, row, low, high) {
			return false
		}
	}
	return true
}

// Walk moves a body by at most (dx, dy): see the package.
func (m *Grid) Walk(x, y, dx, dy, radius int32) (nx, ny int32) {
	return walk(m, x, y, dx, dy, size(radius))
}

// open is true while a body stays within the cells that it covers.
func (m *Grid) open(p, d [2]int32, radius int32) bool {
	for axis := range 2 {
		from, to, r := int64(p[axis]), int64(p[axis])+int64(d[axis]), int64(radius)
		if to < int64(m.bounds.corner(axis)) || to > int64(m.bounds.end(axis)) || m.cell(axis, from) != m.cell(axis, to) ||
			m.cell(axis, from-r) != m.cell(axis, to-r) || m.cell(axis, from+r) != m.cell(axis, to+r) {
			return false
		}
	}
	return true
}

func (m *Grid) slide(p [2]int32, axis int, d, radius int32) int32 {
	from, r, across := int64(p[axis]), int64(radius), int64(p[1-axis])
	corner, cell := int64(m.bounds.corner(axis)), int64(m.c.Cell)
	to := min(max(from+int64(d), corner), int64(m.bounds.end(axis)))
	low, high := m.cell(1-axis, across-r), m.cell(1-axis, across+r)
	at := m.cell(1-axis, across)
	if d > 0 {
		for i, last := m.cell(axis, from+r)+1, m.cell(axis, to+r); i <= last; i++ {
			if m.blocked(axis, i, low, high) {
				to = corner + int64(i)*cell - r - 1
				break
			}
		}
		for i, last := m.cell(axis, from), m.cell(axis, to); i < last; i++ {
			if !m.passable(axis, i, i+1, at) {
				to = corner + int64(i+1)*cell - 1
				break
			}
		}
		return int32(to)
	}
	for i, last := m.cell(axis, from-r)-1, m.cell(axis, to-r); i >= last; i-- {
		if m.blocked(axis, i, low, high) {
			to = corner + int64(i+1)*cell + r
			break
		}
	}
	for i, last := m.cell(axis, from), m.cell(axis, to); i > last; i-- {
		if !m.passable(axis, i, i-1, at) {
			to = corner + int64(i)*cell
			break
		}
	}
	return int32(to)
}

// passable says whether the ground lets a body's centre cross from cell i to j of an axis, at a cell of the other.
func (m *Grid) passable(axis int, i, j, at int32) bool {
	if m.c.Heights == nil {
		return true
	}
	a, b := int64(at)*m.columns+int64(i), int64(at)*m.columns+int64(j)
	if axis == 1 {
		a, b = int64(i)*m.columns+int64(at), int64(j)*m.columns+int64(at)
	}
	rise := int32(m.c.Heights[b]) - int32(m.c.Heights[a])
	return (m.c.Climb == 0 || rise <= int32(m.c.Climb)) && (m.c.Drop == 0 || -rise <= int32(m.c.Drop))
}

// Clear says whether no opaque cell is on the line between two places.
func (m *Grid) Clear(x0, y0, x1, y1 int32) bool {
	l, ok := newLine(x0, y0, x1, y1, &m.bounds, int64(m.c.Cell))
	if !ok || m.c.Opaque == nil {
		return ok
	}
	first, last := l.columns(m.columns)
	for column := first; column <= last; column++ {
		low, high := l.rows(column, int64(m.c.Rows))
		for row := low; row <= high; row++ {
			if bit(m.c.Opaque, row*m.columns+column) {
				return false
			}
		}
	}
	return true
}
