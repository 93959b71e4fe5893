package aoi

import (
	"math"
	"math/bits"
)

// targets keeps what can be seen in blocks of 16 slots. A block belongs to a cell and to a set of layers; everything in it stands inside its box, which never changes while
// the block lives, so that the lists of those who look at it hold. Slots number all of them: block<<4 | lane.
type targets struct {
	chain
	pos   []float32 // 32 per block: x of 16 slots, then z; the x of an empty slot is NaN
	who   []Handle  // 16 per block; of one that has gone in this tick still who stood there
	boxes []box
	occ   []uint16 // occupied slots
	gone  []uint16 // slots left since the last Tick: what is kept about them means who stood there. They stay empty until it.
	dirty []uint8  // 1 if something moved, came or went since the last Tick

	cellX, cellZ []int32
	layers       []uint32 // 0: in no cell, seen by nobody
	grid         []uint8  // which of the two it is in
	state        []uint8

	freed   []uint32 // numbers that may be used again
	born    []uint32 // since the last Tick
	thin    []uint32 // with slots that have gone since the last Tick
	hollow  []hollow // found empty: a queue
	leaving []uint32 // taken out of their cells, until the end of this Tick
	hidden  uint32   // chain of the open blocks of layers 0
	n       int      // blocks in cells
}

// hollow is a block that was found empty. If it still is some ticks later it goes: those who come and go over an edge should find it.
type hollow struct {
	block uint32
	since uint32
}

// States of a block.
const (
	used   = iota
	queued // in hollow
	freed  // in no cell, or leaving it
)

const (
	full      = 1<<lanes - 1
	slotShift = 4
	laneMask  = lanes - 1
	limbo     = 2 // the grid of blocks in no cell
)

func (t *targets) position(slot uint32) (x, z float32) {
	i := slot>>slotShift<<(slotShift+1) | slot&laneMask
	return t.pos[i], t.pos[i+lanes]
}

// put finds a slot for h at a place.
func (s *Space) put(h Handle, x, z float32, layers uint32) uint32 {
	t := &s.targets
	b := s.room(x, z, layers)
	lane := uint32(bits.TrailingZeros16(^(t.occ[b] | t.gone[b])))
	t.occ[b] |= 1 << lane
	if t.occ[b]|t.gone[b] == full {
		s.fill(b)
	}
	t.dirty[b] = 1
	t.pos[b*2*lanes+lane] = x
	t.pos[b*2*lanes+lanes+lane] = z
	slot := b<<slotShift | lane
	t.who[slot] = h
	return slot
}

// room finds a block with a free slot, or makes one. The fullest is best: others may become empty, and go.
func (s *Space) room(x, z float32, layers uint32) uint32 {
	t := &s.targets
	if layers == 0 {
		if t.hidden != none {
			return t.hidden
		}
		return s.make(limbo, 0, 0, 0)
	}
	g := &s.grids[s.now]
	cx, cz := g.at(float64(x)), g.at(float64(z))
	best, most, tries := none, -1, 0
	for b := g.targets.open[g.place(cx, cz)]; b != none && tries < 4; b = t.next[b] {
		if t.cellX[b] == cx && t.cellZ[b] == cz && t.layers[b] == layers {
			if n := bits.OnesCount16(t.occ[b]); n > most {
				best, most = b, n
			}
			tries++
		}
	}
	if best != none {
		return best
	}
	return s.make(s.now, cx, cz, layers)
}

// make makes an empty block.
func (s *Space) make(grid uint8, cx, cz int32, layers uint32) uint32 {
	t := &s.targets
	b := t.number()
	t.layers[b], t.cellX[b], t.cellZ[b], t.grid[b], t.state[b] = layers, cx, cz, grid, used
	if layers == 0 {
		huge := float32(math.Inf(1))
		t.boxes[b] = box{-huge, -huge, huge, huge}
	} else {
		g := &s.grids[grid]
		t.boxes[b] = g.home(cx, cz, 0)
		g.targets.n++
		t.n++
		t.born = append(t.born, b)
	}
	t.push(s.head(b, false), b)
	return b
}

// number finds a number for a block: one that no list holds any more, or a new one.
func (t *targets) number() uint32 {
	if n := len(t.freed); n > 0 {
		b := t.freed[n-1]
		t.freed = t.freed[:n-1]
		return b
	}
	b := uint32(len(t.occ))
	for i := range 2 * lanes {
		v := float32(0)
		if i < lanes {
			v = float32(math.NaN())
		}
		t.pos = append(t.pos, v)
	}
	for range lanes {
		t.who = append(t.who, 0)
	}
	t.boxes = append(t.boxes, box{})
	t.occ, t.gone, t.dirty = append(t.occ, 0), append(t.gone, 0), append(t.dirty, 0)
	t.cellX, t.cellZ, t.layers = append(t.cellX, 0), append(t.cellZ, 0), append(t.layers, 0)
	t.grid, t.state = append(t.grid, 0), append(t.state, 0)
	t.next, t.prev = append(t.next, none), append(t.prev, none)
	return b
}

// head is where a block's chain begins.
func (s *Space) head(b uint32, filled bool) *uint32 {
	t := &s.targets
	if t.layers[b] == 0 {
		if filled {
			return &s.nowhere
		}
		return &t.hidden
	}
	g := &s.grids[t.grid[b]]
	p := g.place(t.cellX[b], t.cellZ[b])
	if filled {
		return &g.targets.full[p]
	}
	return &g.targets.open[p]
}

func (s *Space) fill(b uint32) {
	s.targets.drop(s.head(b, false), b)
	s.targets.push(s.head(b, true), b)
}

// vacate empties a slot. Who stood there is remembered until the next Tick has told those who saw it.
func (t *targets) vacate(slot uint32) {
	b, lane := slot>>slotShift, slot&laneMask
	t.occ[b] &^= 1 << lane
	if t.gone[b] == 0 {
		t.thin = append(t.thin, b)
	}
	t.gone[b] |= 1 << lane
	t.dirty[b] = 1
	t.pos[b*2*lanes+lane] = float32(math.NaN())
}

// settle ends a tick: what has gone is forgotten, and its slots are free again. Blocks that have been empty for some ticks go.
func (s *Space) settle() {
	t := &s.targets
	for _, b := range t.thin {
		if t.state[b] != freed && t.occ[b]|t.gone[b] == full {
			t.drop(s.head(b, true), b)
			t.push(s.head(b, false), b)
		}
		t.gone[b] = 0
		if t.occ[b] == 0 && t.state[b] == used {
			t.state[b] = queued
			t.hollow = append(t.hollow, hollow{b, s.tick})
		}
	}
	t.thin = t.thin[:0]
	t.born = t.born[:0]
	clear(t.dirty)
	n := 0
	for ; n < len(t.hollow) && s.tick-t.hollow[n].since >= patience; n++ {
		b := t.hollow[n].block
		if t.state[b] != queued {
			continue // it went otherwise
		}
		if t.state[b] = used; t.occ[b] == 0 {
			s.retire(b)
		}
	}
	t.hollow = append(t.hollow[:0], t.hollow[n:]...)
	s.unlist()
	t.freed = append(t.freed, t.leaving...)
	t.leaving = t.leaving[:0]
}

// patience is how many ticks an empty block waits for somebody.
const patience = 8

// retire takes an empty block out of its cell. Its number is free at the end of the Tick.
func (s *Space) retire(b uint32) {
	t := &s.targets
	t.drop(s.head(b, t.gone[b] == full), b)
	if t.layers[b] != 0 {
		s.grids[t.grid[b]].targets.n--
		t.n--
	}
	t.grid[b], t.state[b] = limbo, freed
	t.leaving = append(t.leaving, b)
}
