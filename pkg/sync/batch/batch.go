// Package batch is the stream from a zone to a gateway: one batch per tick, in which every surprising entity appears once, however many of the
// gateway's clients see it.
//
// Source is the zone's side: it is told of spawns, states and visibility, decides what is a surprise, and writes one batch per gateway and tick. It belongs
// to the zone's owner goroutine. Batch is the gateway's side: Decode reads one whole batch, or refuses it before anything of it
// was applied. Nothing here starts a goroutine or has to be stopped.
package batch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Layout of a batch (uvarint unless a size is given; slots, ids and observers as the zone numbers them):
//
//	kind u8 (1 delta, 2 snapshot) · zone · epoch · tick u32 LE · sequence
//	n · n × slot                                             forgotten: no observer of this gateway sees them any more
//	n · n × { slot · zone · epoch }                          departed: what was in the slot goes on in that zone, under its id
//	n · n × { slot · id · kind · age · bits · full }         publications in full; motion's base tick = tick − age
//	n · n × { slot · bits · delta }                          surprises, against the publication before; a moved base tick = tick
//	n · n × observer                                         removed: they see nothing any more. One that is listed below as well is a new one
//	n · n × { observer · last input · n · n × slot · n · n × slot }   leaves, enters
//	n · n × { slot · route · length · payload }              events, in the order in which they happened; about what is in the slot after this batch
//
// A snapshot replaces everything that the gateway knew of the zone: its fulls are all entities that the gateway's observers see, and its enters every
// observer's whole view. It holds no forgets, updates and events.
const (
	KindDelta    = 1
	KindSnapshot = 2
)

// MaxSlot bounds slots, so that a damaged batch cannot make a gateway allocate without end.
const MaxSlot = 1 << 21

// MaxBits bounds the bits of one encoded state. A delta in which everything changed may be longer than the full state, but not four times.
const MaxBits = 4 * delta.MaxPartBits

// MaxEvent bounds an event's payload in bytes.
const MaxEvent = 64 << 10

// ErrMalformed is wrapped by every error of Decode.
var ErrMalformed = errors.New("malformed batch")

// Header says what a batch is about. Sequence counts the batches of this zone to this gateway: a gap means that one was lost.
type Header struct {
	Kind     uint8
	Zone     uint32
	Epoch    uint32
	Tick     uint32
	Sequence uint64
}

// Bits is an encoded state: the first N bits of B, whose last byte is padded with zeros. B is a part of the batch's bytes.
type Bits struct {
	N int
	B []byte
}

// Full is an entity's last publication in full.
type Full struct {
	Slot uint32
	ID   uint64
	Kind uint16
	Tick uint32 // base tick of its motion
	Full Bits
}

// Update is a surprise: the publication of this batch's tick, coded against the one before.
type Update struct {
	Slot  uint32
	Delta Bits
}

// Departure says that the entity in a slot, which is empty now, goes on in another zone under the same id. Who saw it gets a Leave in the same batch, as ever.
type Departure struct {
	Slot  uint32
	Zone  uint32
	Epoch uint32 // of that zone
}

// Event is something that happened to an entity, or beside it: a message of a route for whoever sees the entity.
type Event struct {
	Slot    uint32
	Route   uint16
	Payload []byte // a part of the batch's bytes
}

// Observer is what changed for one observer: slots that left and entered its view, and the last input of it that the zone applied.
type Observer struct {
	ID             uint64
	Input          uint32
	Leaves, Enters []uint32 // valid until the next Decode
}

// Batch is a decoded batch. Its slices are reused by the next Decode into it, and its Bits are parts of the bytes it was decoded from.
type Batch struct {
	Header
	Forgets   []uint32
	Departed  []Departure
	Fulls     []Full
	Updates   []Update
	Removed   []uint64 // observers
	Observers []Observer
	Events    []Event

	slots []uint32
	spans []span
}

type span struct{ from, mid, to int }

type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrMalformed, what, len(c.b))
	}
	c.b = nil
}

func (c *cursor) uvarint(what string, limit uint64) uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 || v > limit {
		c.fail(what)
		return 0
	}
	c.b = c.b[n:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (c *cursor) count(what string, size int) int {
	return int(c.uvarint(what, uint64(len(c.b)/size)))
}

func (c *cursor) take(what string, n int) []byte {
	if n > len(c.b) {
		c.fail(what)
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) slot() uint32 { return uint32(c.uvarint("slot", MaxSlot-1)) }

// DecodeHeader reads only the header.
func DecodeHeader(b []byte) (Header, error) {
	c := cursor{b: b}
	h := c.header()
	return h, c.err
}

func (c *cursor) header() (h Header) {
	if k := c.take("kind", 1); k != nil {
		h.Kind = k[0]
	}
	if h.Kind != KindDelta && h.Kind != KindSnapshot {
		c.fail("kind")
	}
	h.Zone = uint32(c.uvarint("zone", 1<<32-1))
	h.Epoch = uint32(c.uvarint("epoch", 1<<32-1))
	if t := c.take("tick", 4); t != nil {
		h.Tick = binary.LittleEndian.Uint32(t)
	}
	h.Sequence = c.uvarint("sequence", 1<<63)
	return h
}

// Decode replaces b's content by the batch in data, or returns an error that wraps ErrMalformed; then b must not be used. What the encoded states hold is not looked at:
// that needs the layout, and bases.
func (b *Batch) Decode(data []byte) error {
	c := cursor{b: data}
	b.Header = c.header()
	b.Forgets, b.Departed, b.Fulls, b.Updates = b.Forgets[:0], b.Departed[:0], b.Fulls[:0], b.Updates[:0]
	for n := c.count("number of forgets", 1); n > 0; n-- {
		b.Forgets = append(b.Forgets, c.slot())
	}
	for n := c.count("number of departures", 3); n > 0 && c.err == nil; n-- {
		b.Departed = append(b.Departed, Departure{c.slot(), uint32(c.uvarint("zone of a departure", 1<<32-1)), uint32(c.uvarint("epoch of a departure", 1<<32-1))})
	}
	for n := c.count("number of fulls", 6); n > 0 && c.err == nil; n-- {
		b.Fulls = append(b.Fulls, c.full(b.Tick))
	}
	for n := c.count("number of updates", 3); n > 0 && c.err == nil; n-- {
		u := Update{c.slot(), c.bits()}
		if u.Delta.N == 0 {
			c.fail("update without a change")
		}
		b.Updates = append(b.Updates, u)
	}
	b.Removed = b.Removed[:0]
	for n := c.count("number of removed observers", 1); n > 0 && c.err == nil; n-- {
		b.Removed = append(b.Removed, c.uvarint("removed observer", 1<<64-1))
	}
	b.observers(&c)
	b.events(&c)
	if c.err == nil && len(c.b) > 0 {
		c.fail("bytes after the end")
	}
	return c.err
}

func (b *Batch) observers(c *cursor) {
	b.Observers, b.slots, b.spans = b.Observers[:0], b.slots[:0], b.spans[:0]
	for n := c.count("number of observers", 4); n > 0 && c.err == nil; n-- {
		o := Observer{ID: c.uvarint("observer", 1<<64-1), Input: uint32(c.uvarint("input", 1<<32-1))}
		s := span{from: len(b.slots)}
		for m := c.count("number of leaves", 1); m > 0; m-- {
			b.slots = append(b.slots, c.slot())
		}
		s.mid = len(b.slots)
		for m := c.count("number of enters", 1); m > 0; m-- {
			b.slots = append(b.slots, c.slot())
		}
		s.to = len(b.slots)
		b.Observers, b.spans = append(b.Observers, o), append(b.spans, s)
	}
	for i, s := range b.spans { // only now does b.slots stay where it is
		b.Observers[i].Leaves, b.Observers[i].Enters = b.slots[s.from:s.mid], b.slots[s.mid:s.to]
	}
}

func (b *Batch) events(c *cursor) {
	b.Events = b.Events[:0]
	for n := c.count("number of events", 3); n > 0 && c.err == nil; n-- {
		e := Event{Slot: c.slot(), Route: uint16(c.uvarint("route of an event", 1<<16-1))}
		e.Payload = c.take("payload of an event", int(c.uvarint("length of an event", MaxEvent)))
		b.Events = append(b.Events, e)
	}
	if c.err == nil && b.Kind == KindSnapshot && len(b.Forgets)+len(b.Updates)+len(b.Events) > 0 {
		c.fail("forgets, updates or events in a snapshot")
	}
}

func (c *cursor) full(tick uint32) Full {
	f := Full{Slot: c.slot(), ID: c.uvarint("id", 1<<64-1), Kind: uint16(c.uvarint("kind of entity", 1<<16-1))}
	f.Tick = tick - uint32(c.uvarint("age", 1<<32-1))
	f.Full = c.bits()
	return f
}

func (c *cursor) bits() (v Bits) {
	v.N = int(c.uvarint("length in bits", MaxBits))
	v.B = c.take("bits", (v.N+7)/8)
	if c.err == nil && v.N&7 != 0 && v.B[len(v.B)-1]>>(v.N&7) != 0 {
		c.fail("bits beyond their number")
	}
	return v
}
