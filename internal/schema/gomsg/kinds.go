package gomsg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func sortByNumber(fields []*protogen.Field) {
	slices.SortFunc(fields, func(a, b *protogen.Field) int { return cmp.Compare(a.Desc.Number(), b.Desc.Number()) })
}

// wireType of one value of the field; a packed list is BytesType on top of it.
func wireType(field *protogen.Field) protowire.Type {
	switch field.Desc.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

// packable says whether lists of the field may travel packed, whatever the schema says.
func packable(field *protogen.Field) bool { return wireType(field) != protowire.BytesType }

// tag is the key of the field on the wire, and its bytes as the arguments of an append.
func tag(field *protogen.Field, as protowire.Type) (key uint64, bytes string) {
	key = protowire.EncodeTag(field.Desc.Number(), as)
	var parts []string
	for _, b := range protowire.AppendVarint(nil, key) {
		parts = append(parts, fmt.Sprint(b))
	}
	return key, strings.Join(parts, ", ")
}

// tagSize is the length of the key in bytes.
func tagSize(field *protogen.Field) int { return protowire.SizeTag(field.Desc.Number()) }

// goType of one value of the field, as in the struct; messages without the star.
func (w *writer) goType(field *protogen.Field) string {
	switch field.Desc.Kind() {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.EnumKind:
		return w.QualifiedGoIdent(field.Enum.GoIdent)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "int32"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "uint32"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "int64"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "uint64"
	case protoreflect.FloatKind:
		return "float32"
	case protoreflect.DoubleKind:
		return "float64"
	case protoreflect.StringKind:
		return "string"
	case protoreflect.BytesKind:
		return "[]byte"
	}
	return w.QualifiedGoIdent(field.Message.GoIdent)
}

// bits is the expression of what travels for value: a uint64 for a varint, a uint32 or uint64 for a fixed width.
func (w *writer) bits(field *protogen.Field, value string) string {
	switch field.Desc.Kind() {
	case protoreflect.BoolKind:
		return w.wire("EncodeBool") + "(" + value + ")"
	case protoreflect.Sint32Kind:
		return w.wire("EncodeZigZag") + "(int64(" + value + "))"
	case protoreflect.Sint64Kind:
		return w.wire("EncodeZigZag") + "(" + value + ")"
	case protoreflect.Sfixed32Kind:
		return "uint32(" + value + ")"
	case protoreflect.FloatKind:
		return w.QualifiedGoIdent(mathPackage.Ident("Float32bits")) + "(" + value + ")"
	case protoreflect.DoubleKind:
		return w.QualifiedGoIdent(mathPackage.Ident("Float64bits")) + "(" + value + ")"
	case protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return value
	}
	return "uint64(" + value + ")"
}

// value is the inverse of bits.
func (w *writer) value(field *protogen.Field, bits string) string {
	switch field.Desc.Kind() {
	case protoreflect.BoolKind:
		return bits + " != 0"
	case protoreflect.Sint32Kind: // what does not fit is cut off before the zigzag
		return "int32(" + w.wire("DecodeZigZag") + "(uint64(uint32(" + bits + "))))"
	case protoreflect.Sint64Kind:
		return w.wire("DecodeZigZag") + "(" + bits + ")"
	case protoreflect.FloatKind:
		return w.QualifiedGoIdent(mathPackage.Ident("Float32frombits")) + "(" + bits + ")"
	case protoreflect.DoubleKind:
		return w.QualifiedGoIdent(mathPackage.Ident("Float64frombits")) + "(" + bits + ")"
	case protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return bits
	}
	return w.goType(field) + "(" + bits + ")"
}

func (w *writer) wire(name string) string { return w.QualifiedGoIdent(wirePackage.Ident(name)) }

// width of a value in bytes; 0: it varies.
func width(field *protogen.Field) int {
	switch {
	case field.Desc.Kind() == protoreflect.BoolKind:
		return 1
	case wireType(field) == protowire.Fixed32Type:
		return 4
	case wireType(field) == protowire.Fixed64Type:
		return 8
	}
	return 0
}

// pointed says whether the struct holds a pointer to the value: an optional field of a scalar.
func pointed(field *protogen.Field) bool {
	return field.Desc.HasOptionalKeyword() && field.Desc.Kind() != protoreflect.BytesKind && field.Desc.Kind() != protoreflect.MessageKind
}

// isFast says whether the field's messages have the methods.
func (w *writer) isFast(field *protogen.Field) bool { return w.tree[field.Message.Desc.FullName()] }

// named is the field's name in errors.
func named(field *protogen.Field) string { return string(field.Desc.FullName()) }
