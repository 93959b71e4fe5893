package tsgen

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// messages writes the package's messages. Components and kinds are messages for what holds them only; what only components hold has an interface and no
// codec: it travels by layout.
func (g *generator) messages() error {
	var list []*protogen.Message
	for _, f := range g.s.Files {
		each(f.Messages, func(m *protogen.Message) {
			if g.plan.shown[m.Desc.FullName()] {
				list = append(list, m)
			}
		})
	}
	for _, m := range list { // names first: messages may refer to later ones
		name := typeName(m.GoIdent.GoName)
		g.ts[m.Desc.FullName()] = name
		if err := g.declare(name, "message "+string(m.Desc.FullName()), m.Desc); err != nil {
			return err
		}
	}
	for _, m := range list {
		if err := g.message(m, g.plan.coded[m.Desc.FullName()]); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) message(m *protogen.Message, codec bool) error {
	name := g.ts[m.Desc.FullName()]
	g.p("")
	g.doc("", comment(m.Comments, name+" is a message."))
	g.p("export interface %s {", name)
	for _, f := range m.Fields {
		t, err := g.fieldType(f)
		if err != nil {
			return g.wrong(f.Desc, "field %s of %s: %v", f.Desc.Name(), m.Desc.FullName(), err)
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
	for _, fn := range []string{"encode", "decode", "write", "read"} {
		if err := g.declare(fn+verb(m), "message "+string(m.Desc.FullName()), m.Desc); err != nil {
			return err
		}
	}
	g.writer(m, name)
	g.reader(m, name)
	return nil
}

func fieldName(f *protogen.Field) string { return camel(string(f.Desc.Name())) }

// optional tells whether a field may be undefined.
func optional(f *protogen.Field) bool { return f.Desc.HasPresence() }

// verb is the name of the codec functions' type part: encodeError, although the interface is ErrorMessage.
func verb(m *protogen.Message) string { return strings.ReplaceAll(m.GoIdent.GoName, "_", "") }

// named is the TypeScript type of a message or enum, imported if it is another schema's.
func (g *generator) named(d protoreflect.Descriptor, goName string) (string, error) {
	if name, ok := g.ts[d.FullName()]; ok {
		return name, nil
	}
	if module := g.module(d); module != "" {
		return g.use(module, "type "+typeName(goName)), nil
	}
	pkg := d.ParentFile().Package()
	if strings.HasPrefix(string(pkg), "google.protobuf") {
		return "", fmt.Errorf("%s has no TypeScript: only messages and enums of schemas with option typescript have; copy the fields that you need into a message of "+
			"your own, or use a plain field (a time as int64 at_ms, a wrapped number as optional number)", d.FullName())
	}
	return "", fmt.Errorf("%s has no TypeScript: only messages and enums of schemas with option typescript have; give package %s option (mmo.schema) = {typescript: \"…\"}, "+
		"or copy the type into package %s", d.FullName(), pkg, g.s.Package)
}

// function is what this file calls the function of a message's type that encodes, decodes, writes or reads one.
func (g *generator) function(does string, m *protogen.Message) string {
	if module := g.module(m.Desc); module != "" {
		return g.use(module, does+verb(m))
	}
	return does + verb(m)
}

// module is the file that has the TypeScript of another schema's type, relative to this one; "": it is of this schema, or there is none.
func (g *generator) module(d protoreflect.Descriptor) string {
	for _, s := range g.tree.Schemas {
		if s != g.s && s.TypeScript != "" && s.Package == string(d.ParentFile().Package()) {
			return relative(path.Dir(g.s.TypeScript), s.TypeScript)
		}
	}
	return ""
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
		return g.named(f.Message.Desc, f.Message.GoIdent.GoName)
	case protoreflect.EnumKind:
		return g.named(f.Enum.Desc, f.Enum.GoIdent.GoName)
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
		return g.function("decode", f.Message) + "(new Uint8Array(0))"
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

// write is the expression that appends a value without its key. That its type has TypeScript is known by now.
func (g *generator) write(f *protogen.Field, w, v string) string {
	switch m := method(f); m {
	case "message":
		return fmt.Sprintf("%s.message((w) => %s(w, %s))", w, g.function("write", f.Message), v)
	case "bytes":
		return w + ".blob(" + v + ")"
	case "fixed32", "sfixed32":
		return w + ".u32(" + v + ")"
	case "sfixed64":
		return w + ".fixed64(" + v + ")"
	case "uint64":
		return w + ".int64(" + v + ")"
	default:
		return w + "." + m + "(" + v + ")"
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

func (g *generator) writer(m *protogen.Message, name string) {
	writer, v := g.sdk("wire", "ProtoWriter"), verb(m)
	g.p("")
	arg := "m"
	if len(m.Fields) == 0 {
		arg = "_m"
	}
	g.p("export function write%s(w: %s, %s: %s): %s {", v, writer, arg, name, writer)
	for _, f := range m.Fields {
		g.writeField(f)
	}
	g.p("  return w;\n}")
	g.p("")
	g.p("export function encode%s(m: %s): %s {\n  return write%s(new %s(), m).done();\n}", v, name, g.bytes(), v, writer)
}

func (g *generator) writeField(f *protogen.Field) {
	at := "m." + fieldName(f)
	tag := fmt.Sprintf("w.uvarint(%d)", key(f, wireType(f)))
	switch {
	case f.Desc.IsMap():
		k, v := f.Message.Fields[0], f.Message.Fields[1]
		first := g.write(k, fmt.Sprintf("w.uvarint(%d)", key(k, wireType(k))), "k")
		g.p("  for (const [k, v] of %s) %s.message((w) => %s);", at, tag, g.write(v, fmt.Sprintf("%s.uvarint(%d)", first, key(v, wireType(v))), "v"))
	case f.Desc.IsList() && f.Desc.IsPacked():
		g.p("  if (%s.length > 0) w.uvarint(%d).message((w) => %s.forEach((v) => %s));", at, key(f, protowire.BytesType), at, g.write(f, "w", "v"))
	case f.Desc.IsList():
		g.p("  for (const v of %s) %s;", at, g.write(f, tag, "v"))
	case f.Message != nil:
		v := fmt.Sprintf("v%d", f.Desc.Number())
		g.p("  const %s = %s;", v, at)
		g.p("  if (%s !== undefined) %s;", v, g.write(f, tag, v))
	default:
		g.p("  if (%s) %s;", g.present(f, at), g.write(f, tag, at))
	}
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
func (g *generator) read(f *protogen.Field) string {
	if f.Message != nil {
		return "r.message(" + g.function("read", f.Message) + ")"
	}
	if f.Enum != nil {
		name, _ := g.named(f.Enum.Desc, f.Enum.GoIdent.GoName) // the field's type has asked before
		return "r.int32() as " + name
	}
	return "r." + method(f) + "()"
}

func (g *generator) reader(m *protogen.Message, name string) {
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
			g.p("      case %d: %s; break;", f.Desc.Number(), g.readField(f))
		}
		g.p("    }\n  }")
	}
	g.p("  return m;\n}")
	g.p("")
	g.p("export function decode%s(data: %s): %s {\n  return read%s(new %s(data));\n}", v, g.bytes(), name, v, reader)
}

func (g *generator) readField(f *protogen.Field) string {
	at := "m." + fieldName(f)
	if f.Desc.IsMap() {
		k, v := f.Message.Fields[0], f.Message.Fields[1]
		return fmt.Sprintf("r.entry(%s, %s, %s, (r) => %s, (r) => %s)", at, g.zero(k), g.zero(v), g.read(k), g.read(v))
	}
	one := g.read(f)
	if f.Desc.IsList() {
		if wireType(f) != protowire.BytesType {
			return fmt.Sprintf("r.numbers(%s, (r) => %s)", at, one)
		}
		return at + ".push(" + one + ")"
	}
	line := at + " = " + one
	if f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() { // the last one counts
		for _, o := range f.Oneof.Fields {
			if o != f {
				line += "; delete m." + fieldName(o)
			}
		}
	}
	return line
}
