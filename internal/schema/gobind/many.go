package gobind

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// element is the value of a list's elements.
func (v value) element() value { return value{&v.d.Fields[0], v.pf, v.what} }

// key and entry are those of a map.
func (v value) key() value { return value{&v.d.Fields[0], v.pf.Message.Fields[0], v.what + " key"} }
func (v value) entry() value {
	return value{&v.d.Fields[1], v.pf.Message.Fields[1], v.what}
}

// list writes the methods of a list.
func (w *componentWriter) list(v value) {
	d, name, a := v.d, v.pf.GoName, audience(v.d)
	e := v.element()
	t := w.goType(e)
	conv := w.elementOf(v)
	w.p("// %[1]sLen is the number of elements of field %[2]s%[3]s.", name, d.Name, describe(v))
	w.p("func (c %s) %sLen() int { return len(%s.View().V[%d].E) }\n", w.name, name, w.cell(), d.Var)
	w.p("// %sAt is element i of field %s; it panics if there is none.", name, d.Name)
	w.p("func (c %s) %sAt(i int) %s { return %sValue(&%s.View().V[%d].E[i]) }\n", w.name, name, t, conv, w.cell(), d.Var)
	w.p("// %sAll yields the elements of field %s in order. Those that are added or removed meanwhile may or may not be among them.", name, d.Name)
	w.p("func (c %s) %sAll() iter.Seq2[int, %s] {", w.name, name, t)
	w.p("return func(yield func(int, %s) bool) {", t)
	w.p("for i := 0; i < c.%[1]sLen() && yield(i, c.%[1]sAt(i)); i++ {", name)
	w.p("}")
	w.p("}")
	w.p("}\n")
	w.p("// %sAppend adds an element to field %s; it panics if v is out of range, or the list is full.", name, d.Name)
	w.p("func (c %s) %sAppend(v %s) {", w.name, name, t)
	w.p("e, err := %sElement(v)", conv)
	w.p("if err != nil { panic(err) }")
	w.p("cell := %s", w.cell())
	w.p("if n := len(cell.View().V[%d].E); n >= %d { panic(tooLong(%q, n+1, %d, \"elements\")) }", d.Var, d.Max, v.what, d.Max)
	w.p("b := cell.Edit(%s)", a)
	w.p("b.V[%[1]d].E = append(b.V[%[1]d].E, e)", d.Var)
	w.p("}\n")
	w.p("// %sSet changes element i of field %s; it panics if there is none, or v is out of range.", name, d.Name)
	w.p("func (c %s) %sSet(i int, v %s) {", w.name, name, t)
	w.p("e, err := %sElement(v)", conv)
	w.p("if err != nil { panic(err) }")
	w.p("cell := %s", w.cell())
	w.p("if delta.EqualRecord(&cell.View().V[%d].E[i], &e) { return }", d.Var)
	w.p("cell.Edit(%s).V[%d].E[i] = e", a, d.Var)
	w.p("}\n")
	w.p("// %sRemove takes element i of field %s away; it panics if there is none.", name, d.Name)
	w.p("func (c %s) %sRemove(i int) {", w.name, name)
	w.p("cell := %s", w.cell())
	w.p("_ = cell.View().V[%d].E[i] // before anything is marked", d.Var)
	w.p("b := cell.Edit(%s)", a)
	w.p("b.V[%[1]d].E = slices.Delete(b.V[%[1]d].E, i, i+1)", d.Var)
	w.p("}\n")
}

// dict writes the methods of a map.
func (w *componentWriter) dict(v value) {
	d, name, a := v.d, v.pf.GoName, audience(v.d)
	kt, t := w.goType(v.key()), w.goType(v.entry())
	conv := w.elementOf(v)
	w.p("// %sLen is the number of entries of field %s%s.", name, d.Name, describe(v))
	w.p("func (c %s) %sLen() int { return len(%s.View().V[%d].E) }\n", w.name, name, w.cell(), d.Var)
	w.p("// %sGet is the entry of a key of field %s, and whether there is one.", name, d.Name)
	w.p("func (c %s) %sGet(key %s) (v %s, ok bool) {", w.name, name, kt, t)
	w.p("e := %s.View().V[%d].E", w.cell(), d.Var)
	w.p("i, ok := %sFind(e, key)", conv)
	w.p("if ok { v = %sValue(&e[i]) }", conv)
	w.p("return v, ok")
	w.p("}\n")
	w.p("// %sAll yields the entries of field %s in the order of their keys. Those that are put or deleted meanwhile may or may not be among them.", name, d.Name)
	w.p("func (c %s) %sAll() iter.Seq2[%s, %s] {", w.name, name, kt, t)
	w.p("return func(yield func(%s, %s) bool) {", kt, t)
	w.p("for i := 0; i < c.%sLen(); i++ {", name)
	w.p("e := &%s.View().V[%d].E[i]", w.cell(), d.Var)
	w.p("if !yield(%[1]sKey(e), %[1]sValue(e)) { return }", conv)
	w.p("}")
	w.p("}")
	w.p("}\n")
	w.p("// %sPut sets the entry of a key of field %s; it panics if anything is out of range, or the map is full.", name, d.Name)
	w.p("func (c %s) %sPut(key %s, v %s) {", w.name, name, kt, t)
	w.p("e, err := %sElement(key, v)", conv)
	w.p("if err != nil { panic(err) }")
	w.p("cell := %s", w.cell())
	w.p("old := cell.View().V[%d].E", d.Var)
	w.p("i, ok := %sFind(old, key)", conv)
	w.p("switch {")
	w.p("case ok && delta.EqualRecord(&old[i], &e):")
	w.p("case ok: cell.Edit(%s).V[%d].E[i] = e", a, d.Var)
	w.p("case len(old) >= %d: panic(tooLong(%q, len(old)+1, %d, \"entries\"))", d.Max, v.what, d.Max)
	w.p("default:")
	w.p("b := cell.Edit(%s)", a)
	w.p("b.V[%[1]d].E = slices.Insert(b.V[%[1]d].E, i, e)", d.Var)
	w.p("}")
	w.p("}\n")
	w.p("// %sDelete takes the entry of a key of field %s away, if there is one.", name, d.Name)
	w.p("func (c %s) %sDelete(key %s) {", w.name, name, kt)
	w.p("cell := %s", w.cell())
	w.p("if i, ok := %sFind(cell.View().V[%d].E, key); ok {", conv, d.Var)
	w.p("b := cell.Edit(%s)", a)
	w.p("b.V[%[1]d].E = slices.Delete(b.V[%[1]d].E, i, i+1)", d.Var)
	w.p("}")
	w.p("}\n")
}

// elementOf names the functions of a list's elements or a map's entries.
func (m *messageWriter) elementOf(v value) string {
	for _, e := range m.many {
		if e.v.d == v.d {
			return e.name
		}
	}
	name := lower(camel(pathName(v.what)))
	for n := 2; m.taken[name]; n++ {
		name = fmt.Sprintf("%s%d", lower(camel(pathName(v.what))), n)
	}
	m.taken[name] = true
	m.many = append(m.many, manyElement{name, v})
	return name
}

// writeMany writes what a list or map needs: from a value to an element, and back.
func (m *messageWriter) writeMany(name string, v value) {
	d := v.d
	words, vars := elementSize(d)
	last := v.element
	key := ""
	if d.Type == delta.Map {
		last = v.entry
		key = "key " + m.f.goType(v.key()) + ", "
	}
	e := last()
	t := m.f.goType(e)
	m.f.p("// %sElement makes an element of %s.", name, v.what)
	m.f.p("func %sElement(%sv %s) (e delta.Record, err error) {", name, key, t)
	m.f.p("e.W, e.V = make([]uint32, %d), make([]delta.Var, %d)", words, vars)
	m.f.p("b := delta.View{W: e.W, V: e.V}")
	fail := func(err string) { m.f.p("return e, %s", err) }
	if d.Type == delta.Map {
		m.f.p("{")
		m.store(v.key(), "key", 0, 0, fail)
		m.f.p("}")
	}
	m.storeAny(e, "v", 0, 0, fail)
	m.f.p("return e, nil")
	m.f.p("}\n")
	if d.Type == delta.Map {
		k := v.key()
		m.f.p("func %sKey(e *delta.Record) %s { return %s }\n", name, m.f.goType(k), m.f.decodeView(k, "e", 0, 0))
		m.f.p("func %sFind(e []delta.Record, key %s) (int, bool) {", name, m.f.goType(k))
		m.f.p("return slices.BinarySearchFunc(e, key, func(x delta.Record, key %s) int { return %s })", m.f.goType(k), compareKey(k))
		m.f.p("}\n")
	}
	m.f.p("func %sValue(e *delta.Record) %s {", name, t)
	if e.d.Type == delta.Message {
		m.f.p("m := &%s{}", m.f.name(e.pf.Message.GoIdent))
		m.f.p("into%s(m, delta.View{W: e.W[%d:], V: e.V[%d:]})", m.convOf(e.pf.Message, e.d.Fields, e.d.Word+1, e.d.Var), e.d.Word+1, e.d.Var)
		m.f.p("return m")
	} else {
		m.f.p("return %s", m.f.decodeView(e, "e", 0, 0))
	}
	m.f.p("}\n")
}

// compareKey is an expression: the order of an entry x and a key.
func compareKey(k value) string {
	switch k.d.Type {
	case delta.Bool:
		return "cmp.Compare(x.W[0], bit(key))"
	case delta.Uint32:
		return "cmp.Compare(x.W[0], key)"
	case delta.Int32:
		return "cmp.Compare(int32(x.W[0]), key)"
	case delta.Int64:
		return fmt.Sprintf("cmp.Compare(int64(%s), key)", word64("x.W", 0))
	case delta.Uint64:
		return fmt.Sprintf("cmp.Compare(%s, key)", word64("x.W", 0))
	}
	return "cmp.Compare(string(x.V[0].B), key)"
}
