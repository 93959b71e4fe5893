package tables

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The canonical form of a set; uvarints are as short as can be:
//
//	version u8 (1) · tables uvarint · tables × { name length uvarint · name · rows uvarint · rows × { length uvarint · row } }
//
// Tables are in the order of their names, rows in that of their keys. A row is its protobuf message with fields in the order of their numbers, entries of maps in the order of
// their keys with both fields, and zeros of fields without presence left out. protobuf itself promises no such order, hence the encoder below.
const formVersion = 1

// append writes the canonical form of sorted rows.
func (s *Schema) append(rows [][]proto.Message) ([]byte, error) {
	b := protowire.AppendVarint([]byte{formVersion}, uint64(len(s.tables)))
	var row []byte
	for i, t := range s.tables {
		b = protowire.AppendString(b, t.name)
		b = protowire.AppendVarint(b, uint64(len(rows[i])))
		for _, m := range rows[i] {
			row = appendRecord(row[:0], t.top, m.ProtoReflect())
			if len(row) > s.config.MaxRow {
				return nil, fmt.Errorf("row %s of %s takes %d bytes: a row may take %d (Config.MaxRow); split it", keyText(t.key.value, t.keyOf(m)), t.name, len(row), s.config.MaxRow)
			}
			if b = protowire.AppendBytes(b, row); len(b) > s.config.MaxBytes {
				return nil, fmt.Errorf("the tables take more than %d bytes (Config.MaxBytes), which is reached in %s: raise the bound", s.config.MaxBytes, t.name)
			}
		}
	}
	return b, nil
}

func appendRecord(b []byte, r *record, m protoreflect.Message) []byte {
	for _, c := range r.columns {
		if !m.Has(c.field) {
			continue
		}
		n, v := c.field.Number(), m.Get(c.field)
		switch {
		case c.form == dictionary:
			b = appendMap(b, c, v.Map())
		case c.form == list && c.field.IsPacked():
			var packed []byte
			for i := range v.List().Len() {
				packed = appendValue(packed, c.field, v.List().Get(i), nil)
			}
			b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), packed)
		case c.form == list:
			for i := range v.List().Len() {
				b = appendValue(protowire.AppendTag(b, n, wireType(c.field)), c.field, v.List().Get(i), c.inner)
			}
		default:
			b = appendValue(protowire.AppendTag(b, n, wireType(c.field)), c.field, v, c.inner)
		}
	}
	return b
}

func appendMap(b []byte, c *column, m protoreflect.Map) []byte {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	kf := c.field.MapKey()
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return compareMapKeys(kf, a, b) })
	for _, k := range keys {
		entry := appendValue(protowire.AppendTag(nil, 1, wireType(kf)), kf, k.Value(), nil)
		entry = appendValue(protowire.AppendTag(entry, 2, wireType(c.value)), c.value, m.Get(k), c.inner)
		b = protowire.AppendBytes(protowire.AppendTag(b, c.field.Number(), protowire.BytesType), entry)
	}
	return b
}

func compareMapKeys(f protoreflect.FieldDescriptor, a, b protoreflect.MapKey) int {
	less := false
	switch kindOf(f) {
	case whole:
		less = a.Int() < b.Int()
	case natural:
		less = a.Uint() < b.Uint()
	case truth:
		less = !a.Bool() && b.Bool()
	default:
		less = a.String() < b.String()
	}
	switch {
	case a.Interface() == b.Interface():
		return 0
	case less:
		return -1
	}
	return 1
}

func wireType(f protoreflect.FieldDescriptor) protowire.Type {
	switch f.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

// appendValue writes a value without its tag.
func appendValue(b []byte, f protoreflect.FieldDescriptor, v protoreflect.Value, inner *record) []byte {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protowire.AppendVarint(b, protowire.EncodeBool(v.Bool()))
	case protoreflect.EnumKind:
		return protowire.AppendVarint(b, uint64(int64(v.Enum())))
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return protowire.AppendVarint(b, uint64(v.Int()))
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protowire.AppendVarint(b, protowire.EncodeZigZag(v.Int()))
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return protowire.AppendVarint(b, v.Uint())
	case protoreflect.Sfixed32Kind:
		return protowire.AppendFixed32(b, uint32(v.Int()))
	case protoreflect.Fixed32Kind:
		return protowire.AppendFixed32(b, uint32(v.Uint()))
	case protoreflect.FloatKind:
		return protowire.AppendFixed32(b, math.Float32bits(float32(v.Float())))
	case protoreflect.Sfixed64Kind:
		return protowire.AppendFixed64(b, uint64(v.Int()))
	case protoreflect.Fixed64Kind:
		return protowire.AppendFixed64(b, v.Uint())
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(b, math.Float64bits(v.Float()))
	case protoreflect.StringKind:
		return protowire.AppendString(b, v.String())
	}
	return protowire.AppendBytes(b, appendRecord(nil, inner, v.Message()))
}

// errShort is a set that ends early.
var errShort = errors.New("it ends too early, or holds a length that is none: the bytes were cut or changed on the way")

// reader takes apart the canonical form.
type reader struct{ rest []byte }

// count reads a number of things of at least one byte each, and refuses more than there can be.
func (r *reader) count(most int) (int, error) {
	v, n := protowire.ConsumeVarint(r.rest)
	if n < 0 || n != protowire.SizeVarint(v) || v > uint64(len(r.rest)-n) {
		return 0, errShort
	}
	if v > uint64(most) {
		return 0, fmt.Errorf("it holds %d where %d are the most: raise the bound of the schema's Config to what it was written with", v, most)
	}
	r.rest = r.rest[n:]
	return int(v), nil
}

// bytes reads a length and so many bytes, which stay part of the input.
func (r *reader) bytes(most int) ([]byte, error) {
	n, err := r.count(most)
	if err != nil {
		return nil, err
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b, nil
}

// Parse reads what Append wrote, and nothing else: the bytes are the canonical form of a set that is valid under this schema, or it fails. It keeps nothing of b.
// The bytes of the set that the schema was last used for cost no more than a comparison, and give that very set.
func Parse(s *Schema, b []byte) (*Set, error) {
	if s == nil {
		return nil, errors.New("parse tables: the game's schema has none: give a message option (mmo.table)")
	}
	if len(b) > s.config.MaxBytes {
		return nil, fmt.Errorf("parse tables: %d bytes are more than %d: raise Config.MaxBytes to what they were written with", len(b), s.config.MaxBytes)
	}
	if set := s.latest.Load(); set != nil && bytes.Equal(set.bytes, b) {
		return set, nil
	}
	if len(b) == 0 || b[0] != formVersion {
		return nil, fmt.Errorf("parse tables: these are no tables in form %d: load the files again", formVersion)
	}
	r := &reader{b[1:]}
	n, err := r.count(len(b))
	if err != nil {
		return nil, fmt.Errorf("parse tables: %w", err)
	}
	if n != len(s.tables) {
		return nil, fmt.Errorf("parse tables: %d tables where the schema has %d: they were written by a program with another schema", n, len(s.tables))
	}
	j := &judge{schema: s, rows: make([][]proto.Message, len(s.tables)), keys: make([]map[key]bool, len(s.tables))}
	for i, t := range s.tables {
		if err := j.table(r, i); err != nil {
			return nil, fmt.Errorf("parse tables: %s: %w", t.name, err)
		}
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("parse tables: %d bytes behind the last table: the bytes were changed on the way", len(r.rest))
	}
	for _, m := range j.missing {
		if !j.keys[m.column.target][m.key] {
			return nil, fmt.Errorf("parse tables: %s: no row %s in %s: the bytes were changed on the way", m.column.field.FullName(), keyText(m.column.value, m.key), m.column.table)
		}
	}
	return s.finish(j.rows, bytes.Clone(b)), nil
}
