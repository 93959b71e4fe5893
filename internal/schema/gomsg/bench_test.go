package gomsg

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds"
)

// shape measures one message: the fast path and the standard library, into a message that is used again and into a new one each time.
func shape[M any, P interface {
	*M
	fastMessage
}](b *testing.B, name string, m P) {
	data, err := m.AppendFast(nil)
	if err != nil {
		b.Fatal(err)
	}
	room := make([]byte, 0, len(data))
	run := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	into := P(new(M))
	run("Append/"+name+"/fast", func() error { room, err = m.AppendFast(room[:0]); return err })
	run("Append/"+name+"/std", func() error { room, err = deterministic.MarshalAppend(room[:0], m); return err })
	run("Parse/"+name+"/fast", func() error { return into.ParseFast(data) })
	run("Parse/"+name+"/std", func() error { return proto.Unmarshal(data, into) })
	run("ParseNew/"+name+"/fast", func() error { return P(new(M)).ParseFast(data) })
	run("ParseNew/"+name+"/std", func() error { return proto.Unmarshal(data, P(new(M))) })
}

// Benchmark measures two messages of every connection, a report, a larger one, and one of everything.
func Benchmark(b *testing.B) {
	shape(b, "Steer", &allkinds.Steer{Seq: 51234, Tick: 120345, Vx: -80, Vz: 61})
	shape(b, "Welcome", &allkinds.Welcome{SessionId: 0x7123456789abcdef, PlayerId: 4711, Name: "Guan Yu", Rights: []string{"spectate", "play"}, Server: "0.1.0"})
	shape(b, "Measure", &allkinds.Measure{Players: 1200, Entities: 5400, TickUsP50: 812, TickUsP99: 4100, TickOverruns: 3})
	bag := &allkinds.Bag{Steer: &allkinds.Steer{Seq: 7, Tick: 90000}}
	for i := range 24 {
		bag.Items = append(bag.Items, &allkinds.Item{Id: uint32(1000 + i), Count: 3, Name: "a sharp axe", Gems: []uint32{1, 2, 300}})
	}
	shape(b, "Bag", bag)
	shape(b, "One", full(&allkinds.One{}))
	shape(b, "List", full(&allkinds.List{}))
	shape(b, "Map", full(&allkinds.Map{}))
}

// full fills m until little is absent.
func full[M fastMessage](m M) M {
	chance := rand.New(rand.NewPCG(3, 5))
	fields := m.ProtoReflect().Descriptor().Fields()
	for set := 0; set < fields.Len()*9/10; {
		m.Reset()
		fill(m.ProtoReflect(), chance, 2)
		set = 0
		m.ProtoReflect().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { set++; return true })
	}
	return m
}
