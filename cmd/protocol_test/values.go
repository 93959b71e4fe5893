package main

import (
	"fmt"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func wireName(wire protowire.Type) string {
	return map[protowire.Type]string{protowire.VarintType: "varint", protowire.Fixed32Type: "fixed32", protowire.Fixed64Type: "fixed64",
		protowire.BytesType: "length", protowire.StartGroupType: "group", protowire.EndGroupType: "end of a group"}[wire]
}

// wireOf is how one value of a kind is written.
func wireOf(kind protoreflect.Kind) protowire.Type {
	switch kind {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

// number64 words a varint.
func number64(n uint64, field protoreflect.FieldDescriptor) string {
	if field == nil {
		return strconv.FormatUint(n, 10)
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return strconv.FormatBool(n != 0)
	case protoreflect.Int32Kind:
		return strconv.Itoa(int(int32(n)))
	case protoreflect.Int64Kind:
		return strconv.FormatInt(int64(n), 10)
	case protoreflect.Sint32Kind:
		return strconv.Itoa(int(int32(protowire.DecodeZigZag(n & math.MaxUint32))))
	case protoreflect.Sint64Kind:
		return strconv.FormatInt(protowire.DecodeZigZag(n), 10)
	case protoreflect.Uint32Kind:
		return strconv.FormatUint(uint64(uint32(n)), 10)
	case protoreflect.EnumKind:
		if v := field.Enum().Values().ByNumber(protoreflect.EnumNumber(int32(n))); v != nil {
			return string(v.Name())
		}
		return strconv.Itoa(int(int32(n))) + " (no name)"
	}
	return strconv.FormatUint(n, 10)
}

// fixed words a number of 32 or 64 bits.
func fixed(n uint64, bits int, field protoreflect.FieldDescriptor) string {
	if field != nil {
		switch field.Kind() {
		case protoreflect.FloatKind:
			return strconv.FormatFloat(float64(math.Float32frombits(uint32(n))), 'g', -1, 32)
		case protoreflect.DoubleKind:
			return strconv.FormatFloat(math.Float64frombits(n), 'g', -1, 64)
		case protoreflect.Sfixed32Kind:
			return strconv.Itoa(int(int32(n)))
		case protoreflect.Sfixed64Kind:
			return strconv.FormatInt(int64(n), 10)
		}
		return strconv.FormatUint(n, 10)
	}
	if bits == 32 {
		return fmt.Sprintf("%d (float %g)", n, math.Float32frombits(uint32(n)))
	}
	return fmt.Sprintf("%d (double %g)", n, math.Float64frombits(n))
}

// looksLikeText: printable, and long enough not to be chance.
func looksLikeText(b []byte) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// looksLikeMessage: fields of small numbers from beginning to end.
func looksLikeMessage(b []byte) bool {
	whole := len(b)
	for len(b) > 0 {
		number, _, size := protowire.ConsumeField(b)
		if size < 0 || number > 10_000 {
			return false
		}
		b = b[size:]
	}
	return whole > 0
}
