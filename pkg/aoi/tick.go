package aoi

import (
	"math/bits"
	"slices"
	"sync"
)

// Tick compares the present with the last Tick and reports what became visible
// and what did not stay so.
func (s *Space) Tick() Events {
	s.spare = append(s.spare, s.reported...)
	s.reported = s.reported[:0]
	for i := range s.shards {
		s.shards[i].leaves.reset()
		s.shards[i].enters.reset()
	}
	if s.changed {
		s.changed = false
		s.tick++
		s.tend()
		s.announce()
		s.divide()
		if s.moves {
			s.moves = false
			s.parallel(false)
		}
		s.follow()
		for _, b := range s.unmade {
			if l := &s.watch.lists[b]; !l.made && s.watch.live[b] != 0 {
				s.relist(b)
			}
		}
		s.unmade = s.unmade[:0]
		s.point()
		s.divide() // as the lists are now
		s.parallel(true)
		s.relieve()
		s.close()
		s.settle()
		s.sweep()
		s.first = false
	}
	s.reported, s.removed = s.removed, s.reported
	return Events{Leaves: s.leaves.list, Enters: s.enters.list}
}

// shard is a range of blocks of eyes, and all that one goroutine writes.
type shard struct {
	s        *Space
	from, to uint32
	look     bool   // at targets, else where the eyes are
	run      func() // made once: a go statement with arguments allocates
	done     *sync.WaitGroup

	tile   tile
	diffs  []diff
	leaves *pairs // the first shard writes into its space's
	enters *pairs
	marks  []uint32
	finds  int
	short  []short
	strays []uint32 // slots
	crowdScratch
}

// chunk is how many entries of a list a kernel works on at once.
const chunk = 64

func (sh *shard) open(s *Space, i int) {
	sh.s = s
	sh.leaves, sh.enters = &s.leaves, &s.enters
	if i > 0 {
		sh.leaves, sh.enters = &pairs{}, &pairs{}
	}
	sh.diffs = make([]diff, chunk*lanes)
	sh.tile.out = &sh.diffs[0]
	sh.done = &sync.WaitGroup{}
	sh.run = func() {
		sh.work()
		sh.done.Done()
	}
}

// worth is how many entries of lists are worth a goroutine.
const worth = 2048

// divide gives every worker its blocks of eyes.
func (s *Space) divide() {
	w := &s.watch
	n, total := uint32(len(w.live)), 0
	if len(s.shards) > 1 {
		for b := range n {
			total += s.weight(b)
		}
	}
	s.busy = min(len(s.shards), total/worth+1)
	from, sum := uint32(0), 0
	for i := range s.busy {
		sh := &s.shards[i]
		to := from
		for ; to < n && sum < total*(i+1)/s.busy; to++ {
			sum += s.weight(to)
		}
		sh.from, sh.to = from, to
		from = to
	}
}

// parallel lets all workers look where their eyes are, or at what they see, and joins what they found in the order of the blocks.
func (s *Space) parallel(look bool) {
	s.shards[s.busy-1].to = uint32(len(s.watch.live)) // with those that came since
	for i := range s.busy {
		s.shards[i].look = look
	}
	for i := 1; i < s.busy; i++ {
		s.shards[i].done.Add(1)
		go s.shards[i].run()
	}
	s.shards[0].work()
	for i := 1; i < s.busy; i++ {
		s.shards[i].done.Wait()
	}
	for i := range s.busy {
		s.gather(&s.shards[i])
	}
}

// weight is about what a block of eyes costs.
func (s *Space) weight(b uint32) int {
	if s.watch.live[b] == 0 {
		return 0
	}
	return len(s.watch.lists[b].blocks) + 8
}

func (s *Space) gather(sh *shard) {
	if sh.leaves != &s.leaves {
		s.leaves.list = append(s.leaves.list, sh.leaves.list...)
		s.enters.list = append(s.enters.list, sh.enters.list...)
	}
	for _, slot := range sh.strays {
		s.stray(slot)
	}
	sh.strays = sh.strays[:0]
}

func (sh *shard) work() {
	if sh.look {
		sh.watch()
	} else {
		sh.refresh()
	}
}

// refresh brings eyes to where their entries are now, and finds those that have left their boxes.
func (sh *shard) refresh() {
	s, w, t := sh.s, &sh.s.watch, &sh.s.targets
	for b := sh.from; b < sh.to; b++ {
		e, who := &w.eyes[b], w.who[b<<slotShift:][:lanes]
		for m := w.live[b]; m != 0; m &= m - 1 {
			lane := uint32(bits.TrailingZeros16(m)) & laneMask
			x, z := t.position(s.entries[who[lane]].target)
			if x == e.x[lane] && z == e.z[lane] {
				continue
			}
			e.x[lane], e.z[lane] = x, z
			w.moved[b] |= 1 << lane
			if !w.boxes[b].holds(x, z) {
				sh.strays = append(sh.strays, b<<slotShift|lane)
			}
		}
	}
}

// watch lets eyes look.
func (sh *shard) watch() {
	s, w, t := sh.s, &sh.s.watch, &sh.s.targets
	if len(t.occ) == 0 {
		return
	}
	if n := len(t.occ); len(sh.marks) < n {
		sh.marks = make([]uint32, n+n/4)
	}
	k := &sh.tile
	k.pos, k.boxes, k.occ, k.dirty = &t.pos[0], &t.boxes[0], &t.occ[0], &t.dirty[0]
	for b := sh.from; b < sh.to; b++ {
		l := &w.lists[b]
		if w.live[b] == 0 || len(l.blocks) == 0 && w.capped[b] == 0 { // an eye with a bound may have to look farther than an empty list
			w.moved[b], w.first[b] = 0, 0
			continue
		}
		if s.pointed {
			for n := w.first[b]; n != 0; n = s.nodes[n-1].next {
				if i := sh.entry(l, s.nodes[n-1].block); i >= 0 {
					sh.carry(b, l, i)
				}
			}
			w.first[b] = 0
		} else if len(t.thin) > 0 {
			for i, k := range l.blocks {
				if t.gone[k] != 0 {
					sh.carry(b, l, i)
				}
			}
		}
		sh.forget(l)
		if live := w.live[b] &^ w.capped[b]; live != 0 {
			k.eyes, k.live, k.moved = &w.eyes[b], uint32(live), uint32(w.moved[b])
			for at := 0; at < len(l.blocks); at += chunk {
				k.n = min(chunk, len(l.blocks)-at)
				k.list, k.rows = &l.blocks[at], &l.rows[at]
				if n := s.kernel.tile(k); n > 0 {
					sh.tell(b, l.blocks[at:], sh.diffs[:n])
				}
			}
		}
		for m := w.capped[b]; m != 0; m &= m - 1 {
			sh.crowd(b, bits.TrailingZeros16(m), l)
		}
		w.moved[b] = 0
	}
}

// tell turns what a kernel found into events. Whether something came or went nobody can foretell, so it is written down as both, and counted as one.
func (sh *shard) tell(b uint32, blocks []uint32, diffs []diff) {
	n := 0
	for i := range diffs {
		n += bits.OnesCount16(diffs[i].old ^ diffs[i].new)
	}
	leaves, enters := sh.leaves.room(n), sh.enters.room(n)
	left, came := 0, 0
	eyes := sh.s.watch.who[b<<slotShift:][:lanes]
	targets := sh.s.targets.who
	for i := range diffs {
		d := &diffs[i]
		eye := eyes[d.at&laneMask]
		who := targets[blocks[d.at>>slotShift]<<slotShift:][:lanes]
		for m := d.old ^ d.new; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros16(m) & laneMask
			h := who[lane]
			if h == eye {
				continue
			}
			leaves[left], enters[came] = Pair{eye, h}, Pair{eye, h}
			in := int(d.new >> lane & 1)
			came += in
			left += 1 - in
		}
	}
	sh.leaves.list = sh.leaves.list[:len(sh.leaves.list)+left]
	sh.enters.list = sh.enters.list[:len(sh.enters.list)+came]
}

// carry follows targets that have left a block of a list: what was known about the old slot is known about the new one. Those who are no more, or in no block in reach, have
// left. Slots that have gone are not used again before the next tick, so that what is carried cannot be mistaken for what is to be.
func (sh *shard) carry(b uint32, l *list, i int) {
	s, t, w := sh.s, &sh.s.targets, &sh.s.watch
	k, r := l.blocks[i], &l.rows[i]
	gone := t.gone[k]
	who := t.who[k<<slotShift:][:lanes]
	for m := r.lanes(gone) & w.live[b]; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros16(m)
		lost := r[lane] & gone
		r[lane] &^= lost
		eye := w.who[b<<slotShift|uint32(lane)]
		for ; lost != 0; lost &= lost - 1 {
			h := who[bits.TrailingZeros16(lost)&laneMask]
			slot := s.entries[h].target
			if slot == none {
				sh.leaves.add(eye, h)
				continue
			}
			at := sh.entry(l, slot>>slotShift)
			switch {
			case at >= 0:
				l.rows[at][lane] |= 1 << (slot & laneMask)
			case h == eye:
			case w.capped[b]>>lane&1 != 0 && s.crowds[eye].short(w.eyes[b].leave2[lane]):
				sh.short = append(sh.short, short{eye, h})
			default:
				sh.leaves.add(eye, h)
			}
		}
	}
}

// entry is where a list has a block of targets, or -1. Few are soon found; for many it pays to write down where each one stands.
func (sh *shard) entry(l *list, block uint32) int {
	if sh.finds++; sh.finds <= 3 {
		return l.find(block)
	}
	if sh.finds == 4 {
		for i, b := range l.blocks {
			sh.marks[b] = uint32(i) + 1
		}
	}
	return int(sh.marks[block]) - 1
}

// forget wipes what entry has written down.
func (sh *shard) forget(l *list) {
	if sh.finds > 3 {
		for _, b := range l.blocks {
			sh.marks[b] = 0
		}
	}
	sh.finds = 0
}

// node is a link of the chain of blocks that somebody has left and that a block of eyes has in its list.
type node struct{ block, next uint32 }

// point tells blocks of eyes which of their lists' blocks somebody has left, if those are few: otherwise each finds it out by itself.
func (s *Space) point() {
	t, w := &s.targets, &s.watch
	s.nodes = s.nodes[:0]
	if s.pointed = len(t.thin) > 0 && 8*len(t.thin) < t.n; !s.pointed {
		return
	}
	for _, b := range t.thin {
		s.found = s.appendWatchers(s.found[:0], b)
		for _, q := range s.found {
			s.nodes = append(s.nodes, node{b, w.first[q]})
			w.first[q] = uint32(len(s.nodes))
		}
	}
}

// lanes says which eyes see any of some slots: without branches, which nobody could foretell.
func (r *row) lanes(slots uint16) uint16 {
	m := uint32(0)
	for i := range lanes {
		m |= (uint32(r[i]&slots) + 0xffff) >> 16 << i
	}
	return uint16(m)
}

// close lets go of eyes that see nothing any more.
func (s *Space) close() {
	w := &s.watch
	for _, h := range s.closed {
		slot := s.entries[h].eye
		if slot == none || w.eyes[slot>>slotShift].enter2[slot&laneMask] >= 0 {
			continue
		}
		if mask := s.maskOf(h); mask != ^uint32(0) {
			s.wear(h, mask)
		}
		s.rise(slot)
		s.entries[h].eye = none
	}
	s.closed = s.closed[:0]
}

// pairs is a buffer of events that forgets a burst (everybody enters at the
// first Tick) within some dozens of ticks, instead of keeping its memory for good.
type pairs struct {
	list []Pair
	high int // decaying maximum of len(list)
}

func (p *pairs) add(observer, target Handle) { p.list = append(p.list, Pair{observer, target}) }

// room returns what lies behind the list: room for n pairs and one more.
func (p *pairs) room(n int) []Pair {
	p.list = slices.Grow(p.list, n+1)
	return p.list[len(p.list) : len(p.list)+n+1]
}

// slots adds a pair for each of a block's slots.
func (p *pairs) slots(observer Handle, t *targets, block uint32, slots uint16) {
	for ; slots != 0; slots &= slots - 1 {
		if h := t.who[block<<slotShift|uint32(bits.TrailingZeros16(slots))]; h != observer {
			p.add(observer, h)
		}
	}
}

func (p *pairs) reset() {
	p.high = max(len(p.list), p.high-p.high/16)
	if cap(p.list) > 2*p.high+256 {
		p.list = make([]Pair, 0, p.high+p.high/8)
		return
	}
	p.list = p.list[:0]
}
