package terrain

import (
	"fmt"
)

// Rect is a rectangle that blocks: places from (X0, Y0) up to, not including, (X1, Y1).
type Rect struct{ X0, Y0, X1, Y1 int32 }

// Rects is a map of rectangles that neither bodies nor sight go through. They may touch and overlap; between two that touch is no gap, not even at a corner.
type Rects struct {
	bounds  Bounds
	boxes   []box
	shift   uint // a bucket is a square of 2^shift quanta
	columns int64
	rows    int64
	starts  []uint32 // bucket i lists items[starts[i]:starts[i+1]], indices of the boxes that touch it
	items   []uint32
}

// box is a Rect with its last places instead of those behind them, by axis.
type box struct{ low, high [2]int32 }

// MaxRects is the largest number of rectangles of one map.
const MaxRects = 1 << 24

// NewRects makes a map. What of a rectangle lies out of bounds does not exist. Memory: 16 bytes per rectangle, and at most 80 for buckets.
func NewRects(b Bounds, rects []Rect) (*Rects, error) {
	if err := b.validate(); err != nil {
		return nil, err
	}
	if len(rects) > MaxRects {
		return nil, fmt.Errorf("terrain of %d rectangles: need at most %d; take a Grid", len(rects), MaxRects)
	}
	m := &Rects{bounds: b}
	for i, r := range rects {
		if r.X0 >= r.X1 || r.Y0 >= r.Y1 {
			return nil, fmt.Errorf("rectangle %d from (%d, %d) to (%d, %d): need X0 < X1 and Y0 < Y1", i, r.X0, r.Y0, r.X1, r.Y1)
		}
		c := box{low: [2]int32{max(r.X0, b.X), max(r.Y0, b.Y)}, high: [2]int32{min(r.X1-1, b.end(0)), min(r.Y1-1, b.end(1))}}
		if c.low[0] <= c.high[0] && c.low[1] <= c.high[1] {
			m.boxes = append(m.boxes, c)
		}
	}
	m.fill()
	return m, nil
}

// fill sorts the boxes into buckets: the smallest that there are few enough of, and that list each box few enough times.
func (m *Rects) fill() {
	n := int64(len(m.boxes))
	for m.shift = 4; ; m.shift++ {
		m.columns, m.rows = int64(m.bounds.Width-1)>>m.shift+1, int64(m.bounds.Height-1)>>m.shift+1
		if m.columns*m.rows > 4*n+16 {
			continue
		}
		listed := int64(0)
		for i := range m.boxes {
			low, high := m.buckets(&m.boxes[i])
			listed += (high[0] - low[0] + 1) * (high[1] - low[1] + 1)
		}
		if listed <= 15*n+16 || m.columns*m.rows == 1 {
			m.starts, m.items = make([]uint32, m.columns*m.rows+1), make([]uint32, listed)
			break
		}
	}
	for round := range 2 { // first count, then place, backwards from the ends
		for i := len(m.boxes) - 1; i >= 0; i-- {
			low, high := m.buckets(&m.boxes[i])
			for row := low[1]; row <= high[1]; row++ {
				for column := low[0]; column <= high[0]; column++ {
					at := &m.starts[row*m.columns+column]
					if round == 0 {
						*at++
						continue
					}
					*at--
					m.items[*at] = uint32(i)
				}
			}
		}
		if round == 0 {
			sum := uint32(0)
			for i := range m.starts {
				sum += m.starts[i]
				m.starts[i] = sum
			}
		}
	}
}

// buckets returns the buckets that a box touches, by axis. It may reach out of bounds: there is nothing.
func (m *Rects) buckets(b *box) (low, high [2]int64) {
	for axis, n := range [2]int64{m.columns, m.rows} {
		corner := int64(m.bounds.corner(axis))
		low[axis] = max((int64(b.low[axis])-corner)>>m.shift, 0)
		high[axis] = min((int64(b.high[axis])-corner)>>m.shift, n-1)
	}
	return low, high
}

// around is what a body covers, within int32.
func (m *Rects) around(p [2]int32, radius int32) box {
	var b box
	for axis := range 2 {
		b.low[axis] = int32(max(int64(p[axis])-int64(radius), int64(m.bounds.corner(axis))))
		b.high[axis] = int32(min(int64(p[axis])+int64(radius), int64(m.bounds.end(axis))))
	}
	return b
}

func (b *box) meets(c *box) bool {
	return b.low[0] <= c.high[0] && b.low[1] <= c.high[1] && c.low[0] <= b.high[0] && c.low[1] <= b.high[1]
}

// empty says whether no rectangle meets b.
func (m *Rects) empty(b *box) bool {
	low, high := m.buckets(b)
	for row := low[1]; row <= high[1]; row++ {
		for at := row*m.columns + low[0]; at <= row*m.columns+high[0]; at++ {
			for _, i := range m.items[m.starts[at]:m.starts[at+1]] {
				if m.boxes[i].meets(b) {
					return false
				}
			}
		}
	}
	return true
}

// Bounds returns those of the map.
func (m *Rects) Bounds() Bounds { return m.bounds }

// Free says whether a body may stand at a place.
func (m *Rects) Free(x, y, radius int32) bool {
	if !m.bounds.holds(x, y) {
		return false
	}
	b := m.around([2]int32{x, y}, size(radius))
	return m.empty(&b)
}

// Walk moves a body by at most (dx, dy): see the package.
func (m *Rects) Walk(x, y, dx, dy, radius int32) (nx, ny int32) {
	return walk(m, x, y, dx, dy, size(radius))
}

func size(radius int32) int32 { return min(max(radius, 0), MaxRadius) }

// openBuckets limits how many buckets open looks into: a long way is cheaper stride by stride.
const openBuckets = 16

func (m *Rects) open(p, d [2]int32, radius int32) bool {
	to := [2]int32{p[0] + d[0], p[1] + d[1]} // wrapped, if at all, to the wrong side of p
	if !m.bounds.holds(to[0], to[1]) || (to[0] < p[0]) != (d[0] < 0) || (to[1] < p[1]) != (d[1] < 0) {
		return false
	}
	b, end := m.around(p, radius), m.around(to, radius)
	for axis := range 2 {
		b.low[axis], b.high[axis] = min(b.low[axis], end.low[axis]), max(b.high[axis], end.high[axis])
	}
	low, high := m.buckets(&b)
	return (high[0]-low[0]+1)*(high[1]-low[1]+1) <= openBuckets && m.empty(&b)
}

func (m *Rects) slide(p [2]int32, axis int, d, radius int32) int32 {
	swept := m.around(p, radius)
	from, r := int64(p[axis]), int64(radius)
	to := min(max(from+int64(d), int64(m.bounds.corner(axis))), int64(m.bounds.end(axis)))
	if d > 0 { // only what the front passes over: there is nothing where the body is
		swept.low[axis], swept.high[axis] = swept.high[axis], int32(min(to+r, int64(m.bounds.end(axis))))
	} else {
		swept.low[axis], swept.high[axis] = int32(max(to-r, int64(m.bounds.corner(axis)))), swept.low[axis]
	}
	low, high := m.buckets(&swept)
	for row := low[1]; row <= high[1]; row++ {
		for at := row*m.columns + low[0]; at <= row*m.columns+high[0]; at++ {
			for _, i := range m.items[m.starts[at]:m.starts[at+1]] {
				b := &m.boxes[i]
				if !b.meets(&swept) {
					continue
				}
				if d > 0 {
					to = min(to, int64(b.low[axis])-r-1)
				} else {
					to = max(to, int64(b.high[axis])+r+1)
				}
			}
		}
	}
	return int32(to)
}

// Clear says whether nothing is on the line between two places.
func (m *Rects) Clear(x0, y0, x1, y1 int32) bool {
	l, ok := newLine(x0, y0, x1, y1, &m.bounds, 1<<m.shift)
	if !ok {
		return false
	}
	first, last := l.columns(m.columns)
	for column := first; column <= last; column++ {
		low, high := l.rows(column, m.rows)
		for row := low; row <= high; row++ {
			at := row*m.columns + column
			for _, i := range m.items[m.starts[at]:m.starts[at+1]] {
				if l.meets(&m.boxes[i], [2]int32{m.bounds.X, m.bounds.Y}) {
					return false
				}
			}
		}
	}
	return true
}
