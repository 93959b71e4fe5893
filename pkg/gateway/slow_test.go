package gateway_test

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// A frame may wait for QueueAge, and then its client is a slow consumer; its session lingers, for it may come back and read on.
func TestSlowConsumerByAgeMayResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, func(c *gateway.Config) { c.QueueAge, c.Network.WriteTimeout = 3*time.Second, time.Minute })
		p := s.play(1)
		p.push(protocol.RouteZone)
		for range 2 { // one is on its way, one waits
			s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Seq: 1, Payload: []byte("a")})
			synctest.Wait()
		}
		elapse(2 * time.Second)
		if st := s.gw.Stats(); st.Sessions != 1 || st.Counts.Queues.Frames != 1 || st.Counts.Queues.Oldest == 0 {
			t.Errorf("after 2 s: %d sessions, %+v", st.Sessions, st.Counts.Queues)
		}
		elapse(2500 * time.Millisecond)
		synctest.Wait()
		if u := s.up(link.CloseSession); u.Conn != p.session || u.Code != 0 {
			t.Errorf("the server is told %+v, want that the session lingers", u)
		}
		elapse(2 * time.Second)
		if st := s.gw.Stats(); st.Disconnects["slow_consumer"] != 1 || st.Connections != 0 {
			t.Errorf("%d connections, ended %v", st.Connections, st.Disconnects)
		}
	})
}

// A message that its client would wait for for ever ends the session, for good; one without a number is lost alone.
func TestNumberedMessageThatFitsNoRecordEndsTheSession(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	p.push(protocol.RouteZone)
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Seq: 1, Payload: make([]byte, 65<<10)})
	p.closed(protocol.DisconnectKicked)
	if u := s.up(link.CloseSession); u.Code != protocol.DisconnectKicked {
		t.Errorf("the server is told %+v, want that the session ends", u)
	}
	h := hello(t)
	h.Routes[len(h.Routes)-1].MaxBytes = 64 << 10
	if err := s.gw.CanServe(h); err == nil {
		t.Error("a game whose messages fit no record is served")
	}
}

// TestStalledReadersCostWhatTheirQueuesMayHold: a hundred clients stop reading while state, events and messages go on. Memory stays within bounds, nobody else notices, and
// whoever reads again has converged.
func TestStalledReadersCostWhatTheirQueuesMayHold(t *testing.T) {
	const stalled, queue = 100, 16 << 10
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) {
		c.QueueBytes, c.Network.SendBuffer, c.QueueAge, c.Network.WriteTimeout = queue, 4<<10, time.Minute, time.Minute
	})
	_ = s.port.Close()
	s.away()
	h := hello(t)
	for i := range h.Routes {
		if h.Routes[i].ID == routeGot {
			h.Routes[i].Delivery = protocol.Latest
		}
	}
	s.server(h)
	<-s.gw.Connected()
	s.src.AttachGateway(3)
	var peers []*peer
	for i := range stalled {
		p := s.play(uint64(i + 1))
		p.push(protocol.RouteZone)
		peers = append(peers, p)
	}
	reads := s.play(1000)
	reads.push(protocol.RouteZone)
	before := heap()
	const last = 400
	for n := range last { // 400 KB for each
		payload := make([]byte, 1000)
		payload[0], payload[1] = byte(n), byte(n>>8)
		for _, p := range append(slices.Clone(peers), reads) {
			s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Payload: payload})
		}
		if f := reads.push(routeGot); n%100 == 0 && len(f.Payload) != 1000 {
			t.Errorf("who reads got %+v", f)
		}
	}
	st := s.gw.Stats()
	if st.Sessions != stalled+1 || len(st.Counts.Shed) == 0 {
		t.Errorf("%d sessions, ended %v, shed %v", st.Sessions, st.Disconnects, st.Counts.Shed)
	}
	// A queue, and a record that is on its way to the kernel.
	if grown := int64(heap()) - int64(before); grown > stalled*(4*queue+64<<10) {
		t.Errorf("%d stalled readers made the heap grow by %d bytes", stalled, grown)
	}
	for _, p := range peers {
		for f := (protocol.Frame{}); len(f.Payload) < 2 || int(f.Payload[0])|int(f.Payload[1])<<8 != last-1; {
			f = p.push(routeGot)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
