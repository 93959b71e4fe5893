package gateway

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// sink is a link that takes everything and keeps nothing.
type sink struct{ got int }

func (*sink) Hello() link.Hello                          { return link.Hello{} }
func (k *sink) Send(link.Up) error                       { k.got++; return nil }
func (*sink) Ready() <-chan struct{}                     { return nil }
func (*sink) Receive(d []link.Down) ([]link.Down, error) { return d, nil }
func (*sink) Close() error                               { return nil }
func (*sink) Secret(context.Context, []byte) (link.Grant, error) {
	return link.Grant{}, link.ErrNoTicket
}

// forwarding is a session in the world whose server is a sink, without limits that matter.
func forwarding(t testing.TB) (*session, *sink) {
	t.Helper()
	limits := Limits{ByteRate: maxRate, ByteBurst: maxRate}
	if err := limits.validate(maxRate/10, 1000); err != nil {
		t.Fatal(err)
	}
	list := append(protocol.FrameworkRoutes(), protocol.Route{ID: routePlain, Name: "plain", Kind: protocol.Push, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone})
	routes, err := protocol.NewRoutes(list...)
	if err != nil {
		t.Fatal(err)
	}
	k := &sink{}
	g := &Gateway{counters: newCounters()}
	w := &world{link: k, routes: routes, limits: newLimits(maxRate, maxRate, &limits, routes.All())}
	s := &session{g: g, w: w, id: 7}
	s.state.Store(uint32(protocol.Playing))
	return s, k
}

func TestPayloadsOfARecordShareMemoryButNoBytes(t *testing.T) {
	for _, size := range []int{0, 1, 300, 3000, 9000} {
		var payloads [][]byte
		for i := range 20 {
			b := make([]byte, size)
			for j := range b {
				b[j] = byte(i)
			}
			payloads = append(payloads, b)
		}
		var a arena
		var kept [][]byte
		for i, b := range payloads {
			a.left = (len(payloads) - i - 1) * size
			kept = append(kept, a.keep(b))
		}
		for i, b := range kept {
			if string(b) != string(payloads[i]) || cap(b) != len(b) {
				t.Fatalf("payload %d of %d bytes is damaged, or may grow into the next: %d of %d", i, size, len(b), cap(b))
			}
		}
	}
}

// sixteen frames of 20 bytes each, as in one record.
func sixteen() (frames []byte) {
	for range 16 {
		frames = protocol.AppendPush(frames, routePlain, make([]byte, 20))
	}
	return frames
}

// BenchmarkForward is what sixteen frames of a client go through from their record to the link. Opening the record, the socket and the link are not in it.
func BenchmarkForward(b *testing.B) {
	s, _ := forwarding(b)
	frames := sixteen()
	b.ReportAllocs()
	for b.Loop() {
		s.frames(frames, s.g.clock())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/frame")
}

// BenchmarkTidy is the flusher's look at 10,000 quiet sessions, once a second: instead of a timer for each.
func BenchmarkTidy(b *testing.B) {
	const sessions = 10_000
	g := &Gateway{counters: newCounters(), sessions: map[uint64]*session{}, stale: true, start: time.Now()}
	g.cfg.Security.IdleTimeout = time.Hour
	for id := range uint64(sessions) {
		end, other := net.Pipe()
		conn, err := network.Accept(end, network.Config{})
		if err != nil {
			b.Fatal(err)
		}
		g.sessions[id] = &session{g: g, id: id, conn: conn}
		b.Cleanup(func() { _ = other.Close(); _ = conn.Close(0, "") })
	}
	for b.Loop() {
		g.tidy()
	}
}

func TestNumberedMessageIsReliableWhateverItsRoute(t *testing.T) {
	w := &world{delivery: []protocol.Delivery{1: protocol.Latest, 2: protocol.AOIEvent, 3: protocol.Reliable}}
	for _, c := range []struct {
		f    protocol.Frame
		want protocol.Delivery
	}{
		{protocol.Frame{Type: protocol.TypePush, Route: 1}, protocol.Latest},
		{protocol.Frame{Type: protocol.TypePush, Route: 2}, protocol.AOIEvent},
		{protocol.Frame{Type: protocol.TypePush, Route: 3}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypePush, Route: 4}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypePush, Route: 1, Flags: protocol.FlagREL, Seq: 1}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypeResponse, Route: 1}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypeError, Route: 1}, protocol.AOIEvent},
		{protocol.Frame{Type: protocol.TypeError, Route: 2, ID: 1}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypeError, Route: 2, Flags: protocol.FlagREL}, protocol.Reliable},
		{protocol.Frame{Type: protocol.TypeControl, Route: 1}, protocol.Reliable},
	} {
		if got := w.class(c.f); got != c.want {
			t.Errorf("%+v is of class %d, want %d", c.f, got, c.want)
		}
	}
}
