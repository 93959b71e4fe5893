package gobind

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func (c *codecWriter) motionDelta(axes []axis, heading *delta.Field, rest []*delta.Field) {
	for _, x := range axes {
		c.p("o%[1]s, v%[1]s := int32(a[%[2]d]), int32(b[%[2]d])", x.letter, x.v.Word)
	}
	waiting := 0 // the most bits that may wait
	turned := join(axes, " || ", func(x axis) string { return fmt.Sprintf("o%[1]s != v%[1]s", x.letter) })
	c.p("turned := %s", turned)
	if heading != nil {
		h := heading.Word
		c.p("if a[%[1]d] == b[%[1]d] {", h)
		c.p("w.Put(0, 1)")
		c.p("} else {")
		c.p("w.Put(1, 1)")
		c.p("w.Angle(b[%[1]d], a[%[1]d], %[2]d)", h, heading.Bits)
		c.p("}")
		c.p("m.polar.PutDelta(w, b[%[1]d], a[%[1]d], vx, vz, ox, oz)", h)
		if len(axes) == 3 {
			c.p("if oy == vy {")
			c.p("w.Put(0, 1)")
			c.p("} else {")
			c.p("w.Put(1, 1)")
			c.p("w.Velocity(vy, oy)")
			c.p("}")
		}
		c.p("head, k := uint64(0), uint(0)")
	} else {
		c.p("head, k := uint64(0), uint(1) // bits that wait for others: few writes are faster than many")
		c.p("if turned {")
		c.p("if %s := %s; %s < 32 {", join(axes, ", ", func(x axis) string { return "d" + x.letter }),
			join(axes, ", ", func(x axis) string { return fmt.Sprintf("uint64(uint32(v%[1]s-o%[1]s+16))", x.letter) }),
			join(axes, "|", func(x axis) string { return "d" + x.letter }))
		short := "1"
		for i, x := range axes {
			short += fmt.Sprintf("|d%s<<%d", x.letter, 2+6*i)
		}
		c.p("head, k = %s, %d", short, 1+6*len(axes))
		c.p("} else {")
		c.p("w.Put(1, 1)")
		for _, x := range axes {
			c.p("w.Velocity(v%[1]s, o%[1]s)", x.letter)
		}
		c.p("k = 0")
		c.p("}")
		c.p("}")
		waiting = 1 + 6*len(axes)
	}
	room := func(bits int) { // flushes what waits if bits more might not fit one write
		if waiting += bits; waiting > 56 {
			c.p("w.Put(head, k)")
			c.p("head, k = 0, 0")
			waiting = bits
		}
	}
	for _, f := range rest {
		room(restBits(f))
		c.waiting(f)
	}
	for _, x := range axes {
		c.p("%[1]s := int32(b[%[2]d]) - (int32(a[%[2]d]) + o%[1]s*dt)", x.letter, x.p.Word)
	}
	room(2 + 9*len(axes))
	c.p("if %s == 0 { w.Put(head, k+1); return }", join(axes, "|", func(x axis) string { return x.letter }))
	c.p("head |= 1 << k")
	c.p("k++")
	c.p("if turned { // or did it turn before its last move?")
	for _, x := range axes {
		c.p("f%[1]s := %[1]s + o%[1]s - v%[1]s", x.letter)
	}
	c.p("if %s < %s {", join(axes, "+", func(x axis) string { return "far(f" + x.letter + ")" }), join(axes, "+", func(x axis) string { return "far(" + x.letter + ")" }))
	c.p("head |= 1 << k")
	c.p("%s = %s", join(axes, ", ", func(x axis) string { return x.letter }), join(axes, ", ", func(x axis) string { return "f" + x.letter }))
	c.p("}")
	c.p("k++")
	c.p("}")
	c.p("if %s := %s; %s < 1<<6 {", join(axes, ", ", func(x axis) string { return "u" + x.letter }), join(axes, ", ", func(x axis) string { return "far(" + x.letter + ")" }),
		join(axes, "|", func(x axis) string { return "u" + x.letter }))
	for _, x := range axes {
		c.p("c%[1]s, n%[1]s := near(u%[1]s)", x.letter)
	}
	bits, n := "head", "k"
	for _, x := range axes {
		bits += fmt.Sprintf("|c%s<<(%s)", x.letter, n)
		n += "+n" + x.letter
	}
	c.p("w.Put(%s, %s)", bits, n)
	c.p("return")
	c.p("}")
	c.p("w.Put(head, k)")
	for _, x := range axes {
		c.p("w.Residual(%s)", x.letter)
	}
}

// restBits are the most bits of a field beside the motion that wait: its flag, and its new form if that is of simple type.
func restBits(f *delta.Field) int {
	switch {
	case !isSimple(f) || f.Type == delta.Bool:
		return 1
	case f.Type == delta.Enum:
		return int(f.Bits) + 1
	}
	return int(f.Bits) + 2
}

// isSimple tells the fields whose new form has few bits.
func isSimple(f *delta.Field) bool {
	return !f.Optional && (f.Type == delta.Angle && f.Bits > 4 || f.Type == delta.Enum && f.Bits <= 8 || f.Type == delta.Bool)
}

// waiting adds the flag and the new form of a field to the bits that wait.
func (c *codecWriter) waiting(f *delta.Field) {
	i := valueAt(f)
	switch {
	case !isSimple(f):
		c.p("if %s {", equal(f))
		c.p("k++")
		c.p("} else {")
		c.p("w.Put(head|1<<k, k+1)")
		c.p("head, k = 0, 0")
		c.delta(f)
	case f.Type == delta.Bool:
		c.p("head |= uint64(a[%[1]d]^b[%[1]d]) << k", i)
		c.p("k++")
		return
	case f.Type == delta.Enum:
		c.p("if a[%[1]d] == b[%[1]d] {", i)
		c.p("k++")
		c.p("} else {")
		c.p("head |= (1 | uint64(b[%d])<<1) << k", i)
		c.p("k += %d", f.Bits+1)
	default:
		n := f.Bits
		c.p("if a[%[1]d] == b[%[1]d] {", i)
		c.p("k++")
		c.p("} else if n := (b[%[1]d]-a[%[1]d]+%[2]d)&%[3]d; n < %[4]d {", i, 1<<(n-5), 1<<n-1, 2<<(n-5))
		c.p("head |= (1 | uint64(n)<<2) << k")
		c.p("k += %d", n-2)
		c.p("} else {")
		c.p("head |= (3 | uint64(b[%d])<<2) << k", i)
		c.p("k += %d", n+2)
	}
	c.p("}")
}

func (c *codecWriter) motionReadDelta(axes []axis, heading *delta.Field, rest []*delta.Field) {
	for _, x := range axes {
		c.p("o%[1]s := int32(b[%[2]d])", x.letter, x.v.Word)
	}
	if heading == nil {
		c.shortReadDelta(axes, rest)
	}
	for _, x := range axes {
		c.p("v%[1]s := o%[1]s", x.letter)
	}
	if heading != nil {
		h := heading.Word
		c.p("old := b[%d]", h)
		c.p("h := old")
		c.p("if r.Bit() { h = r.Angle(old, %d) }", heading.Bits)
		c.p("vx, vz = m.polar.ReadDelta(r, h, old, ox, oz)")
		c.p("b[%d] = h", h)
		if len(axes) == 3 {
			c.p("if r.Bit() { vy = r.Velocity(oy) }")
		}
	} else {
		c.p("if r.Bit() {")
		for _, x := range axes {
			c.p("v%[1]s = r.Velocity(o%[1]s)", x.letter)
		}
		c.p("}")
	}
	c.p("%s = %s", join(axes, ", ", func(x axis) string { return fmt.Sprintf("b[%d]", x.v.Word) }), join(axes, ", ", func(x axis) string { return "uint32(v" + x.letter + ")" }))
	for _, f := range rest {
		c.p("if r.Bit() {")
		c.readDelta(f)
		c.p("}")
	}
	for _, x := range axes {
		c.p("%[1]s := int32(b[%[2]d]) + o%[1]s*dt", x.letter, x.p.Word)
	}
	c.p("if r.Bit() {")
	c.p("if (%s) && r.Bit() {", join(axes, " || ", func(x axis) string { return fmt.Sprintf("v%[1]s != o%[1]s", x.letter) }))
	for _, x := range axes {
		c.p("%[1]s += v%[1]s - o%[1]s", x.letter)
	}
	c.p("}")
	for _, x := range axes {
		c.p("%s += r.Residual()", x.letter)
	}
	c.p("}")
	c.p("%s = %s", join(axes, ", ", func(x axis) string { return fmt.Sprintf("b[%d]", x.p.Word) }), join(axes, ", ", func(x axis) string { return "uint32(" + x.letter + ")" }))
	c.checkRanges(axes)
}

// checkRanges fails the reader for a place outside its ranges.
func (c *codecWriter) checkRanges(axes []axis) {
	var outside []string
	for _, x := range axes {
		if x.form == inRange {
			outside = append(outside, fmt.Sprintf("uint64(%s) > %d", minus("int64("+x.letter+")", x.p.Min), uint64(x.p.Limit-x.p.Min)))
		}
	}
	if len(outside) > 0 {
		c.p("if %s { r.Fail() }", strings.Join(outside, " || "))
	}
}

// shortReadDelta writes the way of nearly every update: its codes are short and fit a word, which is read at once and taken apart. Anything else makes more bits than
// there are, and is left to what comes after.
func (c *codecWriter) shortReadDelta(axes []axis, rest []*delta.Field) {
	c.p("{")
	c.p("v, left := peek(r)")
	for _, x := range axes {
		c.p("v%[1]s := o%[1]s", x.letter)
	}
	c.p("k := uint(1)")
	c.p("if v&1 != 0 {")
	mask := 0
	for i := range axes {
		mask |= 2 << (6 * i)
	}
	c.p("k = %d", 1+6*len(axes))
	for i, x := range axes {
		c.p("v%[1]s += int32(v>>%[2]d&31) - 16", x.letter, 2+6*i)
	}
	c.p("if v&%d != 0 { k = 64 }", mask)
	c.p("}")
	store := ""
	for _, f := range rest {
		i := valueAt(f)
		if !isSimple(f) {
			c.p("if v>>k&1 != 0 { k = 64 } else { k++ }")
			continue
		}
		store += fmt.Sprintf("b[%[1]d] = w%[1]d\n", i)
		c.p("w%[1]d := b[%[1]d]", i)
		n := f.Bits
		switch f.Type {
		case delta.Bool:
			c.p("w%d ^= uint32(v>>k&1)", i)
			c.p("k++")
		case delta.Enum:
			c.p("if v>>k&1 == 0 { k++ } else {")
			c.p("w%d = uint32(v>>(k+1)) & %d", i, 1<<n-1)
			c.p("k += %d", n+1)
			c.p("}")
		case delta.Angle:
			c.p("switch v>>k&3 {")
			c.p("case 1:")
			c.p("w%[1]d = (w%[1]d + uint32(v>>(k+2)&%[2]d) - %[3]d) & %[4]d", i, 1<<(n-4)-1, 1<<(n-5), 1<<n-1)
			c.p("k += %d", n-2)
			c.p("case 3:")
			c.p("w%d = uint32(v>>(k+2)) & %d", i, 1<<n-1)
			c.p("k += %d", n+2)
			c.p("default:")
			c.p("k++")
			c.p("}")
		}
	}
	for _, x := range axes {
		c.p("%[1]s := int32(b[%[2]d]) + o%[1]s*dt", x.letter, x.p.Word)
	}
	c.p("off := v>>k&1 != 0")
	c.p("k++")
	c.p("if off {")
	c.p("if %s {", join(axes, " || ", func(x axis) string { return fmt.Sprintf("v%[1]s != o%[1]s", x.letter) }))
	c.p("if v>>k&1 != 0 {")
	for _, x := range axes {
		c.p("%[1]s += v%[1]s - o%[1]s", x.letter)
	}
	c.p("}")
	c.p("k++")
	c.p("}")
	for _, x := range axes {
		c.p("d%[1]s, k%[1]s := nearby(v >> k)", x.letter)
		c.p("%[1]s += d%[1]s", x.letter)
		c.p("k += k%s", x.letter)
	}
	c.p("}")
	c.p("if k <= left {")
	c.p("r.Get(k)")
	c.p("%s = %s", join(axes, ", ", func(x axis) string { return fmt.Sprintf("b[%d]", x.p.Word) }), join(axes, ", ", func(x axis) string { return "uint32(" + x.letter + ")" }))
	c.p("%s = %s", join(axes, ", ", func(x axis) string { return fmt.Sprintf("b[%d]", x.v.Word) }), join(axes, ", ", func(x axis) string { return "uint32(v" + x.letter + ")" }))
	c.WriteString(store)
	c.checkRanges(axes)
	c.p("return")
	c.p("}")
	c.p("}")
}
