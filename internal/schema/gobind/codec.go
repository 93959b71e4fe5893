package gobind

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// codec writes the component codec: what pkg/sync/delta does by walking the layout, unrolled. The order of every read and write is that of interp.go and
// motion.go there. Receivers are pointers to nothing: a call of a method with a value receiver through an interface copies its views once more, some 8 ns.
func (g *generator) codec(f *file) {
	c := &codecWriter{file: f, taken: map[string]bool{}}
	f.doc("NewCodec makes the codec of schema %s, with every component's code unrolled.", g.Name)
	f.p("func NewCodec() (*delta.Codec, error) { return delta.NewCodec(NewLayout(), Groups()) }\n")
	f.doc("Groups is the generated code of every component and audience, for a codec of NewLayout. Any goroutine may use it.")
	f.p("func Groups() delta.Groups { return groups{} }\n")
	f.p("type groups struct{}\n")
	f.p("func (groups) Motion(component uint16) delta.MotionGroup {")
	f.p("switch component {")
	for i := range g.Layout.Components {
		if d := &g.Layout.Components[i]; d.Motion != nil {
			polar := ""
			if d.Motion.Polar {
				polar = fmt.Sprintf("delta.NewPolar(%d)", d.Field(d.Motion.Heading).Bits)
			}
			f.p("case %d: return &%sMotion{%s}", d.ID, lower(camel(d.Name)), polar)
		}
	}
	f.p("}")
	f.p("return nil")
	f.p("}\n")
	f.p("func (groups) Group(component uint16, a delta.Audience) delta.Group {")
	f.p("switch component {")
	for i := range g.Layout.Components {
		d := &g.Layout.Components[i]
		if cases := groupsOf(d); len(cases) > 0 {
			f.p("case %d:", d.ID)
			f.p("switch a {")
			for _, a := range cases {
				f.p("case delta.%s: return &%s{}", audienceName(a), groupName(d, a))
			}
			f.p("}")
		}
	}
	f.p("}")
	f.p("return nil")
	f.p("}\n")
	for i := range g.Layout.Components {
		d := &g.Layout.Components[i]
		if d.Motion != nil {
			c.motion(d)
		}
		for _, a := range groupsOf(d) {
			c.group(d, a)
		}
		for len(c.elements) > 0 { // those of nested lists are added meanwhile
			e := c.elements[0]
			c.elements = c.elements[1:]
			c.element(e)
		}
	}
	if c.resizes {
		f.p("func resize[T any](s []T, n int) []T {")
		f.p("if n <= cap(s) { return s[:n] }")
		f.p("return append(s[:cap(s)], make([]T, n-cap(s))...)")
		f.p("}\n")
	}
	if c.residuals {
		f.p("%s", motionHelpers)
	}
}

// motionHelpers are the codes of residuals that fit in with others: see Residual of the Writer and the Reader.
const motionHelpers = `// far orders residuals by the length of their code: the zigzag.
func far(v int32) uint64 { return uint64(uint32(v<<1) ^ uint32(v>>31)) }

// near is the code of a residual whose zigzag is below 64, and its bits.
func near(u uint64) (code uint64, bits uint) {
	switch {
	case u == 0:
		return 0, 1
	case u <= 8:
		return 1 | (u-1)<<2, 5
	}
	return 3 | u<<3, 9
}

// nearby is the residual whose code v begins with, and the code's bits: 64, which are too many, if the code is a long one.
func nearby(v uint64) (d int32, k uint) {
	u := v>>2&7 + 1
	k = 5
	switch {
	case v&1 == 0:
		return 0, 1
	case v&3 == 3:
		if v&7 == 7 {
			return 0, 64
		}
		u, k = v>>3&63, 9
	}
	return int32(u>>1) ^ -int32(u&1), k
}

// peek reads on without moving on: v is what comes, left how many bits of it there are.
func peek(r *delta.Reader) (v uint64, left uint) {
	left = uint(min(r.Left(), 56))
	ahead := *r
	return ahead.Get(left), left
}
`

// groupsOf are the audiences for which a component has a Group: all that get a field, the motion's left aside.
func groupsOf(d *delta.Component) (list []delta.Audience) {
	for a := range delta.Audiences {
		if (a != delta.AOI || d.Motion == nil) && len(fieldsOf(d, a)) > 0 {
			list = append(list, a)
		}
	}
	return list
}

func groupName(d *delta.Component, a delta.Audience) string {
	return lower(camel(d.Name)) + audienceName(a)
}

func fieldsOf(d *delta.Component, a delta.Audience) (list []*delta.Field) {
	for i := range d.Fields {
		if d.Fields[i].Audience == a {
			list = append(list, &d.Fields[i])
		}
	}
	return list
}

// codecWriter writes functions whose views have fixed names: words a and b, variable parts av and bv; b alone where there is one view.
type codecWriter struct {
	*file
	taken     map[string]bool
	elements  []element // of lists and maps, to be written
	names     []element // of all of them
	resizes   bool
	residuals bool
	prefix    string // of the names of the elements of the component that is being written
}

// element is a list or map whose functions have this name.
type element struct {
	name string
	f    *delta.Field
}

// span is the part of a view that fields fill: audiences lie one behind the other.
type span struct{ word, words, at, vars int }

func spanOf(fields []*delta.Field) span {
	s := span{word: fields[0].Word, at: fields[0].Var}
	for _, f := range fields {
		w, v := size(f)
		s.words += w
		s.vars += v
	}
	return s
}

// size is the words and variable parts of a field.
func size(f *delta.Field) (words, vars int) {
	if f.HasPresence() {
		words++
	}
	switch f.Type {
	case delta.String, delta.Bytes, delta.List, delta.Map:
		return words, 1
	case delta.Message:
		for i := range f.Fields {
			w, v := size(&f.Fields[i])
			words, vars = words+w, vars+v
		}
		return words, vars
	}
	if isWide(f) {
		words++
	}
	return words + 1, 0
}

func isWide(f *delta.Field) bool {
	return f.Type == delta.Int64 || f.Type == delta.Uint64 || f.Type == delta.Float64 || f.Type == delta.Entity
}

func isRanged(f *delta.Field) bool {
	return f.Bits > 0 && (f.Type >= delta.Int32 && f.Type <= delta.Uint64 || f.Type == delta.Steps)
}

func isText(f *delta.Field) bool { return f.Type == delta.String || f.Type == delta.Bytes }
func isMany(f *delta.Field) bool { return f.Type == delta.List || f.Type == delta.Map }

// valueAt is the word where a field's value begins.
func valueAt(f *delta.Field) int {
	if f.HasPresence() {
		return f.Word + 1
	}
	return f.Word
}

// open writes the short names of a view's parts.
func (c *codecWriter) open(view string, words, vars int) {
	if words > 0 {
		c.p("%[1]s := (*[%[2]d]uint32)(%[3]s.W)", view, words, strings.ToUpper(view))
	}
	if vars > 0 {
		c.p("%[1]sv := (*[%[2]d]delta.Var)(%[3]s.V)", view, vars, strings.ToUpper(view))
	}
}

func (c *codecWriter) group(d *delta.Component, a delta.Audience) {
	fields, name := fieldsOf(d, a), groupName(d, a)
	s := spanOf(fields)
	c.prefix = lower(camel(d.Name))
	c.p("// %s codes what %s gets of %s.", name, a2who(a), d.Name)
	c.p("type %s struct{}\n", name)

	method := func(signature string, body string) {
		c.p("func (*%s) %s {", name, signature)
		for _, view := range []string{"a", "b"} {
			if strings.Contains(signature, strings.ToUpper(view)) {
				c.openUsed(view, s.word+s.words, s.at+s.vars, body)
			}
		}
		c.WriteString(body)
		c.p("}\n")
	}
	each := func(write func(*delta.Field)) string {
		return c.body(func() {
			for _, f := range fields {
				write(f)
			}
		})
	}
	method("Full(w *delta.Writer, B delta.View)", each(c.full))
	method("ReadFull(r *delta.Reader, B delta.View)", each(c.readFull))

	c.p("func (*%s) Equal(A, B delta.View) bool {", name)
	c.p("return %s", equalSpan(s, "A.W", "B.W", "A.V", "B.V", fields))
	c.p("}\n")

	method("Delta(w *delta.Writer, A, B delta.View)", c.body(func() { c.deltas(fields) }))
	method("ReadDelta(r *delta.Reader, B delta.View)", c.body(func() { c.readDeltas(fields) }))

	c.p("func (*%s) Copy(dst, src delta.View) {", name)
	c.copySpan(s)
	c.p("}\n")
}

func a2who(a delta.Audience) string {
	return [...]string{"everyone", "the owner", "the party", "the server alone"}[a]
}

// equalSpan is an expression: two views are equal in these fields.
func equalSpan(s span, aw, bw, av, bv string, fields []*delta.Field) string {
	var list []string
	switch {
	case s.words == 1:
		list = append(list, fmt.Sprintf("%s[%d] == %s[%d]", aw, s.word, bw, s.word))
	case s.words > 1:
		list = append(list, fmt.Sprintf("*(*[%[1]d]uint32)(%[2]s[%[3]d:]) == *(*[%[1]d]uint32)(%[4]s[%[3]d:])", s.words, aw, s.word, bw))
	}
	for _, f := range fields {
		list = append(list, equalVars(f, av, bv)...)
	}
	return strings.Join(list, " && ")
}

func equalVars(f *delta.Field, av, bv string) (list []string) {
	switch {
	case isText(f):
		return []string{fmt.Sprintf("bytes.Equal(%s[%d].B, %s[%d].B)", av, f.Var, bv, f.Var)}
	case isMany(f):
		return []string{fmt.Sprintf("delta.EqualVar(&%s[%d], &%s[%d])", av, f.Var, bv, f.Var)}
	case f.Type == delta.Message:
		for i := range f.Fields {
			list = append(list, equalVars(&f.Fields[i], av, bv)...)
		}
	}
	return list
}

// equal is an expression: the views a and b are equal in a field.
func equal(f *delta.Field) string {
	w, v := size(f)
	return equalSpan(span{f.Word, w, f.Var, v}, "a", "b", "av", "bv", []*delta.Field{f})
}

func (c *codecWriter) copySpan(s span) {
	switch {
	case s.words == 1:
		c.p("dst.W[%[1]d] = src.W[%[1]d]", s.word)
	case s.words > 1:
		c.p("*(*[%[1]d]uint32)(dst.W[%[2]d:]) = *(*[%[1]d]uint32)(src.W[%[2]d:])", s.words, s.word)
	}
	for i := range s.vars {
		c.p("delta.CopyVar(&dst.V[%[1]d], &src.V[%[1]d])", s.at+i)
	}
}
