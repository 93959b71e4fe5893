package plains

import (
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

const denSide = 48 * bind.QuantaPerMetre

// denConfig is a den as an instance: a zone of its own for each key, with the tables of the world it is entered from, opened for the first who comes and closed behind the last.
func denConfig(key uint64) game.Config {
	walls := newGround(denSide, [][4]int32{{20, 20, 24, 60}, {60, 20, 80, 24}, {76, 40, 80, 84}, {30, 76, 60, 80}})
	walls.den = true
	return game.Config{Seed: key, Width: denSide, Map: walls}
}

// inDen tells whether the zone is a den, by the ground there.
func (w *world) inDen() bool {
	g, ok := w.Map().(*ground)
	return ok && g.den
}

// atMouth tells whether a hero stands at the mouth of a den, on the side that it should.
func (w *world) atMouth(h bind.Hero, inside bool) bool {
	_, near := w.NearestOf(bind.KindDen, h, 5*bind.QuantaPerMetre)
	return near && inside == w.inDen()
}

// enterDen takes a hero into a den, which it shares with its party. Its components, timers and messages go with it; the zone it leaves remembers nothing.
func enterDen(z *game.Zone, p *game.Player, h bind.Hero, _ *plainsv1.EnterDen) error {
	if !of(z).atMouth(h, false) {
		return refuse(CodeCannot, "go to the mouth of a den first")
	}
	j := h.Journey()
	x, y := h.Position()
	j.SetZone(z.Config().Zone)
	j.SetX(x)
	j.SetZ(y)
	key := j.Party()
	if key == 0 {
		key = p.ID
	}
	return z.Transfer(h, game.Destination{Instance: "den", Key: key, X: denSide / 2, Y: denSide / 2})
}

// quitDen takes it back to where it came from.
func quitDen(z *game.Zone, _ *game.Player, h bind.Hero, _ *plainsv1.QuitDen) error {
	if !of(z).atMouth(h, true) {
		return refuse(CodeCannot, "go to the mouth of the den first")
	}
	j := h.Journey()
	return z.Transfer(h, game.Destination{Zone: j.Zone(), X: j.X(), Y: j.Z()})
}
