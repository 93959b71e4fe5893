package tables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yaml reads a table from a list of rows, or from a map of rows by their keys.
func (l *loader) yaml(t *table, f *loaded, text []byte) {
	top, ok := l.document(f.file, text)
	if !ok {
		f.bad = true
		return
	}
	switch top.shape {
	case nothing:
	case sequence:
		for _, n := range top.items {
			if l.take(t, f, n, nil, nil); l.full {
				return
			}
		}
	case mapping:
		for i, n := range top.items {
			if l.take(t, f, n, &top.keys[i], nil); l.full {
				return
			}
		}
	default:
		f.bad = true
		l.at(f.file, top, "", &problem{what: "the file holds " + top.describe() + ", not rows", fix: "start each row with a dash, as in \"- " + t.key.name + ": …\""})
	}
}

// document parses a file. It reports whether every part of it is one that a table may hold.
func (l *loader) document(file string, text []byte) (top node, ok bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return node{shape: nothing}, true // nothing but comments
	} else if err != nil {
		l.syntax(file, text, err)
		return top, false
	}
	if err := decoder.Decode(&second); err == nil {
		l.at(file, node{line: max(second.Line, 1), column: max(second.Column, 1)}, "", &problem{"a second document starts here", "only one is read, and which is easily overlooked", "take out the line ---"})
		return top, false
	} else if !errors.Is(err, io.EOF) {
		l.syntax(file, text, err)
		return top, false
	}
	if len(document.Content) != 1 {
		return node{shape: nothing}, true
	}
	return l.node(file, document.Content[0], 0)
}

// maxNesting bounds how deep lists and sections of a file lie in each other: a row is at most maxDepth messages deep, each in a list or map.
const maxNesting = 2*maxDepth + 4

// node takes over a node of the parser, and what lies in it, without what makes a file say more than it shows. Aliases above all: each may stand for a million rows.
func (l *loader) node(file string, y *yaml.Node, depth int) (n node, ok bool) {
	n, ok = node{line: max(y.Line, 1), column: max(y.Column, 1), text: y.Value}, true
	refuse := func(what, fix string) {
		l.at(file, n, "", &problem{what, "what is written here should be what is meant here", fix})
		ok = false
	}
	switch {
	case y.Kind == yaml.AliasNode:
		refuse("the alias *"+bare(y.Value), "write the value out")
		return n, false
	case y.Anchor != "":
		refuse("the anchor &"+bare(y.Anchor), "take it out")
	case y.Style&yaml.TaggedStyle != 0:
		refuse("the tag "+bare(y.ShortTag()), "take it out; quotes make text of anything")
	case depth > maxNesting:
		l.at(file, n, "", &problem{what: fmt.Sprintf("lists and sections lie more than %d deep here", maxNesting), fix: "look for a wrong indentation, or too many brackets"})
		return n, false
	}
	add := func(to []node, y *yaml.Node) []node {
		inner, fine := l.node(file, y, depth+1)
		ok = ok && fine
		return append(to, inner)
	}
	switch y.Kind {
	case yaml.ScalarNode:
		if n.tag = y.ShortTag(); n.tag == "!!null" {
			n.shape = nothing
		}
	case yaml.SequenceNode:
		n.shape, n.items = sequence, make([]node, 0, len(y.Content))
		for _, c := range y.Content {
			n.items = add(n.items, c)
		}
	case yaml.MappingNode:
		n.shape, n.keys, n.items = mapping, make([]node, 0, len(y.Content)/2), make([]node, 0, len(y.Content)/2)
		for i := 0; i+1 < len(y.Content) && !l.full; i += 2 {
			k := y.Content[i]
			if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
				n.line, n.column = k.Line, k.Column
				refuse("the merge key <<", "write the columns out")
				continue
			}
			n.keys = add(n.keys, k)
			n.items = add(n.items, y.Content[i+1])
			if key := &n.keys[len(n.keys)-1]; key.shape != scalar {
				l.at(file, *key, "", &problem{what: "a name that is " + key.describe(), fix: "names of columns and keys of rows are words or numbers"})
				ok = false
			}
		}
	}
	return n, ok
}

// syntax reports what the parser did not understand. It tells the line in words only.
func (l *loader) syntax(file string, text []byte, err error) {
	lines := strings.Split(string(text), "\n")
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := regexp.MustCompile(`^yaml: (?:.*: )?line (\d+): `).FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = err.Error()[len(m[0]):]
	}
	line = min(max(line, 1), len(lines))
	for i, s := range lines[:min(line+1, len(lines))] { // the parser counts from 0 in some cases, and stumbles late
		indent := s[:len(s)-len(strings.TrimLeft(s, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && len(indent) < len(s) {
			l.at(file, node{line: i + 1, column: tab + 1}, "", &problem{"a tab indents this line", "YAML allows spaces only, since tabs are of any width", "replace it by spaces"})
			return
		}
	}
	column := 1 + len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " "))
	l.at(file, node{line: line, column: column}, "", &problem{what: "not YAML here or shortly before: " + what, fix: "look for a missing colon, quote or bracket, or wrong indentation"})
}
