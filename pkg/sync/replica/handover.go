package replica

import "slices"

// This file is what becomes of an entity that crosses from one zone to another while a client sees both: it keeps its local index, and the client hears neither that it left nor
// that it entered.
//
// The zones of a world step together, so that an entity is in one of them at most at a tick. Their batches need not come together, so that for a while two zones may claim
// it, each as of the tick that its replica is at. The later claim is right. So per client and entity there is at most one place, in the view of the zone with the later
// claim; the other view has it away, until its zone says that it has gone, or has a later claim again. And where there is a place, no view has the entity among
// what leaves: who comes to want it takes its index over.

// claim settles, for the places from the given one on that have no index, what the client has of their entities already, and which of them are another zone's by now.
func (v *view) claim(places int) {
	n := places
	l := v.client.leaving(len(v.slot) - places)
	for i := places; i < len(v.slot); i++ {
		if v.local[i] == noIndex && !v.claims(i, &l) {
			continue
		}
		v.slot[n], v.base[n], v.local[n] = v.slot[i], v.base[i], v.local[i]
		n++
	}
	v.slot, v.base, v.local = v.slot[:n], v.base[:n], v.local[:n]
	if l.taken {
		v.client.sweep()
	}
	v.gone = append(v.gone, l.misfits...)
}

// claims looks after one place; false: another zone's claim is later, and the entity is away.
func (v *view) claims(i int, l *leaving) bool {
	slot := v.slot[i]
	e := &v.zone.ents[slot]
	if e.id == 0 {
		return true
	}
	for _, o := range v.client.views {
		if o == v {
			continue
		}
		s, ok := o.zone.byID[e.id]
		if !ok {
			continue
		}
		j := slices.Index(o.slot, s)
		if j < 0 {
			continue
		}
		if int32(o.zone.tick-v.zone.tick) > 0 {
			v.sendAway(slot, o.zone.tick)
			return false
		}
		if local := o.local[j]; local != noIndex {
			v.inherit(i, local, o.zone.ents[s].codec.Kind.ID, l)
		}
		o.slot, o.base, o.local = slices.Delete(o.slot, j, j+1), slices.Delete(o.base, j, j+1), slices.Delete(o.local, j, j+1)
		o.sendAway(s, v.zone.tick)
		return true
	}
	if g := l.find(e.id); g != nil {
		v.inherit(i, g.local, g.kind, l)
		g.local, l.taken = noIndex, true
	}
	return true
}

// inherit gives a place the index at which the client has its entity. What came back as something of another kind leaves first, in the same section.
func (v *view) inherit(i int, local, kind uint16, l *leaving) {
	if kind == v.zone.ents[v.slot[i]].codec.Kind.ID {
		v.local[i] = local
	} else {
		l.misfits = append(l.misfits, gone{local: local})
	}
}

func (v *view) sendAway(slot, tick uint32) {
	v.away = append(v.away, away{slot, tick})
	if !v.waits {
		v.waits = true
		v.zone.aways = append(v.zone.aways, v)
	}
}

// reclaim looks, after a batch, for what is away and was here again later.
func (z *Zone) reclaim() {
	if len(z.aways) == 0 {
		return
	}
	z.aways = slices.DeleteFunc(z.aways, func(v *view) bool {
		if !v.closed {
			v.reclaim()
		}
		v.waits = !v.closed && len(v.away) > 0
		return !v.waits
	})
}

func (v *view) reclaim() {
	places, rest := len(v.slot), v.away[:0]
	for _, a := range v.away {
		if int32(v.zone.tick-a.tick) > 0 {
			v.slot, v.base, v.local = append(v.slot, a.slot), append(v.base, 0), append(v.local, noIndex)
		} else {
			rest = append(rest, a)
		}
	}
	v.away = rest
	v.claim(places)
}

// release lets go of what departed and did not arrive anywhere in time.
func (v *view) release(now uint32) {
	rest := v.held[:0]
	for _, h := range v.held {
		if int32(now-h.until) >= 0 {
			v.gone = append(v.gone, h.gone)
		} else {
			rest = append(rest, h)
		}
	}
	v.held = rest
}

// leaving finds what a client has and is not to keep, by id.
type leaving struct {
	views []*view
	at    map[uint64]*gone // where looking through them all for each new place would be slow
	none  bool
	taken bool // something was taken over: sweep is due

	misfits []gone // of another kind than what has their id now
}

// leaving is made for a number of places.
func (c *Client) leaving(places int) (l leaving) {
	n := 0
	for _, v := range c.views {
		n += len(v.gone) + len(v.held)
	}
	l.views, l.none = c.views, n == 0
	if n*places > 1<<10 {
		l.at = make(map[uint64]*gone, n)
		l.each(func(g *gone) bool { l.at[g.id] = g; return true })
	}
	return l
}

func (l *leaving) each(yield func(g *gone) bool) {
	for _, v := range l.views {
		for i := range v.gone {
			if !yield(&v.gone[i]) {
				return
			}
		}
		for i := range v.held {
			if !yield(&v.held[i].gone) {
				return
			}
		}
	}
}

func (l *leaving) find(id uint64) (found *gone) {
	switch {
	case l.none:
	case l.at != nil:
		found = l.at[id]
	default:
		l.each(func(g *gone) bool {
			if g.id == id {
				found = g
			}
			return found == nil
		})
	}
	if found != nil && found.local == noIndex {
		return nil
	}
	return found
}

// sweep drops what was taken over.
func (c *Client) sweep() {
	for _, v := range c.views {
		v.gone = slices.DeleteFunc(v.gone, func(g gone) bool { return g.local == noIndex })
		v.held = slices.DeleteFunc(v.held, func(h held) bool { return h.local == noIndex })
	}
}

// Close ends a zone that is over: what clients have of it leaves, and their rows may become other zones'.
func (z *Zone) Close() {
	for _, v := range z.views {
		v.keep(func(uint32) bool { return false })
		v.closed = true
	}
	clear(z.views)
	z.ready = false
}

// Viewed tells whether an observer has a view of the zone.
func (z *Zone) Viewed(observer uint64) bool { return z.views[observer] != nil }
