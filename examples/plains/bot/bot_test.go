package bot_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// patience bounds waits for what comes within a second or two.
const patience = 30 * time.Second

func open(t *testing.T) *tianxia.Node {
	t.Helper()
	n, err := tianxia.Open(tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		return plains.New(plains.Config{}), []game.Config{{Seed: 1, Width: plains.SideFor(100)}}, nil
	}}, tianxia.NodeConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBotsWalkByTheRulesUntilTheEnd has a world without walkers: whatever is surprising in it, bots have done.
func TestBotsWalkByTheRulesUntilTheEnd(t *testing.T) {
	n := open(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- n.Serve(ctx) }()
	const bots = 3
	ended := make(chan error, bots)
	for i := range bots {
		cfg, err := n.ClientConfig(fmt.Sprint("bot ", i))
		if err != nil {
			t.Fatal(err)
		}
		dialling, cancel := context.WithTimeout(ctx, patience)
		cfg.Reconnect.Off = true // the end of the world is the end of its bots
		c, err := client.Dial(dialling, cfg)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- bot.Play(ctx, i, c) }()
	}
	late := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for n.Stats().Server.ZoneStats.Publications <= bots { // at least one has turned after its first step
		select {
		case <-look.C:
		case err := <-ended:
			t.Fatalf("a bot ended: %v", err)
		case <-late:
			t.Fatalf("nobody walks: %+v", n.Stats().Server)
		}
	}
	if st := n.Stats().Server; st.Players != bots || st.ZoneStats.Refused != 0 {
		t.Errorf("%d players, %d messages refused; want %d and none", st.Players, st.ZoneStats.Refused, bots)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	for range bots {
		var k *client.KickError
		if err := <-ended; !errors.As(err, &k) || k.Code != protocol.DisconnectServerShutdown {
			t.Errorf("a bot ended with %v, want server_shutdown", err)
		}
	}
}

// Example lets three bots play in a world of one's own for a minute.
func Example() {
	app := tianxia.App{
		New: func(bots int) (*game.Game, []game.Config, error) {
			return plains.New(plains.Config{Walkers: 100}), []game.Config{{Seed: 1, Width: plains.SideFor(100 + bots)}}, nil
		},
		Bot: bot.Play,
	}
	n, err := tianxia.Open(app, tianxia.NodeConfig{Bots: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := n.Serve(ctx); err != nil {
		fmt.Println(err)
	}
}
