package gobind

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// axis is one direction of a place: its position and its velocity.
type axis struct {
	letter string // x, y or z
	p, v   *delta.Field
	form   axisForm
}

// axisForm is how a position travels in full.
type axisForm uint8

const (
	inZone   axisForm = iota // PositionBits against the origin
	anywhere                 // a height without a range
	inRange
)

func axesOf(d *delta.Component) (list []axis) {
	add := func(letter string, p, v uint32) {
		f := d.Field(p)
		if f == nil {
			return
		}
		form := inZone
		switch {
		case isRanged(f):
			form = inRange
		case letter == "y":
			form = anywhere
		}
		list = append(list, axis{letter, f, d.Field(v), form})
	}
	add("x", d.Motion.X, d.Motion.VX)
	add("y", d.Motion.Y, d.Motion.VY)
	add("z", d.Motion.Z, d.Motion.VZ)
	return list
}

// motion writes a component's MotionGroup.
func (c *codecWriter) motion(d *delta.Component) {
	m := d.Motion
	name, axes := lower(camel(d.Name))+"Motion", axesOf(d)
	used := map[uint32]bool{m.X: true, m.Y: true, m.Z: true, m.VX: true, m.VY: true, m.VZ: true}
	var heading *delta.Field
	receiver, polar := "*"+name, ""
	if m.Polar {
		heading = d.Field(m.Heading)
		used[m.Heading] = true
		receiver, polar = "m *"+name, "polar *delta.Polar"
	}
	all := fieldsOf(d, delta.AOI)
	var rest []*delta.Field
	for _, f := range all {
		if !used[f.ID] {
			rest = append(rest, f)
		}
	}
	c.prefix = lower(camel(d.Name))
	c.residuals = true
	words, vars := d.Words, spanOf(all).vars
	open := func(view string, body string) { c.openUsed(view, words, vars, body) }

	c.p("// %s codes what everyone gets of %s, which has a place.", name, d.Name)
	c.p("type %s struct{%s}\n", name, polar)

	body := c.body(func() { c.motionFull(axes, heading, rest) })
	c.p("func (%s) Full(w *delta.Writer, p delta.Params, B delta.View) {", receiver)
	open("b", body)
	c.WriteString(body)
	c.p("}\n")

	body = c.body(func() { c.motionReadFull(axes, heading, rest) })
	c.p("func (%s) ReadFull(r *delta.Reader, p delta.Params, B delta.View) {", receiver)
	open("b", body)
	c.WriteString(body)
	c.p("}\n")

	body = c.body(func() { c.motionDelta(axes, heading, rest) })
	c.p("func (%s) Delta(w *delta.Writer, A, B delta.View, dt int32) {", receiver)
	open("a", body)
	open("b", body)
	c.WriteString(body)
	c.p("}\n")

	body = c.body(func() { c.motionReadDelta(axes, heading, rest) })
	c.p("func (%s) ReadDelta(r *delta.Reader, B delta.View, dt int32) {", receiver)
	open("b", body)
	c.WriteString(body)
	c.p("}\n")

	body = c.body(func() {
		var list []string
		for _, x := range axes {
			list = append(list, fmt.Sprintf("a[%[1]d] == b[%[1]d] && a[%[2]d]+a[%[1]d]*uint32(dt) == b[%[2]d]", x.v.Word, x.p.Word))
		}
		if heading != nil {
			list = append(list, fmt.Sprintf("a[%[1]d] == b[%[1]d]", heading.Word))
		}
		for _, f := range rest {
			list = append(list, equal(f))
		}
		c.p("return %s", strings.Join(list, " &&\n"))
	})
	c.p("func (*%s) Holds(A, B delta.View, dt int32) bool {", name)
	open("a", body)
	open("b", body)
	c.WriteString(body)
	c.p("}\n")

	c.p("func (*%s) Reckon(B delta.View, dt int32) {", name)
	c.open("b", words, 0)
	for _, x := range axes {
		c.p("b[%d] += b[%d] * uint32(dt)", x.p.Word, x.v.Word)
	}
	c.p("}\n")

	c.p("func (*%s) Moving(B delta.View) bool {", name)
	c.open("b", words, 0)
	c.p("return %s != 0", join(axes, "|", func(x axis) string { return fmt.Sprintf("b[%d]", x.v.Word) }))
	c.p("}\n")

	c.p("func (*%s) Copy(dst, src delta.View) {", name)
	c.copySpan(spanOf(all))
	c.p("}\n")
}

func join(axes []axis, by string, each func(x axis) string) string {
	list := make([]string, len(axes))
	for i := range axes {
		list[i] = each(axes[i])
	}
	return strings.Join(list, by)
}

func (c *codecWriter) motionFull(axes []axis, heading *delta.Field, rest []*delta.Field) {
	for _, x := range axes {
		switch x.form {
		case inZone:
			c.p("w.Put(uint64(b[%d]-uint32(p.Origin%s))&(1<<p.PositionBits-1), uint(p.PositionBits))", x.p.Word, strings.ToUpper(x.letter))
		case anywhere:
			c.p("w.Num32(b[%d], 0)", x.p.Word)
		case inRange:
			c.p("w.Put(uint64(%s), %d)", minus(fmt.Sprintf("int64(int32(b[%d]))", x.p.Word), x.p.Min), x.p.Bits)
		}
	}
	if heading != nil {
		x, z := axes[0], axes[len(axes)-1]
		c.p("w.Put(uint64(b[%d]), %d)", heading.Word, heading.Bits)
		c.p("m.polar.PutFull(w, b[%d], int32(b[%d]), int32(b[%d]))", heading.Word, x.v.Word, z.v.Word)
		axes = axes[1 : len(axes)-1]
	}
	for _, x := range axes {
		c.p("w.Velocity(int32(b[%d]), 0)", x.v.Word)
	}
	for _, f := range rest {
		c.full(f)
	}
}

func (c *codecWriter) motionReadFull(axes []axis, heading *delta.Field, rest []*delta.Field) {
	for _, x := range axes {
		switch x.form {
		case inZone:
			c.p("b[%d] = uint32(r.Get(uint(p.PositionBits))) + uint32(p.Origin%s)", x.p.Word, strings.ToUpper(x.letter))
		case anywhere:
			c.p("b[%d] = r.Num32(0)", x.p.Word)
		case inRange:
			c.p("b[%d] = uint32(%s)", x.p.Word, plus(fmt.Sprintf("r.RangedFull(%d, %d)", x.p.Bits, uint64(x.p.Limit-x.p.Min)), x.p.Min))
		}
	}
	if heading != nil {
		x, z := axes[0], axes[len(axes)-1]
		c.p("b[%d] = uint32(r.Get(%d))", heading.Word, heading.Bits)
		c.p("vx, vz := m.polar.ReadFull(r, b[%d])", heading.Word)
		c.p("b[%d], b[%d] = uint32(vx), uint32(vz)", x.v.Word, z.v.Word)
		axes = axes[1 : len(axes)-1]
	}
	for _, x := range axes {
		c.p("b[%d] = uint32(r.Velocity(0))", x.v.Word)
	}
	for _, f := range rest {
		c.readFull(f)
	}
}
