package delta

import "fmt"

// This file codes records as a whole, for programs of ours: what hands an entity over or records it keeps every audience, what never leaves the server included.
//
//	record = base tick 32 · per component, per audience that has fields of it: [presence 1, of an optional component] · full form of every field, in order of their places
//	         0 to the next byte
//
// Places travel as the numbers that they are, not against a zone's corner: the record may go to another one.

// AppendRecord appends a record of this kind with all that it holds. What no setter makes, such as a text longer than its field allows, ReadRecord will refuse.
func (k *KindCodec) AppendRecord(b []byte, r *Record) []byte {
	w := Writer{buf: b[:cap(b)], pos: len(b)}
	w.Put(uint64(r.Tick), 32)
	for i := range k.parts {
		p := &k.parts[i]
		for a := range Audiences {
			g := p.c.whole[a]
			if g == nil {
				continue
			}
			if p.carried != 0 {
				if !k.told(r, i, a) {
					w.Put(0, 1)
					continue
				}
				w.Put(1, 1)
			}
			for _, f := range g.fields {
				f.full(&w, p.view(r))
			}
		}
	}
	return w.Bytes()
}

// ReadRecord reads what AppendRecord appended into r, whatever that held, and returns what is behind it. It refuses what the layout does not allow; r is then of no use
// until Init. What it allocates is bounded by the layout's limits and by the length of b.
func (k *KindCodec) ReadRecord(b []byte, r *Record) (rest []byte, err error) {
	k.Init(r)
	in := NewReader(b)
	r.Tick = uint32(in.Get(32))
	for i := range k.parts {
		p := &k.parts[i]
		for a := range Audiences {
			g := p.c.whole[a]
			if g == nil || p.carried != 0 && !in.Bit() {
				continue
			}
			k.tell(r, i, a)
			for _, f := range g.fields {
				f.readFull(&in, p.view(r))
			}
			if in.Failed() {
				return nil, fmt.Errorf("record of kind %q, component %q: %w", k.Kind.Name, p.c.def.Name, in.Err())
			}
		}
	}
	if in.Get(uint(-in.Pos()&7)) != 0 || in.Failed() {
		return nil, fmt.Errorf("record of kind %q: it ends early, or within a byte: %w", k.Kind.Name, ErrTruncated)
	}
	return b[in.Pos()/8:], nil
}
