package tianxia_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// A view of twenty thousand that comes and goes faster than it can be sent must hurt nobody but its owner.
func TestHugeViewsSwitchedOnAndOffHurtNobody(t *testing.T) {
	n, _ := boot(t, app(20_000), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(client.Handler{}) }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 6 {
		for _, radius := range []uint32{1 << 21, 0} {
			if err := c.Request(ctx, plains.RouteSpectate, &plainsv1.SpectateRequest{Radius: radius}, &plainsv1.SpectateResponse{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := dial(t, n, nil)
	until(t, other, "somebody else plays", func() bool { _, ok := other.Own(); return ok })
	_ = c.Close()
	<-ended
}

// A peer that has not shaken hands and leaves a pong to the transient writer must not hold up the end.
func TestPeerThatNeverReadsBeforeItsHandshakeDoesNotHoldUpTheStop(t *testing.T) {
	n, stop := boot(t, app(1), tianxia.NodeConfig{})
	small := func(ctx context.Context, nw, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, nw, addr)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(1) // the least that the kernel allows
		}
		return c, err
	}
	raw := make(chan net.Conn, 1)
	_, err := network.Dial(context.Background(), "ws://"+n.Addr()+"/ws", network.DialConfig{
		Config: network.Config{Subprotocol: protocol.Subprotocol},
		NetDial: func(ctx context.Context, nw, addr string) (net.Conn, error) {
			c, err := small(ctx, nw, addr)
			raw <- c
			return c, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	nc := <-raw
	defer nc.Close()
	ping := append([]byte{0x89, 0x80 | 125, 0, 0, 0, 0}, make([]byte, 125)...)
	_ = nc.SetWriteDeadline(time.Now().Add(2 * time.Second))
	_, _ = nc.Write(bytes.Repeat(ping, 900)) // below the bound of control frames
	if took := stop(); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

// bigGame pushes a message of size bytes to everyone who joins.
func bigGame(size int) tianxia.App {
	return tianxia.App{New: func(int) (*game.Game, game.Config, error) {
		g := &game.Game{Name: "big"}
		g.Declare(protocol.Route{ID: 70, Name: "big.letter", MaxBytes: 60 << 10})
		g.Setup = func(z *game.Zone) error {
			z.OnJoin = func(p *game.Player) error {
				return z.Push(p, 70, &mmov1.Goaway{Reason: strings.Repeat("x", size)}) // any message with a text in it
			}
			return nil
		}
		return g, game.Config{}, nil
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
	n, _ := boot(t, app(5), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	queued := 0
	for i := range uint32(100_000) {
		if err := c.Push(plains.RouteMove, &plainsv1.Move{Seq: i + 1, Vx: int32(i % 40), Tick: 1 << 30}); err != nil {
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
