package gobind

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// components writes a type for every component: an entity under another name, whose methods read and change the fields.
func (g *generator) components(f *file) {
	w := &componentWriter{file: f, generator: g, messageWriter: newMessageWriter(f)}
	f.doc("The components' numbers.")
	f.p("const (")
	for _, c := range g.Components {
		f.p("Component%s uint16 = %d", c.Message.GoIdent.GoName, c.Def.ID)
	}
	f.p(")\n")
	for _, c := range g.Components {
		w.component(c)
	}
	w.messageWriter.rest()
	helpers(f)
}

// componentWriter writes the components of a schema, one after the other.
type componentWriter struct {
	*file
	*generator
	*messageWriter
	c    *model.Component
	name string // Go name of c
}

// cell is an expression: the component's cell.
func (w *componentWriter) cell() string { return fmt.Sprintf("game.Entity(c).Cell(%d)", w.c.Def.ID) }

// fieldOf is the message's field of a field of the layout.
func fieldOf(m *protogen.Message, id uint32) *protogen.Field {
	i := slices.IndexFunc(m.Fields, func(f *protogen.Field) bool { return uint32(f.Desc.Number()) == id })
	if i < 0 {
		panic(fmt.Sprintf("message %s has no field %d", m.Desc.FullName(), id)) // the model has made the layout from it
	}
	return m.Fields[i]
}

func (w *componentWriter) component(c *model.Component) {
	w.c, w.name = c, c.Message.GoIdent.GoName
	d := c.Def
	text := leading(c.Message.Comments)
	if text == "" {
		text = fmt.Sprintf("%s is component %d", w.name, d.ID)
	}
	w.file.doc("%s\n\nMethods panic if the entity does not live, or has no such component.", text)
	w.p("type %s game.Entity\n", w.name)
	if w.sometimes(c) {
		w.p("// %[1]sOf is the component %[1]s of an entity of any kind; ok is false if the entity does not live, or has none.", w.name)
		w.p("func %[1]sOf(e game.Entity) (c %[1]s, ok bool) {", w.name)
		w.p("if !e.Alive() || !e.Has(Component%s) { return c, false }", w.name)
		w.p("return %s(e), true", w.name)
		w.p("}\n")
	}
	if d.Motion != nil {
		w.place()
	}
	for i := range d.Fields {
		f := &d.Fields[i]
		if d.Motion != nil && isAxis(d.Motion, f.ID) {
			continue
		}
		pf := fieldOf(c.Message, f.ID)
		v := value{f, pf, d.Name + "." + f.Name}
		switch f.Type {
		case delta.List:
			w.list(v)
		case delta.Map:
			w.dict(v)
		case delta.Message:
			w.nested(v)
		default:
			w.single(v)
		}
	}
	w.whole()
}

// sometimes tells whether there is a kind whose entities may lack a component.
func (g *generator) sometimes(c *model.Component) bool {
	return slices.ContainsFunc(g.Kinds, func(k *model.Kind) bool { return k.Optional(c) })
}

func isAxis(m *delta.Motion, id uint32) bool {
	return id != 0 && slices.Contains([]uint32{m.X, m.Y, m.Z, m.VX, m.VY, m.VZ}, id)
}

func audience(d *delta.Field) string { return "delta." + audienceName(d.Audience) }

func (w *componentWriter) panics(err string) { w.p("panic(%s)", err) }

// single writes the methods of a field of one value.
func (w *componentWriter) single(v value) {
	d, name, a := v.d, v.pf.GoName, audience(v.d)
	i := valueAt(d)
	if d.Optional {
		w.p("// Has%s tells whether field %s is there.", name, d.Name)
		w.p("func (c %s) Has%s() bool { return %s.W(%d) != 0 }\n", w.name, name, w.cell(), d.Word)
		w.p("// Clear%s takes field %s away.", name, d.Name)
		w.p("func (c %s) Clear%s() {", w.name, name)
		w.p("cell := %s", w.cell())
		if isText(d) {
			w.p("if cell.W(%d) != 0 {", d.Word)
			w.p("b := cell.Edit(%s)", a)
			w.p("b.W[%[1]d], b.V[%[2]d].B = 0, b.V[%[2]d].B[:0]", d.Word, d.Var)
			w.p("}")
		} else {
			n := uint64(0)
			if isRanged(d) {
				n = uint64(min(max(0, d.Min), d.Limit))
			}
			w.p("cell.Set(%d, %s, 0)", d.Word, a)
			if isWide(d) {
				w.p("cell.Set64(%d, %s, %d)", i, a, n)
			} else {
				w.p("cell.Set(%d, %s, %d)", i, a, uint32(n))
			}
		}
		w.p("}\n")
	}
	absent := ""
	if d.Optional {
		absent = "; absent, it is the default"
	}
	w.p("// %s is field %s%s%s.", name, d.Name, describe(v), absent)
	w.p("func (c %s) %s() %s {", w.name, name, w.goType(v))
	if isText(d) {
		w.p("return %s", w.decode(v, "", "", fmt.Sprintf("%s.View().V[%d]", w.cell(), d.Var)))
	} else {
		w.p("return %s", w.decode(v, fmt.Sprintf("%s.W(%d)", w.cell(), i), fmt.Sprintf("%s.W64(%d)", w.cell(), i), ""))
	}
	w.p("}\n")
	w.p("// Set%s changes field %s%s.", name, d.Name, limits(d))
	w.p("func (c %s) Set%s(v %s) {", w.name, name, w.goType(v))
	w.encode(v, "v", w.panics)
	switch {
	case isText(d):
		w.p("cell := %s", w.cell())
		same := fmt.Sprintf("string(cell.View().V[%d].B) == string(n)", d.Var)
		if d.Optional {
			same = fmt.Sprintf("cell.W(%d) != 0 && ", d.Word) + same
		}
		w.p("if %s { return }", same)
		w.p("b := cell.Edit(%s)", a)
		if d.Optional {
			w.p("b.W[%d] = 1", d.Word)
		}
		w.p("b.V[%[1]d].B = append(b.V[%[1]d].B[:0], n...)", d.Var)
	case d.Optional:
		w.p("cell := %s", w.cell())
		w.p("cell.Set(%d, %s, 1)", d.Word, a)
		w.setWord("cell", i, d)
	default:
		w.setWord(w.cell(), i, d)
	}
	w.p("}\n")
	w.raw(v)
	if !d.Optional {
		w.add(v)
	}
}

func (w *componentWriter) setWord(cell string, i int, d *delta.Field) {
	if isWide(d) {
		w.p("%s.Set64(%d, %s, n)", cell, i, audience(d))
	} else {
		w.p("%s.Set(%d, %s, n)", cell, i, audience(d))
	}
}

// limits is the end of a setter's comment.
func limits(d *delta.Field) string {
	switch {
	case d.Type == delta.Angle:
		return "; it panics if v is not finite"
	case d.Type == delta.Steps:
		return " to the nearest step; it panics if that is out of range, or v is no number"
	case d.Type == delta.String:
		return fmt.Sprintf("; it panics if v has more than %d bytes or is not UTF-8", d.Max)
	case d.Type == delta.Bytes:
		return fmt.Sprintf("; it panics if v has more than %d bytes", d.Max)
	case isRanged(d) || d.Type == delta.Enum:
		return "; it panics if v is out of range"
	}
	return ""
}

// raw writes the methods that count in steps.
func (w *componentWriter) raw(v value) {
	d, name, i := v.d, v.pf.GoName, valueAt(v.d)
	var of string
	switch d.Type {
	case delta.Steps:
		of = "int32"
	case delta.Angle:
		of = "uint32"
	default:
		return
	}
	w.p("// Q%s is field %s in steps.", name, d.Name)
	w.p("func (c %s) Q%s() %s { return %s(%s.W(%d)) }\n", w.name, name, of, of, w.cell(), i)
	w.p("// SetQ%s changes field %s, in steps; it panics if v is out of range.", name, d.Name)
	w.p("func (c %s) SetQ%s(v %s) {", w.name, name, of)
	if d.Type == delta.Angle {
		w.p("if v >= 1<<%d {", d.Bits)
		w.panics(fmt.Sprintf("outside(%q, v, 0, %d)", v.what+" in steps", 1<<d.Bits-1))
		w.p("}")
	} else if low, high := v.stepLimits(); high < math.MaxInt32 || low > math.MinInt32 {
		w.p("if v < %d || v > %d {", low, high)
		w.panics(fmt.Sprintf("outside(%q, v, %d, %d)", v.what+" in steps", low, high))
		w.p("}")
	}
	w.p("cell := %s", w.cell())
	if d.Optional {
		w.p("cell.Set(%d, %s, 1)", d.Word, audience(d))
	}
	w.p("cell.Set(%d, %s, uint32(v))", i, audience(d))
	w.p("}\n")
}

func outOfRangeSteps(d *delta.Field, x string) string {
	as := *d
	as.Type = delta.Int32
	return outOfRange(&as, x)
}

// add writes the method that counts a number up or down and stops at its ends.
func (w *componentWriter) add(v value) {
	d, name, i := v.d, v.pf.GoName, valueAt(v.d)
	t := w.goType(v)
	var by string
	switch d.Type {
	case delta.Int32, delta.Uint32:
		by = "int32"
	case delta.Int64, delta.Uint64:
		by = "int64"
	case delta.Float32, delta.Float64, delta.Steps:
		by = t
	default:
		return
	}
	ends := "of its type"
	if isRanged(d) {
		ends = "of its range"
	}
	if d.Type == delta.Steps {
		w.p("// Add%s adds to field %s, to the nearest step, stops at the ends %s, and returns the new value; it panics if by is no number.", name, d.Name, ends)
	} else {
		w.p("// Add%s adds to field %s, stops at the ends %s, and returns the new value.", name, d.Name, ends)
	}
	w.p("func (c %s) Add%s(by %s) %s {", w.name, name, by, t)
	w.p("cell := %s", w.cell())
	switch d.Type {
	case delta.Int32, delta.Uint32:
		low, high := intLimits(d)
		w.p("v := %s(min(max(int64(%s(cell.W(%d)))+int64(by), %s), %s))", t, t, i, low, high)
		w.p("cell.Set(%d, %s, uint32(v))", i, audience(d))
	case delta.Int64, delta.Uint64:
		w.p("v, old := %[1]s(cell.W64(%[2]d)), %[1]s(cell.W64(%[2]d))", t, i)
		low, high := intLimits(d)
		w.p("v += %s(by)", t)
		w.p("switch {")
		w.p("case by > 0 && v < old: v = %s", high)
		w.p("case by < 0 && v > old: v = %s", low)
		w.p("}")
		if isRanged(d) {
			w.p("v = min(max(v, %s), %s)", low, high)
		}
		w.p("cell.Set64(%d, %s, uint64(v))", i, audience(d))
	case delta.Steps:
		low, high := v.stepLimits()
		w.p("s := float64(int32(cell.W(%d))) + math.Round(by / %s)", i, floatLiteral(d.Quantum))
		w.p("if s != s { panic(notFinite(%q, by)) }", v.what)
		w.p("n := int32(min(max(s, %d), %d))", low, high)
		w.p("cell.Set(%d, %s, uint32(n))", i, audience(d))
		w.p("return %s", units(d, "n"))
		w.p("}\n")
		return
	case delta.Float32:
		w.p("v := min(max(math.Float32frombits(cell.W(%d))+by, -math.MaxFloat32), math.MaxFloat32)", i)
		w.p("cell.Set(%d, %s, math.Float32bits(v))", i, audience(d))
	case delta.Float64:
		w.p("v := min(max(math.Float64frombits(cell.W64(%d))+by, -math.MaxFloat64), math.MaxFloat64)", i)
		w.p("cell.Set64(%d, %s, math.Float64bits(v))", i, audience(d))
	}
	w.p("return v")
	w.p("}\n")
}

// nested writes the methods of a message.
func (w *componentWriter) nested(v value) {
	d, name, a := v.d, v.pf.GoName, audience(v.d)
	words, vars := size(d)
	conv := w.convOf(v.pf.Message, d.Fields, d.Word+1, d.Var)
	message := w.file.name(v.pf.Message.GoIdent)
	w.p("// Has%s tells whether field %s is there.", name, d.Name)
	w.p("func (c %s) Has%s() bool { return %s.W(%d) != 0 }\n", w.name, name, w.cell(), d.Word)
	w.p("// %s is a copy of field %s%s; nil if it is absent.", name, d.Name, describe(v))
	w.p("func (c %s) %s() *%s {", w.name, name, message)
	w.p("b := %s.View()", w.cell())
	w.p("if b.W[%d] == 0 { return nil }", d.Word)
	w.p("m := &%s{}", message)
	w.p("into%s(m, delta.View{W: b.W[%d:], V: b.V[%d:]})", conv, d.Word+1, d.Var)
	w.p("return m")
	w.p("}\n")
	w.p("// Set%s changes field %s, by a copy; nil takes it away. It panics if anything in it is out of range.", name, d.Name)
	w.p("func (c %s) Set%s(m *%s) {", w.name, name, message)
	w.p("if m == nil { c.Clear%s(); return }", name)
	w.scratch(words, vars)
	w.p("s.W[0] = 1")
	w.p("if err := from%s(delta.View{W: s.W[1:], V: s.V}, m); err != nil { panic(fmt.Errorf(\"field %s: %%w\", err)) }", conv, v.what)
	w.replace(d, words, vars, a)
	w.p("}\n")
	w.p("// Clear%s takes field %s away.", name, d.Name)
	w.p("func (c %s) Clear%s() {", w.name, name)
	w.p("if !c.Has%s() { return }", name)
	w.scratch(words, vars)
	w.p("default%s(delta.View{W: s.W[1:], V: s.V})", conv)
	w.replace(d, words, vars, a)
	w.p("}\n")
}

// scratch declares s, a view of zeros.
func (w *file) scratch(words, vars int) {
	w.p("var words [%d]uint32", words)
	w.p("var vars [%d]delta.Var", vars)
	w.p("s := delta.View{W: words[:], V: vars[:]}")
}

// replace puts the scratch view in place of a field if it differs.
func (w *componentWriter) replace(d *delta.Field, words, vars int, a string) {
	w.p("cell := %s", w.cell())
	w.p("if b := cell.View(); slices.Equal(b.W[%d:%d], s.W) && equalVars(b.V[%d:%d], s.V) { return }", d.Word, d.Word+words, d.Var, d.Var+vars)
	w.p("b := cell.Edit(%s)", a)
	w.p("copy(b.W[%d:], s.W)", d.Word)
	w.p("for i := range s.V { delta.CopyVar(&b.V[%d+i], &s.V[i]) }", d.Var)
}

// leading is a comment of the schema as plain text.
func leading(c protogen.CommentSet) string {
	if c.Leading != "" {
		return string(c.Leading)
	}
	return string(c.Trailing)
}
