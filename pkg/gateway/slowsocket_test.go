package gateway_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestKickIsHeardWithoutNonBlockingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, nil)
		p := s.play(1)
		p.push(protocol.RouteZone)
		s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked, Payload: []byte("you know why")})
		p.closed(protocol.DisconnectKicked)
	})
}

// A connection that is closed in its handshake may have a pong with its transient writer, whose last act asks for the gateway's mutex.
func TestStopWithAPongOnItsWayToAPeerThatDoesNotRead(t *testing.T) {
	s := inMemory(t, link.PipeConfig{}, nil)
	dial, wire := s.dial, make(chan net.Conn, 1)
	s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		wire <- c
		return c, err
	}
	s.connect(false)
	nc := <-wire
	ping := []byte{0x89, 0x80, 0, 0, 0, 0}
	for range 2 { // the second is read only after the first one's pong was handed to the writer
		if _, err := nc.Write(ping); err != nil {
			t.Fatal(err)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the gateway does not stop")
	}
}
