package game

import (
	"fmt"
	"iter"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// EntityID names an entity for its life, in whatever zone it is. A zone numbers its own from (zone − 1) × 2^32 + 1 upwards, and never uses a number again; another epoch counts anew.
type EntityID uint64

// birthplace is the zone that numbered an entity.
func (id EntityID) birthplace() uint32 { return uint32(id>>32) + 1 }

// Birthplace is the number of the zone in which an entity began.
func (id EntityID) Birthplace() uint32 { return id.birthplace() }

// Kind is an archetype of entities, as the client is told it.
type Kind uint16

// Entity is a handle to an entity of a zone. The zero Entity is nobody. Methods on an entity that was despawned, or handed over, panic, except Alive, ID, Slot and Zone.
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
	nth   uint64 // of the zone's spawns and arrivals: what iterations go by
	at    int    // place in kind.slots
	died  int    // place in Zone.despawned, in the tick in which it was despawned or handed over
	aoi   aoi.Handle

	player   *Player // whose avatar it is
	owner    EntityID
	parent   EntityID
	children []EntityID // in order of attaching
	offX     int32      // from the parent, quanta
	offY     int32
	timers   []entityTimer
	dest     *Destination // asked for by Transfer
	crossing bool         // it is in Zone.crossing
	leads    bool         // it is in Zone.parents
	dead     bool         // Die was called
	lies     bool         // dead, and the tick of that is over
	unborn   bool         // replication has not heard of it yet
	departed bool         // it was handed over in this tick, to
	toZone   uint32
	toEpoch  uint32
	tag      any // Entity.SetTag
}

const none = math.MaxUint32

// Spawn adds an entity at a position (world quanta, within the zone), observed from the end of this tick on. A kind without a place ignores the position, and nobody sees it.
func (z *Zone) Spawn(k Kind, x, y int32) (Entity, error) {
	z.own()
	kd := z.kinds[k]
	if kd == nil {
		return Entity{}, fmt.Errorf("spawn: kind %d is not in the game's schema", k)
	}
	if (z.lastID + 1).birthplace() != z.cfg.Zone {
		return Entity{}, fmt.Errorf("spawn: zone %d has used up its 2^32 numbers of entities: give it a new epoch", z.cfg.Zone)
	}
	z.lastID++
	e, err := z.place(kd, z.lastID, x, y)
	if err != nil {
		z.lastID--
		return Entity{}, fmt.Errorf("spawn at %d, %d: %w", x, y, err)
	}
	return e, nil
}

// place puts an entity of an id into a slot.
func (z *Zone) place(kd *kind, id EntityID, x, y int32) (Entity, error) {
	var h aoi.Handle
	if kd.places {
		if err := z.refuses(kd, x, y); err != nil {
			return Entity{}, err
		}
		var err error
		lx, ly := z.local(x, y)
		if h, err = z.space.Add(lx, ly, aoi.Opts{Layers: kd.layer}); err != nil {
			return Entity{}, err
		}
	}
	var slot uint32
	if n := len(z.free); n > 0 {
		slot, z.free = z.free[n-1], z.free[:n-1]
	} else {
		slot = uint32(len(z.ents))
		z.ents = append(z.ents, entity{})
	}
	z.nth++
	s := &z.ents[slot]
	*s = entity{id: id, kind: kd, state: s.state, unborn: true, nth: z.nth, at: len(kd.slots), aoi: h, children: s.children[:0], timers: s.timers[:0]}
	kd.slots = append(kd.slots, slot)
	kd.codec.Init(&s.state)
	if kd.places {
		s.state.W[kd.place.X], s.state.W[kd.place.Z] = uint32(x), uint32(y)
		z.bind(h, slot)
	}
	z.spawned = append(z.spawned, slot)
	z.slots[id] = slot
	return Entity{z, slot, id}, nil
}

// Despawn removes an entity, and with it all that it is the parent of. Its slot stays empty for the rest of the tick.
func (z *Zone) Despawn(b Being) {
	z.own()
	e := b.entity()
	z.unrelate(e)
	for _, c := range z.take(e).children {
		if child, ok := z.Entity(c); ok {
			z.Despawn(child)
		}
	}
	if e.id.birthplace() != z.cfg.Zone {
		z.out.Gone = append(z.out.Gone, e.id)
	}
}

// take empties an entity's slot, and returns what was in it, valid until the slot is used again.
func (z *Zone) take(e Entity) *entity {
	x := e.get()
	if x.kind.places {
		if err := z.space.Remove(x.aoi); err != nil {
			panic(fmt.Sprintf("game: entity %d is not in the interest index: %v", e.id, err))
		}
	}
	delete(z.slots, e.id)
	x.kind.slots[x.at] = none
	x.kind.dead++
	if x.kind.dead == 1 {
		z.thinned = append(z.thinned, x.kind)
	}
	if p := x.player; p != nil {
		if p.Connected() {
			z.src.Leave(p.conn, e.slot) // its view may not know of it, see showOwn
		}
		p.lost, x.player = true, nil
	}
	x.id, x.kind = 0, nil // its record keeps its room for the next
	x.died = len(z.despawned)
	z.despawned = append(z.despawned, e.slot)
	return x
}

// thin takes the places of those who have gone out of the kinds' lists, and keeps the order of the others. Nobody is iterating then.
func (z *Zone) thin() {
	for _, k := range z.thinned {
		n := 0
		for _, slot := range k.slots {
			if slot != none {
				k.slots[n] = slot
				z.ents[slot].at = n
				n++
			}
		}
		k.slots, k.dead = k.slots[:n], 0
	}
	z.thinned = z.thinned[:0]
}

// refuses tells why an entity of a kind cannot be at a place.
func (z *Zone) refuses(k *kind, x, y int32) error {
	if !z.bounds.holds(x, y) {
		if len(z.neighbours) > 0 {
			return fmt.Errorf("outside the zone of %d × %d quanta at %d, %d and its margin: Zone.Transfer goes farther", z.cfg.Width, z.cfg.Height, z.cfg.X, z.cfg.Y)
		}
		return fmt.Errorf("outside the zone of %d × %d quanta", z.cfg.Width, z.cfg.Height)
	}
	if p := &k.place; x < p.MinX || x > p.MaxX || y < p.MinZ || y > p.MaxZ {
		return fmt.Errorf("outside the range that the schema states for kind %q, %d to %d and %d to %d quanta", k.codec.Kind.Name, p.MinX, p.MaxX, p.MinZ, p.MaxZ)
	}
	return nil
}

// nearest is where an entity of a kind may be that is nearest to a place, as far as the kind may be in this zone at all.
func (z *Zone) nearest(k *kind, r rect, x, y int32) (int32, int32) {
	x, y = r.nearest(x, y)
	p := &k.place
	return min(max(x, p.MinX), p.MaxX), min(max(y, p.MinZ), p.MaxZ)
}

func (e Entity) get() *entity {
	if !e.Alive() {
		panic(fmt.Sprintf("game: entity %d does not live here (any more): keep its id and look it up with Zone.Entity", e.id))
	}
	if e.z.cfg.Strict {
		e.z.reading()
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

// Alive tells whether the entity still exists, in this zone.
func (e Entity) Alive() bool { return e.z != nil && e.id != 0 && e.z.ents[e.slot].id == e.id }

// ID is the entity's id.
func (e Entity) ID() EntityID { return e.id }

// Slot is a small number, unique among the zone's living entities: games keep arrays of their own by it, for what need not cross a border. Slots are used again in later ticks.
func (e Entity) Slot() uint32 { return e.slot }

// Zone is the zone that the entity lives, or lived, in; nil for nobody.
func (e Entity) Zone() *Zone { return e.z }

// Kind is the entity's kind.
func (e Entity) Kind() Kind { return Kind(e.get().kind.codec.Kind.ID) }

// KindName is the name of the entity's kind in the schema.
func (e Entity) KindName() string { return e.get().kind.codec.Kind.Name }

// Player is the player whose avatar the entity is; nil: nobody's.
func (e Entity) Player() *Player { return e.get().player }

// IsNew tells whether the entity was made from nothing rather than loaded. Nothing is stored in this version: it is always true.
func (e Entity) IsNew() bool { e.get(); return true }

// Position is where the entity is on the ground plane, in quanta from the world's corner.
func (e Entity) Position() (x, y int32) {
	s := e.placed()
	return int32(s.state.W[s.kind.place.X]), int32(s.state.W[s.kind.place.Z])
}

// SetPosition moves the entity, in quanta; outside the zone and its margin is a mistake of the game's rules and panics. Beyond a border with a neighbour the entity is handed over
// at the end of the tick.
func (e Entity) SetPosition(x, y int32) {
	s := e.placed()
	p := &s.kind.place
	if s.state.W[p.X] == uint32(x) && s.state.W[p.Z] == uint32(y) {
		return
	}
	e.z.open()
	if err := e.z.refuses(s.kind, x, y); err != nil {
		panic(fmt.Sprintf("game: position %d, %d is %v: clamp it in the movement rule, to Zone.Bounds", x, y, err))
	}
	s.state.W[p.X], s.state.W[p.Z] = uint32(x), uint32(y)
	s.dirty |= s.kind.moved
	lx, ly := e.z.local(x, y)
	if err := e.z.space.Move(s.aoi, lx, ly); err != nil {
		panic(fmt.Sprintf("game: %v", err))
	}
	if !s.crossing && !e.z.keeps.holds(x, y) {
		s.crossing = true
		e.z.crossing = append(e.z.crossing, e)
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
		e.z.open()
		s.state.W[p.VX], s.state.W[p.VZ] = uint32(vx), uint32(vy)
		s.dirty |= s.kind.moved
	}
}

// SetTag keeps something of the game's with the entity for as long as it lives in this zone: what must cross a border belongs into a component, for which audience SERVER is there.
func (e Entity) SetTag(v any) { e.z.open(); e.get().tag = v }

// Tag is what SetTag has set; nil: nothing.
func (e Entity) Tag() any { return e.get().tag }

// Distance between two places on the ground plane, in the units of the schema (metres).
func (z *Zone) Distance(a, b Being) float64 {
	ax, ay := a.entity().Position()
	bx, by := b.entity().Position()
	return z.DistanceQ(ax, ay, bx, by)
}

// DistanceQ is the distance of two places in quanta, in the units of the schema (metres).
func (z *Zone) DistanceQ(ax, ay, bx, by int32) float64 {
	return math.Hypot(float64(ax)-float64(bx), float64(ay)-float64(by)) * z.quantum
}

// Entity finds a living entity of this zone by its id.
func (z *Zone) Entity(id EntityID) (Entity, bool) {
	slot, ok := z.slots[id]
	if !ok {
		return Entity{}, false
	}
	return Entity{z, slot, id}, true
}

// Entities calls yield for every living entity, in order of slots. Those spawned meanwhile are not among them, nor those despawned before their turn.
func (z *Zone) Entities(yield func(Entity) bool) {
	last := z.nth
	for slot := range z.ents {
		if s := &z.ents[slot]; s.id != 0 && s.nth <= last && !yield(Entity{z, uint32(slot), s.id}) {
			return
		}
	}
}

// OfKind yields every living entity of a kind, in order of spawning. Those spawned meanwhile are not among them, nor those despawned before their turn.
func (z *Zone) OfKind(k Kind) iter.Seq[Entity] {
	kd := z.kinds[k]
	return func(yield func(Entity) bool) {
		if kd == nil {
			return
		}
		for i, n := 0, len(kd.slots); i < n; i++ {
			if slot := kd.slots[i]; slot != none && !yield(Entity{z, slot, z.ents[slot].id}) {
				return
			}
		}
	}
}

// Len is the number of living entities.
func (z *Zone) Len() int { return len(z.slots) }

// Slots is one more than the highest slot that was ever used.
func (z *Zone) Slots() int { return len(z.ents) }

// Drift is a movement rule for games that need no other, to be added as a System: every entity moves along its velocity, and stops at the zone's walls, axis by axis. It
// moves in whole quanta, so it is predicted exactly.
func (z *Zone) Drift() {
	b := z.bounds
	for slot := range z.ents {
		s := &z.ents[slot]
		if s.id == 0 || !s.kind.places || s.parent != 0 {
			continue
		}
		p, w := &s.kind.place, s.state.W
		vx, vy := int32(w[p.VX]), int32(w[p.VZ])
		if vx|vy == 0 {
			continue
		}
		e := Entity{z, uint32(slot), s.id}
		x, stopX := along(int32(w[p.X]), vx, max(p.MinX, b.x0), min(p.MaxX, b.x1-1))
		y, stopY := along(int32(w[p.Z]), vy, max(p.MinZ, b.y0), min(p.MaxZ, b.y1-1))
		if m := z.cfg.Map; m != nil {
			fromX, fromY := int32(w[p.X]), int32(w[p.Z])
			nx, ny := m.Walk(fromX, fromY, x-fromX, y-fromY, 0)
			stopX, stopY = stopX || nx != x, stopY || ny != y
			x, y = nx, ny
		}
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
