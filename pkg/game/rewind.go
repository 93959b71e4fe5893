package game

import (
	"math/bits"

	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
)

// Past is the zone at the end of an earlier tick, for checks that grant a client its delay: where entities that live now were then.
type Past struct {
	z    *Zone
	tick uint32
}

// Rewind looks back to the end of a tick; ok is false for one that Config.Rewind does not reach, or that has not been.
func (z *Zone) Rewind(tick uint32) (past Past, ok bool) {
	ago := z.tick - tick
	return Past{z, tick}, z.history != nil && ago >= 1 && ago <= min(z.cfg.Rewind, z.tick-z.cfg.FirstTick)
}

// Tick is the tick that is looked at.
func (p Past) Tick() uint32 { return p.tick }

// Position is where an entity was, in world quanta; ok is false for one that was not in this zone then, or has no place.
func (p Past) Position(b Being) (x, y int32, ok bool) {
	e := b.entity()
	if p.z == nil || p.z.history == nil || !e.Alive() {
		return 0, 0, false
	}
	return p.z.history.At(p.tick, e.slot, uint64(e.id))
}

// Distance is that of two entities then, in the units of the schema (metres); ok is false if one was not there.
func (p Past) Distance(a, b Being) (d float64, ok bool) {
	ax, ay, okA := p.Position(a)
	bx, by, okB := p.Position(b)
	if !okA || !okB {
		return 0, false
	}
	return p.z.DistanceQ(ax, ay, bx, by), true
}

// newHistory makes the ring of positions, if the zone keeps one.
func newHistory(c *Config) (*movement.History, error) {
	if c.Rewind == 0 {
		return nil, nil
	}
	return movement.NewHistory(movement.HistoryConfig{Ticks: 1 << bits.Len32(c.Rewind-1)})
}

// remember notes where everything is at the end of the tick.
func (z *Zone) remember() {
	if z.history == nil {
		return
	}
	for _, k := range z.kindOrder {
		if !k.places {
			continue
		}
		for _, slot := range k.slots {
			if slot != none {
				e := &z.ents[slot]
				z.history.Record(z.tick, slot, uint64(e.id), int32(e.state.W[k.place.X]), int32(e.state.W[k.place.Z]))
			}
		}
	}
}
