package gobind

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// persist writes how a component is stored.
func (w *componentWriter) persist(conv, message string) {
	var others []string
	for i := range w.c.Def.Fields {
		if f := &w.c.Def.Fields[i]; !f.Persist {
			others = append(others, fieldOf(w.c.Message, f.ID).GoName)
		}
	}
	w.p("// AppendPersist appends the fields that are stored, as the component's protobuf message.")
	w.p("func (c %s) AppendPersist(dst []byte) ([]byte, error) {", w.name)
	w.p("m := &%s{}", message)
	w.p("c.Into(m)")
	if len(others) > 0 {
		w.p("var none %s", message)
		for _, f := range others {
			w.p("m.%[1]s = none.%[1]s", f)
		}
	}
	w.p("if f, ok := proto.Message(m).(protocol.Fast); ok { return f.AppendFast(dst) }")
	w.p("return proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)")
	w.p("}\n")
	known := w.knownOf(w.c.Message, w.c.Def.Fields)
	w.p("// ParsePersist sets the fields that are stored to what AppendPersist wrote; the others stay. On an error nothing is changed.")
	if known != "" {
		w.p("// The number of an enumerator that is gone from the schema stays as it is if the field has the bits for it, and is 0 if not.")
	}
	w.p("func (c %s) ParsePersist(b []byte) error {", w.name)
	w.p("m := &%s{}", message)
	w.p("if err := protocol.Unmarshal(b, m); err != nil { return err }")
	if known != "" {
		w.p("%s(m)", known)
	}
	if len(others) > 0 {
		w.p("now := &%s{}", message)
		w.p("c.Into(now)")
		for _, f := range others {
			w.p("m.%[1]s = now.%[1]s", f)
		}
	}
	w.p("return c.From(m)")
	w.p("}\n")
}

// known is a function that is to be written for a message: it makes stored enumerators fit.
type known struct {
	name    string
	message *protogen.Message
	fields  []delta.Field
}

// knownOf names the function that makes the enumerators of a stored message fit their bits; "" if it has none.
func (m *messageWriter) knownOf(message *protogen.Message, fields []delta.Field) string {
	if !hasEnum(fields) {
		return ""
	}
	for _, k := range m.knowns {
		if k.message == message { // bits belong to the message's fields, wherever it lies
			return k.name
		}
	}
	name := "known" + message.GoIdent.GoName
	for n := 2; m.taken["known "+name]; n++ {
		name = fmt.Sprintf("known%s%d", message.GoIdent.GoName, n)
	}
	m.taken["known "+name] = true
	m.knowns = append(m.knowns, known{name, message, fields})
	return name
}

func hasEnum(fields []delta.Field) bool {
	for i := range fields {
		if fields[i].Type == delta.Enum || hasEnum(fields[i].Fields) {
			return true
		}
	}
	return false
}

func (m *messageWriter) writeKnown(k known) {
	f := m.f
	f.p("// %s gives stored enumerators for which there are no bits any more the number 0.", k.name)
	f.p("func %s(m *%s) {", k.name, f.name(k.message.GoIdent))
	c := conversion{message: k.message, fields: k.fields}
	for _, v := range c.values() {
		name := "m." + v.pf.GoName
		switch d := v.d; {
		case d.Type == delta.List:
			m.knownElement("i", name, v.element())
		case d.Type == delta.Map:
			m.knownElement("k", name, v.entry())
		case d.Type == delta.Message:
			if known := m.knownOf(v.pf.Message, d.Fields); known != "" {
				f.p("if %[1]s != nil { %[2]s(%[1]s) }", name, known)
			}
		case d.Type == delta.Enum && d.Optional:
			f.p("if %[1]s != nil && uint32(*%[1]s) >= 1<<%[2]d { *%[1]s = 0 }", name, d.Bits)
		case d.Type == delta.Enum:
			f.p("if uint32(%[1]s) >= 1<<%[2]d { %[1]s = 0 }", name, d.Bits)
		}
	}
	f.p("}\n")
}

// knownElement goes through a list or map: key is the name of what an element is found by.
func (m *messageWriter) knownElement(key, name string, e value) {
	switch {
	case e.d.Type == delta.Enum:
		m.f.p("for %s, x := range %s {", key, name)
		m.f.p("if uint32(x) >= 1<<%d { %s[%s] = 0 }", e.d.Bits, name, key)
		m.f.p("}")
	case e.d.Type == delta.Message:
		if known := m.knownOf(e.pf.Message, e.d.Fields); known != "" {
			m.f.p("for _, x := range %s { %s(x) }", name, known)
		}
	}
}
