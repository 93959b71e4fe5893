// Package replica is the gateway's half of replication: a read-only copy of each zone (Zone), each client's view of it and the frame built from it (Client), and
// the decoder that a client mirrors those frames with (Mirror).
//
// A Zone and all Clients that look at it belong to one goroutine, the gateway's flusher; a Mirror to its client's reader. Nothing here
// starts a goroutine, reads a clock or has to be stopped: time is the tick that the caller passes.
package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// ErrGap says that a batch is missing: the zone must be asked for a snapshot, until which the replica stands still.
var ErrGap = errors.New("replica: a batch is missing")

// ErrStale says that a batch belongs to an older epoch or repeats one; it was ignored.
var ErrStale = errors.New("replica: batch of an older epoch")

// Zone is one zone as this gateway knows it.
type Zone struct {
	ID     uint32
	Params delta.Params
	// Strange, if set, is told of each observer that a batch names and that has no view here, before anything of the batch is applied to views: it may Open one.
	Strange func(observer uint64)

	codec       *delta.Codec
	epoch, tick uint32
	seq         uint64
	ready       bool     // a snapshot of this epoch was applied and nothing is missing since
	latest      []uint32 // per slot: number of the last publication; never restarts, so that a number identifies a base
	hot         []hot
	ents        []entity
	views       map[uint64]*view
	cache       []cached
	byID        map[uint64]uint32   // slots of the entities that are known
	aways       []*view             // with something away
	mark, left  marks               // scratch; left: what the batch at hand says departed
	was         map[uint32]identity // while a snapshot is applied: who was in the slots that are another's now
	events      []Event
	about       marks // slots of events
	batch       batch.Batch
	bits        delta.Writer // scratch
	in          delta.Reader // scratch: one that stands on the stack would escape
	scratch     delta.Record
}

type identity struct {
	id   uint64
	kind uint16
}

// marks is a bit per slot.
type marks []uint64

func (m marks) has(slot uint32) bool {
	return int(slot>>6) < len(m) && m[slot>>6]>>(slot&63)&1 != 0
}

func (m *marks) set(slot uint32, on bool) {
	for int(slot>>6) >= len(*m) {
		*m = append(*m, 0)
	}
	if on {
		(*m)[slot>>6] |= 1 << (slot & 63)
	} else {
		(*m)[slot>>6] &^= 1 << (slot & 63)
	}
}

func (m *marks) setAll(slots []uint32, on bool) {
	for _, s := range slots {
		m.set(s, on)
	}
}

// NewZone makes an empty replica, which waits for a snapshot.
func NewZone(id, epoch uint32, c *delta.Codec, p delta.Params) *Zone {
	z := &Zone{ID: id, Params: p, codec: c, epoch: epoch, views: map[uint64]*view{}, byID: map[uint64]uint32{}, cache: make([]cached, cacheLen)}
	const usual = 24 // bytes of a fragment: what is longer allocates its own
	room := make([]byte, cacheLen*usual)
	for i := range z.cache {
		z.cache[i].f.b = room[i*usual : i*usual : (i+1)*usual]
	}
	return z
}

// Tick is the last zone tick that was applied.
func (z *Zone) Tick() uint32 { return z.tick }

// Ready tells whether the replica holds everything up to Tick.
func (z *Zone) Ready() bool { return z.ready }

// Apply takes the next batch. ErrGap and ErrStale are explained there; any other error means damaged bytes, after which
// the replica stands still as after a gap: only a snapshot, which replaces everything, makes it go on.
func (z *Zone) Apply(data []byte) error {
	h, err := batch.DecodeHeader(data)
	if err != nil {
		z.ready = false
		return err
	}
	switch {
	case int32(h.Epoch-z.epoch) < 0 || h.Epoch == z.epoch && h.Sequence <= z.seq:
		return ErrStale
	case h.Kind == batch.KindDelta && (!z.ready || h.Epoch != z.epoch || h.Sequence != z.seq+1):
		z.ready = false
		return ErrGap
	}
	z.ready = false
	if err := z.batch.Decode(data); err != nil {
		return err
	}
	if h.Epoch != z.epoch { // another life of the zone: its ids may be those of other entities
		for i := range z.ents {
			z.ents[i].known, z.ents[i].id = false, 0
		}
		clear(z.byID)
	}
	z.epoch, z.tick, z.seq = h.Epoch, h.Tick, h.Sequence
	err = z.apply(&z.batch)
	z.ready = err == nil
	return err
}

func (z *Zone) apply(b *batch.Batch) error {
	if z.Strange != nil {
		for i := range b.Observers {
			if id := b.Observers[i].ID; z.views[id] == nil {
				z.Strange(id)
			}
		}
	}
	z.hush(b)
	change := z.delta
	if b.Kind == batch.KindSnapshot {
		change = z.snapshot
	}
	for i := range b.Departed {
		z.left.set(b.Departed[i].Slot, true)
	}
	err := change(b)
	for i := range b.Departed {
		z.left.set(b.Departed[i].Slot, false)
	}
	if err == nil {
		z.reclaim()
		z.note(b.Events)
	}
	return err
}

func (z *Zone) delta(b *batch.Batch) error {
	for _, id := range b.Removed {
		if v := z.views[id]; v != nil {
			v.unobserved()
		}
	}
	for i := range b.Observers {
		if v := z.views[b.Observers[i].ID]; v != nil {
			v.input, v.silent = b.Observers[i].Input, false
			if l := b.Observers[i].Leaves; len(l) > 0 {
				z.mark.setAll(l, true)
				v.keep(func(slot uint32) bool { return !z.mark.has(slot) })
				z.mark.setAll(l, false)
			}
		}
	}
	for _, slot := range b.Forgets {
		z.room(slot)
		z.forget(slot)
	}
	for i := range b.Fulls {
		if err := z.spawn(&b.Fulls[i]); err != nil {
			return err
		}
	}
	for i := range b.Updates {
		if err := z.update(&b.Updates[i]); err != nil {
			return err
		}
	}
	for i := range b.Observers {
		if v := z.views[b.Observers[i].ID]; v != nil {
			if err := z.known(b.Observers[i].Enters); err != nil {
				return err
			}
			v.want(b.Observers[i].Enters)
		}
	}
	return nil
}

// snapshot replaces everything. What is still the same incarnation keeps its numbers, so clients' bases stay valid.
func (z *Zone) snapshot(b *batch.Batch) error {
	z.was = map[uint32]identity{}
	defer func() { z.was = nil }()
	full := make(map[uint32]bool, len(b.Fulls))
	for i := range b.Fulls {
		f := &b.Fulls[i]
		z.room(f.Slot)
		full[f.Slot] = true
		e := &z.ents[f.Slot]
		if !e.known || e.id != f.ID {
			z.was[f.Slot] = z.identity(f.Slot)
			if err := z.spawn(f); err != nil {
				return err
			}
			continue
		}
		if f.Kind != e.codec.Kind.ID {
			return fmt.Errorf("%w: entity %d was of kind %d and is now of kind %d", batch.ErrMalformed, f.ID, e.codec.Kind.ID, f.Kind)
		}
		if err := z.read(e.codec, f); err != nil {
			return err
		}
		if p := e.pub(z.latest[f.Slot]); p.Tick != z.scratch.Tick && e.codec.Places() || !delta.EqualRecord(&p, &z.scratch) {
			z.push(f.Slot, &z.scratch)
		}
	}
	for slot := range z.ents {
		if !full[uint32(slot)] {
			z.forget(uint32(slot))
		}
	}
	listed := make(map[uint64]bool, len(b.Observers))
	for i := range b.Observers {
		o := &b.Observers[i]
		listed[o.ID] = true
		v := z.views[o.ID]
		if v == nil {
			continue
		}
		v.input, v.silent = o.Input, false
		if err := z.known(o.Enters); err != nil {
			return err
		}
		z.mark.setAll(o.Enters, true)
		v.keep(func(slot uint32) bool {
			_, another := z.was[slot]
			return z.mark.has(slot) && !another
		})
		z.mark.setAll(o.Enters, false)
		z.mark.setAll(v.slot, true)
		for _, a := range v.away {
			z.mark.set(a.slot, true)
		}
		o.Enters = slices.DeleteFunc(o.Enters, z.mark.has) // stayed
		for _, a := range v.away {
			z.mark.set(a.slot, false)
		}
		z.mark.setAll(v.slot, false)
		v.want(o.Enters)
	}
	for id, v := range z.views {
		if !listed[id] {
			v.unobserved()
		}
	}
	return nil
}

// forget empties a slot.
func (z *Zone) forget(slot uint32) {
	e := &z.ents[slot]
	if at, ok := z.byID[e.id]; ok && e.known && at == slot {
		delete(z.byID, e.id)
	}
	e.known = false
}

// identity is who is in a slot, if anybody.
func (z *Zone) identity(slot uint32) (who identity) {
	if e := &z.ents[slot]; e.codec != nil {
		who.id, who.kind = e.id, e.codec.Kind.ID
	}
	return who
}

// room makes place for a slot.
func (z *Zone) room(slot uint32) {
	for int(slot) >= len(z.ents) {
		z.ents = append(z.ents, entity{})
		z.latest = append(z.latest, 0)
		z.hot = append(z.hot, hot{})
	}
}

// known refuses slots of which the batches have not told what is in them.
func (z *Zone) known(slots []uint32) error {
	for _, s := range slots {
		if int(s) >= len(z.ents) || !z.ents[s].known {
			return fmt.Errorf("%w: slot %d enters a view, but it is not known here", batch.ErrMalformed, s)
		}
	}
	return nil
}
