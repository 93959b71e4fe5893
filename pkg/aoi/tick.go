package aoi

import "math"

// mask remembers a slot that is out of sight while one observer looks.
type mask struct {
	slot uint32
	x    float32 // what stood there
}

// Tick compares the present with the last Tick and reports what became visible
// and what did not stay so.
func (s *Space) Tick() Events {
	s.free = append(s.free, s.reported...)
	s.reported = s.reported[:0]
	s.leaves.reset()
	s.enters.reset()
	if s.changed {
		s.changed = false
		s.sort()
		s.renumber()
		// In slot order, for the sake of the cache: neighbours look at the same slots.
		for slot, h := range s.index.handle {
			if o := &s.obs[h]; o.enter2 >= 0 || o.visible.n > 0 {
				s.look(Handle(h), uint32(slot), o)
			}
		}
		s.last.handle = append(s.last.handle[:0], s.index.handle...)
	}
	s.reported, s.removed = s.removed, s.reported
	return Events{Leaves: s.leaves.list, Enters: s.enters.list}
}

// renumber finds out where the slots of the last Tick are now.
func (s *Space) renumber() {
	s.last.slot = resized(s.last.slot, len(s.last.handle))
	for i, h := range s.last.handle {
		s.last.slot[i] = s.slot[h]
	}
}

// look brings one observer up to date in two passes. The first walks what it
// saw, drops what is now beyond the leave radius, and masks the rest: in the
// slots, x becomes NaN. The second walks the slots around it and takes
// everything inside the enter radius. As what is visible already is masked, a
// hit there is rare and always an enter: the loop needs no second radius, no
// set, and its branch is predictable.
func (s *Space) look(self Handle, own uint32, o *observer) {
	eye := s.pos[self]
	kept := s.part(self, o, eye)
	first := len(s.enters.list)
	if o.enter2 >= 0 {
		p := &s.index.points[own]
		x := p.x
		p.x = float32(math.NaN())
		s.meet(self, o, eye)
		p.x = x
	}
	met := s.enters.list[first:]
	list := s.lists.replace(&o.visible, len(kept)+len(met))
	points := s.index.points
	for i, m := range kept {
		store(list, i, m.slot)
		points[m.slot].x = m.x
	}
	for i, p := range met {
		store(list, len(kept)+i, s.slot[p.Target])
	}
}

// part reports leaves, and masks and returns what stays visible.
func (s *Space) part(self Handle, o *observer, eye point) []mask {
	n := int(o.visible.n)
	if n == 0 {
		return nil
	}
	if len(s.masked) < n {
		s.masked = make([]mask, n+n/4+16)
	}
	masked, k := s.masked, 0
	list := s.lists.bytes(o.visible)
	points, slots := s.index.points, s.last.slot
	leave2, nan := o.leave2, float32(math.NaN())
	for i := range n {
		was := load(list, i)
		slot := slots[was]
		p := &points[slot]
		if !(dist2(*p, eye) <= leave2) { // negated: the hidden and the removed stand at NaN
			s.leaves.add(self, Handle(s.last.handle[was]))
			continue
		}
		masked[k] = mask{slot, p.x}
		k++
		p.x = nan
	}
	return masked[:k]
}

// meet reports enters: among the slots that are not masked.
func (s *Space) meet(self Handle, o *observer, eye point) {
	d := &s.index
	w := d.window(eye, o.enter, &s.cfg)
	for k := uint32(0); k < w.nz; k++ {
		a, b := d.runs(w, k)
		s.scan(a, self, eye, o.enter2)
		if b.to > b.from {
			s.scan(b, self, eye, o.enter2)
		}
	}
}

func (s *Space) scan(r run, self Handle, eye point, enter2 float32) {
	points := s.index.points[r.from:r.to]
	for i := 0; ; i++ {
		if i += nextWithin(points[i:], eye, enter2); i >= len(points) {
			return
		}
		s.enters.add(self, Handle(s.index.handle[int(r.from)+i]))
	}
}

// nextWithin returns the index of the first point p with d² ≤ r2, or len(points).
func nextWithin(points []point, eye point, r2 float32) int {
	for i := range points {
		if dist2(points[i], eye) <= r2 {
			return i
		}
	}
	return len(points)
}

// pairs is a buffer of events that forgets a burst (everybody enters at the
// first Tick) within some dozens of ticks, instead of keeping its memory for good.
type pairs struct {
	list []Pair
	high int // decaying maximum of len(list)
}

func (p *pairs) add(observer, target Handle) { p.list = append(p.list, Pair{observer, target}) }

func (p *pairs) reset() {
	p.high = max(len(p.list), p.high-p.high/16)
	if cap(p.list) > 2*p.high+256 {
		p.list = make([]Pair, 0, p.high+p.high/8)
		return
	}
	p.list = p.list[:0]
}
