package game_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Routes and calls of the lab.
const (
	routeNote  = 90 // reliable, of the server
	routeBang  = 91 // an event, of the server
	routeLater = 92 // a request that the test answers
	routeCount = 93 // a push that is noted; its value is the tick for which it is meant
	routeBoom  = 94 // a push that panics
	callAdd    = 9  // adds to the health
)

// lab is a game in which nothing happens but what a test does by Zone.Edit; it notes what is called.
type lab struct {
	*game.Game
	t       testing.TB
	bell    game.Timer
	rung    []ring
	later   func(z *game.Zone, p *game.Player, reply game.Reply[*wrapperspb.Int64Value]) error // what routeLater does
	counted []ring
}

// ring is something that happened in a zone at a tick.
type ring struct {
	zone, tick uint32
	arg        uint64
}

func newLab(t testing.TB) *lab {
	l := &lab{Game: &game.Game{Name: "lab", Schema: schema()}, t: t}
	l.bell = l.Timer("bell", func(z *game.Zone, _ game.Entity, arg uint64) {
		l.rung = append(l.rung, ring{z.Config().Zone, z.Tick(), arg})
	})
	l.Declare(protocol.Route{ID: routeNote, Name: "lab.note"})
	l.Declare(protocol.Route{ID: routeBang, Name: "lab.bang", Delivery: protocol.AOIEvent})
	game.OnDeferred(l.Game, protocol.Route{ID: routeLater, Name: "lab.later"}, func(z *game.Zone, p *game.Player, _ *wrapperspb.Int64Value, reply game.Reply[*wrapperspb.Int64Value]) error {
		return l.later(z, p, reply)
	})
	game.OnPushAt(l.Game, protocol.Route{ID: routeCount, Name: "lab.count"}, func(m *wrapperspb.Int64Value) uint32 { return uint32(m.Value) },
		func(z *game.Zone, p *game.Player, m *wrapperspb.Int64Value) error {
			l.counted = append(l.counted, ring{z.Config().Zone, z.Tick(), uint64(m.Value)})
			p.InputSeq++
			z.Applied(p, p.InputSeq)
			return nil
		})
	game.OnPush(l.Game, protocol.Route{ID: routeBoom, Name: "lab.boom"}, func(*game.Zone, *game.Player, *wrapperspb.Int64Value) error { panic("boom") })
	game.OnCall(l.Game, "add", callAdd, func(_ *game.Zone, e game.Entity, _ game.Caller, m *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
		if m.Value < 0 {
			return nil, &game.Error{Code: 1002, Message: "no"}
		}
		setHP(e, int(stateOf(e).HP)+int(m.Value))
		return wrapperspb.Int64(int64(stateOf(e).HP)), nil
	})
	l.OnJoin = func(z *game.Zone, p *game.Player) error {
		c := z.Config()
		e, err := z.Spawn(1, c.X+c.Width/2, c.Y+c.Height/2)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	return l
}

// row is n zones beside each other, of 1000 × 1000 quanta, with views of 300.
func row(n int32) []game.Config {
	return game.Grid(game.Config{Width: 1000 * n, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 80, Strict: true}, n, 1)
}

// open makes a world of the lab.
func (l *lab) open(zones ...game.Config) *gametest.World { return gametest.Open(l.t, l.Game, zones...) }

// spawn adds an entity between ticks.
func (l *lab) spawn(z *game.Zone, k game.Kind, x, y int32) (e game.Entity) {
	l.t.Helper()
	z.Edit(func() {
		var err error
		if e, err = z.Spawn(k, x, y); err != nil {
			l.t.Fatal(err)
		}
	})
	return e
}

// send has an entity go to another place.
func (l *lab) send(z *game.Zone, e game.Entity, to game.Destination) {
	l.t.Helper()
	z.Edit(func() {
		if err := z.Transfer(e, to); err != nil {
			l.t.Fatal(err)
		}
	})
}

// find looks an entity up in whatever zone it lives.
func find(t testing.TB, w *gametest.World, id game.EntityID) game.Entity {
	t.Helper()
	var found game.Entity
	for i := range w.Zones() {
		if e, ok := w.Zone(i).Entity(id); ok {
			if found.Alive() {
				t.Fatalf("entity %d lives in zones %d and %d", id, found.Zone().Config().Zone, e.Zone().Config().Zone)
			}
			found = e
		}
	}
	if !found.Alive() {
		t.Fatalf("entity %d lives nowhere", id)
	}
	return found
}

// protocolRoute is a route of a number with a name.
func protocolRoute(id uint16) protocol.Route { return protocol.Route{ID: id, Name: "lab.more"} }
