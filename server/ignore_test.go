package server_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

func TestWhatAPlayerIgnoresItIsNotShownBeyondABorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const routeIgnore uint16 = 76 // push: 0 ignores nothing
		var session atomic.Uint64
		var shown atomic.Int64 // by zone 2
		g := land()
		join, setup := g.OnJoin, g.Setup
		g.OnJoin = func(z *game.Zone, p *game.Player) error {
			session.Store(uint64(p.Session))
			return join(z, p)
		}
		g.Setup = func(z *game.Zone) error {
			if z.Config().Zone == 2 {
				if _, err := z.Spawn(1, 2100, 500); err != nil {
					return err
				}
				z.System(func() { shown.Store(int64(z.Seen(game.SessionID(session.Load())))) })
			}
			return setup(z)
		}
		game.OnPush(g, protocol.Route{ID: routeIgnore, Name: "pond.ignore"}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
			if m.Value == 0 {
				return z.Ignore(p)
			}
			return z.Ignore(p, "")
		})
		s := newServer(t, server.Config{Zones: twoZones()}, g)
		l := attach(t, s)
		serve(t, s)
		tell(t, l, open(1, "anna"))
		beat(3)
		tell(t, l, message(1, routeGo, 0, 1950))
		beat(5)
		for i, want := range []bool{true, false, true} {
			if i > 0 {
				tell(t, l, message(1, routeIgnore, 0, uint32(i%2)))
				beat(5)
			}
			if n := shown.Load(); (n > 0) != want {
				t.Errorf("step %d: zone 2 shows its neighbour's player %d entities", i, n)
			}
		}
	})
}
