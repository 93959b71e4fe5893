// Package replica is the gateway's half of replication: a read-only copy of each zone (Zone), each client's view of it and the frame built from it (Client), and
// the decoder that a client mirrors those frames with (Mirror).
//
// A Zone and all Clients that look at it belong to one goroutine, the gateway's flusher; a Mirror to its client's reader. Nothing here
// starts a goroutine, reads a clock or has to be stopped: time is the tick that the caller passes.
package replica

import (
	"errors"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// ErrGap says that a batch is missing: the zone must be asked for a snapshot, until which the replica stands still.
var ErrGap = errors.New("replica: a batch is missing")

// ErrStale says that a batch belongs to an older epoch or repeats one; it was ignored.
var ErrStale = errors.New("replica: batch of an older epoch")

// keep is how many publications per entity are kept; a client further behind gets the full state again. Measured: 8 costs nothing against 32.
const keep = 8

// hot is all that the common path touches: the zone's own fragment from the publication before to the latest.
type hot struct {
	bits uint64 // the fragment, if it fits the fast path
	n    uint8  // its length; 0: none, or too long
	any  bool   // the motion did not move: it fits at any section tick
	tick uint32 // else the section tick at which its age is 0
}

const (
	fastBits = 40 // fragment + index (≤ 15) + age bit fit one Put
	moved    = 1  // hot.n != 0 and the motion moved at hot.tick
	cacheLen = 1 << 10
)

type entity struct {
	ring  [keep]delta.Publication // publication number n at n mod keep
	id    uint64
	kind  uint16
	known bool
	first uint32         // number of this incarnation's first publication: an older base is another entity's or has holes
	last  delta.Fragment // the zone's fragment to the latest publication; empty: none
}

type cached struct {
	slot, from, to uint32
	f              delta.Fragment
}

// Zone is one zone as this gateway knows it.
type Zone struct {
	ID     uint32
	Layout delta.Layout

	epoch, tick uint32
	seq         uint64
	ready       bool     // a snapshot of this epoch was applied and nothing is missing since
	latest      []uint32 // per slot: number of the last publication; never restarts, so that a number identifies a base
	hot         []hot
	ents        []entity
	views       map[uint64]*view
	cache       []cached
	mark        []uint64 // scratch: bit per slot
	batch       batch.Batch
	bits        delta.Writer // scratch
}

// NewZone makes an empty replica, which waits for a snapshot.
func NewZone(id, epoch uint32, l delta.Layout) *Zone {
	return &Zone{ID: id, Layout: l, epoch: epoch, views: map[uint64]*view{}, cache: make([]cached, cacheLen)}
}

// Tick is the last zone tick that was applied.
func (z *Zone) Tick() uint32 { return z.tick }

// Ready tells whether the replica holds everything up to Tick.
func (z *Zone) Ready() bool { return z.ready }

// Apply takes the next batch. ErrGap and ErrStale are explained there; any other error means damaged bytes, after which
// the replica stands still as after a gap. Nothing is ever applied in part.
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
	if err := z.batch.Decode(data, z.Layout); err != nil {
		z.ready = false
		return err
	}
	if h.Epoch != z.epoch { // another life of the zone: its ids may be those of other entities
		for i := range z.ents {
			z.ents[i].known = false
		}
	}
	z.epoch, z.tick, z.seq, z.ready = h.Epoch, h.Tick, h.Sequence, true
	if h.Kind == batch.KindSnapshot {
		z.snapshot(&z.batch)
	} else {
		z.delta(&z.batch)
	}
	return nil
}

func (z *Zone) delta(b *batch.Batch) {
	for i := range b.Observers {
		if v := z.views[b.Observers[i].ID]; v != nil {
			v.input = b.Observers[i].Input
			if l := b.Observers[i].Leaves; len(l) > 0 {
				z.setMarks(l, true)
				v.keep(func(slot uint32) bool { return !z.marked(slot) })
				z.setMarks(l, false)
			}
		}
	}
	for _, slot := range b.Forgets {
		z.grow(slot)
		z.ents[slot].known = false
	}
	for i := range b.Fulls {
		z.spawn(&b.Fulls[i])
	}
	for i := range b.Updates {
		z.update(&b.Updates[i])
	}
	for i := range b.Observers {
		if v := z.views[b.Observers[i].ID]; v != nil {
			v.want(b.Observers[i].Enters)
		}
	}
}

// snapshot replaces everything. What is still the same incarnation keeps its numbers, so clients' bases stay valid.
func (z *Zone) snapshot(b *batch.Batch) {
	renewed := map[uint32]bool{}
	full := make(map[uint32]bool, len(b.Fulls))
	for i := range b.Fulls {
		f := &b.Fulls[i]
		z.grow(f.Slot)
		full[f.Slot] = true
		e := &z.ents[f.Slot]
		if !e.known || e.id != f.ID {
			renewed[f.Slot] = true
			z.spawn(f)
		} else if e.ring[z.latest[f.Slot]%keep] != f.Pub {
			z.push(f.Slot, f.Pub)
		}
	}
	for slot := range z.ents {
		z.ents[slot].known = full[uint32(slot)]
	}
	listed := make(map[uint64]bool, len(b.Observers))
	for i := range b.Observers {
		o := &b.Observers[i]
		listed[o.ID] = true
		v := z.views[o.ID]
		if v == nil {
			continue
		}
		v.input = o.Input
		z.setMarks(o.Enters, true)
		v.keep(func(slot uint32) bool { return z.marked(slot) && !renewed[slot] })
		z.setMarks(o.Enters, false)
		z.setMarks(v.slot, true)
		o.Enters = slices.DeleteFunc(o.Enters, z.marked) // stayed
		z.setMarks(v.slot, false)
		v.want(o.Enters)
	}
	for id, v := range z.views {
		if !listed[id] {
			v.keep(func(uint32) bool { return false })
		}
	}
}

func (z *Zone) grow(slot uint32) {
	for int(slot) >= len(z.ents) {
		z.ents = append(z.ents, entity{})
		z.latest = append(z.latest, 0)
		z.hot = append(z.hot, hot{})
	}
}

func (z *Zone) push(slot uint32, p delta.Publication) {
	z.latest[slot]++
	e := &z.ents[slot]
	e.ring[z.latest[slot]%keep] = p
	e.last = delta.Fragment{}
	z.hot[slot] = hot{}
}

func (z *Zone) spawn(f *batch.Full) {
	z.grow(f.Slot)
	z.push(f.Slot, f.Pub)
	e := &z.ents[f.Slot]
	e.id, e.kind, e.known, e.first = f.ID, f.Kind, true, z.latest[f.Slot]
}

func (z *Zone) update(u *batch.Update) {
	z.grow(u.Slot)
	e := &z.ents[u.Slot]
	if !e.known {
		return // the zone names only what it made known; a damaged batch must not do harm
	}
	before := &e.ring[z.latest[u.Slot]%keep]
	z.bits.Reset()
	u.Fragment.WriteTo(&z.bits)
	r := delta.NewReader(z.bits.Bytes())
	p := delta.DecodeDelta(&r, before, z.tick)
	still := p.Tick == before.Tick
	z.push(u.Slot, p)
	e.last = u.Fragment
	if n := u.Fragment.Len(); n <= fastBits {
		z.hot[u.Slot] = hot{u.Fragment.Word(0), uint8(n), still, z.tick}
	}
}

// fragment finds or makes the fragment from publication number from to the latest.
func (z *Zone) fragment(slot, from uint32) *delta.Fragment {
	e, to := &z.ents[slot], z.latest[slot]
	if from == to-1 && e.last.Len() != 0 {
		return &e.last
	}
	c := &z.cache[(slot*2654435761+from*40503)>>12%cacheLen]
	if c.f.Len() == 0 || c.slot != slot || c.from != from || c.to != to {
		*c = cached{slot, from, to, delta.EncodeDelta(&e.ring[from%keep], &e.ring[to%keep])}
	}
	return &c.f
}

func (z *Zone) setMarks(slots []uint32, on bool) {
	for _, s := range slots {
		for int(s>>6) >= len(z.mark) {
			z.mark = append(z.mark, 0)
		}
		if on {
			z.mark[s>>6] |= 1 << (s & 63)
		} else {
			z.mark[s>>6] &^= 1 << (s & 63)
		}
	}
}

func (z *Zone) marked(slot uint32) bool {
	return int(slot>>6) < len(z.mark) && z.mark[slot>>6]>>(slot&63)&1 != 0
}
