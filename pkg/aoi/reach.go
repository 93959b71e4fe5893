package aoi

import "math/bits"

// appendBlocks appends the blocks of targets on some of these layers that are no farther than reach from a box.
func (s *Space) appendBlocks(dst []uint32, b box, reach float64, layers uint32) []uint32 {
	t := &s.targets
	limit := within(reach)
	for i := range s.grids {
		g := &s.grids[i]
		if g.targets.n == 0 {
			continue
		}
		a := g.around(b, reach, g.targets.n, 0)
		if a.all && len(t.occ) <= 4*g.targets.n {
			for k := range uint32(len(t.occ)) {
				if t.grid[k] == uint8(i) && t.layers[k]&layers != 0 && b.gap(&t.boxes[k]) <= limit {
					dst = append(dst, k)
				}
			}
			continue
		}
		if a.all { // most numbers are of blocks that are no more
			for p := range g.targets.open {
				for _, k := range [2]uint32{g.targets.open[p], g.targets.full[p]} {
					for ; k != none; k = t.next[k] {
						if t.layers[k]&layers != 0 && b.gap(&t.boxes[k]) <= limit {
							dst = append(dst, k)
						}
					}
				}
			}
			continue
		}
		for cz := a.z0; cz <= a.z1; cz++ {
			for cx := a.x0; cx <= a.x1; cx++ {
				p := g.place(cx, cz)
				for _, k := range [2]uint32{g.targets.open[p], g.targets.full[p]} {
					for ; k != none; k = t.next[k] {
						if t.cellX[k] == cx && t.cellZ[k] == cz && t.layers[k]&layers != 0 && b.gap(&t.boxes[k]) <= limit {
							dst = append(dst, k)
						}
					}
				}
			}
		}
	}
	return dst
}

// needs is how far a block's eyes need their list to reach.
func (s *Space) needs(b uint32) float64 {
	reach := 0.0
	for m := s.watch.live[b]; m != 0; m &= m - 1 {
		reach = max(reach, s.reachOf(b<<slotShift|uint32(bits.TrailingZeros16(m))))
	}
	return reach
}

// relist makes the list of a block of eyes anew, and keeps what is known about the blocks that stay in it: all about which anything is known.
func (s *Space) relist(b uint32) {
	w := &s.watch
	l := &w.lists[b]
	s.found = s.appendBlocks(s.found[:0], w.boxes[b], w.reach[b], w.mask[b])
	s.mark(l)
	s.kept = s.kept[:0]
	for _, k := range s.found {
		r := row{}
		if i := s.marks[k]; i != 0 {
			r = l.rows[i-1]
			s.marks[k] = 0
		}
		s.kept = append(s.kept, r)
	}
	for i, k := range l.blocks {
		if s.marks[k] != 0 && s.targets.gone[k] != 0 { // of a cell that is no more: who stood in it is still to be followed
			s.found, s.kept = append(s.found, k), append(s.kept, l.rows[i])
		}
	}
	s.unmark(l)
	s.pool.resize(l, len(s.found))
	copy(l.blocks, s.found)
	copy(l.rows, s.kept)
	l.made = true
}

// mark writes down where in a list each target block stands.
func (s *Space) mark(l *list) {
	if n := len(s.targets.occ); len(s.marks) < n {
		s.marks = make([]uint32, n+n/4)
	}
	for i, b := range l.blocks {
		s.marks[b] = uint32(i) + 1
	}
}

func (s *Space) unmark(l *list) {
	for _, b := range l.blocks {
		s.marks[b] = 0
	}
}

// announce puts the blocks of targets that are new into the lists that reach them.
func (s *Space) announce() {
	t, w := &s.targets, &s.watch
	for _, b := range t.born {
		if t.state[b] == freed {
			continue
		}
		s.found = s.appendWatchers(s.found[:0], b)
		for _, q := range s.found {
			if w.lists[q].made {
				s.pool.add(&w.lists[q], b)
			}
		}
	}
	t.born = t.born[:0]
}

// unlist takes the blocks of targets that leave out of all lists. Nobody sees anything of them.
func (s *Space) unlist() {
	t, w := &s.targets, &s.watch
	s.rooms = s.rooms[:0]
	for _, b := range t.leaving {
		s.found = s.appendWatchers(s.found[:0], b)
		for _, q := range s.found {
			if w.first[q] == 0 {
				w.first[q] = 1
				s.rooms = append(s.rooms, q)
			}
		}
	}
	for _, q := range s.rooms {
		w.first[q] = 0
		l := &w.lists[q]
		for i := len(l.blocks) - 1; i >= 0; i-- {
			if t.state[l.blocks[i]] == freed {
				l.drop(i)
			}
		}
	}
}

// appendWatchers appends the blocks of eyes whose lists reach a block of targets.
func (s *Space) appendWatchers(dst []uint32, b uint32) []uint32 {
	if s.targets.layers[b] == 0 {
		return dst
	}
	for i := range s.grids {
		g := &s.grids[i]
		if g.eyes.n == 0 {
			continue
		}
		for v := range uint8(levels) {
			if g.levels[v].n > 0 {
				dst = s.appendLevel(dst, b, uint8(i), v)
			}
		}
	}
	return dst
}

// appendLevel appends those of one level of a grid.
func (s *Space) appendLevel(dst []uint32, b uint32, grid, v uint8) []uint32 {
	t, w, g := &s.targets, &s.watch, &s.grids[grid]
	bx, layers := t.boxes[b], t.layers[b]
	a := g.around(bx, g.levels[v].far, g.levels[v].n, v)
	if a.all && len(w.live) <= 4*g.eyes.n {
		for q := range uint32(len(w.live)) {
			if w.grid[q] == grid && w.level[q] == v && w.mask[q]&layers != 0 && bx.gap(&w.boxes[q]) <= within(w.reach[q]) {
				dst = append(dst, q)
			}
		}
		return dst
	}
	if a.all {
		for p := range g.eyes.open {
			for _, q := range [2]uint32{g.eyes.open[p], g.eyes.full[p]} {
				for ; q != none; q = w.next[q] {
					if w.level[q] == v && w.mask[q]&layers != 0 && bx.gap(&w.boxes[q]) <= within(w.reach[q]) {
						dst = append(dst, q)
					}
				}
			}
		}
		return dst
	}
	for cz := a.z0; cz <= a.z1; cz++ {
		for cx := a.x0; cx <= a.x1; cx++ {
			p := g.levelPlace(cx, cz, v)
			for _, q := range [2]uint32{g.eyes.open[p], g.eyes.full[p]} {
				for ; q != none; q = w.next[q] {
					if w.cellX[q] == cx && w.cellZ[q] == cz && w.level[q] == v && w.mask[q]&layers != 0 && bx.gap(&w.boxes[q]) <= within(w.reach[q]) {
						dst = append(dst, q)
					}
				}
			}
		}
	}
	return dst
}
