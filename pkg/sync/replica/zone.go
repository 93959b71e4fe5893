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

	longFragment = 256 // bits from which on it is worth looking whether the full state is shorter
)

type entity struct {
	codec *delta.KindCodec
	ticks [keep]uint32 // publication number n has its base tick, words and variable parts at n mod keep
	words []uint32
	vars  []delta.Var
	id    uint64
	known bool
	first uint32 // number of this incarnation's first publication: an older base is another entity's or has holes

	last  encoded // the zone's fragment to the latest publication; empty: none
	full  encoded // the latest publication in full, if fullN is its number
	fullN uint32
}

// encoded is a fragment or a full state; its room is used again.
type encoded struct {
	b []byte
	n int // bits
}

func (e *encoded) set(b []byte, n int) { e.b, e.n = append(e.b[:0], b...), n }

type cached struct {
	slot, from, to uint32
	f              encoded
}

// Zone is one zone as this gateway knows it.
type Zone struct {
	ID     uint32
	Params delta.Params

	codec       *delta.Codec
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
	in          delta.Reader // scratch: one that stands on the stack would escape
	scratch     delta.Record
}

// NewZone makes an empty replica, which waits for a snapshot.
func NewZone(id, epoch uint32, c *delta.Codec, p delta.Params) *Zone {
	z := &Zone{ID: id, Params: p, codec: c, epoch: epoch, views: map[uint64]*view{}, cache: make([]cached, cacheLen)}
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
			z.ents[i].known = false
		}
	}
	z.epoch, z.tick, z.seq = h.Epoch, h.Tick, h.Sequence
	if h.Kind == batch.KindSnapshot {
		err = z.snapshot(&z.batch)
	} else {
		err = z.delta(&z.batch)
	}
	z.ready = err == nil
	return err
}

func (z *Zone) delta(b *batch.Batch) error {
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
		z.room(slot)
		z.ents[slot].known = false
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
	renewed := map[uint32]bool{}
	full := make(map[uint32]bool, len(b.Fulls))
	for i := range b.Fulls {
		f := &b.Fulls[i]
		z.room(f.Slot)
		full[f.Slot] = true
		e := &z.ents[f.Slot]
		if !e.known || e.id != f.ID {
			renewed[f.Slot] = true
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
		if err := z.known(o.Enters); err != nil {
			return err
		}
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
	return nil
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

// pub is publication number n, whose words and variable parts may be changed in place.
func (e *entity) pub(n uint32) delta.Record {
	i, k := int(n%keep), e.codec
	return delta.Record{Tick: e.ticks[i], W: e.words[i*k.Words : (i+1)*k.Words], V: e.vars[i*k.Vars : (i+1)*k.Vars]}
}

// next makes place for one more publication, which holds what p holds.
func (z *Zone) next(slot uint32, p *delta.Record) delta.Record {
	e := &z.ents[slot]
	z.latest[slot]++
	n := e.pub(z.latest[slot])
	copy(n.W, p.W)
	for i := range p.V {
		delta.CopyVar(&n.V[i], &p.V[i])
	}
	e.ticks[z.latest[slot]%keep], n.Tick = p.Tick, p.Tick
	e.last.n = 0
	z.hot[slot] = hot{}
	return n
}

func (z *Zone) push(slot uint32, p *delta.Record) { z.next(slot, p) }

// read decodes a full state into z.scratch.
func (z *Zone) read(k *delta.KindCodec, f *batch.Full) error {
	k.Init(&z.scratch)
	r := &z.in
	*r = delta.NewReader(f.Full.B)
	k.ReadFull(r, z.Params, &z.scratch, delta.AOI, f.Tick)
	if r.Failed() || r.Pos() != f.Full.N {
		return fmt.Errorf("%w: full state of entity %d (kind %q), which its layout cannot read", batch.ErrMalformed, f.ID, k.Kind.Name)
	}
	return nil
}

func (z *Zone) spawn(f *batch.Full) error {
	z.room(f.Slot)
	e := &z.ents[f.Slot]
	k := z.codec.Kind(f.Kind)
	if k == nil {
		return fmt.Errorf("%w: entity %d has kind %d, which the layout does not name", batch.ErrMalformed, f.ID, f.Kind)
	}
	if err := z.read(k, f); err != nil {
		return err
	}
	if e.codec != k {
		e.codec, e.words, e.vars = k, make([]uint32, keep*k.Words), make([]delta.Var, keep*k.Vars)
	}
	z.push(f.Slot, &z.scratch)
	e.id, e.known, e.first = f.ID, true, z.latest[f.Slot]
	return nil
}

func (z *Zone) update(u *batch.Update) error {
	z.room(u.Slot)
	e := &z.ents[u.Slot]
	if !e.known {
		return fmt.Errorf("%w: update of slot %d, which is not known here", batch.ErrMalformed, u.Slot)
	}
	before := e.pub(z.latest[u.Slot])
	p := z.next(u.Slot, &before)
	r := &z.in
	*r = delta.NewReader(u.Delta.B)
	e.codec.ReadDelta(r, &p, delta.AOI, z.tick)
	e.ticks[z.latest[u.Slot]%keep] = p.Tick
	if r.Failed() || r.Pos() != u.Delta.N {
		return fmt.Errorf("%w: update of entity %d (kind %q), which its layout cannot read", batch.ErrMalformed, e.id, e.codec.Kind.Name)
	}
	e.last.set(u.Delta.B, u.Delta.N)
	if u.Delta.N <= fastBits {
		var v uint64
		for i := len(u.Delta.B) - 1; i >= 0; i-- {
			v = v<<8 | uint64(u.Delta.B[i])
		}
		z.hot[u.Slot] = hot{v, uint8(u.Delta.N), p.Tick == before.Tick, z.tick}
	}
	return nil
}

// fragment finds or makes the fragment from publication number from to the latest.
func (z *Zone) fragment(slot, from uint32) *encoded {
	e, to := &z.ents[slot], z.latest[slot]
	if from == to-1 && e.last.n != 0 {
		return &e.last
	}
	c := &z.cache[(slot*2654435761+from*40503)>>12%cacheLen]
	if c.f.n == 0 || c.slot != slot || c.from != from || c.to != to {
		a, b := e.pub(from), e.pub(to)
		z.bits.Reset()
		e.codec.Delta(&z.bits, &a, &b, delta.AOI)
		c.slot, c.from, c.to = slot, from, to
		c.f.set(z.bits.Bytes(), z.bits.Bits())
	}
	return &c.f
}

// restate tells whether an update from publication number from goes as the full state: the base is no longer kept, or the fragment is the longer one.
func (z *Zone) restate(slot, from uint32) bool {
	if z.latest[slot]-from >= keep {
		return true
	}
	f := z.fragment(slot, from)
	return f.n > longFragment && f.n > z.fullState(slot).n
}

// fullState finds or makes the latest publication in full.
func (z *Zone) fullState(slot uint32) *encoded {
	e := &z.ents[slot]
	if n := z.latest[slot]; e.fullN != n {
		p := e.pub(n)
		z.bits.Reset()
		e.codec.Full(&z.bits, z.Params, &p, delta.AOI)
		e.full.set(z.bits.Bytes(), z.bits.Bits())
		e.fullN = n
	}
	return &e.full
}

// age is how many ticks ago the motion of an entity's latest publication had its base.
func (z *Zone) age(slot uint32) uint32 {
	e := &z.ents[slot]
	if !e.codec.Places() {
		return 0
	}
	return z.tick - e.ticks[z.latest[slot]%keep]
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
