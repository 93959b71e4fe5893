// Package plains is the sample game: one zone of grass, walkers that wander about, and players who walk among them.
//
// It reads as a studio's game would: its entities and messages are declared in proto_define/plains/v1/plains.proto, package bind is generated from that, and New says
// what happens. Everything that a zone remembers is made in Setup. A Game may run in any number of zones; nothing here starts a goroutine.
package plains

import (
	"fmt"
	"math"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// RightSpectate is the right that a login token must grant for SpectateRequest.
const RightSpectate = "spectate"

// FullTurn is the number of steps of a heading.
const FullTurn = 1024

// Config of the game.
type Config struct {
	Walkers int // server-side walkers per zone
}

// SideFor returns the side of a square zone, in quanta, in which about 50 of n entities are within 50 m of each.
func SideFor(n int) int32 {
	metres := math.Sqrt(float64(max(n, 1)) * math.Pi * 50 * 50 / 50)
	return min(max(int32(math.Ceil(metres)), 60)*bind.QuantaPerMetre, 1<<24)
}

// world is what one zone of plains remembers. Movers are kept by the entities' slots.
type world struct {
	*game.Zone
	movers   []mover
	cos, sin [FullTurn]float64
}

type mover struct {
	wantVX, wantVZ int16
	walks          bool   // a walker, who decides by itself
	yaw            uint32 // a walker's heading
	next           uint32 // tick of its next decision
}

// New makes the game.
func New(cfg Config) *game.Game {
	g := bind.NewGame()
	g.Setup = func(z *game.Zone) error { return setup(z, cfg) }
	g.OnJoin(join)
	g.OnMove(move)
	g.OnSpectate(spectate)
	return g.Game
}

func setup(z *game.Zone, cfg Config) error {
	w := &world{Zone: z}
	z.Data = w
	for i := range w.cos {
		w.sin[i], w.cos[i] = math.Sincos(float64(i) * 2 * math.Pi / FullTurn)
	}
	for range cfg.Walkers {
		c := z.Config()
		e, err := bind.SpawnWalkerQ(z, z.Rand.Int32N(c.Width), z.Rand.Int32N(c.Height))
		if err != nil {
			return fmt.Errorf("walker: %w", err)
		}
		e.Vitals().SetHp(100)
		*w.mover(e.Entity) = mover{walks: true, yaw: z.Rand.Uint32N(FullTurn), next: z.Tick() + 1 + z.Rand.Uint32N(20)}
	}
	z.System(w.walk)
	return nil
}

// join puts a new player's avatar at a random spot.
func join(z *game.Zone, _ *game.Player, h bind.Hero) error {
	c := z.Config()
	h.Transform().SetQPos(z.Rand.Int32N(c.Width), z.Rand.Int32N(c.Height))
	h.Vitals().SetHp(100)
	*z.Data.(*world).mover(h.Entity) = mover{}
	return nil
}

func (w *world) mover(e game.Entity) *mover {
	for int(e.Slot()) >= len(w.movers) {
		w.movers = append(w.movers, mover{})
	}
	return &w.movers[e.Slot()]
}

// walk moves everyone, then lets the walkers decide where to go next: an entity that turns after its move is predicted exactly until then.
func (w *world) walk() {
	c, tick := w.Config(), w.Tick()
	for e := range w.Entities {
		m := w.mover(e)
		x, z := e.Position()
		n := rules.Step(rules.Motion{X: x, Z: z, WantVX: m.wantVX, WantVZ: m.wantVZ}, c.Width, c.Height)
		if m.walks && int32(tick-m.next) >= 0 {
			w.decide(m, tick)
			n.VX, n.VZ = m.wantVX, m.wantVZ
			bind.Transform(e).SetQYaw(m.yaw)
		}
		e.SetPosition(n.X, n.Z)
		e.SetVelocity(int32(n.VX), int32(n.VZ))
	}
}

// decide gives a walker a new course, on average for a second: three in ten stand still.
func (w *world) decide(m *mover, tick uint32) {
	m.next = tick + 1 + uint32(w.Rand.ExpFloat64()*float64(w.TickHz()))
	if w.Rand.IntN(10) < 3 {
		m.wantVX, m.wantVZ = 0, 0
		return
	}
	m.yaw = uint32(int32(m.yaw)+int32(w.Rand.NormFloat64()*FullTurn/(2*math.Pi))) & (FullTurn - 1)
	m.wantVX = int16(math.Round(w.cos[m.yaw] * rules.MaxSpeed))
	m.wantVZ = int16(math.Round(w.sin[m.yaw] * rules.MaxSpeed))
}

// move takes a player's wish; the movement rule does the rest. It changes nothing but this player's avatar.
func move(z *game.Zone, p *game.Player, h bind.Hero, m *plainsv1.Move) error {
	if !rules.Allowed(m.Vx, m.Vz) {
		speed := math.Hypot(float64(m.Vx), float64(m.Vz))
		return bind.PushMoveRefused(z, p, &plainsv1.MoveRefused{Seq: m.Seq, Speed: uint32(math.Ceil(speed)), Limit: rules.MaxSpeed})
	}
	course := z.Data.(*world).mover(h.Entity)
	course.wantVX, course.wantVZ = int16(m.Vx), int16(m.Vz)
	if m.Vx != 0 || m.Vz != 0 {
		h.Transform().SetQYaw(heading(m.Vx, m.Vz))
	}
	return nil
}

func heading(vx, vz int32) uint32 {
	return uint32(int32(math.Round(math.Atan2(float64(vz), float64(vx))*FullTurn/(2*math.Pi))) & (FullTurn - 1))
}

// spectate lets those who may look at more than their surroundings.
func spectate(z *game.Zone, p *game.Player, _ bind.Hero, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
	if m.Radius > 0 && !p.Has(RightSpectate) {
		return nil, &game.Error{Code: protocol.ErrorNotAllowed, Message: "spectating needs the right \"spectate\" in the login token"}
	}
	r, err := z.Spectate(p, int32(min(m.Radius, math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	return &plainsv1.SpectateResponse{Radius: uint32(r)}, nil
}
