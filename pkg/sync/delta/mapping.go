package delta

import (
	"errors"
	"fmt"
)

// ErrIncompatible is wrapped by errors about two layouts that do not understand each other.
var ErrIncompatible = errors.New("layouts do not understand each other")

// Mapping turns the state of one layout into that of another one of the same game: fields are found by component and number, what only the first knows is left
// out, what only the second knows keeps its default value.
type Mapping struct {
	components map[uint16]*componentMap
}

type componentMap struct {
	to     *Component
	fields []fieldMap
}

// fieldMap is a field that both know.
type fieldMap struct {
	from, to *Field
	nested   []fieldMap
}

// NewMapping compares two finished layouts. The error, which wraps ErrIncompatible, names what differs and which of them is older.
func NewMapping(from, to *Layout) (*Mapping, error) {
	if from.Name != to.Name {
		return nil, fmt.Errorf("%w: one is of game %q, the other of %q", ErrIncompatible, from.Name, to.Name)
	}
	m := &Mapping{map[uint16]*componentMap{}}
	for i := range to.Components {
		t := &to.Components[i]
		f := from.Component(t.ID)
		if f == nil {
			continue
		}
		c := &componentMap{to: t}
		for j := range t.Fields {
			tf := &t.Fields[j]
			ff := f.Field(tf.ID)
			if ff == nil {
				continue
			}
			fm, err := mapField(ff, tf)
			if err != nil {
				return nil, fmt.Errorf("%w: component %d %q: %v", ErrIncompatible, t.ID, t.Name, err)
			}
			c.fields = append(c.fields, fm)
		}
		m.components[t.ID] = c
	}
	for i := range to.Kinds {
		if f := from.Kind(to.Kinds[i].ID); f != nil && f.Name != to.Kinds[i].Name {
			return nil, fmt.Errorf("%w: kind %d is %q there and %q here", ErrIncompatible, f.ID, f.Name, to.Kinds[i].Name)
		}
	}
	return m, nil
}

func mapField(from, to *Field) (fieldMap, error) {
	m := fieldMap{from: from, to: to}
	if from.Type != to.Type || from.Bits != to.Bits && from.Type != Enum || // an enum may grow
		from.Min != to.Min || from.Limit != to.Limit || from.Quantum != to.Quantum || from.Origin != to.Origin ||
		from.Optional != to.Optional || from.Audience != to.Audience {
		return m, fmt.Errorf("field %d %q has another type, range, quantum or audience", to.ID, to.Name)
	}
	for i := range to.Fields {
		t := &to.Fields[i]
		for j := range from.Fields {
			if f := &from.Fields[j]; f.ID == t.ID {
				n, err := mapField(f, t)
				if err != nil {
					return m, fmt.Errorf("field %d %q: %w", to.ID, to.Name, err)
				}
				m.nested = append(m.nested, n)
			}
		}
	}
	return m, nil
}

// Component maps a view of a component; into is room for the result, which is valid until into is used again. ok is false if the second layout has no such
// component.
func (m *Mapping) Component(id uint16, v View, into *Record) (to View, ok bool) {
	c := m.components[id]
	if c == nil {
		return to, false
	}
	into.W = append(into.W[:0], make([]uint32, c.to.Words)...)
	into.V = resize(into.V, c.to.Vars)
	to = View{into.W, into.V}
	initFields(c.to.Fields, to)
	for i := range c.fields {
		c.fields[i].apply(v, to)
	}
	return to, true
}

func (m *fieldMap) apply(from, to View) {
	if m.to.HasPresence() {
		to.W[m.to.Word] = from.W[m.from.Word]
		if from.W[m.from.Word] == 0 {
			return
		}
	}
	i, j := m.from.value(), m.to.value()
	switch {
	case m.to.wide():
		to.W[j], to.W[j+1] = from.W[i], from.W[i+1]
	case m.to.Type == Message:
		for k := range m.nested {
			m.nested[k].apply(from, to)
		}
	case m.to.Type == String || m.to.Type == Bytes:
		to.V[m.to.Var].B = append(to.V[m.to.Var].B[:0], from.V[m.from.Var].B...)
	case m.to.Type == List || m.to.Type == Map:
		src, dst := from.V[m.from.Var].E, &to.V[m.to.Var]
		dst.E = resize(dst.E, len(src))
		for e := range src {
			m.to.NewElement(&dst.E[e])
			for k := range m.nested {
				m.nested[k].apply(View{src[e].W, src[e].V}, View{dst.E[e].W, dst.E[e].V})
			}
		}
	default:
		to.W[j] = from.W[i]
	}
}
