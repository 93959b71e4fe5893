package tianxia_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// peer is a client that can misbehave at every layer.
type peer struct {
	t    *testing.T
	conn *network.Conn
	keys *security.Session
}

// connect opens a WebSocket and, if secure, does the handshake.
func connect(t *testing.T, n *tianxia.Node, secure bool) *peer {
	t.Helper()
	cfg, err := n.ClientConfig("peer")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := network.Dial(context.Background(), cfg.URL, network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(1000, "") })
	p := &peer{t: t, conn: conn}
	if secure {
		cfg.Security.Now = time.Now()
		h, hs1, err := security.NewClient(cfg.Security)
		if err != nil {
			t.Fatal(err)
		}
		p.raw(hs1)
		if p.keys, _, err = h.Finish(p.next()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *peer) raw(b []byte) {
	p.t.Helper()
	if err := p.conn.Send(append(make([]byte, network.HeaderRoom), b...)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) seal(frames []byte) []byte { return p.keys.Sealer.Seal(nil, frames) }

func (p *peer) next() []byte {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	b, err := p.conn.Next()
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// logIn sends the login and waits for its answer.
func (p *peer) logIn(n *tianxia.Node) {
	p.t.Helper()
	cfg, err := n.ClientConfig("peer")
	if err != nil {
		p.t.Fatal(err)
	}
	b, _ := proto.Marshal(&mmov1.LoginRequest{Token: cfg.Token})
	p.raw(p.seal(protocol.AppendRequest(nil, protocol.RouteLogin, 7, b)))
	p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse && f.ID == 7 })
}

// frame reads until a frame fits.
func (p *peer) frame(fits func(protocol.Frame) bool) protocol.Frame {
	p.t.Helper()
	for {
		frames, err := p.keys.Opener.Open(p.next())
		if err != nil {
			p.t.Fatal(err)
		}
		for len(frames) > 0 {
			var f protocol.Frame
			if f, frames, err = protocol.Next(frames); err != nil {
				p.t.Fatal(err)
			}
			if fits(f) {
				return f
			}
		}
	}
}

// closed reads until the server closes, and returns its code.
func (p *peer) closed() protocol.DisconnectCode {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.conn.Next(); err != nil {
			var c *network.CloseError
			if !errors.As(err, &c) {
				p.t.Fatalf("the connection ended with %v, want a close frame", err)
			}
			return protocol.DisconnectCode(c.Code)
		}
	}
}

func TestFaultOfOnePeerIsNamedAndHurtsNobodyElse(t *testing.T) {
	n, _ := boot(t, app(100), tianxia.NodeConfig{})
	bystander := dial(t, n, nil)
	ended, plays := make(chan error, 1), make(chan struct{})
	first := plays
	go func() {
		ended <- bystander.Serve(client.Handler{State: func() {
			if _, ok := bystander.Own(); ok && plays != nil {
				close(plays)
				plays = nil
			}
		}})
	}()
	wait(t, "the bystander plays", first)

	big := make([]byte, 70_000)
	for _, c := range []struct {
		name string
		do   func() *peer
		want protocol.DisconnectCode
	}{
		{"garbage instead of a handshake", func() *peer { p := connect(t, n, false); p.raw([]byte("GET / HTTP/1.1")); return p }, protocol.DisconnectBadHandshake},
		{"a handshake of the right length that means nothing", func() *peer {
			p := connect(t, n, false)
			b := make([]byte, security.HS1Size)
			b[0], b[1] = security.RecordHS1, security.SuiteNK
			p.raw(b)
			return p
		}, protocol.DisconnectVersionRefused},
		{"data before the handshake", func() *peer { p := connect(t, n, false); p.raw([]byte{security.RecordData, 1, 2, 3}); return p }, protocol.DisconnectBadHandshake},
		{"a flipped bit in a record", func() *peer {
			p := connect(t, n, true)
			b := p.seal(protocol.AppendPing(nil, 1))
			b[len(b)/2] ^= 4
			p.raw(b)
			return p
		}, protocol.DisconnectBadRecord},
		{"a record sent twice", func() *peer {
			p := connect(t, n, true)
			b := p.seal(protocol.AppendPing(nil, 1))
			p.raw(b)
			p.raw(b)
			return p
		}, protocol.DisconnectBadRecord},
		{"a second handshake", func() *peer { p := connect(t, n, true); p.raw(make([]byte, security.HS1Size)); return p }, protocol.DisconnectBadRecord},
		{"a frame cut short", func() *peer {
			p := connect(t, n, true)
			p.raw(p.seal([]byte{byte(protocol.TypePush), 64, 100, 1}))
			return p
		}, protocol.DisconnectBadFrame},
		{"a record above the limit", func() *peer { p := connect(t, n, true); p.raw(p.seal(big)); return p }, protocol.DisconnectRecordTooLarge},
		{"a forged token", func() *peer {
			p := connect(t, n, true)
			b, _ := proto.Marshal(&mmov1.LoginRequest{Token: "dev1.AAAA.BBBB"})
			p.raw(p.seal(protocol.AppendRequest(nil, protocol.RouteLogin, 1, b)))
			return p
		}, protocol.DisconnectBadToken},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := n.Stats().Gateway.Disconnects[c.want.String()]
			if got := c.do().closed(); got != c.want {
				t.Errorf("closed with %d %s, want %d %s", got, got, c.want, c.want)
			}
			eventually(t, "counted", func() bool { return n.Stats().Gateway.Disconnects[c.want.String()] == before+1 })
		})
	}
	select {
	case err := <-ended:
		t.Fatalf("the bystander was disconnected: %v", err)
	default:
	}
	if err := bystander.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestWrongFramesAreAnsweredAndTheConnectionLives(t *testing.T) {
	n, _ := boot(t, app(10), tianxia.NodeConfig{})
	p := connect(t, n, true)
	expect := func(what string, frame []byte, want protocol.ErrorCode) {
		t.Helper()
		p.raw(p.seal(frame))
		f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError })
		var e mmov1.Error
		if err := proto.Unmarshal(f.Payload, &e); err != nil || protocol.ErrorCode(e.Code) != want {
			t.Errorf("%s: answered %v, want %s", what, &e, want)
		}
	}
	move, _ := proto.Marshal(&plainsv1.Move{Seq: 1, Vx: 5})
	expect("a game's route before the login", protocol.AppendPush(nil, bind.RouteMove, move), protocol.ErrorWrongState)
	p.logIn(n)
	expect("an unknown route", protocol.AppendPush(nil, 999, nil), protocol.ErrorUnknownRoute)
	expect("a route of the server", protocol.AppendPush(nil, bind.RouteMoveRefused, nil), protocol.ErrorUnknownRoute)
	expect("a push route as a request", protocol.AppendRequest(nil, bind.RouteMove, 30, move), protocol.ErrorUnknownRoute)
	expect("a payload above the route's limit", protocol.AppendPush(nil, bind.RouteMove, make([]byte, 65)), protocol.ErrorTooLarge)
	expect("a payload that does not parse", protocol.AppendRequest(nil, bind.RouteSpectate, 40, []byte{0xFF}), protocol.ErrorMalformed)
	expect("an input that is not new", protocol.AppendPush(nil, bind.RouteMove, nil), protocol.ErrorMalformed)
	p.raw(p.seal(protocol.AppendPing(nil, 12345)))
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeControl && f.Route == protocol.RoutePong })
	if at, _, err := protocol.ParsePong(f.Payload); err != nil || at != 12345 {
		t.Errorf("the connection's pong: %d, %v", at, err)
	}
}

func TestFlooderIsSlowedDown(t *testing.T) {
	n, _ := boot(t, app(10), tianxia.NodeConfig{Gateway: gateway.Config{FrameRate: 10, FrameBurst: 20}})
	p := connect(t, n, true)
	var b []byte
	for i := range uint64(500) {
		b = protocol.AppendPing(b, i)
	}
	p.raw(p.seal(b))
	pongs := 0
	p.frame(func(f protocol.Frame) bool {
		if f.Type == protocol.TypeControl {
			pongs++
		}
		return f.Type == protocol.TypeError
	})
	if pongs > 25 {
		t.Errorf("%d pings of a flood were answered, the burst is 20", pongs)
	}
}

func TestClientThatStopsReadingIsBoundedAndConvergesWhenItReadsAgain(t *testing.T) {
	n, _ := boot(t, app(300), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	stalled, resume, converged := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stage, goal := 0, uint32(0)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Serve(client.Handler{State: func() { // a client that is stuck here reads nothing
			switch {
			case stage == 0 && c.Mirror.Live == 301:
				stage = 1
				close(stalled)
				<-resume
				goal = n.Stats().Server.Tick
			case stage == 1 && c.Mirror.Live == 301 && int32(c.Mirror.Rows[0].Tick-goal) >= 20:
				stage = 2
				close(converged)
			}
		}})
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	answered := make(chan error, 1)
	go func() { // the answer stands behind the state frame at which the client stalls
		answered <- c.Request(ctx, bind.RouteSpectate, &plainsv1.SpectateRequest{Radius: 1 << 20}, &plainsv1.SpectateResponse{})
	}()
	wait(t, "the client stalls", stalled)
	pause := uint32(40)
	if testing.Short() {
		pause = 12
	}
	quiet := func() bool { // not one state frame within so many ticks
		frames, tick := n.Stats().Gateway.StateFrames, n.Stats().Server.Tick
		eventually(t, "some ticks", func() bool { return n.Stats().Server.Tick > tick+pause })
		return n.Stats().Gateway.StateFrames == frames
	}
	eventually(t, "the gateway pauses", quiet)
	before := heap()
	if !quiet() {
		t.Error("the gateway goes on encoding for a client that echoes nothing")
	}
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes while one client did not read", grown)
	}
	close(resume)
	wait(t, "the client catches up", converged)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	_ = c.Close()
	<-ended
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: never came", what)
	}
}

func ExampleApp_Run() {
	fmt.Println(tianxia.App{Name: "mygame"}.Run(context.Background(), []string{"help"}, discard{}, discard{}))
	// Output: 0
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
