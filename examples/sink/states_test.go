package sink_test

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// chance makes random states and random changes of them from a layout alone, always in the canonical form that setters keep: what is absent is reset, maps are
// sorted, texts are UTF-8.
type chance struct {
	*rand.Rand
	layout *delta.Layout
	params delta.Params
	narrow bool // quantised numbers without a range stay within what a float carries exactly
}

func newChance(l *delta.Layout, seed uint64) *chance {
	return &chance{Rand: rand.New(rand.NewPCG(seed, 7)), layout: l, params: delta.Params{PositionBits: 17}}
}

// fill gives every field of a record of the kind a new value.
func (c *chance) fill(k *delta.KindCodec, r *delta.Record) {
	for n, id := range k.Kind.Components {
		if k.Optional(n) {
			k.SetPresent(r, n, c.IntN(3) > 0)
		}
		v, ok := k.View(r, id)
		if !ok {
			continue
		}
		def := c.layout.Component(id)
		for i := range def.Fields {
			c.set(&def.Fields[i], v, c.place(def, &def.Fields[i]))
		}
	}
}

// comeOrGo gives an entity an optional component, takes it away, or both: then it begins anew.
func (c *chance) comeOrGo(k *delta.KindCodec, r *delta.Record, n int) {
	switch c.IntN(5) {
	case 0:
		k.SetPresent(r, n, !k.Present(r, n))
	case 1:
		k.SetPresent(r, n, false)
		k.SetPresent(r, n, true)
	}
}

// place is where a field that is an axis of the ground plane without a range of its own counts from: it stays within the zone. nil: it is none.
func (c *chance) place(def *delta.Component, f *delta.Field) *int32 {
	switch {
	case def.Motion == nil || f.Bits > 0:
		return nil
	case f.ID == def.Motion.X:
		return &c.params.OriginX
	case f.ID == def.Motion.Z:
		return &c.params.OriginZ
	}
	return nil
}

// within brings a position into the zone.
func (c *chance) within(origin *int32, n uint32) uint32 {
	return (n-uint32(*origin))&(1<<c.params.PositionBits-1) + uint32(*origin)
}

// change alters some fields; one in a few hundred times everything.
func (c *chance) change(k *delta.KindCodec, r *delta.Record, dt int32) {
	if c.IntN(300) == 0 {
		c.fill(k, r)
		return
	}
	share := 1 << c.IntN(6)
	for n, id := range k.Kind.Components {
		if k.Optional(n) {
			c.comeOrGo(k, r, n)
		}
		v, ok := k.View(r, id)
		if !ok {
			continue
		}
		def := c.layout.Component(id)
		if def.Motion != nil {
			c.move(def, v, dt)
		}
		for i := range def.Fields {
			if c.IntN(share) == 0 && (def.Motion == nil || c.IntN(3) == 0) {
				c.alter(&def.Fields[i], v, c.place(def, &def.Fields[i]))
			}
		}
	}
}

// move does what entities do: go on, turn before the last step, be pushed a little, set off on a heading.
func (c *chance) move(def *delta.Component, v delta.View, dt int32) {
	m := def.Motion
	step := func(p, w uint32, ticks int32, nudge int32) {
		if p == 0 {
			return
		}
		f, at := def.Field(p), def.Field(p).Word
		n := int64(int32(v.W[at])) + int64(int32(v.W[def.Field(w).Word]))*int64(ticks) + int64(nudge)
		switch {
		case f.Bits > 0:
			n = min(max(n, f.Min), f.Limit)
		case p != m.Y:
			n = int64(int32(c.within(c.place(def, f), uint32(n))))
		}
		v.W[at] = uint32(int32(n))
	}
	all := func(ticks int32, nudge func() int32) {
		step(m.X, m.VX, ticks, nudge())
		step(m.Y, m.VY, ticks, nudge())
		step(m.Z, m.VZ, ticks, nudge())
	}
	none := func() int32 { return 0 }
	switch c.IntN(6) {
	case 0:
		all(dt, none)
	case 1:
		all(dt-1, none)
		c.turn(def, v)
		all(1, none)
	case 2:
		all(dt, func() int32 { return c.Int32N(1<<c.IntN(14)) - 5 })
	case 3:
		all(dt, none)
		c.turn(def, v)
	}
}

func (c *chance) turn(def *delta.Component, v delta.View) {
	m := def.Motion
	vx, vz := c.Int32N(80)-40, c.Int32N(80)-40
	if h := def.Field(m.Heading); h != nil {
		heading := (v.W[h.Word] + c.Uint32N(1<<c.IntN(int(h.Bits)+1))) & (1<<h.Bits - 1)
		v.W[h.Word] = heading
		if c.IntN(4) > 0 {
			speed := []int32{0, 16, 16, 48, c.Int32N(2048)}[c.IntN(5)]
			if h.Bits >= 5 {
				vx, vz = delta.NewPolar(h.Bits).Velocity(heading, speed)
			}
		}
	}
	v.W[def.Field(m.VX).Word], v.W[def.Field(m.VZ).Word] = uint32(vx), uint32(vz)
	if m.VY != 0 {
		v.W[def.Field(m.VY).Word] = uint32(c.Int32N(9) - 4)
	}
}

// valueAt is the word where the value begins.
func valueAt(f *delta.Field) int {
	if f.HasPresence() {
		return f.Word + 1
	}
	return f.Word
}

func wide(f *delta.Field) bool {
	return f.Type == delta.Int64 || f.Type == delta.Uint64 || f.Type == delta.Float64 || f.Type == delta.Entity
}

func ranged(f *delta.Field) bool {
	return f.Bits > 0 && (f.Type >= delta.Int32 && f.Type <= delta.Uint64 || f.Type == delta.Steps)
}

func get(f *delta.Field, v delta.View) uint64 {
	i := valueAt(f)
	if wide(f) {
		return uint64(v.W[i]) | uint64(v.W[i+1])<<32
	}
	return uint64(v.W[i])
}

func put(f *delta.Field, v delta.View, n uint64) {
	i := valueAt(f)
	v.W[i] = uint32(n)
	if wide(f) {
		v.W[i+1] = uint32(n >> 32)
	}
}

// set gives a field any value.
func (c *chance) set(f *delta.Field, v delta.View, place *int32) {
	if f.HasPresence() {
		if c.IntN(3) == 0 {
			clearField(f, v)
			return
		}
		v.W[f.Word] = 1
	}
	c.setValue(f, v, place)
}

func (c *chance) setValue(f *delta.Field, v delta.View, place *int32) {
	switch {
	case place != nil:
		put(f, v, uint64(c.Uint32N(1<<c.params.PositionBits)+uint32(*place)))
		return
	case ranged(f):
		n := uint64(f.Min) + c.Uint64N(uint64(f.Limit)-uint64(f.Min)+1)
		switch c.IntN(5) {
		case 0:
			n = uint64(f.Min)
		case 1:
			n = uint64(f.Limit)
		}
		put(f, v, n)
		return
	}
	switch f.Type {
	case delta.Bool:
		put(f, v, c.Uint64N(2))
	case delta.Enum, delta.Angle:
		put(f, v, c.Uint64N(1<<f.Bits))
	case delta.Float32:
		put(f, v, uint64(math.Float32bits(float32(c.float()))))
	case delta.Float64:
		put(f, v, math.Float64bits(c.float()))
	case delta.String:
		v.V[f.Var].B = c.text(v.V[f.Var].B[:0], int(f.Max))
	case delta.Bytes:
		b := v.V[f.Var].B[:0]
		for n := c.IntN(min(int(f.Max), 12) + 1); len(b) < n; {
			b = append(b, byte(c.Uint32()))
		}
		v.V[f.Var].B = b
	case delta.Message:
		for i := range f.Fields {
			c.set(&f.Fields[i], v, nil)
		}
	case delta.List, delta.Map:
		e := v.V[f.Var].E[:0]
		for n := c.IntN(min(int(f.Max), 6) + 1); len(e) < n; {
			e = append(e, c.element(f))
		}
		v.V[f.Var].E = tidy(f, e)
	default:
		n := c.Uint64()
		if c.IntN(3) > 0 {
			n >>= c.IntN(64)
		}
		if c.IntN(3) == 0 {
			n = -n
		}
		if c.narrow && f.Type == delta.Steps {
			n = uint64(int64(int32(n)) >> 8)
		}
		put(f, v, n)
	}
}

func (c *chance) float() float64 {
	switch c.IntN(12) {
	case 0:
		return 0
	case 1:
		return math.Copysign(0, -1)
	case 2:
		return math.Inf(1)
	case 3:
		return math.NaN()
	}
	return (c.Float64() - 0.5) * float64(uint64(1)<<c.IntN(60))
}

func (c *chance) text(b []byte, most int) []byte {
	letters := []string{"a", "b", "z", " ", "\"", "ß", "天", "下", "😀", "\x00", "\\"}
	for n := c.IntN(min(most, 10) + 1); n > 0; n-- {
		if s := letters[c.IntN(len(letters))]; len(b)+len(s) <= most {
			b = append(b, s...)
		}
	}
	return b
}

func (c *chance) element(f *delta.Field) (e delta.Record) {
	f.NewElement(&e)
	for i := range f.Fields {
		if x := &f.Fields[i]; x.Type == delta.Message {
			for j := range x.Fields {
				c.set(&x.Fields[j], delta.View{W: e.W, V: e.V}, nil)
			}
		} else {
			c.set(x, delta.View{W: e.W, V: e.V}, nil)
		}
	}
	return e
}

// tidy sorts a map by key and drops keys that are there twice.
func tidy(f *delta.Field, e []delta.Record) []delta.Record {
	if f.Type != delta.Map {
		return e
	}
	k := &f.Fields[0]
	by := func(a, b delta.Record) int {
		x, y := get64(k, a), get64(k, b)
		switch k.Type {
		case delta.String:
			return bytes.Compare(a.V[0].B, b.V[0].B)
		case delta.Int32:
			return cmp.Compare(int32(x), int32(y))
		case delta.Int64:
			return cmp.Compare(int64(x), int64(y))
		}
		return cmp.Compare(x, y)
	}
	slices.SortStableFunc(e, by)
	return slices.CompactFunc(e, func(a, b delta.Record) bool { return by(a, b) == 0 })
}

func get64(f *delta.Field, e delta.Record) uint64 {
	if f.Type == delta.String {
		return 0
	}
	return get(f, delta.View{W: e.W, V: e.V})
}

// clearField makes a field absent, or gives it its default.
func clearField(f *delta.Field, v delta.View) {
	if f.HasPresence() {
		v.W[f.Word] = 0
	}
	switch {
	case ranged(f):
		put(f, v, uint64(min(max(0, f.Min), f.Limit)))
	case f.Type == delta.Message:
		for i := range f.Fields {
			clearField(&f.Fields[i], v)
		}
	case f.Type == delta.String || f.Type == delta.Bytes:
		v.V[f.Var].B = v.V[f.Var].B[:0]
	case f.Type == delta.List || f.Type == delta.Map:
		v.V[f.Var].E = v.V[f.Var].E[:0]
	default:
		put(f, v, 0)
	}
}

// alter changes a field the way games do: a little, or a part of it.
func (c *chance) alter(f *delta.Field, v delta.View, place *int32) {
	if f.HasPresence() && v.W[f.Word] == 0 || c.IntN(4) == 0 {
		c.set(f, v, place)
		return
	}
	near := uint64(c.Int64N(40) - 20)
	switch {
	case place != nil:
		put(f, v, uint64(c.within(place, uint32(get(f, v)+near))))
		return
	case ranged(f):
		n := int64(get(f, v))
		if !wide(f) && f.Type != delta.Uint32 {
			n = int64(int32(n))
		}
		put(f, v, uint64(min(max(n+int64(near), f.Min), f.Limit)))
		return
	}
	switch f.Type {
	case delta.Angle:
		put(f, v, (get(f, v)+near)&(1<<f.Bits-1))
	case delta.Int32, delta.Uint32, delta.Int64, delta.Uint64, delta.Steps:
		put(f, v, get(f, v)+near)
	case delta.Message:
		c.alter(&f.Fields[c.IntN(len(f.Fields))], v, nil)
	case delta.List, delta.Map:
		c.alterElements(f, &v.V[f.Var])
	default:
		c.setValue(f, v, place)
	}
}

func (c *chance) alterElements(f *delta.Field, v *delta.Var) {
	for n := 1 + c.IntN(3); n > 0; n-- {
		switch i := c.IntN(len(v.E) + 1); {
		case i < len(v.E) && c.IntN(2) == 0:
			at := len(f.Fields) - 1 // the element, or the value of an entry
			e := &f.Fields[at]
			b := delta.View{W: v.E[i].W, V: v.E[i].V}
			if e.Type == delta.Message {
				e = &e.Fields[c.IntN(len(e.Fields))]
			}
			c.alter(e, b, nil)
		case i < len(v.E) && c.IntN(2) == 0:
			v.E = slices.Delete(v.E, i, i+1)
		case len(v.E) < int(f.Max):
			v.E = slices.Insert(v.E, i, c.element(f))
		}
	}
	v.E = tidy(f, v.E)
}
