package main

import (
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fill gives m random content. dense, 0 to 1, is the share of fields that get some, and bounds how long lists and texts are; depth bounds nesting.
func fill(m protoreflect.Message, chance *rand.Rand, dense float64, depth int) {
	if known(m, chance) {
		return
	}
	longest := int(dense * 12)
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if chance.Float64() > dense || f.Message() != nil && (depth == 0 || f.Message().FullName() == "google.protobuf.Any") {
			continue
		}
		value := func(f protoreflect.FieldDescriptor, fresh func() protoreflect.Value) protoreflect.Value {
			if f.Message() == nil {
				return scalar(f, chance, longest)
			}
			v := fresh()
			fill(v.Message(), chance, dense, depth-1)
			return v
		}
		switch {
		case f.IsMap():
			entries := m.Mutable(f).Map()
			for range chance.IntN(longest + 1) {
				entries.Set(scalar(f.MapKey(), chance, longest).MapKey(), value(f.MapValue(), entries.NewValue))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range chance.IntN(longest + 1) {
				list.Append(value(f, list.NewElement))
			}
		default:
			m.Set(f, value(f, func() protoreflect.Value { return m.NewField(f) }))
		}
	}
}

// known fills messages of the library whose JSON allows less than their fields do.
func known(m protoreflect.Message, chance *rand.Rand) bool {
	set := func(name protoreflect.Name, v protoreflect.Value) { m.Set(m.Descriptor().Fields().ByName(name), v) }
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		set("seconds", protoreflect.ValueOfInt64(chance.Int64N(1<<32)))
		set("nanos", protoreflect.ValueOfInt32(chance.Int32N(1e9)))
	case "google.protobuf.FieldMask":
		m.Mutable(m.Descriptor().Fields().ByName("paths")).List().Append(protoreflect.ValueOfString("seq"))
	case "google.protobuf.Value":
		set("string_value", protoreflect.ValueOfString("天"))
	default:
		return false
	}
	return true
}

// scalar is a small number, one at an edge, or any; a text or bytes of at most longest characters.
func scalar(f protoreflect.FieldDescriptor, chance *rand.Rand, longest int) protoreflect.Value {
	edges := []uint64{0, 1, 127, 128, 16383, 16384, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxUint64, 1 << 31, 1 << 63}
	n := edges[chance.IntN(len(edges))]
	if chance.IntN(3) > 0 {
		n = chance.Uint64() >> chance.IntN(64)
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		if chance.IntN(8) == 0 {
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % 1000)) // of a newer schema, maybe
		}
		return protoreflect.ValueOfEnum(values.Get(chance.IntN(values.Len())).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32([]float32{0, 1.5, -1e-30, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))}[n%7])
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64([]float64{0, 1.5, -1e-300, math.MaxFloat64, math.Inf(-1), math.NaN(), math.Copysign(0, -1)}[n%7])
	}
	letters := []string{"a", "天", "\"", "\\", "\n", " ", "é", "\x00", "\u2028", "😀"}
	var b strings.Builder
	for range chance.IntN(longest + 1) {
		b.WriteString(letters[chance.IntN(len(letters))])
	}
	if f.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString(b.String())
	}
	return protoreflect.ValueOfBytes([]byte(b.String() + "\xff"))
}
