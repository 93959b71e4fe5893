package aoi

// Sees reports whether target was visible to observer at the last Tick and has
// not been removed since. It costs about 1 ns per target that observer sees.
func (s *Space) Sees(observer, target Handle) bool {
	if !s.has(observer) || !s.has(target) {
		return false
	}
	v := s.obs[observer].visible
	if v.n == 0 {
		return false
	}
	list := s.lists.bytes(v)
	for i := range int(v.n) {
		if s.last.handle[load(list, i)] == uint32(target) {
			return true
		}
	}
	return false
}

// Visible yields what observer saw at the last Tick, less what has been removed
// since, until yield returns false. The order is a function of the calls made so
// far. yield may call anything but Tick.
func (s *Space) Visible(observer Handle, yield func(target Handle) bool) {
	if !s.has(observer) {
		return
	}
	// The list is looked up each time: yield may remove the observer.
	for i := 0; ; i++ {
		v := s.obs[observer].visible
		if i >= int(v.n) {
			return
		}
		t := Handle(s.last.handle[load(s.lists.bytes(v), i)])
		if s.has(t) && !yield(t) {
			return
		}
	}
}

// strayLimit is how many strays a query walks at most without sorting anew, as
// a fraction of all entries.
const strayLimit = 8

// Within yields every entry that is not hidden and now stands at most radius
// from (x, z), until yield returns false; the caller's unit, the same arithmetic
// as Tick. It knows all moves made so far. It costs about 2 ns per candidate in
// the cells around and per entry that changed its cell since the last sort; when
// those are more than an eighth of all, it sorts (25 ns per entry) first.
//
// yield may call anything but Tick. An entry that it adds or moves may be
// missed; none is yielded twice. A centre that is not finite finds nothing, nor does a
// radius that is negative or NaN.
func (s *Space) Within(x, z, radius float32, yield func(h Handle) bool) {
	if !(radius >= 0) || x-x != 0 || z-z != 0 {
		return
	}
	d := &s.index
	// Sorting would move the slots under a query further up the stack.
	if s.queries == 0 && len(d.strays) > 64 && len(d.strays) > s.live/strayLimit {
		s.sort()
	}
	s.queries++
	defer func() { s.queries-- }()
	centre, r2 := point{x, z}, radius*radius
	for _, h := range d.strays {
		if s.flags[h]&(alive|hidden) == alive && dist2(s.pos[h], centre) <= r2 && !yield(Handle(h)) {
			return
		}
	}
	w := d.window(centre, radius, &s.cfg)
	for k := uint32(0); k < w.nz; k++ {
		a, b := d.runs(w, k)
		if !s.query(a, centre, r2, yield) || !s.query(b, centre, r2, yield) {
			return
		}
	}
}

func (s *Space) query(r run, centre point, r2 float32, yield func(Handle) bool) bool {
	for slot := r.from; slot < r.to; slot++ {
		h := s.index.handle[slot]
		if s.flags[h]&(alive|hidden|stray) == alive && dist2(s.pos[h], centre) <= r2 && !yield(Handle(h)) {
			return false
		}
	}
	return true
}
