package tables

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// rowReader makes messages of nodes.
type rowReader struct {
	*loader
	file     string
	forgiven map[*column]bool // that the header of a CSV file lacks, which was said once
}

// row fills a row; front is its key when that stands in front.
func (r *rowReader) row(t *table, m protoreflect.Message, n node, front *node) {
	if n.shape == nothing && front != nil { // of a row that has nothing but its key
		n = node{line: front.line, column: front.column, shape: mapping}
	}
	if front != nil {
		r.value(t.key, m, *front, t.key.name)
		if n.shape == mapping {
			for i, k := range n.keys {
				if k.text == t.key.name {
					r.at(r.file, k, t.key.name, &problem{"the key is written twice", "it stands in front of the row already", "take this line out"})
					n.keys, n.items = without(n.keys, i), without(n.items, i)
					break
				}
			}
		}
	}
	r.record(t.top, m, n, "", front != nil, t.key)
}

func without(list []node, i int) []node {
	return append(append([]node(nil), list[:i]...), list[i+1:]...)
}

// record fills a message; keyed tells that its column key is set already.
func (r *rowReader) record(of *record, m protoreflect.Message, n node, path string, keyed bool, key *column) {
	if n.shape != mapping {
		what, fix := "a section", "write its columns below it, indented: "+of.example()
		if path == "" {
			what, fix = "a row", "write its columns, such as "+of.example()
		}
		r.at(r.file, n, path, &problem{what: "want " + what + ", got " + n.describe(), fix: fix})
		return
	}
	seen := make(map[*column]int, len(n.keys))
	for i, k := range n.keys {
		c := of.column(k.text)
		if c == nil {
			r.at(r.file, k, join(path, bare(k.text)), &problem{what: "no such column", fix: meant(k.text, of.names())})
			continue
		}
		if line, twice := seen[c]; twice {
			r.at(r.file, k, join(path, c.name), &problem{"the column is here a second time", fmt.Sprintf("it was in line %d", line), "keep one of them"})
			continue
		}
		if o := c.field.ContainingOneof(); o != nil && !o.IsSynthetic() && m.WhichOneof(o) != nil {
			r.at(r.file, k, join(path, c.name), &problem{"a second one of " + string(o.Name()), string(m.WhichOneof(o).Name()) + " is there already", "keep one of them"})
			seen[c] = k.line
			continue
		}
		seen[c] = k.line
		r.value(c, m, n.items[i], join(path, c.name))
	}
	for _, c := range of.columns {
		if _, given := seen[c]; !given && (c != key || !keyed) {
			r.absent(c, m, n, join(path, c.name))
		}
	}
}

// example is a column of a record, as an example.
func (r *record) example() string {
	if len(r.columns) == 0 {
		return "{}"
	}
	return r.columns[0].name + ": …"
}

// absent gives a column that is not there its default, or reports that it is missing.
func (r *rowReader) absent(c *column, m protoreflect.Message, n node, path string) {
	switch {
	case c.defaultText != nil:
		m.Set(c.field, c.fallback)
		if c.target >= 0 {
			r.points = append(r.points, reference{pointer{c, keyValue(c.value, c.fallback)}, r.file, path, n})
		}
	case c.needed() && !r.forgiven[c]:
		r.at(r.file, n, path, &problem{what: "missing", fix: c.remedy()})
	}
}

// remedy says what to do about a column that is missing.
func (c *column) remedy() string {
	if c.required {
		return "give it a value"
	}
	return fmt.Sprintf("give it a value; or let the schema say optional, or a default, for %s.%s", c.in.desc.Name(), c.name)
}

// value puts a node into a field.
func (r *rowReader) value(c *column, m protoreflect.Message, n node, path string) {
	if n.shape == nothing {
		r.at(r.file, n, path, &problem{what: "no value", fix: "give it one, or take the column out"})
		return
	}
	switch c.form {
	case list:
		r.list(c, m, n, path)
	case dictionary:
		r.dictionary(c, m, n, path)
	default:
		if c.inner != nil {
			r.record(c.inner, m.Mutable(c.field).Message(), n, path, false, nil)
		} else if v, ok := r.scalar(c, n, path); ok {
			m.Set(c.field, v)
		}
	}
}

// scalar reads a single value, and notes where it points to.
func (r *rowReader) scalar(c *column, n node, path string) (v protoreflect.Value, ok bool) {
	if n.shape != scalar {
		fix := ""
		if n.shape == nothing {
			fix = "give it a value, or take it out"
		}
		r.at(r.file, n, path, &problem{what: "want " + c.want() + ", got " + n.describe(), fix: fix})
		return v, false
	}
	v, bad := c.read(n)
	if bad != nil {
		r.at(r.file, n, path, bad)
		return v, false
	}
	if c.target >= 0 {
		r.points = append(r.points, reference{pointer{c, keyValue(c.value, v)}, r.file, path, n})
	}
	return v, true
}

func (r *rowReader) list(c *column, m protoreflect.Message, n node, path string) {
	if n.shape != sequence {
		fix := "write it in brackets: [a, b]"
		if n.shape == mapping {
			fix = "start each element with a dash"
		}
		r.at(r.file, n, path, &problem{what: "want a list, got " + n.describe(), fix: fix})
		return
	}
	if r.crowded(c, n, path) {
		return
	}
	values := m.Mutable(c.field).List()
	for i, item := range n.items {
		if r.full {
			return
		}
		if c.inner != nil {
			r.record(c.inner, values.AppendMutable().Message(), item, element(path, i), false, nil)
		} else if v, ok := r.scalar(c, item, element(path, i)); ok {
			values.Append(v)
		}
	}
}

func (r *rowReader) dictionary(c *column, m protoreflect.Message, n node, path string) {
	if n.shape != mapping {
		r.at(r.file, n, path, &problem{what: "want a map, got " + n.describe(), fix: "write name: value below it, indented"})
		return
	}
	if r.crowded(c, n, path) {
		return
	}
	values := m.Mutable(c.field).Map()
	key := &column{value: c.field.MapKey()} // which is no enum
	for i, k := range n.keys {
		if r.full {
			return
		}
		at := join(path, bare(k.text))
		v, bad := key.scalar(k)
		switch {
		case bad != nil:
			r.at(r.file, k, at, bad)
		case values.Has(v.MapKey()):
			r.at(r.file, k, at, &problem{what: "the key is here a second time", fix: "keep one of them"})
		case c.inner != nil:
			r.record(c.inner, values.Mutable(v.MapKey()).Message(), n.items[i], at, false, nil)
		default:
			if x, ok := r.scalar(c, n.items[i], at); ok {
				values.Set(v.MapKey(), x)
			}
		}
	}
}

// crowded reports lists and maps that hold too many elements, or none where there must be one.
func (r *rowReader) crowded(c *column, n node, path string) bool {
	most := r.schema.config.MaxElements
	switch {
	case len(n.items) > most:
		r.at(r.file, n, path, &problem{what: fmt.Sprintf("%d elements, more than %d", len(n.items), most), fix: "split the row, or raise Config.MaxElements"})
	case len(n.items) == 0 && c.required:
		r.at(r.file, n, path, &problem{what: "it is empty", why: "(mmo.column) says required", fix: "give it an element"})
	default:
		return false
	}
	return true
}
