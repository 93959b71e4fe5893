package game

import (
	"cmp"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// Queries find what lives in this zone, and what of it stands in its margin; what a neighbour holds is not among it. They know all moves made so far.

// Within calls yield for every entity within a radius (quanta) of a point.
func (z *Zone) Within(x, y, radius int32, yield func(Entity) bool) {
	z.reading()
	lx, ly := z.local(x, y)
	z.space.Within(lx, ly, float32(radius), func(h aoi.Handle) bool {
		slot := z.slotOf[h]
		return yield(Entity{z, slot, z.ents[slot].id})
	})
}

// near is a candidate of Nearest.
type near struct {
	e Entity
	d int64 // squared
}

// Nearest finds the nearest entities within a radius (quanta) of a point that keep, if it is not nil, accepts: at most n, the nearest first; equally far ones in order of their ids. Those that died in this
// tick are among them (Entity.Dead). The result is valid until the next call.
func (z *Zone) Nearest(x, y, radius int32, n int, keep func(Entity) bool) []Entity {
	near := z.near[:0]
	z.near = nil // keep may ask too
	z.Within(x, y, radius, func(e Entity) bool {
		if keep == nil || keep(e) {
			ex, ey := e.Position()
			dx, dy := int64(ex)-int64(x), int64(ey)-int64(y)
			near = append(near, nearOf(e, dx*dx+dy*dy))
		}
		return true
	})
	z.near = near
	slices.SortFunc(near, compareNear)
	found := z.found[:0]
	for _, c := range near[:min(max(n, 0), len(near))] {
		found = append(found, c.e)
	}
	z.found = found
	return found
}

func nearOf(e Entity, d int64) near { return near{e, d} }

func compareNear(a, b near) int {
	return cmp.Or(cmp.Compare(a.d, b.d), cmp.Compare(a.e.id, b.e.id))
}

// NearestOf is Nearest for one living entity of a kind, other than from and not one that died in this tick; ok is false if there is none.
func (z *Zone) NearestOf(k Kind, from Being, radius int32) (Entity, bool) {
	e := from.entity()
	x, y := e.Position()
	kd := z.kinds[k]
	best, ok := near{}, false
	z.Within(x, y, radius, func(t Entity) bool {
		if s := &z.ents[t.slot]; s.kind == kd && t.id != e.id && !s.dead {
			tx, ty := t.Position()
			dx, dy := int64(tx)-int64(x), int64(ty)-int64(y)
			if c := (near{t, dx*dx + dy*dy}); !ok || compareNear(c, best) < 0 {
				best, ok = c, true
			}
		}
		return true
	})
	return best.e, ok
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
