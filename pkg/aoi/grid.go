package aoi

import (
	"math"
	"math/bits"
)

type point struct{ x, z float32 }

func dist2(a, b point) float32 {
	dx, dz := a.x-b.x, a.z-b.z
	return float32(dx*dx) + float32(dz*dz) // the conversions forbid fusing
}

// geometry maps positions to cells of a torus, row by row. The map from a
// coordinate to a column or row is monotone, which is all that window relies on
// (cell 0 is twice as wide, since conversion rounds towards zero).
type geometry struct {
	perX, perZ float32 // columns and rows per unit of length
	cols, rows uint32  // powers of two
	shift      uint8   // cols = 1 << shift
}

const (
	minCells = 64
	// Rows are deep and columns thin: a row is one contiguous run of slots, so
	// thin columns trim its ends for free, and few rows mean few loops.
	colsPerRow = 4
	// maxIndex keeps columns and rows far from overflowing an int32.
	maxIndex = 1 << 30
)

func (g *geometry) cell(p point) uint32 {
	x := uint32(int32(p.x*g.perX)) & (g.cols - 1)
	z := uint32(int32(p.z*g.perZ)) & (g.rows - 1)
	return z<<g.shift | x
}

// choose sets the geometry for n entries, and reports whether it changed.
func (g *geometry) choose(n int, cell, reach float32) bool {
	old := *g
	cells := old.cols * old.rows
	if n > int(cells) || n < int(cells)/8 || cells == 0 {
		cells = max(minCells, uint32(1)<<bits.Len(uint(max(n, 1)-1)))
		log := bits.Len32(cells) - 1
		g.shift = uint8((log + 3) / 2) // colsPerRow times more columns than rows
		g.cols = 1 << g.shift
		g.rows = cells / g.cols
	}
	g.perZ = min(1/cell, maxIndex/reach/colsPerRow)
	g.perX = g.perZ * colsPerRow
	return *g != old
}

// window is the part of the torus that a circle touches: nx columns from x, nz
// rows from z, both wrapping.
type window struct{ x, z, nx, nz uint32 }

// window covers every position inside bounds whose d² to p, as dist2 rounds it,
// is at most r·r.
func (g *geometry) window(p point, r float32, c *Config) window {
	// Roundings make dist2 accept true distances up to r·(1 + 2^-22), and
	// squares of less than 1e-22 vanish. Rounding to float32 and cell are
	// monotone, so a target at or above the low edge lands at or above its cell.
	reach := float64(r)*(1+1e-6) + 1e-22
	x, z := float64(p.x), float64(p.z)
	x0 := int32(clamp(x-reach, c.MinX, c.MaxX) * g.perX)
	x1 := int32(clamp(x+reach, c.MinX, c.MaxX) * g.perX)
	z0 := int32(clamp(z-reach, c.MinZ, c.MaxZ) * g.perZ)
	z1 := int32(clamp(z+reach, c.MinZ, c.MaxZ) * g.perZ)
	w := window{uint32(x0) & (g.cols - 1), uint32(z0) & (g.rows - 1), uint32(x1-x0) + 1, uint32(z1-z0) + 1}
	if w.nx >= g.cols {
		w.x, w.nx = 0, g.cols
	}
	if w.nz >= g.rows {
		w.z, w.nz = 0, g.rows
	}
	return w
}

func clamp(v float64, lo, hi float32) float32 { return min(max(float32(v), lo), hi) }

// index keeps all entries in slots, sorted by cell and within a cell by handle.
type index struct {
	geometry
	start  []uint32 // cell → first slot; one more for the end
	points []point  // slot → position at the time of the sort; x is NaN where nobody may look
	handle []uint32 // slot → handle
	strays []uint32 // handles that have left the cell of their slot, or have no slot yet
}

// renumbering carries the visible sets from the slots of the last Tick to those of
// this one. Sets are kept in slots, not handles, because what one observer sees
// lies close together there, and anywhere by handle.
type renumbering struct {
	handle []uint32 // slot of the last Tick → handle
	slot   []uint32 // slot of the last Tick → slot now; past the end if removed
}

// run is a range of slots.
type run struct{ from, to uint32 }

// runs returns the slots of row k of w: one run, or two where the row wraps.
func (d *index) runs(w window, k uint32) (a, b run) {
	row := ((w.z + k) & (d.rows - 1)) << d.shift
	end := w.x + w.nx
	if end <= d.cols {
		return run{d.start[row+w.x], d.start[row+end]}, run{}
	}
	return run{d.start[row+w.x], d.start[row+d.cols]}, run{d.start[row], d.start[row+end-d.cols]}
}

// sort rebuilds the index from the current positions: a counting sort.
func (s *Space) sort() {
	d := &s.index
	if d.choose(s.live, s.cellSize(), s.reach) {
		d.start = resized(d.start, int(d.cols*d.rows)+1)
		for h, f := range s.flags {
			if f&alive != 0 {
				s.cell[h] = d.geometry.cell(s.pos[h])
			}
		}
	}
	d.points = resized(d.points, s.live+1)
	d.handle = resized(d.handle, s.live)
	start := d.start
	clear(start)
	for h, f := range s.flags {
		if f&alive != 0 {
			start[s.cell[h]]++
		}
	}
	sum := uint32(0)
	for i := range start {
		sum += start[i]
		start[i] = sum
	}
	nan := float32(math.NaN())
	for h := len(s.flags) - 1; h >= 0; h-- { // downwards: leaves start at the beginnings
		f := s.flags[h]
		if f&alive == 0 {
			continue
		}
		c := s.cell[h]
		slot := start[c] - 1
		start[c] = slot
		p := s.pos[h]
		if f&hidden != 0 {
			p.x = nan
		}
		d.points[slot] = p
		d.handle[slot] = uint32(h)
		s.slot[h] = slot
		s.flags[h] = f &^ stray
	}
	// One slot past the end is where removed targets stand, out of everyone's sight.
	d.points[s.live] = point{nan, nan}
	for _, h := range s.removed {
		s.slot[h] = uint32(s.live)
	}
	d.strays = d.strays[:0]
}

// cellSize is the depth of a row: given, or the median enter radius.
func (s *Space) cellSize() float32 {
	if s.cfg.CellSize > 0 {
		return s.cfg.CellSize
	}
	if !s.radiiChanged {
		return s.autoCell
	}
	s.radiiChanged = false
	total := uint32(0)
	for _, n := range s.radii {
		total += n
	}
	if total == 0 {
		return s.autoCell
	}
	seen := uint32(0)
	for b, n := range s.radii {
		if seen += n; 2*seen >= total {
			// The middle of the class; a huge one must not become infinite.
			s.autoCell = math.Float32frombits(uint32(b)<<radiusShift | 1<<(radiusShift-1))
			break
		}
	}
	return s.autoCell
}

// radiusShift leaves a radius its exponent and one bit of mantissa: the classes
// over which the median is taken.
const radiusShift = 22

func radiusClass(r float32) uint32 { return math.Float32bits(r) >> radiusShift }

// resized returns s with length n; its contents are not kept when it grows.
func resized[T any](s []T, n int) []T {
	if cap(s) < n || cap(s) > 4*n+1024 {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}
