package gobind

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// deltas writes the new forms of fields: without the bit where there is one field.
func (c *codecWriter) deltas(fields []*delta.Field) {
	if len(fields) == 1 {
		c.delta(fields[0])
		return
	}
	for _, f := range fields {
		c.flagged(f)
	}
}

// flagged writes the bit that says whether a field differs, and its new form: in one go where the form has a fixed number of bits.
func (c *codecWriter) flagged(f *delta.Field) {
	i := valueAt(f)
	if f.Type == delta.Bool && !f.Optional {
		c.p("w.Put(uint64(a[%[1]d]^b[%[1]d]), 1)", i)
		return
	}
	c.p("if %s {", equal(f))
	c.p("w.Put(0, 1)")
	switch {
	case f.HasPresence():
		c.p("} else {")
		c.p("w.Put(1|uint64(b[%d])<<1, 2)", f.Word)
		c.deltaPresent(f)
	case f.Type == delta.Enum || f.Type == delta.Angle && f.Bits <= 4:
		c.p("} else {")
		c.p("w.Put(1|uint64(b[%d])<<1, %d)", i, f.Bits+1)
	case f.Type == delta.Angle:
		k := f.Bits
		c.p("} else if n := (b[%[1]d]-a[%[1]d]+%[2]d)&%[3]d; n < %[4]d {", i, 1<<(k-5), 1<<k-1, 2<<(k-5))
		c.p("w.Put(1|uint64(n)<<2, %d)", k-2)
		c.p("} else {")
		c.p("w.Put(3|uint64(b[%d])<<2, %d)", i, k+2)
	case isRanged(f) && f.Bits <= 8:
		c.p("} else {")
		c.p("w.Put(1|(%s)<<1, %d)", steps(f, "b"), f.Bits+1)
	case f.Type == delta.Float32:
		c.p("} else {")
		c.p("w.Put(1|uint64(b[%d])<<1, 33)", i)
	default:
		c.p("} else {")
		c.p("w.Put(1, 1)")
		c.deltaValue(f)
	}
	c.p("}")
}

func (c *codecWriter) readDeltas(fields []*delta.Field) {
	if len(fields) == 1 {
		c.readDelta(fields[0])
		return
	}
	for _, f := range fields {
		c.p("if r.Bit() {")
		c.readDelta(f)
		c.p("}")
	}
}

func pointers(fields []delta.Field) (list []*delta.Field) {
	for i := range fields {
		list = append(list, &fields[i])
	}
	return list
}

// word64 is an expression of two words.
func word64(b string, i int) string {
	return fmt.Sprintf("uint64(%[1]s[%[2]d])|uint64(%[1]s[%[3]d])<<32", b, i, i+1)
}

// minus is an expression less a constant.
func minus(expr string, n int64) string {
	switch {
	case n < 0:
		return fmt.Sprintf("%s+%d", expr, uint64(-n))
	case n > 0:
		return fmt.Sprintf("%s-%d", expr, n)
	}
	return expr
}

func plus(expr string, n int64) string {
	switch {
	case n < 0:
		return fmt.Sprintf("%s-%d", expr, uint64(-n))
	case n > 0:
		return fmt.Sprintf("%s+%d", expr, n)
	}
	return expr
}

// steps is an expression: a ranged value above its least.
func steps(f *delta.Field, b string) string {
	switch i := valueAt(f); f.Type {
	case delta.Int64, delta.Uint64:
		return minus("("+word64(b, i)+")", f.Min)
	case delta.Uint32:
		return minus(fmt.Sprintf("uint64(%s[%d])", b, i), f.Min)
	default:
		return fmt.Sprintf("uint64(%s)", minus(fmt.Sprintf("int64(int32(%s[%d]))", b, i), f.Min))
	}
}

// setSteps assigns a ranged value, given above its least.
func (c *codecWriter) setSteps(f *delta.Field, expr string) {
	if i := valueAt(f); isWide(f) {
		c.set64(i, plus(expr, f.Min))
	} else {
		c.p("b[%d] = uint32(%s)", i, plus(expr, f.Min))
	}
}

func (c *codecWriter) set64(i int, expr string) {
	c.p("{")
	c.p("n := %s", expr)
	c.p("b[%d], b[%d] = uint32(n), uint32(n>>32)", i, i+1)
	c.p("}")
}

func (c *codecWriter) full(f *delta.Field) {
	if !f.HasPresence() {
		c.fullValue(f)
		return
	}
	c.p("w.Put(uint64(b[%d]), 1)", f.Word)
	c.p("if b[%d] != 0 {", f.Word)
	c.fullValue(f)
	c.p("}")
}

func (c *codecWriter) fullValue(f *delta.Field) {
	i := valueAt(f)
	switch {
	case isRanged(f):
		c.p("w.Put(%s, %d)", steps(f, "b"), f.Bits)
		return
	case f.Type == delta.Angle || f.Type == delta.Enum:
		c.p("w.Put(uint64(b[%d]), %d)", i, f.Bits)
		return
	}
	switch f.Type {
	case delta.Bool:
		c.p("w.Put(uint64(b[%d]), 1)", i)
	case delta.Int32, delta.Uint32, delta.Steps:
		c.p("w.Num32(b[%d], 0)", i)
	case delta.Int64, delta.Uint64:
		c.p("w.Num64(%s, 0)", word64("b", i))
	case delta.Float32:
		c.p("w.Put(uint64(b[%d]), 32)", i)
	case delta.Float64:
		c.p("w.Put64(%s)", word64("b", i))
	case delta.Entity:
		c.p("w.Entity(%s)", word64("b", i))
	case delta.String, delta.Bytes:
		c.p("w.Text(bv[%d].B)", f.Var)
	case delta.Message:
		for _, n := range pointers(f.Fields) {
			c.full(n)
		}
	case delta.List, delta.Map:
		c.p("%sFull(w, bv[%d].E)", c.elementOf(f), f.Var)
	}
}

func (c *codecWriter) readFull(f *delta.Field) {
	if !f.HasPresence() {
		c.readFullValue(f)
		return
	}
	c.p("if r.Bit() {")
	c.p("b[%d] = 1", f.Word)
	c.readFullValue(f)
	c.p("} else {")
	c.reset(f)
	c.p("}")
}

func (c *codecWriter) readFullValue(f *delta.Field) {
	i := valueAt(f)
	switch {
	case isRanged(f):
		c.setSteps(f, fmt.Sprintf("r.RangedFull(%d, %d)", f.Bits, uint64(f.Limit)-uint64(f.Min)))
		return
	case f.Type == delta.Angle || f.Type == delta.Enum:
		c.p("b[%d] = uint32(r.Get(%d))", i, f.Bits)
		return
	}
	switch f.Type {
	case delta.Bool:
		c.p("b[%d] = uint32(r.Get(1))", i)
	case delta.Int32, delta.Uint32, delta.Steps:
		c.p("b[%d] = r.Num32(0)", i)
	case delta.Int64, delta.Uint64:
		c.set64(i, "r.Num64(0)")
	case delta.Float32:
		c.p("b[%d] = uint32(r.Get(32))", i)
	case delta.Float64:
		c.set64(i, "r.Get64()")
	case delta.Entity:
		c.set64(i, "r.Entity()")
	case delta.String, delta.Bytes:
		c.p("bv[%[1]d].B = r.Text(bv[%[1]d].B, %[2]d, %[3]v)", f.Var, f.Max, f.Type == delta.String)
	case delta.Message:
		for _, n := range pointers(f.Fields) {
			c.readFull(n)
		}
	case delta.List, delta.Map:
		c.p("%sReadFull(r, &bv[%d])", c.elementOf(f), f.Var)
	}
}

// reset gives a field its default value: absent, or 0 or the end of its range nearest to 0.
func (c *codecWriter) reset(f *delta.Field) {
	if f.HasPresence() {
		c.p("b[%d] = 0", f.Word)
	}
	switch i := valueAt(f); {
	case isRanged(f):
		n := uint64(min(max(0, f.Min), f.Limit))
		c.p("b[%d] = %d", i, uint32(n))
		if isWide(f) {
			c.p("b[%d] = %d", i+1, uint32(n>>32))
		}
	case isWide(f):
		c.p("b[%d], b[%d] = 0, 0", i, i+1)
	case f.Type == delta.Message:
		for _, n := range pointers(f.Fields) {
			c.reset(n)
		}
	case isText(f):
		c.p("bv[%[1]d].B = bv[%[1]d].B[:0]", f.Var)
	case isMany(f):
		c.p("bv[%[1]d].E = bv[%[1]d].E[:0]", f.Var)
	default:
		c.p("b[%d] = 0", i)
	}
}

// delta writes the new form of a field that differs.
func (c *codecWriter) delta(f *delta.Field) {
	if !f.HasPresence() {
		c.deltaValue(f)
		return
	}
	c.p("w.Put(uint64(b[%d]), 1)", f.Word)
	c.deltaPresent(f)
}

// deltaPresent is what follows the presence.
func (c *codecWriter) deltaPresent(f *delta.Field) {
	c.p("if b[%d] != 0 {", f.Word)
	c.p("if a[%d] == 0 {", f.Word)
	c.fullValue(f)
	c.p("} else {")
	c.deltaValue(f)
	c.p("}")
	c.p("}")
}

func (c *codecWriter) deltaValue(f *delta.Field) {
	i := valueAt(f)
	switch {
	case isRanged(f):
		c.p("w.Ranged(%s, %s, %d)", steps(f, "b"), steps(f, "a"), f.Bits)
		return
	case f.Type == delta.Angle:
		c.p("w.Angle(b[%[1]d], a[%[1]d], %[2]d)", i, f.Bits)
		return
	}
	switch f.Type {
	case delta.Bool: // it is the other one
	case delta.Int32, delta.Uint32, delta.Steps:
		c.p("w.Num32(b[%[1]d], a[%[1]d])", i)
	case delta.Int64, delta.Uint64:
		c.p("w.Num64(%s, %s)", word64("b", i), word64("a", i))
	case delta.Message:
		c.deltas(pointers(f.Fields))
	case delta.List, delta.Map:
		c.p("%[1]sDelta(w, av[%[2]d].E, bv[%[2]d].E)", c.elementOf(f), f.Var)
	default:
		c.fullValue(f)
	}
}

func (c *codecWriter) readDelta(f *delta.Field) {
	if !f.HasPresence() {
		c.readDeltaValue(f)
		return
	}
	c.p("switch was := b[%d]; {", f.Word)
	c.p("case !r.Bit():")
	c.reset(f)
	c.p("case was == 0:")
	c.p("b[%d] = 1", f.Word)
	c.readFullValue(f)
	c.p("default:")
	c.readDeltaValue(f)
	c.p("}")
}

func (c *codecWriter) readDeltaValue(f *delta.Field) {
	i := valueAt(f)
	switch {
	case isRanged(f):
		c.setSteps(f, fmt.Sprintf("r.Ranged(%s, %d, %d)", steps(f, "b"), f.Bits, uint64(f.Limit)-uint64(f.Min)))
		return
	case f.Type == delta.Angle:
		c.p("b[%[1]d] = r.Angle(b[%[1]d], %[2]d)", i, f.Bits)
		return
	}
	switch f.Type {
	case delta.Bool:
		c.p("b[%d] ^= 1", i)
	case delta.Int32, delta.Uint32, delta.Steps:
		c.p("b[%[1]d] = r.Num32(b[%[1]d])", i)
	case delta.Int64, delta.Uint64:
		c.set64(i, fmt.Sprintf("r.Num64(%s)", word64("b", i)))
	case delta.Message:
		c.readDeltas(pointers(f.Fields))
	case delta.List, delta.Map:
		c.p("%sReadDelta(r, &bv[%d])", c.elementOf(f), f.Var)
	default:
		c.readFullValue(f)
	}
}
