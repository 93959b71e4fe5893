package gomsg

import (
	"strconv"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func itoa(n int) string { return strconv.Itoa(n) }

// stackKeys is how many keys of a map are sorted on the stack.
const stackKeys = 16

// append writes AppendFast: one pass. What needs its length in front is written after a hole of one byte, which is widened in the rare case that the length
// takes more; to size it first would visit everything twice.
func (w *writer) append(message *protogen.Message) {
	w.P()
	w.P("// AppendFast appends m to b as proto.MarshalOptions{Deterministic: true} would. Without room in b it allocates; after an error the result is of no use.")
	w.P("func (m *", message.GoIdent, ") AppendFast(b []byte) ([]byte, error) {")
	w.P("if m == nil {")
	w.P("return b, nil")
	w.P("}")
	w.P("if cap(b) == 0 {")
	w.P("b = make([]byte, 0, m.SizeFast())")
	w.P("}")
	for _, field := range inOrder(message) {
		x := "m." + field.GoName
		switch {
		case inOneof(field):
			w.P("switch o := m.", field.Oneof.GoName, ".(type) {")
			for _, member := range field.Oneof.Fields {
				w.P("case *", member.GoIdent, ":")
				w.P("if o != nil {")
				w.appendOne(member, "o."+member.GoName)
				w.P("}")
			}
			w.P("}")
		case field.Desc.IsMap():
			w.appendMap(field, x)
		case field.Desc.IsList():
			w.appendList(field, x)
		case pointed(field):
			w.P("if ", x, " != nil {")
			w.appendOne(field, "*"+x)
			w.P("}")
		case wireType(field) == protowire.VarintType && field.Desc.Kind() != protoreflect.BoolKind:
			w.appendVarint(field, "v := "+w.bits(field, x), true)
		case wireType(field) == protowire.Fixed32Type || wireType(field) == protowire.Fixed64Type:
			w.P("if v := ", w.bits(field, x), "; v != 0 {")
			w.appendFixed(field)
			w.P("}")
		default:
			w.P("if ", w.present(field, x), " {")
			w.appendOne(field, x)
			w.P("}")
		}
	}
	w.P("return append(b, m.unknownFields...), nil")
	w.P("}")
}

// appendVarint writes the code for key and varint of v, which init declares; the short forms, nearly all there are, without a call.
func (w *writer) appendVarint(field *protogen.Field, init string, omitZero bool) {
	_, key := tag(field, wireType(field))
	w.P("if ", init, "; v >= 1<<14 {")
	w.P("b = ", w.wire("AppendVarint"), "(append(b, ", key, "), v)")
	w.P("} else if v >= 1<<7 {")
	w.P("b = append(b, ", key, ", byte(v)|0x80, byte(v>>7))")
	if omitZero {
		w.P("} else if v != 0 {")
	} else {
		w.P("} else {")
	}
	w.P("b = append(b, ", key, ", byte(v))")
	w.P("}")
}

// appendFixed writes the code for key and v.
func (w *writer) appendFixed(field *protogen.Field) {
	_, key := tag(field, wireType(field))
	if wireType(field) == protowire.Fixed32Type {
		w.P("b = append(b, ", key, ", byte(v), byte(v>>8), byte(v>>16), byte(v>>24))")
	} else {
		w.P("b = append(b, ", key, ", byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))")
	}
}

// appendOne writes the code for key and value x, whatever x is.
func (w *writer) appendOne(field *protogen.Field, x string) {
	_, key := tag(field, protowire.BytesType)
	switch kind := field.Desc.Kind(); {
	case kind == protoreflect.MessageKind:
		w.open(key)
		w.P("var err error")
		if w.isFast(field) {
			w.P("if b, err = ", x, ".AppendFast(b); err != nil {")
			w.P("return b, err")
		} else {
			w.P("if b, err = (", protoPackage.Ident("MarshalOptions"), "{Deterministic: true}).MarshalAppend(b, ", x, "); err != nil {")
			w.P("return b, ", fmtPackage.Ident("Errorf"), `("`, named(field), `: %w", err)`)
		}
		w.P("}")
		w.close()
	case kind == protoreflect.StringKind:
		w.P("if !", utf8Package.Ident("ValidString"), "(", x, ") {")
		w.P("return b, ", w.notUTF8(field))
		w.P("}")
		w.appendVarint(field, "v := uint64(len("+x+"))", false)
		w.P("b = append(b, ", x, "...)")
	case kind == protoreflect.BytesKind:
		w.appendVarint(field, "v := uint64(len("+x+"))", false)
		w.P("b = append(b, ", x, "...)")
	case kind == protoreflect.BoolKind:
		_, key := tag(field, protowire.VarintType)
		if field.Desc.HasPresence() || field.Desc.IsList() || field.Parent.Desc.IsMapEntry() {
			w.P("b = append(b, ", key, ", byte(", w.bits(field, x), "))")
		} else {
			w.P("b = append(b, ", key, ", 1)")
		}
	case wireType(field) == protowire.VarintType:
		w.appendVarint(field, "v := "+w.bits(field, x), false)
	default:
		w.P("{")
		w.P("v := ", w.bits(field, x))
		w.appendFixed(field)
		w.P("}")
	}
}

// open begins a part that has its length in front; close ends it. Both are statements of one block, so that at is declared once in it.
func (w *writer) open(key string) {
	w.P("{")
	w.P("b = append(b, ", key, ", 0)")
	w.P("at := len(b)")
}

func (w *writer) close() {
	w.P("if n := len(b) - at; n < 0x80 {")
	w.P("b[at-1] = byte(n)")
	w.P("} else {")
	w.P("b = ", slicesPkg.Ident("Replace"), "(b, at-1, at, ", w.wire("AppendVarint"), "(make([]byte, 0, 10), uint64(n))...)")
	w.P("}")
	w.P("}")
}

func (w *writer) appendList(field *protogen.Field, x string) {
	if !field.Desc.IsPacked() {
		w.P("for _, v := range ", x, " {")
		w.appendOne(field, "v")
		w.P("}")
		return
	}
	_, key := tag(field, protowire.BytesType)
	w.P("if len(", x, ") > 0 {")
	if fixed := width(field); fixed != 0 {
		w.P("b = ", w.wire("AppendVarint"), "(append(b, ", key, "), uint64(", fixed, "*len(", x, ")))")
		w.P("for _, v := range ", x, " {")
		switch fixed {
		case 1:
			w.P("b = append(b, byte(", w.bits(field, "v"), "))")
		case 4:
			w.P("b = ", w.wire("AppendFixed32"), "(b, ", w.bits(field, "v"), ")")
		case 8:
			w.P("b = ", w.wire("AppendFixed64"), "(b, ", w.bits(field, "v"), ")")
		}
		w.P("}")
	} else {
		w.open(key)
		w.P("for _, v := range ", x, " {")
		w.P("if v := ", w.bits(field, "v"), "; v < 0x80 {")
		w.P("b = append(b, byte(v))")
		w.P("} else {")
		w.P("b = ", w.wire("AppendVarint"), "(b, v)")
		w.P("}")
		w.P("}")
		w.close()
	}
	w.P("}")
}

// appendMap writes the code for the entries by key.
func (w *writer) appendMap(field *protogen.Field, x string) {
	key, val := field.Message.Fields[0], field.Message.Fields[1]
	w.P("if len(", x, ") > 0 {")
	if key.Desc.Kind() == protoreflect.BoolKind {
		w.P("for _, k := range [2]bool{false, true} {")
		w.P("e, ok := ", x, "[k]")
		w.P("if !ok {")
		w.P("continue")
		w.P("}")
	} else {
		w.P("var room [", stackKeys, "]", w.goType(key))
		w.P("keys := room[:0]")
		w.P("for k := range ", x, " {")
		w.P("keys = append(keys, k)")
		w.P("}")
		w.P(slicesPkg.Ident("Sort"), "(keys)")
		w.P("for _, k := range keys {")
		w.P("e := ", x, "[k]")
	}
	_, head := tag(field, protowire.BytesType)
	w.open(head)
	w.appendOne(key, "k")
	w.appendOne(val, "e")
	w.close()
	w.P("}")
	w.P("}")
}

// notUTF8 is the error of a string field that is not UTF-8.
func (w *writer) notUTF8(field *protogen.Field) string {
	return w.QualifiedGoIdent(errorsPkg.Ident("New")) + `("` + named(field) + ` is not UTF-8: a string must be, other bytes need a field of type bytes")`
}
