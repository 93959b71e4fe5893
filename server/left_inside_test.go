package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

func hops(slow time.Duration) *game.Game {
	g := &game.Game{Name: "hop", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Declare(protocol.Route{ID: 80, Name: "hop.note"})
	game.OnCall(g, "poke", 7, func(z *game.Zone, e game.Entity, from game.Caller, m *wrapperspb.UInt32Value) (*wrapperspb.UInt32Value, error) {
		return m, nil
	})
	g.Setup = func(z *game.Zone) error {
		var ids []game.EntityID
		z.System(func() {
			for e := range z.OfKind(1) {
				ids = append(ids, e.ID())
				if len(ids) > 64 {
					ids = ids[32:]
				}
				if p := e.Player(); p != nil && z.Rand.IntN(10) == 0 {
					z.JoinGroup(p, game.GroupID(z.Rand.IntN(4)))
					to := ids[z.Rand.IntN(len(ids))]
					_ = game.Call(z, e, to, 7, wrapperspb.UInt32(1), game.Async{Player: p}, func(*wrapperspb.UInt32Value, error) {})
				}
				if z.Rand.IntN(25) == 0 && e.Player() == nil {
					z.Despawn(e)
					continue
				}
				if z.Rand.IntN(15) != 0 {
					continue
				}
				if p := e.Player(); p != nil && z.Rand.IntN(3) == 0 {
					if c, err := z.Spawn(1, 0, 0); err == nil {
						c.SetPosition(e.Position())
						_ = c.SetParent(e)
					} else if c, err := z.Spawn(1, z.Config().X+10, z.Config().Y+10); err == nil {
						_ = c
					}
				}
				if _, ok := e.Parent(); ok {
					_ = e.SetParent(nil)
				}
				to := game.Destination{X: 100 + z.Rand.Int32N(3800), Y: 100 + z.Rand.Int32N(800)}
				switch {
				case z.Config().World == 0:
					to.Zone, to.X, to.Y = uint32(1+z.Rand.IntN(2)), 500, 500
				case z.Rand.IntN(3) == 0:
					to = game.Destination{Instance: "cellar", Key: uint64(z.Rand.IntN(6)), X: 50, Y: 50}
				}
				_ = z.Transfer(e, to)
				if p := e.Player(); p != nil && z.Rand.IntN(20) == 0 {
					z.KickPlayer(p, "enough")
				}
			}
		})
		return nil
	}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, z.Config().X+500, z.Config().Y+500)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	g.Instance("cellar", func(key uint64) game.Config {
		<-time.After(slow * time.Duration(key))
		if key == 5 {
			return game.Config{Width: -1}
		}
		return game.Config{Width: 1000, EnterRadius: 300, Seed: key}
	})
	return g
}

func TestNothingIsLeftOfWhoHasGone(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 9))
				s, err := New(Config{Zones: game.Grid(game.Config{Width: 4000, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 100, Seed: seed}, 2, 1), InstanceIdle: time.Second, Linger: 2 * time.Second,
					MaxInstances: 4}, hops(40*time.Millisecond))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- s.Serve(ctx) }()
				beat := func() { <-time.After(50 * time.Millisecond); synctest.Wait() }
				type conn struct {
					l  link.Link
					id uint64
				}
				var links []link.Link
				attach := func() {
					l, err := s.Attach(ctx)
					if err != nil {
						t.Fatal(err)
					}
					links = append(links, l)
				}
				attach()
				attach()
				epochs := map[uint64]uint64{}
				var conns []*conn
				next := uint64(0)
				hear := func() {
					for _, l := range links {
						downs, _ := l.Receive(nil)
						for _, d := range downs {
							if d.Kind == link.Opened {
								if x, err := link.ParseSession(d.Payload); err == nil {
									epochs[d.Conn] = x.Epoch
								}
							}
						}
					}
				}
				for range 600 {
					hear()
					switch n := r.IntN(30); {
					case n < 6:
						l := links[r.IntN(len(links))]
						next++
						id := uint64(l.Hello().Gateway)<<40 | next
						o := link.Opening{Player: 1 + r.Uint64N(12), Name: "p"}
						_ = l.Send(link.Up{Kind: link.OpenSession, Conn: id, Payload: o.Append(nil)})
						conns = append(conns, &conn{l: l, id: id})
					case n < 9 && len(conns) > 0:
						i := r.IntN(len(conns))
						c := conns[i]
						u := link.Up{Kind: link.CloseSession, Conn: c.id, Epoch: epochs[c.id]}
						if r.IntN(2) == 0 {
							u.Code = 1000
						}
						_ = c.l.Send(u)
					case n == 9:
						_ = s.Kick(ctx, 1+r.Uint64N(12), protocol.DisconnectKicked, "x")
					case n == 10 && r.IntN(4) == 0:
						i := r.IntN(len(links))
						_ = links[i].Close()
						links = append(links[:i], links[i+1:]...)
						attach()
					}
					beat()
				}
				for p := range uint64(13) {
					_ = s.Kick(ctx, p, protocol.DisconnectKicked, "x")
				}
				for range 1200 {
					hear()
					beat()
				}
				st := s.Stats()
				cancel()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				visitors := 0
				for _, h := range s.hosts {
					visitors += h.zone.Visitors()
				}
				for id, h := range s.where {
					if _, ok := h.zone.Entity(id); !ok {
						t.Errorf("entity %d is said to be in zone %d", id, h.id())
					}
				}
				if st.Players != 0 || st.Sessions != 0 || visitors != 0 || len(s.groups) != 0 || len(s.operating) != 0 || len(s.refused) != 0 || len(s.asks) > 0 || s.jobs != 0 || s.playing != 0 || st.ZoneStats.Panics != 0 {
					t.Errorf("players %d sessions %d visitors %d groups %d operating %d refused %d asks %d playing %d panics %d where %d instances %d handovers %d", st.Players, st.Sessions, visitors, len(s.groups), len(s.operating), len(s.refused), len(s.asks), s.playing, st.ZoneStats.Panics, len(s.where), len(s.instances), st.HandOvers)
				} else if seed == 0 {
					t.Logf("hand-overs %d, instances %d, where %d, entities %d, lost links %d", st.HandOvers, st.Instances, len(s.where), st.Entities, st.GatewaysLost)
				}
				for _, h := range s.hosts {
					if h.instance == (instanceKey{}) && h.sessions != 0 {
						t.Errorf("zone %d counts %d sessions", h.id(), h.sessions)
					}
				}
			})
		})
	}
}
