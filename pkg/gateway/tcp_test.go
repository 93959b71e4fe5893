package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// overTCP is a stage without HTTP.
func overTCP(t *testing.T, change func(*gateway.Config)) (s *stage, end func() error) {
	t.Helper()
	s = newStage(t, link.PipeConfig{}, change)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.gw.ServeTCP(ctx, ln); close(done) }()
	end = func() error { cancel(); return <-done }
	t.Cleanup(func() { _ = s.stop(); _ = end() })
	s.url = "tcp://" + ln.Addr().String()
	return s, end
}

func TestSessionOverTCP(t *testing.T) {
	s, end := overTCP(t, nil)
	s.batch(true)
	p := s.play(1)
	p.push(protocol.RouteZone)
	p.send(protocol.AppendPush(nil, routeSay, []byte("a")))
	if u := s.up(link.FromClient); u.Conn != p.session || string(u.Payload) != "a" {
		t.Errorf("the server hears %+v", u)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	p.send(protocol.AppendPing(nil, 1)) // sessions outlive the listener
	p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong })
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked})
	for p.read() == nil {
	}
	if protocol.DisconnectCode(p.kick.Code) != protocol.DisconnectKicked { // a close code there is none
		t.Errorf("kicked as %v", &p.kick)
	}
	if _, err := s.open(); err == nil {
		t.Error("the listener is still there")
	}
}

func TestTCPClientThatIsNotLetInFindsTheConnectionClosed(t *testing.T) {
	s, _ := overTCP(t, func(c *gateway.Config) { c.MaxConnections = 1 })
	p := s.play(1)
	closed := func() {
		t.Helper()
		late, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := late.next(); !errors.Is(err, network.ErrNoCode) && !errors.Is(err, io.EOF) {
			t.Errorf("a client too many: %v", err)
		}
	}
	closed()
	s.ended("refused_full", 1)
	done := drained(s, context.Background(), time.Hour)
	closed()
	_ = p.conn.Close(1000, "")
	if err := <-done; err != nil {
		t.Error(err)
	}
	closed()
	s.ended("refused_draining", 1)
}

func TestServeTCPEndsWithTheGatewayAndTellsWhatElseEndsIt(t *testing.T) {
	s, end := overTCP(t, nil)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	s = newStage(t, link.PipeConfig{}, nil)
	t.Cleanup(func() { _ = s.stop() })
	if err := s.gw.ServeTCP(context.Background(), broken{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a listener that fails: %v", err)
	}
}

// broken is a listener that fails.
type broken struct{}

func (broken) Accept() (net.Conn, error) { return nil, os.ErrPermission }
func (broken) Close() error              { return nil }
func (broken) Addr() net.Addr            { return &net.UnixAddr{} }
