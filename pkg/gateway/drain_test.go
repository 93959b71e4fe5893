package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// drained begins a drain, and is told its end.
func drained(s *stage, ctx context.Context, over time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.gw.Drain(ctx, over) }()
	late := time.After(patience)
	for !s.gw.Stats().Draining {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			s.t.Fatal("the drain does not begin")
		}
	}
	return done
}

func TestDrainSpreadsTheClientsAndServesThoseThatStay(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	if !s.gw.Ready() {
		t.Error("not ready with a server")
	}
	const over = time.Hour
	var peers []*peer
	for i := range 4 {
		peers = append(peers, s.play(uint64(i+1)))
	}
	done := drained(s, context.Background(), over)
	if s.gw.Ready() {
		t.Error("ready while it drains")
	}
	for i, p := range peers { // in the order in which they came
		var m mmov1.Goaway
		p.control(protocol.RouteGoaway, &m)
		at, share := time.Duration(m.ReconnectAfterMs)*time.Millisecond, over/4
		if m.Reason != "drain" || at < time.Duration(i)*share || at > time.Duration(i+1)*share {
			t.Errorf("client %d is asked to go after %v, for %q", i, at, m.Reason)
		}
	}
	var r *network.RefusedError
	if _, err := s.open(); !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable {
		t.Errorf("a client that comes now: %v, want 503", err)
	}
	peers[0].send(protocol.AppendPush(nil, routeSay, nil))
	if u := s.up(link.FromClient); u.Conn != peers[0].session {
		t.Errorf("the server hears %+v", u)
	}
	for _, p := range peers {
		select {
		case err := <-done:
			t.Fatalf("the drain is over with clients left: %v", err)
		default:
		}
		_ = p.conn.Close(1000, "")
		if u := s.up(link.CloseSession); u.Conn != p.session || u.Code != 0 {
			t.Errorf("the server is told %+v, want that session %d lingers", u, p.session)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.gw.Drain(context.Background(), over); err != nil { // again
		t.Error(err)
	}
	if st := s.gw.Stats(); st.Disconnects["refused_draining"] != 1 {
		t.Errorf("ended %v", st.Disconnects)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	ctx, cancel := context.WithCancel(context.Background())
	done := drained(s, ctx, 0)
	var m mmov1.Goaway
	if p.control(protocol.RouteGoaway, &m); m.ReconnectAfterMs != 0 {
		t.Errorf("the client is asked to go after %d ms, want at once", m.ReconnectAfterMs)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the drain ends with %v", err)
	}
	p.send(protocol.AppendPing(nil, 1))
	p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	p.closed(protocol.DisconnectServerShutdown)
	if err := s.gw.Drain(context.Background(), 0); err != nil || s.gw.Ready() {
		t.Errorf("a drain after the end: %v", err)
	}
}

func TestDrainOfAnEmptyGatewayIsOver(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	if err := s.gw.Drain(context.Background(), time.Hour); err != nil {
		t.Error(err)
	}
}

// A client that was in its handshake when the drain began may finish, and is asked to go like everyone else.
func TestResumeDuringADrain(t *testing.T) {
	s, _, r := withTickets(t)
	p := s.connect(false)
	p.s.gwAwaits(1)
	done := drained(s, context.Background(), time.Hour)
	p.shake(r)
	p.send(resumeFrame(t, 3))
	p.session = s.up(link.ResumeSession).Conn
	s.opens(p, link.Session{ID: 77, Recovered: true})
	var away mmov1.Goaway
	p.control(protocol.RouteGoaway, &away)
	var m mmov1.Resumed
	if p.control(protocol.RouteResumed, &m); !m.Recovered {
		t.Errorf("resumed as %v", &m)
	}
	_ = p.conn.Close(1000, "")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// gwAwaits waits until the gateway has n connections: a client may be done with its upgrade a moment before.
func (s *stage) gwAwaits(n int) {
	s.t.Helper()
	late := time.After(patience)
	for s.gw.Stats().Connections != n {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			s.t.Fatalf("%d connections, want %d", s.gw.Stats().Connections, n)
		}
	}
}
