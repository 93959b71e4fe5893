package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// journal keeps the messages of log lines.
type journal struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, r.Message)
	return nil
}

func (j *journal) count(part string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// away waits until the gateway has noticed that its server is gone.
func (s *stage) away() {
	s.t.Helper()
	late := time.After(patience)
	for s.gw.Stats().Connected {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			s.t.Fatal("the gateway does not notice the end of its server")
		}
	}
}

func TestGatewayOutlivesItsServerAndTellsEveryone(t *testing.T) {
	j := &journal{Handler: slog.DiscardHandler}
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) { c.Log = slog.New(j) })
	s.batch(true)
	half, secured, playing := s.connect(false), s.connect(true), s.play(1)
	secured.settles() // or it is half open as well
	playing.push(protocol.RouteZone)
	_ = s.port.Close()
	for _, p := range []*peer{half, secured, playing} {
		p.closed(protocol.DisconnectServerLost)
	}
	if playing.kick.Reason != "the world server is away; try again" {
		t.Errorf("players are told %q", playing.kick.Reason)
	}
	s.away()

	dial := network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}}
	var r *network.RefusedError
	if _, err := network.Dial(context.Background(), s.url, dial); !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable {
		t.Errorf("a client while there is no server: %v, want 503", err)
	}
	resp, err := http.Get("http" + strings.TrimPrefix(s.url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, Retry-After %q; want 503 after 1", resp.Status, resp.Header.Get("Retry-After"))
	}
	if _, ok := s.gw.Server(); ok {
		t.Error("the old server is still named")
	}
	if st := s.gw.Stats(); st.Disconnects["refused_no_server"] != 2 {
		t.Errorf("counted %v, want refused_no_server twice", st.Disconnects)
	}

	h := hello(t) // another gateway number, and another life of the zone
	h.Gateway, h.Zones[0].Epoch = 9, 77
	s.server(h)
	<-s.gw.Connected()
	s.src, s.tick = batch.NewSource(5, 77, deltatest.Codec(), params()), 0
	s.src.AttachGateway(9)
	s.batch(true)
	p := s.play(1)
	p.push(protocol.RouteZone)
	if p.session>>40 != 9 || p.session&(1<<40-1) <= playing.session&(1<<40-1) {
		t.Errorf("session %x after session %x", p.session, playing.session)
	}
	s.gwAwaits(1) // those of before are counted out a moment after their clients have seen the end
	if st := s.gw.Stats(); st.Connects != 2 || !st.Connected || st.Sessions != 1 {
		t.Errorf("stats %+v", st)
	}
	if j.count("world server lost") != 1 || j.count("world server connected") != 2 || j.count("no world server") > 1 {
		t.Errorf("the log says %q", j.lines)
	}
}

func TestServerOfAnotherBuildIsTakenWithItsRoutesAndSchema(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	_ = s.port.Close()
	s.away()
	newer := deltatest.Layout()
	newer.Fingerprint = protocol.NewFingerprint(1, 8, [4]byte{8}).Uint64()
	if err := newer.Finish(); err != nil {
		t.Fatal(err)
	}
	h := hello(t)
	h.Schema, h.Layout = protocol.NewFingerprint(1, 8, [4]byte{8}), newer.Table()
	h.Routes = h.Routes[:len(h.Routes)-1]
	s.server(h)
	<-s.gw.Connected()
	if now, ok := s.gw.Server(); !ok || now.Schema != h.Schema {
		t.Errorf("the server is %v, %v", now.Schema, ok)
	}
	p := s.play(1)
	if f := p.push(protocol.RouteLayout); string(f.Payload) != string(h.Layout) { // the client's schema is an older revision now
		t.Errorf("a layout of %d bytes, want the new one of %d", len(f.Payload), len(h.Layout))
	}
}

func TestServerThatCannotBeServedIsLetGoAndTheNextOneTaken(t *testing.T) {
	j := &journal{Handler: slog.DiscardHandler}
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) { c.Log = slog.New(j) })
	_ = s.port.Close()
	s.away()
	h := hello(t)
	h.Layout = nil
	s.server(h)
	bad := s.port
	late := time.After(patience)
	for open := true; open; {
		select {
		case <-bad.Ready():
			_, err := bad.Receive(nil)
			open = err == nil
		case <-late:
			t.Fatal("the link of a server that cannot be served stays open")
		}
	}
	s.server(hello(t))
	<-s.gw.Connected()
	if n := j.count("no world server"); n < 1 || n > 2 {
		t.Errorf("the log says %q", j.lines)
	}
}

// watched is a link whose collection is seen: whatever holds its world holds it.
type watched struct{ link.Link }

// TestNothingOfALostWorldRemains loses a server with clients in every state, ten times over.
func TestNothingOfALostWorldRemains(t *testing.T) {
	var gone atomic.Int32
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) {
		connect := c.Connect
		c.Connect = func(ctx context.Context) (link.Link, error) {
			l, err := connect(ctx)
			if err != nil {
				return nil, err
			}
			w := &watched{l}
			runtime.AddCleanup(w, func(struct{}) { gone.Add(1) }, struct{}{})
			return w, nil
		}
	})
	before := 0
	for round := range 10 {
		s.connect(false)
		s.connect(true)
		for i := range 5 {
			s.play(uint64(i + 1))
		}
		_ = s.port.Close()
		s.away()
		late := time.After(patience)
		for s.gw.Stats().Connections > 0 {
			select {
			case <-time.After(time.Millisecond):
			case <-late:
				t.Fatalf("%d connections are left of a lost world", s.gw.Stats().Connections)
			}
		}
		s.server(hello(t))
		<-s.gw.Connected()
		if round == 0 {
			before = runtime.NumGoroutine()
		}
		for runtime.NumGoroutine() > before+10 { // the readers, and the HTTP server's own, end a moment after the connections
			select {
			case <-time.After(time.Millisecond):
			case <-late:
				t.Fatalf("%d goroutines after round %d, %d after the first", runtime.NumGoroutine(), round+1, before)
			}
		}
	}
	late := time.After(patience)
	for runtime.GC(); gone.Load() < 10; runtime.GC() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("%d of 10 lost worlds were let go", gone.Load())
		}
	}
}

func TestServerIsSoughtAtAGrowingPaceAndTheSearchEndsWithServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		s := newStage(t, link.PipeConfig{}, nil)
		g, err := gateway.New(gateway.Config{Verifier: s.tokens, Security: s.keys, Connect: func(context.Context) (link.Link, error) {
			at = append(at, time.Since(start))
			return nil, errors.New("nobody is there")
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- g.Serve(ctx) }()
		elapse(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(at) < 60 || len(at) > 140 || at[1]-at[0] > 11*time.Millisecond {
			t.Errorf("%d attempts in a minute, the first at %v", len(at), at[:3])
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; d > time.Second+time.Millisecond || i > 10 && d < 500*time.Millisecond {
				t.Errorf("attempt %d came after %v", i, d)
			}
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestServeEndsWhileAConnectIsUnderWay: the link that arrives after the end is closed.
func TestServeEndsWhileAConnectIsUnderWay(t *testing.T) {
	s := newStage(t, link.PipeConfig{}, nil)
	var port link.Port
	asked := make(chan struct{})
	g, err := gateway.New(gateway.Config{Verifier: s.tokens, Security: s.keys, Connect: func(ctx context.Context) (link.Link, error) {
		var l link.Link
		l, port = link.Pipe(link.Hello{Game: "late", Routes: protocol.FrameworkRoutes(), Layout: (&delta.Layout{Name: "late", TickHz: 20}).Table()}, link.PipeConfig{})
		close(asked)
		<-ctx.Done()
		return l, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Serve(ctx) }()
	<-asked
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := port.Send(link.Down{Kind: link.Batch}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("the link after the end: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
