package game

import (
	"fmt"
	"iter"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// EntityID names an entity for the life of its zone, in which ids are never used again; another zone, or another epoch, counts anew.
type EntityID uint64

// Kind is an archetype of entities, as the client is told it.
type Kind uint16

// Entity is a handle to an entity of a zone. The zero Entity is nobody. Methods on an entity that was despawned panic, except Alive, ID, Slot and Zone.
type Entity struct {
	z    *Zone
	slot uint32
	id   EntityID
}

// Being is an Entity or something that embeds one, as generated kinds do.
type Being interface{ entity() Entity }

func (e Entity) entity() Entity { return e }

type entity struct {
	id    EntityID
	kind  *kind
	state delta.Record
	dirty uint64 // groups that may have changed in this tick, see delta.DirtyBit
	died  int    // place in Zone.despawned, in the tick in which it was despawned
	aoi   aoi.Handle
}

// kind is what a zone needs of a kind of entities.
type kind struct {
	codec  *delta.KindCodec
	place  delta.Place
	places bool
	moved  uint64 // dirty bit of the motion
	cells  []cellAt
}

// cellAt is where a component begins in a kind's records.
type cellAt struct {
	id   uint16
	word int32
}

// Spawn adds an entity at a position (quanta, within the zone), observed from the end of this tick on. A kind without a place ignores the position, and nobody sees it.
func (z *Zone) Spawn(k Kind, x, y int32) (Entity, error) {
	kd := z.kinds[k]
	if kd == nil {
		return Entity{}, fmt.Errorf("spawn: kind %d is not in the game's schema", k)
	}
	var h aoi.Handle
	if kd.places {
		if err := z.refuses(kd, x, y); err != nil {
			return Entity{}, fmt.Errorf("spawn at %d, %d: %w", x, y, err)
		}
		var err error
		if h, err = z.space.Add(float32(x), float32(y), aoi.Opts{}); err != nil {
			return Entity{}, fmt.Errorf("spawn at %d, %d: %w", x, y, err)
		}
	}
	var slot uint32
	if n := len(z.free); n > 0 {
		slot, z.free = z.free[n-1], z.free[:n-1]
	} else {
		slot = uint32(len(z.ents))
		z.ents = append(z.ents, entity{})
	}
	z.lastID++
	s := &z.ents[slot]
	s.id, s.kind, s.aoi, s.dirty = z.lastID, kd, h, 0
	kd.codec.Init(&s.state)
	if kd.places {
		s.state.W[kd.place.X], s.state.W[kd.place.Z] = uint32(x), uint32(y)
		z.bind(h, slot)
	}
	z.spawned = append(z.spawned, slot)
	z.slots[s.id] = slot
	return Entity{z, slot, z.lastID}, nil
}

// Despawn removes an entity. Its slot stays empty for the rest of the tick.
func (z *Zone) Despawn(e Entity) {
	x := e.get()
	if x.kind.places {
		if err := z.space.Remove(x.aoi); err != nil {
			panic(fmt.Sprintf("game: entity %d is not in the interest index: %v", e.id, err))
		}
	}
	delete(z.slots, e.id)
	x.id, x.kind = 0, nil // its record keeps its room for the next
	x.died = len(z.despawned)
	z.despawned = append(z.despawned, e.slot)
}

// refuses tells why an entity of a kind cannot be at a place.
func (z *Zone) refuses(k *kind, x, y int32) error {
	if x < 0 || y < 0 || x >= z.cfg.Width || y >= z.cfg.Height {
		return fmt.Errorf("outside the zone of %d × %d quanta", z.cfg.Width, z.cfg.Height)
	}
	if p := &k.place; x < p.MinX || x > p.MaxX || y < p.MinZ || y > p.MaxZ {
		return fmt.Errorf("outside the range that the schema states for kind %q, %d to %d and %d to %d quanta", k.codec.Kind.Name, p.MinX, p.MaxX, p.MinZ, p.MaxZ)
	}
	return nil
}

func (e Entity) get() *entity {
	if !e.Alive() {
		panic(fmt.Sprintf("game: entity %d does not live (any more): keep its id and look it up with Zone.Entity", e.id))
	}
	return &e.z.ents[e.slot]
}

// placed is get for what needs a place.
func (e Entity) placed() *entity {
	s := e.get()
	if !s.kind.places {
		panic(fmt.Sprintf("game: entity %d of kind %q has no place: give the kind a component with the option position", e.id, s.kind.codec.Kind.Name))
	}
	return s
}

// Alive tells whether the entity still exists.
func (e Entity) Alive() bool { return e.z != nil && e.z.ents[e.slot].id == e.id }

// ID is the entity's id.
func (e Entity) ID() EntityID { return e.id }

// Slot is a small number, unique among the zone's living entities: games keep arrays of their own by it. Slots are used again in later ticks.
func (e Entity) Slot() uint32 { return e.slot }

// Zone is the zone that the entity lives, or lived, in; nil for nobody.
func (e Entity) Zone() *Zone { return e.z }

// Kind is the entity's kind.
func (e Entity) Kind() Kind { return Kind(e.get().kind.codec.Kind.ID) }

// IsNew tells whether the entity was made from nothing rather than loaded. Nothing is stored in this version: it is always true.
func (e Entity) IsNew() bool { e.get(); return true }

// Position is where the entity is on the ground plane, in quanta from the zone's corner.
func (e Entity) Position() (x, y int32) {
	s := e.placed()
	return int32(s.state.W[s.kind.place.X]), int32(s.state.W[s.kind.place.Z])
}

// SetPosition moves the entity, in quanta; outside the zone is a mistake of the game's rules and panics.
func (e Entity) SetPosition(x, y int32) {
	s := e.placed()
	p := &s.kind.place
	if s.state.W[p.X] != uint32(x) || s.state.W[p.Z] != uint32(y) {
		if err := e.z.refuses(s.kind, x, y); err != nil {
			panic(fmt.Sprintf("game: position %d, %d is %v: clamp it in the movement rule", x, y, err))
		}
		s.state.W[p.X], s.state.W[p.Z] = uint32(x), uint32(y)
		s.dirty |= s.kind.moved
		if err := e.z.space.Move(s.aoi, float32(x), float32(y)); err != nil {
			panic(fmt.Sprintf("game: %v", err))
		}
	}
}

// Velocity is the velocity on the ground plane by which observers predict the entity, in velocity quanta.
func (e Entity) Velocity() (vx, vy int32) {
	s := e.placed()
	return int32(s.state.W[s.kind.place.VX]), int32(s.state.W[s.kind.place.VZ])
}

// SetVelocity states the velocity by which observers predict the entity, in velocity quanta. It does not move it: the game's movement rule does.
func (e Entity) SetVelocity(vx, vy int32) {
	s := e.placed()
	p := &s.kind.place
	if s.state.W[p.VX] != uint32(vx) || s.state.W[p.VZ] != uint32(vy) {
		s.state.W[p.VX], s.state.W[p.VZ] = uint32(vx), uint32(vy)
		s.dirty |= s.kind.moved
	}
}

// Distance between two places on the ground plane, in the units of the schema (metres).
func (z *Zone) Distance(a, b Being) float64 {
	ax, ay := a.entity().Position()
	bx, by := b.entity().Position()
	return math.Hypot(float64(ax)-float64(bx), float64(ay)-float64(by)) * z.quantum
}

// Entity finds a living entity by its id.
func (z *Zone) Entity(id EntityID) (Entity, bool) {
	slot, ok := z.slots[id]
	if !ok {
		return Entity{}, false
	}
	return Entity{z, slot, id}, true
}

// Visible finds a living entity by its id among those in a player's view as of the last tick. For a player who lingers that is what its avatar and its spectator
// see.
func (z *Zone) Visible(p *Player, id EntityID) (Entity, bool) {
	e, ok := z.Entity(id)
	if !ok || !z.sees(p, e) {
		return Entity{}, false
	}
	return e, true
}

// Entities calls yield for every living entity, in order of slots. Entities spawned meanwhile may or may not be among them.
func (z *Zone) Entities(yield func(Entity) bool) {
	for slot := range z.ents {
		if id := z.ents[slot].id; id != 0 && !yield(Entity{z, uint32(slot), id}) {
			return
		}
	}
}

// OfKind yields every living entity of a kind, in order of slots. Entities spawned meanwhile may or may not be among them.
func (z *Zone) OfKind(k Kind) iter.Seq[Entity] {
	kd := z.kinds[k]
	return func(yield func(Entity) bool) {
		for slot := range z.ents {
			if s := &z.ents[slot]; s.id != 0 && s.kind == kd && !yield(Entity{z, uint32(slot), s.id}) {
				return
			}
		}
	}
}

// Len is the number of living entities.
func (z *Zone) Len() int { return len(z.slots) }

// Drift is a movement rule for games that need no other, to be added as a System: every entity moves along its velocity, and stops at the zone's walls, axis by axis. It
// moves in whole quanta, so it is predicted exactly.
func (z *Zone) Drift() {
	for slot := range z.ents {
		s := &z.ents[slot]
		if s.id == 0 || !s.kind.places {
			continue
		}
		p, w := &s.kind.place, s.state.W
		vx, vy := int32(w[p.VX]), int32(w[p.VZ])
		if vx|vy == 0 {
			continue
		}
		e := Entity{z, uint32(slot), s.id}
		x, stopX := along(int32(w[p.X]), vx, max(p.MinX, 0), min(p.MaxX, z.cfg.Width-1))
		y, stopY := along(int32(w[p.Z]), vy, max(p.MinZ, 0), min(p.MaxZ, z.cfg.Height-1))
		e.SetPosition(x, y)
		if stopX {
			vx = 0 // an observer's prediction must not walk on
		}
		if stopY {
			vy = 0
		}
		e.SetVelocity(vx, vy)
	}
}

func along(p, v, least, most int32) (at int32, stopped bool) {
	q := int64(p) + int64(v)
	at = int32(min(max(q, int64(least)), int64(most)))
	return at, int64(at) != q
}
