package tianxia_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

// A view of twenty thousand that comes and goes faster than it can be sent must hurt nobody but its owner.
func TestHugeViewsSwitchedOnAndOffHurtNobody(t *testing.T) {
	crowd := 20_000
	if testing.Short() {
		crowd = 8_000
	}
	n, _ := boot(t, app(crowd), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	ended, everything := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		ended <- c.Serve(client.Handler{State: func() {
			if c.Mirror.Live > crowd {
				select {
				case everything <- struct{}{}:
				default:
				}
			}
		}})
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	spectate := func(radius uint32) {
		t.Helper()
		if err := c.Request(ctx, bind.RouteSpectate, &plainsv1.SpectateRequest{Radius: radius}, &plainsv1.SpectateResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	spectate(1 << 21)
	wait(t, "all of them in view", everything)
	for range 6 { // first all of it leaves at once, then it comes and goes in the middle of being sent
		spectate(0)
		spectate(1 << 21)
	}
	other := dial(t, n, nil)
	until(t, other, "somebody else plays", func() bool { _, ok := other.Own(); return ok })
	_ = c.Close()
	<-ended
}

// bigGame pushes a message of size bytes to everyone who joins.
func bigGame(size int) tianxia.App {
	return tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		g := &game.Game{Name: "big"}
		g.Declare(protocol.Route{ID: 70, Name: "big.letter", MaxBytes: 60 << 10})
		g.OnJoin = func(z *game.Zone, p *game.Player) error {
			return z.Push(p, 70, &mmov1.Goaway{Reason: strings.Repeat("x", size)}) // any message with a text in it
		}
		return g, nil, nil
	}}
}

func TestLargeMessagesArriveWhole(t *testing.T) {
	n, _ := boot(t, bigGame(50<<10), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	timer := time.AfterFunc(patience, func() { _ = c.Close() })
	defer timer.Stop()
	got := 0
	err := c.Serve(client.Handler{Push: func(route uint16, b []byte) {
		got = len(b)
		_ = c.Close()
	}})
	if got < 50<<10 {
		t.Errorf("%d bytes arrived, then %v", got, err)
	}
}

func TestMessageAboveItsRoutesLimitFailsWhereItIsSent(t *testing.T) {
	n, _ := boot(t, bigGame(61<<10), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	var k *client.KickError
	if err := c.Serve(client.Handler{}); !errors.As(err, &k) || k.Code != protocol.DisconnectKicked {
		t.Errorf("ended with %v, want the kick of a join that failed", err)
	}
}

func TestClientSplitsWhatFitsNoRecord(t *testing.T) {
	n, _ := boot(t, app(5), tianxia.NodeConfig{ // who sends as much is sent away otherwise: for flooding, or because of the errors that answer it
		Gateway: gateway.Config{FrameRate: 1_000_000, QueueBytes: 64 << 20, Limits: gateway.Limits{ByteRate: 1 << 30}},
		Server:  server.Config{OutboxMessages: 1 << 20, OutboxBytes: 1 << 28},
	})
	c := dial(t, n, nil)
	queued := 0
	for i := range uint32(100_000) {
		if err := c.Push(bind.RouteMove, &plainsv1.Move{Seq: i + 1, Vx: int32(i % 40), Tick: 1 << 30}); err != nil {
			if !errors.Is(err, client.ErrFull) {
				t.Fatal(err)
			}
			break
		}
		queued++
	}
	if queued < 10_000 || queued == 100_000 {
		t.Errorf("%d messages were queued, want a bound at about a megabyte", queued)
	}
	until(t, c, "the connection lives and plays", func() bool { _, ok := c.Own(); return ok && c.Mirror.Frames > 10 })
}
