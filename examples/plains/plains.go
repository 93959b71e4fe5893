// Package plains is the sample game: one zone of grass, walkers that wander about, and players who walk among them.
//
// It reads as a studio's game would: New declares the routes and what happens in a zone; everything that a zone remembers is made in Setup. A Game may
// run in any number of zones; nothing here starts a goroutine.
package plains

import (
	"fmt"
	"math"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Kinds of entities, as clients are told them.
const (
	Hero   game.Kind = 1
	Walker game.Kind = 2
)

// Routes of the game.
const (
	RouteMove        uint16 = 64
	RouteSpectate    uint16 = 65
	RouteMoveRefused uint16 = 66
)

// RightSpectate is the right that a login token must grant for RouteSpectate.
const RightSpectate = "spectate"

// Config of the game.
type Config struct {
	Walkers int // server-side walkers per zone
}

// SideFor returns the side of a square zone, in quanta, in which about 50 of n entities are within 50 m of each.
func SideFor(n int) int32 {
	metres := math.Sqrt(float64(max(n, 1)) * math.Pi * 50 * 50 / 50)
	return min(max(int32(math.Ceil(metres)), 60)*game.QuantaPerMetre, 1<<24)
}

// world is what one zone of plains remembers. Movers are kept by the entities' slots.
type world struct {
	*game.Zone
	movers   []mover
	cos, sin [game.FullTurn]float64
}

type mover struct {
	wantVX, wantVZ int16
	walks          bool   // a walker, who decides by itself
	yaw            uint16 // a walker's heading
	next           uint32 // tick of its next decision
}

// player is what the game remembers of a player.
type player struct{ lastSeq uint32 }

// New makes the game.
func New(cfg Config) *game.Game {
	g := &game.Game{Name: "plains"}
	g.Setup = func(z *game.Zone) error { return setup(z, cfg) }
	game.OnPushAt(g, protocol.Route{ID: RouteMove, Name: "plains.move", MaxBytes: 64},
		func(m *plainsv1.Move) uint32 { return m.Tick }, move)
	game.OnRequest(g, protocol.Route{ID: RouteSpectate, Name: "plains.spectate", MaxBytes: 64}, spectate)
	g.Declare(protocol.Route{ID: RouteMoveRefused, Name: "plains.move_refused", MaxBytes: 64})
	return g
}

func setup(z *game.Zone, cfg Config) error {
	w := &world{Zone: z}
	z.Data = w
	for i := range w.cos {
		w.sin[i], w.cos[i] = math.Sincos(float64(i) * 2 * math.Pi / game.FullTurn)
	}
	for range cfg.Walkers {
		e, err := w.place(Walker)
		if err != nil {
			return fmt.Errorf("walker: %w", err)
		}
		m := w.mover(e)
		m.walks, m.yaw, m.next = true, uint16(z.Rand.IntN(game.FullTurn)), z.Tick()+1+z.Rand.Uint32N(20)
	}
	z.OnJoin = w.join
	z.System(w.walk)
	return nil
}

func (w *world) join(p *game.Player) error {
	e, err := w.place(Hero)
	if err != nil {
		return err
	}
	p.Data = &player{}
	return w.Control(p, e)
}

// place spawns an entity at a random spot.
func (w *world) place(k game.Kind) (game.Entity, error) {
	c := w.Config()
	e, err := w.Spawn(k, w.Rand.Int32N(c.Width), w.Rand.Int32N(c.Height))
	if err != nil {
		return e, err
	}
	e.SetHealth(100)
	*w.mover(e) = mover{}
	return e, nil
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
		s, m := e.State(), w.mover(e)
		n := rules.Step(rules.Motion{X: s.X, Z: s.Z, WantVX: m.wantVX, WantVZ: m.wantVZ}, c.Width, c.Height)
		if m.walks && int32(tick-m.next) >= 0 {
			w.decide(m, tick)
			n.VX, n.VZ = m.wantVX, m.wantVZ
			e.SetYaw(m.yaw)
		}
		e.SetPosition(n.X, n.Z)
		e.SetVelocity(n.VX, n.VZ)
	}
}

// decide gives a walker a new course, on average for a second: three in ten stand still.
func (w *world) decide(m *mover, tick uint32) {
	m.next = tick + 1 + uint32(w.Rand.ExpFloat64()*game.TickHz)
	if w.Rand.IntN(10) < 3 {
		m.wantVX, m.wantVZ = 0, 0
		return
	}
	m.yaw = uint16(int32(m.yaw)+int32(w.Rand.NormFloat64()*game.FullTurn/(2*math.Pi))) & (game.FullTurn - 1)
	m.wantVX = int16(math.Round(w.cos[m.yaw] * rules.MaxSpeed))
	m.wantVZ = int16(math.Round(w.sin[m.yaw] * rules.MaxSpeed))
}

// move takes a player's wish; the movement rule does the rest. It changes nothing but this player's avatar.
func move(z *game.Zone, p *game.Player, m *plainsv1.Move) error {
	mine, _ := p.Data.(*player)
	if mine == nil || !p.Avatar().Alive() {
		return &game.Error{Code: protocol.ErrorWrongState, Message: "there is no avatar to move"}
	}
	if int32(m.Seq-mine.lastSeq) <= 0 {
		return &game.Error{Code: protocol.ErrorMalformed, Message: fmt.Sprintf("input %d is not newer than the last one", m.Seq)}
	}
	mine.lastSeq = m.Seq
	z.Applied(p, m.Seq)
	if !rules.Allowed(m.Vx, m.Vz) {
		speed := math.Hypot(float64(m.Vx), float64(m.Vz))
		return z.Push(p, RouteMoveRefused, &plainsv1.MoveRefused{Seq: m.Seq, Speed: uint32(math.Ceil(speed)), Limit: rules.MaxSpeed})
	}
	course := z.Data.(*world).mover(p.Avatar())
	course.wantVX, course.wantVZ = int16(m.Vx), int16(m.Vz)
	if m.Vx != 0 || m.Vz != 0 {
		p.Avatar().SetYaw(heading(m.Vx, m.Vz))
	}
	return nil
}

func heading(vx, vz int32) uint16 {
	return uint16(int32(math.Round(math.Atan2(float64(vz), float64(vx))*game.FullTurn/(2*math.Pi))) & (game.FullTurn - 1))
}

// spectate lets those who may look at more than their surroundings.
func spectate(z *game.Zone, p *game.Player, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
	if m.Radius > 0 && !p.Has(RightSpectate) {
		return nil, &game.Error{Code: protocol.ErrorNotAllowed, Message: "spectating needs the right \"spectate\" in the login token"}
	}
	r, err := z.Spectate(p, int32(min(m.Radius, math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	return &plainsv1.SpectateResponse{Radius: uint32(r)}, nil
}
