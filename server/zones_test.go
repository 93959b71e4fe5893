package server_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

// hopping is the pond with zones between which avatars are sent at random, into instances too.
func hopping() *game.Game {
	g := pond(func(z *game.Zone) {
		for e := range z.OfKind(1) {
			if e.Player() == nil || z.Rand.IntN(20) != 0 {
				continue
			}
			to := game.Destination{X: 100 + z.Rand.Int32N(3800), Y: 100 + z.Rand.Int32N(1800)}
			switch c := z.Config(); {
			case c.World == 0: // an instance: back into the world
				to.Zone, to.X, to.Y = 1, 500, 500
			case z.Rand.IntN(6) == 0:
				to = game.Destination{Instance: "cellar", Key: uint64(z.Rand.IntN(3)), X: 50, Y: 50}
			}
			if err := z.Transfer(e, to); err != nil {
				panic(err)
			}
		}
	})
	g.Instance("cellar", func(key uint64) game.Config {
		return game.Config{Width: 100, EnterRadius: 50, Seed: key}
	})
	return g
}

const (
	routeGo   uint16 = 70 // push: to the place x = value, y = 500
	routeDown uint16 = 71 // push: into the cellar of a key
	routeAway uint16 = 72 // server: how often it has arrived somewhere
	routeWork uint16 = 73 // request, answered after work elsewhere: value 0 fails, 1 panics, 2 is too slow
	routeTell uint16 = 74 // push: to the group of everybody
	routeRule uint16 = 75 // command: needs the right "rule"
)

// land is the pond in two zones, from which its players may go.
func land() *game.Game {
	g := pond(nil)
	g.Declare(protocol.Route{ID: routeAway, Name: "pond.away"})
	send := func(to func(v uint32) game.Destination) func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
		return func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
			return z.Transfer(p.Avatar(), to(m.Value))
		}
	}
	game.OnPush(g, protocol.Route{ID: routeGo, Name: "pond.go"}, send(func(v uint32) game.Destination { return game.Destination{X: int32(v), Y: 500} }))
	game.OnPush(g, protocol.Route{ID: routeDown, Name: "pond.down"}, send(func(v uint32) game.Destination {
		return game.Destination{Instance: "cellar", Key: uint64(v), X: 50, Y: 50}
	}))
	g.OnArrive = func(z *game.Zone, p *game.Player) {
		_ = z.Push(p, routeAway, wrapperspb.UInt32(z.Config().Zone))
	}
	join := g.OnJoin
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		z.JoinGroup(p, 7)
		return join(z, p)
	}
	game.OnPush(g, protocol.Route{ID: routeTell, Name: "pond.tell"}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
		return z.PushGroup(7, routeDrop, m)
	})
	game.OnDeferred(g, protocol.Route{ID: routeWork, Name: "pond.work"}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value, reply game.Reply[*wrapperspb.UInt32Value]) error {
		v := m.Value
		game.Go(z, game.Async{Name: "work", Player: p, Ticks: 20}, func(ctx context.Context) (*wrapperspb.UInt32Value, error) {
			switch v {
			case 0:
				return nil, &game.Error{Code: 1234, Message: "no luck"}
			case 1:
				panic("clumsy")
			case 2:
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return wrapperspb.UInt32(v * 2), nil
		}, func(r *wrapperspb.UInt32Value, err error) {
			if err != nil {
				reply.Fail(err)
				return
			}
			_ = reply.Send(r)
		})
		return nil
	})
	game.OnRequest(g, protocol.Route{ID: routeRule, Name: "pond.rule", Right: "rule", Audit: true}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) (*wrapperspb.UInt32Value, error) {
		return wrapperspb.UInt32(m.Value + z.Config().Zone), nil
	})
	g.Instance("cellar", func(key uint64) game.Config {
		if key == 13 {
			return game.Config{Width: -1}
		}
		return game.Config{Width: 100, EnterRadius: 50, Seed: key}
	})
	return g
}

func twoZones() []game.Config {
	return game.Grid(game.Config{Width: 4000, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 100}, 2, 1)
}

// landed is a server of land with a gateway and a player on connection 1.
func landed(t *testing.T, cfg server.Config) (*server.Server, *gate) {
	t.Helper()
	cfg.Zones = twoZones()
	s := newServer(t, cfg, land())
	g := attach(t, s)
	serve(t, s)
	tell(t, g, open(1, "anna"))
	beat(3)
	return s, g
}

// said lists what a connection was told on a route, by value.
func said(t *testing.T, g *gate, conn uint64, route uint16) (values []uint32) {
	t.Helper()
	for _, d := range g.got(conn) {
		if d.Kind == link.ToClient && d.Route == route && d.Type != protocol.TypeError {
			var m wrapperspb.UInt32Value
			if err := proto.Unmarshal(d.Payload, &m); err != nil {
				t.Fatal(err)
			}
			values = append(values, m.Value)
		}
	}
	return values
}

func TestSessionGoesOnInAnotherZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := landed(t, server.Config{})
		g.got(1)
		tell(t, g, message(1, routeGo, 0, 3000), message(1, routeEcho, 2, 41), message(1, routeEcho, 3, 42))
		beat(1)
		tell(t, g, message(1, routeEcho, 4, 43)) // while it is on its way
		beat(3)
		var all []uint32
		downs := g.got(1)
		for _, d := range downs {
			if d.Kind == link.ToClient && d.ID != 0 {
				all = append(all, d.ID)
			}
		}
		if !slices.Equal(all, []uint32{2, 3, 4}) {
			t.Errorf("answers %v, want those of 2, 3, 4", all)
		}
		seq := uint32(0)
		for _, d := range downs {
			if d.Seq != 0 && d.Seq <= seq {
				t.Errorf("number %d after %d", d.Seq, seq)
			}
			seq = max(seq, d.Seq)
		}
		st := s.Stats()
		if st.HandOvers != 1 || st.Players != 1 {
			t.Errorf("%+v", st)
		}
		tell(t, g, message(1, routeGo, 0, 1000), link.Up{Kind: link.CloseSession, Conn: 1})
		beat(3)
		if st := s.Stats(); st.Lingering != 1 || st.Players != 1 || st.HandOvers != 2 {
			t.Errorf("after it left its connection on the way: %+v", st)
		}
	})
}

func TestInstancesOpenOnDemandAndCloseWhenNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := landed(t, server.Config{InstanceIdle: 2 * time.Second})
		g.got(1)
		tell(t, g, message(1, routeDown, 0, 5))
		beat(5)
		var opened link.Zone
		for _, d := range heard(t, g, link.ZoneOpened) {
			z, err := link.ParseZone(d.Payload)
			if err != nil {
				t.Fatal(err)
			}
			opened = z
		}
		if st := s.Stats(); opened.ID != 3 || st.Instances != 1 || st.Players != 1 {
			t.Fatalf("opened %+v, %+v", opened, st)
		}
		late := attach(t, s)
		if n := len(late.Hello().Zones); n != 3 {
			t.Errorf("a gateway that comes later is told of %d zones, want 3", n)
		}
		tell(t, g, message(1, routeEcho, 5, 9))
		beat(2)
		if got := said(t, g, 1, routeEcho); !slices.Equal(got, []uint32{9}) {
			t.Errorf("from within: %v", got)
		}
		tell(t, g, message(1, routeDown, 0, 13)) // cannot be made: she stays
		beat(5)
		tell(t, g, message(1, routeEcho, 6, 10))
		beat(2)
		if got := said(t, g, 1, routeEcho); !slices.Equal(got, []uint32{10}) {
			t.Errorf("after an instance that cannot be made: %v", got)
		}
		beat(60)
		if st := s.Stats(); st.Instances != 1 {
			t.Errorf("closed with a player in it: %+v", st)
		}
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 1, Code: 1000})
		beat(50)
		if st := s.Stats(); st.Instances != 0 || st.Sessions != 0 {
			t.Errorf("not closed: %+v", st)
		}
		if n := len(heard(t, g, link.ZoneClosed)); n != 1 {
			t.Errorf("%d zones closed at the gateway, want 1", n)
		}
	})
}

func TestWorkOfAZoneComesBackWhateverBecomesOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g := landed(t, server.Config{})
		g.got(1)
		tell(t, g, message(1, routeWork, 10, 21), message(1, routeWork, 11, 0), message(1, routeWork, 12, 1), message(1, routeWork, 13, 2))
		beat(40)
		type answer struct {
			typ protocol.FrameType
			id  uint32
		}
		var got []answer
		for _, d := range g.got(1) {
			if d.Kind == link.ToClient && d.ID != 0 {
				got = append(got, answer{d.Type, d.ID})
			}
		}
		slices.SortFunc(got, func(a, b answer) int { return int(a.id) - int(b.id) })
		want := []answer{{protocol.TypeResponse, 10}, {protocol.TypeError, 11}, {protocol.TypeError, 12}, {protocol.TypeError, 13}}
		if !slices.Equal(got, want) {
			t.Errorf("answers %v, want %v", got, want)
		}
	})
}

func TestGroupsReachTheirMembersInEveryZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g := landed(t, server.Config{})
		tell(t, g, open(2, "ben"), open(3, "cem"))
		beat(3)
		tell(t, g, message(1, routeGo, 0, 3000), link.Up{Kind: link.CloseSession, Conn: 3, Code: 1000})
		beat(3)
		g.got(1)
		g.got(2)
		g.got(3)
		tell(t, g, message(2, routeTell, 0, 5))
		beat(2)
		if a, b, c := said(t, g, 1, routeDrop), said(t, g, 2, routeDrop), said(t, g, 3, routeDrop); !slices.Equal(a, []uint32{5}) || !slices.Equal(b, []uint32{5}) || c != nil {
			t.Errorf("told %v, %v, %v", a, b, c)
		}
	})
}

func TestOperatorsUseCommandsWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var audits []game.Audit
		s, _ := landed(t, server.Config{Audit: func(_ uint32, a game.Audit) { audits = append(audits, a) }})
		command := func(zone uint32, rights ...string) (uint32, error) {
			b, err := proto.Marshal(wrapperspb.UInt32(40))
			if err != nil {
				t.Fatal(err)
			}
			b, err = s.Command(context.Background(), zone, "olga", rights, routeRule, b)
			var m wrapperspb.UInt32Value
			if err == nil {
				err = proto.Unmarshal(b, &m)
			}
			return m.Value, err
		}
		if v, err := command(2, "rule"); err != nil || v != 42 {
			t.Errorf("%d, %v", v, err)
		}
		var e *game.Error
		if _, err := command(0); !errors.As(err, &e) || e.Code != protocol.ErrorNotAllowed {
			t.Errorf("without the right: %v", err)
		}
		if _, err := command(9, "rule"); err == nil {
			t.Error("zone 9 was commanded")
		}
		if len(audits) != 2 || audits[0].By != "olga" || audits[0].Err != "" || audits[1].Err == "" {
			t.Errorf("audits %+v", audits)
		}
	})
}

func TestZonesThatContradictEachOtherAreRefused(t *testing.T) {
	two := twoZones()
	for name, zones := range map[string][]game.Config{
		"number twice": {two[0], two[0]},
		"overlap":      {two[0], {Zone: 2, World: 1, X: 100, Width: 1000, Height: 1000}},
	} {
		if _, err := server.New(server.Config{Zones: zones}, pond(nil)); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			t.Log(err)
		}
	}
}
