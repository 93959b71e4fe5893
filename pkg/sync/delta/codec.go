package delta

import (
	"fmt"
	"math"
	"slices"
)

// Params is what a codec must know of a zone.
type Params struct {
	PositionBits uint8 // bits of a full position per axis of the ground plane, 1-31
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
//	full  = axes of the position · velocity per axis, against 0 · the other fields' full form         x, z: PositionBits unless they have a range
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
			k.add(m)
		}
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
	groups [Audiences]Group // of AOI without the motion; nil: no fields
}

func newComponent(def *Component, groups Groups) *component {
	c := &component{def: def}
	if def.Motion != nil {
		if groups != nil {
			c.motion = groups.Motion(def.ID)
		}
		if c.motion == nil {
			c.motion = newMotion(def)
		}
	}
	for a := range Audiences {
		if a == AOI && def.Motion != nil || !slices.ContainsFunc(def.Fields, func(f Field) bool { return f.Audience == a }) {
			continue
		}
		if groups != nil {
			c.groups[a] = groups.Group(def.ID, a)
		}
		if c.groups[a] == nil {
			c.groups[a] = newGroup(def, a)
		}
	}
	return c
}

// KindCodec codes the entities of one kind.
type KindCodec struct {
	Kind  *Kind
	Words int // size of a record
	Vars  int

	parts    []part
	motion   *part // also in parts; nil: no place
	placeBit uint64
}

// part is a component's place in a kind's record.
type part struct {
	c            *component
	word, atVar  int
	words, vars_ int
}

func (k *KindCodec) add(c *component) {
	k.parts = append(k.parts, part{c, k.Words, k.Vars, c.def.Words, c.def.Vars})
	k.Words += c.def.Words
	k.Vars += c.def.Vars
	k.motion = nil
	for i := range k.parts {
		if k.parts[i].c.motion != nil {
			k.motion, k.placeBit = &k.parts[i], bit(i, AOI)
		}
	}
}

func (p *part) view(r *Record) View {
	return View{r.W[p.word : p.word+p.words], r.V[p.atVar : p.atVar+p.vars_]}
}

// Place is where a kind's place and velocity lie in its records: word indices. Y, VY and Heading are -1 where there is none.
type Place struct {
	X, Y, Z, VX, VY, VZ, Heading int

	MinX, MaxX, MinZ, MaxZ int32 // the ranges that the schema states, or all numbers
}

// Place returns where the kind's place lies; ok is false if it has none.
func (k *KindCodec) Place() (p Place, ok bool) {
	if k.motion == nil {
		return p, false
	}
	c := k.motion.c.def
	at := func(id uint32) int {
		if f := c.Field(id); f != nil {
			return k.motion.word + f.Word
		}
		return -1
	}
	m := c.Motion
	p = Place{X: at(m.X), Y: at(m.Y), Z: at(m.Z), VX: at(m.VX), VY: at(m.VY), VZ: at(m.VZ), Heading: at(m.Heading)}
	limits := func(f *Field) (least, most int32) {
		if !f.ranged() {
			return math.MinInt32, math.MaxInt32
		}
		return int32(f.Min), int32(f.Limit)
	}
	p.MinX, p.MaxX = limits(c.Field(m.X))
	p.MinZ, p.MaxZ = limits(c.Field(m.Z))
	return p, true
}

// PlaceBit is the dirty bit of the kind's motion; 0 if it has no place.
func (k *KindCodec) PlaceBit() uint64 { return k.placeBit }

// Places tells whether entities of the kind have a place.
func (k *KindCodec) Places() bool { return k.motion != nil }

// At returns where the kind's i-th component begins in a record.
func (k *KindCodec) At(i int) (word, atVar int) { return k.parts[i].word, k.parts[i].atVar }

// Index returns the place of a component among the kind's, or -1.
func (k *KindCodec) Index(component uint16) int { return slices.Index(k.Kind.Components, component) }

// View returns a component's part of a record; ok is false if the kind has no such component.
func (k *KindCodec) View(r *Record, component uint16) (v View, ok bool) {
	i := k.Index(component)
	if i < 0 {
		return v, false
	}
	return k.parts[i].view(r), true
}

// Init makes r a record of this kind with default values: 0, or the end of a range that is nearest to it.
func (k *KindCodec) Init(r *Record) {
	r.Tick = 0
	r.W = append(r.W[:0], make([]uint32, k.Words)...)
	r.V = resize(r.V, k.Vars)
	for i := range r.V {
		r.V[i].B, r.V[i].E = r.V[i].B[:0], r.V[i].E[:0]
	}
	for i := range k.parts {
		initFields(k.parts[i].c.def.Fields, k.parts[i].view(r))
	}
}

// bit is the dirty bit of a component's group; the motion's is that of AOI.
func bit(i int, a Audience) uint64 { return 1 << (4*i + int(a)) }

// DirtyBit is the bit that stands for the fields of the kind's i-th component that an audience gets.
func DirtyBit(i int, a Audience) uint64 { return bit(i, a) }

// Full appends what an audience gets of a record: the motion first, then every group.
func (k *KindCodec) Full(w *Writer, p Params, b *Record, a Audience) {
	if a == AOI && k.motion != nil {
		k.motion.c.motion.Full(w, p, k.motion.view(b))
	}
	for i := range k.parts {
		if g := k.parts[i].c.groups[a]; g != nil {
			g.Full(w, k.parts[i].view(b))
		}
	}
}

// ReadFull reads what Full wrote into b, a record of this kind, and sets the base tick of its motion. r tells whether it could.
func (k *KindCodec) ReadFull(r *Reader, p Params, b *Record, a Audience, tick uint32) {
	if a == AOI {
		b.Tick = tick
		if k.motion != nil {
			k.motion.c.motion.ReadFull(r, p, k.motion.view(b))
		}
	}
	for i := range k.parts {
		if g := k.parts[i].c.groups[a]; g != nil {
			g.ReadFull(r, k.parts[i].view(b))
		}
	}
}

// Delta appends what has changed for an audience from publication a to b. The motion has moved if their base ticks differ.
//
//	delta = [moved 1 · motion] · per other group `0` as before | `1` group                    moved: only for AOI, only if the kind has a place
func (k *KindCodec) Delta(w *Writer, a, b *Record, to Audience) {
	changed := uint64(0)
	for i := range k.parts {
		p := &k.parts[i]
		if p == k.motion && to == AOI {
			if a.Tick != b.Tick {
				changed |= bit(i, to)
			}
		} else if g := p.c.groups[to]; g != nil && !g.Equal(p.view(a), p.view(b)) {
			changed |= bit(i, to)
		}
	}
	k.DeltaOf(w, a, b, to, changed)
}

// DeltaOf is Delta of the groups whose bits are set, which must differ; the others are as before, whatever b holds.
func (k *KindCodec) DeltaOf(w *Writer, a, b *Record, to Audience, changed uint64) {
	if to == AOI && k.motion != nil {
		if changed&k.PlaceBit() == 0 {
			w.Put(0, 1)
		} else {
			w.Put(1, 1)
			k.motion.c.motion.Delta(w, k.motion.view(a), k.motion.view(b), int32(b.Tick-a.Tick))
		}
	}
	for i := range k.parts {
		p := &k.parts[i]
		g := p.c.groups[to]
		if g == nil {
			continue
		}
		if changed&bit(i, to) == 0 {
			w.Put(0, 1)
		} else {
			w.Put(1, 1)
			g.Delta(w, p.view(a), p.view(b))
		}
	}
}

// ReadDelta reads what Delta wrote: b holds the publication before and becomes the new one; tick is the new base tick if the motion moved. If r failed, b is of no use
// until Init, as after a ReadFull that failed.
func (k *KindCodec) ReadDelta(r *Reader, b *Record, to Audience, tick uint32) {
	if to == AOI && k.motion != nil && r.Bit() {
		k.motion.c.motion.ReadDelta(r, k.motion.view(b), int32(tick-b.Tick))
		b.Tick = tick
	}
	for i := range k.parts {
		if g := k.parts[i].c.groups[to]; g != nil && r.Bit() {
			g.ReadDelta(r, k.parts[i].view(b))
		}
	}
}

// Surprise compares the true state s at a tick with publication p for an audience, looking at the groups whose dirty bits are set and, unasked, at a motion that moves. It
// makes p's successor ready to be coded: s.Tick is the successor's base tick. surprised is the dirty bits of the groups that differ; 0: as predicted.
func (k *KindCodec) Surprise(p, s *Record, a Audience, dirty uint64, tick uint32) (surprised uint64) {
	for i := range k.parts {
		t := &k.parts[i]
		if t == k.motion && a == AOI {
			s.Tick = p.Tick
			m, pv := t.c.motion, t.view(p)
			if dirty&bit(i, a) == 0 && !m.Moving(pv) || m.Holds(pv, t.view(s), int32(tick-p.Tick)) {
				continue
			}
			s.Tick = tick
			surprised |= bit(i, a)
		} else if g := t.c.groups[a]; g != nil && dirty&bit(i, a) != 0 && !g.Equal(t.view(p), t.view(s)) {
			surprised |= bit(i, a)
		}
	}
	return surprised
}

// Publish makes p equal to s in the groups that surprised.
func (k *KindCodec) Publish(p, s *Record, a Audience, surprised uint64) {
	for i := range k.parts {
		t := &k.parts[i]
		if surprised&bit(i, a) == 0 {
			continue
		}
		if t == k.motion && a == AOI {
			p.Tick = s.Tick
			t.c.motion.Copy(t.view(p), t.view(s))
		} else {
			t.c.groups[a].Copy(t.view(p), t.view(s))
		}
	}
}

// Reckon moves b's motion on to a tick: the position follows the velocity, everything else stays. The position quantum is the velocity quantum divided by the tick
// rate, so the formula is exact: it does not matter who evaluates it, when, or in how many steps. Ticks and positions wrap.
func (k *KindCodec) Reckon(b *Record, tick uint32) {
	if k.motion != nil {
		k.motion.c.motion.Reckon(k.motion.view(b), int32(tick-b.Tick))
	}
	b.Tick = tick
}

// Worst bounds the bits of a full state for an audience.
func (k *KindCodec) Worst(a Audience) (bits int) {
	for i := range k.parts {
		bits += k.parts[i].c.def.worst[a]
	}
	return bits
}

// Has tells whether an audience gets anything of entities of this kind.
func (k *KindCodec) Has(a Audience) bool {
	return a == AOI || slices.ContainsFunc(k.parts, func(p part) bool { return p.c.groups[a] != nil })
}

// Field finds a field of a component of the kind; nil: there is none.
func (k *KindCodec) Field(component uint16, id uint32) *Field {
	i := k.Index(component)
	if i < 0 {
		return nil
	}
	return k.parts[i].c.def.Field(id)
}
