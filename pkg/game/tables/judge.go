package tables

import (
	"bytes"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// judge looks at rows that come as bytes: they may hold anything that protobuf has a form for.
type judge struct {
	schema  *Schema
	rows    [][]proto.Message
	keys    []map[key]bool // by table
	missing []pointer      // references, to be looked up when all rows are there
}

// pointer is a value that is a key of another table.
type pointer struct {
	column *column
	key    key
}

// table reads the rows of one table.
func (j *judge) table(r *reader, i int) error {
	t, c := j.schema.tables[i], &j.schema.config
	name, err := r.bytes(len(r.rest))
	if err != nil {
		return err
	}
	if string(name) != t.name {
		return fmt.Errorf("table %.40q is in its place: the bytes were written by a program with another schema", name)
	}
	n, err := r.count(c.MaxRows)
	if err != nil {
		return err
	}
	j.keys[i] = map[key]bool{}
	var before key
	var again []byte
	for at := range n {
		b, err := r.bytes(c.MaxRow)
		if err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		m := t.row.New()
		if err := (proto.UnmarshalOptions{RecursionLimit: 4 * maxDepth}).Unmarshal(b, m.Interface()); err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		if err := j.record(t.top, m); err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		if again = appendRecord(again[:0], t.top, m); !bytes.Equal(again, b) {
			return fmt.Errorf("row %d is not in its canonical form, or has fields that this schema does not: it was written by another program", at)
		}
		k := t.keyOf(m.Interface())
		if at > 0 && t.compare(before, k) >= 0 {
			return fmt.Errorf("row %d, of key %s, does not come after the one before: the bytes were changed on the way", at, keyText(t.key.value, k))
		}
		before, j.keys[i][k] = k, true
		j.rows[i] = append(j.rows[i], m.Interface())
	}
	return nil
}

// record judges what a message holds.
func (j *judge) record(r *record, m protoreflect.Message) (err error) {
	for _, c := range r.columns {
		if !m.Has(c.field) {
			if c.required && (c.form != single || c.inner != nil) {
				return fmt.Errorf("%s is missing", c.name)
			}
			if c.table != "" && c.form == single && !c.field.HasPresence() {
				j.missing = append(j.missing, pointer{c, keyValue(c.value, m.Get(c.field))})
			}
			if c.form == single && c.inner == nil && !c.field.HasPresence() {
				err = j.value(c, m.Get(c.field))
			}
			if err != nil {
				return err
			}
			continue
		}
		v, most := m.Get(c.field), j.schema.config.MaxElements
		switch c.form {
		case single:
			err = j.value(c, v)
		case list:
			if v.List().Len() > most {
				return fmt.Errorf("%s holds %d elements, more than %d", c.name, v.List().Len(), most)
			}
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = j.value(c, v.List().Get(i))
			}
		case dictionary:
			if v.Map().Len() > most {
				return fmt.Errorf("%s holds %d elements, more than %d", c.name, v.Map().Len(), most)
			}
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = j.value(c, v)
				return err == nil
			})
		}
		if err != nil {
			return err
		}
		if c.table != "" {
			j.point(c, v)
		}
	}
	return nil
}

// point notes the references that a field holds.
func (j *judge) point(c *column, v protoreflect.Value) {
	add := func(v protoreflect.Value) { j.missing = append(j.missing, pointer{c, keyValue(c.value, v)}) }
	switch c.form {
	case single:
		add(v)
	case list:
		for i := range v.List().Len() {
			add(v.List().Get(i))
		}
	case dictionary:
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			add(v)
			return true
		})
	}
}

// value judges one value.
func (j *judge) value(c *column, v protoreflect.Value) error {
	switch kindOf(c.value) {
	case parts:
		return j.record(c.inner, v.Message())
	case choice:
		if c.value.Enum().Values().ByNumber(v.Enum()) == nil {
			return fmt.Errorf("%s is %d, which %s has no name for", c.name, v.Enum(), c.value.Enum().FullName())
		}
	case real:
		if f := v.Float(); math.IsInf(f, 0) || math.IsNaN(f) || f == 0 && math.Signbit(f) {
			return fmt.Errorf("%s is %v, which no file can say", c.name, f)
		}
	}
	if c.outside(v) {
		return fmt.Errorf("%s is %v: want %s", c.name, v, c.span())
	}
	return nil
}
