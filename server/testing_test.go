package server_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/server"
)

const (
	routeEcho  uint16 = 64 // request: the number comes back
	routeFlood uint16 = 65 // push: as many messages come back, on routeDrop, as asked for
	routeDrop  uint16 = 66
	period            = time.Second / 20
)

// pond is a game in which everybody who joins floats in the middle.
func pond(system func(z *game.Zone)) *game.Game {
	g := &game.Game{Name: "pond", Schema: game.Schema{Codec: deltatest.Codec()}, Setup: func(z *game.Zone) error {
		if system != nil {
			z.System(func() { system(z) })
		}
		return nil
	},
		OnJoin: func(z *game.Zone, p *game.Player) error {
			if p.Name == "nobody" {
				return errors.New("go away")
			}
			c := z.Config()
			e, err := z.Spawn(1, c.Width/2, c.Height/2)
			if err != nil {
				return err
			}
			return z.Control(p, e)
		}}
	game.OnRequest(g, protocol.Route{ID: routeEcho, Name: "pond.echo"}, func(_ *game.Zone, _ *game.Player, m *wrapperspb.UInt32Value) (*wrapperspb.UInt32Value, error) {
		return m, nil
	})
	game.OnPush(g, protocol.Route{ID: routeFlood, Name: "pond.flood"}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
		for range m.Value {
			if err := z.Push(p, routeDrop, m); err != nil {
				return err
			}
		}
		return nil
	})
	g.Declare(protocol.Route{ID: routeDrop, Name: "pond.drop"})
	return g
}

func newServer(t testing.TB, cfg server.Config, g *game.Game) *server.Server {
	t.Helper()
	s, err := server.New(cfg, g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve runs a server; stop ends it and waits.
func serve(t testing.TB, s *server.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// gate is a gateway that the test plays.
type gate struct {
	link.Link
	t      testing.TB
	epochs map[uint64]uint64 // by connection
	downs  []link.Down       // received, not asked for yet
}

func attach(t testing.TB, s *server.Server) *gate {
	t.Helper()
	l, err := s.Attach(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return newGate(t, l)
}

func newGate(t testing.TB, l link.Link) *gate {
	return &gate{Link: l, t: t, epochs: map[uint64]uint64{}}
}

// hear takes what has arrived.
func (g *gate) hear() {
	g.t.Helper()
	downs, err := g.Receive(nil)
	if err != nil && !errors.Is(err, link.ErrClosed) {
		g.t.Fatal(err)
	}
	for _, d := range downs {
		d.Conn &^= first(g.Hello().Gateway)
		if d.Kind == link.Opened {
			x, err := link.ParseSession(d.Payload)
			if err != nil {
				g.t.Fatal(err)
			}
			g.epochs[d.Conn] = x.Epoch
		}
		g.downs = append(g.downs, d)
	}
}

// tell sends what a gateway says, with the epochs that it has heard.
func tell(t testing.TB, g *gate, ups ...link.Up) {
	t.Helper()
	g.hear()
	for _, u := range ups {
		if u.Epoch == 0 {
			u.Epoch = g.epochs[u.Conn]
		}
		u.Conn |= first(g.Hello().Gateway)
		if err := g.Send(u); err != nil {
			t.Fatal(err)
		}
	}
}

// first is what the numbers of a gateway's connections count on from. Tests name the connections of each gateway 1, 2, 3.
func first(gateway uint32) uint64 { return uint64(gateway) << 40 }

func open(conn uint64, name string) link.Up {
	o := link.Opening{Player: 1000 + conn, Name: name}
	return link.Up{Kind: link.OpenSession, Conn: conn, Payload: o.Append(nil)}
}

func message(conn uint64, route uint16, id, value uint32) link.Up {
	b, err := proto.Marshal(wrapperspb.UInt32(value))
	if err != nil {
		panic(err)
	}
	return link.Up{Kind: link.FromClient, Conn: conn, Route: route, ID: id, Payload: b}
}

// heard takes what has arrived at a gateway, of one kind; the rest is dropped. Tickets are left out.
func heard(t testing.TB, g *gate, kind link.DownKind) (list []link.Down) {
	t.Helper()
	g.hear()
	for _, d := range g.downs {
		if d.Kind == kind && d.Route != protocol.RouteTicket {
			list = append(list, d)
		}
	}
	g.downs = nil
	return list
}

func closed(l link.Link) bool {
	_, _ = l.Receive(nil)
	_, err := l.Receive(nil)
	return errors.Is(err, link.ErrClosed)
}

// elapse lets virtual time pass, in a synctest bubble.
func elapse(d time.Duration) { <-time.After(d) }
