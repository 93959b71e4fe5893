package client_test

import (
	"bytes"
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
	t       *testing.T
	server  security.ServerConfig
	cfg     client.Config       // of a client that fits
	secrets map[string][32]byte // of the tickets that are good
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
	h := &host{t: t, server: security.ServerConfig{Current: key, Realm: "test", SchemaHash: [8]byte{1, 2, 3}}, secrets: map[string][32]byte{}}
	for _, name := range []string{"a", "bb", "ccc"} {
		h.secrets[name] = [32]byte(bytes.Repeat([]byte{byte(len(name))}, 32))
	}
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
	h      *host
	conn   *network.Conn
	keys   *security.Session
	ticket string // that the client came with
	ready  []protocol.Frame
	pack   *[]byte // what is sent goes here instead
}

func (g *gate) raw(record []byte) {
	if err := g.conn.Send(append(make([]byte, network.HeaderRoom), record...)); err != nil {
		g.h.t.Errorf("host: %v", err)
	}
}

func (g *gate) send(frames []byte) {
	if g.pack != nil {
		*g.pack = append(*g.pack, frames...)
		return
	}
	g.raw(g.keys.Sealer.Seal(nil, frames))
}

// together sends in one record what say sends.
func (g *gate) together(say func()) {
	var frames []byte
	g.pack = &frames
	say()
	g.pack = nil
	g.send(frames)
}

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
	hs, err := security.Begin(&g.h.server, hs1, time.Now())
	var hs2 []byte
	if err == nil {
		var secret *[32]byte
		if hs.Ticket != nil {
			if g.ticket = string(hs.Ticket); g.h.secrets[g.ticket] == [32]byte{} {
				g.raw(hs.Refuse().Bytes)
				return false
			}
			kept := g.h.secrets[g.ticket]
			secret = &kept
		}
		hs2, g.keys, err = hs.Finish(secret)
	}
	if err != nil {
		var r *security.Reject
		if errors.As(err, &r) {
			g.raw(r.Bytes)
		}
		return false
	}
	g.raw(hs2)
	return true
}

// give gives the client a ticket, numbered seq.
func (g *gate) give(seq uint32, name string) {
	g.numbered(seq, protocol.TypePush, protocol.RouteTicket, 0, &mmov1.Ticket{Ticket: []byte(name), Secret: bytes.Repeat([]byte{byte(len(name))}, 32), LingerMs: 60_000})
}

// numbered sends a reliable message.
func (g *gate) numbered(seq uint32, t protocol.FrameType, route uint16, id uint32, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		g.h.t.Errorf("host: %v", err)
	}
	g.send(protocol.AppendFrame(nil, protocol.Frame{Type: t, Flags: protocol.FlagREL, Route: route, ID: id, Seq: seq, Payload: b}))
}

// resume is the handshake of a client that comes back, and its RESUME.
func (g *gate) resume() (lastSeq uint32) {
	if !g.shake() || g.ticket == "" {
		g.h.t.Errorf("host: no handshake with a ticket")
		return 0
	}
	f := g.want(protocol.TypeControl, protocol.RouteResume)
	var m mmov1.Resume
	if err := proto.Unmarshal(f.Payload, &m); err != nil {
		g.h.t.Errorf("host: %v", err)
	}
	return m.LastSeq
}

// resumed answers it.
func (g *gate) resumed(lastRequest uint32) {
	g.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Recovered: true, SessionId: 9, LastRequest: lastRequest})
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

// want is the next frame, of a type and route. Acknowledgements go with anything, and are skipped where none is wanted.
func (g *gate) want(t protocol.FrameType, route uint16) protocol.Frame {
	f, ok := g.next()
	for ok && f.Type == protocol.TypeAck && t != protocol.TypeAck {
		f, ok = g.next()
	}
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
