package game_test

import (
	"math"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// FuzzCommands lets an operator send anything: it is answered once, nothing panics, and the record can be read.
func FuzzCommands(f *testing.F) {
	for i, m := range []proto.Message{
		&mmov1.TeleportRequest{Player: "player 7", X: 3, Z: math.Inf(1)}, &mmov1.SpawnRequest{Kind: "Bearer", X: proto.Float64(1), Z: proto.Float64(2)},
		&mmov1.DespawnRequest{Entity: 2<<32 | 1}, &mmov1.InspectRequest{Entity: 2<<32 | 1, Components: []string{"Bag"}}, &mmov1.GiveRequest{Player: "1007", What: "gold", Amount: -1},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Fuzz(func(t *testing.T, route byte, payload []byte) {
		d := sit(t, nil)
		d.z.Step([]game.Input{join(1, 7)})
		r := protocol.RouteTeleport + uint16(route%5)
		out := d.z.Step([]game.Input{{Kind: game.Operate, Name: "ops", Rights: []string{"gm"}, Route: r, ID: 1, Payload: payload}})
		if len(out.Operated) != 1 || len(out.Panics) > 0 {
			t.Fatalf("%d answers, panics %v", len(out.Operated), out.Panics)
		}
		if says := (&game.Game{}).Arguments(r, payload); !utf8.ValidString(says) || len(says) > 4200 {
			t.Errorf("on record is %q", says)
		}
	})
}
