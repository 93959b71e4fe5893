package plains

import (
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// breed is what the tables say of the zone's wolves. Tables may change between ticks: nobody keeps a row.
func (w *world) breed() *plainsv1.Breed {
	name := "grey"
	if w.inDen() {
		name = "den"
	}
	b, _ := bind.TablesOf(w.Zone).Wolves.Of(name)
	return b // of no row, all numbers are 0: getters say so
}

// settle makes a wolf at home where it stands.
func (w *world) settle(wolf bind.Wolf) {
	x, z := wolf.Position()
	wolf.Vitals().SetHp(w.breed().GetHp())
	wolf.Fight().SetReady(w.Tick())
	wolf.Hunt().SetHomeX(x)
	wolf.Hunt().SetHomeZ(z)
}

// hunt is a wolf's turn: after its prey, biting when it can, or home.
func (w *world) hunt(e game.Entity) {
	wolf, b := bind.Wolf{Entity: e}, w.breed()
	mind := wolf.Hunt()
	if mind.HomeX() == 0 && mind.HomeZ() == 0 {
		w.settle(wolf) // it is new
	}
	speed := int32(b.GetSpeed() * 16) // velocity quanta
	prey, ok := w.prey(wolf, b)
	if !ok {
		mind.SetPrey(0)
		w.approach(e, mind.HomeX(), mind.HomeZ(), speed)
		return
	}
	mind.SetPrey(prey.ID())
	x, z := prey.Position()
	if w.approach(e, x, z, speed) && int32(wolf.Fight().Ready()-w.Tick()) <= 0 {
		wolf.Fight().SetReady(w.Tick() + uint32(b.GetCooldown()*float64(w.TickHz())))
		_ = bind.AskStrike(w.Zone, wolf, prey.ID(), &plainsv1.Strike{Damage: b.GetBite()}, game.Async{}, nil) // a number always fits
	}
}

// prey is the hero that a wolf is after, or else the nearest that it sees. It follows nobody far from home, and nobody across a border: who has left the zone is not found here.
func (w *world) prey(wolf bind.Wolf, b *plainsv1.Breed) (game.Entity, bool) {
	hunted := func(e game.Entity) bool {
		x, z := e.Position()
		return e.Kind() == bind.KindHero && !e.Dead() && w.DistanceQ(wolf.Hunt().HomeX(), wolf.Hunt().HomeZ(), x, z) <= b.GetLeash()
	}
	if e, ok := w.Entity(wolf.Hunt().Prey()); ok && hunted(e) {
		return e, true
	}
	x, z := wolf.Position()
	for _, e := range w.Nearest(x, z, quanta(b.GetSight()), 1, hunted) {
		return e, true
	}
	return game.Entity{}, false
}

// approach sets a course to a place, and tells whether the entity is there, give or take a metre and a half.
func (w *world) approach(e game.Entity, x, z, speed int32) bool {
	fromX, fromZ := e.Position()
	way := fixed.Vec{X: x - fromX, Y: z - fromZ}
	there := way.Within(quanta(1.5))
	if there {
		way = fixed.Vec{}
	}
	w.head(e, way.Normalise(speed))
	return there
}
