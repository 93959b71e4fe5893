package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// file reads the YAML layer.
func (l *loader) file(name string, text []byte, root reflect.Value) {
	l.kind, l.name, l.literal = File, name, false
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return // nothing but comments
	} else if err != nil {
		l.syntax(text, err)
		return
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		l.at(&second, "", "a second document starts here", "only one is read, and which is easily overlooked", "put all keys into one, and take out the line ---")
	} else if !errors.Is(err, io.EOF) {
		l.syntax(text, err)
		return
	}
	if len(document.Content) != 1 {
		return
	}
	top := document.Content[0]
	if !l.plain(top, "") || isNull(top) {
		return
	}
	if top.Kind != yaml.MappingNode {
		l.at(top, "", "the file holds "+describe(top)+", not keys", "", "write lines such as "+l.sample())
		return
	}
	l.section(top, root, "", false)
}

// sample is a line that the file could hold.
func (l *loader) sample() string {
	for _, k := range l.keys {
		if !strings.ContainsAny(k.Path, ".[") {
			return k.Path + ": " + k.Default
		}
	}
	return "key: value"
}

func (l *loader) at(n *yaml.Node, key, what, why, fix string) {
	l.report(l.place(n), key, what, why, fix)
}

func (l *loader) place(n *yaml.Node) Origin {
	if l.kind != File {
		return Origin{Kind: l.kind, Name: l.name}
	}
	return Origin{File, l.name, max(n.Line, 1), max(n.Column, 1)}
}

// lineOf finds the line in an error of the parser, which tells it in words only.
var lineOf = regexp.MustCompile(`^yaml: (?:.*: )?line (\d+): `)

// syntax reports what the parser did not understand.
func (l *loader) syntax(text []byte, err error) {
	lines := strings.Split(string(text), "\n")
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = err.Error()[len(m[0]):]
	}
	line = min(max(line, 1), len(lines))
	if l.kind == File {
		for n, s := range lines[:min(line+1, len(lines))] { // the parser counts from 0 in some cases, and stumbles late
			indent := s[:len(s)-len(strings.TrimLeft(s, " \t"))]
			if tab := strings.IndexByte(indent, '\t'); tab >= 0 && len(indent) < len(s) {
				l.report(Origin{File, l.name, n + 1, tab + 1}, "", "a tab indents this line", "YAML allows spaces only, since tabs are of any width", "replace it by spaces")
				return
			}
		}
	}
	if !utf8.Valid(text) {
		for n, s := range lines {
			if !utf8.ValidString(s) {
				bad := strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError })
				l.report(Origin{l.kind, l.name, n + 1, bad + 1}, "", "this is not UTF-8", "", "save the file as UTF-8")
				return
			}
		}
	}
	column := 1 + len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " "))
	l.report(Origin{l.kind, l.name, line, column}, "", "not YAML here or shortly before: "+what, "", "look for a missing colon, quote or bracket, or wrong indentation")
}

// plain refuses what a configuration is better off without, wherever it hides. It reports whether there was nothing.
func (l *loader) plain(n *yaml.Node, path string) bool {
	const why = "what is written here should be what is meant here"
	ok := true
	refuse := func(what, fix string) {
		l.at(n, path, what, why, fix)
		ok = false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		refuse("the alias *"+n.Value, "write the value out")
	case n.Anchor != "":
		refuse("the anchor &"+n.Anchor, "take it out")
	case n.Style&yaml.TaggedStyle != 0:
		refuse("the tag "+n.ShortTag(), "take it out; quotes make text of anything")
	}
	for _, c := range n.Content {
		if c.Kind == yaml.ScalarNode && c.Tag == "!!merge" && n.Kind == yaml.MappingNode {
			l.at(c, path, "the merge key <<", why, "write the keys out")
			ok = false
		}
		if !l.plain(c, path) {
			ok = false
		}
	}
	return ok
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return n.Value
	case "!!int", "!!float", "!!timestamp":
		return bare(n.Value)
	}
	return "the text " + short(n.Value)
}

// pairs hands out the keys of a mapping, but for those that are no text or were there before.
func (l *loader) pairs(n *yaml.Node, path string, each func(name string, key, value *yaml.Node)) {
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			l.at(key, path, "a key that is "+describe(key), "", "keys are words")
			continue
		}
		if first := seen[key.Value]; first != nil {
			l.at(key, join(path, key.Value), "the key is here a second time", fmt.Sprintf("it was set in line %d", first.Line), "keep one of them")
			continue
		}
		seen[key.Value] = key
		each(key.Value, key, n.Content[i+1])
	}
}

// section fills a struct from a mapping.
func (l *loader) section(n *yaml.Node, v reflect.Value, path string, secret bool) {
	fields, err := fieldsOf(v.Type())
	if err != nil { // keysOf has seen it
		return
	}
	l.pairs(n, path, func(name string, key, value *yaml.Node) {
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if at < 0 {
			l.unknown(key, name, path, fields)
			return
		}
		f := fields[at]
		l.value(value, v.FieldByIndex(f.index), join(path, name), secret || f.secret)
	})
}

// unknown reports a key that does not exist, with the one that was probably meant.
func (l *loader) unknown(n *yaml.Node, name, path string, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	fix := ""
	if near := spell.Nearest(name, names); near != "" {
		fix = "did you mean " + near + "?"
	}
	for _, k := range l.keys {
		if last := k.Path[strings.LastIndexByte(k.Path, '.')+1:]; (last == name || strings.Contains("."+k.Path+".", "."+name+".")) && fix == "" {
			found := k.Path
			if last != name { // a section
				found = strings.TrimPrefix(("." + k.Path)[:strings.Index("."+k.Path+".", "."+name+".")+1+len(name)], ".")
			}
			fix = "there is " + found + ": is the indentation right?"
		}
	}
	if fix == "" {
		slices.Sort(names)
		shown := strings.Join(names[:min(len(names), 12)], ", ")
		if len(names) > 12 {
			shown += " …"
		}
		fix = "known here: " + shown
	}
	l.at(n, join(path, bare(name)), "no such key", "", fix)
}
