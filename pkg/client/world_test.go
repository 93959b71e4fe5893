package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// world is a small server that keeps the rules of sessions: it numbers, keeps, repeats and forgets as the protocol manual says. It answers every request with the double
// of its number, and complains about requests that come twice.
type world struct {
	t      *testing.T
	server security.ServerConfig
	cfg    client.Config

	mu       sync.Mutex
	lives    []*life
	tickets  map[string]*life
	secrets  map[string][32]byte
	issued   uint64
	hostless bool // the home server is gone: RESUME is answered with "not recovered"
	wg       sync.WaitGroup
}

// life is a session on the server's side.
type life struct {
	seq, acked  uint32
	kept        map[uint32]protocol.Frame // numbered messages that were not acknowledged
	lastRequest uint32
	executed    map[uint32]int // how often, by value
	spends      map[uint32][]string
	conn        *pipe
	bye         bool
}

// pipe is the server's end of a connection.
type pipe struct {
	w    *world
	conn *network.Conn
	keys *security.Session
	out  []byte // frames that wait for the socket
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := root.Issue(nil, 1, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: security.ServerConfig{Current: key, AckEvery: 4, AckAfter: 50 * time.Millisecond}, tickets: map[string]*life{}, secrets: map[string][32]byte{}}
	w.cfg = client.Config{URL: "tcp://world:1", Token: "a token", Security: security.ClientConfig{Root: root.Public(), Cert: key.Cert()}}
	w.cfg.Network.NetDial = func(context.Context, string, string) (net.Conn, error) { return w.dial(), nil }
	t.Cleanup(w.wg.Wait)
	return w
}

// dial is a connection to the world without any socket.
func (w *world) dial() net.Conn {
	here, there := net.Pipe()
	w.wg.Go(func() { w.serve(there) })
	return here
}

func (w *world) serve(nc net.Conn) {
	p := &pipe{w: w}
	var err error
	if p.conn, err = network.Accept(nc, network.Config{OnDrain: func(*network.Conn) { w.mu.Lock(); defer w.mu.Unlock(); p.flush() }}); err != nil {
		w.t.Error(err)
		return
	}
	defer p.conn.Close(0, "")
	hs1, err := p.conn.Next()
	if err != nil {
		return
	}
	l, ok := p.shake(hs1)
	for ok {
		record, err := p.conn.Next()
		if err != nil {
			return
		}
		frames, err := p.keys.Opener.Open(record)
		for len(frames) > 0 && err == nil {
			var f protocol.Frame
			if f, frames, err = protocol.Next(frames); err == nil {
				w.mu.Lock()
				l = p.frame(l, f)
				p.flush()
				w.mu.Unlock()
			}
		}
		if err != nil {
			w.t.Errorf("world: %v", err)
			return
		}
	}
}

// shake answers the handshake; with a ticket that is good it goes on with that life.
func (p *pipe) shake(hs1 []byte) (*life, bool) {
	h, err := security.Begin(&p.w.server, hs1, time.Now())
	if err != nil {
		p.w.t.Errorf("world: %v", err)
		return nil, false
	}
	var secret *[32]byte
	if h.Ticket != nil {
		p.w.mu.Lock()
		s, known := p.w.secrets[string(h.Ticket)]
		p.w.mu.Unlock()
		if !known {
			p.raw(h.Refuse().Bytes)
			return nil, false
		}
		secret = &s
	}
	hs2, keys, err := h.Finish(secret)
	if err != nil {
		p.w.t.Errorf("world: %v", err)
		return nil, false
	}
	p.keys = keys
	if secret != nil {
		p.w.mu.Lock()
		l := p.w.tickets[string(h.Ticket)]
		p.w.mu.Unlock()
		if !p.raw(hs2) {
			return nil, false
		}
		return p.reattach(l)
	}
	return nil, p.raw(hs2)
}

// reattach reads the RESUME of a life; without its home server there is none to go on with.
func (p *pipe) reattach(l *life) (*life, bool) {
	record, err := p.conn.Next()
	if err != nil {
		return nil, false
	}
	frames, err := p.keys.Opener.Open(record)
	if err != nil {
		p.w.t.Errorf("world: %v", err)
		return nil, false
	}
	f, _, err := protocol.Next(frames)
	var m mmov1.Resume
	if err != nil || f.Type != protocol.TypeControl || f.Route != protocol.RouteResume || proto.Unmarshal(f.Payload, &m) != nil {
		p.w.t.Errorf("world: first frame %+v, %v; want a RESUME", f, err)
		return nil, false
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.hostless {
		p.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Reason: "the home server is gone"})
		p.flush()
		return nil, true
	}
	if l.conn != nil {
		older := l.conn.conn
		p.w.wg.Go(func() { _ = older.Close(uint16(protocol.DisconnectResumedElsewhere), "") }) // it waits for OnDrain, which waits for mu
	}
	l.conn = p
	l.ack(m.LastSeq)
	p.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Recovered: true, LastRequest: l.lastRequest})
	for seq := l.acked + 1; seq <= l.seq; seq++ {
		p.out = protocol.AppendFrame(p.out, l.kept[seq])
	}
	p.w.issue(l)
	p.flush()
	return l, true
}

// frame handles what a client sends; w.mu is held.
func (p *pipe) frame(l *life, f protocol.Frame) *life {
	switch {
	case f.Type == protocol.TypeRequest && f.Route == protocol.RouteLogin:
		l = &life{kept: map[uint32]protocol.Frame{}, executed: map[uint32]int{}, spends: map[uint32][]string{}, lastRequest: f.ID, conn: p}
		p.w.lives = append(p.w.lives, l)
		p.message(protocol.TypeResponse, protocol.RouteLogin, f.ID, &mmov1.LoginResponse{SessionId: uint64(len(p.w.lives))})
		p.w.issue(l)
	case f.Type == protocol.TypeControl && f.Route == protocol.RoutePing:
		sent, err := protocol.ParsePing(f.Payload)
		if err != nil {
			p.w.t.Error(err)
		}
		p.out = protocol.AppendPong(p.out, sent, 1)
	case l == nil || l.conn != p: // the session went on elsewhere
	case f.Type == protocol.TypeRequest:
		if f.ID <= l.lastRequest {
			p.w.t.Errorf("world: request %d came again", f.ID)
			break
		}
		l.lastRequest = f.ID
		var m wrapperspb.UInt32Value
		_ = proto.Unmarshal(f.Payload, &m)
		l.executed[m.Value]++
		p.w.emit(l, protocol.TypeResponse, f.Route, f.ID, wrapperspb.UInt32(2*m.Value))
	case f.Type == protocol.TypeAck:
		if f.Seq > l.seq {
			p.w.t.Errorf("world: %d of %d acknowledged", f.Seq, l.seq)
		}
		l.ack(f.Seq)
		for seq, spent := range l.spends {
			if seq <= l.acked {
				for _, t := range spent {
					delete(p.w.secrets, t)
				}
				delete(l.spends, seq)
			}
		}
	case f.Type == protocol.TypeControl && f.Route == protocol.RouteBye:
		l.bye = true
	}
	return l
}

func (l *life) ack(seq uint32) {
	for ; l.acked < seq; l.acked++ {
		delete(l.kept, l.acked+1)
	}
}

// issue gives a life a new ticket; the others are spent when it was acknowledged. w.mu is held.
func (w *world) issue(l *life) {
	w.issued++
	name := binary.BigEndian.AppendUint64(nil, w.issued)
	var secret [32]byte
	copy(secret[1:], name)
	secret[0] = 1
	var older []string
	for t, owner := range w.tickets {
		if owner == l {
			older = append(older, t)
		}
	}
	w.tickets[string(name)], w.secrets[string(name)] = l, secret
	l.spends[l.seq+1] = older
	w.emit(l, protocol.TypePush, protocol.RouteTicket, 0, &mmov1.Ticket{Ticket: name, Secret: secret[:], LingerMs: 30_000})
}

// emit sends a numbered message; w.mu is held.
func (w *world) emit(l *life, t protocol.FrameType, route uint16, id uint32, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		w.t.Error(err)
	}
	l.seq++
	f := protocol.Frame{Type: t, Flags: protocol.FlagREL, Route: route, ID: id, Seq: l.seq, Payload: b}
	l.kept[l.seq] = f
	if l.conn != nil {
		l.conn.out = protocol.AppendFrame(l.conn.out, f)
		l.conn.flush()
	}
}

func (p *pipe) message(t protocol.FrameType, route uint16, id uint32, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		p.w.t.Error(err)
	}
	p.out = protocol.AppendFrame(p.out, protocol.Frame{Type: t, Route: route, ID: id, Payload: b})
}

func (p *pipe) flush() {
	if len(p.out) == 0 || p.keys == nil || p.conn.Busy() {
		return
	}
	record := p.keys.Sealer.Seal(make([]byte, network.HeaderRoom), p.out)
	p.out = p.out[:0]
	if err := p.conn.Send(record); err != nil && errors.Is(err, network.ErrBusy) {
		p.w.t.Error("world: a record was sealed for a busy connection")
	}
}

// raw sends a handshake record.
func (p *pipe) raw(record []byte) bool {
	if err := p.conn.Send(append(make([]byte, network.HeaderRoom), record...)); err != nil {
		return false
	}
	if w := p.conn.Writing(); w != nil {
		<-w
	}
	return true
}

// life of the latest login.
func (w *world) latest() *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lives) == 0 {
		return nil
	}
	return w.lives[len(w.lives)-1]
}

func (w *world) say(l *life, n uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit(l, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(n))
}

// cutter ends a connection after so many bytes in one direction.
type cutter struct {
	net.Conn
	lost        atomic.Bool // whatever is written, without an end
	read, write int         // bytes that still may pass; negative: any number
}

func (c *cutter) Read(b []byte) (int, error) {
	if c.read == 0 {
		_ = c.Close()
		return 0, fmt.Errorf("cut")
	}
	if c.read > 0 {
		b = b[:min(len(b), c.read)]
	}
	n, err := c.Conn.Read(b)
	if c.read > 0 {
		c.read -= n
	}
	return n, err
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.lost.Load() {
		return len(b), nil
	}
	if c.write < 0 || len(b) <= c.write {
		if c.write >= 0 {
			c.write -= len(b)
		}
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.write])
	c.write = 0
	_ = c.Close()
	return n, fmt.Errorf("cut")
}
