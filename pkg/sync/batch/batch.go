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
//	n · n × { slot · id · kind · age · bits u8 · full }      publications in full; motion's base tick = tick − age
//	n · n × { slot · bits u8 · delta }                       surprises, against the publication before; a moved base tick = tick
//	n · n × { observer · last input · n · n × slot · n · n × slot }   leaves, enters
//
// A snapshot replaces everything that the gateway knew of the zone: its fulls are all entities that the gateway's observers see, and its enters every
// observer's whole view.
const (
	KindDelta    = 1
	KindSnapshot = 2
)

// MaxSlot bounds slots, so that a damaged batch cannot make a gateway allocate without end.
const MaxSlot = 1 << 21

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

// Full is an entity's last publication in full.
type Full struct {
	Slot uint32
	ID   uint64
	Kind uint16
	Pub  delta.Publication
}

// Update is a surprise: the publication of this batch's tick, coded against the one before.
type Update struct {
	Slot     uint32
	Fragment delta.Fragment
}

// Observer is what changed for one observer: slots that left and entered its view, and the last input of it that the zone applied.
type Observer struct {
	ID             uint64
	Input          uint32
	Leaves, Enters []uint32 // valid until the next Decode
}

// Batch is a decoded batch; its slices are reused by the next Decode into it.
type Batch struct {
	Header
	Forgets   []uint32
	Fulls     []Full
	Updates   []Update
	Observers []Observer

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

// Decode replaces b's content by the batch in data, or returns an error that wraps ErrMalformed; then b must not be used.
func (b *Batch) Decode(data []byte, l delta.Layout) error {
	c := cursor{b: data}
	b.Header = c.header()
	b.Forgets, b.Fulls, b.Updates = b.Forgets[:0], b.Fulls[:0], b.Updates[:0]
	for n := c.count("number of forgets", 1); n > 0; n-- {
		b.Forgets = append(b.Forgets, c.slot())
	}
	for n := c.count("number of fulls", 6); n > 0 && c.err == nil; n-- {
		b.Fulls = append(b.Fulls, c.full(l, b.Tick))
	}
	for n := c.count("number of updates", 3); n > 0 && c.err == nil; n-- {
		b.Updates = append(b.Updates, Update{c.slot(), c.fragment()})
	}
	b.observers(&c)
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

func (c *cursor) full(l delta.Layout, tick uint32) Full {
	f := Full{Slot: c.slot(), ID: c.uvarint("id", 1<<64-1), Kind: uint16(c.uvarint("kind of entity", 1<<16-1))}
	age := uint32(c.uvarint("age", 1<<32-1))
	n, body := c.bits()
	r := delta.NewReader(body)
	f.Pub = delta.DecodeFull(&r, l, tick-age)
	if r.Err() != nil || r.Left() != len(body)*8-n {
		c.fail("full state")
	}
	return f
}

func (c *cursor) fragment() delta.Fragment {
	n, body := c.bits()
	f, ok := delta.FragmentOf(body, n)
	if !ok || n == 0 {
		c.fail("fragment")
	}
	return f
}

func (c *cursor) bits() (int, []byte) {
	n := c.take("length in bits", 1)
	if n == nil {
		return 0, nil
	}
	return int(n[0]), c.take("bits", (int(n[0])+7)/8)
}
