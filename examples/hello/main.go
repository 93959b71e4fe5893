// Command hello is the smallest game: players walk, see each other and hit each other.
package main

import (
	hellov1 "github.com/tianxia-mmo/tianxia/proto_define/hello/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/hello/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func main() {
	g := bind.NewGame() // generated from hello.proto: entities, messages, routes
	g.OnJoin(func(_ *game.Zone, _ *game.Player, h bind.Hero) error {
		h.Vitals().SetHp(100)
		return nil
	})
	g.OnMove(func(_ *game.Zone, _ *game.Player, h bind.Hero, m *hellov1.Move) error {
		h.Transform().SetVel(min(max(m.Vx, -5), 5), min(max(m.Vz, -5), 5))
		return nil
	})
	g.OnAttack(func(z *game.Zone, p *game.Player, h bind.Hero, m *hellov1.Attack) error {
		t, ok := z.Visible(p, game.EntityID(m.Target)) // seen, and alive
		if !ok || z.Distance(h, t) > 3 {
			return &game.Error{Code: 1000, Message: "out of reach"}
		}
		bind.Vitals(t).AddHp(-10) // never below the range that the schema states
		return bind.EmitHit(z, t, &hellov1.Hit{Target: m.Target, Damage: 10})
	})
	g.Setup = func(z *game.Zone) error {
		z.System(z.Drift) // everything moves along its velocity, and stops at the walls
		return nil
	}
	tianxia.Main(g)
}
