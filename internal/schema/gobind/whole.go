package gobind

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// whole writes the methods that concern all fields of a component.
func (w *componentWriter) whole() {
	d, name := w.c.Def, w.name
	conv := w.convOf(w.c.Message, d.Fields, 0, 0)
	message := w.file.name(w.c.Message.GoIdent)
	w.p("// Into fills m with the component's fields, in units.")
	w.p("func (c %s) Into(m *%s) { into%s(m, %s.View()) }\n", name, message, conv, w.cell())
	w.p("// %sRead fills m with the component of an entity that a client sees, in units; it is false if the entity has none. It panics if the client was not dialled with the", name)
	w.p("// codec of these bindings: set client.Config.Codec to what NewCodec makes.")
	w.p("func %sRead(e delta.Seen, m *%s) bool {", name, message)
	w.p("if e.Layout().Fingerprint != Fingerprint { panic(foreign(\"%s\", e.Layout())) }", d.Name)
	w.p("v, ok := e.View(%d)", d.ID)
	w.p("if ok { into%s(m, v) }", conv)
	w.p("return ok }\n")
	w.p("// From sets all fields of the component. If m holds anything out of range, nothing is changed and the error says what it is; 0 in a field whose range is")
	w.p("// without 0 stands for the default.")
	w.p("func (c %s) From(m *%s) error {", name, message)
	w.scratch(d.Words, d.Vars)
	w.p("if err := from%s(s, m); err != nil { return err }", conv)
	w.p("cell := %s", w.cell())
	if m := d.Motion; m != nil {
		x, z := d.Field(m.X).Word, d.Field(m.Z).Word
		w.p("x, z := int32(s.W[%d]), int32(s.W[%d])", x, z)
		w.p("if err := cell.CheckPosition(x, z); err != nil { return fmt.Errorf(\"%s: the place %%d, %%d is %%w\", x, z, err) }", d.Name)
		w.p("cell.SetPosition(x, z)")
	}
	w.p("b := cell.View()")
	for a := range delta.Audiences {
		fields := fieldsOf(d, a)
		if len(fields) == 0 {
			continue
		}
		s := spanOf(fields)
		w.p("if !slices.Equal(b.W[%[1]d:%[2]d], s.W[%[1]d:%[2]d]) || !equalVars(b.V[%[3]d:%[4]d], s.V[%[3]d:%[4]d]) {", s.word, s.word+s.words, s.at, s.at+s.vars)
		w.p("b := cell.Edit(delta.%s)", audienceName(a))
		if s.words > 0 {
			w.p("copy(b.W[%[1]d:%[2]d], s.W[%[1]d:%[2]d])", s.word, s.word+s.words)
		}
		for i := range s.vars {
			w.p("delta.CopyVar(&b.V[%[1]d], &s.V[%[1]d])", s.at+i)
		}
		w.p("}")
	}
	w.p("return nil")
	w.p("}\n")
	if slices.ContainsFunc(d.Fields, func(f delta.Field) bool { return f.Persist }) {
		w.persist(conv, message)
	}
	w.p("// String shows the component in units, for people.")
	w.p("func (c %s) String() string {", name)
	w.p("e := game.Entity(c)")
	w.p("if !e.Alive() || !e.Has(%d) { return %q }", d.ID, d.Name+"{}")
	w.p("return string(append%s(nil, e.Cell(%d).View()))", conv, d.ID)
	w.p("}\n")
}

// place writes the methods of where a component is and how it moves.
func (w *componentWriter) place() {
	d := w.c.Def
	axes := axesOf(d)
	params := func(t string) string { return join(axes, ", ", func(x axis) string { return x.letter }) + " " + t }
	words := func(form string, of func(axis) *delta.Field) string {
		return join(axes, ", ", func(x axis) string { return fmt.Sprintf(form, of(x).Word) })
	}
	pos := func(x axis) *delta.Field { return x.p }
	vel := func(x axis) *delta.Field { return x.v }
	write := func(what, unit string, of func(axis) *delta.Field) {
		w.p("// %s is the %s, in %s.", what, map[string]string{"Pos": "place", "Vel": "velocity by which observers predict the place"}[what], unit)
		w.p("func (c %s) %s() (%s) {", w.name, what, params("float64"))
		w.p("cell := %s", w.cell())
		w.p("return %s", join(axes, ", ", func(x axis) string { return units(of(x), fmt.Sprintf("int32(cell.W(%d))", of(x).Word)) }))
		w.p("}\n")
		w.p("// Q%s is %s in steps of %s.", what, what, floatLiteral(of(axes[0]).Quantum))
		w.p("func (c %s) Q%s() (%s) {", w.name, what, params("int32"))
		w.p("cell := %s", w.cell())
		w.p("return %s", words("int32(cell.W(%d))", of))
		w.p("}\n")
		if what == "Pos" {
			w.p("// SetPos moves the entity, to the nearest step; it panics outside the zone or a range, and if anything is no number.")
		} else {
			w.p("// SetVel changes the velocity, to the nearest step; it panics out of range, and if anything is no number. It does not move the entity.")
		}
		w.p("func (c %s) Set%s(%s) {", w.name, what, params("float64"))
		w.p("var %s", join(axes, ", ", func(x axis) string { return "q" + x.letter })+" int32")
		for _, x := range axes {
			w.p("{")
			w.encode(value{of(x), fieldOf(w.c.Message, of(x).ID), d.Name + "." + of(x).Name}, x.letter, w.panics)
			w.p("q%s = int32(n)", x.letter)
			w.p("}")
		}
		w.p("c.SetQ%s(%s)", what, join(axes, ", ", func(x axis) string { return "q" + x.letter }))
		w.p("}\n")
		w.p("// SetQ%s is Set%s in steps.", what, what)
		w.p("func (c %s) SetQ%s(%s) {", w.name, what, params("int32"))
		for _, x := range axes {
			if bad := outOfRangeSteps(of(x), x.letter); bad != "" {
				w.p("if %s {", bad)
				w.panics(fmt.Sprintf("outside(%q, %s, %d, %d)", d.Name+"."+of(x).Name+" in steps", x.letter, of(x).Min, of(x).Limit))
				w.p("}")
			}
		}
		w.p("cell := %s", w.cell())
		if what == "Pos" {
			w.p("cell.SetPosition(x, z)")
		}
		for _, x := range axes {
			if what == "Vel" || x.letter == "y" {
				w.p("cell.Set(%d, delta.AOI, uint32(%s))", of(x).Word, x.letter)
			}
		}
		w.p("}\n")
	}
	write("Pos", "the schema's units from the world's corner (metres)", pos)
	write("Vel", "the schema's units per second", vel)
	if h := d.Field(d.Motion.Heading); h != nil && h.Bits >= 2 {
		x, z := axes[0], axes[len(axes)-1]
		w.p("// SetCourse turns the entity and gives it the velocity of a speed (steps of %s, 0 to 65535) in that direction: heading counts 1/%d turns from +x to +z, and wraps.",
			floatLiteral(x.v.Quantum), 1<<h.Bits)
		if d.Motion.Polar {
			w.p("// Velocities that come from here, of speeds below 2048, have the shortest code.")
		}
		w.p("func (c %s) SetCourse(heading uint32, speed int32) {", w.name)
		w.p("if speed < 0 || speed > 65535 { panic(outside(%q, speed, 0, 65535)) }", d.Name+" speed in steps")
		w.p("vx, vz := course(heading, %d, speed)", 1<<h.Bits)
		w.p("cell := %s", w.cell())
		w.p("cell.Set(%d, delta.AOI, heading&%d)", h.Word, 1<<h.Bits-1)
		w.p("cell.Set(%d, delta.AOI, uint32(vx))", x.v.Word)
		w.p("cell.Set(%d, delta.AOI, uint32(vz))", z.v.Word)
		w.p("}\n")
	}
}

// helper is a function that generated code may need, and the call by which one knows.
type helper struct{ call, text string }

// helpers writes those functions that the components of a file call.
func helpers(f *file) {
	body := f.String()
	for _, h := range []helper{
		{"equalVars(", `func equalVars(a, b []delta.Var) bool {
	for i := range a {
		if !delta.EqualVar(&a[i], &b[i]) {
			return false
		}
	}
	return true
}
`},
		{"bit(key)", `func bit(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}
`},
		{"course(", `// course is the velocity of a speed at a heading: that of delta.Polar, to the bit. No cosine of these angles lies near enough to the middle between two numbers
// for the last digit of a float to matter.
func course(heading, turn uint32, speed int32) (vx, vz int32) {
	s, c := math.Sincos(float64(heading&(turn-1)) * 2 * math.Pi / float64(turn))
	cos, sin := int32(math.Round(c*(1<<14))), int32(math.Round(s*(1<<14)))
	return (cos*speed + 1<<13) >> 14, (sin*speed + 1<<13) >> 14
}
`},
		{"foreign(", `func foreign(component string, l *delta.Layout) string {
	return fmt.Sprintf("bind: %s cannot be read from an entity that is laid out as game %q of revision %x says: set client.Config.Codec to what NewCodec makes", component, l.Name, l.Fingerprint)
}
`},
		{"outside(", `func outside(field string, v, low, high any) error {
	return fmt.Errorf("%s: %v is not within %v to %v: clamp it first, or widen the range in the schema", field, v, low, high)
}
`},
		{"notFinite(", `func notFinite(field string, v float64) error { return fmt.Errorf("%s: %v is no finite number", field, v) }
`},
		{"tooLong(", `func tooLong(field string, n, most int, of string) error {
	return fmt.Errorf("%s: %d %s, at most %d: make room first, or raise max in the schema", field, n, of, most)
}
`},
		{"notText(", `func notText(field, s string) error { return fmt.Errorf("%s: %q is not UTF-8", field, s) }
`},
	} {
		if strings.Contains(body, h.call) {
			f.p("%s", h.text)
		}
	}
}

// pathName turns "Lists.swords" into Lists_swords, which camel makes a name of.
func pathName(what string) string { return strings.NewReplacer(".", "_", " ", "_").Replace(what) }
