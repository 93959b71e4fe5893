package bot_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// serve runs a small world of two zones until the test ends.
func serve(t *testing.T, cfg plains.Config) (*tianxia.Node, context.Context) {
	t.Helper()
	n, err := tianxia.Open(tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		world, err := plains.World(1, 40*bind.QuantaPerMetre, 2)
		return plains.New(cfg), world, err
	}}, tianxia.NodeConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	served := make(chan error, 1)
	go func() { served <- n.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if st := n.Stats().Server.ZoneStats; st.Panics != 0 {
			t.Errorf("the game panicked %d times", st.Panics)
		}
	})
	return n, ctx
}

func dial(t *testing.T, ctx context.Context, n *tianxia.Node, name string) *client.Client {
	t.Helper()
	cfg, err := n.ClientConfig(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Reconnect.Off = true
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBotsLiveInTheWorld lets bots play in two zones with wolves and coins, until somebody who looks on has seen all of it.
func TestBotsLiveInTheWorld(t *testing.T) {
	n, ctx := serve(t, plains.Config{Wolves: 3, Coins: 60})
	const bots = 8
	ended := make(chan error, bots)
	for i := range bots {
		c := dial(t, ctx, n, fmt.Sprint("bot ", i))
		go func() { ended <- bot.Play(ctx, i, c) }()
	}
	watcher := dial(t, ctx, n, "watcher")
	var hits, rich atomic.Int32
	pushes := bind.Pushes{Hit: func(*plainsv1.Hit) { hits.Add(1) }}
	err := watcher.ServeContext(ctx, client.Handler{
		Push: func(route uint16, b []byte) {
			if known, err := pushes.Dispatch(route, b); !known || err != nil {
				t.Errorf("push on route %d: known %v, %v", route, known, err)
			}
		},
		State: func() {
			var p plainsv1.Purse
			for i := range watcher.Mirror.Entities {
				if e := &watcher.Mirror.Entities[i]; e.Live && bind.PurseRead(e, &p) && p.Coins > 0 {
					rich.Add(1)
				}
			}
			if hits.Load() > 0 && rich.Load() > 0 && n.Stats().Server.HandOvers > 0 {
				_ = watcher.Close()
			}
		},
	})
	if ctx.Err() != nil {
		t.Errorf("in %v: %d hits, rich heroes seen %d times, %d hand-overs; %v", patience, hits.Load(), rich.Load(), n.Stats().Server.HandOvers, err)
	}
	select {
	case err := <-ended:
		t.Errorf("a bot ended: %v", err)
	default:
	}
}

// TestAPlayerGoesIntoADenAndOut walks to the mouth of a den, enters, and comes out again.
func TestAPlayerGoesIntoADenAndOut(t *testing.T) {
	n, ctx := serve(t, plains.Config{Den: true})
	c := dial(t, ctx, n, "anna")
	var seq, next uint32
	var was bool // in a den
	err := c.ServeContext(ctx, client.Handler{State: func() {
		own, ok := c.Own()
		if !ok {
			return
		}
		row := &c.Mirror.Rows[own.Zone]
		inside := row.Zone > 2
		if was = was || inside; was && !inside {
			_ = c.Close()
			return
		}
		if int32(row.Tick-next) < 0 {
			return
		}
		next = row.Tick + 4
		x, z, _ := own.Position(row.Tick)
		for i := range c.Mirror.Entities {
			e := &c.Mirror.Entities[i]
			if !e.Live || game.Kind(e.Kind) != bind.KindDen || c.Mirror.Rows[e.Zone].Zone != row.Zone {
				continue
			}
			dx, dz, _ := e.Position(row.Tick)
			seq++
			v := fixed.Vec{X: dx - x, Y: dz - z}.Clamp(rules.MaxSpeed)
			_ = bind.SendMove(c, &plainsv1.Move{Seq: seq, Tick: row.Tick + 1, Vx: v.X, Vz: v.Y})
		}
		if inside {
			_ = bind.SendQuitDen(c, &plainsv1.QuitDen{})
		} else {
			_ = bind.SendEnterDen(c, &plainsv1.EnterDen{})
		}
	}})
	if ctx.Err() != nil || n.Stats().Server.HandOvers < 2 {
		t.Errorf("it was in a den: %v; %d hand-overs; %v", was, n.Stats().Server.HandOvers, err)
	}
}
