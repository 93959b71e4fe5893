package aoi

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// upkeep is what keeps a space in shape: the side of its cells fits the density, blocks long empty go, lists forget them. All of it is spread over ticks.
type upkeep struct {
	ticks int      // since the last look at the density
	size  int      // entries at that look
	last  int      // entries at the last Tick
	move  []uint32 // blocks of targets that are to leave the old grid, the next last
	turn  []uint32 // blocks of eyes
	sweep uint32   // next block of eyes to be looked at

	// What the present round of the sweep has added up, and the means of the last.
	eyes, listed int
	length       int // of the list that an average eye looks through

	dense, reach float64 // when the side was last found good; 0: not yet
	share        float64 // how many share a cell with the average target
}

const (
	// crowding is how many share a cell with the average target, itself included, at the side that suits best: blocks have room to spare, cells rarely need two.
	crowding = 13
	// slack is by which factor density and reach may change before the side is looked at.
	slack = 1.5
	// few eyes are fewer than one for so many entries.
	few = 16
	// every how many ticks the density is looked at, if the number of entries has not doubled or halved.
	every = 64
	// portion is the part of all entries that a tick moves to a new grid.
	portion = 32
	// rounds is in how many ticks the sweep gets around.
	rounds = 128
)

// side limits the side of a cell to what the bounds allow: coordinates of cells fit an int32.
func (s *Space) side(v float64) float64 {
	if s.cfg.CellSize > 0 {
		v = float64(s.cfg.CellSize)
	}
	return max(min(v, 4*s.reach), s.reach/(1<<28))
}

// tend looks after the grid.
func (s *Space) tend() {
	c := &s.care
	if old := &s.grids[1-s.now]; old.targets.n+old.eyes.n > 0 {
		// What a target costs that changes its block goes with how many see it.
		s.migrate(max((s.live/portion+256)*32/max(c.length, 32), s.live/rounds+lanes))
		return
	}
	c.ticks++
	grown, burst := s.live > 2*c.size+2*lanes, s.live > 2*c.last+2*lanes
	c.last = s.live
	if !grown && s.live >= c.size/2-2*lanes && c.ticks < every {
		return
	}
	if s.regrid(grown) && burst { // most have just come, and are new to everybody anyway
		s.migrate(math.MaxInt)
	}
	c.ticks, c.size = 0, s.live
}

// regrid begins a new grid if the present one does not suit; reports whether it did.
func (s *Space) regrid(grown bool) bool {
	c, g := &s.care, &s.grids[s.now]
	fits := g.targets.n+g.eyes.n <= 4*len(g.targets.open)
	if !s.first && !grown {
		dense := s.density()
		reach, eyes := s.median()
		if eyes < s.live/few {
			reach = 0 // it steers nothing
		}
		c.share = dense
		if c.dense == 0 {
			c.dense, c.reach = dense, reach
		}
		if fits && alike(dense, c.dense, slack) && alike(reach, c.reach, slack) {
			return false
		}
	}
	side := s.ideal()
	c.dense = 0
	if !s.first && fits && alike(side, g.side, 1.1) {
		return false
	}
	s.now = 1 - s.now
	s.grids[s.now].lay(side, max(s.live/(crowding/2), g.targets.n+g.eyes.n)) // of many layers and masks there are more blocks than entries suggest
	if s.first {
		g.lay(g.side, 0)
		s.restart()
		return false
	}
	s.queue()
	return true
}

func alike(a, b, factor float64) bool { return a <= b*factor && b <= a*factor }

// ideal is the side of a cell that suits the present density, and how far eyes see. Cells a little wider than that are best, as then nobody sees farther than the
// cells around its own, unless so many share a cell that half as wide is better; much narrower ones only make targets change them more often. Where few share even those, cells
// are wider. Where eyes are few it is queries and moves that count, and density alone.
func (s *Space) ideal() float64 {
	g := &s.grids[s.now]
	counts := make([]uint32, 1<<bits.Len(uint(2*s.live)))
	side := s.fit(g.side, s.densityAt(g.side, counts), counts)
	reach, eyes := s.median()
	const apart = 1 - 2.0/skinPart // of the side: between the boxes of two cells with one in between
	one, two := reach/apart*1.001, reach/(1+apart)*1.001
	switch {
	case side > one || eyes < s.live/few:
	case side > one*0.55:
		side = one
	default:
		side = max(side, min(two, side*3))
	}
	side = s.side(side)
	s.care.share = s.densityAt(side, counts)
	return side
}

// median is how far the median eye sees, and how many there are.
func (s *Space) median() (reach float64, total int) {
	w := &s.watch
	var eyes [1 << 10]int
	for b, live := range w.live {
		if s.first {
			live &^= w.capped[b] // how far they have to see is not known yet
		}
		n := bits.OnesCount16(live)
		eyes[math.Float32bits(float32(w.reach[b]))>>22] += n
		total += n
	}
	if total == 0 {
		return 0, 0
	}
	class, sum := uint32(0), 0
	for i, n := range eyes {
		if sum += n; 2*sum >= total {
			class = uint32(i)
			break
		}
	}
	for b, live := range w.live {
		if live != 0 && math.Float32bits(float32(w.reach[b]))>>22 == class {
			reach = max(reach, w.reach[b])
		}
	}
	return reach, total
}

// queue says in which order blocks leave the old grid: cell by cell, so that the new blocks of neighbours lie close together in memory, and who looks at one has the next at hand.
func (s *Space) queue() {
	c, t, w, old := &s.care, &s.targets, &s.watch, 1-s.now
	c.move, c.turn = c.move[:0], c.turn[:0]
	for b, g := range t.grid {
		if g == old {
			c.move = append(c.move, uint32(b))
		}
	}
	for b, g := range w.grid {
		if g == old {
			c.turn = append(c.turn, uint32(b))
		}
	}
	slices.SortFunc(c.move, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(t.cellZ[b], t.cellZ[a]), cmp.Compare(t.cellX[b], t.cellX[a]), cmp.Compare(b, a))
	})
	slices.SortFunc(c.turn, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(w.cellZ[b], w.cellZ[a]), cmp.Compare(w.cellX[b], w.cellX[a]), cmp.Compare(b, a))
	})
}

// fit finds the side at which the average target shares its cell with as many as suits, from one at which it shares it with dense.
func (s *Space) fit(side, dense float64, counts []uint32) float64 {
	for range 12 {
		// In an even plane dense goes with the square of the side, along a line with the side; where nobody shares anything it tells nothing.
		next := s.side(side * min(max(math.Sqrt(crowding/dense), 1.0/4096), 4))
		if next > side/1.1 && next < side*1.1 {
			return next
		}
		side, dense = next, s.densityAt(next, counts)
	}
	return side
}

// densityAt is density for a grid that is not there. Layers do not count in it, nor do cells that share a place in the table.
func (s *Space) densityAt(side float64, counts []uint32) float64 {
	clear(counts)
	t := &s.targets
	total, per := 0, 1/side
	for b, occ := range t.occ {
		if t.layers[b] == 0 {
			continue
		}
		for m := occ; m != 0; m &= m - 1 {
			x, z := t.position(uint32(b)<<slotShift | uint32(bits.TrailingZeros16(m)))
			cx, cz := uint64(int64(math.Floor(float64(x)*per))), uint64(int64(math.Floor(float64(z)*per)))
			hash := (cx*0x9e3779b97f4a7c15 ^ cz) * 0xd6e8feb86659fd93
			counts[hash>>32&uint64(len(counts)-1)]++
			total++
		}
	}
	sum := 0
	for _, n := range counts {
		sum += int(n) * int(n)
	}
	if total == 0 {
		return crowding
	}
	return float64(sum) / float64(total)
}

// density is how many targets share a cell and their layers with the average target.
func (s *Space) density() float64 {
	g, t := &s.grids[s.now], &s.targets
	sum, total := 0, 0
	for p := range g.targets.open {
		first, n := none, 0
		for _, b := range [2]uint32{g.targets.full[p], g.targets.open[p]} {
			for ; b != none; b = t.next[b] {
				k := bits.OnesCount16(t.occ[b])
				total += k
				switch {
				case first == none:
					first, n = b, k
				case t.cellX[b] == t.cellX[first] && t.cellZ[b] == t.cellZ[first] && t.layers[b] == t.layers[first]:
					n += k
				default: // of a cell far away that shares the place: seldom, and then a good guess
					sum += k * k
				}
			}
		}
		sum += n * n
	}
	if total == 0 {
		return 0
	}
	return float64(sum) / float64(total)
}

// migrate moves some entries from the old grid to the new one.
func (s *Space) migrate(budget int) {
	c, t, w := &s.care, &s.targets, &s.watch
	old := 1 - s.now
	for n := budget; n > 0 && len(c.move) > 0; {
		b := c.move[len(c.move)-1]
		c.move = c.move[:len(c.move)-1]
		if t.grid[b] != old {
			continue // it was empty, and went
		}
		for m := t.occ[b]; m != 0; m &= m - 1 {
			slot := b<<slotShift | uint32(bits.TrailingZeros16(m))
			x, z := t.position(slot)
			h := t.who[slot]
			t.vacate(slot)
			s.entries[h].target = s.put(h, x, z, t.layers[b])
			n--
		}
		s.retire(b)
	}
	for n := budget; n > 0 && len(c.turn) > 0; {
		b := c.turn[len(c.turn)-1]
		c.turn = c.turn[:len(c.turn)-1]
		if w.grid[b] != old {
			continue
		}
		if w.live[b] == 0 {
			s.discard(b)
			continue
		}
		for m := w.live[b]; m != 0; m &= m - 1 {
			s.stray(b<<slotShift | uint32(bits.TrailingZeros16(m)))
			n--
		}
	}
}

// restart puts all entries anew before the first Tick, when nobody has seen anything yet: in order, and without the blocks that filling the first grid took.
func (s *Space) restart() {
	g := &s.grids[s.now]
	type placed struct {
		x, z int32
		h    Handle
	}
	order := make([]placed, 0, s.live)
	for h := range s.entries {
		if e := &s.entries[h]; e.target != none {
			x, z := s.targets.position(e.target)
			order = append(order, placed{g.at(float64(x)), g.at(float64(z)), Handle(h)})
		}
	}
	slices.SortFunc(order, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.z, b.z), cmp.Compare(a.x, b.x), cmp.Compare(a.h, b.h))
	})
	t, w := s.targets, s.watch
	s.targets, s.watch = targets{hidden: none}, watch{}
	s.nowhere, s.strays, s.unmade = none, s.strays[:0], s.unmade[:0]
	for _, o := range order {
		e := &s.entries[o.h]
		x, z := t.position(e.target)
		e.target = s.put(o.h, x, z, t.layers[e.target>>slotShift])
		if e.eye == none {
			continue
		}
		b, lane := e.eye>>slotShift, int(e.eye&laneMask)
		eyes := &w.eyes[b]
		mask, ok := s.remask[o.h]
		if !ok {
			mask = w.mask[b]
		}
		delete(s.remask, o.h)
		e.eye = s.seat(o.h, x, z, math.Sqrt(float64(max(eyes.leave2[lane], 0))), w.capped[b]>>lane&1 != 0, mask)
		q, to := e.eye>>slotShift, int(e.eye&laneMask)
		s.watch.eyes[q].copy(to, eyes, lane)
		s.watch.capped[q] |= w.capped[b] >> lane & 1 << to
	}
}

// sweep ends a tick: nothing has gone that is not told. Blocks of eyes that have been empty for some ticks go. Some others are looked at in turn: lists that reach farther
// than any of their eyes needs get shorter.
func (s *Space) sweep() {
	c, w := &s.care, &s.watch
	s.pool.keep((s.grids[0].eyes.n+s.grids[1].eyes.n)/32 + 16)
	n := 0
	for ; n < len(w.hollow) && s.tick-w.hollow[n].since >= patience; n++ {
		b := w.hollow[n].block
		if w.state[b] != queued {
			continue // it went otherwise
		}
		if w.state[b] = used; w.live[b] == 0 {
			s.discard(b)
		}
	}
	w.hollow = append(w.hollow[:0], w.hollow[n:]...)
	for range len(w.live)/rounds + 1 {
		if int(c.sweep) >= len(w.live) {
			s.swept()
			break
		}
		b := c.sweep
		l := &w.lists[b]
		if w.live[b] != 0 {
			if need := s.needs(b); need < w.reach[b] {
				w.reach[b] = need
				s.relist(b)
			}
			n := bits.OnesCount16(w.live[b])
			c.eyes += n
			c.listed += len(l.blocks) * n
		}
		s.pool.trim(l)
		if w.state[b] != freed { // an empty block may have a list too
			v := &s.grids[w.grid[b]].levels[w.level[b]]
			v.farther = max(v.farther, w.reach[b])
		}
		c.sweep++
	}
}

// swept ends a round of the sweep.
func (s *Space) swept() {
	c := &s.care
	c.sweep = 0
	for i := range s.grids {
		for v := range s.grids[i].levels {
			l := &s.grids[i].levels[v]
			l.far, l.farther = l.farther, 0
		}
	}
	c.length = c.listed / max(c.eyes, 1)
	c.eyes, c.listed = 0, 0
}
