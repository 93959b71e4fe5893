package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	if near := nearest(word, names); near != "" {
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

// nearest finds the name that somebody most likely meant; "": none is near.
func nearest(word string, names []string) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(s))
	}
	best, least := "", max(1, len(word)/3)+1
	for _, name := range names {
		if plain(name) == plain(word) {
			return name
		}
		if d := distance(strings.ToLower(word), strings.ToLower(name), least); d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, change or swap with the next that turn a into b (optimal string alignment), or most if it is at least that.
func distance(a, b string, most int) int {
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	var rows [3][65]int
	before, row, next := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(next[j-1]+1, row[j]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return min(row[len(b)], most)
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
