package gametest_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// A test of a rule: who walks over a border goes on walking in the next zone.
func ExampleOpen() {
	g := &game.Game{Name: "walk", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Setup = func(z *game.Zone) error { z.System(z.Drift); return nil }
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 900, 500)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	game.OnPush(g, protocol.Route{ID: 64, Name: "walk.go"}, func(_ *game.Zone, p *game.Player, m *wrapperspb.Int32Value) error {
		p.Avatar().SetVelocity(m.Value, 0)
		return nil
	})

	t := new(testing.T) // func TestWalkerCrossesTheBorder(t *testing.T)
	w := gametest.Open(t, g, game.Grid(game.Config{Width: 2000, Height: 1000, Margin: 80}, 2, 1)...)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(1)
	ann.Push(64, wrapperspb.Int32(10))
	w.Tick(30)
	x, _ := ann.Avatar().Position()
	fmt.Println(ann.Zone().Config().Zone, x, ben.Sees(ann.Avatar().ID()))
	// Output: 2 1200 true
}
