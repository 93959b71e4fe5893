package replica

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// This file is the entities of a Zone: their last publications, and the fragments that are made of them once, for all clients.

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
	z.forget(f.Slot)
	e.id, e.known, e.first = f.ID, true, z.latest[f.Slot]
	z.byID[f.ID] = f.Slot
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
