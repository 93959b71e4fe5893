package plains

import (
	"math"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// FullTurn is the number of steps of a heading.
const FullTurn = 1024

// move takes a player's wish; the movement rule does the rest. It changes nothing but this player's avatar.
func move(z *game.Zone, p *game.Player, h bind.Hero, m *plainsv1.Move) error {
	w, guard := of(z), &remember(p).guard
	if !guard.CheckRate(w.checks, z.Tick()).OK() || !guard.CheckSpeed(w.checks, m.Vx, m.Vz, 1).OK() {
		return bind.PushMoveRefused(z, p, &plainsv1.MoveRefused{Seq: m.Seq, Speed: uint32(math.Ceil(math.Hypot(float64(m.Vx), float64(m.Vz)))), Limit: rules.MaxSpeed})
	}
	w.head(h.Entity, fixed.Vec{X: m.Vx, Y: m.Vz})
	return nil
}

// head sets an entity's course, and turns it there.
func (w *world) head(e game.Entity, v fixed.Vec) {
	bind.Course(e).SetVx(v.X)
	bind.Course(e).SetVz(v.Y)
	if v != (fixed.Vec{}) {
		bind.Transform(e).SetQYaw(uint32(v.Angle()+32) / 64) // of 65,536 steps to the turn
	}
}

// walk moves everyone, then lets the walkers decide where to go next: an entity that turns after its move is predicted exactly until then.
func (w *world) walk() {
	for _, kind := range [...]game.Kind{bind.KindHero, bind.KindWalker, bind.KindWolf} {
		for e := range w.OfKind(kind) {
			course := bind.Course(e)
			x, z := e.Position()
			n := w.step(rules.Motion{X: x, Z: z, WantVX: int16(course.Vx()), WantVZ: int16(course.Vz())})
			if kind == bind.KindWalker && int32(w.Tick()-course.Next()) >= 0 {
				w.decide(e, course)
				n.VX, n.VZ = int16(course.Vx()), int16(course.Vz())
			}
			e.SetPosition(n.X, n.Z)
			e.SetVelocity(int32(n.VX), int32(n.VZ))
		}
	}
}

// step is one tick of an entity's motion: on the map if there is one, and never out of the zone. A border with a neighbour is no end: whoever is beyond it is handed over.
func (w *world) step(m rules.Motion) rules.Motion {
	x0, z0, x1, z1 := w.Bounds()
	if land := w.Map(); land != nil {
		n := rules.Walk(m, land)
		n.X, n.Z = min(max(n.X, x0), x1-1), min(max(n.Z, z0), z1-1)
		return n
	}
	m.X, m.Z = m.X-x0, m.Z-z0
	n := rules.Step(m, x1-x0, z1-z0)
	n.X, n.Z = n.X+x0, n.Z+z0
	return n
}

func (w *world) addWalker() {
	walker := bind.Walker{Entity: w.addSomewhere(bind.KindWalker)}
	walker.Vitals().SetHp(100)
	walker.Transform().SetQYaw(w.Rand.Uint32N(FullTurn))
	walker.Course().SetNext(w.Tick() + 1 + w.Rand.Uint32N(20))
}

// decide gives a walker a new course, on average for a second: three in ten stand still.
func (w *world) decide(e game.Entity, course bind.Course) {
	course.SetNext(w.Tick() + 1 + uint32(w.Rand.ExpFloat64()*float64(w.TickHz())))
	if w.Rand.IntN(10) < 3 {
		course.SetVx(0)
		course.SetVz(0)
		return
	}
	yaw := uint32(int32(bind.Transform(e).QYaw())+int32(w.Rand.NormFloat64()*FullTurn/(2*math.Pi))) & (FullTurn - 1)
	sin, cos := math.Sincos(float64(yaw) * 2 * math.Pi / FullTurn)
	bind.Transform(e).SetQYaw(yaw)
	course.SetVx(int32(math.Round(cos * rules.MaxSpeed)))
	course.SetVz(int32(math.Round(sin * rules.MaxSpeed)))
}

// spectate lets those who may look at more than their surroundings.
func spectate(z *game.Zone, p *game.Player, _ bind.Hero, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
	if m.Radius > 0 && !p.Has(RightSpectate) {
		return nil, refuse(protocol.ErrorNotAllowed, "spectating needs the right \"spectate\" in the login token")
	}
	r, err := z.Spectate(p, int32(min(m.Radius, math.MaxInt32)))
	return &plainsv1.SpectateResponse{Radius: uint32(r)}, err
}
