package plains

import (
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

const (
	heroHP     = 100
	heroDamage = 10
	reach      = 3*bind.QuantaPerMetre + bind.QuantaPerMetre/2 // of a blow: 3 m, and what both may walk while it is on its way
	respawn    = 3                                             // seconds
)

// attack strikes at whatever the client has named. Nobody knows yet where that lives, perhaps beyond a border: a call finds it, and what it answers is answered to the client.
func attack(z *game.Zone, _ *game.Player, h bind.Hero, m *plainsv1.AttackRequest, reply game.Reply[*plainsv1.AttackResponse]) error {
	if int32(h.Fight().Ready()-z.Tick()) > 0 {
		return refuse(CodeTooSoon, "the last blow was a moment ago")
	}
	h.Fight().SetReady(z.Tick() + z.TickHz()/2)
	return bind.AskStrike(z, h, game.EntityID(m.Target), &plainsv1.Strike{Damage: heroDamage}, game.Async{}, func(s *plainsv1.Struck, err error) {
		if err != nil {
			reply.Fail(err)
			return
		}
		_ = reply.Send(&plainsv1.AttackResponse{Hp: s.Hp}) // a client whose answer cannot be sent is told so
	})
}

// strike is a blow as the one it falls on takes it, in whose zone it runs: only here is known where that stands, and whether it still lives.
func strike(z *game.Zone, e game.Entity, from game.Caller, m *plainsv1.Strike) (*plainsv1.Struck, error) {
	w := of(z)
	if e.ID() == from.Entity || !e.Has(bind.ComponentFight) || e.Dead() || from.Session != 0 && !z.SeenBy(from, e) {
		return nil, refuse(CodeCannot, "there is nobody to fight")
	}
	x, y := e.Position()
	if !w.checks.CheckReach(from.X, from.Y, x, y).OK() || w.Map() != nil && !w.Map().Clear(from.X, from.Y, x, y) {
		return nil, refuse(CodeOutOfReach, "out of reach")
	}
	hp := bind.Vitals(e).AddHp(-m.Damage)
	if hp == 0 {
		z.Die(e, from.Entity, respawn*z.TickHz()) // once: e is Dead for all who strike after this one
		return &plainsv1.Struck{}, nil
	}
	return &plainsv1.Struck{Hp: hp}, bind.EmitHit(z, e, &plainsv1.Hit{Target: uint64(e.ID()), By: uint64(from.Entity), Damage: m.Damage})
}

// died is called once for each death, while the dead one is still there.
func died(z *game.Zone, e game.Entity, by game.EntityID) {
	var left, reward uint32
	if e.Kind() == bind.KindWolf {
		breed := of(z).breed()
		heap, _ := bind.TablesOf(z).Coins.Of(breed.GetDrop())
		left, reward = heap.GetCoins(), breed.GetReward()
	}
	if h, ok := bind.HeroOf(e); ok {
		left = h.Purse().Coins()
		if p := e.Player(); p != nil { // its next hero is another entity
			h.Journey().Into(&remember(p).journey)
		}
	}
	if left > 0 {
		x, y := e.Position()
		of(z).drop(x, y, left)
	}
	_ = bind.AskSlain(z, e, by, &plainsv1.Slain{Victim: uint64(e.ID()), Coins: reward}, game.Async{}, nil) // two numbers always fit
}

// slain is called for who has struck last, wherever it is by now: a reward is paid where the purse is.
func slain(z *game.Zone, e game.Entity, _ game.Caller, m *plainsv1.Slain) error {
	if h, ok := bind.HeroOf(e); ok {
		h.Purse().AddCoins(int32(m.Coins))
	}
	return bind.EmitFell(z, e, &plainsv1.Fell{Target: m.Victim, By: uint64(e.ID())})
}
