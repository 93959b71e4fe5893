package delta

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
)

// MaxTable bounds the bytes of a layout table: what route 36 carries.
const MaxTable = 65_000

// Table is the layout as it travels to gateways and clients, without the fields that never leave the server. Equal layouts give equal bytes.
func (l *Layout) Table() []byte {
	m := &mmov1.Layout{Name: l.Name, Fingerprint: l.Fingerprint, TickHz: l.TickHz}
	for i := range l.Components {
		c := &l.Components[i]
		pc := &mmov1.LayoutComponent{Id: uint32(c.ID), Name: c.Name, Fields: tableFields(c.Fields)}
		if v := c.Motion; v != nil {
			pc.Motion = &mmov1.LayoutMotion{X: v.X, Y: v.Y, Z: v.Z, Vx: v.VX, Vy: v.VY, Vz: v.VZ, Heading: v.Heading, Polar: v.Polar}
		}
		m.Components = append(m.Components, pc)
	}
	for i := range l.Kinds {
		k := &l.Kinds[i]
		pk := &mmov1.LayoutKind{Id: uint32(k.ID), Name: k.Name, Sees: k.Sees, Layer: k.Layer}
		for _, id := range k.Components {
			pk.Components = append(pk.Components, uint32(id))
		}
		for _, id := range k.Optional {
			if c := l.Component(id); c != nil && leaves(c.Fields) {
				pk.Optional = append(pk.Optional, uint32(id))
			}
		}
		m.Kinds = append(m.Kinds, pk)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("delta: layout %q: %v: call Finish first", l.Name, err)) // a name that is not UTF-8
	}
	return b
}

// leaves tells whether any of the fields leaves the server. Of an optional component with none such nobody is told.
func leaves(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Audience != Server })
}

func tableFields(fields []Field) (list []*mmov1.LayoutField) {
	for i := range fields {
		f := &fields[i]
		if f.Audience == Server {
			continue
		}
		list = append(list, &mmov1.LayoutField{
			Id: f.ID, Name: f.Name, Type: mmov1.LayoutType(f.Type), Bits: uint32(f.Bits), Min: f.Min, Limit: f.Limit, Quantum: f.Quantum, Origin: f.Origin,
			Optional: f.Optional, Audience: uint32(f.Audience), Interp: uint32(f.Interp), Priority: uint32(f.Priority), Predicted: f.Predicted,
			Max: f.Max, Fields: tableFields(f.Fields),
		})
	}
	return list
}

// ParseTable reads what Table wrote, and refuses what no layout can be.
func ParseTable(b []byte) (*Layout, error) {
	if len(b) > MaxTable {
		return nil, fmt.Errorf("layout table of %d bytes, at most %d", len(b), MaxTable)
	}
	var m mmov1.Layout
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("layout table: %w", err)
	}
	l := &Layout{Name: m.Name, Fingerprint: m.Fingerprint, TickHz: m.TickHz}
	narrow := func(v uint32) uint16 {
		if v > maxKind {
			return 0 // which Finish refuses
		}
		return uint16(v)
	}
	for _, pc := range m.Components {
		if pc.Id > math.MaxUint16 {
			return nil, fmt.Errorf("layout table: component %d %q: ids end at 65535", pc.Id, pc.Name)
		}
		fields, err := parseFields(pc.Fields, 0)
		if err != nil {
			return nil, fmt.Errorf("layout table: component %q: %w", pc.Name, err)
		}
		c := Component{ID: uint16(pc.Id), Name: pc.Name, Fields: fields}
		if v := pc.Motion; v != nil {
			c.Motion = &Motion{X: v.X, Y: v.Y, Z: v.Z, VX: v.Vx, VY: v.Vy, VZ: v.Vz, Heading: v.Heading, Polar: v.Polar}
		}
		l.Components = append(l.Components, c)
	}
	for _, pk := range m.Kinds {
		k := Kind{ID: narrow(pk.Id), Name: pk.Name, Sees: pk.Sees, Layer: pk.Layer}
		for _, id := range pk.Components {
			k.Components = append(k.Components, uint16(min(id, math.MaxUint16)))
		}
		for _, id := range pk.Optional {
			k.Optional = append(k.Optional, uint16(min(id, math.MaxUint16)))
		}
		l.Kinds = append(l.Kinds, k)
	}
	if err := l.Finish(); err != nil {
		return nil, err
	}
	return l, nil
}

func parseFields(list []*mmov1.LayoutField, depth int) (fields []Field, err error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("more than %d levels", MaxDepth)
	}
	for _, p := range list {
		if p.Type < 0 || p.Type > mmov1.LayoutType(Map) || p.Bits > 64 || p.Audience >= uint32(Server) || p.Interp > uint32(Turn) || p.Priority > 2 {
			return nil, fmt.Errorf("field %d %q: type %d, %d bits, audience %d, interpolation %d, priority %d", p.Id, p.Name, p.Type, p.Bits, p.Audience, p.Interp, p.Priority)
		}
		nested, err := parseFields(p.Fields, depth+1)
		if err != nil {
			return nil, fmt.Errorf("field %d %q: %w", p.Id, p.Name, err)
		}
		fields = append(fields, Field{
			ID: p.Id, Name: p.Name, Type: Type(p.Type), Bits: uint8(p.Bits), Min: p.Min, Limit: p.Limit, Quantum: p.Quantum, Origin: p.Origin, Optional: p.Optional,
			Audience: Audience(p.Audience), Interp: Interp(p.Interp), Priority: uint8(p.Priority), Predicted: p.Predicted, Max: p.Max, Fields: nested,
		})
	}
	return fields, nil
}
