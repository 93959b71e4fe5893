package gateway_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// peer is a client that can misbehave.
type peer struct {
	s       *stage
	conn    *network.Conn
	keys    *security.Session
	drained chan struct{}
	mirror  replica.Mirror
	kick    mmov1.Kick
	session uint64
	ready   []protocol.Frame // read, not asked for yet
}

// connect opens a connection and, if secure, shakes hands.
func (s *stage) connect(secure bool) *peer {
	s.t.Helper()
	p, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	if secure {
		p.shake(nil)
	}
	return p
}

// open opens a connection.
func (s *stage) open() (*peer, error) {
	s.t.Helper()
	p := &peer{s: s, drained: make(chan struct{}, 1)}
	if err := p.mirror.Use(deltatest.Codec(), nil); err != nil {
		s.t.Fatal(err)
	}
	cfg := network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}, NetDial: s.dial}
	cfg.OnDrain = func(*network.Conn) {
		select {
		case p.drained <- struct{}{}:
		default:
		}
	}
	var err error
	if p.conn, err = network.Dial(context.Background(), s.url, cfg); err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { _ = p.conn.Close(1000, "") })
	return p, nil
}

// shake secures a connection, with a ticket if there is one.
func (p *peer) shake(resume *security.Resumption) {
	p.s.t.Helper()
	h, hs1 := p.hello(resume)
	p.raw(hs1)
	record, err := p.next()
	if err != nil {
		p.s.t.Fatal(err)
	}
	if p.keys, _, err = h.Finish(record); err != nil {
		p.s.t.Fatal(err)
	}
}

// settles waits until the gateway is done with the handshake too: a client may be a moment before.
func (p *peer) settles() {
	p.s.t.Helper()
	p.send(protocol.AppendPing(nil, 1))
	p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong })
}

// hello is a client's first record.
func (p *peer) hello(resume *security.Resumption) (*security.ClientHandshake, []byte) {
	p.s.t.Helper()
	c := p.s.client
	c.Now, c.Resume = time.Now(), resume
	h, hs1, err := security.NewClient(c)
	if err != nil {
		p.s.t.Fatal(err)
	}
	return h, hs1
}

func (p *peer) raw(record []byte) {
	p.s.t.Helper()
	buf := append(make([]byte, network.HeaderRoom), record...)
	for {
		err := p.conn.Send(buf)
		if err == nil {
			return
		}
		if !errors.Is(err, network.ErrBusy) {
			p.s.t.Fatal(err)
		}
		<-p.drained
	}
}

func (p *peer) send(frames []byte) {
	p.s.t.Helper()
	p.raw(p.keys.Sealer.Seal(nil, frames))
}

func (p *peer) next() ([]byte, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	return p.conn.Next()
}

// read takes one record apart, following state frames and kicks.
func (p *peer) read() error {
	p.s.t.Helper()
	record, err := p.next()
	if err != nil {
		return err
	}
	frames, err := p.keys.Opener.Open(record)
	for len(frames) > 0 && err == nil {
		var f protocol.Frame
		if f, frames, err = protocol.Next(frames); err != nil {
			break
		}
		f.Payload = slices.Clone(f.Payload)
		p.ready = append(p.ready, f)
		switch {
		case f.Type == protocol.TypeState:
			err = p.mirror.Decode(f.Payload)
		case f.Type == protocol.TypePush && f.Route == protocol.RouteZone:
			var z mmov1.Zone
			if err = unmarshal(f, &z); err == nil {
				err = p.mirror.OpenZone(uint8(z.Index), z.Zone, delta.Params{PositionBits: uint8(z.PositionBits), OriginX: z.OriginX, OriginZ: z.OriginZ}, z.Tick)
			}
		case f.Type == protocol.TypeControl && f.Route == protocol.RouteKick:
			err = unmarshal(f, &p.kick)
		}
	}
	if err != nil {
		p.s.t.Fatal(err)
	}
	return nil
}

// unmarshal reads a frame's payload, in either encoding.
func unmarshal(f protocol.Frame, m proto.Message) error {
	if f.Flags&protocol.FlagJSON != 0 {
		return protojson.Unmarshal(f.Payload, m)
	}
	return proto.Unmarshal(f.Payload, m)
}

// frame waits for a frame that fits; those before it are dropped.
func (p *peer) frame(fits func(protocol.Frame) bool) protocol.Frame {
	p.s.t.Helper()
	for {
		for i, f := range p.ready {
			if fits(f) {
				p.ready = slices.Delete(p.ready, 0, i+1)
				return f
			}
		}
		p.ready = nil
		if err := p.read(); err != nil {
			p.s.t.Fatal(err)
		}
	}
}

func (p *peer) push(route uint16) protocol.Frame {
	p.s.t.Helper()
	return p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypePush && f.Route == route })
}

// control waits for a control frame of a route, and reads it into m.
func (p *peer) control(route uint16, m proto.Message) {
	p.s.t.Helper()
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeControl && f.Route == route })
	if err := proto.Unmarshal(f.Payload, m); err != nil {
		p.s.t.Fatal(err)
	}
}

// failure waits for an error frame.
func (p *peer) failure() (*mmov1.Error, protocol.Frame) {
	p.s.t.Helper()
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError })
	e := &mmov1.Error{}
	if err := proto.Unmarshal(f.Payload, e); err != nil {
		p.s.t.Fatal(err)
	}
	return e, f
}

// closed reads to the end, which must be a close frame and, with keys, a kick that says the same.
func (p *peer) closed(want protocol.DisconnectCode) {
	p.s.t.Helper()
	var err error
	for err == nil {
		if p.keys == nil {
			_, err = p.next()
		} else {
			err = p.read()
		}
	}
	var c *network.CloseError
	if !errors.As(err, &c) || protocol.DisconnectCode(c.Code) != want || p.keys != nil && protocol.DisconnectCode(p.kick.Code) != want {
		p.s.t.Errorf("the connection ended with %v after the kick {%v}, want %d %s", err, &p.kick, want, want)
	}
}

func (s *stage) login(player uint64, id uint32) []byte {
	s.t.Helper()
	token, err := s.tokens.Issue(security.Identity{Player: player, Name: "Ann", Rights: []string{"fly"}}, time.Hour, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := proto.Marshal(&mmov1.LoginRequest{Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	return protocol.AppendRequest(nil, protocol.RouteLogin, id, b)
}

// epochOf is the epoch that the test's server gives the session of a connection.
func epochOf(p *peer) uint64 { return p.session ^ 1<<50 }

// opens is the server's answer to a login, or to a client that comes back.
func (s *stage) opens(p *peer, x link.Session) {
	s.t.Helper()
	s.down(link.Down{Kind: link.Opened, Conn: p.session, Payload: x.Append(nil)})
}

// play connects, logs in and enters the world.
func (s *stage) play(player uint64) *peer {
	s.t.Helper()
	p := s.connect(true)
	p.send(s.login(player, 9))
	u := s.up(link.OpenSession)
	p.session = u.Conn
	if o, err := link.ParseOpening(u.Payload); err != nil || o.Player != player || o.Name != "Ann" || !slices.Equal(o.Rights, []string{"fly"}) {
		s.t.Errorf("the server is told of %+v, %v", o, err)
	}
	s.opens(p, link.Session{ID: 1000 + player, Epoch: epochOf(p)})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: p.session})
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse })
	var m mmov1.LoginResponse
	if err := proto.Unmarshal(f.Payload, &m); err != nil || f.ID != 9 || m.SessionId != 1000+player || m.PlayerId != player || m.Server != "v1" {
		s.t.Errorf("login answered by %v in %+v, %v", &m, f, err)
	}
	return p
}
