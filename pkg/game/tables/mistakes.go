package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
	"github.com/tianxia-mmo/tianxia/pkg/config"
)

// mistakes gathers what is wrong with files, up to a bound: designers edit many rows at once.
type mistakes struct {
	list config.Errors
	most int
	full bool // and further ones were not looked for
}

// at adds a mistake at a node of a file, about the column at a path.
func (m *mistakes) at(file string, n node, path string, p *problem) {
	m.add(config.Origin{Kind: config.File, Name: file, Line: n.line, Column: n.column}, path, p)
}

// file adds a mistake about a file as a whole.
func (m *mistakes) file(name string, p *problem) {
	m.add(config.Origin{Kind: config.File, Name: name}, "", p)
}

func (m *mistakes) add(at config.Origin, path string, p *problem) {
	if len(m.list) >= m.most {
		m.full = true
		return
	}
	m.list = append(m.list, &config.Error{Where: at, Key: path, What: p.what, Why: p.why, Fix: p.fix})
}

// err is all of them in the order of files and lines; nil: there are none.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b *config.Error) int {
		return cmp.Or(cmp.Compare(a.Where.Name, b.Where.Name), cmp.Compare(a.Where.Line, b.Where.Line), cmp.Compare(a.Where.Column, b.Where.Column))
	})
	return m.list
}

// meant is the end of a mistake about a name that does not exist.
func meant(word string, names []string) string {
	if near := spell.Nearest(word, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return "there is none at all"
	}
	shown := strings.Join(names[:min(len(names), 12)], ", ")
	if len(names) > 12 {
		shown += " …"
	}
	return "there are " + shown
}

// join is the path of a column in another.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// element is the path of an element of a list.
func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
