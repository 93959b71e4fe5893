package delta

import (
	"fmt"
	"slices"
)

// Params is what a codec must know of a zone.
type Params struct {
	PositionBits uint8 // bits of a full position per axis of the ground plane, 1-31

	// The corner that full positions on the ground plane count from, in quanta: they travel as x − OriginX and z − OriginZ. A component whose positions have a range of their
	// own does without, and so does everything that is sent later: deltas are against the position before.
	OriginX, OriginZ int32
}

// BitsFor returns the PositionBits for a zone whose positions are 0 … size-1 quanta.
func BitsFor(size int32) uint8 {
	n := uint8(1)
	for size-1 >= 1<<n && n < 31 {
		n++
	}
	return n
}

// Group codes the fields of one component that one audience gets, places and velocities left aside. The interpretive groups and the generated ones give the
// same bits. A Group has no state: any goroutine may use it.
//
//	full  = every field's full form
//	delta = per field `0` as before | `1` new form; a group of one field, which is only coded if it changed, goes without the bit
type Group interface {
	Full(w *Writer, b View)
	ReadFull(r *Reader, b View)
	Equal(a, b View) bool
	Delta(w *Writer, a, b View)  // called only if they are not equal
	ReadDelta(r *Reader, b View) // b holds the old values and gets the new ones
	Copy(dst, src View)          // the group's fields only
}

// MotionGroup codes the fields that everyone gets of a component with a place. They share a base tick and are reckoned.
//
//	full  = axes of the position · velocity per axis, against 0 · the other fields' full form         x, z: PositionBits against the origin unless they have a range
//	delta = velocity · per other field `0` as before | `1` new form · position
//	  velocity = `0` as before | `1` velocity per axis
//	  position = `0` as predicted | `1` [hypothesis 1, only if the velocity changed] · residual per axis
//	polar:
//	  full  = axes · heading · speed in full · [velocity y, against 0] · the other fields
//	  delta = heading (`0` | `1` angle) · speed · [y: `0` | `1` velocity] · other fields · position
//	  speed = `0` [`0` as before | `1` + 11] | `1` velocity x · velocity z                           the second when no heading and speed give this velocity
//	  speed in full = `0` + 11 | `1` velocity x · velocity z, against 0
//
// Velocity stands before position because a residual may be taken against "the old course until the tick before, then one tick of the new
// velocity" (hypothesis 1): that is what games that turn before they move need.
type MotionGroup interface {
	Full(w *Writer, p Params, b View)
	ReadFull(r *Reader, p Params, b View)
	Delta(w *Writer, a, b View, dt int32) // dt: ticks from a's base to b's
	ReadDelta(r *Reader, b View, dt int32)
	Holds(a, b View, dt int32) bool // b is what a predicts for dt ticks later
	Reckon(b View, dt int32)        // moves b's position on along its velocity
	Moving(b View) bool
	Copy(dst, src View)
}

// Seen is an entity as a client's replica has it.
type Seen interface {
	// View is a component of the entity, laid out as Layout says; ok is false if it has none such.
	View(component uint16) (v View, ok bool)
	Layout() *Layout
}

// Groups yields the generated codecs of a layout: nil for what it has none for, which the interpretive codec then does.
type Groups interface {
	Motion(component uint16) MotionGroup
	Group(component uint16, a Audience) Group
}

// Codec codes the entities of one layout. Any goroutine may use it.
type Codec struct {
	Layout *Layout
	kinds  map[uint16]*KindCodec
}

// NewCodec makes the codec of a finished layout. With groups nil everything is interpreted.
func NewCodec(l *Layout, groups Groups) (*Codec, error) {
	c := &Codec{Layout: l, kinds: make(map[uint16]*KindCodec, len(l.Kinds))}
	made := map[uint16]*component{}
	for i := range l.Components {
		made[l.Components[i].ID] = newComponent(&l.Components[i], groups)
	}
	for i := range l.Kinds {
		k := &KindCodec{Kind: &l.Kinds[i]}
		for _, id := range k.Kind.Components {
			m := made[id]
			if m == nil {
				return nil, fmt.Errorf("layout %q: kind %q has component %d, which is not there: call Finish first", l.Name, k.Kind.Name, id)
			}
			k.add(m, slices.Contains(k.Kind.Optional, id))
		}
		k.placePresence()
		c.kinds[k.Kind.ID] = k
	}
	return c, nil
}

// Kind finds a kind's codec; nil: there is none.
func (c *Codec) Kind(id uint16) *KindCodec { return c.kinds[id] }

// component is a component's share of a codec.
type component struct {
	def    *Component
	motion MotionGroup
	groups [Audiences]Group  // of AOI without the motion; nil: no fields
	whole  [Audiences]*group // with the motion, each field on its own; nil: no fields
	zero   Record            // default values
}

func newComponent(def *Component, groups Groups) *component {
	c := &component{def: def, zero: Record{W: make([]uint32, def.Words), V: make([]Var, def.Vars)}}
	initFields(def.Fields, View{c.zero.W, c.zero.V})
	if def.Motion != nil {
		if groups != nil {
			c.motion = groups.Motion(def.ID)
		}
		if c.motion == nil {
			c.motion = newMotion(def)
		}
	}
	for a := range Audiences {
		if !has(def.Fields, a) {
			continue
		}
		c.whole[a] = newGroup(def, a)
		if a == AOI && def.Motion != nil {
			continue
		}
		if groups != nil {
			c.groups[a] = groups.Group(def.ID, a)
		}
		if c.groups[a] == nil {
			c.groups[a] = c.whole[a]
		}
	}
	return c
}
