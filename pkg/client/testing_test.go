package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// patience bounds every wait for something that should happen at once.
const patience = 30 * time.Second

const (
	routeSay uint16 = 64
	routeAsk uint16 = 65
)

// host is a gateway that does what a test writes down.
type host struct {
	t      *testing.T
	server security.ServerConfig
	cfg    client.Config // of a client that fits
}

// newHost serves every connection with a script. The script's end closes the connection with its code.
func newHost(t *testing.T, script func(g *gate) protocol.DisconnectCode) *host {
	t.Helper()
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := root.Issue(nil, 1, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, server: security.ServerConfig{Current: key, Realm: "test", SchemaHash: [8]byte{1, 2, 3}}}
	var scripts sync.WaitGroup
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := network.Upgrade(w, r, network.Config{Subprotocol: protocol.Subprotocol})
		if err != nil {
			return
		}
		scripts.Go(func() {
			code := script(&gate{h: h, conn: conn})
			_ = conn.Close(uint16(code), "")
		})
	}))
	t.Cleanup(func() { web.Close(); scripts.Wait() })
	h.cfg = client.Config{
		URL:      "ws" + strings.TrimPrefix(web.URL, "http") + "/ws",
		Security: security.ClientConfig{Root: root.Public(), Cert: key.Cert(), Realm: "test", SchemaHash: h.server.SchemaHash},
		Token:    "a token",
	}
	return h
}

func (h *host) dial() *client.Client {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

// gate is the host's end of one connection. Its methods run in the script's goroutine: they tell of failures and go on.
type gate struct {
	h     *host
	conn  *network.Conn
	keys  *security.Session
	ready []protocol.Frame
}

func (g *gate) raw(record []byte) {
	if err := g.conn.Send(append(make([]byte, network.HeaderRoom), record...)); err != nil {
		g.h.t.Errorf("host: %v", err)
	}
}

func (g *gate) send(frames []byte) { g.raw(g.keys.Sealer.Seal(nil, frames)) }

func (g *gate) message(t protocol.FrameType, route uint16, id uint32, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		g.h.t.Errorf("host: %v", err)
	}
	g.send(protocol.AppendFrame(nil, protocol.Frame{Type: t, Route: route, ID: id, Payload: b}))
}

// shake answers the handshake.
func (g *gate) shake() bool {
	_ = g.conn.SetReadDeadline(time.Now().Add(patience))
	hs1, err := g.conn.Next()
	if err != nil {
		return false
	}
	hs2, keys, _, err := security.Accept(&g.h.server, hs1, time.Now())
	if err != nil {
		var r *security.Reject
		if errors.As(err, &r) {
			g.raw(r.Bytes)
		}
		return false
	}
	g.keys = keys
	g.raw(hs2)
	return true
}

// next is the client's next frame; ok is false at the connection's end.
func (g *gate) next() (f protocol.Frame, ok bool) {
	for len(g.ready) == 0 {
		record, err := g.conn.Next()
		if err != nil {
			return f, false
		}
		frames, err := g.keys.Opener.Open(record)
		for len(frames) > 0 && err == nil {
			if f, frames, err = protocol.Next(frames); err == nil {
				f.Payload = append([]byte(nil), f.Payload...)
				g.ready = append(g.ready, f)
			}
		}
		if err != nil {
			g.h.t.Errorf("host: %v", err)
			return f, false
		}
	}
	f, g.ready = g.ready[0], g.ready[1:]
	return f, true
}

// want is the next frame, of a type and route.
func (g *gate) want(t protocol.FrameType, route uint16) protocol.Frame {
	f, ok := g.next()
	if !ok || f.Type != t || f.Route != route {
		g.h.t.Errorf("host: got %+v (%v), want a %s of route %d", f, ok, t, route)
	}
	return f
}

// logIn is the handshake and the login of a client that does everything right.
func (g *gate) logIn() bool {
	if !g.shake() {
		g.h.t.Error("host: no handshake")
		return false
	}
	f := g.want(protocol.TypeRequest, protocol.RouteLogin)
	var m mmov1.LoginRequest
	if err := proto.Unmarshal(f.Payload, &m); err != nil || m.Token != "a token" || m.Client != "go" {
		g.h.t.Errorf("host: login %v, %v", &m, err)
	}
	g.message(protocol.TypeResponse, protocol.RouteLogin, f.ID, &mmov1.LoginResponse{SessionId: 9, PlayerId: 7, Name: "Ann"})
	return true
}

// rest reads until the client ends the connection.
func (g *gate) rest() protocol.DisconnectCode {
	for {
		if _, ok := g.next(); !ok {
			return 0
		}
	}
}

// closed waits for the client to end the connection, before there are keys.
func (g *gate) closed() protocol.DisconnectCode {
	for {
		if _, err := g.conn.Next(); err != nil {
			return 0
		}
	}
}

// serve runs a client; the channel has its end.
func serve(c *client.Client, h client.Handler) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(h) }()
	return ended
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: never came", what)
		panic("unreachable")
	}
}
