package config

import (
	"encoding"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Key describes one key.
type Key struct {
	Path    string // such as limits.max_players; inside a list zones[].name, inside a map zones.*.name
	Type    string // in words
	Doc     string // from the tag doc, or the struct's method Describe() map[string]string by key
	Default string // as text; empty for none, and for secrets
	Env     string // variable that sets it; empty inside lists and maps
	Secret  bool
}

// Keys lists the keys of a struct, or pointer to one, in the order of their fields; v's values are the defaults, and variables get the prefix "MMO_". Sections are not listed,
// what is in them is. It fails when the struct cannot be a configuration.
func Keys(v any) ([]Key, error) {
	root := reflect.Indirect(reflect.ValueOf(v))
	if root.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: Keys wants a struct, got %T", v)
	}
	keys, err := keysOf(root, "MMO_")
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(keys))
	for n, k := range keys {
		out[n] = k.Key
	}
	return out, nil
}

// AddFlags defines a flag for every key of v that has a variable, with its doc as the usage. Load finds those that were set.
func AddFlags(set *flag.FlagSet, v any) error {
	keys, err := Keys(v)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Env != "" && set.Lookup(k.Path) == nil {
			set.Var(&flagValue{text: k.Default, boolean: k.Type == "true or false"}, k.Path, strings.TrimSpace(k.Doc+" ("+k.Type+")"))
		}
	}
	return nil
}

// flagValue keeps the text of a flag; Load reads and judges it.
type flagValue struct {
	text    string
	boolean bool
}

func (f *flagValue) String() string     { return f.text }
func (f *flagValue) Set(s string) error { f.text = s; return nil }
func (f *flagValue) IsBoolFlag() bool   { return f.boolean }

// key is a Key and the way to it.
type key struct {
	Key
	fields []field // from the root; no lists or maps on the way if Env is set
}

// field is one tagged field of a struct.
type field struct {
	name   string // the key
	goName string
	index  []int // several for those of inlined structs
	typ    reflect.Type
	doc    string
	secret bool
}

// fieldsOf lists the tagged fields of a struct type.
func fieldsOf(t reflect.Type) (out []field, err error) {
	docs := map[string]string{}
	if d, ok := reflect.New(t).Interface().(interface{ Describe() map[string]string }); ok {
		docs = d.Describe()
	}
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("yaml")
		name, option, _ := strings.Cut(tag, ",")
		wrong := func(what string) error { return fmt.Errorf("config: field %s of %v: %s", f.Name, t, what) }
		switch {
		case !tagged || tag == "-":
			continue
		case !f.IsExported() && !f.Anonymous:
			return nil, wrong("it is tagged and not exported: nobody can set it")
		case option == "inline" && name == "" && f.Type.Kind() == reflect.Struct:
			inner, err := fieldsOf(f.Type)
			if err != nil {
				return nil, err
			}
			for _, i := range inner {
				i.index = append([]int{f.Index[0]}, i.index...)
				out = append(out, i)
			}
			continue
		case option != "" && option != "omitempty" && option != "flow":
			return nil, wrong("the tag option " + option + " is not known here: inline is, for structs")
		case !goodName(name):
			return nil, wrong("the key " + short(name) + " should be lower case letters, digits and underscores, starting with a letter")
		}
		doc := f.Tag.Get("doc")
		if doc == "" {
			doc = docs[name]
		}
		out = append(out, field{name, f.Name, f.Index, f.Type, doc, f.Tag.Get("secret") == "true"})
	}
	for n, f := range out {
		if slices.ContainsFunc(out[:n], func(g field) bool { return g.name == f.name }) {
			return nil, fmt.Errorf("config: %v has the key %s twice", t, f.name)
		}
	}
	return out, nil
}

func goodName(s string) bool {
	for n := range len(s) {
		c := s[n]
		if (c < 'a' || c > 'z') && (n == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// readsText reports whether values of this type read themselves from text.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isSection reports whether a type is a struct whose fields are keys.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !readsText(t) }

func strip(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// inWords names a type for a person; "" for one that cannot be configured.
func inWords(t reflect.Type) string {
	t = strip(t)
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t == reflect.TypeFor[Bytes]():
		return "a size"
	case readsText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct:
		return "a section"
	case reflect.Slice:
		return "a list"
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return "a map"
		}
	}
	return ""
}

func plural(words string) string {
	switch words {
	case "text":
		return "texts"
	case "true or false":
		return "trues and falses"
	}
	return strings.TrimPrefix(words, "a ") + "s"
}

// keysOf lists all keys below a struct.
func keysOf(root reflect.Value, prefix string) (out []key, err error) {
	w := walker{prefix: prefix, env: map[string]string{}}
	if err := w.section(root.Type(), root, "", nil, false, true); err != nil {
		return nil, err
	}
	return w.out, nil
}

type walker struct {
	prefix string
	out    []key
	env    map[string]string // variable to path
	inside []reflect.Type
}

// section lists the keys of a struct type. v holds the defaults, and is invalid where there are none.
func (w *walker) section(t reflect.Type, v reflect.Value, path string, way []field, secret, settable bool) error {
	if slices.Contains(w.inside, t) {
		return fmt.Errorf("config: %v holds itself, by way of %s: a configuration ends somewhere", t, path)
	}
	w.inside = append(w.inside, t)
	defer func() { w.inside = w.inside[:len(w.inside)-1] }()
	fields, err := fieldsOf(t)
	if err != nil {
		return err
	}
	for _, f := range fields {
		var value reflect.Value
		if v.IsValid() {
			value = v.FieldByIndex(f.index)
		}
		if err := w.value(f.typ, value, join(path, f.name), append(slices.Clip(way), f), secret || f.secret, settable); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) value(t reflect.Type, v reflect.Value, path string, way []field, secret, settable bool) error {
	for ; t.Kind() == reflect.Pointer; t = t.Elem() {
		if v.IsValid() {
			v = v.Elem() // invalid if nil
		}
	}
	words := inWords(t)
	if words == "" {
		return fmt.Errorf("config: key %s is a %v, which cannot be configured: leave out its yaml tag, or give the type UnmarshalText", path, t)
	}
	if isSection(t) {
		return w.section(t, v, path, way, secret, settable)
	}
	k := key{Key{Path: path, Type: words, Doc: way[len(way)-1].doc, Secret: secret}, way}
	if settable {
		k.Env = w.prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		if other, ok := w.env[k.Env]; ok {
			return fmt.Errorf("config: keys %s and %s have the same variable %s: rename one", other, path, k.Env)
		}
		w.env[k.Env] = path
	}
	inner := reflect.Type(nil)
	if !readsText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		inner = t.Elem()
		if inWords(inner) == "" {
			return fmt.Errorf("config: key %s holds %v, which cannot be configured", path, inner)
		}
		k.Type += " of " + plural(inWords(inner))
	}
	if v.IsValid() && !secret {
		k.Default = asText(v)
	}
	w.out = append(w.out, k)
	if inner == nil {
		return nil
	}
	if path += ".*"; t.Kind() == reflect.Slice {
		path = strings.TrimSuffix(path, ".*") + "[]"
	}
	if inner = strip(inner); isSection(inner) {
		return w.section(inner, reflect.Value{}, path, way, secret, false)
	}
	if slices.Contains(w.inside, t) {
		return fmt.Errorf("config: %v holds itself, by way of %s: a configuration ends somewhere", t, path)
	}
	w.inside = append(w.inside, t)
	defer func() { w.inside = w.inside[:len(w.inside)-1] }()
	if inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map { // only to see that it can be configured
		n := len(w.out)
		err := w.value(inner, reflect.Value{}, path, way, secret, false)
		w.out = w.out[:n]
		return err
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
