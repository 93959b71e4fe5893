package record

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// trace is what is known of a slot.
type trace struct {
	id   game.EntityID // 0: the slot is empty
	kind game.Kind
	hash uint16
}

// image is the traces of a zone as they were said last. It belongs to one zone, from its first tick on.
type image struct {
	slots   []trace
	changed []change // by the last look

	gone, births, runs []byte // of what is being written
}

// change is a slot whose trace is another than before.
type change struct {
	slot     uint32
	was, now trace
}

// look takes the zone as it is now and notes what has changed.
func (m *image) look(z *game.Zone) {
	m.changed = m.changed[:0]
	for slot := range uint32(z.Slots()) {
		id, h := z.HashEntity(slot)
		if int(slot) == len(m.slots) {
			m.slots = append(m.slots, trace{})
		}
		was := &m.slots[slot]
		now := trace{id: id, kind: was.kind, hash: fold(h)}
		switch {
		case id == 0:
			now = trace{}
		case id != was.id:
			e, _ := z.Entity(id)
			now.kind = e.Kind()
		}
		if now != *was {
			m.changed = append(m.changed, change{slot, *was, now})
			*was = now
		}
	}
}

func fold(h uint64) uint16 { return uint16(h ^ h>>16 ^ h>>32 ^ h>>48) }

// append writes what the last look has found, as the package comment draws it.
func (m *image) append(b []byte) []byte {
	m.gone, m.births, m.runs = m.gone[:0], m.births[:0], m.runs[:0]
	var gone, births, nextGone, nextBirth, nextRun uint32
	var born game.EntityID
	for i := 0; i < len(m.changed); i++ {
		c := &m.changed[i]
		if c.now.id == 0 {
			m.gone = binary.AppendUvarint(m.gone, uint64(c.slot-nextGone))
			gone, nextGone = gone+1, c.slot+1
		} else if c.now.id != c.was.id {
			m.births = binary.AppendUvarint(m.births, uint64(c.slot-nextBirth))
			m.births = binary.AppendVarint(m.births, int64(c.now.id-born))
			m.births = binary.AppendUvarint(m.births, uint64(c.now.kind))
			births, nextBirth, born = births+1, c.slot+1, c.now.id
		}
	}
	for i := 0; i < len(m.changed); {
		n := m.run(i)
		if n == 0 {
			i++
			continue
		}
		m.runs = binary.AppendUvarint(m.runs, uint64(m.changed[i].slot-nextRun))
		m.runs = binary.AppendUvarint(m.runs, uint64(n))
		for _, c := range m.changed[i : i+n] {
			m.runs = binary.LittleEndian.AppendUint16(m.runs, c.now.hash)
		}
		nextRun = m.changed[i].slot + uint32(n)
		i += n
	}
	b = append(binary.AppendUvarint(b, uint64(gone)), m.gone...)
	b = append(binary.AppendUvarint(b, uint64(births)), m.births...)
	return append(b, m.runs...)
}

// run is the number of changes from the i-th on that live in slots side by side.
func (m *image) run(i int) (n int) {
	for j := i; j < len(m.changed) && m.changed[j].now.id != 0 && m.changed[j].slot == m.changed[i].slot+uint32(n); j++ {
		n++
	}
	return n
}

// said is what a recording says of a slot.
type said struct {
	slot uint32
	now  trace // id 0: empty
	born bool  // else the entity is that of before, and so are id and kind
	hash bool  // now.hash was said
}

var errEntities = errors.New("its list of changed entities is malformed")

// numbers reads uvarints; after a failure it yields zeros.
type numbers struct {
	b   []byte
	bad bool
}

func (n *numbers) next(most uint64) uint64 {
	v, k := binary.Uvarint(n.b)
	if k <= 0 || v > most {
		n.b, n.bad = nil, true
		return 0
	}
	n.b = n.b[k:]
	return v
}

// slot adds a gap to the slot from which it counts.
func (n *numbers) slot(next uint64) uint64 {
	s := next + n.next(math.MaxUint32)
	if s > math.MaxUint32-1 {
		n.b, n.bad = nil, true
	}
	return s
}

// parseEntities reads what append wrote, by slot. It makes no more than one for every two bytes.
func parseEntities(b []byte) (map[uint32]said, error) {
	n, out := numbers{b: b}, map[uint32]said{}
	next := uint64(0)
	for k := n.next(uint64(len(b))); k > 0 && !n.bad; k-- {
		s := n.slot(next)
		out[uint32(s)], next = said{slot: uint32(s)}, s+1
	}
	next = 0
	var born game.EntityID
	for k := n.next(uint64(len(b))); k > 0 && !n.bad; k-- {
		s := n.slot(next)
		zigzag := n.next(math.MaxUint64)
		born += game.EntityID(zigzag>>1 ^ -(zigzag & 1))
		out[uint32(s)], next = said{slot: uint32(s), now: trace{id: born, kind: game.Kind(n.next(math.MaxUint16))}, born: true}, s+1
	}
	next = 0
	for len(n.b) > 0 && !n.bad {
		s, k := n.slot(next), n.next(uint64(len(n.b)/2))
		for ; k > 0 && len(n.b) >= 2; k-- {
			x := out[uint32(s)]
			x.slot, x.hash, x.now.hash = uint32(s), true, binary.LittleEndian.Uint16(n.b)
			out[uint32(s)], n.b, s = x, n.b[2:], s+1
		}
		if k > 0 || s > math.MaxUint32 {
			n.bad = true
		}
		next = s
	}
	if n.bad {
		return nil, errEntities
	}
	return out, nil
}
