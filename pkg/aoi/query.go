package aoi

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Sees reports whether target was visible to observer at the last Tick and has
// not been removed since.
func (s *Space) Sees(observer, target Handle) bool {
	if !s.has(observer) || !s.has(target) || observer == target {
		return false
	}
	eye, at := s.entries[observer].eye, s.entries[target].target
	if eye == none {
		return false
	}
	t := &s.targets
	l, lane := &s.watch.lists[eye>>slotShift], eye&laneMask
	for i, b := range l.blocks {
		if b == at>>slotShift && l.rows[i][lane]&^t.gone[b]>>(at&laneMask)&1 != 0 {
			return true
		}
		// It may have changed its slot since.
		for gone := l.rows[i][lane] & t.gone[b]; gone != 0; gone &= gone - 1 {
			if t.who[b<<slotShift|uint32(bits.TrailingZeros16(gone))] == target {
				return true
			}
		}
	}
	return false
}

// Visible yields what observer saw at the last Tick, less what has been removed
// since, until yield returns false. The order is a function of the calls made so
// far. yield may call anything but Tick.
func (s *Space) Visible(observer Handle, yield func(target Handle) bool) {
	if !s.has(observer) || s.entries[observer].eye == none {
		return
	}
	// Between ticks an eye keeps its slot, and its list stays as it is; yield may remove the observer.
	eye := s.entries[observer].eye
	b, lane := eye>>slotShift, eye&laneMask
	for i := 0; i < len(s.watch.lists[b].blocks); i++ {
		l := &s.watch.lists[b]
		k := l.blocks[i]
		for m := l.rows[i][lane]; m != 0; m &= m - 1 {
			h := s.targets.who[k<<slotShift|uint32(bits.TrailingZeros16(m))]
			if h == observer || !s.has(h) {
				continue
			}
			if !yield(h) || !s.has(observer) {
				return
			}
		}
	}
}

// Search asks a Space for entries on some layers.
type Search struct {
	s      *Space
	layers uint32
}

// Only narrows queries to entries that are on some of these layers. A search is
// as good as its space, for any number of queries. On no layer at all there is nothing.
func (s *Space) Only(layers uint32) Search { return Search{s, layers} }

// Within yields every entry that is not hidden and now stands at most radius
// from (x, z), until yield returns false; the caller's unit, the same arithmetic
// as Tick. It knows all moves made so far.
//
// yield may call anything but Tick: what is yielded is what was there when the
// query began, less what has been removed since; none is yielded twice. A centre
// that is not finite finds nothing, nor does a radius that is negative or NaN.
func (s *Space) Within(x, z, radius float32, yield func(h Handle) bool) {
	s.Only(^uint32(0)).Within(x, z, radius, yield)
}

// Box yields every entry that is not hidden and now stands between the minima
// and the maxima, inclusively, in the caller's unit; else like Within. A minimum
// above its maximum finds nothing.
func (s *Space) Box(minX, minZ, maxX, maxZ float32, yield func(h Handle) bool) {
	s.Only(^uint32(0)).Box(minX, minZ, maxX, maxZ, yield)
}

// Sector yields what Within would, as far as it stands in the direction
// (dirX, dirZ) as seen from (x, z), give or take half radians. What stands at
// (x, z) itself is inside. A direction of no length, or one that is not finite,
// finds nothing, nor does a half that is negative or NaN.
func (s *Space) Sector(x, z, radius, dirX, dirZ, half float32, yield func(h Handle) bool) {
	s.Only(^uint32(0)).Sector(x, z, radius, dirX, dirZ, half, yield)
}

// Nearest yields the n entries nearest to (x, z) of what Within would yield: the
// nearest first, equally far ones in the order of their handles. An n below 1
// finds nothing.
func (s *Space) Nearest(x, z, radius float32, n int, yield func(h Handle) bool) {
	s.Only(^uint32(0)).Nearest(x, z, radius, n, yield)
}

// hit is an entry that a query found.
type hit struct {
	key float32 // d²
	h   Handle
}

// Within is Space.Within on the search's layers.
func (q Search) Within(x, z, radius float32, yield func(h Handle) bool) {
	if !finite(x) || !finite(z) || !(radius >= 0) {
		return
	}
	base := len(q.s.hits)
	q.gather(x, z, radius)
	q.s.yield(base, yield)
}

// Box is Space.Box on the search's layers.
func (q Search) Box(minX, minZ, maxX, maxZ float32, yield func(h Handle) bool) {
	s, t := q.s, &q.s.targets
	b := box{minX, minZ, maxX, maxZ}
	if !(minX <= maxX && minZ <= maxZ) {
		return
	}
	base := len(s.hits)
	s.found = s.appendBlocks(s.found[:0], b, 0, q.layers)
	for _, k := range s.found {
		for m := t.occ[k]; m != 0; m &= m - 1 {
			slot := k<<slotShift | uint32(bits.TrailingZeros16(m))
			if x, z := t.position(slot); b.holds(x, z) {
				s.hits = append(s.hits, hit{0, t.who[slot]})
			}
		}
	}
	s.yield(base, yield)
}

// Sector is Space.Sector on the search's layers.
func (q Search) Sector(x, z, radius, dirX, dirZ, half float32, yield func(h Handle) bool) {
	s, t := q.s, &q.s.targets
	if !finite(x) || !finite(z) || !(radius >= 0) || !finite(dirX) || !finite(dirZ) || dirX == 0 && dirZ == 0 || !(half >= 0) {
		return
	}
	base := len(s.hits)
	q.gather(x, z, radius)
	ux, uz := float64(dirX), float64(dirZ)
	n := math.Hypot(ux, uz)
	ux, uz = ux/n, uz/n
	cos := math.Cos(min(float64(half), math.Pi))
	all := half >= math.Pi
	kept := s.hits[:base]
	for _, o := range s.hits[base:] {
		px, pz := t.position(s.entries[o.h].target)
		ox, oz := float64(px)-float64(x), float64(pz)-float64(z)
		along := float64(ox*ux) + float64(oz*uz)
		if all || ox == 0 && oz == 0 || along >= float64(cos*math.Sqrt(float64(ox*ox)+float64(oz*oz))) {
			kept = append(kept, o)
		}
	}
	s.hits = kept
	s.yield(base, yield)
}

// Nearest is Space.Nearest on the search's layers.
func (q Search) Nearest(x, z, radius float32, n int, yield func(h Handle) bool) {
	s := q.s
	if !finite(x) || !finite(z) || !(radius >= 0) || n <= 0 {
		return
	}
	base := len(s.hits)
	g := &s.grids[s.now]
	// A guess that holds for an even density, then twice as far, until that is farther than anything can be.
	r := max(float32(g.side*math.Sqrt(float64(n)/(2*max(s.care.share, 1)))), 1e-22)
	for all := 4*s.reach + math.Abs(float64(x)) + math.Abs(float64(z)); ; r *= 2 {
		if !(r < radius) || float64(r) > all {
			r = radius
		}
		q.gather(x, z, r)
		if r == radius || len(s.hits)-base >= n {
			break
		}
		s.hits = s.hits[:base]
	}
	found := s.hits[base:]
	if len(found)/2 > n {
		found = s.closest(found, n)
	}
	slices.SortFunc(found, func(a, b hit) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.h, b.h)) })
	s.hits = s.hits[:base+min(n, len(found))]
	s.yield(base, yield)
}

// closest moves the n nearest hits to the front, and returns them.
func (s *Space) closest(found []hit, n int) []hit {
	s.ranked = s.ranked[:0]
	for _, o := range found {
		s.ranked = append(s.ranked, o.rank())
	}
	last, kept := smallest(s.ranked, n), found[:0]
	for _, o := range found {
		if o.rank() <= last {
			kept = append(kept, o)
		}
	}
	return kept
}

// rank orders hits by distance, then by handle: d² is not negative, so the order of its bits is its own.
func (o hit) rank() uint64 { return uint64(math.Float32bits(o.key))<<32 | uint64(o.h) }

func finite(v float32) bool { return v-v == 0 }

// gather appends what stands within a radius to the hits.
func (q Search) gather(x, z, radius float32) {
	s, t := q.s, &q.s.targets
	reach, r2 := float64(radius), radius*radius
	if r2 > math.MaxFloat32 { // as are squares of what stands far enough away
		reach = math.Inf(1)
	}
	s.found = s.appendBlocks(s.found[:0], box{x, z, x, z}, reach, q.layers)
	n := len(s.found)
	if n == 0 {
		return
	}
	s.bits = resized(s.bits, n)
	s.kernel.scan(&t.pos[0], &s.found[0], n, x, z, r2, r2, &s.bits[0])
	for i, k := range s.found {
		for m := s.bits[i][0]; m != 0; m &= m - 1 {
			slot := k<<slotShift | uint32(bits.TrailingZeros16(m))
			px, pz := t.position(slot)
			s.hits = append(s.hits, hit{dist2(px-x, pz-z), t.who[slot]})
		}
	}
}

// yield hands out the hits from base on; those of queries inside of yield are put behind them.
func (s *Space) yield(base int, yield func(h Handle) bool) {
	n := len(s.hits)
	defer func() { s.hits = s.hits[:base] }()
	for i := base; i < n; i++ {
		if h := s.hits[i].h; s.has(h) && !yield(h) {
			return
		}
	}
}
