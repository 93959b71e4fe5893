package record_test

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Routes and calls of the frontier.
const (
	routeAct    uint16 = 70 // push that waits for its tick: the lower half is its tick, the upper what to do
	routeAsk    uint16 = 71 // answered at once
	routeLater  uint16 = 72 // answered later, or never
	routeRaise  uint16 = 73 // a command
	routeHear   uint16 = 74 // pushed
	callStrike  uint16 = 1
	rightRaise         = "raise"
	frontierTag        = "frontier"
)

// frontier is a game in which everything happens that a zone offers, all of it from the zone's own chance.
type frontier struct {
	*game.Game
	burn, fade game.Timer
}

type number = wrapperspb.UInt32Value

func num(v uint32) *number { return wrapperspb.UInt32(v) }

// tally is what encoding/json keeps.
type tally struct {
	Sum  uint32
	Name string
}

func newFrontier() *game.Game {
	f := &frontier{Game: &game.Game{Name: frontierTag, Schema: game.Schema{Codec: deltatest.Codec()}}}
	f.Setup = f.setup
	f.OnJoin = func(z *game.Zone, p *game.Player) error {
		switch z.Rand.IntN(12) {
		case 0:
			return errors.New("not today")
		case 1:
			panic("OnJoin is broken")
		}
		return f.appear(z, p)
	}
	f.OnLeave = func(z *game.Zone, p *game.Player) {
		if p.Avatar().Alive() {
			z.Within(0, 0, 500, func(e game.Entity) bool { setHP(e, hp(e)+1); return true })
		}
	}
	f.OnLinger = func(z *game.Zone, p *game.Player) { z.After(3, func() { f.hurtOne(z) }) }
	f.OnReturn = func(z *game.Zone, p *game.Player) { z.JoinGroup(p, 4) }
	f.OnDepart = func(z *game.Zone, p *game.Player, _ game.Destination) { setHP(p.Avatar(), hp(p.Avatar())+3) }
	f.OnArrive = func(z *game.Zone, p *game.Player) { _ = z.Push(p, routeHear, num(z.Rand.Uint32())) }
	f.OnDeath = func(z *game.Zone, e game.Entity, by game.EntityID) { z.After(2, func() { f.spawn(z) }) }
	f.OnRespawn = f.appear
	f.burn = f.Timer("burn", func(z *game.Zone, e game.Entity, arg uint64) {
		setHP(e, hp(e)-uint32(arg))
		if z.Rand.IntN(20) == 0 {
			panic("burnt")
		}
		f.burn.After(e, 1+z.Rand.Uint32N(9), arg+1)
	})
	f.fade = f.Timer("fade", func(z *game.Zone, e game.Entity, arg uint64) { z.Die(e, game.EntityID(arg), z.Rand.Uint32N(5)) })
	f.routes()
	return f.Game
}

func (f *frontier) routes() {
	f.Declare(protocol.Route{ID: routeHear, Name: "frontier.hear"})
	game.OnPushAt(f.Game, protocol.Route{ID: routeAct, Name: "frontier.act"}, func(m *number) uint32 { return m.Value & 0xff << 24 >> 24 }, f.act)
	game.OnRequest(f.Game, protocol.Route{ID: routeAsk, Name: "frontier.ask"}, func(z *game.Zone, p *game.Player, m *number) (*number, error) {
		switch z.Rand.IntN(6) {
		case 0:
			return nil, &game.Error{Code: 1000, Message: "no"}
		case 1:
			panic("asked too much")
		}
		return num(m.Value + z.Rand.Uint32N(9)), nil
	})
	game.OnDeferred(f.Game, protocol.Route{ID: routeLater, Name: "frontier.later"}, f.later)
	game.OnRequest(f.Game, protocol.Route{ID: routeRaise, Name: "frontier.raise", Right: rightRaise, Audit: true}, func(z *game.Zone, _ *game.Player, m *number) (*number, error) {
		for range m.Value % 4 {
			f.spawn(z)
		}
		return num(uint32(z.Len())), nil
	})
	game.OnCall(f.Game, "frontier.strike", callStrike, func(z *game.Zone, e game.Entity, from game.Caller, m *number) (*number, error) {
		setHP(e, hp(e)-m.Value%50)
		if hp(e) < 20 {
			z.Die(e, from.Entity, 4)
		}
		return num(hp(e)), nil
	})
}

func (f *frontier) setup(z *game.Zone) error {
	for range 25 {
		f.spawn(z)
	}
	z.System(z.Drift)
	z.SystemEvery(game.Every(2).Shed(), func() { f.stir(z) })
	z.Visit(game.Every(3).Shed(), 2, func(e game.Entity) {
		e.SetVelocity(z.Rand.Int32N(161)-80, z.Rand.Int32N(81)-40)
		if z.Rand.IntN(50) == 0 {
			panic("dizzy")
		}
	})
	z.System(func() {
		if z.Rand.IntN(40) == 0 {
			panic("a system is broken")
		}
	})
	return nil
}

func (f *frontier) place(z *game.Zone) (x, y int32) {
	x0, y0, x1, y1 := z.Bounds()
	return x0 + z.Rand.Int32N(x1-x0), y0 + z.Rand.Int32N(y1-y0)
}

func (f *frontier) spawn(z *game.Zone) game.Entity {
	k := 1 + game.Kind(z.Rand.IntN(3))
	if k == 3 {
		k = game.Kind(deltatest.Bearer)
	}
	x, y := f.place(z)
	e, err := z.Spawn(k, x, y)
	if err != nil {
		panic(err)
	}
	setHP(e, 100)
	e.SetVelocity(z.Rand.Int32N(161)-80, z.Rand.Int32N(81)-40)
	if e.Has(deltatest.Bag) {
		f.fill(z, e)
	}
	return e
}

// fill changes what has no fixed size.
func (f *frontier) fill(z *game.Zone, e game.Entity) {
	v := e.Cell(deltatest.Bag).Edit(delta.AOI)
	v.V[0].B = fmt.Appendf(v.V[0].B[:0], "bag of tick %d", z.Tick())
	v.V[1].E = v.V[1].E[:0]
	for range z.Rand.IntN(5) {
		v.V[1].E = append(v.V[1].E, delta.Record{W: []uint32{z.Rand.Uint32()}})
	}
}

func (f *frontier) appear(z *game.Zone, p *game.Player) error {
	e := f.spawn(z)
	f.burn.After(e, 5, 1)
	if err := z.Control(p, e); err != nil {
		return err
	}
	if z.Rand.IntN(3) == 0 {
		if _, err := z.Spectate(p, 700); err != nil {
			return err
		}
	}
	return nil
}

// someone is a random living entity.
func (f *frontier) someone(z *game.Zone) (found game.Entity) {
	n := z.Rand.IntN(max(z.Len(), 1))
	for e := range z.Entities {
		if found = e; n == 0 {
			break
		}
		n--
	}
	return found
}

func (f *frontier) hurtOne(z *game.Zone) {
	if e := f.someone(z); e.Alive() {
		setHP(e, hp(e)-10)
	}
}

// stir lets some come and go, and relate.
func (f *frontier) stir(z *game.Zone) {
	for z.Len() < 20 {
		f.spawn(z)
	}
	a, b := f.someone(z), f.someone(z)
	switch z.Rand.IntN(10) {
	case 0:
		z.Die(a, b.ID(), 3)
	case 1:
		z.Despawn(a)
	case 2:
		a.SetOwner(b)
	case 3:
		if a != b {
			_ = a.SetParent(b) // a circle is refused
		}
	case 4:
		f.fade.After(a, z.Rand.Uint32N(30), uint64(b.ID()))
	case 5:
		f.burn.Cancel(a)
	case 6:
		_ = z.Transfer(a, game.Destination{X: z.Rand.Int32N(4000), Y: z.Rand.Int32N(1500)}) // a child is refused
	case 7:
		_ = z.Emit(a, routeHear, num(9))
	case 8:
		f.strike(z, a, b.ID())
	case 9:
		f.count(z, nil, a)
	}
}

// strike calls an entity, which may live in another zone by then.
func (f *frontier) strike(z *game.Zone, from game.Entity, to game.EntityID) {
	id := from.ID()
	err := game.Call(z, from, to, callStrike, num(z.Rand.Uint32N(60)), game.Async{Ticks: 1 + z.Rand.Uint32N(20)}, func(m *number, err error) {
		if e, ok := z.Entity(id); ok && err == nil {
			setHP(e, m.Value)
		}
	})
	if err != nil {
		panic(err)
	}
}

// count has work done elsewhere, of each kind that a result may be.
func (f *frontier) count(z *game.Zone, p *game.Player, e game.Entity) {
	id, v := e.ID(), z.Rand.Uint32N(90)
	note := func(v uint32, err error) {
		if e, ok := z.Entity(id); ok {
			setHP(e, v)
		}
		if err != nil {
			f.hurtOne(z)
		}
	}
	a := game.Async{Name: "count", Player: p, IfGone: game.Gone(z.Rand.IntN(2)), Ticks: z.Rand.Uint32N(12)}
	failed := error(nil)
	if v%7 == 0 {
		failed = &game.Error{Code: 1001, Message: "the work failed"}
	}
	switch z.Rand.IntN(3) {
	case 0:
		game.Go(z, a, func(context.Context) (tally, error) { return tally{v, "json"}, failed }, func(t tally, err error) { note(t.Sum, err) })
	case 1:
		game.Go(z, a, func(context.Context) (*number, error) { return num(v), failed }, func(m *number, err error) { note(m.GetValue(), err) })
	case 2:
		game.Go(z, a, func(context.Context) ([]byte, error) { return []byte{byte(v)}, failed }, func(b []byte, err error) { note(uint32(len(b)), err) })
	}
}

func (f *frontier) act(z *game.Zone, p *game.Player, m *number) error {
	if !p.Avatar().Alive() {
		return f.appear(z, p)
	}
	e := p.Avatar()
	switch m.Value >> 8 % 9 {
	case 0:
		e.SetPosition(f.place(z))
	case 1:
		f.strike(z, e, f.someone(z).ID())
	case 2:
		f.count(z, p, e)
	case 3:
		panic("an act went wrong")
	case 4:
		z.KickPlayer(p, "out")
	case 5:
		return z.Broadcast(routeHear, num(m.Value))
	case 6:
		z.JoinGroup(p, 7)
		return z.PushGroup(7, routeHear, num(1))
	case 7:
		z.Die(e, 0, 1+z.Rand.Uint32N(6))
	case 8:
		e.SetVelocity(160, z.Rand.Int32N(21)-10) // on to the border
	}
	z.Applied(p, m.Value)
	return nil
}

func (f *frontier) later(z *game.Zone, p *game.Player, m *number, reply game.Reply[*number]) error {
	switch z.Rand.IntN(5) {
	case 0:
		return &game.Error{Code: 1002, Message: "at once"}
	case 1: // never
	case 2:
		z.After(z.Rand.Uint32N(15), func() { _ = reply.Send(num(m.Value)) })
	case 3:
		z.After(z.Rand.Uint32N(15), func() { reply.Fail(errors.New("later")) })
	case 4:
		game.Go(z, game.Async{Name: "look up", Player: p}, func(context.Context) (*number, error) { return num(m.Value + 1), nil }, func(m *number, err error) {
			if err != nil {
				reply.Fail(err)
				return
			}
			_ = reply.Send(m)
		})
	}
	return nil
}

func payload(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}
