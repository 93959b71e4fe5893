package gobind

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// elementOf names the functions of a list or map, which are written once per field.
func (c *codecWriter) elementOf(f *delta.Field) string {
	for _, e := range c.names {
		if e.f == f {
			return e.name
		}
	}
	name := c.prefix + camel(f.Name)
	for n := 2; c.taken[name]; n++ {
		name = fmt.Sprintf("%s%s%d", c.prefix, camel(f.Name), n)
	}
	c.taken[name] = true
	c.names = append(c.names, element{name, f})
	c.elements = append(c.elements, element{name, f})
	return name
}

// elementSize is the size of the views of a list's or map's elements.
func elementSize(f *delta.Field) (words, vars int) {
	for i := range f.Fields {
		w, v := size(&f.Fields[i])
		words, vars = words+w, vars+v
	}
	return words, vars
}

// inner are the fields of an element as they are coded: a message in it is always present.
func inner(f *delta.Field) []*delta.Field {
	if f.Type == delta.Message {
		return pointers(f.Fields)
	}
	return []*delta.Field{f}
}

// element writes the functions of a list's or map's elements, and of the list or map itself.
func (c *codecWriter) element(e element) {
	f, name := e.f, e.name
	words, vars := elementSize(f)
	was := c.prefix
	c.prefix = name
	defer func() { c.prefix = was }()
	// Bodies come first: they tell whether the views are used at all.
	put := c.body(func() {
		for i := range f.Fields {
			for _, n := range inner(&f.Fields[i]) {
				c.full(n)
			}
		}
	})
	read := c.body(func() {
		for i := range f.Fields {
			c.fresh(&f.Fields[i])
		}
		for i := range f.Fields {
			for _, n := range inner(&f.Fields[i]) {
				c.readFull(n)
			}
		}
	})
	value := &f.Fields[len(f.Fields)-1]
	anew := c.body(func() { c.newForm(value) })
	readAnew := c.body(func() { c.readNewForm(value) })

	c.p("// %sPut appends an element in full.", name)
	c.p("func %sPut(w *delta.Writer, B *delta.Record) {", name)
	c.openUsed("b", words, vars, put)
	c.WriteString(put)
	c.p("}\n")

	c.p("// %sRead reads an element in full, whatever B held.", name)
	c.p("func %sRead(r *delta.Reader, B *delta.Record) {", name)
	c.p("B.W = append(B.W[:0], make([]uint32, %d)...)", words)
	c.p("B.V = resize(B.V, %d)", vars)
	c.resizes = true
	c.openUsed("b", words, vars, read)
	c.WriteString(read)
	c.p("}\n")

	c.p("// %sPutNew appends the new form of an element's value, which differs.", name)
	c.p("func %sPutNew(w *delta.Writer, A, B *delta.Record) {", name)
	c.openUsed("a", words, vars, anew)
	c.openUsed("b", words, vars, anew)
	c.WriteString(anew)
	c.p("}\n")

	c.p("// %sReadNew reads the new form of an element's value.", name)
	c.p("func %sReadNew(r *delta.Reader, B *delta.Record) {", name)
	c.openUsed("b", words, vars, readAnew)
	c.WriteString(readAnew)
	c.p("}\n")

	c.p("func %sFull(w *delta.Writer, e []delta.Record) {", name)
	c.p("w.Count(len(e))")
	c.p("for i := range e { %sPut(w, &e[i]) }", name)
	c.p("}\n")

	c.p("func %sReadFull(r *delta.Reader, v *delta.Var) {", name)
	c.p("v.E = resize(v.E, r.Elements(0, %d))", f.Max)
	c.p("for i := range v.E {")
	c.p("%sRead(r, &v.E[i])", name)
	if f.Type == delta.Map {
		c.p("if i > 0 && %sCompare(&v.E[i-1], &v.E[i]) >= 0 { r.Fail() }", name)
	}
	c.p("if r.Failed() { v.E = v.E[:0]; return }")
	c.p("}")
	c.p("}\n")
	if f.Type == delta.List {
		c.listDelta(f, name)
	} else {
		c.mapDelta(f, name)
	}
}

// newForm is that of a value within an element, whose message has no presence.
func (c *codecWriter) newForm(f *delta.Field) {
	if f.Type == delta.Message {
		c.deltas(pointers(f.Fields))
	} else {
		c.delta(f)
	}
}

func (c *codecWriter) readNewForm(f *delta.Field) {
	if f.Type == delta.Message {
		c.readDeltas(pointers(f.Fields))
	} else {
		c.readDelta(f)
	}
}

// fresh gives a part of a new element, whose words are zero, its default.
func (c *codecWriter) fresh(f *delta.Field) {
	reset := c.body(func() { c.reset(f) })
	for line := range strings.Lines(reset) {
		if !strings.HasSuffix(line, "= 0\n") && !strings.HasSuffix(line, "= 0, 0\n") {
			c.WriteString(line)
		}
	}
	if f.Type == delta.Message {
		c.p("b[%d] = 1", f.Word)
	}
}

// body returns what write writes.
func (c *codecWriter) body(write func()) string {
	from := c.Len()
	write()
	text := string(c.Bytes()[from:])
	c.Truncate(from)
	return text
}

// openUsed opens the parts of a view that a body uses.
func (c *codecWriter) openUsed(view string, words, vars int, body string) {
	uses := func(name string) bool {
		for i := 0; ; {
			j := strings.Index(body[i:], name+"[")
			if j < 0 {
				return false
			}
			if i += j; i == 0 || !isLetter(body[i-1]) {
				return true
			}
			i++
		}
	}
	if !uses(view) {
		words = 0
	}
	if !uses(view + "v") {
		vars = 0
	}
	c.open(view, words, vars)
}

func isLetter(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.'
}

func (c *codecWriter) listDelta(f *delta.Field, name string) {
	c.p("func %sDelta(w *delta.Writer, a, b []delta.Record) {", name)
	c.p("kept, m, n := delta.Splice(a, b)")
	c.p("w.Count(kept)")
	c.p("w.Count(m)")
	c.p("w.Count(n)")
	c.p("for i := range n {")
	c.p("switch y := &b[kept+i]; {")
	c.p("case i >= m:")
	c.p("%sPut(w, y)", name)
	c.p("case delta.EqualRecord(&a[kept+i], y):")
	c.p("w.Put(0, 1)")
	c.p("default:")
	c.p("w.Put(1, 1)")
	c.p("%sPutNew(w, &a[kept+i], y)", name)
	c.p("}")
	c.p("}")
	c.p("}\n")

	c.p("func %sReadDelta(r *delta.Reader, v *delta.Var) {", name)
	c.p("kept, m, n, ok := r.ReadSplice(v, %d)", f.Max)
	c.p("if !ok { return }")
	c.p("for i := 0; i < n && !r.Failed(); i++ {")
	c.p("if e := &v.E[kept+i]; i >= m {")
	c.p("%sRead(r, e)", name)
	c.p("} else if r.Bit() {")
	c.p("%sReadNew(r, e)", name)
	c.p("}")
	c.p("}")
	c.p("}\n")
}

func (c *codecWriter) mapDelta(f *delta.Field, name string) {
	c.p("func %sCompare(x, y *delta.Record) int {", name)
	c.p("return %s", compareKeys(&f.Fields[0], "x", "y"))
	c.p("}\n")

	c.p("func %sDelta(w *delta.Writer, a, b []delta.Record) {", name)
	c.p("delta.PutMapDelta(w, a, b, %sCompare,", name)
	c.p("func(i, j int) { %sPutNew(w, &a[i], &b[j]) },", name)
	c.p("func(j int) { %sPut(w, &b[j]) })", name)
	c.p("}\n")

	c.p("func %sReadDelta(r *delta.Reader, v *delta.Var) {", name)
	c.p("r.ReadMapDelta(v, %d, %sCompare,", f.Max, name)
	c.p("func(e *delta.Record) { %sReadNew(r, e) },", name)
	c.p("func(e *delta.Record) { %sRead(r, e) })", name)
	c.p("}\n")
}

// compareKeys is an expression: the order of two entries of a map.
func compareKeys(k *delta.Field, x, y string) string {
	switch k.Type {
	case delta.Bool, delta.Uint32:
		return fmt.Sprintf("cmp.Compare(%s.W[0], %s.W[0])", x, y)
	case delta.Int32:
		return fmt.Sprintf("cmp.Compare(int32(%s.W[0]), int32(%s.W[0]))", x, y)
	case delta.Int64:
		return fmt.Sprintf("cmp.Compare(int64(%s), int64(%s))", word64(x+".W", 0), word64(y+".W", 0))
	case delta.Uint64:
		return fmt.Sprintf("cmp.Compare(%s, %s)", word64(x+".W", 0), word64(y+".W", 0))
	}
	return fmt.Sprintf("bytes.Compare(%s.V[0].B, %s.V[0].B)", x, y)
}
