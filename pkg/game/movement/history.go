package movement

import (
	"fmt"
	"math/bits"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// Bounds of a History.
const (
	MaxHistoryTicks = 1 << 12 // 3.4 minutes at 20 Hz
	MaxHistorySlots = 1 << 22
)

// HistoryConfig bounds a History. Its memory is 8 bytes per slot and tick, and 16 per slot, for as many slots as the highest one that was recorded.
type HistoryConfig struct {
	Ticks uint32 // kept per entity, rounded up to a power of two; default 32, at most MaxHistoryTicks
	Slots uint32 // slots from here on are not recorded; default MaxHistorySlots, which is also the most
}

func (c *HistoryConfig) validate() error {
	if c.Ticks == 0 {
		c.Ticks = 32
	}
	if c.Slots == 0 {
		c.Slots = MaxHistorySlots
	}
	if c.Ticks > MaxHistoryTicks {
		return fmt.Errorf("movement history of %d ticks: need at most %d, since each costs 8 bytes per entity", c.Ticks, MaxHistoryTicks)
	}
	if c.Slots > MaxHistorySlots {
		return fmt.Errorf("movement history of %d slots: need at most %d", c.Slots, MaxHistorySlots)
	}
	c.Ticks = 1 << bits.Len32(c.Ticks-1)
	return nil
}

// History is a bounded ring of the positions of entities by slot and tick, for checks that take a client's delay into account. Ticks wrap around. It allocates
// when a slot higher than all before is recorded, and then for many at once; in steady state never.
type History struct {
	mask    uint32 // ticks − 1
	slots   uint32 // bound
	tracks  []track
	places  []place // tick t of slot s is at s·ticks + t&mask
	refused uint64
}

// track says which ticks of a slot are known: count of them up to last, all of entity id.
type track struct {
	id    uint64
	last  uint32
	count uint32
}

type place struct{ x, y int32 }

// NewHistory makes an empty one, or says what is wrong with the configuration.
func NewHistory(c HistoryConfig) (*History, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &History{mask: c.Ticks - 1, slots: c.Slots}, nil
}

// Ticks is how many ticks are kept of each entity.
func (h *History) Ticks() uint32 { return h.mask + 1 }

// Refused counts records whose slot was beyond the bound.
func (h *History) Refused() uint64 { return h.refused }

// Bytes is the memory in use.
func (h *History) Bytes() int { return cap(h.tracks)*16 + cap(h.places)*8 }

// Record notes where the entity in a slot is at the end of a tick. Whoever has another id than the slot's last begins anew: nobody is found at the places of an
// entity that had the slot before. Ticks that were left out are filled with the place before them. A record of the same tick replaces; one of an earlier tick
// begins anew too. A zone that records only who moved must know that At has nothing yet of the ticks since: it is simpler to record everyone, at 9 ns each.
func (h *History) Record(tick, slot uint32, id uint64, x, y int32) {
	if slot >= h.slots {
		h.refused++
		return
	}
	if slot >= uint32(len(h.tracks)) {
		h.grow(slot)
	}
	t := &h.tracks[slot]
	ring := h.places[int(slot)*int(h.mask+1):][:h.mask+1]
	ahead := int32(tick - t.last)
	switch {
	case t.count == 0 || t.id != id || ahead < 0:
		*t = track{id: id, last: tick, count: 1}
	case ahead > 0:
		before := ring[t.last&h.mask]
		for i := uint32(1); i < uint32(ahead) && i <= h.mask; i++ {
			ring[(tick-i)&h.mask] = before
		}
		t.last, t.count = tick, min(t.count+min(uint32(ahead), h.mask+1), h.mask+1)
	}
	ring[tick&h.mask] = place{x, y}
}

// grow makes room for a slot, in steps that double: slots are numbered from below.
func (h *History) grow(slot uint32) {
	n := min(max(64, 1<<bits.Len32(slot)), int(h.slots))
	tracks := make([]track, n)
	copy(tracks, h.tracks)
	places := make([]place, n*int(h.mask+1))
	copy(places, h.places)
	h.tracks, h.places = tracks, places
}

// At returns where the entity with this id was at the end of a tick. It is not ok if the slot held another one, or if the tick is older than what is kept or
// newer than the last record.
func (h *History) At(tick, slot uint32, id uint64) (x, y int32, ok bool) {
	if slot >= uint32(len(h.tracks)) {
		return 0, 0, false
	}
	t := &h.tracks[slot]
	if t.id != id || t.last-tick >= t.count {
		return 0, 0, false
	}
	p := h.places[int(slot)*int(h.mask+1)+int(tick&h.mask)]
	return p.x, p.y, true
}

// Between returns the place on the way from tick to the next, as clients draw it: part is 0 at tick and fixed.One at the next.
func (h *History) Between(tick uint32, part fixed.Q, slot uint32, id uint64) (x, y int32, ok bool) {
	x, y, ok = h.At(tick, slot, id)
	if !ok || part <= 0 {
		return x, y, ok
	}
	x1, y1, ok := h.At(tick+1, slot, id)
	return fixed.Lerp(x, x1, part), fixed.Lerp(y, y1, part), ok
}

// Forget drops what is known of a slot, when its entity despawns or leaves.
func (h *History) Forget(slot uint32) {
	if slot < uint32(len(h.tracks)) {
		h.tracks[slot] = track{}
	}
}
