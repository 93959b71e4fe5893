// Package tables is game data: the monsters, items, drops and levels that designers keep in YAML or CSV files, a file per table, and that servers load. A schema's messages
// with option (mmo.table) say what the rows are; generated bindings give them their types. docs/tables.md explains both sides.
//
// Load gives a whole valid Set or every mistake in the files, each with its place and a way out. A Set never changes: any goroutine may read it, and rows that it hands out
// are its own, to be read only. It has one canonical form of bytes, whichever files it came from, so that a recording can hold the numbers that it was played with.
//
// All functions are plain ones of their arguments: nothing runs on after they return, and there is nothing to stop.
package tables

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// Config bounds what is read. The zero value is the defaults.
type Config struct {
	MaxFile     int // bytes of a file; default 4 MiB
	MaxRows     int // of a table; default 100,000
	MaxRow      int // bytes of a row in its canonical form; default 64 KiB
	MaxElements int // of a list or map; default 1,024
	MaxBytes    int // of a set in its canonical form; default 32 MiB, at most 64 MiB, which is what an input of a zone may carry
	MaxMistakes int // after which loading gives up; default 100
}

// most is the largest bound that may be configured: lengths are counted in 31 bits on every machine.
const most = 1 << 30

// validate fills in the defaults.
func (c *Config) validate() error {
	for _, b := range []struct {
		name           string
		value          *int
		fallback, most int
	}{
		{"MaxFile", &c.MaxFile, 4 << 20, most}, {"MaxRows", &c.MaxRows, 100_000, most}, {"MaxRow", &c.MaxRow, 64 << 10, most}, {"MaxElements", &c.MaxElements, 1024, most},
		{"MaxBytes", &c.MaxBytes, 32 << 20, 64 << 20}, {"MaxMistakes", &c.MaxMistakes, 100, most},
	} {
		if *b.value == 0 {
			*b.value = b.fallback
		}
		if *b.value < 0 || *b.value > b.most {
			return fmt.Errorf("tables: Config.%s is %d: it is a bound, use 1 to %d, or 0 for %d", b.name, *b.value, b.most, b.fallback)
		}
	}
	return nil
}

// Schema says which tables there are and what their rows may hold. It is made once, by the bindings, and says the same ever after; any number of goroutines may use it.
type Schema struct {
	config Config
	typed  func(*Set) any
	tables []*table // by name

	// latest is the set that was made last: when data is reloaded, every zone parses the bytes that one Load has just made, in the middle of its tick.
	latest atomic.Pointer[Set]
}

// table is one table of a schema.
type table struct {
	name string
	row  protoreflect.MessageType
	key  *column
	top  *record
}

// maxDepth bounds how deep messages lie inside a row.
const maxDepth = 8

// NewSchema makes a schema of messages that carry option (mmo.table). typed, if set, makes what Set.Typed gives, once for every set; it must keep nothing else of the set.
//
// It fails on a bad Config, and on options that contradict each other, which the generator refuses too.
func NewSchema(c Config, typed func(*Set) any, rows ...proto.Message) (*Schema, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Schema{config: c, typed: typed}
	for _, m := range rows {
		d := m.ProtoReflect().Descriptor()
		o, _ := proto.GetExtension(d.Options(), mmo.E_Table).(*mmo.Table)
		if o.GetName() == "" || o.GetKey() == "" {
			return nil, fmt.Errorf("tables: message %s is no table: give it option (mmo.table) = {name: …, key: …}", d.FullName())
		}
		s.tables = append(s.tables, &table{name: o.Name, row: m.ProtoReflect().Type()})
	}
	slices.SortFunc(s.tables, func(a, b *table) int { return strings.Compare(a.name, b.name) })
	for i, t := range s.tables {
		if i > 0 && s.tables[i-1].name == t.name {
			return nil, fmt.Errorf("tables: there are two tables %q, %s and %s: give each a name of its own", t.name, s.tables[i-1].row.Descriptor().FullName(), t.row.Descriptor().FullName())
		}
	}
	var errs []error
	for _, t := range s.tables {
		d := t.row.Descriptor()
		top, err := s.record(d, nil)
		if err != nil {
			errs = append(errs, fmt.Errorf("tables: %w", err))
			continue
		}
		o := proto.GetExtension(d.Options(), mmo.E_Table).(*mmo.Table)
		t.top, t.key = top, top.column(o.Key)
		if t.key == nil || !goodKey(t.key) {
			errs = append(errs, fmt.Errorf("tables: key %q of %s: name a field that is a single whole number, enum or string, neither optional nor with a default", o.Key, d.FullName()))
		}
	}
	if len(errs) == 0 {
		for _, t := range s.tables {
			errs = append(errs, s.link(t.top))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// goodKey tells whether a column can tell rows apart.
func goodKey(c *column) bool {
	k := kindOf(c.value)
	return c.form == single && !c.field.HasPresence() && c.defaultText == nil && (k == whole || k == natural || k == choice || k == words)
}

// Names are the names of the tables, in order.
func (s *Schema) Names() []string {
	names := make([]string, len(s.tables))
	for i, t := range s.tables {
		names[i] = t.name
	}
	return names
}

// Equal tells whether two schemas have the same tables with the same messages, so that sets of one serve where sets of the other do. Their bounds may differ. nil equals nil.
func (s *Schema) Equal(other *Schema) bool {
	if s == nil || other == nil || s == other {
		return s == other
	}
	return slices.EqualFunc(s.tables, other.tables, func(a, b *table) bool { return a.name == b.name && a.row == b.row })
}

// index is the place of a table in the schema; -1: there is none.
func (s *Schema) index(name string) int {
	return slices.IndexFunc(s.tables, func(t *table) bool { return t.name == name })
}

// record is a message as rows hold it, in one place of one table: two fields of the same message type have two.
type record struct {
	desc    protoreflect.MessageDescriptor
	columns []*column // in the order of their numbers
}

func (r *record) column(name string) *column {
	for _, c := range r.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (r *record) names() []string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.name
	}
	return names
}

// form is how many values a column holds.
type form uint8

const (
	single form = iota
	list
	dictionary
)

// column is a field of a record.
type column struct {
	name  string
	in    *record
	field protoreflect.FieldDescriptor
	value protoreflect.FieldDescriptor // of a map its values, else the field itself
	form  form
	inner *record // of messages

	min, max    *float64
	table       string // that the value is a key of; "": none
	target      int    // its index in the schema
	defaultText *string
	fallback    protoreflect.Value // that defaultText stands for
	prefix      string             // of the names of an enum, which files may leave out
	required    bool               // by its option
}

// needed tells whether a row without the column is a mistake.
func (c *column) needed() bool {
	return c.required || c.form == single && c.inner == nil && !c.field.HasPresence() && c.defaultText == nil
}

// kind is what values are to a person.
type kind uint8

const (
	whole kind = iota
	natural
	real
	truth
	words
	choice
	parts // a message
	other
)

func kindOf(f protoreflect.FieldDescriptor) kind {
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return whole
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return natural
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return real
	case protoreflect.BoolKind:
		return truth
	case protoreflect.StringKind:
		return words
	case protoreflect.EnumKind:
		return choice
	case protoreflect.MessageKind:
		return parts
	}
	return other
}

// wide is the number of bits of a number.
func wide(f protoreflect.FieldDescriptor) int {
	switch f.Kind() {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind, protoreflect.DoubleKind:
		return 64
	}
	return 32
}

// record lists the columns of a message; around are the messages that it lies in.
func (s *Schema) record(d protoreflect.MessageDescriptor, around []protoreflect.FullName) (*record, error) {
	if slices.Contains(around, d.FullName()) {
		return nil, fmt.Errorf("message %s holds itself: rows have an end, keep keys in place of the inner ones", d.FullName())
	}
	if len(around) >= maxDepth {
		return nil, fmt.Errorf("message %s lies more than %d deep in a row: flatten it", d.FullName(), maxDepth)
	}
	r := &record{desc: d}
	around = append(slices.Clip(around), d.FullName())
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		c := &column{name: string(f.Name()), in: r, field: f, value: f, target: -1}
		switch {
		case f.IsMap():
			c.form, c.value = dictionary, f.MapValue()
		case f.IsList():
			c.form = list
		}
		if kindOf(c.value) == other {
			return nil, fmt.Errorf("field %s is %s, which no file can hold: make it a string", f.FullName(), c.value.Kind())
		}
		if o, _ := proto.GetExtension(f.Options(), mmo.E_Column).(*mmo.Column); o != nil {
			c.min, c.max, c.table, c.defaultText, c.required = o.Min, o.Max, o.Table, o.Default, o.Required
		}
		if kindOf(c.value) == choice {
			c.prefix = prefixOf(c.value.Enum())
		}
		if kindOf(c.value) == parts {
			inner, err := s.record(c.value.Message(), around)
			if err != nil {
				return nil, err
			}
			c.inner = inner
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.FullName(), err)
		}
		r.columns = append(r.columns, c)
	}
	slices.SortFunc(r.columns, func(a, b *column) int { return int(a.field.Number()) - int(b.field.Number()) })
	return r, nil
}

// check refuses options that do not fit the field.
func (c *column) check() error {
	k := kindOf(c.value)
	if (c.min != nil || c.max != nil) && k > real {
		return errors.New("min and max bound numbers: drop them")
	}
	if c.min != nil && c.max != nil && !(*c.min <= *c.max) {
		return fmt.Errorf("min %v is above max %v", *c.min, *c.max)
	}
	if c.table != "" && (k == real || k == truth || k == parts) {
		return errors.New("table on a field that is no key: make it a whole number, an enum or a string")
	}
	if c.required && (c.defaultText != nil || c.form == single && k != parts && c.field.HasPresence()) {
		return errors.New("required contradicts default, optional and oneof: drop one of them")
	}
	if c.defaultText == nil {
		return nil
	}
	if c.form != single || k == parts || c.field.HasPresence() {
		return errors.New("default is for single values that are neither optional nor part of a oneof: drop it")
	}
	var bad *problem
	if c.fallback, bad = c.read(node{text: *c.defaultText}); bad != nil {
		return fmt.Errorf("default %q: %w", *c.defaultText, bad)
	}
	return nil
}

// link finds the tables that columns point to.
func (s *Schema) link(r *record) error {
	for _, c := range r.columns {
		if c.inner != nil {
			if err := s.link(c.inner); err != nil {
				return err
			}
		}
		if c.table == "" {
			continue
		}
		if c.target = s.index(c.table); c.target < 0 {
			return fmt.Errorf("tables: field %s: there is no table %q%s", c.field.FullName(), c.table, among(s.Names()))
		}
		if key := s.tables[c.target].key; !sameKeys(key.value, c.value) {
			return fmt.Errorf("tables: field %s is %s, and the keys of table %s are %s: make them alike", c.field.FullName(), typeName(c.value), c.table, typeName(key.value))
		}
	}
	return nil
}

// sameKeys tells whether the values of two fields have one Go type.
func sameKeys(a, b protoreflect.FieldDescriptor) bool {
	if kindOf(a) != kindOf(b) || wide(a) != wide(b) {
		return false
	}
	return kindOf(a) != choice || a.Enum().FullName() == b.Enum().FullName()
}

func typeName(f protoreflect.FieldDescriptor) string {
	if kindOf(f) == choice {
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

func among(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", there are " + strings.Join(names, ", ")
}
