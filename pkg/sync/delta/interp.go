package delta

import (
	"bytes"
	"slices"
)

// This file is the interpretive codec of fields: it walks the layout, where generated code is unrolled. Both give the same bits.
//
//	full form                                              new form, against the old value
//	bool      1                                            nothing: it is the other one
//	ranged    n                                            ranged
//	int, uint num32 or num64 against 0                     num32 or num64
//	enum      n                                            n
//	float     32, 64                                       32, 64
//	angle     n                                            angle
//	entity    entity                                       entity
//	text      text                                         text
//	optional  `0` absent | `1` full                        `0` absent | `1` new form, or full if it was absent
//	message   `0` absent | `1` full of each field          `0` absent | `1` new forms of its fields, or full of each if it was absent
//	list      count · full of each element                 kept count · old count · new count · min(old, new) elements anew · the other new in full
//	map       count · full of key and value, by key        removed · changed · added
//
// "New forms of fields" is `0` as before | `1` new form for each, without the bit if there is only one field. An element is anew like the fields of a message,
// and that always with the bit. A list keeps what stands before the kept count and behind the old elements; only between is anything coded.
//
//	removed = count · per entry: places skipped in the old map (count)
//	changed = count · per entry: places skipped in the old map (count) · new form of the value
//	added   = count · per entry: full of key and value, by key

// group is the interpretive Group.
type group struct{ fields []*Field }

func newGroup(c *Component, a Audience) *group {
	g := &group{}
	for i := range c.Fields {
		if c.Fields[i].Audience == a {
			g.fields = append(g.fields, &c.Fields[i])
		}
	}
	return g
}

func (g *group) Full(w *Writer, b View) {
	for _, f := range g.fields {
		f.full(w, b)
	}
}

func (g *group) ReadFull(r *Reader, b View) {
	for _, f := range g.fields {
		f.readFull(r, b)
	}
}

func (g *group) Equal(a, b View) bool {
	for _, f := range g.fields {
		if !f.equal(a, b) {
			return false
		}
	}
	return true
}

func (g *group) Delta(w *Writer, a, b View) {
	for _, f := range g.fields {
		if len(g.fields) > 1 {
			if f.equal(a, b) {
				w.Put(0, 1)
				continue
			}
			w.Put(1, 1)
		}
		f.delta(w, a, b)
	}
}

func (g *group) ReadDelta(r *Reader, b View) {
	for _, f := range g.fields {
		if len(g.fields) == 1 || r.Bit() {
			f.readDelta(r, b)
		}
	}
}

func (g *group) Copy(dst, src View) {
	for _, f := range g.fields {
		f.copy(dst, src)
	}
}

func fieldsDelta(w *Writer, fields []Field, a, b View) {
	for i := range fields {
		f := &fields[i]
		if len(fields) > 1 {
			if f.equal(a, b) {
				w.Put(0, 1)
				continue
			}
			w.Put(1, 1)
		}
		f.delta(w, a, b)
	}
}

func readFieldsDelta(r *Reader, fields []Field, b View) {
	for i := range fields {
		if len(fields) == 1 || r.Bit() {
			fields[i].readDelta(r, b)
		}
	}
}

func word64(w []uint32, i int) uint64 { return uint64(w[i]) | uint64(w[i+1])<<32 }

func setWord64(w []uint32, i int, v uint64) { w[i], w[i+1] = uint32(v), uint32(v>>32) }

// wide tells the types of two words.
func (f *Field) wide() bool {
	return f.Type == Int64 || f.Type == Uint64 || f.Type == Float64 || f.Type == Entity
}

// steps is the value of a ranged field above its least.
func (f *Field) steps(w []uint32, i int) uint64 {
	switch f.Type {
	case Int64, Uint64:
		return word64(w, i) - uint64(f.Min)
	case Uint32:
		return uint64(w[i]) - uint64(f.Min)
	}
	return uint64(int64(int32(w[i])) - f.Min)
}

func (f *Field) setSteps(w []uint32, i int, v uint64) {
	if v += uint64(f.Min); f.wide() {
		setWord64(w, i, v)
	} else {
		w[i] = uint32(v)
	}
}

func (f *Field) full(w *Writer, b View) {
	if f.HasPresence() {
		w.Put(uint64(b.W[f.Word]), 1)
		if b.W[f.Word] == 0 {
			return
		}
	}
	f.fullValue(w, b)
}

func (f *Field) fullValue(w *Writer, b View) {
	i := f.value()
	switch {
	case f.ranged():
		w.Put(f.steps(b.W, i), uint(f.Bits))
		return
	case f.Type == Angle || f.Type == Enum:
		w.Put(uint64(b.W[i]), uint(f.Bits))
		return
	}
	switch f.Type {
	case Bool:
		w.Put(uint64(b.W[i]), 1)
	case Int32, Uint32, Steps:
		w.Num32(b.W[i], 0)
	case Int64, Uint64:
		w.Num64(word64(b.W, i), 0)
	case Float32:
		w.Put(uint64(b.W[i]), 32)
	case Float64:
		w.Put64(word64(b.W, i))
	case Entity:
		w.Entity(word64(b.W, i))
	case String, Bytes:
		w.Text(b.V[f.Var].B)
	case Message:
		for j := range f.Fields {
			f.Fields[j].full(w, b)
		}
	case List, Map:
		e := b.V[f.Var].E
		w.Count(len(e))
		for j := range e {
			f.elementFull(w, &e[j])
		}
	}
}

func (f *Field) readFull(r *Reader, b View) {
	if f.HasPresence() {
		if !r.Bit() {
			f.reset(b)
			return
		}
		b.W[f.Word] = 1
	}
	f.readFullValue(r, b)
}

func (f *Field) readFullValue(r *Reader, b View) {
	i := f.value()
	switch {
	case f.ranged():
		f.setSteps(b.W, i, r.RangedFull(uint(f.Bits), uint64(f.Limit)-uint64(f.Min)))
		return
	case f.Type == Angle || f.Type == Enum:
		b.W[i] = uint32(r.Get(uint(f.Bits)))
		return
	}
	switch f.Type {
	case Bool:
		b.W[i] = uint32(r.Get(1))
	case Int32, Uint32, Steps:
		b.W[i] = r.Num32(0)
	case Int64, Uint64:
		setWord64(b.W, i, r.Num64(0))
	case Float32:
		b.W[i] = uint32(r.Get(32))
	case Float64:
		setWord64(b.W, i, r.Get64())
	case Entity:
		setWord64(b.W, i, r.Entity())
	case String, Bytes:
		b.V[f.Var].B = r.Text(b.V[f.Var].B, f.Max, f.Type == String)
	case Message:
		for j := range f.Fields {
			f.Fields[j].readFull(r, b)
		}
	case List, Map:
		n := r.Elements(0, f.Max)
		v := &b.V[f.Var]
		v.E = resize(v.E, n)
		for j := range v.E {
			f.NewElement(&v.E[j])
			f.readElement(r, &v.E[j])
			if f.Type == Map && j > 0 && f.compare(&v.E[j-1], &v.E[j]) >= 0 {
				r.Fail()
			}
			if r.Failed() {
				v.E = v.E[:0]
				return
			}
		}
	}
}

func initFields(fields []Field, b View) {
	for i := range fields {
		fields[i].reset(b)
	}
}

// reset gives a field its default value: absent, or 0 or the end of its range nearest to 0.
func (f *Field) reset(b View) {
	if f.HasPresence() {
		b.W[f.Word] = 0
	}
	switch i := f.value(); {
	case f.ranged():
		f.setSteps(b.W, i, uint64(min(max(0, f.Min), f.Limit))-uint64(f.Min))
	case f.wide():
		setWord64(b.W, i, 0)
	case f.Type == Message:
		initFields(f.Fields, b)
	case f.Type == String || f.Type == Bytes:
		b.V[f.Var].B = b.V[f.Var].B[:0]
	case f.Type == List || f.Type == Map:
		b.V[f.Var].E = b.V[f.Var].E[:0]
	default:
		b.W[i] = 0
	}
}

func (f *Field) equal(a, b View) bool {
	if f.HasPresence() && a.W[f.Word] != b.W[f.Word] {
		return false
	}
	switch i := f.value(); {
	case f.wide():
		return a.W[i] == b.W[i] && a.W[i+1] == b.W[i+1]
	case f.Type == Message:
		return !slices.ContainsFunc(f.Fields, func(g Field) bool { return !g.equal(a, b) })
	case f.Type == String || f.Type == Bytes:
		return bytes.Equal(a.V[f.Var].B, b.V[f.Var].B)
	case f.Type == List || f.Type == Map:
		return EqualVar(&a.V[f.Var], &b.V[f.Var])
	default:
		return a.W[i] == b.W[i]
	}
}

func (f *Field) copy(dst, src View) {
	if f.HasPresence() {
		dst.W[f.Word] = src.W[f.Word]
	}
	switch i := f.value(); {
	case f.wide():
		dst.W[i], dst.W[i+1] = src.W[i], src.W[i+1]
	case f.Type == Message:
		for j := range f.Fields {
			f.Fields[j].copy(dst, src)
		}
	case f.Type == String || f.Type == Bytes || f.Type == List || f.Type == Map:
		CopyVar(&dst.V[f.Var], &src.V[f.Var])
	default:
		dst.W[i] = src.W[i]
	}
}

// delta appends the new form of a field that differs.
func (f *Field) delta(w *Writer, a, b View) {
	if f.HasPresence() {
		w.Put(uint64(b.W[f.Word]), 1)
		switch {
		case b.W[f.Word] == 0:
			return
		case a.W[f.Word] == 0:
			f.fullValue(w, b)
			return
		}
	}
	i := f.value()
	switch {
	case f.ranged():
		w.Ranged(f.steps(b.W, i), f.steps(a.W, i), uint(f.Bits))
		return
	case f.Type == Angle:
		w.Angle(b.W[i], a.W[i], uint(f.Bits))
		return
	}
	switch f.Type {
	case Bool:
	case Int32, Uint32, Steps:
		w.Num32(b.W[i], a.W[i])
	case Int64, Uint64:
		w.Num64(word64(b.W, i), word64(a.W, i))
	case Message:
		fieldsDelta(w, f.Fields, a, b)
	case List:
		f.listDelta(w, a.V[f.Var].E, b.V[f.Var].E)
	case Map:
		f.mapDelta(w, a.V[f.Var].E, b.V[f.Var].E)
	default:
		f.fullValue(w, b)
	}
}

func (f *Field) readDelta(r *Reader, b View) {
	if f.HasPresence() {
		was := b.W[f.Word]
		b.W[f.Word] = uint32(r.Get(1))
		switch {
		case b.W[f.Word] == 0:
			f.reset(b)
			return
		case was == 0:
			f.readFullValue(r, b)
			return
		}
	}
	i := f.value()
	switch {
	case f.ranged():
		f.setSteps(b.W, i, r.Ranged(f.steps(b.W, i), uint(f.Bits), uint64(f.Limit)-uint64(f.Min)))
		return
	case f.Type == Angle:
		b.W[i] = r.Angle(b.W[i], uint(f.Bits))
		return
	}
	switch f.Type {
	case Bool:
		b.W[i] ^= 1
	case Int32, Uint32, Steps:
		b.W[i] = r.Num32(b.W[i])
	case Int64, Uint64:
		setWord64(b.W, i, r.Num64(word64(b.W, i)))
	case Message:
		readFieldsDelta(r, f.Fields, b)
	case List:
		f.readListDelta(r, &b.V[f.Var])
	case Map:
		f.readMapDelta(r, &b.V[f.Var])
	default:
		f.readFullValue(r, b)
	}
}
