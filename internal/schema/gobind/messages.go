package gobind

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// messageWriter writes the functions that turn views into generated messages and back: one set per message and arrangement in a view.
type messageWriter struct {
	f      *file
	taken  map[string]bool
	convs  []conversion
	many   []manyElement
	knowns []known
	done   struct{ convs, many, knowns int } // how many of each are written
}

// conversion is between a message and a view whose first word and variable part are given.
type conversion struct {
	name     string
	message  *protogen.Message
	fields   []delta.Field
	word, at int
	form     string // what must be equal for two to be the same
}

type manyElement struct {
	name string
	v    value
}

func newMessageWriter(f *file) *messageWriter { return &messageWriter{f: f, taken: map[string]bool{}} }

// convOf names the functions of a message that lies in a view from a word and variable part on.
func (m *messageWriter) convOf(message *protogen.Message, fields []delta.Field, word, at int) string {
	var b strings.Builder
	arrangement(&b, fields, word, at)
	for _, c := range m.convs {
		if c.message == message && c.form == b.String() {
			return c.name
		}
	}
	name := message.GoIdent.GoName
	for n := 2; m.taken["message "+name]; n++ {
		name = fmt.Sprintf("%s%d", message.GoIdent.GoName, n)
	}
	m.taken["message "+name] = true
	m.convs = append(m.convs, conversion{name, message, fields, word, at, b.String()})
	return name
}

func arrangement(b *strings.Builder, fields []delta.Field, word, at int) {
	for i := range fields {
		d := &fields[i]
		fmt.Fprintf(b, "%d:%d:%d:%d:%d:%d:%v:%v:%v:%d ", d.ID, d.Type, d.Word-word, d.Var-at, d.Min, d.Limit, d.Quantum, d.Origin, d.Optional, d.Max)
		if d.Type == delta.Message {
			arrangement(b, d.Fields, word, at)
		} else if len(d.Fields) > 0 {
			arrangement(b, d.Fields, 0, 0)
		}
	}
}

// rest writes what was asked for; writing asks for more.
func (m *messageWriter) rest() {
	for {
		switch {
		case m.done.convs < len(m.convs):
			c := m.convs[m.done.convs]
			m.done.convs++
			m.conversion(&c)
		case m.done.many < len(m.many):
			e := m.many[m.done.many]
			m.done.many++
			m.writeMany(e.name, e.v)
		case m.done.knowns < len(m.knowns):
			k := m.knowns[m.done.knowns]
			m.done.knowns++
			m.writeKnown(k)
		default:
			return
		}
	}
}

func (c *conversion) values() (list []value) {
	for i := range c.fields {
		d := &c.fields[i]
		list = append(list, value{d, fieldOf(c.message, d.ID), string(c.message.Desc.Name()) + "." + d.Name})
	}
	return list
}

func (m *messageWriter) conversion(c *conversion) {
	f := m.f
	message := f.name(c.message.GoIdent)
	f.p("func into%s(m *%s, b delta.View) {", c.name, message)
	for _, v := range c.values() {
		m.into(c, v)
	}
	f.p("}\n")
	f.p("// from%s fills a view of zeros, or says what is wrong with m.", c.name)
	f.p("func from%s(b delta.View, m *%s) error {", c.name, message)
	f.p("if m == nil { m = &%s{} }", message)
	for _, v := range c.values() {
		f.p("{")
		m.from(c, v)
		f.p("}")
	}
	f.p("return nil")
	f.p("}\n")
	f.p("// default%s gives a view of zeros its default values.", c.name)
	f.p("func default%s(b delta.View) {", c.name)
	for _, v := range c.values() {
		m.def(c, v)
	}
	f.p("}\n")
	f.p("func append%s(dst []byte, b delta.View) []byte {", c.name)
	f.p("dst = append(dst, %q...)", string(c.message.Desc.Name())+"{")
	for i, v := range c.values() {
		comma := ", "
		if i == 0 {
			comma = ""
		}
		m.text(c, v, comma)
	}
	f.p("return append(dst, '}')")
	f.p("}\n")
}

func (m *messageWriter) into(c *conversion, v value) {
	f, d, name := m.f, v.d, v.pf.GoName
	at := d.Var - c.at
	switch d.Type {
	case delta.List:
		e := v.element()
		f.p("m.%s = m.%s[:0]", name, name)
		f.p("for i := range b.V[%d].E {", at)
		f.p("m.%[1]s = append(m.%[1]s, %[2]s)", name, f.toPB(e, fmt.Sprintf("%sValue(&b.V[%d].E[i])", m.elementOf(v), at)))
		f.p("}")
	case delta.Map:
		k, e, conv := v.key(), v.entry(), m.elementOf(v)
		f.p("m.%s = nil", name)
		f.p("if n := len(b.V[%d].E); n > 0 { m.%s = make(map[%s]%s, n) }", at, name, f.pbType(k), f.pbType(e))
		f.p("for i := range b.V[%d].E {", at)
		f.p("e := &b.V[%d].E[i]", at)
		f.p("m.%s[%s] = %s", name, f.toPB(k, conv+"Key(e)"), f.toPB(e, conv+"Value(e)"))
		f.p("}")
	case delta.Message:
		word := d.Word - c.word
		f.p("if b.W[%d] == 0 {", word)
		f.p("m.%s = nil", name)
		f.p("} else {")
		f.p("if m.%[1]s == nil { m.%[1]s = &%[2]s{} }", name, f.name(v.pf.Message.GoIdent))
		f.p("into%s(m.%s, delta.View{W: b.W[%d:], V: b.V[%d:]})", m.convOf(v.pf.Message, d.Fields, d.Word+1, d.Var), name, word+1, at)
		f.p("}")
	default:
		expr := f.toPB(v, f.decodeView(v, "b", c.word, c.at))
		if !d.Optional {
			f.p("m.%s = %s", name, expr)
			return
		}
		f.p("if b.W[%d] == 0 {", d.Word-c.word)
		f.p("m.%s = nil", name)
		f.p("} else {")
		if d.Type == delta.Bytes {
			f.p("m.%s = append([]byte{}, b.V[%d].B...)", name, at)
		} else {
			f.p("v := %s", expr)
			f.p("m.%s = &v", name)
		}
		f.p("}")
	}
}

func (m *messageWriter) from(c *conversion, v value) {
	f, d, name := m.f, v.d, v.pf.GoName
	at, word := d.Var-c.at, d.Word-c.word
	fail := func(err string) { f.p("return %s", err) }
	switch d.Type {
	case delta.List, delta.Map:
		f.p("if n := len(m.%s); n > %d {", name, d.Max)
		fail(fmt.Sprintf("tooLong(%q, n, %d, \"elements\")", v.what, d.Max))
		f.p("}")
		if d.Type == delta.List {
			f.p("for _, x := range m.%s {", name)
			f.p("e, err := %sElement(%s)", m.elementOf(v), f.fromPB(v.element(), "x"))
		} else {
			f.p("for k, x := range m.%s {", name)
			f.p("e, err := %sElement(%s, %s)", m.elementOf(v), f.fromPB(v.key(), "k"), f.fromPB(v.entry(), "x"))
		}
		f.p("if err != nil { return err }")
		f.p("b.V[%[1]d].E = append(b.V[%[1]d].E, e)", at)
		f.p("}")
		if d.Type == delta.Map {
			f.p("slices.SortFunc(b.V[%d].E, func(x, y delta.Record) int { return %s })", at, compareKeys(&d.Fields[0], "x", "y"))
		}
	case delta.Message:
		conv := m.convOf(v.pf.Message, d.Fields, d.Word+1, d.Var)
		view := fmt.Sprintf("delta.View{W: b.W[%d:], V: b.V[%d:]}", word+1, at)
		f.p("if m.%s == nil {", name)
		f.p("default%s(%s)", conv, view)
		f.p("} else {")
		f.p("b.W[%d] = 1", word)
		f.p("if err := from%s(%s, m.%s); err != nil { return err }", conv, view, name)
		f.p("}")
	default:
		x := "m." + name
		if d.Optional {
			f.p("if m.%s == nil {", name)
			m.def(c, v)
			f.p("} else {")
			f.p("b.W[%d] = 1", word)
			if d.Type != delta.Bytes {
				x = "*m." + name
			}
		}
		f.p("x := %s", f.fromPB(v, x))
		if withoutZero(d) && !d.Optional {
			f.p("if x == 0 { // not set")
			m.def(c, v)
			f.p("} else {")
		}
		m.store(v, "x", c.word, c.at, fail)
		if withoutZero(d) && !d.Optional {
			f.p("}")
		}
		if d.Optional {
			f.p("}")
		}
	}
}

// store writes what puts x into the view b at the value's place.
func (m *messageWriter) store(v value, x string, word, at int, fail func(string)) {
	m.f.encode(v, x, fail)
	switch i := valueAt(v.d) - word; {
	case isText(v.d):
		m.f.p("b.V[%[1]d].B = append(b.V[%[1]d].B[:0], n...)", v.d.Var-at)
	case isWide(v.d):
		m.f.p("b.W[%d], b.W[%d] = uint32(n), uint32(n>>32)", i, i+1)
	default:
		m.f.p("b.W[%d] = n", i)
	}
}

// storeAny is store for elements, which may be messages.
func (m *messageWriter) storeAny(v value, x string, word, at int, fail func(string)) {
	if v.d.Type != delta.Message {
		m.store(v, x, word, at, fail)
		return
	}
	conv := m.convOf(v.pf.Message, v.d.Fields, v.d.Word+1, v.d.Var)
	m.f.p("b.W[%d] = 1", v.d.Word-word)
	m.f.p("if err := from%s(delta.View{W: b.W[%d:], V: b.V[%d:]}, %s); err != nil {", conv, v.d.Word-word+1, v.d.Var-at, x)
	fail(fmt.Sprintf("fmt.Errorf(\"field %s: %%w\", err)", v.what))
	m.f.p("}")
}

// def gives a field of a view of zeros its default value.
func (m *messageWriter) def(c *conversion, v value) {
	d := v.d
	switch i := valueAt(d) - c.word; {
	case isRanged(d):
		n := uint64(min(max(0, d.Min), d.Limit))
		if uint32(n) != 0 {
			m.f.p("b.W[%d] = %d", i, uint32(n))
		}
		if isWide(d) && n>>32 != 0 {
			m.f.p("b.W[%d] = %d", i+1, n>>32)
		}
	case d.Type == delta.Message:
		m.f.p("default%s(delta.View{W: b.W[%d:], V: b.V[%d:]})", m.convOf(v.pf.Message, d.Fields, d.Word+1, d.Var), i, d.Var-c.at)
	}
}

// text writes a field for people.
func (m *messageWriter) text(c *conversion, v value, comma string) {
	f, d := m.f, v.d
	f.p("dst = append(dst, %q...)", comma+d.Name+": ")
	if d.HasPresence() {
		f.p("if b.W[%d] == 0 {", d.Word-c.word)
		f.p("dst = append(dst, '-')")
		f.p("} else {")
		defer f.p("}")
	}
	switch d.Type {
	case delta.List:
		f.p("dst = append(dst, '[')")
		f.p("for i := range b.V[%d].E {", d.Var-c.at)
		f.p("if i > 0 { dst = append(dst, \", \"...) }")
		m.textElement(v.element(), fmt.Sprintf("b.V[%d].E[i]", d.Var-c.at))
		f.p("}")
		f.p("dst = append(dst, ']')")
	case delta.Map:
		e := fmt.Sprintf("b.V[%d].E[i]", d.Var-c.at)
		f.p("dst = append(dst, '{')")
		f.p("for i := range b.V[%d].E {", d.Var-c.at)
		f.p("if i > 0 { dst = append(dst, \", \"...) }")
		m.textElement(v.key(), e)
		f.p("dst = append(dst, \": \"...)")
		m.textElement(v.entry(), e)
		f.p("}")
		f.p("dst = append(dst, '}')")
	case delta.Message:
		f.p("dst = append%s(dst, delta.View{W: b.W[%d:], V: b.V[%d:]})", m.convOf(v.pf.Message, d.Fields, d.Word+1, d.Var), d.Word-c.word+1, d.Var-c.at)
	default:
		f.p("dst = fmt.Appendf(dst, %q, %s)", verb(d), f.decodeView(v, "b", c.word, c.at))
	}
}

func (m *messageWriter) textElement(v value, e string) {
	if v.d.Type == delta.Message {
		m.f.p("dst = append%s(dst, delta.View{W: %[2]s.W[%[3]d:], V: %[2]s.V[%[4]d:]})", m.convOf(v.pf.Message, v.d.Fields, v.d.Word+1, v.d.Var), e, v.d.Word+1, v.d.Var)
		return
	}
	m.f.p("dst = fmt.Appendf(dst, %q, %s)", verb(v.d), m.f.decodeView(v, e, 0, 0))
}

// verb is how a value is printed: rounded where the step is coarser than the digits.
func verb(d *delta.Field) string {
	switch d.Type {
	case delta.String:
		return "%q"
	case delta.Bytes:
		return "%x"
	case delta.Steps, delta.Angle:
		return "%.6g"
	}
	return "%v"
}
