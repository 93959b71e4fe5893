package game_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

func TestTransferTakesAllThatBelongsToAPlayer(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	z := w.Zone(0)
	anna := w.Join("anna", "gm", "poet")
	w.Tick(1)
	hat := l.spawn(z, deltatestBearer, 510, 490)
	parent(t, hat, anna.Avatar())
	start := z.Tick()
	z.Edit(func() {
		setHP(anna.Avatar(), 77)
		anna.Avatar().SetVelocity(3, 4)
		anna.Avatar().SetOwner(hat)
		edit := hat.Cell(deltatest.Bag).Edit(delta.AOI)
		edit.V[0].B = append(edit.V[0].B[:0], "top hat"...)
		l.bell.After(hat, 7, 9)
		p := anna.Player()
		p.InputSeq = 41
		z.Applied(p, 40)
	})
	for _, due := range []uint32{start + 1, start + 2, start + 6} { // the second is due in the tick of its arrival
		anna.Push(routeCount, wrapperspb.Int64(int64(due)))
	}
	a := anna.Avatar().ID()
	l.send(z, anna.Avatar(), game.Destination{X: 1500, Y: 600})
	w.Tick(1)
	if anna.Player() != nil || z.PlayerCount() != 0 || z.Len() != 0 {
		t.Fatalf("%d players and %d entities are left", z.PlayerCount(), z.Len())
	}
	w.Tick(9)
	p := anna.Player()
	if p == nil || anna.Zone() != w.Zone(1) || p.Avatar().ID() != a || p.Name != "anna" || !p.Has("poet") || p.InputSeq != 44 || !p.Connected() || p.Waiting() != 0 {
		t.Fatalf("arrived as %+v", p)
	}
	if s := stateOf(p.Avatar()); s.HP != 77 || s.X != 1500 || s.Z != 600 || s.VX != 3 || p.Avatar().Owner() != hat.ID() {
		t.Errorf("the avatar is %+v", s)
	}
	top := find(t, w, hat.ID())
	if s := stateOf(top); s.X != 1510 || s.Z != 590 || string(top.Cell(deltatest.Bag).View().V[0].B) != "top hat" || !slices.Equal(children(p.Avatar()), []game.EntityID{hat.ID()}) {
		t.Errorf("the hat is %+v, the avatar's children are %v", s, children(p.Avatar()))
	}
	if want := []ring{{1, start + 1, uint64(start + 1)}, {2, start + 2, uint64(start + 2)}, {2, start + 6, uint64(start + 6)}}; !slices.Equal(l.counted, want) {
		t.Errorf("messages were handled as %v, want %v", l.counted, want)
	}
	if want := []ring{{2, start + 7, 9}}; !slices.Equal(l.rung, want) {
		t.Errorf("the timer rang %v, want %v", l.rung, want)
	}
	if !anna.Sees(a) || !anna.Sees(hat.ID()) {
		t.Error("anna does not see what is hers")
	}
	avatar := anna.Take(protocol.RouteAvatar)
	if len(avatar) != 2 {
		t.Errorf("the client was told %d times of its avatar, want once per zone", len(avatar))
	}
}

const deltatestBearer = game.Kind(deltatest.Bearer)

func TestPassengersCrossWithTheirVehicle(t *testing.T) {
	l := newLab(t)
	var departed, arrived []string
	l.OnDepart = func(_ *game.Zone, p *game.Player, _ game.Destination) { departed = append(departed, p.Name) }
	l.OnArrive = func(z *game.Zone, p *game.Player) { arrived = append(arrived, p.Name) }
	w := l.open(row(2)...)
	z := w.Zone(0)
	anna, ben := w.Join("anna"), w.Join("ben")
	w.Tick(1)
	cart := l.spawn(z, 2, 500, 500)
	parent(t, anna.Avatar(), cart)
	parent(t, ben.Avatar(), cart)
	z.Edit(func() {
		if err := z.Transfer(anna.Avatar(), game.Destination{X: 1500, Y: 500}); err == nil {
			t.Error("a part of a cart goes without it")
		}
	})
	l.send(z, cart, game.Destination{X: 1500, Y: 500})
	w.Tick(4)
	want := []string{"anna", "ben"}
	if !slices.Equal(departed, want) || !slices.Equal(arrived, want) || anna.Zone() != w.Zone(1) || len(children(find(t, w, cart.ID()))) != 2 || !ben.Sees(anna.Avatar().ID()) {
		t.Errorf("departed %v, arrived %v; the cart has %v", departed, arrived, children(find(t, w, cart.ID())))
	}
}

func TestHooksOfAnArrivalMayDespawnWhoArrives(t *testing.T) {
	l := newLab(t)
	arrived := 0
	l.OnArrive = func(z *game.Zone, p *game.Player) {
		arrived++
		if up, ok := p.Avatar().Parent(); ok {
			z.Despawn(up) // and with it both avatars
		}
	}
	w := l.open(row(2)...)
	anna, ben := w.Join("anna"), w.Join("ben")
	w.Tick(1)
	cart := l.spawn(w.Zone(0), 2, 500, 500)
	parent(t, anna.Avatar(), cart)
	parent(t, ben.Avatar(), cart)
	l.send(w.Zone(0), cart, game.Destination{X: 1500, Y: 500})
	w.Lenient = true // ben's hook asks an avatar that has gone
	w.Tick(5)
	if arrived != 2 || w.Zone(1).Len() != 0 || w.Zone(1).PlayerCount() != 2 || ben.Player().Avatar().Alive() {
		t.Errorf("%d arrived, %d entities and %d players are there", arrived, w.Zone(1).Len(), w.Zone(1).PlayerCount())
	}
}

func TestInstancesAreOpenedByTheirKey(t *testing.T) {
	l := newLab(t)
	l.Instance("cellar", func(key uint64) game.Config { return game.Config{Width: 500 + int32(key), Seed: key} })
	w := l.open(row(2)...)
	anna, ben, carl := w.Join("anna"), w.Join("ben"), w.Join("carl")
	w.Tick(2)
	for c, key := range map[*gametest.Client]uint64{anna: 1, ben: 2, carl: 1} {
		l.send(w.Zone(0), c.Avatar(), game.Destination{Instance: "cellar", Key: key, X: 100, Y: 100})
	}
	w.Tick(14) // gateways wait some ticks for who departed to appear elsewhere
	if w.Zones() != 4 || anna.Zone() != carl.Zone() || anna.Zone() == ben.Zone() || ben.Zone().Config().Width != 502 || len(anna.Zone().Neighbours()) != 0 {
		t.Fatalf("%d zones", w.Zones())
	}
	if !anna.Sees(carl.Avatar().ID()) || anna.Sees(ben.Avatar().ID()) || w.Zone(0).Visitors() != 0 {
		t.Errorf("anna sees %v; %d still look into zone 1", anna.View(), w.Zone(0).Visitors())
	}
	l.send(anna.Zone(), anna.Avatar(), game.Destination{Zone: 2, X: 1500, Y: 500})
	w.Tick(14)
	if anna.Zone() != w.Zone(1) || anna.Sees(carl.Avatar().ID()) {
		t.Errorf("back in zone %d; sees %v", anna.Zone().Config().Zone, anna.View())
	}
}

func TestTransferToNowhereComesBack(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	for _, to := range []game.Destination{{X: 99_999, Y: 99_999}, {Zone: 77, X: 1, Y: 1}, {Instance: "none"}} {
		l.send(w.Zone(0), anna.Avatar(), to)
		w.Tick(3)
		if anna.Zone() != w.Zone(0) || !anna.Avatar().Alive() || !anna.Sees(anna.Avatar().ID()) {
			t.Errorf("%+v: zone %d", to, anna.Zone().Config().Zone)
		}
	}
	w.Zone(0).Edit(func() {
		if err := w.Zone(0).Transfer(anna.Avatar(), game.Destination{X: 10, Y: 10}); err != nil {
			t.Error(err)
		}
		if x, y := anna.Avatar().Position(); x != 10 || y != 10 {
			t.Error("within the zone it is a move, and at once")
		}
	})
}

// departure makes a hand-over of a player with a hat, as zone 1 gives it out.
func departure(t testing.TB, change func(l *lab)) game.Departure {
	t.Helper()
	l := newLab(t)
	if change != nil {
		change(l)
	}
	z := newZone(t, l.Game, row(2)[0])
	z.Step([]game.Input{attach(1), join(1, 5), {Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(row(2)[0], row(2), 0))}})
	p := player(t, z, 5)
	hat, err := z.Spawn(deltatestBearer, 510, 490)
	if err != nil {
		t.Fatal(err)
	}
	l.bell.After(hat, 7, 9)
	if err := hat.SetParent(p.Avatar()); err != nil {
		t.Fatal(err)
	}
	if err := z.Transfer(p.Avatar(), game.Destination{X: 1500, Y: 600}); err != nil {
		t.Fatal(err)
	}
	out := z.Step([]game.Input{send(5, routeCount, 0, wrapperspb.Int64(int64(z.Tick()+9)))})
	if len(out.Departures) != 1 || z.Len() != 0 {
		t.Fatalf("%d departures, %d entities are left", len(out.Departures), z.Len())
	}
	d := out.Departures[0]
	d.Payload = bytes.Clone(d.Payload)
	return d
}

func TestHandOverThatCannotBeTakenGoesBackWhole(t *testing.T) {
	d := departure(t, nil)
	arrive := game.Input{Kind: game.Arrive, Payload: d.Payload, Conns: []game.Conn{{Session: 5, Gateway: 1, Conn: 5}}}
	target := func(change func(*game.Game)) *game.Zone {
		g := newLab(t).Game
		if change != nil {
			change(g)
		}
		z := newZone(t, g, row(2)[1])
		z.Step([]game.Input{attach(1)})
		return z
	}
	fewer := deltatest.Layout()
	fewer.Kinds = fewer.Kinds[:3] // without Bearer
	if err := fewer.Finish(); err != nil {
		t.Fatal(err)
	}
	codec, err := delta.NewCodec(fewer, nil)
	if err != nil {
		t.Fatal(err)
	}
	bare := &game.Game{Name: "bare", Schema: schema()}
	bare.Timer("bell", func(*game.Zone, game.Entity, uint64) {})
	for name, z := range map[string]*game.Zone{
		"unknown kind":  target(func(g *game.Game) { g.Schema.Codec = codec }),
		"unknown timer": target(func(g *game.Game) { *g = game.Game{Name: "bare", Schema: schema()} }),
		"unknown route": newZone(t, bare, row(2)[1]),
	} {
		t.Run(name, func(t *testing.T) {
			out := z.Step([]game.Input{arrive})
			if len(out.Departures) != 1 || z.Len() != 0 || z.PlayerCount() != 0 || z.Stats().Refused != 1 {
				t.Fatalf("%d departures; %d entities, %d players", len(out.Departures), z.Len(), z.PlayerCount())
			}
			back := out.Departures[0]
			if back.To.Zone != 1 || back.Refused == "" || !bytes.Equal(back.Payload, d.Payload) || !slices.Equal(back.Players, []game.SessionID{5}) {
				t.Errorf("%+v", back)
			}
			home := target(nil) // whoever takes it
			home.Step([]game.Input{{Kind: game.Arrive, Payload: back.Payload, Conns: arrive.Conns}})
			if home.Len() != 2 || home.PlayerCount() != 1 || !player(t, home, 5).Connected() {
				t.Errorf("back home there are %d entities and %d players", home.Len(), home.PlayerCount())
			}
		})
	}
}

func TestHandOverThatComesTwiceIsTakenOnce(t *testing.T) {
	d := departure(t, nil)
	z := newZone(t, newLab(t).Game, row(2)[1])
	in := game.Input{Kind: game.Arrive, Payload: d.Payload, Conns: []game.Conn{{Session: 5, Gateway: 1, Conn: 5}}}
	z.Step([]game.Input{attach(1), in})
	out := z.Step([]game.Input{in, in})
	if len(out.Departures) != 0 || z.Len() != 2 || z.PlayerCount() != 1 || z.Stats().Refused != 2 || z.Stats().Arrivals != 2 {
		t.Errorf("%d went back; %d entities, %d players, %+v", len(out.Departures), z.Len(), z.PlayerCount(), z.Stats())
	}
}

func TestPlayerWhoLoggedInAnewWhileCrossingIsTheNewOne(t *testing.T) {
	d := departure(t, nil)
	l := newLab(t)
	var left []game.SessionID
	l.OnLeave = func(_ *game.Zone, p *game.Player) { left = append(left, p.Session) }
	z := newZone(t, l.Game, row(2)[1])
	again := join(1, 6)
	again.Player = 1005 // as session 5
	z.Step([]game.Input{attach(1), again})
	out := z.Step([]game.Input{{Kind: game.Arrive, Payload: d.Payload, Conns: []game.Conn{{Session: 5, Gateway: 1, Conn: 5}}}})
	if !slices.Equal(left, []game.SessionID{5}) || z.PlayerCount() != 1 || z.Len() != 1 || len(out.Kicks) != 1 || out.Kicks[0].Session != 5 {
		t.Errorf("left %v; %d players, %d entities; kicks %+v", left, z.PlayerCount(), z.Len(), out.Kicks)
	}
	third := join(1, 7)
	third.Player = 1005
	if out = z.Step([]game.Input{third}); len(out.Kicks) != 1 || out.Kicks[0].Session != 6 || z.PlayerCount() != 1 {
		t.Errorf("the next login ends %+v", out.Kicks)
	}
}

func TestNumbersOfAnEarlierEpochAreNotGivenAgain(t *testing.T) {
	d := departure(t, nil) // entities 1 and 2 of zone 1
	c := row(2)[0]
	c.Epoch = 2
	z := newZone(t, newLab(t).Game, c)
	z.Step([]game.Input{attach(1), {Kind: game.Arrive, Payload: d.Payload}})
	for range 5 {
		if _, err := z.Spawn(1, 10, 10); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[game.EntityID]bool{}
	for e := range z.Entities {
		seen[e.ID()] = true
	}
	if len(seen) != 7 || z.Len() != 7 {
		t.Errorf("%d numbers for %d entities", len(seen), z.Len())
	}
}
