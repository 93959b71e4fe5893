package game

import (
	"encoding/binary"
)

// mix adds a number to a hash: multiply and fold, as in wyhash by Wang Yi.
func mix(h, v uint64) uint64 {
	h ^= v * 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>29
}

func mixBytes(h uint64, b []byte) uint64 {
	h = mix(h, uint64(len(b)))
	for len(b) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	for _, c := range b {
		h = mix(h, uint64(c))
	}
	return h
}

// Hash is a fingerprint of the world: equal inputs give equal hashes. All that decides what a zone does next is in it, but what lies outside of its sight: the game's own Data and
// tags, and the functions that After and Go keep, of which it knows number and time. It costs some twenty nanoseconds per entity.
func (z *Zone) Hash() uint64 {
	h := mix(uint64(z.tick), uint64(z.lastID))
	h = mix(mix(mix(h, z.serial), z.nth), uint64(z.shed))
	for slot := range z.ents {
		if id, v := z.HashEntity(uint32(slot)); id != 0 {
			h = mix(h, v)
		}
	}
	for _, slot := range z.free { // where the next ones go
		h = mix(h, uint64(slot))
	}
	for _, e := range z.crossing {
		h = mix(h, uint64(e.id))
	}
	for _, e := range z.dying {
		h = mix(h, uint64(e.id))
	}
	for p := range z.Players {
		h = z.hashPlayer(h, p)
	}
	for _, p := range z.visitors {
		if !p.gone {
			h = hashView(mix(h, uint64(p.Session)), p)
		}
	}
	h = z.hashWaiting(h)
	for i := range z.neighbours {
		n := &z.neighbours[i]
		h = mix(mix(h, uint64(n.Zone)<<32|uint64(n.Epoch)), uint64(uint32(n.X))<<32|uint64(uint32(n.Y)))
		h = mix(mix(h, uint64(uint32(n.Width))<<32|uint64(uint32(n.Height))), uint64(uint32(n.Margin)))
	}
	for _, g := range z.gateways {
		h = mix(h, uint64(g))
	}
	if z.tables != nil {
		h = mix(h, z.tables.Fingerprint())
	}
	z.chance, _ = z.pcg.AppendBinary(z.chance[:0]) // it never fails
	return mixBytes(h, z.chance)
}

func (z *Zone) hashPlayer(h uint64, p *Player) uint64 {
	h = mix(mix(mix(h, uint64(p.Session)), uint64(p.avatar.id)), uint64(p.applied))
	h = mix(mix(mix(h, uint64(p.InputSeq)), p.ID), uint64(len(p.Rights)))
	for _, r := range p.Rights {
		h = mixText(h, r)
	}
	h = hashView(mixText(h, p.Name), p)
	for i := range p.views {
		h = mix(h, uint64(p.views[i].Zone))
	}
	h = mix(h, uint64(len(p.box)))
	for i := range p.box {
		l := &p.box[i]
		h = mix(mix(mix(h, uint64(l.h.route.ID)<<32|uint64(l.id)), uint64(l.due)), l.sum)
	}
	return h
}

// hashView adds where a player looks from, and to where it is shown.
func hashView(h uint64, p *Player) uint64 {
	h = mix(mix(h, p.conn), uint64(p.gateway))
	h = mix(mix(h, uint64(uint32(p.eyeX))<<32|uint64(uint32(p.eyeY))), uint64(uint32(p.enter))<<32|uint64(uint32(p.leave)))
	h = mix(h, uint64(p.ignores))
	if p.spectates {
		h = mix(h, uint64(p.radius))
	}
	return h
}

// hashWaiting adds what happens later, and what has been switched off.
func (z *Zone) hashWaiting(h uint64) uint64 {
	h = mix(h, uint64(len(z.alarms)))
	for i := range z.alarms {
		h = mix(mix(h, z.alarms[i].serial), uint64(z.alarms[i].due))
	}
	var waiting uint64 // a sum: maps have no order
	for n := range z.futures {
		waiting += mix(1, n)
	}
	for n, r := range z.replies {
		waiting += mix(mix(2, n), uint64(r.player.Session))
	}
	h = mix(h, waiting)
	for i, s := range z.systems {
		if s.fault.count != 0 {
			h = mix(mix(h, uint64(i)), s.fault.sum())
		}
	}
	for _, k := range z.faultOrder {
		if f := z.faults[k]; f.count != 0 {
			h = mix(mix(h, uint64(k.what)<<16|uint64(k.id)), f.sum())
		}
	}
	return h
}

func (f *fault) sum() uint64 {
	s := mix(uint64(f.count), uint64(f.since))
	if f.quarantined {
		s++
	}
	return s
}

func mixText(h uint64, s string) uint64 {
	h = mix(h, uint64(len(s)))
	for i := range len(s) {
		h = mix(h, uint64(s[i]))
	}
	return h
}

// HashEntity is a fingerprint of what is in a slot, with its id; 0: nothing is.
func (z *Zone) HashEntity(slot uint32) (EntityID, uint64) {
	if int(slot) >= len(z.ents) || z.ents[slot].id == 0 {
		return 0, 0
	}
	e := &z.ents[slot]
	h := mix(mix(uint64(slot), uint64(e.id)), uint64(e.kind.codec.Kind.ID))
	for _, w := range e.state.W {
		h = mix(h, uint64(w))
	}
	if len(e.state.V) > 0 {
		z.hashed = appendRecord(z.hashed[:0], &e.state)
		h = mixBytes(h, z.hashed)
	}
	h = mix(mix(h, uint64(e.owner)), uint64(e.parent))
	h = mix(h, uint64(uint32(e.offX))<<32|uint64(uint32(e.offY)))
	for _, c := range e.children {
		h = mix(h, uint64(c))
	}
	for _, t := range e.timers {
		h = mix(mix(mix(h, uint64(t.due)), uint64(t.timer)), t.arg)
	}
	if e.dead {
		h = mix(h, 1)
	}
	return e.id, h
}
