package batch

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Source is a zone's side of replication. Per tick the zone calls, in this order: Despawn, Depart and Spawn, Leave and Enter, Publish for every entity, and
// Finish; Event at any time before that. A slot that was despawned must not be spawned again before the next tick: that is how a gateway tells two entities apart.
// Calls with a slot, observer or gateway that was never added are mistakes of the caller and panic.
type Source struct {
	zone, epoch uint32
	codec       *delta.Codec
	params      delta.Params

	ents     []entity
	gateways []*gateway // in order of attachment: the output's order
	obs      map[uint64]*observer

	round    uint64 // of Finish: tells a slot that rests
	events   []event
	payloads []byte // of events
	bits     delta.Writer

	stats Stats
}

// Stats counts what a Source did since it was made.
type Stats struct {
	Publications uint64 // surprises
	Fragments    uint64 // of them encoded, because a gateway sees the entity
	BatchBytes   uint64
	Departures   uint64
	// Events is how often an event went to a gateway, EventsDropped how often one did not go to a gateway some of whose observers saw its entity, because a
	// snapshot, which carries none, was due there.
	Events, EventsDropped uint64
}

// event is an Event whose payload ends at to in Source.payloads, where the one before it ends.
type event struct {
	slot  uint32
	route uint16
	to    int
}

type entity struct {
	id    uint64
	kind  *delta.KindCodec
	alive bool
	freed uint64       // 1 + the round in which the slot was emptied
	pub   delta.Record // the last publication
}

type gateway struct {
	id        uint32
	seq       uint64
	snapshot  bool        // the next batch replaces everything
	observers []*observer // in order of adding, with those that have gone since the last Finish
	gone      int         // of them
	seen      []int32     // observers of this gateway that see the slot
	known     []bool      // the gateway holds the slot's publications
	changed   []uint32    // slots whose count went to or from 0 in this tick
	forgets   []uint32
	removed   []uint64 // observers, in this tick
	departed  []Departure
	fulls     section
	updates   section
	out       []byte
}

type section struct {
	n int
	b []byte
}

// Output is the batch of one gateway; Bytes is valid until the next Finish.
type Output struct {
	Gateway uint32
	Bytes   []byte
}

// NewSource makes the replication of one zone that has no gateways and entities yet.
func NewSource(zone, epoch uint32, c *delta.Codec, p delta.Params) *Source {
	return &Source{zone: zone, epoch: epoch, codec: c, params: p, obs: map[uint64]*observer{}}
}

// Stats returns the counters.
func (s *Source) Stats() Stats { return s.stats }

// AttachGateway adds a gateway; its first batch is a snapshot. A gateway that is attached already gets a new snapshot.
func (s *Source) AttachGateway(id uint32) {
	if g := s.gateway(id); g != nil {
		g.snapshot = true
		return
	}
	s.gateways = append(s.gateways, &gateway{id: id, snapshot: true})
}

// DetachGateway drops a gateway with all its observers.
func (s *Source) DetachGateway(id uint32) {
	g := s.gateway(id)
	if g == nil {
		return
	}
	for _, o := range g.observers {
		if !o.gone { // the id of one that has gone may be another's by now
			delete(s.obs, o.id)
		}
	}
	s.gateways = slices.DeleteFunc(s.gateways, func(x *gateway) bool { return x == g })
}

// RequestSnapshot makes the gateway's next batch a snapshot; an unknown gateway is ignored, for the request may have crossed a detachment.
func (s *Source) RequestSnapshot(gatewayID uint32) {
	if g := s.gateway(gatewayID); g != nil {
		g.snapshot = true
	}
}

func (s *Source) gateway(id uint32) *gateway {
	for _, g := range s.gateways {
		if g.id == id {
			return g
		}
	}
	return nil
}

// Spawn puts an entity into a slot; its first publication is its state at the tick. A kind that the codec does not know is a mistake of the caller.
func (s *Source) Spawn(slot uint32, id uint64, kind uint16, st *delta.Record, tick uint32) {
	for int(slot) >= len(s.ents) {
		s.ents = append(s.ents, entity{})
	}
	e := &s.ents[slot]
	if e.alive {
		panic(fmt.Sprintf("batch: slot %d is taken by entity %d", slot, e.id))
	}
	if e.freed == s.round+1 {
		panic(fmt.Sprintf("batch: slot %d was emptied in this tick: use another one until the next", slot))
	}
	k := s.codec.Kind(kind)
	if k == nil {
		panic(fmt.Sprintf("batch: entity %d has kind %d, which the layout does not name", id, kind))
	}
	e.id, e.kind, e.alive, e.freed = id, k, true, 0
	e.pub.Copy(st)
	e.pub.Tick = tick
}

// Despawn empties a slot; one that was never spawned is empty already. Who sees it must get a Leave within the same tick.
func (s *Source) Despawn(slot uint32) {
	if int(slot) < len(s.ents) {
		s.ents[slot].alive, s.ents[slot].freed = false, s.round+1
	}
}

// Depart is Despawn for an entity that goes on, under its id, in another zone: what observers of both zones are shown is one entity that stays. Who sees it must get a
// Leave within the same tick, as ever.
func (s *Source) Depart(slot, to, epoch uint32) {
	if int(slot) >= len(s.ents) || !s.ents[slot].alive {
		panic(fmt.Sprintf("batch: slot %d, out of which an entity departs to zone %d, is empty", slot, to))
	}
	s.Despawn(slot)
	for _, g := range s.gateways {
		if int(slot) < len(g.known) && g.known[slot] { // when the tick began some of its observers saw the slot
			g.departed = append(g.departed, Departure{slot, to, epoch})
		}
	}
	s.stats.Departures++
}

// Event says that something happened about the entity in a slot, for whoever sees it when the tick ends: once per gateway with such an observer, however many there are. It
// is lossy: a gateway whose next batch is a snapshot gets none (Stats.EventsDropped), and a gateway drops it for clients that do not have the entity yet or have fallen
// behind. The payload, of at most MaxEvent bytes, is copied.
func (s *Source) Event(slot uint32, route uint16, payload []byte) {
	if slot >= MaxSlot || len(payload) > MaxEvent {
		panic(fmt.Sprintf("batch: event of route %d about slot %d with %d bytes: there are %d slots, and a payload has at most %d bytes", route, slot, len(payload), MaxSlot, MaxEvent))
	}
	s.payloads = append(s.payloads, payload...)
	s.events = append(s.events, event{slot, route, len(s.payloads)})
}

// Publication is a slot's last publication: what every replica's base is once it is up to date. It must not be changed, and changes with the next Publish.
func (s *Source) Publication(slot uint32) *delta.Record { return &s.ents[slot].pub }

func (g *gateway) count(slot uint32, by int32) {
	for int(slot) >= len(g.seen) {
		g.seen, g.known = append(g.seen, 0), append(g.known, false)
	}
	g.seen[slot] += by
	if (g.seen[slot] == 0) == g.known[slot] {
		g.changed = append(g.changed, slot)
	}
}

// Publish compares an entity's true state with its prediction and, if they differ, publishes it: encoded once, copied to every gateway that
// knows the entity. It is called for every entity in every tick, seen or not, so that the last publication is always right. dirty tells which groups of
// the state may have changed (delta.DirtyBit); a motion under way is looked at unasked. st.Tick is the Source's to set.
func (s *Source) Publish(slot uint32, st *delta.Record, dirty uint64, tick uint32) {
	e := &s.ents[slot]
	surprised := e.kind.Surprise(&e.pub, st, delta.AOI, dirty, tick)
	if surprised == 0 {
		return
	}
	s.stats.Publications++
	encoded := false
	for _, g := range s.gateways {
		if int(slot) >= len(g.known) || !g.known[slot] || g.snapshot {
			continue
		}
		if g.seen[slot] == 0 { // forgotten in this batch
			continue
		}
		if !encoded {
			encoded = true
			s.bits.Reset()
			e.kind.DeltaOf(&s.bits, &e.pub, st, delta.AOI, surprised) // what Publish takes over, no more: a dirty bit that was missed must not make bases differ
			s.stats.Fragments++
		}
		g.updates.n++
		g.updates.b = binary.AppendUvarint(g.updates.b, uint64(slot))
		g.updates.b = binary.AppendUvarint(g.updates.b, uint64(s.bits.Bits()))
		g.updates.b = append(g.updates.b, s.bits.Bytes()...)
	}
	e.kind.Publish(&e.pub, st, delta.AOI, surprised)
}

// Finish ends the tick and appends each gateway's batch to dst.
func (s *Source) Finish(tick uint32, dst []Output) []Output {
	s.round++
	for _, g := range s.gateways {
		g.compact()
		if g.snapshot {
			s.everything(g, tick)
		} else {
			s.changes(g, tick)
		}
		dst = append(dst, Output{g.id, s.write(g, tick)})
		s.stats.BatchBytes += uint64(len(g.out))
		g.snapshot = false
		g.changed, g.forgets, g.removed, g.departed = g.changed[:0], g.forgets[:0], g.removed[:0], g.departed[:0]
		g.fulls, g.updates = section{b: g.fulls.b[:0]}, section{b: g.updates.b[:0]}
		for _, o := range g.observers {
			o.touched, o.leaves, o.enters = false, o.leaves[:0], o.enters[:0]
		}
	}
	s.events, s.payloads = s.events[:0], s.payloads[:0]
	return dst
}

// changes turns counts that went to or from 0 into forgets and fulls.
func (s *Source) changes(g *gateway, tick uint32) {
	for _, slot := range g.changed {
		switch {
		case g.known[slot] && g.seen[slot] == 0:
			g.known[slot] = false
			g.forgets = append(g.forgets, slot)
		case !g.known[slot] && g.seen[slot] > 0:
			g.known[slot] = true
			s.full(g, slot, tick)
		}
	}
}

func (s *Source) everything(g *gateway, tick uint32) {
	g.updates = section{b: g.updates.b[:0]}
	for slot := range g.seen {
		if g.known[slot] = g.seen[slot] > 0; g.known[slot] {
			s.full(g, uint32(slot), tick)
		}
	}
}

func (s *Source) full(g *gateway, slot, tick uint32) {
	e := &s.ents[slot]
	s.bits.Reset()
	e.kind.Full(&s.bits, s.params, &e.pub, delta.AOI)
	g.fulls.n++
	b := binary.AppendUvarint(g.fulls.b, uint64(slot))
	b = binary.AppendUvarint(b, e.id)
	b = binary.AppendUvarint(b, uint64(e.kind.Kind.ID))
	age := uint32(0)
	if e.kind.Places() {
		age = tick - e.pub.Tick
	}
	b = binary.AppendUvarint(b, uint64(age))
	b = binary.AppendUvarint(b, uint64(s.bits.Bits()))
	g.fulls.b = append(b, s.bits.Bytes()...)
}

func (s *Source) write(g *gateway, tick uint32) []byte {
	b := g.out[:0]
	kind := byte(KindDelta)
	if g.snapshot {
		kind = KindSnapshot
	}
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(s.zone))
	b = binary.AppendUvarint(b, uint64(s.epoch))
	b = binary.LittleEndian.AppendUint32(b, tick)
	g.seq++
	b = binary.AppendUvarint(b, g.seq)
	b = appendSlots(b, g.forgets)
	b = g.appendDeparted(b)
	b = append(binary.AppendUvarint(b, uint64(g.fulls.n)), g.fulls.b...)
	b = append(binary.AppendUvarint(b, uint64(g.updates.n)), g.updates.b...)
	b = binary.AppendUvarint(b, uint64(len(g.removed)))
	for _, id := range g.removed {
		b = binary.AppendUvarint(b, id)
	}
	b = s.appendEvents(g.appendObservers(b), g)
	g.out = b
	return b
}

func (g *gateway) appendDeparted(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(g.departed)))
	for _, d := range g.departed {
		b = binary.AppendUvarint(b, uint64(d.Slot))
		b = binary.AppendUvarint(b, uint64(d.Zone))
		b = binary.AppendUvarint(b, uint64(d.Epoch))
	}
	return b
}

// sees tells whether some observer of the gateway sees a slot.
func (g *gateway) sees(slot uint32) bool { return int(slot) < len(g.seen) && g.seen[slot] > 0 }

func (s *Source) appendEvents(b []byte, g *gateway) []byte {
	n := 0
	for i := range s.events {
		if g.sees(s.events[i].slot) {
			n++
		}
	}
	if g.snapshot {
		s.stats.EventsDropped += uint64(n)
		return binary.AppendUvarint(b, 0)
	}
	s.stats.Events += uint64(n)
	b = binary.AppendUvarint(b, uint64(n))
	from := 0
	for i := range s.events {
		e := &s.events[i]
		if g.sees(e.slot) {
			b = binary.AppendUvarint(b, uint64(e.slot))
			b = binary.AppendUvarint(b, uint64(e.route))
			b = binary.AppendUvarint(b, uint64(e.to-from))
			b = append(b, s.payloads[from:e.to]...)
		}
		from = e.to
	}
	return b
}

func (g *gateway) appendObservers(b []byte) []byte {
	n := 0
	for _, o := range g.observers {
		if o.touched || g.snapshot {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, o := range g.observers {
		if !o.touched && !g.snapshot {
			continue
		}
		b = binary.AppendUvarint(b, o.id)
		b = binary.AppendUvarint(b, uint64(o.input))
		if g.snapshot {
			o.leaves, o.enters = o.leaves[:0], o.view(o.enters[:0])
		}
		b = appendSlots(appendSlots(b, o.leaves), o.enters)
	}
	return b
}

func appendSlots(b []byte, slots []uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(slots)))
	for _, s := range slots {
		b = binary.AppendUvarint(b, uint64(s))
	}
	return b
}
