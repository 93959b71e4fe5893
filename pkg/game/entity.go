package game

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// EntityID names an entity for the life of its zone, in which ids are never used again; another zone, or another epoch, counts anew.
type EntityID uint64

// Kind is an archetype of entities, as the client is told it.
type Kind uint16

// Entity is a handle to an entity of a zone. The zero Entity is nobody. Methods on an entity that was despawned panic, except Alive and ID.
type Entity struct {
	z    *Zone
	slot uint32
	id   EntityID
}

type entity struct {
	id    EntityID
	kind  Kind
	state delta.State
	aoi   aoi.Handle
}

// Spawn adds an entity at a position (quanta, within the zone), observed from the end of this tick on.
func (z *Zone) Spawn(kind Kind, x, z2 int32) (Entity, error) {
	if !z.inside(x, z2) {
		return Entity{}, fmt.Errorf("spawn at %d, %d: outside the zone of %d × %d quanta", x, z2, z.cfg.Width, z.cfg.Height)
	}
	h, err := z.space.Add(float32(x), float32(z2), aoi.Opts{})
	if err != nil {
		return Entity{}, fmt.Errorf("spawn at %d, %d: %w", x, z2, err)
	}
	var slot uint32
	if n := len(z.free); n > 0 {
		slot, z.free = z.free[n-1], z.free[:n-1]
	} else {
		slot = uint32(len(z.ents))
		z.ents = append(z.ents, entity{})
	}
	z.lastID++
	z.ents[slot] = entity{id: z.lastID, kind: kind, state: delta.State{X: x, Z: z2}, aoi: h}
	z.bind(h, slot)
	z.spawned = append(z.spawned, slot)
	z.count++
	return Entity{z, slot, z.lastID}, nil
}

// Despawn removes an entity. Its slot stays empty for the rest of the tick.
func (z *Zone) Despawn(e Entity) {
	x := e.get()
	if err := z.space.Remove(x.aoi); err != nil {
		panic(fmt.Sprintf("game: entity %d is not in the interest index: %v", e.id, err))
	}
	*x = entity{}
	z.despawned = append(z.despawned, e.slot)
	z.count--
}

func (z *Zone) inside(x, y int32) bool {
	return x >= 0 && y >= 0 && x < z.cfg.Width && y < z.cfg.Height
}

func (e Entity) get() *entity {
	if !e.Alive() {
		panic(fmt.Sprintf("game: entity %d does not live (any more): keep its id and look it up with Zone.Entity", e.id))
	}
	return &e.z.ents[e.slot]
}

// Alive tells whether the entity still exists.
func (e Entity) Alive() bool { return e.z != nil && e.z.ents[e.slot].id == e.id }

// ID is the entity's id.
func (e Entity) ID() EntityID { return e.id }

// Slot is a small number, unique among the zone's living entities: games keep arrays of their own by it. Slots are used again in later ticks.
func (e Entity) Slot() uint32 { return e.slot }

// Kind is the entity's kind.
func (e Entity) Kind() Kind { return e.get().kind }

// State is the entity's replicated state.
func (e Entity) State() delta.State { return e.get().state }

// SetPosition moves the entity, in quanta; outside the zone is a mistake of the game's rules and panics.
func (e Entity) SetPosition(x, y int32) {
	s := e.get()
	if !e.z.inside(x, y) {
		panic(fmt.Sprintf("game: position %d, %d is outside the zone of %d × %d quanta: clamp it in the movement rule", x, y, e.z.cfg.Width, e.z.cfg.Height))
	}
	if s.state.X != x || s.state.Z != y {
		s.state.X, s.state.Z = x, y
		if err := e.z.space.Move(s.aoi, float32(x), float32(y)); err != nil {
			panic(fmt.Sprintf("game: %v", err))
		}
	}
}

// SetVelocity states the velocity by which observers predict the entity, in velocity quanta. It does not move it: the game's movement rule does.
func (e Entity) SetVelocity(vx, vz int16) {
	s := e.get()
	s.state.VX, s.state.VZ = vx, vz
}

// SetYaw turns the entity: FullTurn units, 0 = +x, a quarter = +z.
func (e Entity) SetYaw(yaw uint16) { e.get().state.Yaw = yaw & (FullTurn - 1) }

// SetHealth sets the health points.
func (e Entity) SetHealth(hp uint16) { e.get().state.Health = hp }

// Entity finds a living entity by its id. It looks through all of them: keep the Entity itself where that is often.
func (z *Zone) Entity(id EntityID) (Entity, bool) {
	for slot := range z.ents {
		if z.ents[slot].id == id && id != 0 {
			return Entity{z, uint32(slot), id}, true
		}
	}
	return Entity{}, false
}

// Entities calls yield for every living entity, in order of slots. Entities spawned meanwhile may or may not be among them.
func (z *Zone) Entities(yield func(Entity) bool) {
	for slot := range z.ents {
		if id := z.ents[slot].id; id != 0 && !yield(Entity{z, uint32(slot), id}) {
			return
		}
	}
}

// Len is the number of living entities.
func (z *Zone) Len() int { return z.count }
