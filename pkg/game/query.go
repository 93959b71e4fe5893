package game

import (
	"cmp"
	"math"
	"slices"
)

// Queries find what lives in this zone, and what of it stands in its margin; what a neighbour holds is not among it. They know all moves made so far. What a query yields is what was there when it began, less
// what has been despawned before its turn; none is yielded twice.

// Within calls yield for every entity within a radius (quanta) of a point, in no order that means anything.
func (z *Zone) Within(x, y, radius int32, yield func(Entity) bool) {
	z.reading()
	lx, ly := z.local(x, y)
	base := len(z.hits)
	z.space.Within(lx, ly, float32(radius), z.note)
	z.yield(base, yield)
}

// Box calls yield for every entity in a rectangle of the ground plane, its edges included, in quanta; in no order that means anything.
func (z *Zone) Box(minX, minY, maxX, maxY int32, yield func(Entity) bool) {
	z.reading()
	x0, y0 := z.local(minX, minY)
	x1, y1 := z.local(maxX, maxY)
	base := len(z.hits)
	z.space.Box(x0, y0, x1, y1, z.note)
	z.yield(base, yield)
}

// Sector calls yield for every entity within a radius (quanta) of a point that stands in a direction as seen from there, give or take half radians: what a blow or a breath of fire reaches. The direction
// may have any length, as a velocity or the way to a target has; without any nothing is found. What stands at the point itself is inside. In no order that means anything.
func (z *Zone) Sector(x, y, radius, dirX, dirY int32, half float64, yield func(Entity) bool) {
	z.reading()
	lx, ly := z.local(x, y)
	base := len(z.hits)
	z.space.Sector(lx, ly, float32(radius), float32(dirX), float32(dirY), float32(half), z.note)
	z.yield(base, yield)
}

// yield hands out the entities that the index found from base on; those of queries inside of yield are put behind them.
func (z *Zone) yield(base int, yield func(Entity) bool) {
	n := len(z.hits)
	defer func() { z.hits = z.hits[:base] }()
	for i := base; i < n; i++ {
		slot := z.slotOf[z.hits[i]]
		if id := z.ents[slot].id; id != 0 && !yield(Entity{z, slot, id}) {
			return
		}
	}
}

// near is a candidate of Nearest.
type near struct {
	e Entity
	d int64 // squared
}

// Nearest finds the nearest entities within a radius (quanta) of a point that keep, if it is not nil, accepts: at most n, the nearest first; equally far ones in order of their ids. Those that died in this
// tick are among them (Entity.Dead). keep is asked at most once about an entity, and not about all. The result is valid until the next call.
func (z *Zone) Nearest(x, y, radius int32, n int, keep func(Entity) bool) []Entity {
	found := z.found[:0]
	z.found = nil // keep may ask too
	found = z.closest(found, x, y, radius, n, keep)
	z.found = found
	return found
}

// NearestOf is Nearest for one living entity of a kind, other than from and not one that died in this tick; ok is false if there is none.
func (z *Zone) NearestOf(k Kind, from Being, radius int32) (Entity, bool) {
	e := from.entity()
	x, y := e.Position()
	kd := z.kinds[k]
	var room [1]Entity
	found := z.closest(room[:0], x, y, radius, 1, func(t Entity) bool {
		s := &z.ents[t.slot]
		return s.kind == kd && t.id != e.id && !s.dead
	})
	if len(found) == 0 {
		return Entity{}, false
	}
	return found[0], true
}

// fewNearest is up to how many entities it pays to ask the index for the nearest instead of sorting all in the radius.
const fewNearest = 64

// closest appends to found, which is empty, what Nearest finds. The index is asked first for somewhat more than n: it has them in the order of rounded distances, of which those that are clearly nearer than the last one are the
// nearest. If too few of them are kept, all in the radius are looked at.
func (z *Zone) closest(found []Entity, x, y, radius int32, n int, keep func(Entity) bool) []Entity {
	n = max(n, 0)
	all := z.near[:0]
	z.near = nil // keep may ask too
	last := near{d: -1}
	if ask := 2*n + 16; n <= fewNearest && z.whole(x, y) {
		all = z.measure(all, x, y, radius, ask)
		slices.SortFunc(all, compareNear)
		sure := int64(math.MaxInt64)
		if len(all) == ask {
			d := all[ask-1].d
			sure = d - d>>20 // package aoi: the error of d² is below a 2^22nd
		}
		for _, c := range all {
			if c.d >= sure || len(found) == n {
				break
			}
			last = c
			if c.e.Alive() && (keep == nil || keep(c.e)) {
				found = append(found, c.e)
			}
		}
		if len(all) < ask || len(found) == n {
			z.near = all
			return found
		}
	}
	rest := z.measure(all[:0], x, y, radius, 0)
	kept := rest[:0]
	for _, c := range rest {
		if compareNear(c, last) > 0 && c.e.Alive() && (keep == nil || keep(c.e)) {
			kept = append(kept, c)
		}
	}
	slices.SortFunc(kept, compareNear)
	for _, c := range kept[:min(n-len(found), len(kept))] {
		found = append(found, c.e)
	}
	z.near = rest
	return found
}

// whole tells whether the index has a place and all entities of the zone in whole numbers.
func (z *Zone) whole(x, y int32) bool {
	lx, ly := z.local(x, y)
	return max(lx, -lx, ly, -ly) <= exact && max(z.cfg.Width, z.cfg.Height) <= exact-z.cfg.Margin
}

// measure appends what is within a radius of a place, with exact distances; all of it, or the index's nearest so many.
func (z *Zone) measure(all []near, x, y, radius int32, most int) []near {
	z.reading()
	lx, ly := z.local(x, y)
	base := len(z.hits)
	if most > 0 {
		z.space.Nearest(lx, ly, float32(radius), most, z.note)
	} else {
		z.space.Within(lx, ly, float32(radius), z.note)
	}
	for _, h := range z.hits[base:] {
		slot := z.slotOf[h]
		s := &z.ents[slot]
		dx, dy := int64(int32(s.state.W[s.kind.place.X]))-int64(x), int64(int32(s.state.W[s.kind.place.Z]))-int64(y)
		all = append(all, near{Entity{z, slot, s.id}, dx*dx + dy*dy})
	}
	z.hits = z.hits[:base]
	return all
}

func compareNear(a, b near) int {
	return cmp.Or(cmp.Compare(a.d, b.d), cmp.Compare(a.e.id, b.e.id))
}

// Visible finds a living entity of this zone by its id among those in a player's view as of the last tick. For a player who lingers that is what its avatar and its spectator
// see. What a client sees across a border lives in another zone: Call reaches it there.
func (z *Zone) Visible(p *Player, id EntityID) (Entity, bool) {
	e, ok := z.Entity(id)
	if !ok || !z.sees(p, e) {
		return Entity{}, false
	}
	return e, true
}

// InView calls yield for every living entity of this zone in a player's view as of the last tick, in order of slots.
func (z *Zone) InView(p *Player, yield func(Entity) bool) {
	if !p.Connected() {
		return
	}
	for _, slot := range z.src.AppendView(nil, p.conn) {
		if id := z.ents[slot].id; id != 0 && !yield(Entity{z, slot, id}) {
			return
		}
	}
}

// Count is the number of living entities of a kind.
func (z *Zone) Count(k Kind) int {
	kd := z.kinds[k]
	if kd == nil {
		return 0
	}
	return len(kd.slots) - kd.dead
}

// Walk moves an entity by a step (quanta), as far as the map lets a circle of a radius around it get, and the zone's bounds: it slides along what is in the way. It tells where the entity is now; its
// velocity is the caller's to set: that of an axis on which it has got nowhere is 0, or observers predict that it walks on.
func (z *Zone) Walk(b Being, dx, dy, radius int32) (x, y int32) {
	e := b.entity()
	x, y = e.Position()
	nx, ny := x+dx, y+dy
	if m := z.cfg.Map; m != nil {
		nx, ny = m.Walk(x, y, dx, dy, radius)
	}
	nx, ny = z.bounds.nearest(nx, ny)
	e.SetPosition(nx, ny)
	return nx, ny
}
