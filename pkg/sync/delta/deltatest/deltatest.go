// Package deltatest is a small layout for tests of what carries entities' state: kinds with a place and health, one of them with variable parts besides. Everything
// is interpreted; nothing has to be stopped, and any goroutine may call.
package deltatest

import (
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Ids of the layout. Plain kinds are 1 to Plain, of which the higher ones need the long form of a kind on the wire.
const (
	Transform uint16 = 1 // x, z, vx, vz, yaw
	Vitals    uint16 = 2 // hp
	Bag       uint16 = 3 // title, items

	Plain  uint16 = 20
	Bearer uint16 = 30 // a kind with a Bag
)

// Layout makes the layout: 1/320 m, 1/16 m/s, 20 Hz.
func Layout() *delta.Layout {
	steps := func(id uint32, name string, quantum float64) delta.Field {
		return delta.Field{ID: id, Name: name, Type: delta.Steps, Quantum: quantum}
	}
	l := &delta.Layout{Name: "test", TickHz: 20, Components: []delta.Component{
		{ID: Transform, Name: "Transform", Motion: &delta.Motion{X: 1, Z: 2, VX: 3, VZ: 4, Heading: 5}, Fields: []delta.Field{
			steps(1, "x", 1./320), steps(2, "z", 1./320), steps(3, "vx", 1./16), steps(4, "vz", 1./16), {ID: 5, Name: "yaw", Type: delta.Angle, Bits: 10},
		}},
		{ID: Vitals, Name: "Vitals", Fields: []delta.Field{{ID: 1, Name: "hp", Type: delta.Int32, Bits: 16, Limit: 65535}}},
		{ID: Bag, Name: "Bag", Fields: []delta.Field{
			{ID: 1, Name: "title", Type: delta.String, Max: 200},
			{ID: 2, Name: "items", Type: delta.List, Max: 64, Fields: []delta.Field{{ID: 1, Name: "element", Type: delta.Uint32}}},
		}},
	}}
	for id := range Plain {
		l.Kinds = append(l.Kinds, delta.Kind{ID: id + 1, Name: fmt.Sprintf("Plain%d", id+1), Components: []uint16{Transform, Vitals}})
	}
	l.Kinds = append(l.Kinds, delta.Kind{ID: Bearer, Name: "Bearer", Components: []uint16{Transform, Bag, Vitals}})
	if err := l.Finish(); err != nil {
		panic(fmt.Sprintf("deltatest: %v", err))
	}
	return l
}

// Codec makes the layout's interpretive codec.
func Codec() *delta.Codec {
	c, err := delta.NewCodec(Layout(), nil)
	if err != nil {
		panic(fmt.Sprintf("deltatest: %v", err))
	}
	return c
}

// State is a state of the layout's entities, in steps.
type State struct {
	X, Z   int32
	VX, VZ int32
	Yaw    uint32
	HP     int32
	Title  string // of a Bearer only
	Items  []uint32
}

// Equal compares two states.
func (s State) Equal(o State) bool {
	return s.X == o.X && s.Z == o.Z && s.VX == o.VX && s.VZ == o.VZ && s.Yaw == o.Yaw && s.HP == o.HP && s.Title == o.Title && slices.Equal(s.Items, o.Items)
}

// All is every dirty bit.
const All = ^uint64(0)

// Into writes the state into a record of kind k.
func (s State) Into(k *delta.KindCodec, r *delta.Record) {
	if len(r.W) != k.Words || len(r.V) != k.Vars {
		k.Init(r)
	}
	v, _ := k.View(r, Transform)
	v.W[0], v.W[1], v.W[2], v.W[3], v.W[4] = uint32(s.X), uint32(s.Z), uint32(s.VX), uint32(s.VZ), s.Yaw
	v, _ = k.View(r, Vitals)
	v.W[0] = uint32(s.HP)
	if b, ok := k.View(r, Bag); ok {
		b.V[0].B = append(b.V[0].B[:0], s.Title...)
		f := k.Field(Bag, 2)
		b.V[1].E = b.V[1].E[:0]
		for _, item := range s.Items {
			var e delta.Record
			f.NewElement(&e)
			e.W[0] = item
			b.V[1].E = append(b.V[1].E, e)
		}
	}
}

// Record is Into a new record.
func (s State) Record(k *delta.KindCodec) *delta.Record {
	r := &delta.Record{}
	s.Into(k, r)
	return r
}

// StateOf reads a record of kind k as predicted for a tick.
func StateOf(k *delta.KindCodec, r *delta.Record, tick uint32) (s State) {
	var at delta.Record
	at.Copy(r)
	k.Reckon(&at, tick)
	v, _ := k.View(&at, Transform)
	s.X, s.Z, s.VX, s.VZ, s.Yaw = int32(v.W[0]), int32(v.W[1]), int32(v.W[2]), int32(v.W[3]), v.W[4]
	v, _ = k.View(&at, Vitals)
	s.HP = int32(v.W[0])
	if b, ok := k.View(&at, Bag); ok {
		s.Title = string(b.V[0].B)
		for i := range b.V[1].E {
			s.Items = append(s.Items, b.V[1].E[i].W[0])
		}
	}
	return s
}
