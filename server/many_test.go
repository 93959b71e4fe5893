package server_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

// A gateway that takes its batches once per tick gets those of every zone.
func TestManyZonesFitALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{Zones: game.Grid(game.Config{Width: 3000, EnterRadius: 300, LeaveRadius: 330, Margin: 100}, 4, 3)}, pond(nil))
		g := attach(t, s)
		serve(t, s)
		byZone := map[uint32]int{}
		for range 40 {
			beat(1)
			downs, err := g.Receive(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range downs {
				if d.Kind == link.Batch {
					byZone[d.Zone]++
				}
			}
		}
		if st := s.Stats(); st.LostBatches > 0 {
			t.Errorf("lost %d batches; by zone %v", st.LostBatches, byZone)
		}
	})
}

// crypts is a game whose instances take a while to make, and load something as their Setup ends.
func crypts(took time.Duration, loaded *atomic.Int32, failed *atomic.Int32) *game.Game {
	g := pond(nil)
	g.Setup = func(z *game.Zone) error {
		if z.Config().Instance == "" {
			return nil
		}
		game.Go(z, game.Async{Name: "load"}, func(context.Context) (*wrapperspb.UInt32Value, error) { return wrapperspb.UInt32(1), nil },
			func(_ *wrapperspb.UInt32Value, err error) {
				if err != nil {
					failed.Add(1)
				} else {
					loaded.Add(1)
				}
			})
		return nil
	}
	game.OnPush(g, protocol.Route{ID: routeDown, Name: "pond.down"}, func(z *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) error {
		return z.Transfer(p.Avatar(), game.Destination{Instance: "crypt", Key: uint64(m.Value), X: 50, Y: 50})
	})
	g.Instance("crypt", func(key uint64) game.Config {
		elapse(took)
		return game.Config{Width: 100, EnterRadius: 50}
	})
	return g
}

func TestWorkOfASetupIsDoneHoweverLongItTook(t *testing.T) {
	for _, took := range []time.Duration{0, 200 * time.Millisecond} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var loaded, failed atomic.Int32
				s := newServer(t, server.Config{}, crypts(took, &loaded, &failed))
				g := attach(t, s)
				serve(t, s)
				tell(t, g, open(1, "anna"))
				beat(3)
				tell(t, g, message(1, routeDown, 0, 1))
				beat(30)
				g.hear()
				beat(100)
				g.hear()
				if loaded.Load() != 1 || failed.Load() != 0 {
					t.Errorf("loaded %d, failed %d; %+v", loaded.Load(), failed.Load(), s.Stats().Instances)
				}
			})
		})
	}
}

// Half a second of a server with many instances that nobody is in any more.
