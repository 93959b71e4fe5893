package delta

import (
	"bytes"
	"cmp"
	"slices"
)

// This file is the interpretive codec of what lists and maps hold; their forms are drawn in interp.go. Generated code shares Splice, ReadSplice, PutMapDelta and
// ReadMapDelta.

func (f *Field) elementFull(w *Writer, e *Record) {
	for j := range f.Fields {
		f.Fields[j].elementFullField(w, View{e.W, e.V})
	}
}

// elementFullField is full, without the presence that an element's own message always has.
func (f *Field) elementFullField(w *Writer, b View) {
	if f.Type == Message {
		for j := range f.Fields {
			f.Fields[j].full(w, b)
		}
		return
	}
	f.full(w, b)
}

// Elements reads a number of elements, each of which takes at least a bit and which with those that are there may be most.
func (r *Reader) Elements(there int, most uint32) int {
	n := r.Count()
	if n+there > int(most) || n > r.Left() {
		r.Fail()
		return 0
	}
	return n
}

func (f *Field) readElement(r *Reader, e *Record) {
	b := View{e.W, e.V}
	for j := range f.Fields {
		g := &f.Fields[j]
		if g.Type != Message {
			g.readFull(r, b)
			continue
		}
		b.W[g.Word] = 1
		for k := range g.Fields {
			g.Fields[k].readFull(r, b)
		}
	}
}

// NewElement makes e an element of a list or map field with default values, a message in it present.
func (f *Field) NewElement(e *Record) {
	e.W = append(e.W[:0], make([]uint32, f.elemWords)...)
	e.V = resize(e.V, f.elemVars)
	initFields(f.Fields, View{e.W, e.V})
	for j := range f.Fields {
		if g := &f.Fields[j]; g.Type == Message {
			e.W[g.Word] = 1
		}
	}
}

// Splice tells what a list keeps at both ends: old and new elements from kept on, m and n of them, are what differs.
func Splice(a, b []Record) (kept, m, n int) {
	for kept < len(a) && kept < len(b) && EqualRecord(&a[kept], &b[kept]) {
		kept++
	}
	m, n = len(a)-kept, len(b)-kept
	for m > 0 && n > 0 && EqualRecord(&a[kept+m-1], &b[kept+n-1]) {
		m--
		n--
	}
	return kept, m, n
}

func (f *Field) listDelta(w *Writer, a, b []Record) {
	kept, m, n := Splice(a, b)
	w.Count(kept)
	w.Count(m)
	w.Count(n)
	for i := range n {
		y := &b[kept+i]
		if i >= m {
			f.elementFull(w, y)
			continue
		}
		f.Fields[0].elementAnew(w, &a[kept+i], y)
	}
}

// elementAnew appends `0` if the field of an element is as before, else `1` and its new form.
func (f *Field) elementAnew(w *Writer, a, b *Record) {
	if EqualRecord(a, b) {
		w.Put(0, 1)
		return
	}
	w.Put(1, 1)
	f.elementValue(w, a, b)
}

func (f *Field) elementValue(w *Writer, a, b *Record) {
	if f.Type == Message {
		fieldsDelta(w, f.Fields, View{a.W, a.V}, View{b.W, b.V})
	} else {
		f.delta(w, View{a.W, a.V}, View{b.W, b.V})
	}
}

func (f *Field) readElementValue(r *Reader, b *Record) {
	if f.Type == Message {
		readFieldsDelta(r, f.Fields, View{b.W, b.V})
	} else {
		f.readDelta(r, View{b.W, b.V})
	}
}

func (f *Field) readListDelta(r *Reader, v *Var) {
	kept, m, n, ok := r.ReadSplice(v, f.Max)
	if !ok {
		return
	}
	for i := 0; i < n && !r.Failed(); i++ {
		e := &v.E[kept+i]
		if i >= m {
			f.NewElement(e)
			f.readElement(r, e)
		} else if r.Bit() {
			f.Fields[0].readElementValue(r, e)
		}
	}
}

// ReadSplice reads what a list keeps and makes room: the first min(m, n) elements from kept on are the old ones, which may come anew, the other new ones are to be filled.
func (r *Reader) ReadSplice(v *Var, most uint32) (kept, m, n int, ok bool) {
	kept, m, n = r.Count(), r.Count(), r.Count()
	if kept+m > len(v.E) || n > r.Left() || len(v.E)-m+n > int(most) {
		r.Fail()
		return 0, 0, 0, false
	}
	switch {
	case n > m:
		v.E = slices.Insert(v.E, kept+m, make([]Record, n-m)...)
	case m > n:
		v.E = slices.Delete(v.E, kept+n, kept+m)
	}
	return kept, m, n, true
}

// compare orders two entries of a map by key.
func (f *Field) compare(a, b *Record) int {
	k := &f.Fields[0]
	switch k.Type {
	case Bool, Uint32:
		return cmp.Compare(a.W[0], b.W[0])
	case Int32:
		return cmp.Compare(int32(a.W[0]), int32(b.W[0]))
	case Int64:
		return cmp.Compare(int64(word64(a.W, 0)), int64(word64(b.W, 0)))
	case Uint64:
		return cmp.Compare(word64(a.W, 0), word64(b.W, 0))
	}
	return bytes.Compare(a.V[0].B, b.V[0].B)
}

// merge calls f for every key of two maps in order, with the places of its entries or -1.
func merge(a, b []Record, compare func(x, y *Record) int, each func(i, j int)) {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		c := 0
		switch {
		case i == len(a):
			c = 1
		case j == len(b):
			c = -1
		default:
			c = compare(&a[i], &b[j])
		}
		switch {
		case c < 0:
			each(i, -1)
			i++
		case c > 0:
			each(-1, j)
			j++
		default:
			each(i, j)
			i, j = i+1, j+1
		}
	}
}

func (f *Field) mapDelta(w *Writer, a, b []Record) {
	PutMapDelta(w, a, b, f.compare,
		func(i, j int) { f.Fields[1].elementValue(w, &a[i], &b[j]) },
		func(j int) { f.elementFull(w, &b[j]) })
}

// PutMapDelta appends what differs between two maps; changed appends the new form of a value, added an entry in full.
func PutMapDelta(w *Writer, a, b []Record, compare func(x, y *Record) int, changed func(i, j int), added func(j int)) {
	var removed, anew, more int
	merge(a, b, compare, func(i, j int) {
		switch {
		case j < 0:
			removed++
		case i < 0:
			more++
		case !EqualRecord(&a[i], &b[j]):
			anew++
		}
	})
	w.Count(removed)
	next := 0
	merge(a, b, compare, func(i, j int) {
		if j < 0 {
			w.Count(i - next)
			next = i + 1
		}
	})
	w.Count(anew)
	next = 0
	merge(a, b, compare, func(i, j int) {
		if i >= 0 && j >= 0 && !EqualRecord(&a[i], &b[j]) {
			w.Count(i - next)
			next = i + 1
			changed(i, j)
		}
	})
	w.Count(more)
	merge(a, b, compare, func(i, j int) {
		if i < 0 {
			added(j)
		}
	})
}

func (f *Field) readMapDelta(r *Reader, v *Var) {
	r.ReadMapDelta(v, f.Max, f.compare,
		func(e *Record) { f.Fields[1].readElementValue(r, e) },
		func(e *Record) { f.NewElement(e); f.readElement(r, e) })
}

// ReadMapDelta reads what PutMapDelta wrote into v, which holds the old map.
func (r *Reader) ReadMapDelta(v *Var, most uint32, compare func(x, y *Record) int, changed, added func(e *Record)) {
	gone := make([]bool, len(v.E))
	place := func(next int) int {
		i := next + r.Count()
		if i >= len(v.E) {
			r.Fail()
		}
		return i
	}
	at := 0
	for n := r.Count(); n > 0; n-- {
		i := place(at)
		if r.Failed() {
			return
		}
		gone[i] = true
		at = i + 1
	}
	at = 0
	for n := r.Count(); n > 0; n-- {
		i := place(at)
		if r.Failed() || gone[i] {
			r.Fail()
			return
		}
		changed(&v.E[i])
		at = i + 1
	}
	kept := v.E[:0]
	for i := range v.E {
		if !gone[i] {
			kept = append(kept, v.E[i])
		}
	}
	clear(v.E[len(kept):]) // their room must not be used twice
	v.E = kept
	n := r.Elements(len(v.E), most)
	var last Record
	for j := range n {
		var e Record
		added(&e)
		if j > 0 && compare(&last, &e) >= 0 {
			r.Fail()
			return
		}
		last = e
		i, there := slices.BinarySearchFunc(v.E, &e, func(x Record, y *Record) int { return compare(&x, y) })
		if there || r.Failed() {
			r.Fail()
			return
		}
		v.E = slices.Insert(v.E, i, e)
	}
}
