package tsgen

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/compiler/protogen"
)

// globals are names of JavaScript's and of what every file may declare: a message of such a name is called otherwise.
var globals = []string{
	"Array", "BigInt", "BigInt64Array", "BigUint64Array", "Boolean", "Bytes", "Channel", "Columns", "Date", "Entities", "EntityView", "Error", "Float32Array", "Float64Array",
	"Function", "Infinity", "Int16Array", "Int32Array", "Int8Array", "IterableIterator", "Kind", "Map", "Math", "NaN", "Number", "Object", "Part", "Promise", "ProtoReader",
	"ProtoWriter", "Pushes", "Readonly", "ReadonlyMap", "Record", "RegExp", "Replica", "ReplicaEvents", "Route", "Set", "String", "Symbol", "Uint16Array", "Uint32Array",
	"Uint8Array", "World",
}

// typeName is the name of a message or enum by its name in Go: Outer_Inner → OuterInner, Error → ErrorMessage.
func typeName(goName string) string {
	name := strings.ReplaceAll(goName, "_", "")
	if slices.Contains(globals, name) {
		return name + "Message"
	}
	return name
}

// camel is the name of a field: hit_points → hitPoints. The runtime names fields of nested values by the same rule.
func camel(name string) string {
	var b strings.Builder
	up := false
	for _, r := range name {
		switch {
		case r == '_':
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// word is what of a text may stand in a name.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}

// title is a name with a great first letter.
func title(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + name[n:]
}

// lower is a type's name as that of a member: HeroThing → heroThing, NPC → npc, UIThing → uiThing.
func lower(name string) string {
	r := []rune(name)
	for i := range r {
		if i > 0 && i+1 < len(r) && unicode.IsLower(r[i+1]) || !unicode.IsUpper(r[i]) {
			break
		}
		r[i] = unicode.ToLower(r[i])
	}
	return string(r)
}

// member is a name that does not hide one of the runtime's.
func member(name string, taken ...string) string {
	if name == "constructor" || slices.Contains(taken, name) {
		return name + "_"
	}
	return name
}

// plural is that of simple English words.
func plural(name string) string {
	ends := func(list ...string) bool {
		return slices.ContainsFunc(list, func(e string) bool { return strings.HasSuffix(name, e) })
	}
	for _, word := range []string{"wolf", "leaf", "elf", "dwarf", "knife", "thief", "half", "shelf", "calf", "loaf"} { // as the Go bindings have them
		if strings.HasSuffix(strings.ToLower(name), word) {
			return strings.TrimSuffix(strings.TrimSuffix(name, "e"), "f") + "ves"
		}
	}
	switch {
	case ends("s", "x", "z", "ch", "sh", "o"):
		return name + "es"
	case ends("y") && !ends("ay", "ey", "iy", "oy", "uy"):
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

// valueName is the name of an enum's value without the enum's own, if all its values begin with that: MOOD_GLAD → GLAD.
func valueName(e *protogen.Enum, v *protogen.EnumValue) string {
	prefix := upperSnake(string(e.Desc.Name())) + "_"
	for _, o := range e.Values {
		rest, ok := strings.CutPrefix(string(o.Desc.Name()), prefix)
		if !ok || rest == "" || rest[0] >= '0' && rest[0] <= '9' {
			return string(v.Desc.Name())
		}
	}
	return strings.TrimPrefix(string(v.Desc.Name()), prefix)
}

func upperSnake(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(c))
	}
	return b.String()
}
