package schema

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

const maxComponentID = 1<<16 - 1

// components fills the schema's components by id, and their fields by number.
func (b *builder) components(s *schema) {
	taken := map[uint32]protoreflect.Descriptor{}
	id := func(m *protogen.Message) uint32 { return optionOf[*mmo.Component](m.Desc, mmo.E_Component).Id }
	for _, m := range byID(marked(s, "component"), id) {
		d, o := m.Desc, optionOf[*mmo.Component](m.Desc, mmo.E_Component)
		b.claim(taken, d, "component", o.Id, maxComponentID)
		s.places[fmt.Sprintf("component %d", o.Id)] = option(d, "component.id")
		c := delta.Component{ID: uint16(o.Id), Name: string(d.Name())}
		b.reached[d.FullName()] = true
		if len(m.Fields) == 0 {
			b.add(named(d), "component %s has no field, so there is nothing to send: add one, such as bool active = 1;", d.Name())
		}
		count := len(m.Fields)
		for _, f := range m.Fields {
			w := &walk{field: f, types: []protoreflect.FullName{d.FullName()}, persist: o.Persist, count: &count}
			if sync := optionOf[*mmo.Sync](f.Desc, mmo.E_Sync); sync != nil && sync.Persist != nil {
				w.persist = *sync.Persist
			}
			c.Fields = append(c.Fields, b.field(w, f))
		}
		byNumber(c.Fields)
		b.position(s, m, o.Position, &c)
		s.layout.Components = append(s.layout.Components, c)
		s.Components = append(s.Components, &model.Component{Message: m, Persist: o.Persist})
	}
}

// claim refuses an id that is missing, out of range or taken.
func (b *builder) claim(taken map[uint32]protoreflect.Descriptor, d protoreflect.Descriptor, what string, id, most uint32) {
	spot := option(d, what+".id")
	first, used := taken[id]
	switch {
	case id == 0:
		b.add(spot, "%s %s has no id: give it one of 1 to %d that no %s has or had, such as id: %d", what, d.Name(), most, what, freeID(taken, 1))
	case id > most:
		b.add(spot, "%s id %d: need 1 to %d", what, id, most)
	case used:
		b.add(spot, "%s id %d is taken by %s at %s: take another one, such as %d", what, id, first.Name(), b.where(option(first, what+".id")), freeID(taken, 1))
	default:
		taken[id] = d
	}
}

// position fills the fields of place and velocity.
func (b *builder) position(s *schema, m *protogen.Message, p *mmo.Position, c *delta.Component) {
	if p == nil {
		return
	}
	d := m.Desc
	wrong := func(name, format string, args ...any) { b.add(option(d, "component.position"+name), format, args...) }
	ok := true
	used := map[string]string{}
	find := func(role, name string, needed bool) *delta.Field {
		if name == "" {
			if needed {
				ok = false
				wrong("", "position without %s: x, z, vx and vz each name a field of %s", role, d.Name())
			}
			return nil
		}
		if first, twice := used[name]; twice {
			ok = false
			wrong("."+role, "position names field %q twice, as %s and as %s: each has a field of its own", name, first, role)
		}
		used[name] = role
		for i := range c.Fields {
			if c.Fields[i].Name == name {
				return &c.Fields[i]
			}
		}
		ok = false
		wrong("."+role, "position.%s %q is no field of %s: %s", role, name, d.Name(), didYouMean(name, fieldNames(d, false)))
		return nil
	}
	fields := map[string]*delta.Field{
		"x": find("x", p.X, true), "z": find("z", p.Z, true), "vx": find("vx", p.Vx, true), "vz": find("vz", p.Vz, true),
		"y": find("y", p.Y, p.Vy != ""), "vy": find("vy", p.Vy, p.Y != ""), "heading": find("heading", p.Heading, p.Polar),
	}
	for _, role := range []string{"x", "y", "z", "vx", "vy", "vz"} {
		f := fields[role]
		switch {
		case f == nil:
		case f.Type != delta.Steps:
			ok = false
			wrong("."+role, "position.%s %q is not quantised: reckoning counts in whole steps, make it a float or double with quantize", role, f.Name)
		case f.Audience != delta.AOI || f.Optional:
			ok = false
			wrong("."+role, "position.%s %q is optional or not for everyone: who sees an entity sees where it is, drop optional and audience", role, f.Name)
		case len(role) == 2 && f.Bits > 0:
			ok = false
			wrong("."+role, "position.%s %q has a range: a velocity has none, its short forms adapt; drop range and bits and say quantize", role, f.Name)
		}
	}
	if h := fields["heading"]; h != nil {
		switch {
		case h.Type != delta.Angle:
			ok = false
			wrong(".heading", "position.heading %q is no angle: give it bits: 10 and interp: ANGLE", h.Name)
		case h.Audience != delta.AOI || h.Optional:
			ok = false
			wrong(".heading", "position.heading %q is optional or not for everyone: who sees an entity sees where it looks, drop optional and audience", h.Name)
		case p.Polar && (h.Bits < 5 || h.Bits > 12):
			ok = false
			wrong(".heading", "position.heading %q has %d bits: polar needs 5 to 12", h.Name, h.Bits)
		}
	}
	if ok {
		b.quanta(s, m, fields)
	}
	id := func(role string) uint32 {
		if f := fields[role]; f != nil {
			return f.ID
		}
		return 0
	}
	c.Motion = &delta.Motion{X: id("x"), Y: id("y"), Z: id("z"), VX: id("vx"), VY: id("vy"), VZ: id("vz"), Heading: id("heading"), Polar: p.Polar}
}

// quanta refuses steps that make reckoning round: the step of a place is the way of one step of velocity in one tick.
func (b *builder) quanta(s *schema, m *protogen.Message, fields map[string]*delta.Field) {
	place := func(f *delta.Field) place {
		d := m.Desc.Fields().ByNumber(protoreflect.FieldNumber(f.ID))
		if given(d, "sync.quantize") {
			return option(d, "sync.quantize")
		}
		return option(d, "sync")
	}
	x, vx := fields["x"], fields["vx"]
	for _, role := range []string{"y", "z", "vy", "vz"} {
		f, first := fields[role], x
		if len(role) == 2 {
			first = vx
		}
		if f != nil && f.Quantum != first.Quantum {
			b.add(place(f), "quantize %v of %s differs from the %v of %s: all axes share one step, write quantize: %[3]v",
				f.Quantum, f.Name, first.Quantum, first.Name)
			return
		}
	}
	if x.Quantum < minPlaceQuantum {
		b.add(place(x), "quantize %v of %s: a place counts in steps of at least %v, or no zone would be larger than a table; choose other units", x.Quantum, x.Name, minPlaceQuantum)
		return
	}
	if want := x.Quantum * float64(s.tick); math.Abs(want-vx.Quantum) > 1e-9*vx.Quantum {
		b.add(place(x), "quantize %v of %s does not fit the velocity's %v at %d ticks per second: a step of place is a step of velocity ÷ %[4]d, else it rounds, drifts and is sent again and again; "+
			"write quantize: %[5]v here, or %[6]v for the velocity", x.Quantum, x.Name, vx.Quantum, s.tick, vx.Quantum/float64(s.tick), near(want*1e9)/1e9)
		return
	}
	if s.quantum != 0 && s.quantum != x.Quantum {
		b.add(place(x), "quantize %v of %s differs from the %v of component %s: all places of a schema share one step, write quantize: %[3]v",
			x.Quantum, x.Name, s.quantum, s.quantumOf)
		return
	}
	if s.quantum == 0 {
		s.quantum, s.quantumOf = x.Quantum, string(m.Desc.Name())
	}
}
