package game

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Cell is one component of a living entity, in words and variable parts: what generated component types are made of. Game code uses those. A Cell is valid
// within the call in which it was asked for.
type Cell struct {
	owner Entity
	at    int32 // of the component among the kind's
	word  int32 // where it begins in the record
}

// Has tells whether the entity has a component.
func (e Entity) Has(component uint16) bool {
	s := e.get()
	i := s.kind.codec.Index(component)
	return i >= 0 && s.kind.codec.Present(&s.state, i)
}

// Add gives the entity a component that its kind names as optional, with default values, and tells whether it lacked it. Observers get the component as a whole, with what this tick
// makes of it.
func (e Entity) Add(component uint16) bool { return e.change(component, true) }

// Remove takes from the entity a component that its kind names as optional, and tells whether it had it. Its values are gone: added again, it begins anew.
func (e Entity) Remove(component uint16) bool { return e.change(component, false) }

func (e Entity) change(component uint16, present bool) bool {
	s := e.get()
	e.z.own()
	i := s.kind.codec.Index(component)
	if i < 0 || !s.kind.codec.Optional(i) {
		panic(fmt.Sprintf("game: component %d is not optional for kind %q, so entity %d can neither gain nor lose it: name it in optional of the kind in the schema",
			component, s.kind.codec.Kind.Name, e.id))
	}
	dirty := s.kind.codec.SetPresent(&s.state, i, present)
	s.dirty |= dirty
	return dirty != 0
}

// Cell returns a component of the entity; it panics if the entity has none such.
func (e Entity) Cell(component uint16) Cell {
	s := e.get()
	for i := range s.kind.cells {
		if c := &s.kind.cells[i]; c.id == component {
			if !s.kind.codec.Present(&s.state, i) {
				panic(fmt.Sprintf("game: entity %d of kind %q lacks component %d, which is optional: ask Has first, or Add it", e.id, s.kind.codec.Kind.Name, component))
			}
			return Cell{e, int32(i), c.word}
		}
	}
	panic(fmt.Sprintf("game: entity %d of kind %q has no component %d: ask Has first, or add it to the kind in the schema", e.id, s.kind.codec.Kind.Name, component))
}

// W returns word i of the component.
func (c Cell) W(i int) uint32 { return c.owner.get().state.W[int(c.word)+i] }

// W64 returns words i and i+1 as one number, the low one first.
func (c Cell) W64(i int) uint64 {
	w := c.owner.get().state.W[int(c.word)+i:]
	return uint64(w[0]) | uint64(w[1])<<32
}

// Set changes word i, which is a field that a gets; setting what is there marks nothing.
func (c Cell) Set(i int, a delta.Audience, v uint32) {
	e := c.owner.get()
	if p := &e.state.W[int(c.word)+i]; *p != v {
		c.owner.z.open()
		*p = v
		e.dirty |= delta.DirtyBit(int(c.at), a)
	}
}

// Set64 changes words i and i+1.
func (c Cell) Set64(i int, a delta.Audience, v uint64) {
	c.Set(i, a, uint32(v))
	c.Set(i+1, a, uint32(v>>32))
}

// View returns the component to read.
func (c Cell) View() delta.View {
	e := c.owner.get()
	v, ok := e.kind.codec.View(&e.state, e.kind.codec.Kind.Components[c.at])
	if !ok {
		panic(fmt.Sprintf("game: entity %d lost component %d after its Cell was asked for: ask again behind Remove", c.owner.id, e.kind.codec.Kind.Components[c.at]))
	}
	return v
}

// Edit marks what a gets as changed and returns the component to write it. What an edit leaves as it was is not sent; a view that is kept and written in a later tick marks nothing.
func (c Cell) Edit(a delta.Audience) delta.View {
	e := c.owner.get()
	c.owner.z.open()
	e.dirty |= delta.DirtyBit(int(c.at), a)
	return c.View()
}

// CheckPosition tells why the entity cannot be at a place, in quanta, nil: it can.
func (c Cell) CheckPosition(x, y int32) error {
	return c.owner.z.refuses(c.owner.placed().kind, x, y)
}

// SetPosition moves the entity on the ground plane, in quanta: Entity.SetPosition.
func (c Cell) SetPosition(x, y int32) { c.owner.SetPosition(x, y) }
