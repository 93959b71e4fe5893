package tables

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Set is the rows of all tables of a schema, valid as a whole: keys are unique, numbers within their bounds, and references lead somewhere. It never changes.
type Set struct {
	schema *Schema
	rows   [][]proto.Message // by table, in the order of keys
	bytes  []byte            // the canonical form
	sum    uint64
	typed  any
}

// Schema is the schema that the set was made for.
func (s *Set) Schema() *Schema { return s.schema }

// Typed is what the schema's typed function made of the set: the Tables of generated bindings. It allocates nothing.
func (s *Set) Typed() any { return s.typed }

// Fingerprint tells sets apart: two of one schema have the same exactly if they hold the same rows, whatever files those stood in (but for chance, 1 in 2^64).
func (s *Set) Fingerprint() uint64 { return s.sum }

// Size is the number of bytes that Append appends.
func (s *Set) Size() int { return len(s.bytes) }

// Append appends the canonical form, which Parse reads. Sets with the same rows have the same bytes.
func (s *Set) Append(b []byte) []byte { return append(b, s.bytes...) }

// Len is the number of rows of a table; 0 for one that the schema does not have.
func (s *Set) Len(name string) int {
	if i := s.schema.index(name); i >= 0 {
		return len(s.rows[i])
	}
	return 0
}

// Empty is the set without any rows, for games that come up before their data, and for tests.
func (s *Schema) Empty() *Set {
	set, err := s.build(make([][]proto.Message, len(s.tables)))
	if err != nil {
		panic(fmt.Sprintf("tables: a set without rows: %v", err)) // it is valid under every Config
	}
	return set
}

// build makes a set of rows that are valid and have unique keys. It fails if they are too many bytes.
func (s *Schema) build(rows [][]proto.Message) (*Set, error) {
	for i, t := range s.tables {
		slices.SortFunc(rows[i], func(a, b proto.Message) int { return t.compare(t.keyOf(a), t.keyOf(b)) })
	}
	b, err := s.append(rows)
	if err != nil {
		return nil, err
	}
	return s.finish(rows, b), nil
}

// finish makes a set of sorted rows and their canonical form.
func (s *Schema) finish(rows [][]proto.Message, b []byte) *Set {
	sum := sha256.Sum256(b)
	set := &Set{schema: s, rows: rows, bytes: b, sum: binary.BigEndian.Uint64(sum[:])}
	if s.typed != nil {
		set.typed = s.typed(set)
	}
	s.latest.Store(set)
	return set
}

// key is the value of a key column in a form that can be compared: a text, or a number of 64 bits (sign extended).
type key struct {
	text   string
	number uint64
}

// keyValue is the key that a value of a field is.
func keyValue(f protoreflect.FieldDescriptor, v protoreflect.Value) key {
	switch kindOf(f) {
	case whole:
		return key{number: uint64(v.Int())}
	case natural:
		return key{number: v.Uint()}
	case choice:
		return key{number: uint64(int64(v.Enum()))}
	}
	return key{text: v.String()}
}

// keyText is a key as a file has it.
func keyText(f protoreflect.FieldDescriptor, k key) string {
	switch kindOf(f) {
	case whole:
		return fmt.Sprint(int64(k.number))
	case natural:
		return fmt.Sprint(k.number)
	case choice:
		if v := f.Enum().Values().ByNumber(protoreflect.EnumNumber(int64(k.number))); v != nil {
			return string(v.Name())
		}
		return fmt.Sprint(int64(k.number))
	}
	return short(k.text)
}

func (t *table) keyOf(m proto.Message) key {
	return keyValue(t.key.value, m.ProtoReflect().Get(t.key.field))
}

// compare orders keys: numbers by value, texts by their bytes.
func (t *table) compare(a, b key) int {
	if kindOf(t.key.value) == natural {
		return cmp.Compare(a.number, b.number)
	}
	return cmp.Or(cmp.Compare(int64(a.number), int64(b.number)), cmp.Compare(a.text, b.text))
}

// Table is the rows of one table with their types; bindings make it by RowsOf. The zero value is empty. K is the type of the key, M that of the message.
type Table[K cmp.Ordered, M any] struct {
	rows []*M
	by   map[K]*M
	key  func(*M) K
}

// RowsOf gives the rows of a table their types. It panics if the set has no such table, or its rows are other messages: the bindings are of another schema then.
func RowsOf[K cmp.Ordered, M any](s *Set, name string, key func(*M) K) Table[K, M] {
	i := s.schema.index(name)
	if i < 0 {
		panic(fmt.Sprintf("tables: there is no table %q%s: generate the bindings again", name, among(s.schema.Names())))
	}
	t := Table[K, M]{rows: make([]*M, len(s.rows[i])), by: make(map[K]*M, len(s.rows[i])), key: key}
	for n, m := range s.rows[i] {
		row, ok := m.(any).(*M)
		if !ok {
			panic(fmt.Sprintf("tables: rows of %q are %T, not %T: generate the bindings again", name, m, row))
		}
		t.rows[n], t.by[key(row)] = row, row
	}
	return t
}

// Of is the row of a key, and whether there is one. The row is shared: read it only. It allocates nothing.
func (t *Table[K, M]) Of(key K) (*M, bool) {
	row, ok := t.by[key]
	return row, ok
}

// Len is the number of rows.
func (t *Table[K, M]) Len() int { return len(t.rows) }

// At is the row at a place from 0 to Len()-1 in the order of keys, to draw one by chance. It panics elsewhere.
func (t *Table[K, M]) At(i int) *M { return t.rows[i] }

// All yields keys and rows in the order of keys: numbers by value, texts by their bytes. It is an iter.Seq2: for id, m := range t.All.
func (t *Table[K, M]) All(yield func(K, *M) bool) {
	for _, row := range t.rows {
		if !yield(t.key(row), row) {
			return
		}
	}
}
