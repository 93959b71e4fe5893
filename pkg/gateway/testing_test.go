package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// patience bounds every wait for something that should happen at once.
const patience = 30 * time.Second

const (
	routeSay uint16 = 64 // push, client → server
	routeAsk uint16 = 65 // request
	routeGot uint16 = 66 // push, server → client
)

// stage is a gateway between a server, played by the test, and clients.
type stage struct {
	t      *testing.T
	gw     *gateway.Gateway
	links  chan link.Link // the servers that the gateway finds, one after the other; none is there while it is empty
	pipe   link.PipeConfig
	port   link.Port // of the latest
	ups    []link.Up // received, not asked for yet
	client security.ClientConfig
	keys   security.ServerConfig
	tokens security.DevTokens
	url    string
	dial   func(context.Context, string, string) (net.Conn, error) // nil: over loopback
	stop   func() error

	src  *batch.Source
	tick uint32
}

func params() delta.Params { return delta.Params{PositionBits: 10} }

func hello(t *testing.T) link.Hello {
	routes, err := protocol.NewRoutes(append(protocol.FrameworkRoutes(),
		protocol.Route{ID: routeSay, Name: "test.say", Kind: protocol.Push, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone},
		protocol.Route{ID: routeAsk, Name: "test.ask", Kind: protocol.Request, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone},
		protocol.Route{ID: routeGot, Name: "test.got", Kind: protocol.Push, Direction: protocol.ServerToClient})...)
	if err != nil {
		t.Fatal(err)
	}
	return link.Hello{Gateway: 3, Game: "test", Routes: routes.All(), Schema: protocol.NewFingerprint(1, 7, [4]byte{1, 2, 3, 4}), Layout: deltatest.Layout().Table(),
		Zones: []link.Zone{{ID: 5, Epoch: 2, Params: params(), TickHz: 20, QuantaPerMetre: 320, Width: 1000, Height: 900, EnterRadius: 50, LeaveRadius: 60}}}
}

// newStage makes everything but the listener. change may alter the gateway's configuration.
func newStage(t *testing.T, pipe link.PipeConfig, change func(*gateway.Config)) *stage {
	t.Helper()
	s := &stage{t: t, tokens: security.DevTokens{Secret: []byte("a secret of the tests")}, src: batch.NewSource(5, 2, deltatest.Codec(), params())}
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	key, err := root.Issue(nil, 1, now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	h := hello(t)
	s.links, s.pipe = make(chan link.Link, 1), pipe
	s.server(h)
	s.client = security.ClientConfig{Root: root.Public(), Cert: key.Cert(), Realm: "test", SchemaHash: h.Schema}
	s.keys = security.ServerConfig{Current: key, Realm: "test"}
	cfg := gateway.Config{Connect: s.connectTo, Verifier: s.tokens, Security: s.keys, Version: "v1"}
	if change != nil {
		change(&cfg)
	}
	if s.gw, err = gateway.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.gw.Serve(ctx) }()
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	s.src.AttachGateway(3)
	<-s.gw.Connected()
	return s
}

// server puts a server there, for the gateway to find.
func (s *stage) server(h link.Hello) {
	var l link.Link
	l, s.port = link.Pipe(h, s.pipe)
	s.links <- l
}

func (s *stage) connectTo(context.Context) (link.Link, error) {
	select {
	case l := <-s.links:
		return l, nil
	default:
		return nil, errors.New("nobody is there")
	}
}

// overLoopback is a stage on a real socket.
func overLoopback(t *testing.T, pipe link.PipeConfig, change func(*gateway.Config)) *stage {
	t.Helper()
	s := newStage(t, pipe, change)
	web := httptest.NewServer(s.gw)
	t.Cleanup(func() { _ = s.stop(); web.Close() })
	s.url = "ws" + strings.TrimPrefix(web.URL, "http") + "/ws"
	return s
}

// inMemory is a stage on in-memory connections, for bubbles of virtual time. Such a connection has no non-blocking write and takes only what is being
// read, so who does not read is stuck at once.
func inMemory(t *testing.T, pipe link.PipeConfig, change func(*gateway.Config)) *stage {
	t.Helper()
	s := newStage(t, pipe, change)
	ln := &memory{conns: make(chan net.Conn), done: make(chan struct{})}
	web := &http.Server{Handler: s.gw}
	served := make(chan struct{})
	go func() { _ = web.Serve(ln); close(served) }()
	t.Cleanup(func() { _ = s.stop(); _ = web.Close(); <-served })
	s.url = "ws://memory/ws"
	s.dial = func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		ln.conns <- a
		return b, nil
	}
	return s
}

// memory is a listener whose connections the test makes.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { close(m.done); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// up waits for the next thing of a kind that the gateway tells its server; others are dropped.
func (s *stage) up(kind link.UpKind) link.Up {
	s.t.Helper()
	late := time.After(patience)
	for {
		for i, u := range s.ups {
			if u.Kind == kind {
				s.ups = slices.Delete(s.ups, 0, i+1)
				return u
			}
		}
		var err error
		if s.ups, err = s.port.Receive(s.ups[:0]); err != nil {
			s.t.Fatalf("no up of kind %d: %v", kind, err)
		}
		if len(s.ups) > 0 {
			continue
		}
		select {
		case <-s.port.Ready():
		case <-late:
			s.t.Fatalf("no up of kind %d came", kind)
		}
	}
}

// asked counts what the gateway has told so far, of a kind.
func (s *stage) asked(kind link.UpKind) (n int) {
	s.t.Helper()
	ups, err := s.port.Receive(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, u := range append(s.ups, ups...) {
		if u.Kind == kind {
			n++
		}
	}
	s.ups = nil
	return n
}

// batch makes the zone's next tick; without deliver it is lost.
func (s *stage) batch(deliver bool) {
	s.t.Helper()
	s.tick++
	out := s.src.Finish(s.tick, nil)
	if deliver {
		s.down(link.Down{Kind: link.Batch, Zone: 5, Payload: slices.Clone(out[0].Bytes)})
	}
}

// down sends to the gateway, as soon as the link has room.
func (s *stage) down(d link.Down) {
	s.t.Helper()
	for {
		err := s.port.Send(d)
		if err == nil {
			return
		}
		if !errors.Is(err, link.ErrFull) {
			s.t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// ended waits until connections have ended for a reason.
func (s *stage) ended(reason string, n uint64) {
	s.t.Helper()
	s.until(func(st gateway.Stats) bool { return st.Disconnects[reason] == n }, fmt.Sprintf("%d ended by %s", n, reason))
}

// until waits for figures of the gateway that follow on what was done.
func (s *stage) until(done func(gateway.Stats) bool, what string) {
	s.t.Helper()
	late := time.After(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !done(s.gw.Stats()) {
		select {
		case <-look.C:
		case <-late:
			s.t.Fatalf("want %s, have %+v", what, s.gw.Stats())
		}
	}
}

// elapse lets virtual time pass, in a synctest bubble.
func elapse(d time.Duration) { <-time.After(d) }
