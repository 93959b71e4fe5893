package game_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestVisitorSeesAcrossABorderWhateverBecomesOfItsConnection(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	thing := l.spawn(w.Zone(1), 1, 1100, 500)
	w.Zone(0).Edit(func() { anna.Avatar().SetPosition(950, 500) })
	w.Tick(4)
	if !anna.Sees(thing.ID()) || w.Zone(1).Visitors() != 1 || w.Zone(1).Seen(anna.Session) != 1 {
		t.Fatalf("sees %v; %d visitors", anna.View(), w.Zone(1).Visitors())
	}
	anna.Cut()
	w.Tick(3)
	if w.Zone(1).Visitors() != 1 || w.Zone(1).Seen(anna.Session) != 0 {
		t.Errorf("without a connection: %d visitors, %d shown", w.Zone(1).Visitors(), w.Zone(1).Seen(anna.Session))
	}
	anna.Resume()
	w.Tick(4)
	if !anna.Sees(thing.ID()) || !anna.Sees(anna.Avatar().ID()) {
		t.Errorf("back again it sees %v", anna.View())
	}
	w.Zone(0).Edit(func() { anna.Avatar().SetPosition(300, 500) })
	w.Tick(4)
	if anna.Sees(thing.ID()) || w.Zone(1).Visitors() != 0 {
		t.Errorf("far away: sees %v, %d visitors", anna.View(), w.Zone(1).Visitors())
	}
	w.Zone(0).Edit(func() { anna.Avatar().SetPosition(950, 500) })
	w.Tick(4)
	anna.Leave()
	w.Tick(3)
	if w.Zone(1).Visitors() != 0 {
		t.Errorf("%d visitors after it left", w.Zone(1).Visitors())
	}
}

func TestDetachedGatewayTakesItsVisitorsConnections(t *testing.T) {
	z := newZone(t, newLab(t).Game, row(2)[1])
	watch := game.Input{Kind: game.Watch, Session: 5, Gateway: 1, Conn: 5, X: 990, Y: 500, Enter: 300, Leave: 330, Zone: 1}
	if _, err := z.Spawn(1, 1100, 500); err != nil {
		t.Fatal(err)
	}
	z.Step([]game.Input{attach(1), watch})
	if z.Seen(5) != 1 {
		t.Fatalf("sees %d", z.Seen(5))
	}
	bad := watch
	bad.Session, bad.Leave = 6, 10
	z.Step([]game.Input{{Kind: game.DetachGateway, Gateway: 1}, bad, watch})
	if z.Seen(5) != 0 || z.Visitors() != 1 || z.Stats().Refused != 2 {
		t.Errorf("sees %d, %d visitors, %d refused", z.Seen(5), z.Visitors(), z.Stats().Refused)
	}
	watch.Gateway, watch.Conn = 2, 6
	z.Step([]game.Input{attach(2), watch})
	if z.Seen(5) != 1 {
		t.Errorf("at another gateway it sees %d", z.Seen(5))
	}
	z.Step([]game.Input{{Kind: game.Unwatch, Session: 5}, {Kind: game.Unwatch, Session: 5}})
	if z.Visitors() != 0 || z.Seen(5) != 0 {
		t.Errorf("%d visitors", z.Visitors())
	}
}

func TestFourZonesMeetInACorner(t *testing.T) {
	l := newLab(t)
	l.Setup = func(z *game.Zone) error { z.System(z.Drift); return nil }
	w := l.open(game.Grid(game.Config{Width: 2000, Height: 2000, EnterRadius: 300, LeaveRadius: 330, Margin: 80}, 2, 2)...)
	anna := w.Join("anna")
	w.Tick(1)
	var corners []game.Entity
	for i, at := range [][2]int32{{900, 900}, {1100, 900}, {900, 1100}, {1100, 1100}} {
		corners = append(corners, l.spawn(w.Zone(i), 2, at[0], at[1]))
	}
	w.Zone(0).Edit(func() {
		anna.Avatar().SetPosition(950, 950)
		anna.Avatar().SetVelocity(5, 5)
	})
	for range 32 { // through the corner, to 1110
		w.Tick(1)
		for i, c := range corners {
			if w.Zone(0).Tick() > 5 && !anna.Sees(c.ID()) {
				t.Fatalf("tick %d: corner %d is not seen", w.Zone(0).Tick(), i)
			}
		}
	}
	if anna.Zone() != w.Zone(3) || w.Zone(0).Visitors() != 1 || w.Zone(3).Visitors() != 0 {
		t.Errorf("in zone %d; visitors of the first %d, of the last %d", anna.Zone().Config().Zone, w.Zone(0).Visitors(), w.Zone(3).Visitors())
	}
}

func TestNeighbourThatGoesAwayLeavesAWall(t *testing.T) {
	l := newLab(t)
	l.Setup = func(z *game.Zone) error { z.System(z.Drift); return nil }
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	z := w.Zone(0)
	beyond := l.spawn(z, 1, 1030, 500)
	w.Tick(1)
	if x0, y0, x1, y1 := z.Bounds(); x0 != 0 || y0 != 0 || x1 != 1080 || y1 != 1000 || len(z.Neighbours()) != 1 {
		t.Errorf("bounds %d, %d to %d, %d", x0, y0, x1, y1)
	}
	z.Edit(func() { anna.Avatar().SetPosition(990, 500); anna.Avatar().SetVelocity(20, 0) })
	w.Input(0, game.Input{Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, nil)})
	w.Tick(10)
	if x, _ := beyond.Position(); x != 999 {
		t.Errorf("who stood in the margin is at %d", x)
	}
	if x, _ := anna.Avatar().Position(); x != 999 || anna.Zone() != z || w.Zone(1).Visitors() != 0 {
		t.Errorf("anna is at %d; %d still look into the neighbour", x, w.Zone(1).Visitors())
	}
	w.Input(0, game.Input{Kind: game.Neighbours, Payload: []byte{9, 9}})
	w.Tick(1)
	if z.Stats().Refused != 1 {
		t.Error("what is no list of neighbours is taken")
	}
}

func TestWhatOnlyASpectatorSawDepartLeavesTheView(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	z := w.Zone(0)
	cart := l.spawn(z, 2, 50, 500) // out of anna's view, 450 away
	parent(t, anna.Avatar(), cart)
	z.Edit(func() { spectate(t, z, anna.Player(), 2000, 2000) })
	w.Tick(2)
	if z.Seen(anna.Session) != 2 {
		t.Fatalf("sees %d, want itself and the cart", z.Seen(anna.Session))
	}
	l.send(z, cart, game.Destination{X: 1400, Y: 500})
	w.Tick(1)
	if z.Seen(anna.Session) != 0 {
		t.Errorf("the zone that it has left still shows it %d entities", z.Seen(anna.Session))
	}
}
