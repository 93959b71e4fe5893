package delta

// This file codes whole states of entities and their updates: the groups of a kind's components, one after the other.

// Full appends what an audience gets of a record: the motion first, then every group.
//
//	full  = [motion, only for AOI] · per other group, in order of the components: its full form
//	        of an optional component: `0` absent | `1` its full form
func (k *KindCodec) Full(w *Writer, p Params, b *Record, a Audience) {
	if a == AOI && k.motion != nil {
		k.motion.c.motion.Full(w, p, k.motion.view(b))
	}
	for i := range k.parts {
		t := &k.parts[i]
		g := t.c.groups[a]
		if g == nil {
			continue
		}
		if t.carried != 0 {
			if !k.told(b, i, a) {
				w.Put(0, 1)
				continue
			}
			w.Put(1, 1)
		}
		g.Full(w, t.view(b))
	}
}

// ReadFull reads what Full wrote into b, a record of this kind, and sets the base tick of its motion. r tells whether it could.
func (k *KindCodec) ReadFull(r *Reader, p Params, b *Record, a Audience, tick uint32) {
	if a == AOI {
		b.Tick = tick
		if k.motion != nil {
			k.motion.c.motion.ReadFull(r, p, k.motion.view(b))
		}
	}
	for i := range k.parts {
		t := &k.parts[i]
		g := t.c.groups[a]
		switch {
		case g == nil:
		case t.carried != 0 && !r.Bit():
			k.lose(b, i, a)
		default:
			k.tell(b, i, a)
			g.ReadFull(r, t.view(b))
		}
	}
}

// Delta appends what has changed for an audience from publication a to b. The motion has moved if their base ticks differ.
//
//	delta = [moved 1 · motion] · per other group `0` as before | `1` group                    moved: only for AOI, only if the kind has a place
//	        of an optional component: `0` as before | `1` its full form, if it was absent | `10` group | `11` absent from now on
func (k *KindCodec) Delta(w *Writer, a, b *Record, to Audience) {
	changed := uint64(0)
	for i := range k.parts {
		p := &k.parts[i]
		if p == k.motion && to == AOI {
			if a.Tick != b.Tick {
				changed |= bit(i, to)
			}
		} else if g := p.c.groups[to]; g != nil && k.differs(g, a, b, i, to) {
			changed |= bit(i, to)
		}
	}
	k.DeltaOf(w, a, b, to, changed)
}

// DeltaOf is Delta of the groups whose bits are set, which must differ; the others are as before, whatever b holds.
func (k *KindCodec) DeltaOf(w *Writer, a, b *Record, to Audience, changed uint64) {
	if to == AOI && k.motion != nil {
		if changed&k.PlaceBit() == 0 {
			w.Put(0, 1)
		} else {
			w.Put(1, 1)
			k.motion.c.motion.Delta(w, k.motion.view(a), k.motion.view(b), int32(b.Tick-a.Tick))
		}
	}
	for i := range k.parts {
		p := &k.parts[i]
		g := p.c.groups[to]
		switch {
		case g == nil:
		case changed&bit(i, to) == 0:
			w.Put(0, 1)
		case p.carried == 0:
			w.Put(1, 1)
			g.Delta(w, p.view(a), p.view(b))
		case !k.told(a, i, to):
			w.Put(1, 1)
			g.Full(w, p.view(b))
		case !k.told(b, i, to):
			w.Put(3, 2)
		default:
			w.Put(1, 2)
			g.Delta(w, p.view(a), p.view(b))
		}
	}
}

// ReadDelta reads what Delta wrote: b holds the publication before and becomes the new one; tick is the new base tick if the motion moved. If r failed, b is of no use
// until Init, as after a ReadFull that failed.
func (k *KindCodec) ReadDelta(r *Reader, b *Record, to Audience, tick uint32) {
	if to == AOI && k.motion != nil && r.Bit() {
		k.motion.c.motion.ReadDelta(r, k.motion.view(b), int32(tick-b.Tick))
		b.Tick = tick
	}
	for i := range k.parts {
		p := &k.parts[i]
		g := p.c.groups[to]
		switch {
		case g == nil || !r.Bit():
		case p.carried == 0:
			g.ReadDelta(r, p.view(b))
		case !k.told(b, i, to):
			k.tell(b, i, to)
			g.ReadFull(r, p.view(b))
		case r.Bit():
			k.lose(b, i, to)
		default:
			g.ReadDelta(r, p.view(b))
		}
	}
}

// Surprise compares the true state s at a tick with publication p for an audience, looking at the groups whose dirty bits are set and, unasked, at a motion that moves. It
// makes p's successor ready to be coded: s.Tick is the successor's base tick. surprised is the dirty bits of the groups that differ; 0: as predicted.
func (k *KindCodec) Surprise(p, s *Record, a Audience, dirty uint64, tick uint32) (surprised uint64) {
	for i := range k.parts {
		t := &k.parts[i]
		if t == k.motion && a == AOI {
			s.Tick = p.Tick
			m, pv := t.c.motion, t.view(p)
			if dirty&bit(i, a) == 0 && !m.Moving(pv) || m.Holds(pv, t.view(s), int32(tick-p.Tick)) {
				continue
			}
			s.Tick = tick
			surprised |= bit(i, a)
		} else if g := t.c.groups[a]; g != nil && dirty&bit(i, a) != 0 && k.differs(g, p, s, i, a) {
			surprised |= bit(i, a)
		}
	}
	return surprised
}

// Publish makes p equal to s in the groups that surprised.
func (k *KindCodec) Publish(p, s *Record, a Audience, surprised uint64) {
	for i := range k.parts {
		t := &k.parts[i]
		if surprised&bit(i, a) == 0 {
			continue
		}
		switch {
		case t == k.motion && a == AOI:
			p.Tick = s.Tick
			t.c.motion.Copy(t.view(p), t.view(s))
		case t.carried != 0 && !k.told(s, i, a):
			k.lose(p, i, a)
		default:
			k.tell(p, i, a)
			t.c.groups[a].Copy(t.view(p), t.view(s))
		}
	}
}
