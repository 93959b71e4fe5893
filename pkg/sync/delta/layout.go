package delta

import (
	"fmt"
	"unicode/utf8"
)

// Type is what a field holds.
type Type uint8

// The types of fields. Their numbers are those of mmo.v1.LayoutType.
const (
	Bool    Type = 1 + iota
	Int32        // also ranged
	Uint32       // also ranged
	Int64        // also ranged
	Uint64       // also ranged
	Enum         // of Bits bits
	Float32      // exact
	Float64      // exact
	Steps        // a quantised float: value = Origin + steps · Quantum, also ranged
	Angle        // of Bits bits to the turn
	Entity       // id of an entity
	String       // UTF-8, at most Max bytes
	Bytes        // at most Max
	Message      // Fields, present or not
	List         // of Fields[0], at most Max
	Map          // Fields[0] to Fields[1], at most Max
)

// Audience is who gets a field.
type Audience uint8

// The audiences.
const (
	AOI    Audience = iota // everyone who sees the entity
	Owner                  // the session that controls it
	Party                  // the party of that session
	Server                 // nobody: it never leaves the server
	Audiences
)

// Interp is how a client blends from one value to the next.
type Interp uint8

// The ways to blend.
const (
	Jump   Interp = iota // not at all
	Linear               // on a straight line
	Turn                 // the short way round
)

// Field describes one field. Min, Limit and the words of a record are in steps: whole numbers, which for Steps count quanta.
type Field struct {
	ID        uint32 // number in its message
	Name      string
	Type      Type
	Bits      uint8 // of a ranged number (0: not ranged), Enum or Angle
	Min       int64 // least and greatest value if ranged
	Limit     int64
	Quantum   float64
	Origin    float64
	Optional  bool
	Audience  Audience
	Interp    Interp
	Priority  uint8 // 0 normal, 1 low, 2 high
	Predicted bool
	Persist   bool   // not part of the tables that travel
	Max       uint32 // elements or bytes
	Fields    []Field

	// Word and Var are where the field begins in its component's (or element's) view; the presence of an optional field or a Message is the word before
	// its value. Layout.Finish fills them.
	Word, Var int

	elemWords, elemVars int // size of a list's or map's element
}

// Motion names the fields of place and velocity by number; 0: there is none.
type Motion struct {
	X, Y, Z, VX, VY, VZ, Heading uint32
	Polar                        bool
}

// Component describes a component.
type Component struct {
	ID     uint16
	Name   string
	Fields []Field
	Motion *Motion // nil: it has no place

	Words, Vars int            // size of its view, filled by Layout.Finish
	worst       [Audiences]int // bits of the full state for each
}

// Kind describes an archetype of entities.
type Kind struct {
	ID         uint16
	Name       string
	Components []uint16 // in the order in which they travel
	Optional   []uint16 // those of Components that an entity may lack
	Sees       float64  // radius of an avatar's view; 0: the zone's
	Layer      string
}

// Layout is a game's replicated state as data.
type Layout struct {
	Name        string
	Fingerprint uint64 // see protocol.Fingerprint
	TickHz      uint32
	Components  []Component
	Kinds       []Kind
}

// Limits of a layout.
const (
	MaxComponents = 16      // of one kind
	MaxDepth      = 8       // of nesting
	MaxElements   = 1 << 16 // of a list, map, string or bytes field
	maxFields     = 1 << 12 // of one component, nested ones counted
	MaxPartBits   = 1 << 18 // of the worst full state of one audience: what fits a frame
	maxKind       = 1<<16 - 2
	maxComponents = 1 << 10 // of a layout
	maxKinds      = 1 << 12
	maxTickHz     = 1000
	maxRangeBits  = 53      // of a ranged number: what JavaScript counts exactly
	maxWords      = 1 << 11 // of a kind's record, so that an entity holds at most 8 KiB besides its variable parts
	maxVars       = 1 << 8
)

// Finish checks a layout and fills what is computed. Whoever makes one by hand calls it before use.
func (l *Layout) Finish() error {
	if !utf8.ValidString(l.Name) {
		return fmt.Errorf("layout: a name that is not UTF-8")
	}
	if l.TickHz < 1 || l.TickHz > maxTickHz {
		return fmt.Errorf("layout %q: %d ticks per second, need 1 to %d", l.Name, l.TickHz, maxTickHz)
	}
	if len(l.Components) > maxComponents || len(l.Kinds) > maxKinds {
		return fmt.Errorf("layout %q: %d components and %d kinds, at most %d and %d", l.Name, len(l.Components), len(l.Kinds), maxComponents, maxKinds)
	}
	for i := range l.Components {
		c := &l.Components[i]
		if c.ID == 0 || l.Component(c.ID) != c {
			return fmt.Errorf("layout %q: component %d %q: the id is 0 or taken", l.Name, c.ID, c.Name)
		}
		if err := c.finish(l.TickHz); err != nil {
			return fmt.Errorf("layout %q: component %d %q: %w", l.Name, c.ID, c.Name, err)
		}
		if q, _ := l.Quantum(); c.Motion != nil && c.Field(c.Motion.X).Quantum != q {
			return fmt.Errorf("layout %q: component %d %q: position quantum %v, another component's is %v", l.Name, c.ID, c.Name, c.Field(c.Motion.X).Quantum, q)
		}
	}
	for i := range l.Kinds {
		k := &l.Kinds[i]
		if k.ID == 0 || k.ID > maxKind || l.Kind(k.ID) != k {
			return fmt.Errorf("layout %q: kind %d %q: the id is not within 1 to %d, or taken", l.Name, k.ID, k.Name, maxKind)
		}
		if err := l.finishKind(k); err != nil {
			return fmt.Errorf("layout %q: kind %d %q: %w", l.Name, k.ID, k.Name, err)
		}
	}
	return nil
}

// Component finds a component by id; nil: there is none.
func (l *Layout) Component(id uint16) *Component {
	for i := range l.Components {
		if l.Components[i].ID == id {
			return &l.Components[i]
		}
	}
	return nil
}

// Kind finds a kind by id; nil: there is none.
func (l *Layout) Kind(id uint16) *Kind {
	for i := range l.Kinds {
		if l.Kinds[i].ID == id {
			return &l.Kinds[i]
		}
	}
	return nil
}

// Quantum is the position quantum that all components with a place share, and whether there is one.
func (l *Layout) Quantum() (float64, bool) {
	for i := range l.Components {
		if c := &l.Components[i]; c.Motion != nil && c.Field(c.Motion.X) != nil {
			return c.Field(c.Motion.X).Quantum, true
		}
	}
	return 0, false
}

// Field finds a field by its number; nil: there is none.
func (c *Component) Field(id uint32) *Field {
	for i := range c.Fields {
		if c.Fields[i].ID == id && id != 0 {
			return &c.Fields[i]
		}
	}
	return nil
}

// finish orders the fields' places: by audience, then as declared.
func (c *Component) finish(hz uint32) error {
	c.Words, c.Vars, c.worst = 0, 0, [Audiences]int{}
	if err := checkFields(c.Fields, 0, new(int)); err != nil {
		return err
	}
	for a := range Audiences {
		for i := range c.Fields {
			if f := &c.Fields[i]; f.Audience == a {
				f.place(&c.Words, &c.Vars)
				c.worst[a] += f.worst()
			}
		}
	}
	if c.Motion != nil {
		return c.checkMotion(float64(hz))
	}
	return nil
}

func (f *Field) ranged() bool {
	return f.Bits > 0 && (f.Type >= Int32 && f.Type <= Uint64 || f.Type == Steps)
}

func (f *Field) key() bool {
	return f.Type >= Bool && f.Type <= Uint64 && !f.ranged() || f.Type == String
}

// HasPresence tells whether a word before the value says that it is there.
func (f *Field) HasPresence() bool { return f.Optional || f.Type == Message }

// place gives the field its place behind what has one already. Elements begin a view of their own.
func (f *Field) place(words, vars *int) {
	f.Word, f.Var = *words, *vars
	if f.HasPresence() {
		*words++
	}
	switch f.Type {
	case Int64, Uint64, Float64, Entity:
		*words += 2
	case String, Bytes:
		*vars++
	case Message:
		for i := range f.Fields {
			f.Fields[i].place(words, vars)
		}
	case List, Map:
		*vars++
		f.elemWords, f.elemVars = 0, 0
		for i := range f.Fields {
			f.Fields[i].place(&f.elemWords, &f.elemVars)
		}
	default:
		*words++
	}
}

// size is how many words and variable parts the field takes, itself placed already.
func (f *Field) size() (words, vars int) {
	switch f.Type {
	case Int64, Uint64, Float64, Entity:
		words = 2
	case String, Bytes, List, Map:
		vars = 1
	case Message:
		for i := range f.Fields {
			w, v := f.Fields[i].size()
			words, vars = words+w, vars+v
		}
	default:
		words = 1
	}
	if f.HasPresence() {
		words++
	}
	return words, vars
}

// value is the word where the value begins.
func (f *Field) value() int {
	if f.HasPresence() {
		return f.Word + 1
	}
	return f.Word
}

// worst bounds the bits of the field's full form.
func (f *Field) worst() (n int) {
	if f.HasPresence() {
		n = 1
	}
	switch f.Type {
	case Bool:
		return n + 1
	case Int32, Uint32, Steps:
		if f.ranged() {
			return n + int(f.Bits)
		}
		return n + 35
	case Int64, Uint64:
		if f.ranged() {
			return n + int(f.Bits)
		}
		return n + 68
	case Float32:
		return n + 32
	case Float64:
		return n + 64
	case Enum, Angle:
		return n + int(f.Bits)
	case Entity:
		return n + 67
	case String, Bytes:
		return n + 23 + 8*int(f.Max)
	}
	for i := range f.Fields {
		n = min(n+f.Fields[i].worst(), 1<<40)
	}
	if f.Type == List || f.Type == Map {
		n = min(23+n*int(f.Max), 1<<40)
	}
	return n
}
