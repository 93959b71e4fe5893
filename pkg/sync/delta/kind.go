package delta

import (
	"math"
	"slices"
)

// KindCodec codes the entities of one kind.
type KindCodec struct {
	Kind  *Kind
	Words int // size of a record
	Vars  int

	parts    []part
	motion   *part // also in parts; nil: no place
	placeBit uint64
	presence int // word of the record where the presence bits begin, if a component is optional
}

// part is a component's place in a kind's record.
type part struct {
	c            *component
	word, atVar  int
	words, vars_ int
	carried      uint64 // presence bits of an optional component: one for each audience that gets fields of it; 0: it is always there
	seen         uint64 // those of them that tell whether a client has the component
}

func (k *KindCodec) add(c *component, optional bool) {
	p := part{c: c, word: k.Words, atVar: k.Vars, words: c.def.Words, vars_: c.def.Vars}
	if optional {
		p.carried, p.seen = presenceOf(c, len(k.parts))
	}
	k.parts = append(k.parts, p)
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

// View returns a component's part of a record; ok is false if the kind has no such component, or the entity lacks it.
func (k *KindCodec) View(r *Record, component uint16) (v View, ok bool) {
	i := k.Index(component)
	if i < 0 || !k.Present(r, i) {
		return v, false
	}
	return k.parts[i].view(r), true
}

// Init makes r a record of this kind with default values: 0, or the end of a range that is nearest to it. Optional components are absent.
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
		if k.parts[i].carried&bit(i, a) != 0 {
			bits++ // its presence
		}
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
