package protocol_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	hellov1 "github.com/tianxia-mmo/tianxia/proto_define/hello/v1"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// games are the messages of the sample games.
func games() map[string]protoreflect.FileDescriptor {
	return map[string]protoreflect.FileDescriptor{
		"hello": (&hellov1.Move{}).ProtoReflect().Descriptor().ParentFile(), "plains": (&plainsv1.Move{}).ProtoReflect().Descriptor().ParentFile(),
		"sink": (&sinkv1.Step{}).ProtoReflect().Descriptor().ParentFile(),
	}
}

// routesOf reads a game's routes from the options of its messages, all of them open in every state.
func routesOf(file protoreflect.FileDescriptor) []protocol.Route {
	list := protocol.FrameworkRoutes()
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		if !proto.HasExtension(m.Options(), mmo.E_Route) {
			continue
		}
		o := proto.GetExtension(m.Options(), mmo.E_Route).(*mmo.Route)
		r := protocol.Route{ID: uint16(o.Id), Name: strings.ToLower(string(m.FullName())), Kind: protocol.Push, Direction: protocol.Direction(o.From), MaxBytes: int(o.MaxBytes), Message: string(m.FullName())}
		if o.Reply != "" {
			r.Kind, r.Reply = protocol.Request, string(m.FullName().Parent().Append(protoreflect.Name(o.Reply)))
		}
		list = append(list, r)
	}
	return list
}

func tableOf(t testing.TB, list []protocol.Route) *protocol.Routes {
	t.Helper()
	routes, err := protocol.NewRoutes(list...)
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func converterOf(t testing.TB, list []protocol.Route) *protocol.Converter {
	t.Helper()
	descriptors, err := protocol.Descriptors(list)
	if err != nil {
		t.Fatal(err)
	}
	c, err := protocol.NewConverter(tableOf(t, list), descriptors)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plains is the converter of a sample game.
func plains(t testing.TB) *protocol.Converter { return converterOf(t, routesOf(games()["plains"])) }

// kind is a frame with its sender, and the message that is its payload.
type kind struct {
	frame     protocol.Frame
	direction protocol.Direction
	message   protoreflect.MessageType
}

// kindsOf are all frames with a message that routes allow.
func kindsOf(t testing.TB, list []protocol.Route) (all []kind) {
	t.Helper()
	add := func(f protocol.Frame, d protocol.Direction, name string) {
		t.Helper()
		m, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, kind{f, d, m})
	}
	for _, r := range list {
		for _, d := range []protocol.Direction{protocol.ClientToServer, protocol.ServerToClient} {
			if r.Direction&d == 0 {
				continue
			}
			if r.Kind == protocol.Push {
				add(protocol.Frame{Type: protocol.TypePush, Route: r.ID}, d, r.Message)
				continue
			}
			add(protocol.Frame{Type: protocol.TypeRequest, Route: r.ID, ID: 1}, d, r.Message)
			add(protocol.Frame{Type: protocol.TypeResponse, Route: r.ID, ID: 1}, d^protocol.BothWays, r.Reply)
			add(protocol.Frame{Type: protocol.TypeError, Route: r.ID, ID: 1}, d^protocol.BothWays, "mmo.v1.Error")
		}
	}
	for _, c := range []struct {
		id   uint16
		name string
	}{{4, "Goaway"}, {5, "Kick"}, {7, "Resume"}, {8, "Resumed"}, {9, "Queue"}, {10, "Warning"}} {
		d := protocol.ServerToClient
		if c.id == protocol.RouteResume {
			d = protocol.ClientToServer
		}
		add(protocol.Frame{Type: protocol.TypeControl, Route: c.id}, d, "mmo.v1."+c.name)
	}
	return all
}

// fill gives m random content, of a few levels.
func fill(m protoreflect.Message, chance *rand.Rand, depth int) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		one := func(f protoreflect.FieldDescriptor, fresh func() protoreflect.Value) protoreflect.Value {
			if f.Message() == nil {
				return scalar(f, chance)
			}
			v := fresh()
			fill(v.Message(), chance, depth-1)
			return v
		}
		switch {
		case chance.IntN(3) == 0 || depth == 0 && (f.Message() != nil):
		case f.IsMap():
			entries := m.Mutable(f).Map()
			for range chance.IntN(3) {
				entries.Set(scalar(f.MapKey(), chance).MapKey(), one(f.MapValue(), entries.NewValue))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range chance.IntN(3) {
				list.Append(one(f, list.NewElement))
			}
		default:
			m.Set(f, one(f, func() protoreflect.Value { return m.NewField(f) }))
		}
	}
}

func scalar(f protoreflect.FieldDescriptor, chance *rand.Rand) protoreflect.Value {
	n := chance.Uint64() >> chance.IntN(64)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % 8))
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
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("\x00\xff?>")[:n%5])
	}
	return protoreflect.ValueOfString([]string{"", "天下", "\" \\ \n\t \u2028 </a>", "  two  ", "\x00"}[n%5])
}

func canonical(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
