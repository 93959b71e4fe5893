package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

func TestSessionFromLoginToGoodbye(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.batch(true)
	p := s.play(77)
	p.push(protocol.RouteZone)

	p.send(protocol.AppendRequest(protocol.AppendPush(nil, routeSay, []byte("a")), routeAsk, 4, []byte("b")))
	for i, want := range []link.Up{{Route: routeSay, Payload: []byte("a")}, {Route: routeAsk, ID: 4, Payload: []byte("b")}} {
		if u := s.up(link.FromClient); u.Conn != p.session || u.Epoch != epochOf(p) || u.Route != want.Route || u.ID != want.ID || string(u.Payload) != string(want.Payload) {
			t.Errorf("message %d reached the server as %+v", i, u)
		}
	}
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypeResponse, Route: routeAsk, ID: 4, Payload: []byte("c")})
	if f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse }); f.ID != 4 || string(f.Payload) != "c" {
		t.Errorf("the answer is %+v", f)
	}

	s.src.AddObserver(p.session, 3)
	s.tick++
	s.src.Spawn(0, 501, 2, deltatest.State{X: 10, Z: 20}.Record(deltatest.Codec().Kind(2)), s.tick)
	s.src.Enter(p.session, 0)
	s.tick--
	s.batch(true)
	p.frame(func(protocol.Frame) bool { return p.mirror.Live == 1 })
	if e := p.mirror.Entities[0]; e.ID != 501 || e.Kind != 2 || deltatest.StateOf(e.Codec, &e.Base, e.Base.Tick).X != 10 {
		t.Errorf("the client sees %+v", e)
	}

	p.send(protocol.AppendControl(nil, protocol.RouteBye, nil))
	if u := s.up(link.CloseSession); u.Conn != p.session {
		t.Errorf("session %d is closed, want %d", u.Conn, p.session)
	}
	s.ended("bye", 1)
	if st := s.gw.Stats(); st.Connections != 0 || st.Sessions != 0 || st.StateFrames == 0 || st.BytesIn == 0 || st.BytesOut == 0 || st.PairTicks == 0 {
		t.Errorf("stats at the end: %+v", st)
	}
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot}) // it crossed the goodbye
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked})
	s.down(link.Down{Kind: link.Batch, Zone: 99, Payload: []byte("of a zone that nobody opened")})
	s.play(78)
}

func TestMessagesBeforeTheLoginAreRefused(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.connect(true)
	p.send(protocol.AppendRequest(nil, routeAsk, 3, nil))
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorWrongState || f.ID != 3 || f.Route != routeAsk {
		t.Errorf("%v in %+v", e, f)
	}
	p.send(protocol.AppendRequest(nil, protocol.RouteLogin, 4, []byte{0xFF}))
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorMalformed || f.ID != 4 {
		t.Errorf("%v in %+v", e, f)
	}
	p.send(append(s.login(1, 5), s.login(2, 6)...)) // two logins in one record: the first counts
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorWrongState || f.ID != 6 {
		t.Errorf("%v in %+v", e, f)
	}
	if o, err := link.ParseOpening(s.up(link.OpenSession).Payload); err != nil || o.Player != 1 || s.asked(link.OpenSession) != 0 {
		t.Errorf("the server is told of player %d and of others, %v", o.Player, err)
	}
}

func TestBadTokenIsRefusedWithItsReason(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.connect(true)
	s.tokens.Secret = []byte("the secret of somebody else")
	p.send(s.login(1, 5))
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorUnauthorized || f.ID != 5 || !strings.Contains(e.Message, "token is not valid") {
		t.Errorf("%v in %+v", e, f)
	}
	p.closed(protocol.DisconnectBadToken)
	s.ended("bad_token", 1)
	if s.asked(link.OpenSession) != 0 {
		t.Error("the server was told of it")
	}
}

func TestKickFromTheServerCarriesItsReason(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p, other := s.play(1), s.play(2)
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Payload: []byte("last words")})
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked, Payload: []byte("you know why")})
	if f := p.push(routeGot); string(f.Payload) != "last words" {
		t.Errorf("what was sent before is %+v", f)
	}
	p.closed(protocol.DisconnectKicked)
	if p.kick.Reason != "you know why" {
		t.Errorf("the reason is %q", p.kick.Reason)
	}
	if u := s.up(link.CloseSession); u.Conn != p.session {
		t.Errorf("session %d is closed, want %d", u.Conn, p.session)
	}
	other.send(protocol.AppendPing(nil, 5))
	other.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong })
}

func TestBroadcastReachesEveryoneWhoPlays(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	a, b, silent := s.play(1), s.play(2), s.connect(true)
	s.down(link.Down{Kind: link.Broadcast, Type: protocol.TypePush, Route: protocol.RouteStatus, Payload: []byte("all")})
	for _, p := range []*peer{a, b} {
		if f := p.push(protocol.RouteStatus); string(f.Payload) != "all" {
			t.Errorf("broadcast %+v", f)
		}
	}
	silent.send(protocol.AppendPing(nil, 1))
	for f := (protocol.Frame{}); f.Route != protocol.RoutePong; {
		f = silent.frame(func(protocol.Frame) bool { return true })
		if f.Route == protocol.RouteStatus {
			t.Error("who has not logged in was told")
		}
	}
}

func TestMessageThatFitsNoRecordIsDroppedAlone(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	for _, payload := range [][]byte{[]byte("before"), make([]byte, 65<<10), []byte("after")} {
		s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Payload: payload})
	}
	for _, want := range []string{"before", "after"} {
		if f := p.push(routeGot); string(f.Payload) != want {
			t.Errorf("got %d bytes, want %q", len(f.Payload), want)
		}
	}
}

func TestFullServerQueueIsAnswered(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{UpMessages: 2}, nil)
	p := s.play(1)
	p.send(protocol.AppendRequest(protocol.AppendPush(protocol.AppendPush(nil, routeSay, nil), routeSay, nil), routeAsk, 8, nil))
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorOverloaded || e.RetryAfterMs != 1000 || f.ID != 8 {
		t.Errorf("%v in %+v", e, f)
	}
	if n := s.asked(link.FromClient); n != 2 {
		t.Errorf("%d messages wait for the server, want 2", n)
	}
}

func TestStopTellsEveryoneAndClosesHalfOpenConnections(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	half, secured, playing := s.connect(false), s.connect(true), s.play(1)
	secured.settles() // or it is half open as well
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, p := range []*peer{half, secured, playing} {
		p.closed(protocol.DisconnectServerShutdown)
	}
	if st := s.gw.Stats(); st.Connections != 0 || st.Sessions != 0 {
		t.Errorf("stats after the stop: %+v", st)
	}
	if err := s.port.Send(link.Down{Kind: link.Batch}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("the link after the stop: %v", err)
	}
	var r *network.RefusedError
	_, err := network.Dial(context.Background(), s.url, network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}})
	if !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable {
		t.Errorf("a late client: %v, want 503", err)
	}
}

func nobody(context.Context) (link.Link, error) { return nil, errors.New("nobody is there") }

func TestConfigRefusesContradictions(t *testing.T) {
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := func() gateway.Config {
		key, err := root.Issue(nil, 1, time.Now(), time.Now().AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		return gateway.Config{Connect: nobody, Verifier: security.DevTokens{}, Security: security.ServerConfig{Current: key}}
	}
	g, err := gateway.New(good())
	if err != nil {
		t.Fatal(err)
	}
	h := hello(t)
	h.Routes = append(h.Routes, h.Routes[0])
	if err := g.CanServe(h); err == nil || !strings.Contains(err.Error(), `routes of server's game "test"`) {
		t.Errorf("routes that contradict each other: %v", err)
	}
	for _, c := range []struct {
		say    string
		change func(*gateway.Config)
	}{
		{"Connect is missing", func(c *gateway.Config) { c.Connect = nil }},
		{"no verifier", func(c *gateway.Config) { c.Verifier = nil }},
		{"MaxConnections -1", func(c *gateway.Config) { c.MaxConnections = -1 }},
		{"QueueBytes -1", func(c *gateway.Config) { c.QueueBytes = -1 }},
		{"FrameRate -1", func(c *gateway.Config) { c.FrameRate = -1 }},
		{"FrameBurst -1", func(c *gateway.Config) { c.FrameBurst = -1 }},
		{"do not fit records of 65536", func(c *gateway.Config) { c.Replica = replica.Config{MaxFrame: 65_000} }},
		{"do not fit records of 32768", func(c *gateway.Config) { c.Security.RecordMax = 32 << 10 }},
		{"", func(c *gateway.Config) { c.Security.Current = security.ServerKey{} }},
	} {
		cfg := good()
		c.change(&cfg)
		if _, err := gateway.New(cfg); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
}
