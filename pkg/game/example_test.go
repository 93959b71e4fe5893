package game_test

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Example is a whole game: everyone who joins stands in the middle and may ask to be healed. Two ticks of it are stepped by hand, as a test would.
func Example() {
	g := &game.Game{Name: "infirmary", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		c := z.Config()
		hero, err := z.Spawn(1, c.Width/2, c.Height/2)
		if err != nil {
			return err
		}
		setHP(hero, 40)
		return z.Control(p, hero)
	}
	game.OnRequest(g, protocol.Route{ID: 64, Name: "infirmary.heal"},
		func(_ *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) (*wrapperspb.UInt32Value, error) {
			if m.Value > 100 {
				return nil, &game.Error{Code: 1000, Message: "that is not medicine any more"}
			}
			hp := p.Avatar().Cell(deltatest.Vitals) // generated bindings say bind.Vitals(p.Avatar()).AddHp(25)
			hp.Set(0, delta.AOI, hp.W(0)+m.Value)
			return wrapperspb.UInt32(hp.W(0)), nil
		})

	z, err := game.NewZone(g, game.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	z.Step([]game.Input{
		{Kind: game.AttachGateway, Gateway: 1},
		{Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1001, Name: "Ann"},
	})
	dose, _ := proto.Marshal(wrapperspb.UInt32(25))
	out := z.Step([]game.Input{{Kind: game.Receive, Session: 7, Route: 64, ID: 1, Payload: dose}})

	var health wrapperspb.UInt32Value
	reply := out.Messages[0]
	err = proto.Unmarshal(reply.Payload, &health)
	fmt.Println(z.Tick(), z.Len(), z.Seen(7), reply.Type, reply.ID, health.Value, err)
	// Output: 2 1 1 response 1 65 <nil>
}
