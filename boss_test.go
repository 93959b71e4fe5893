//go:build linux

package tianxia_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/server"
)

// Size of the fight. A long one: go test -run TestBoss -fighters 1000 -fight 5m -timeout 15m -v .
var (
	flagFighters = flag.Int("fighters", 60, "clients that fight the boss of TestBossFallsOnce")
	flagFight    = flag.Duration("fight", 4*time.Second, "how long the boss lasts")
)

// Routes of the arena.
const (
	routeSmite  = 90 // request: strikes the boss; answered with its health
	routeReward = 91 // server: the prize of whoever struck last
)

const bossKind = 2

// arena is a game of one boss, which falls after so many strikes.
func arena(strikes uint32, rewards *atomic.Int64) *game.Game {
	g := &game.Game{Name: "arena", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Declare(protocol.Route{ID: routeReward, Name: "arena.reward"})
	health := func(left uint32) uint32 { return uint32((uint64(left)*60000 + uint64(strikes) - 1) / uint64(strikes)) }
	g.Setup = func(z *game.Zone) error {
		c := z.Config()
		boss, err := z.Spawn(bossKind, c.Width/2, c.Height/2)
		if err != nil {
			return err
		}
		boss.Cell(deltatest.Vitals).Set(0, delta.AOI, health(strikes))
		boss.SetTag(strikes)
		z.Data = boss
		return nil
	}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		c := z.Config()
		e, err := z.Spawn(1, c.Width/2-1000+z.Rand.Int32N(2000), c.Height/2-1000+z.Rand.Int32N(2000))
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	g.OnDeath = func(z *game.Zone, e game.Entity, by game.EntityID) {
		if k, ok := z.Entity(by); ok && k.Player() != nil {
			rewards.Add(1)
			_ = z.Push(k.Player(), routeReward, &emptypb.Empty{})
		}
	}
	game.OnRequest(g, protocol.Route{ID: routeSmite, Name: "arena.smite"}, func(z *game.Zone, p *game.Player, _ *emptypb.Empty) (*wrapperspb.UInt32Value, error) {
		boss := z.Data.(game.Entity)
		if !boss.Alive() || boss.Dead() {
			return wrapperspb.UInt32(0), nil
		}
		left := boss.Tag().(uint32) - 1
		boss.SetTag(left)
		boss.Cell(deltatest.Vitals).Set(0, delta.AOI, health(left))
		if left == 0 {
			z.Die(boss, p.Avatar().ID(), 0)
		}
		return wrapperspb.UInt32(health(left)), nil
	})
	return g
}

// TestBossFallsOnce has many clients strike one boss once a second while others come and go.
func TestBossFallsOnce(t *testing.T) {
	var given atomic.Int64
	strikes := uint32(float64(*flagFighters) * flagFight.Seconds() * .8)
	app := tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		return arena(strikes, &given), []game.Config{{Width: 20000, EnterRadius: 8000}}, nil
	}}
	n, stop := boot(t, app, tianxia.NodeConfig{})
	ctx, cancel := context.WithTimeout(context.Background(), 4**flagFight+patience)
	defer cancel()
	var fallen, rewarded, rose, struck atomic.Int64
	down := make(chan struct{}) // the boss has fallen
	var once sync.Once
	fight := func(stay context.Context, name string) { // whoever goes early still hears the answer to its last strike: it may have been the one that counts
		cfg, err := n.ClientConfig(name)
		if err != nil {
			t.Error(err)
			return
		}
		cfg.Codec = deltatest.Codec()
		c, err := client.Dial(stay, cfg)
		if err != nil {
			if stay.Err() == nil {
				t.Error(err)
			}
			return
		}
		ended := make(chan error, 1)
		hp := uint32(1 << 20)
		go func() {
			ended <- c.Serve(client.Handler{
				State: func() {
					for i := range c.Mirror.Entities {
						e := &c.Mirror.Entities[i]
						if !e.Live || e.Kind != bossKind {
							continue
						}
						v, _ := e.View(deltatest.Vitals)
						if v.W[0] > hp {
							rose.Add(1)
						}
						hp = v.W[0]
					}
				},
				Push: func(route uint16, _ []byte) {
					if route == routeReward {
						rewarded.Add(1)
					}
				},
			})
		}()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
	striking:
		for {
			var left wrapperspb.UInt32Value
			if err := c.Request(ctx, routeSmite, &emptypb.Empty{}, &left); err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				break
			}
			if left.Value == 0 {
				fallen.Add(1)
				once.Do(func() { close(down) })
				break
			}
			struck.Add(1)
			select {
			case <-stay.Done():
				break striking
			case <-tick.C:
			}
		}
		if ctx.Err() == nil { // a last word, behind whatever the fall has brought
			_ = c.Request(ctx, routeSmite, &emptypb.Empty{}, &wrapperspb.UInt32Value{})
		}
		_ = c.Close()
		<-ended
	}
	var all sync.WaitGroup
	began := time.Now()
	gate := make(chan struct{}, 32) // logins at once
	for i := range *flagFighters {
		gate <- struct{}{}
		all.Go(func() {
			time.AfterFunc(10*time.Millisecond, func() { <-gate })
			fight(ctx, fmt.Sprint("fighter ", i))
		})
	}
	passers := 0
	for over := false; !over && ctx.Err() == nil; passers++ { // others come, look for a moment, and go
		short, end := context.WithTimeout(ctx, 300*time.Millisecond)
		fight(short, fmt.Sprint("passer ", passers))
		end()
		select {
		case <-down:
			over = true
		default:
		}
	}
	all.Wait()
	var st server.Stats
	eventually(t, "measurements are fresh", func() bool { st = n.Stats().Server; return len(st.Zones) == 1 })
	z := st.Zones[0]
	t.Logf("%d fighters and %d passers struck %d times in %v; tick p50 %v, p99 %v, %d overruns; phases %v", *flagFighters, passers, struck.Load(), time.Since(began).Round(time.Millisecond),
		z.StepP50, z.StepP99, st.Overruns, z.Phases)
	if rewarded.Load() != 1 || given.Load() != 1 || rose.Load() != 0 || fallen.Load() < int64(*flagFighters)/2 {
		t.Errorf("%d rewards came, %d were given, health rose %d times, %d saw it fall", rewarded.Load(), given.Load(), rose.Load(), fallen.Load())
	}
	stop()
}
