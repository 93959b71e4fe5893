package gobind

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// layout writes the layout as a literal.
func (g *generator) layout(f *file) {
	l := g.Layout
	f.doc("Fingerprint identifies the schema, %s: see protocol.Fingerprint. It changes with everything that both sides of a connection must agree on.", g.Fingerprint)
	f.p("const Fingerprint uint64 = %#016x\n", g.Fingerprint.Uint64())
	f.doc("NewLayout is the replicated state of schema %s as data.", g.Name)
	f.p("func NewLayout() *delta.Layout {")
	f.p("l := &delta.Layout{Name: %q, Fingerprint: Fingerprint, TickHz: %d,", l.Name, l.TickHz)
	if len(l.Components) > 0 {
		f.p("Components: []delta.Component{")
		for i := range l.Components {
			layoutComponent(f, &l.Components[i])
		}
		f.p("},")
	}
	if len(l.Kinds) > 0 {
		f.p("Kinds: []delta.Kind{")
		for i := range l.Kinds {
			k := &l.Kinds[i]
			w := literal{}
			w.num("ID", int64(k.ID))
			w.add("Name", strconv.Quote(k.Name))
			if len(k.Components) > 0 {
				w.add("Components", fmt.Sprintf("%#v", k.Components))
			}
			if len(k.Optional) > 0 {
				w.add("Optional", fmt.Sprintf("%#v", k.Optional))
			}
			w.float("Sees", k.Sees)
			w.text("Layer", k.Layer)
			f.p("{%s},", w.String())
		}
		f.p("},")
	}
	f.p("}")
	f.p("if err := l.Finish(); err != nil {")
	f.p(`panic(fmt.Sprintf("%s: the generated layout: %%v", err)) // the generator has finished it before`, g.BindName)
	f.p("}")
	f.p("return l")
	f.p("}")
}

func layoutComponent(f *file, c *delta.Component) {
	f.p("{")
	f.p("ID: %d, Name: %q,", c.ID, c.Name)
	if len(c.Fields) > 0 {
		f.p("Fields: []delta.Field{")
		for i := range c.Fields {
			layoutField(f, &c.Fields[i])
		}
		f.p("},")
	}
	if m := c.Motion; m != nil {
		w := literal{}
		w.num("X", int64(m.X))
		w.num("Y", int64(m.Y))
		w.num("Z", int64(m.Z))
		w.num("VX", int64(m.VX))
		w.num("VY", int64(m.VY))
		w.num("VZ", int64(m.VZ))
		w.num("Heading", int64(m.Heading))
		w.flag("Polar", m.Polar)
		f.p("Motion: &delta.Motion{%s},", w.String())
	}
	f.p("},")
}

// literal gathers the fields of a struct that are not zero.
type literal []string

func (w *literal) add(name, value string) { *w = append(*w, name+": "+value) }
func (w *literal) String() string         { return strings.Join(*w, ", ") }

func (w *literal) num(name string, v int64) {
	if v != 0 {
		w.add(name, strconv.FormatInt(v, 10))
	}
}

func (w *literal) float(name string, v float64) {
	if v != 0 {
		w.add(name, floatLiteral(v))
	}
}

func (w *literal) text(name, v string) {
	if v != "" {
		w.add(name, strconv.Quote(v))
	}
}

func (w *literal) flag(name string, v bool) {
	if v {
		w.add(name, "true")
	}
}

// floatLiteral is a literal of exactly this value.
func floatLiteral(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func layoutField(f *file, d *delta.Field) {
	w := literal{}
	w.num("ID", int64(d.ID))
	w.add("Name", strconv.Quote(d.Name))
	w.add("Type", "delta."+typeName(d.Type))
	w.num("Bits", int64(d.Bits))
	w.num("Min", d.Min)
	w.num("Limit", d.Limit)
	w.float("Quantum", d.Quantum)
	w.float("Origin", d.Origin)
	w.flag("Optional", d.Optional)
	if d.Audience != delta.AOI {
		w.add("Audience", "delta."+audienceName(d.Audience))
	}
	switch d.Interp {
	case delta.Linear:
		w.add("Interp", "delta.Linear")
	case delta.Turn:
		w.add("Interp", "delta.Turn")
	}
	w.num("Priority", int64(d.Priority))
	w.flag("Predicted", d.Predicted)
	w.flag("Persist", d.Persist)
	w.num("Max", int64(d.Max))
	if len(d.Fields) == 0 {
		f.p("{%s},", w.String())
		return
	}
	f.p("{%s, Fields: []delta.Field{", w.String())
	for i := range d.Fields {
		layoutField(f, &d.Fields[i])
	}
	f.p("}},")
}

func typeName(t delta.Type) string {
	return [...]string{"", "Bool", "Int32", "Uint32", "Int64", "Uint64", "Enum", "Float32", "Float64", "Steps", "Angle", "Entity", "String", "Bytes", "Message", "List", "Map"}[t]
}

func audienceName(a delta.Audience) string {
	return [...]string{"AOI", "Owner", "Party", "Server"}[a]
}
