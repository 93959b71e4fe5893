package delta

import "fmt"

// This file knows which optional components an entity has. A record of a kind that has some ends with 64 bits, in two words, low one first: bit 4·i + a stands for what
// audience a knows of the kind's i-th component, as in a dirty mask. Audiences are told apart from each other, so each has a bit of its own; in a zone's true state
// those of a component are equal. An absent component holds default values, so equal presence and equal fields are equal words.

// presenceOf returns the presence bits of a component that is the i-th of its kind, and those of them that a client goes by: what everyone gets of the component, or if
// that is nothing, what anyone does.
func presenceOf(c *component, i int) (carried, seen uint64) {
	for a := range Audiences {
		if c.groups[a] != nil {
			carried |= bit(i, a)
		}
	}
	if seen = carried & bit(i, AOI); seen == 0 {
		seen = carried
	}
	return carried, seen
}

// placePresence sets the presence bits' room aside, behind all components.
func (k *KindCodec) placePresence() {
	for i := range k.parts {
		if k.parts[i].carried != 0 {
			k.presence = k.Words
			k.Words += presenceWords
			return
		}
	}
}

// presenceWords is what the presence bits of a kind with optional components take.
const presenceWords = 2

// Optional tells whether entities may lack the kind's i-th component.
func (k *KindCodec) Optional(i int) bool { return k.parts[i].carried != 0 }

// Present tells whether the entity has the kind's i-th component.
func (k *KindCodec) Present(r *Record, i int) bool {
	p := &k.parts[i]
	return p.carried == 0 || word64(r.W, k.presence)&p.seen != 0
}

// SetPresent gives an entity the kind's i-th component, which is optional, with default values, or takes it away. It returns the dirty bits of what changed: 0 if it was so
// before.
func (k *KindCodec) SetPresent(r *Record, i int, present bool) (dirty uint64) {
	p := &k.parts[i]
	if p.carried == 0 {
		panic(fmt.Sprintf("delta: every %s has a component %s: name it in optional of the kind in the schema", k.Kind.Name, p.c.def.Name))
	}
	if k.Present(r, i) == present {
		return 0
	}
	initFields(p.c.def.Fields, p.view(r))
	now := word64(r.W, k.presence) &^ p.carried
	if present {
		now |= p.carried
	}
	setWord64(r.W, k.presence, now)
	return p.carried
}

// told tells whether an audience knows of the i-th component, which is optional.
func (k *KindCodec) told(r *Record, i int, a Audience) bool {
	return r.W[k.presence+i>>3]>>(4*(i&7)+int(a))&1 != 0
}

// tell says that an audience knows of the i-th component from now on.
func (k *KindCodec) tell(r *Record, i int, a Audience) {
	if k.parts[i].carried != 0 {
		r.W[k.presence+i>>3] |= 1 << (4*(i&7) + int(a))
	}
}

// lose takes from the i-th component, which is optional, what an audience got of it.
func (k *KindCodec) lose(r *Record, i int, a Audience) {
	p := &k.parts[i]
	r.W[k.presence+i>>3] &^= 1 << (4*(i&7) + int(a))
	p.c.groups[a].Copy(p.view(r), View{p.c.zero.W, p.c.zero.V})
}

// differs tells whether what an audience gets of the i-th component is not the same in two records.
func (k *KindCodec) differs(g Group, x, y *Record, i int, a Audience) bool {
	p := &k.parts[i]
	if p.carried != 0 {
		was, is := k.told(x, i, a), k.told(y, i, a)
		if was != is || !was {
			return was != is
		}
	}
	return !g.Equal(p.view(x), p.view(y))
}
