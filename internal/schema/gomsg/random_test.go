package gomsg

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds"
	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds/part"
)

// fastMessage is the interface of the package comment, with ReadFast.
type fastMessage interface {
	proto.Message
	SizeFast() int
	AppendFast(b []byte) ([]byte, error)
	ParseFast(b []byte) error
	ReadFast(b []byte, merge bool, depth int) error
	Reset()
}

// kinds are the messages that tests go through.
func kinds() []fastMessage {
	return []fastMessage{&allkinds.One{}, &allkinds.Optional{}, &allkinds.List{}, &allkinds.Map{}, &allkinds.Choice{}, &allkinds.Tree{}, &allkinds.Foreign{},
		&allkinds.Names{}, &allkinds.Wide{}, &allkinds.Steer{}, &allkinds.Welcome{}, &allkinds.Measure{}, &allkinds.Bag{}, &allkinds.Bare{}, &part.Part{}}
}

func fresh(m proto.Message) fastMessage { return m.ProtoReflect().New().Interface().(fastMessage) }

// eachKind runs a test once per message, each with chance of its own.
func eachKind(t *testing.T, do func(t *testing.T, of fastMessage, chance *rand.Rand)) {
	for i, m := range kinds() {
		t.Run(string(m.ProtoReflect().Descriptor().Name()), func(t *testing.T) { do(t, m, rand.New(rand.NewPCG(7, uint64(i)))) })
	}
}

// fill gives m random content: about one field in sparse stays absent.
func fill(m protoreflect.Message, chance *rand.Rand, depth int) {
	fields := m.Descriptor().Fields()
	share := 1 + chance.IntN(8) // of eight: now nearly empty, now full
	for i := range fields.Len() {
		field := fields.Get(i)
		if chance.IntN(8) >= share || depth <= 0 && field.Message() != nil {
			continue
		}
		switch {
		case field.IsMap():
			for range chance.IntN(20) {
				val := m.Mutable(field).Map().NewValue()
				if field.MapValue().Message() != nil {
					fill(val.Message(), chance, depth-2)
				} else {
					val = scalar(field.MapValue(), chance)
				}
				m.Mutable(field).Map().Set(scalar(field.MapKey(), chance).MapKey(), val)
			}
		case field.IsList():
			for range chance.IntN(9) {
				if field.Message() != nil {
					fill(m.Mutable(field).List().AppendMutable().Message(), chance, depth-2)
				} else {
					m.Mutable(field).List().Append(scalar(field, chance))
				}
			}
		case field.Message() != nil:
			fill(m.Mutable(field).Message(), chance, depth-1)
		default:
			m.Set(field, scalar(field, chance))
		}
	}
	if _, ours := m.Interface().(fastMessage); ours && chance.IntN(4) == 0 {
		m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9999, protowire.VarintType), number(chance)))
	}
}

// number is small, large or at an edge.
func number(chance *rand.Rand) uint64 {
	edges := []uint64{0, 1, 127, 128, 16383, 16384, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxUint64, 1 << 31, 1 << 63}
	switch chance.IntN(3) {
	case 0:
		return edges[chance.IntN(len(edges))]
	case 1:
		return chance.Uint64() >> chance.IntN(64)
	}
	return chance.Uint64N(300)
}

func scalar(field protoreflect.FieldDescriptor, chance *rand.Rand) protoreflect.Value {
	n := number(chance)
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.Float32frombits(uint32(n)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.Float64frombits(n))
	}
	text := strings.Repeat("天下a", chance.IntN(1+chance.IntN(90)))
	if field.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString(text)
	}
	return protoreflect.ValueOfBytes([]byte(text + "\xff"))
}

// scrawl writes records that a parser of the message takes seriously: its own numbers, mostly with the right wire types, in any order and any number of
// times, wrong ones, unknown ones, groups, and now and then a mistake.
func scrawl(message protoreflect.MessageDescriptor, chance *rand.Rand, depth int) (b []byte) {
	fields := message.Fields()
	for range chance.IntN(8) {
		number, wire := protowire.Number(1+chance.IntN(200)), protowire.Type(chance.IntN(6))
		var field protoreflect.FieldDescriptor
		if fields.Len() > 0 && chance.IntN(8) > 0 {
			field = fields.Get(chance.IntN(min(fields.Len(), 1+chance.IntN(fields.Len())))) // the first ones more often: they meet again
			number = field.Number()
			if chance.IntN(12) > 0 {
				wire = usual(field)
				if field.IsList() && chance.IntN(2) == 0 {
					wire = protowire.BytesType
				}
			}
		}
		if wire == protowire.EndGroupType && chance.IntN(20) > 0 {
			wire = protowire.StartGroupType
		}
		key := protowire.EncodeTag(number, wire)
		if chance.IntN(300) == 0 {
			key = chance.Uint64() >> chance.IntN(40)
		}
		if b = protowire.AppendVarint(b, key); chance.IntN(30) == 0 {
			b[len(b)-1] |= 0x80 // a longer form of the same
			b = append(b, 0)
		}
		b = append(b, payload(field, number, wire, chance, depth)...)
	}
	if len(b) > 0 && chance.IntN(20) == 0 {
		b = b[:chance.IntN(len(b))]
	}
	return b
}

func usual(field protoreflect.FieldDescriptor) protowire.Type {
	switch field.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

func payload(field protoreflect.FieldDescriptor, n protowire.Number, wire protowire.Type, chance *rand.Rand, depth int) (b []byte) {
	switch wire {
	case protowire.VarintType:
		return protowire.AppendVarint(nil, number(chance))
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(nil, chance.Uint32())
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(nil, chance.Uint64())
	case protowire.StartGroupType:
		for range chance.IntN(3) {
			inner := protowire.Type(chance.IntN(4))
			b = append(protowire.AppendTag(b, 3, inner), payload(nil, 3, inner, chance, depth-1)...)
		}
		return protowire.AppendTag(b, n, protowire.EndGroupType)
	case protowire.EndGroupType:
		return nil
	}
	switch {
	case field != nil && field.Message() != nil:
		if depth > 0 {
			b = scrawl(field.Message(), chance, depth-1)
		}
	case field != nil && field.IsList() && usual(field) != protowire.BytesType:
		for range chance.IntN(5) {
			b = append(b, payload(nil, 0, usual(field), chance, 0)...)
		}
	default:
		b = []byte(strings.Repeat("é", chance.IntN(1+chance.IntN(80))))
		if chance.IntN(40) == 0 {
			b = append(b, 0xc3)
		}
	}
	return protowire.AppendBytes(nil, b)
}

// mutate changes a few bytes.
func mutate(b []byte, chance *rand.Rand) []byte {
	b = append([]byte(nil), b...)
	for range 1 + chance.IntN(3) {
		if len(b) == 0 {
			return append(b, byte(chance.Uint32()))
		}
		at := chance.IntN(len(b))
		switch chance.IntN(5) {
		case 0:
			b[at] = byte(chance.Uint32())
		case 1:
			b[at] ^= 1 << chance.IntN(8)
		case 2:
			b = append(b[:at], b[at+1:]...)
		case 3:
			b = append(b[:at], append([]byte{byte(chance.Uint32())}, b[at:]...)...)
		case 4:
			b = b[:at]
		}
	}
	return b
}
