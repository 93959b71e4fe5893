package tianxia_test

import (
	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// The smallest game: everyone who joins gets an entity, and everything drifts east. Its body stands in the READMEs; a test keeps them equal.
func ExampleMain() {
	g := &game.Game{Name: "drift"}
	g.Setup = func(z *game.Zone) error {
		z.OnJoin = func(p *game.Player) error {
			hero, err := z.Spawn(1, 10*game.QuantaPerMetre, 10*game.QuantaPerMetre)
			if err != nil {
				return err
			}
			return z.Control(p, hero) // its view is the player's view
		}
		z.System(func() { // 20 times a second; whoever sees an entity is told only when it leaves this course
			for e := range z.Entities {
				s := e.State()
				e.SetPosition((s.X+16)%z.Config().Width, s.Z)
				e.SetVelocity(16, 0)
			}
		})
		return nil
	}
	tianxia.Main(g)
}
