package delta

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// This file says what no layout can be. Layout.Finish asks it; tables come from outside.

func (l *Layout) finishKind(k *Kind) error {
	if len(k.Components) > MaxComponents {
		return fmt.Errorf("%d components, at most %d", len(k.Components), MaxComponents)
	}
	var worst [Audiences]int
	places, words, vars := 0, 0, 0
	for i, id := range k.Components {
		c := l.Component(id)
		if c == nil || slices.Contains(k.Components[:i], id) {
			return fmt.Errorf("component %d is not there, or named twice", id)
		}
		if c.Motion != nil {
			places++
		}
		words, vars = words+c.Words, vars+c.Vars
		for a := range Audiences {
			worst[a] += c.worst[a]
			if has(c.Fields, a) && slices.Contains(k.Optional, id) {
				worst[a]++ // its presence
			}
		}
	}
	if len(k.Optional) > 0 {
		words += presenceWords
	}
	for i, id := range k.Optional {
		c := l.Component(id)
		switch {
		case !slices.Contains(k.Components, id) || slices.Contains(k.Optional[:i], id):
			return fmt.Errorf("optional component %d is none of the kind's, or named twice", id)
		case c.Motion != nil:
			return fmt.Errorf("optional component %d %q has a place, without which nobody sees the entity", id, c.Name)
		case len(c.Fields) == 0:
			return fmt.Errorf("optional component %d %q has no fields, so nobody would be told of it", id, c.Name)
		}
	}
	if words > maxWords || vars > maxVars {
		return fmt.Errorf("%d words and %d strings, lists and maps, at most %d and %d", words, vars, maxWords, maxVars)
	}
	if places > 1 {
		return fmt.Errorf("%d components have a place, at most 1", places)
	}
	for a, n := range worst[:Server] {
		if n > MaxPartBits {
			return fmt.Errorf("the worst full state for audience %d has %d bits, at most %d: lower max of its lists, maps, strings or bytes", a, n, MaxPartBits)
		}
	}
	if !(k.Sees >= 0 && k.Sees < 1<<24) {
		return fmt.Errorf("sees %v", k.Sees)
	}
	return nil
}

func checkFields(fields []Field, depth int, count *int) error {
	for i := range fields {
		f := &fields[i]
		if *count++; *count > maxFields || depth > MaxDepth {
			return fmt.Errorf("more than %d fields or %d levels", maxFields, MaxDepth)
		}
		taken := false
		for j := range i {
			taken = taken || fields[j].ID == f.ID
		}
		if f.ID == 0 || taken {
			return fmt.Errorf("field %d %q: the number is 0 or taken", f.ID, f.Name)
		}
		if err := f.check(depth, count); err != nil {
			return fmt.Errorf("field %d %q: %w", f.ID, f.Name, err)
		}
	}
	return nil
}

func (f *Field) check(depth int, count *int) error {
	span := uint64(f.Limit) - uint64(f.Min)
	inType := true
	switch f.Type {
	case Int32, Steps:
		inType = f.Min >= math.MinInt32 && f.Limit <= math.MaxInt32
	case Uint32:
		inType = f.Min >= 0 && f.Limit <= math.MaxUint32
	case Uint64:
		inType = f.Min >= 0
	}
	switch {
	case !utf8.ValidString(f.Name):
		return fmt.Errorf("a name that is not UTF-8")
	case depth > 0 && f.Audience != AOI:
		return fmt.Errorf("a field inside of another has no audience of its own")
	case f.Audience >= Audiences || f.Interp > Turn || f.Priority > 2:
		return fmt.Errorf("audience %d, interpolation %d, priority %d", f.Audience, f.Interp, f.Priority)
	case f.Type < Bool || f.Type > Map:
		return fmt.Errorf("unknown type %d", f.Type)
	case f.Bits == 0 && (f.Min != 0 || f.Limit != 0):
		return fmt.Errorf("a range from %d to %d without bits", f.Min, f.Limit)
	case f.ranged() && (f.Min >= f.Limit || !inType || f.Bits > maxRangeBits || int(f.Bits) < bits.Len64(span)):
		return fmt.Errorf("%d bits for the range %d to %d", f.Bits, f.Min, f.Limit)
	case f.Type == Enum && (f.Bits < 1 || f.Bits > 31), f.Type == Angle && (f.Bits < 1 || f.Bits > 16):
		return fmt.Errorf("%d bits", f.Bits)
	case f.Type == Steps && !(f.Quantum > 0 && f.Quantum < math.MaxFloat64) || math.IsNaN(f.Origin) || math.IsInf(f.Origin, 0):
		return fmt.Errorf("quantum %v, origin %v", f.Quantum, f.Origin)
	case f.Type >= String && f.Type != Message && (f.Max < 1 || f.Max > MaxElements):
		return fmt.Errorf("max %d, need 1 to %d", f.Max, MaxElements)
	case f.Type == List && len(f.Fields) != 1, f.Type == Map && len(f.Fields) != 2, f.Type == Message && len(f.Fields) == 0, f.Type < Message && len(f.Fields) != 0:
		return fmt.Errorf("%d nested fields", len(f.Fields))
	case f.Optional && f.Type >= Message:
		return fmt.Errorf("messages, lists and maps are not optional: a message always is, an empty list or map is absent")
	case f.Type == Map && (f.Fields[0].Optional || !f.Fields[0].key()):
		return fmt.Errorf("keys of type %d", f.Fields[0].Type)
	}
	if f.Type == List || f.Type == Map {
		for i := range f.Fields {
			if e := &f.Fields[i]; e.Type == List || e.Type == Map || e.Optional {
				return fmt.Errorf("elements are lists, maps or optional")
			}
		}
	}
	return checkFields(f.Fields, depth+1, count)
}

func (c *Component) checkMotion(hz float64) error {
	m := c.Motion
	axis := func(p, v uint32) error {
		x, dx := c.Field(p), c.Field(v)
		switch {
		case x == nil || dx == nil || x.Type != Steps || dx.Type != Steps || x.Audience != AOI || dx.Audience != AOI || x.Optional || dx.Optional:
			return fmt.Errorf("position: fields %d and %d must be quantised numbers that everyone gets", p, v)
		case x.Quantum != c.Field(m.X).Quantum || dx.Quantum != c.Field(m.VX).Quantum:
			return fmt.Errorf("position: the axes' quanta differ")
		case math.Abs(x.Quantum*hz-dx.Quantum) > 1e-9*dx.Quantum:
			return fmt.Errorf("position: quantum %v of %q is not %v, the velocity's %v ÷ %v ticks per second: any other rounds, drifts and is sent again and again",
				x.Quantum, x.Name, dx.Quantum/hz, dx.Quantum, hz)
		case dx.ranged():
			return fmt.Errorf("position: velocity %q has a range: it has none, its short forms adapt", dx.Name)
		}
		return nil
	}
	if err := axis(m.X, m.VX); err != nil {
		return err
	}
	if err := axis(m.Z, m.VZ); err != nil {
		return err
	}
	if m.Y != 0 || m.VY != 0 {
		if err := axis(m.Y, m.VY); err != nil {
			return err
		}
	}
	if m.Heading != 0 || m.Polar {
		if h := c.Field(m.Heading); h == nil || h.Type != Angle || h.Audience != AOI || h.Optional {
			return fmt.Errorf("position: heading %d must be an angle that everyone gets", m.Heading)
		}
		if h := c.Field(m.Heading); m.Polar && (h.Bits < 5 || h.Bits > 12) {
			return fmt.Errorf("position: polar needs a heading of 5 to 12 bits, not %d", h.Bits)
		}
	}
	used := []uint32{m.X, m.Y, m.Z, m.VX, m.VY, m.VZ, m.Heading}
	for i, id := range used {
		if id != 0 && slices.Contains(used[:i], id) {
			return fmt.Errorf("position: field %d is named twice", id)
		}
	}
	return nil
}
