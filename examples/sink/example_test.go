package sink_test

import (
	"fmt"

	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// Example registers handlers with generated bindings, and uses components the way rules do.
func Example() {
	g := bind.NewGame()
	g.OnJoin(func(_ *game.Zone, _ *game.Player, h bind.Hero) error {
		h.Flat().SetPos(100, 50)
		h.Ranges().SetSmall(80)
		h.Texts().SetShort("Ann")
		return nil
	})
	g.OnWave(func(z *game.Zone, p *game.Player, h bind.Hero, m *pb.Wave) error {
		for other := range bind.Heroes(z) {
			if z.Distance(h, other) < 10 {
				fmt.Println(h.Texts().Short(), "waves:", m.Text, other.Ranges().AddSmall(-100))
			}
		}
		return nil
	})
	z, err := game.NewZone(g.Define(), game.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	z.Step([]game.Input{{Kind: game.AttachGateway, Gateway: 1}, {Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1}})
	z.Step([]game.Input{{Kind: game.Receive, Session: 7, Route: bind.RouteWave, Payload: []byte("\x0a\x02hi")}})
	for h := range bind.Heroes(z) {
		fmt.Println(h.Flat())
	}
	// Output:
	// Ann waves: hi 1
	// Flat{x: 100, z: 50, vx: 0, vz: 0, yaw: 0, gaze: -, mood: MOOD_CALM, sign: "", stamina: 0, secret: 0}
}
