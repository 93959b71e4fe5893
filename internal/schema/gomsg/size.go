package gomsg

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// size writes SizeFast.
func (w *writer) size(message *protogen.Message) {
	w.P()
	w.P("// SizeFast is the number of bytes that AppendFast appends.")
	w.P("func (m *", message.GoIdent, ") SizeFast() int {")
	w.P("if m == nil {")
	w.P("return 0")
	w.P("}")
	w.P("n := len(m.unknownFields)")
	for _, field := range inOrder(message) {
		x := "m." + field.GoName
		switch {
		case inOneof(field):
			w.P("switch o := m.", field.Oneof.GoName, ".(type) {")
			for _, member := range field.Oneof.Fields {
				w.P("case *", member.GoIdent, ":")
				w.P("if o != nil {")
				w.P("n += ", w.sizeOf(member, "o."+member.GoName))
				w.P("}")
			}
			w.P("}")
		case field.Desc.IsMap():
			w.P("for k, v := range ", x, " {")
			if w.fixedEntry(field) {
				w.P("_, _ = k, v")
			} else if key, val := field.Message.Fields[0], field.Message.Fields[1]; width(key) != 0 {
				w.P("_ = k")
			} else if width(val) != 0 {
				w.P("_ = v")
			}
			w.P("n += ", tagSize(field), " + ", w.wire("SizeBytes"), "(", w.sizeOf(field.Message.Fields[0], "k"), " + ",
				w.sizeOf(field.Message.Fields[1], "v"), ")")
			w.P("}")
		case field.Desc.IsList():
			w.sizeList(field, x)
		case pointed(field):
			w.P("if ", x, " != nil {")
			w.P("n += ", w.sizeOf(field, "*"+x))
			w.P("}")
		default:
			w.P("if ", w.present(field, x), " {")
			w.P("n += ", w.sizeOf(field, x))
			w.P("}")
		}
	}
	w.P("return n")
	w.P("}")
}

// fixedEntry says whether all entries of the map have one size.
func (w *writer) fixedEntry(field *protogen.Field) bool {
	return width(field.Message.Fields[0]) != 0 && width(field.Message.Fields[1]) != 0
}

// present is the condition under which a field that is no list, map, pointer or part of a oneof travels.
func (w *writer) present(field *protogen.Field, x string) string {
	switch field.Desc.Kind() {
	case protoreflect.MessageKind:
		return x + " != nil"
	case protoreflect.BytesKind, protoreflect.StringKind:
		if field.Desc.HasPresence() {
			return x + " != nil"
		}
		return "len(" + x + ") > 0"
	case protoreflect.BoolKind:
		return x
	case protoreflect.FloatKind, protoreflect.DoubleKind: // -0 is not the default
		return w.bits(field, x) + " != 0"
	}
	return x + " != 0"
}

func (w *writer) sizeList(field *protogen.Field, x string) {
	fixed := width(field)
	switch {
	case field.Desc.IsPacked() && fixed != 0:
		w.P("if len(", x, ") > 0 {")
		w.P("n += ", tagSize(field), " + ", w.wire("SizeBytes"), "(", fixed, " * len(", x, "))")
		w.P("}")
	case fixed != 0:
		w.P("n += ", tagSize(field)+fixed, " * len(", x, ")")
	case field.Desc.IsPacked():
		w.P("if len(", x, ") > 0 {")
		w.P("l := 0")
		w.P("for _, v := range ", x, " {")
		w.P("l += ", w.wire("SizeVarint"), "(", w.bits(field, "v"), ")")
		w.P("}")
		w.P("n += ", tagSize(field), " + ", w.wire("SizeBytes"), "(l)")
		w.P("}")
	default:
		w.P("for _, v := range ", x, " {")
		w.P("n += ", w.sizeOf(field, "v"))
		w.P("}")
	}
}

// sizeOf is the expression of the size of one value with its key.
func (w *writer) sizeOf(field *protogen.Field, x string) string {
	head := itoa(tagSize(field)) + " + "
	if fixed := width(field); fixed != 0 {
		return head + itoa(fixed)
	}
	switch {
	case field.Desc.Kind() == protoreflect.MessageKind && w.isFast(field):
		return head + w.wire("SizeBytes") + "(" + x + ".SizeFast())"
	case field.Desc.Kind() == protoreflect.MessageKind:
		return head + w.wire("SizeBytes") + "(" + w.QualifiedGoIdent(protoPackage.Ident("MarshalOptions")) + "{Deterministic: true}.Size(" + x + "))"
	case wireType(field) == protowire.BytesType:
		return head + w.wire("SizeBytes") + "(len(" + x + "))"
	}
	return head + w.wire("SizeVarint") + "(" + w.bits(field, x) + ")"
}
