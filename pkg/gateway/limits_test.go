package gateway_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// What waits may nearly fill a record; the reason of the end must still be heard.
func TestReasonIsHeardBehindAnAlmostFullRecord(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.batch(true)
	p := s.play(1)
	p.push(protocol.RouteZone)
	const nearlyAll = 64<<10 - 17 - 6
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Payload: make([]byte, nearlyAll)})
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked, Payload: []byte("some reason")})
	p.closed(protocol.DisconnectKicked)
}

// Only a true echo passes the rate limit.
func TestMalformedEchoesAreLimitedLikeAnythingElse(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.batch(true)
	p := s.play(1)
	p.push(protocol.RouteZone)
	var b []byte
	for range 5000 {
		b = append(b, byte(protocol.TypeControl), byte(protocol.RouteEcho), 0)
	}
	p.send(protocol.AppendRequest(b, protocol.RouteLogin, 9, nil)) // the last of the flood
	answers := 0
	for {
		e, f := p.failure()
		if answers++; answers > 500 {
			t.Fatal("every malformed echo of a flood is answered, the burst is 400")
		}
		if protocol.ErrorCode(e.Code) == protocol.ErrorRateLimited {
			return
		}
		if f.ID == 9 {
			t.Fatal("the end of the flood was answered, so nothing was limited")
		}
	}
}
