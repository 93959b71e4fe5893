package aoi

import (
	"math"
	"math/bits"
)

// watch keeps the observers, called eyes, in blocks of 16 too: by cell, by class of reach and by mask. A block has a list of all blocks of targets that any of its eyes could
// see from anywhere in its box, and beside each what each of its eyes sees of it. Slots number all eyes: block<<4 | lane.
type watch struct {
	chain
	eyes   []eyes
	who    []Handle // 16 per block
	live   []uint16
	moved  []uint16 // moved, or came, or changed its radii since the last Tick
	stray  []uint16 // to be moved to another block
	capped []uint16 // see at most so many
	boxes  []box
	reach  []float64 // the list holds what is no farther than this from the box
	lists  []list

	cellX, cellZ []int32
	class        []uint16
	mask         []uint32
	grid, level  []uint8
	state        []uint8

	first []uint32 // chain of nodes, see point

	free   []uint32
	hollow []hollow // found empty: a queue
}

// classOf is the class of a reach, and the least reach of that class. Eyes of different classes are kept apart, or those that see little would look at all that those see that see far. Within a class reaches
// differ by less than half, or, where it is the crowd that says how far they reach, by less than the double: it would change the class too often.
func classOf(reach float64, capped bool) (class uint16, low float64) {
	shift := 22
	if capped {
		shift = 23
	}
	b := math.Float32bits(float32(reach)) >> shift
	return uint16(b), float64(math.Float32frombits(b << shift))
}

// seat finds a slot for an eye: in a block of its cell, class and mask, whose list reaches far enough.
func (s *Space) seat(h Handle, x, z float32, reach float64, capped bool, mask uint32) uint32 {
	w := &s.watch
	g := &s.grids[s.now]
	class, low := classOf(reach, capped)
	level := g.level(low)
	cx, cz := g.at(float64(x))>>level, g.at(float64(z))>>level
	place := g.levelPlace(cx, cz, level)
	head := &g.eyes.open[place]
	b, most := none, -1
	for k, tries := *head, 0; k != none && tries < 4; k = w.next[k] {
		if w.cellX[k] == cx && w.cellZ[k] == cz && w.level[k] == level && w.class[k] == class && w.mask[k] == mask {
			if n := bits.OnesCount16(w.live[k]); n > most {
				b, most = k, n
			}
			tries++
		}
	}
	if b == none {
		b = w.number()
		w.cellX[b], w.cellZ[b], w.class[b], w.mask[b], w.grid[b], w.level[b], w.state[b] = cx, cz, class, mask, s.now, level, used
		w.boxes[b], w.reach[b] = g.home(cx, cz, level), reach
		w.push(head, b)
		g.eyes.n++
		g.levels[level].n++
	}
	if l := &w.lists[b]; reach > w.reach[b] || !l.made {
		w.reach[b] = max(w.reach[b], reach)
		v := &g.levels[level]
		v.far, v.farther = max(v.far, reach), max(v.farther, reach)
		l.made = false
		s.unmade = append(s.unmade, b)
	}
	lane := uint32(bits.TrailingZeros16(^w.live[b]))
	w.live[b] |= 1 << lane
	w.moved[b] |= 1 << lane
	if w.live[b] == full {
		w.drop(head, b)
		w.push(&g.eyes.full[place], b)
	}
	slot := b<<slotShift | lane
	w.who[slot] = h
	e := &w.eyes[b]
	e.x[lane], e.z[lane] = x, z
	return slot
}

func (w *watch) number() uint32 {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	b := uint32(len(w.live))
	w.eyes = append(w.eyes, eyes{})
	for range lanes {
		w.who = append(w.who, 0)
	}
	w.live, w.moved, w.stray, w.capped = append(w.live, 0), append(w.moved, 0), append(w.stray, 0), append(w.capped, 0)
	w.boxes, w.reach, w.lists = append(w.boxes, box{}), append(w.reach, 0), append(w.lists, list{})
	w.cellX, w.cellZ, w.class, w.mask = append(w.cellX, 0), append(w.cellZ, 0), append(w.class, 0), append(w.mask, 0)
	w.grid, w.level, w.state = append(w.grid, 0), append(w.level, 0), append(w.state, 0)
	w.next, w.prev, w.first = append(w.next, none), append(w.prev, none), append(w.first, 0)
	for lane := range lanes {
		w.eyes[b].close(lane)
	}
	return b
}

// close makes a lane see nothing.
func (e *eyes) close(lane int) {
	e.enter2[lane], e.leave2[lane], e.far2[lane], e.near2[lane] = -1, -1, -1, -1
}

// open gives a lane its radii. Past 1e19 a square is +Inf, which holds for every distance: right.
func (e *eyes) open(lane int, enter, leave float32) {
	e.enter2[lane], e.leave2[lane] = enter*enter, leave*leave
	e.far2[lane] = float32(e.leave2[lane]*(1+1e-6)) + 1e-37
	e.near2[lane] = float32(e.enter2[lane]*(1-1e-6)) - 1e-37
}

// copy gives a lane the radii of another.
func (e *eyes) copy(lane int, o *eyes, from int) {
	e.enter2[lane], e.leave2[lane], e.far2[lane], e.near2[lane] = o.enter2[from], o.leave2[from], o.far2[from], o.near2[from]
}

// rise takes an eye out of its slot. Nothing may be known there any more about what it saw.
func (s *Space) rise(slot uint32) {
	w := &s.watch
	b, lane := slot>>slotShift, slot&laneMask
	g := &s.grids[w.grid[b]]
	p := g.levelPlace(w.cellX[b], w.cellZ[b], w.level[b])
	if w.live[b] == full {
		w.drop(&g.eyes.full[p], b)
		w.push(&g.eyes.open[p], b)
	}
	bit := uint16(1) << lane
	w.live[b] &^= bit
	w.moved[b] &^= bit
	w.stray[b] &^= bit
	w.capped[b] &^= bit
	w.eyes[b].close(int(lane))
	switch {
	case w.live[b] != 0:
	case w.grid[b] != s.now:
		s.discard(b)
	case w.state[b] == used:
		w.state[b] = queued
		w.hollow = append(w.hollow, hollow{b, s.tick})
	}
}

// discard frees a block without eyes.
func (s *Space) discard(b uint32) {
	w := &s.watch
	g := &s.grids[w.grid[b]]
	w.drop(&g.eyes.open[g.levelPlace(w.cellX[b], w.cellZ[b], w.level[b])], b)
	g.eyes.n--
	g.levels[w.level[b]].n--
	s.pool.resize(&w.lists[b], 0)
	w.lists[b].made = false
	w.state[b], w.grid[b] = freed, limbo
	w.free = append(w.free, b)
}

// forget wipes what an eye saw.
func (w *watch) forget(slot uint32) {
	rows, lane := w.lists[slot>>slotShift].rows, slot&laneMask
	for i := range rows {
		rows[i][lane] = 0
	}
}

// reachOf is how far the list of an eye's block must reach for it.
func (s *Space) reachOf(slot uint32) float64 {
	w := &s.watch
	b, lane := slot>>slotShift, slot&laneMask
	if w.capped[b]>>lane&1 != 0 {
		return s.crowds[w.who[slot]].reach
	}
	return math.Sqrt(float64(max(w.eyes[b].leave2[lane], 0)))
}

// stray notes that an eye may have to change its block.
func (s *Space) stray(slot uint32) {
	w := &s.watch
	b, bit := slot>>slotShift, uint16(1)<<(slot&laneMask)
	if w.stray[b]&bit == 0 {
		w.stray[b] |= bit
		s.strays = append(s.strays, w.who[slot])
	}
}

// follow gives the eyes that strayed a block in which they fit, with all they know. What cannot be in the reach of the new block's list is out of sight.
func (s *Space) follow() {
	w := &s.watch
	for _, h := range s.strays {
		slot := s.entries[h].eye
		if slot == none || w.stray[slot>>slotShift]>>(slot&laneMask)&1 == 0 {
			continue // gone
		}
		b, lane := slot>>slotShift, int(slot&laneMask)
		w.stray[b] &^= 1 << lane
		e := &w.eyes[b]
		x, z, reach := e.x[lane], e.z[lane], s.reachOf(slot)
		if w.grid[b] == s.now && w.boxes[b].holds(x, z) && s.classed(b, reach, w.capped[b]>>lane&1 != 0) && reach <= w.reach[b] && w.mask[b] == s.maskOf(h) {
			continue // it is back
		}
		s.transfer(h, slot, reach)
	}
	s.strays = s.strays[:0]
}

// classed tells whether a block is of the class of a reach.
func (s *Space) classed(b uint32, reach float64, capped bool) bool {
	class, _ := classOf(reach, capped)
	return s.watch.class[b] == class
}

// transfer moves an eye to another block.
func (s *Space) transfer(h Handle, from uint32, reach float64) {
	w, t := &s.watch, &s.targets
	b, lane := from>>slotShift, int(from&laneMask)
	e := w.eyes[b]
	capped := w.capped[b]>>lane&1 != 0
	w.moved[b] |= 1 << lane
	to := s.seat(h, e.x[lane], e.z[lane], reach, capped, s.maskOf(h))
	q, at := to>>slotShift, int(to&laneMask)
	w.eyes[q].copy(at, &e, lane)
	if capped {
		w.capped[q] |= 1 << at
	}
	if !w.lists[q].made {
		s.relist(q)
	}
	if capped && !s.fits(b, lane, q) {
		// What a crowd made its reach short for has dispersed since: it sees what stands beyond.
		s.rise(to)
		c := &s.crowds[h]
		c.cut, c.reach = infinite, math.Sqrt(float64(e.leave2[lane]))
		s.transfer(h, from, c.reach)
		return
	}
	s.entries[h].eye = to
	delete(s.remask, h)
	if q == b { // there is no other room
		rows := w.lists[q].rows
		for i := range rows {
			rows[i][at], rows[i][lane] = rows[i][lane], 0
		}
		s.rise(from)
		return
	}
	old, now := &w.lists[b], &w.lists[q]
	s.mark(now)
	for i := range old.rows {
		m := old.rows[i][lane]
		if m == 0 {
			continue
		}
		old.rows[i][lane] = 0
		k := old.blocks[i]
		gone := m & t.gone[k]
		if stay := m &^ gone; stay != 0 {
			if j := s.marks[k]; j != 0 {
				now.rows[j-1][at] |= stay
			} else {
				s.leaves.slots(h, t, k, stay)
			}
		}
		for ; gone != 0; gone &= gone - 1 {
			who := t.who[k<<slotShift|uint32(bits.TrailingZeros16(gone))]
			if slot := s.entries[who].target; slot != none && s.marks[slot>>slotShift] != 0 {
				now.rows[s.marks[slot>>slotShift]-1][at] |= 1 << (slot & laneMask)
			} else if who != h {
				s.leaves.add(h, who)
			}
		}
	}
	s.unmark(now)
	s.rise(from)
}

// fits tells whether all that an eye sees can be written down in the list of another block.
func (s *Space) fits(b uint32, lane int, q uint32) bool {
	w, t := &s.watch, &s.targets
	if c := &s.crowds[w.who[b<<slotShift|uint32(lane)]]; b == q || c.reach >= math.Sqrt(float64(w.eyes[b].leave2[lane])) {
		return true // what is not in the list is out of sight
	}
	ok := true
	s.mark(&w.lists[q])
	for i, r := range w.lists[b].rows {
		k := w.lists[b].blocks[i]
		if r[lane]&^t.gone[k] != 0 && s.marks[k] == 0 {
			ok = false
		}
		for gone := r[lane] & t.gone[k]; gone != 0; gone &= gone - 1 {
			who := t.who[k<<slotShift|uint32(bits.TrailingZeros16(gone))]
			if slot := s.entries[who].target; slot != none && s.marks[slot>>slotShift] == 0 {
				ok = false
			}
		}
	}
	s.unmark(&w.lists[q])
	return ok
}
