package tsgen

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// messages writes the package's messages. Components and kinds are messages for routes that hold them only; what only components hold has an interface and no
// codec: it travels by layout.
func (g *generator) messages() error {
	state := map[protoreflect.FullName]bool{} // components, kinds and what components hold
	needed := map[protoreflect.FullName]bool{}
	own := map[protoreflect.FullName]bool{}
	for _, c := range g.s.Components {
		own[c.Message.Desc.FullName()] = true
		reach(c.Message, state)
	}
	for _, k := range g.s.Kinds {
		own[k.Message.Desc.FullName()] = true
		reach(k.Message, state)
	}
	for _, r := range g.s.Routes {
		reach(r.Message, needed)
		if r.Reply != nil {
			reach(r.Reply, needed)
		}
	}
	var list []*protogen.Message
	for _, f := range g.s.Files {
		each(f.Messages, func(m *protogen.Message) {
			if n := m.Desc.FullName(); !own[n] || needed[n] {
				list = append(list, m)
			}
		})
	}
	for _, m := range list { // names first: messages may refer to later ones
		name := typeName(m.GoIdent.GoName)
		g.ts[m.Desc.FullName()] = name
		if err := g.declare(name, "message "+string(m.Desc.FullName())); err != nil {
			return err
		}
	}
	for _, m := range list {
		if err := g.message(m, needed[m.Desc.FullName()] || !state[m.Desc.FullName()]); err != nil {
			return fmt.Errorf("message %s: %w", m.Desc.FullName(), err)
		}
	}
	return nil
}

// reach adds a message and what it holds.
func reach(m *protogen.Message, to map[protoreflect.FullName]bool) {
	if to[m.Desc.FullName()] {
		return
	}
	to[m.Desc.FullName()] = true
	for _, f := range m.Fields {
		if f.Message != nil {
			reach(f.Message, to)
		}
	}
}

func (g *generator) message(m *protogen.Message, codec bool) error {
	name := g.ts[m.Desc.FullName()]
	g.p("")
	g.doc("", comment(m.Comments, name+" is a message."))
	g.p("export interface %s {", name)
	for _, f := range m.Fields {
		t, err := g.fieldType(f)
		if err != nil {
			return err
		}
		if c := comment(f.Comments, ""); c != "" {
			g.doc("  ", c)
		}
		if optional(f) {
			g.p("  %s?: %s | undefined;", fieldName(f), t)
		} else {
			g.p("  %s: %s;", fieldName(f), t)
		}
	}
	g.p("}")
	if !codec {
		return nil
	}
	if err := g.writer(m, name); err != nil {
		return err
	}
	return g.reader(m, name)
}

func fieldName(f *protogen.Field) string { return camel(string(f.Desc.Name())) }

// optional tells whether a field may be undefined.
func optional(f *protogen.Field) bool { return f.Desc.HasPresence() }

// verb is the name of the codec functions' type part: encodeError, although the interface is ErrorMessage.
func verb(m *protogen.Message) string { return strings.ReplaceAll(m.GoIdent.GoName, "_", "") }

// named is the TypeScript type of a message or enum, imported if it is another schema's. names are the functions that are needed with it.
func (g *generator) named(full protoreflect.FullName, goName string, functions ...string) (string, error) {
	if name, ok := g.ts[full]; ok {
		return name, nil
	}
	name := typeName(goName)
	for _, s := range g.tree.Schemas {
		if protoreflect.FullName(s.Package) != full.Parent() || s.TypeScript == "" {
			continue
		}
		module := relative(path.Dir(g.s.TypeScript), s.TypeScript)
		g.use(module, "type "+name)
		for _, f := range functions {
			g.use(module, f)
		}
		return name, nil
	}
	return "", fmt.Errorf("%s has no TypeScript: only messages and enums of schemas with option typescript can be held", full)
}

// relative is the path of a module from a folder, both relative to the same one.
func relative(from, to string) string {
	a, b := strings.Split(path.Clean(from), "/"), strings.Split(path.Clean(to), "/")
	for len(a) > 0 && len(b) > 1 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	if len(a) == 0 || a[0] == "." {
		return "./" + strings.Join(b, "/")
	}
	return strings.Repeat("../", len(a)) + strings.Join(b, "/")
}

// fieldType is the TypeScript type of a field.
func (g *generator) fieldType(f *protogen.Field) (string, error) {
	if f.Desc.IsMap() {
		k, err := g.valueType(f.Message.Fields[0])
		if err != nil {
			return "", err
		}
		v, err := g.valueType(f.Message.Fields[1])
		return "Map<" + k + ", " + v + ">", err
	}
	t, err := g.valueType(f)
	if f.Desc.IsList() {
		t += "[]"
	}
	return t, err
}

// valueType is the type of one value of a field.
func (g *generator) valueType(f *protogen.Field) (string, error) {
	switch f.Desc.Kind() {
	case protoreflect.BoolKind:
		return "boolean", nil
	case protoreflect.StringKind:
		return "string", nil
	case protoreflect.BytesKind:
		return g.bytes(), nil
	case protoreflect.MessageKind:
		return g.named(f.Message.Desc.FullName(), f.Message.GoIdent.GoName)
	case protoreflect.EnumKind:
		return g.named(f.Enum.Desc.FullName(), f.Enum.GoIdent.GoName)
	case protoreflect.GroupKind:
		return "", fmt.Errorf("field %s: groups are not supported", f.Desc.Name())
	}
	if wide(f) {
		return "bigint", nil
	}
	return "number", nil
}

func wide(f *protogen.Field) bool {
	switch f.Desc.Kind() {
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return true
	}
	return false
}

// zero is the default value of one value of a field.
func (g *generator) zero(f *protogen.Field) string {
	switch {
	case f.Desc.Kind() == protoreflect.BoolKind:
		return "false"
	case f.Desc.Kind() == protoreflect.StringKind:
		return `""`
	case f.Desc.Kind() == protoreflect.BytesKind:
		return "new Uint8Array(0)"
	case f.Message != nil:
		return "decode" + verb(f.Message) + "(new Uint8Array(0))"
	case wide(f):
		return "0n"
	}
	return "0"
}

// method is the name of the reader's and writer's method for a scalar.
func method(f *protogen.Field) string {
	if f.Desc.Kind() == protoreflect.EnumKind {
		return "int32"
	}
	return f.Desc.Kind().String()
}

// write is the expression that appends a value without its key.
func (g *generator) write(f *protogen.Field, w, v string) (string, error) {
	switch m := method(f); m {
	case "message":
		if _, err := g.named(f.Message.Desc.FullName(), f.Message.GoIdent.GoName, "write"+verb(f.Message)); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s.message((w) => write%s(w, %s))", w, verb(f.Message), v), nil
	case "bytes":
		return w + ".blob(" + v + ")", nil
	case "fixed32", "sfixed32":
		return w + ".u32(" + v + ")", nil
	case "sfixed64":
		return w + ".fixed64(" + v + ")", nil
	case "uint64":
		return w + ".int64(" + v + ")", nil
	default:
		return w + "." + m + "(" + v + ")", nil
	}
}

func wireType(f *protogen.Field) protowire.Type {
	switch f.Desc.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

func key(f *protogen.Field, t protowire.Type) uint64 { return protowire.EncodeTag(f.Desc.Number(), t) }

func (g *generator) writer(m *protogen.Message, name string) error {
	writer, v := g.sdk("wire", "ProtoWriter"), verb(m)
	for _, fn := range []string{"encode", "decode", "write", "read"} {
		if err := g.declare(fn+v, "message "+string(m.Desc.FullName())); err != nil {
			return err
		}
	}
	g.p("")
	arg := "m"
	if len(m.Fields) == 0 {
		arg = "_m"
	}
	g.p("export function write%s(w: %s, %s: %s): %s {", v, writer, arg, name, writer)
	for _, f := range m.Fields {
		if err := g.writeField(f); err != nil {
			return err
		}
	}
	g.p("  return w;\n}")
	g.p("")
	g.p("export function encode%s(m: %s): %s {\n  return write%s(new %s(), m).done();\n}", v, name, g.bytes(), v, writer)
	return nil
}

func (g *generator) writeField(f *protogen.Field) error {
	at := "m." + fieldName(f)
	tag := fmt.Sprintf("w.uvarint(%d)", key(f, wireType(f)))
	if f.Desc.IsMap() {
		k, v := f.Message.Fields[0], f.Message.Fields[1]
		first, err := g.write(k, fmt.Sprintf("w.uvarint(%d)", key(k, wireType(k))), "k")
		if err != nil {
			return err
		}
		both, err := g.write(v, fmt.Sprintf("%s.uvarint(%d)", first, key(v, wireType(v))), "v")
		g.p("  for (const [k, v] of %s) %s.message((w) => %s);", at, tag, both)
		return err
	}
	if f.Desc.IsList() {
		one, err := g.write(f, tag, "v")
		if f.Desc.IsPacked() {
			one, err = g.write(f, "w", "v")
			g.p("  if (%s.length > 0) w.uvarint(%d).message((w) => %s.forEach((v) => %s));", at, key(f, protowire.BytesType), at, one)
			return err
		}
		g.p("  for (const v of %s) %s;", at, one)
		return err
	}
	if f.Message != nil {
		one, err := g.write(f, tag, "v")
		g.p("  const v%d = %s;", f.Desc.Number(), at)
		g.p("  if (v%d !== undefined) %s;", f.Desc.Number(), strings.Replace(one, "(w, v)", fmt.Sprintf("(w, v%d)", f.Desc.Number()), 1))
		return err
	}
	one, err := g.write(f, tag, at)
	g.p("  if (%s) %s;", g.present(f, at), one)
	return err
}

// present is the condition under which a field travels.
func (g *generator) present(f *protogen.Field, at string) string {
	switch {
	case optional(f):
		return at + " !== undefined"
	case f.Desc.Kind() == protoreflect.BoolKind:
		return at
	case f.Desc.Kind() == protoreflect.BytesKind:
		return at + ".length > 0"
	case f.Desc.Kind() == protoreflect.FloatKind || f.Desc.Kind() == protoreflect.DoubleKind:
		return "!Object.is(" + at + ", 0)" // −0 is no default
	}
	return at + " !== " + g.zero(f)
}

// read is the expression that reads a value.
func (g *generator) read(f *protogen.Field) (string, error) {
	if f.Message != nil {
		_, err := g.named(f.Message.Desc.FullName(), f.Message.GoIdent.GoName, "read"+verb(f.Message))
		return "r.message(read" + verb(f.Message) + ")", err
	}
	if f.Enum != nil {
		name, err := g.named(f.Enum.Desc.FullName(), f.Enum.GoIdent.GoName)
		return "r.int32() as " + name, err
	}
	return "r." + method(f) + "()", nil
}

func (g *generator) reader(m *protogen.Message, name string) error {
	reader, v := g.sdk("wire", "ProtoReader"), verb(m)
	var defaults []string
	for _, f := range m.Fields {
		switch {
		case f.Desc.IsMap():
			defaults = append(defaults, fieldName(f)+": new Map()")
		case f.Desc.IsList():
			defaults = append(defaults, fieldName(f)+": []")
		case !optional(f):
			defaults = append(defaults, fieldName(f)+": "+g.zero(f))
		}
	}
	g.p("")
	g.p("export function read%s(r: %s): %s {", v, reader, name)
	if line := strings.Join(defaults, ", "); len(defaults) == 0 {
		g.p("  const m: %s = {};", name)
	} else if len(line) < 100 {
		g.p("  const m: %s = { %s };", name, line)
	} else {
		g.p("  const m: %s = {\n    %s,\n  };", name, strings.Join(defaults, ",\n    "))
	}
	if len(m.Fields) == 0 {
		g.p("  while (r.next());")
	} else {
		g.p("  while (r.next()) {\n    switch (r.number) {")
		for _, f := range m.Fields {
			line, err := g.readField(f)
			if err != nil {
				return err
			}
			g.p("      case %d: %s; break;", f.Desc.Number(), line)
		}
		g.p("    }\n  }")
	}
	g.p("  return m;\n}")
	g.p("")
	g.p("export function decode%s(data: %s): %s {\n  return read%s(new %s(data));\n}", v, g.bytes(), name, v, reader)
	return nil
}

func (g *generator) readField(f *protogen.Field) (string, error) {
	at := "m." + fieldName(f)
	if f.Desc.IsMap() {
		k, err := g.read(f.Message.Fields[0])
		if err != nil {
			return "", err
		}
		v, err := g.read(f.Message.Fields[1])
		if m := f.Message.Fields[1].Message; m != nil {
			_, err = g.named(m.Desc.FullName(), m.GoIdent.GoName, "decode"+verb(m))
		}
		return fmt.Sprintf("r.entry(%s, %s, %s, (r) => %s, (r) => %s)", at, g.zero(f.Message.Fields[0]), g.zero(f.Message.Fields[1]), k, v), err
	}
	one, err := g.read(f)
	if f.Desc.IsList() {
		if wireType(f) != protowire.BytesType {
			return fmt.Sprintf("r.numbers(%s, (r) => %s)", at, one), err
		}
		return at + ".push(" + one + ")", err
	}
	line := at + " = " + one
	if f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() { // the last one counts
		for _, o := range f.Oneof.Fields {
			if o != f {
				line += "; delete m." + fieldName(o)
			}
		}
	}
	return line, err
}
