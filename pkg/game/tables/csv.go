package tables

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// csv reads a table whose first line names the columns: "hp", or with dots those of a message, "place.x". Elements of a list are separated by "|"; of a list of messages
// each column is a list. An empty cell is as if the column were not there.
func (l *loader) csv(t *table, f *loaded, text []byte) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1 // counted below, with a place
	first, err := r.Read()
	if errors.Is(err, io.EOF) {
		return // an empty table
	}
	if err != nil {
		l.csvSyntax(f, err)
		return
	}
	h := l.header(t, f, r, first)
	if h == nil {
		f.bad = true
		return
	}
	for !l.full {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			l.csvSyntax(f, err)
			return
		}
		if strings.Join(cells, "") == "" {
			continue // Excel ends files with them
		}
		line, column := r.FieldPos(0)
		row := node{line: line, column: column, shape: mapping}
		if len(cells) != len(h.ways) {
			l.at(f.file, row, "", &problem{fmt.Sprintf("%d cells where the header has %d", len(cells), len(h.ways)), "",
				"look for a comma too many or too few; text with a comma stands in quotes"})
			f.bad = true
			continue
		}
		fits := true
		for i, text := range cells {
			if text == "" || h.ways[i] == nil {
				continue
			}
			line, column := r.FieldPos(i)
			fits = l.cell(f, &row, h.ways[i], node{line: line, column: column, text: text}, h.names[i]) && fits
		}
		if !fits { // to go on would be to complain of what follows from it
			f.bad = true
			continue
		}
		l.take(t, f, row, nil, h.forgiven)
	}
}

// header is what the first line of a file says.
type header struct {
	names    []string
	ways     [][]*column      // by cell, from the row to the column; nil: none that there is
	forgiven map[*column]bool // needed columns that are not there: they are reported once
}

// header reads the first line; nil: it is none.
func (l *loader) header(t *table, f *loaded, r *csv.Reader, cells []string) *header {
	h := &header{names: make([]string, len(cells)), ways: make([][]*column, len(cells)), forgiven: map[*column]bool{}}
	place := func(i int) node {
		line, column := r.FieldPos(i)
		return node{line: line, column: column}
	}
	if len(cells) == 1 && strings.ContainsAny(cells[0], ";\t") {
		l.at(f.file, place(0), "", &problem{what: "the header is one cell, " + short(cells[0]), fix: "separate cells by commas: when saving, choose CSV with commas"})
		return nil
	}
	seen := map[*column]bool{}
	met := map[*record]bool{t.top: true}
	for i, name := range cells {
		if l.full {
			return h
		}
		name = strings.TrimSpace(name)
		h.names[i] = name
		way, bad := l.way(t.top, name)
		if bad == nil && seen[way[len(way)-1]] {
			way, bad = nil, &problem{what: "the column is here a second time", fix: "keep one of them"}
		}
		if bad != nil {
			l.at(f.file, place(i), bare(name), bad)
			continue
		}
		h.ways[i], seen[way[len(way)-1]] = way, true
		for _, c := range way {
			met[c.in] = true
		}
	}
	var check func(r *record, path string)
	check = func(r *record, path string) {
		for _, c := range r.columns {
			switch at := join(path, c.name); {
			case c.inner != nil && met[c.inner]:
				check(c.inner, at)
			case c.needed() && !seen[c]:
				l.at(f.file, node{line: 1, column: 1}, at, &problem{what: "the header lacks this column", fix: c.remedy()})
				h.forgiven[c] = true
			}
		}
	}
	check(t.top, "")
	if h.forgiven[t.key] {
		f.bad = true
	}
	return h
}

// way finds the column that a cell of the header names.
func (l *loader) way(r *record, name string) (way []*column, bad *problem) {
	if name == "" {
		return nil, &problem{what: "a column without a name", fix: "name it, or delete it"}
	}
	lists := 0
	words := strings.Split(name, ".")
	for i, word := range words {
		c := r.column(word)
		if c == nil {
			return nil, &problem{what: "no such column", fix: meant(word, r.names())}
		}
		if way = append(way, c); c.form == list {
			lists++
		}
		switch last := i == len(words)-1; {
		case c.form == dictionary:
			return nil, &problem{what: "a map has no form in CSV", fix: "write the table as YAML"}
		case lists > 1:
			return nil, &problem{what: "a list in a list has no form in CSV", fix: "write the table as YAML"}
		case c.inner == nil && !last:
			return nil, &problem{what: c.name + " holds no columns of its own", fix: "name it " + strings.Join(words[:i+1], ".")}
		case c.inner != nil && last:
			names := c.inner.names()
			for i := range names {
				names[i] = join(name, names[i])
			}
			return nil, &problem{what: "it holds columns of its own", fix: "have one for each: " + strings.Join(names, ", ")}
		}
		r = c.inner
	}
	return way, nil
}

// cell puts a cell into its row, where its column leads. It reports whether it could.
func (l *loader) cell(f *loaded, row *node, way []*column, n node, name string) bool {
	at := row
	for i, c := range way {
		last := i == len(way)-1
		if c.form == list {
			return l.cells(f, at, way[i:], n, name)
		}
		if last {
			at.put(c.name, n)
		} else {
			at = at.child(c.name, node{line: n.line, column: n.column, shape: mapping})
		}
	}
	return true
}

// cells puts a cell with the elements of a list into place: values, or one value for each message.
func (l *loader) cells(f *loaded, at *node, way []*column, n node, name string) bool {
	parts := split(n.text, l.schema.config.MaxElements)
	if way[0].inner == nil {
		items := make([]node, len(parts))
		for i, text := range parts {
			items[i] = node{line: n.line, column: n.column, text: text}
		}
		at.put(way[0].name, node{line: n.line, column: n.column, shape: sequence, items: items})
		return true
	}
	all := at.child(way[0].name, node{line: n.line, column: n.column, shape: sequence})
	if len(all.items) == 0 {
		for range parts {
			all.items = append(all.items, node{line: n.line, column: n.column, shape: mapping})
		}
	}
	if len(all.items) != len(parts) {
		l.at(f.file, n, name, &problem{fmt.Sprintf("%d elements, and %d in a column before", len(parts), len(all.items)), "all columns of " + way[0].name + " speak of the same elements",
			"give each as many, separated by |"})
		return false
	}
	for i, text := range parts {
		if text != "" && !l.cell(f, &all.items[i], way[1:], node{line: n.line, column: n.column, text: text}, name) {
			return false
		}
	}
	return true
}

// put adds an entry to a mapping.
func (n *node) put(name string, item node) {
	n.keys = append(n.keys, node{line: item.line, column: item.column, text: name})
	n.items = append(n.items, item)
}

// child is the entry of a mapping with a name, which is added if it is not there.
func (n *node) child(name string, fresh node) *node {
	for i := range n.keys {
		if n.keys[i].text == name {
			return &n.items[i]
		}
	}
	n.put(name, fresh)
	return &n.items[len(n.items)-1]
}

// split takes the elements of a list apart, at most one more than most. A backslash in front of | or of another backslash makes it part of the text.
func split(text string, most int) (parts []string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '|' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case c == '|':
			if parts = append(parts, b.String()); len(parts) > most {
				return parts
			}
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// csvSyntax reports what is no CSV. What follows cannot be made out.
func (l *loader) csvSyntax(f *loaded, err error) {
	f.bad = true
	p, at := &problem{what: err.Error(), fix: "look for a missing quote"}, node{line: 1, column: 1}
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		at = node{line: bad.Line, column: max(bad.Column, 1)}
		switch {
		case errors.Is(bad.Err, csv.ErrBareQuote):
			p = &problem{what: "a quote inside a cell that is not in quotes", fix: `put the whole cell in quotes, and double those inside: "a ""b"" c"`}
		case errors.Is(bad.Err, csv.ErrQuote):
			at.line, at.column = bad.StartLine, 1
			p = &problem{what: "a quote in this row is not closed, or text follows it", fix: `close it, and double quotes inside: "a ""b"" c"`}
		}
	}
	l.at(f.file, at, "", p)
}
