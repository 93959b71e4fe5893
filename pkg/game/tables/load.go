package tables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// Load reads the files of all tables from the top folder of a file system: for a table "monsters" either monsters.yaml or monsters.csv. Other files are left alone, but for
// YAML and CSV files that no table is called like: those are mistakes, since nothing would come of them.
//
// It gives a whole valid set, or nothing and an error, a config.Errors with all mistakes up to Config.MaxMistakes. Sets that are in use are not touched, so a server may
// load while it runs and go on with what it had when that fails.
func Load(fsys fs.FS, s *Schema) (*Set, error) {
	l := &loader{schema: s, mistakes: mistakes{most: s.config.MaxMistakes}, tables: make([]loaded, len(s.tables))}
	l.run(fsys)
	if err := l.err(); err != nil {
		return nil, err
	}
	rows := make([][]proto.Message, len(s.tables))
	for i := range l.tables {
		rows[i] = l.tables[i].rows
	}
	set, err := s.build(rows)
	if err != nil {
		l.file(".", &problem{what: err.Error()})
		return nil, l.err()
	}
	return set, nil
}

// loader is one Load at work.
type loader struct {
	mistakes
	schema *Schema
	tables []loaded
	points []reference
}

// loaded is what was read of a table.
type loaded struct {
	file string // "": none was found
	rows []proto.Message
	keys map[key]int // to their lines
	bad  bool        // rows are missing here that may stand in the file: whoever points to them may be right
}

// reference is a value that is a key of another table, and where it stands.
type reference struct {
	pointer
	file, path string
	node       node
}

func (l *loader) run(fsys fs.FS) {
	if !l.find(fsys) {
		return
	}
	for i, t := range l.schema.tables {
		f := &l.tables[i]
		f.keys = map[key]int{}
		if f.file == "" || l.full {
			f.bad = true
			continue
		}
		text, ok := l.text(fsys, f.file)
		if !ok {
			f.bad = true
			continue
		}
		if strings.HasSuffix(f.file, csvEnding) {
			l.csv(t, f, text)
		} else {
			l.yaml(t, f, text)
		}
	}
	l.resolve()
}

const (
	yamlEnding = ".yaml"
	csvEnding  = ".csv"
)

// find looks which files there are. It reports whether the folder could be read.
func (l *loader) find(fsys fs.FS) bool {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		l.file(".", &problem{what: err.Error(), fix: "name a folder that exists and may be read"})
		return false
	}
	tried := map[string]bool{} // tables that have a file, be it one that is of no use
	for _, e := range entries {
		name := e.Name()
		table, ending := name, ""
		for _, known := range []string{yamlEnding, ".yml", csvEnding} {
			if len(name) > len(known) && strings.EqualFold(name[len(name)-len(known):], known) {
				table, ending = name[:len(name)-len(known)], name[len(name)-len(known):]
			}
		}
		if ending == "" || e.IsDir() || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") { // what editors leave behind while a file is open
			continue
		}
		i := l.schema.index(table)
		switch {
		case i < 0:
			l.file(name, &problem{"no table is called " + short(table), "nothing would come of the file", meant(table, l.schema.Names())})
			if i = l.schema.index(spell.Nearest(table, l.schema.Names())); i >= 0 {
				tried[l.schema.tables[i].name] = true
			}
		case ending != yamlEnding && ending != csvEnding:
			l.file(name, &problem{what: "the file ends in " + ending, fix: "rename it to " + table + want(ending)})
			tried[table] = true
		case l.tables[i].file != "":
			l.file(name, &problem{"table " + table + " has two files", "the other is " + l.tables[i].file, "keep one of them"})
		default:
			l.tables[i].file = name
		}
	}
	for i, t := range l.schema.tables {
		if l.tables[i].file == "" && !tried[t.name] {
			l.file(t.name+yamlEnding, &problem{what: "there is no such file, nor " + t.name + csvEnding, fix: "make one; for a table without rows it may be empty"})
		}
	}
	return true
}

// want is the ending that somebody meant.
func want(ending string) string {
	if strings.EqualFold(ending, csvEnding) {
		return csvEnding
	}
	return yamlEnding
}

// text reads a file, if it is one of text and not too large.
func (l *loader) text(fsys fs.FS, name string) ([]byte, bool) {
	text, err := readFile(fsys, name, l.schema.config.MaxFile)
	if err != nil {
		l.file(name, &problem{what: err.Error(), fix: "name a file that may be read"})
		return nil, false
	}
	if len(text) > l.schema.config.MaxFile {
		l.file(name, &problem{what: fmt.Sprintf("the file has more than %d bytes", l.schema.config.MaxFile), fix: "split the table, or raise Config.MaxFile"})
		return nil, false
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // Excel's mark of UTF-8
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		l.at(name, node{line: 1, column: 1}, "", &problem{what: "this is UTF-16", fix: "save the file as UTF-8"})
		return nil, false
	}
	line := 1
	for s := range bytes.Lines(text) {
		at := bytes.IndexByte(s, 0)
		if !utf8.Valid(s) {
			at = 0
			for r, n := utf8.DecodeRune(s); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(s[at:]) {
				at += n
			}
		}
		if at >= 0 {
			l.at(name, node{line: line, column: at + 1}, "", &problem{what: "this is not UTF-8 text", fix: "save the file as UTF-8"})
			return nil, false
		}
		line++
	}
	return text, true
}

// readFile reads at most one byte more than most.
func readFile(fsys fs.FS, name string, most int) (text []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	text, err = io.ReadAll(io.LimitReader(f, int64(most)+1))
	return text, errors.Join(err, f.Close())
}

// take adds a row. front is the key when it stands in front of the row, as in a map by keys.
func (l *loader) take(t *table, f *loaded, n node, front *node, forgiven map[*column]bool) {
	if len(f.rows) >= l.schema.config.MaxRows {
		if !f.bad {
			l.at(f.file, n, "", &problem{what: fmt.Sprintf("this is row %d, more than a table may have", len(f.rows)+1), fix: "split the table, or raise Config.MaxRows"})
		}
		f.bad = true
		return
	}
	m := t.row.New()
	r := &rowReader{loader: l, file: f.file, forgiven: forgiven}
	r.row(t, m, n, front)
	at := front
	if front == nil && n.shape == mapping {
		if i := slices.IndexFunc(n.keys, func(k node) bool { return k.text == t.key.name }); i >= 0 && n.items[i].shape == scalar {
			at = &n.items[i]
		}
	}
	if at == nil || l.full {
		f.bad = true
		return
	}
	v, bad := t.key.read(*at)
	if bad != nil { // which is reported
		f.bad = true
		return
	}
	if size := proto.Size(m.Interface()); size > l.schema.config.MaxRow {
		l.at(f.file, n, "", &problem{what: fmt.Sprintf("the row takes %d bytes, more than %d", size, l.schema.config.MaxRow), fix: "shorten it, or raise Config.MaxRow"})
	}
	k := keyValue(t.key.value, v)
	if first, twice := f.keys[k]; twice {
		l.at(f.file, *at, t.key.name, &problem{fmt.Sprintf("key %s is here a second time", keyText(t.key.value, k)), fmt.Sprintf("it was in line %d", first), "give each row a key of its own"})
		return
	}
	f.keys[k] = at.line
	f.rows = append(f.rows, m.Interface())
}

// resolve looks up what rows point to.
func (l *loader) resolve() {
	for _, p := range l.points {
		c := p.column
		target := &l.tables[c.target]
		if _, ok := target.keys[p.key]; ok || target.bad {
			continue
		}
		t := l.schema.tables[c.target]
		fix := "add the row to " + target.file + ", or name another"
		if kindOf(t.key.value) == words {
			var names []string
			for _, m := range target.rows {
				names = append(names, t.keyOf(m).text)
			}
			if near := spell.Nearest(p.key.text, names); near != "" {
				fix = "did you mean " + near + "?"
			}
		}
		l.at(p.file, p.node, p.path, &problem{what: "no row " + keyText(c.value, p.key) + " in table " + c.table, fix: fix})
		if l.full {
			return
		}
	}
}
