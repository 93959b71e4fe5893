package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

func runFor(t *testing.T, g *game.Game, cfg Config, d time.Duration) *Server {
	s, err := New(cfg, g)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	<-time.After(d)
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhoGoesBackIsWhereItWas: where it came from, not at the place that it would have had there.
func TestWhoGoesBackIsWhereItWas(t *testing.T) {
	for name, cfg := range map[string]Config{"cannot be made": {}, "no room": {MaxInstances: 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &game.Game{Name: "back", Schema: game.Schema{Codec: deltatest.Codec()}}
				g.Setup = func(z *game.Zone) error {
					if z.Config().Zone != 2 {
						return nil
					}
					e, err := z.Spawn(1, 3000, 500)
					if err != nil {
						return err
					}
					if cfg.MaxInstances == 1 {
						f, err := z.Spawn(2, 3000, 500)
						if err != nil {
							return err
						}
						_ = z.Transfer(f, game.Destination{Instance: "good", Key: 1, X: 50, Y: 50})
					}
					return z.Transfer(e, game.Destination{Instance: "bad", Key: 1, X: 50, Y: 50})
				}
				g.Instance("bad", func(uint64) game.Config { return game.Config{Width: -1} })
				g.Instance("good", func(uint64) game.Config { return game.Config{Width: 100, EnterRadius: 50} })
				cfg.Zones = game.Grid(game.Config{Width: 4000, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 100}, 2, 1)
				s := runFor(t, g, cfg, time.Second)
				n := 0
				for _, h := range s.hosts {
					for e := range h.zone.OfKind(1) {
						n++
						if x, y := e.Position(); x != 3000 || y != 500 {
							t.Errorf("it was at 3000, 500 of zone 2 and is at %d, %d of zone %d", x, y, h.id())
						}
					}
				}
				if n != 1 {
					t.Errorf("there are %d of it", n)
				}
			})
		})
	}
}

// What an instance sends away in its first ticks is not lost because it took long to make.
func TestFirstTicksOfAnInstanceCount(t *testing.T) {
	for _, took := range []time.Duration{0, 200 * time.Millisecond} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &game.Game{Name: "first", Schema: game.Schema{Codec: deltatest.Codec()}}
				g.Setup = func(z *game.Zone) error {
					e, err := z.Spawn(1, 10, 10)
					if err != nil {
						return err
					}
					if z.Config().Instance == "" {
						return z.Transfer(e, game.Destination{Instance: "good", Key: 1, X: 50, Y: 50})
					}
					return z.Transfer(e, game.Destination{Zone: 1, X: 70, Y: 70}) // a messenger
				}
				g.Instance("good", func(uint64) game.Config {
					<-time.After(took)
					return game.Config{Width: 100, EnterRadius: 50}
				})
				s := runFor(t, g, Config{InstanceIdle: time.Hour}, time.Second)
				if n := s.hosts[0].zone.Len(); n != 1 {
					t.Errorf("%d entities in zone 1, want the messenger", n)
				}
			})
		})
	}
}
