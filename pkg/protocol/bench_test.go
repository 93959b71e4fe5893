package protocol_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"
)

func BenchmarkConvert(b *testing.B) {
	c := plains(b)
	move := canonical(b, &plainsv1.Move{Seq: 70000, Tick: 123456, Vx: -300, Vz: 299})
	login := canonical(b, &mmov1.LoginResponse{SessionId: 1 << 60, PlayerId: 77, Name: "alice", Rights: []string{"spectate"}, Server: "tianxia"})
	for _, kind := range []struct {
		name  string
		frame protocol.Frame
		from  protocol.Direction
	}{
		{"Move", protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: move}, protocol.ClientToServer},
		{"LoginResponse", protocol.Frame{Type: protocol.TypeResponse, Route: 32, ID: 1, Payload: login}, protocol.ServerToClient},
	} {
		text, err := c.ToJSON(nil, kind.frame, kind.from)
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, 1024)
		b.Run(kind.name+"/ToJSON", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ToJSON(dst, kind.frame, kind.from); err != nil {
					b.Fatal(err)
				}
			}
		})
		kind.frame.Payload = text
		b.Run(kind.name+"/FromJSON", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.FromJSON(dst, kind.frame, kind.from); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	object := []byte(`{"t":"push","r":"plains.v1.move","d":{"seq":70000,"tick":123456,"vx":-300,"vz":299}}`)
	b.Run("ParseText", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.ParseText(object); err != nil {
				b.Fatal(err)
			}
		}
	})
}
