package plains

import (
	"math"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// drop leaves coins at a place.
func (w *world) drop(x, z int32, coins uint32) {
	bind.Worth(w.add(bind.KindCoin, x, z)).SetCoins(coins)
}

// pickUp is a hero's turn to look what lies at its feet. Of two on one spot, the one whose turn comes first has it.
func (w *world) pickUp(e game.Entity) {
	if e.Dead() {
		return
	}
	x, z := e.Position()
	for _, found := range w.Nearest(x, z, bind.QuantaPerMetre, 4, func(e game.Entity) bool { return e.Kind() == bind.KindCoin }) {
		bind.Purse(e).AddCoins(int32(bind.Worth(found).Coins()))
		w.Despawn(found)
	}
}

// give is the command gm.give: whoever has the right "gm" types it, and it is put on record.
func give(_ *game.Zone, p *game.Player, what string, amount int64) error {
	h, ok := bind.HeroOf(p.Avatar())
	if !ok || what != "coins" {
		return refuse(CodeCannot, "coins can be given, to a living hero")
	}
	h.Purse().AddCoins(int32(min(max(amount, math.MinInt32), math.MaxInt32)))
	return nil
}
