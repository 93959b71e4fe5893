package gateway_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestRecordsThatDoNotBelongEndTheConnection(t *testing.T) {
	for name, record := range map[string]func(p *peer) []byte{
		"second handshake": func(p *peer) []byte { _, hs1 := p.hello(nil); return hs1 },
		"plaintext":        func(*peer) []byte { return protocol.AppendPing(nil, 1) },
		"plaintext in data": func(*peer) []byte {
			return append([]byte{0x58}, protocol.AppendPush(nil, routeSay, make([]byte, 40))...)
		},
		"replayed": func(p *peer) []byte {
			b := p.keys.Sealer.Seal(nil, protocol.AppendPing(nil, 1))
			p.raw(b)
			return b
		},
		"reordered": func(p *peer) []byte {
			p.keys.Sealer.Seal(nil, protocol.AppendPing(nil, 1)) // lost
			return p.keys.Sealer.Seal(nil, protocol.AppendPing(nil, 2))
		},
		"empty": func(*peer) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := overLoopback(t, link.PipeConfig{}, nil)
			p := s.play(1)
			p.raw(record(p))
			p.closed(protocol.DisconnectBadRecord)
			if u := s.up(link.CloseSession); u.Conn != p.session || u.Code != 0 {
				t.Errorf("the server is told %+v, want that the session lingers", u)
			}
		})
	}
}

func TestFramesInTheWrongStateAreRefused(t *testing.T) {
	s, _, r := withTickets(t)
	say, ack := protocol.AppendPush(nil, routeSay, nil), protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 1})
	type refused struct {
		name   string
		frames []byte
		want   protocol.ErrorCode
	}
	check := func(p *peer, state string, list ...refused) {
		t.Helper()
		for _, c := range list {
			p.send(c.frames)
			if e, f := p.failure(); protocol.ErrorCode(e.Code) != c.want {
				t.Errorf("%s while %s is answered by %v in %+v, want %v", c.name, state, e, f, c.want)
			}
		}
	}
	p := s.connect(false)
	p.shake(r)
	check(p, "secured", refused{"a push", say, protocol.ErrorWrongState}, refused{"an ack", ack, protocol.ErrorWrongState},
		refused{"an unknown route", protocol.AppendPush(nil, 9999, nil), protocol.ErrorUnknownRoute},
		refused{"a server's push", protocol.AppendPush(nil, routeGot, nil), protocol.ErrorUnknownRoute},
		refused{"a state frame", protocol.AppendState(nil, []byte{1}), protocol.ErrorUnknownRoute},
		refused{"a push as a request", protocol.AppendRequest(nil, routeSay, 1, nil), protocol.ErrorUnknownRoute})
	p.send(resumeFrame(t, 0))
	p.session = s.up(link.ResumeSession).Conn
	check(p, "asking", refused{"a push", say, protocol.ErrorWrongState}, refused{"a login", s.login(1, 2), protocol.ErrorWrongState}, refused{"a resume", resumeFrame(t, 0), protocol.ErrorWrongState})
	s.opens(p, link.Session{ID: 77, Epoch: 5, Recovered: true, Queued: true})
	p.control(protocol.RouteResumed, &mmov1.Resumed{})
	check(p, "authenticated", refused{"a push to the zone", say, protocol.ErrorWrongState}, refused{"a login", s.login(1, 2), protocol.ErrorWrongState})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: p.session})
	p.push(protocol.RouteZone)
	check(p, "playing", refused{"a login", s.login(1, 2), protocol.ErrorWrongState}, refused{"a resume", resumeFrame(t, 0), protocol.ErrorWrongState},
		refused{"a large push", protocol.AppendPush(nil, routeSay, make([]byte, 5000)), protocol.ErrorTooLarge},
		refused{"a request of id 0", protocol.AppendRequest(nil, routeAsk, 0, nil), protocol.ErrorMalformed})
	if n := s.asked(link.FromClient) + s.asked(link.Ack) + s.asked(link.OpenSession); n != 0 {
		t.Errorf("%d of them reached the server", n)
	}
}

// Request ids are the session's, which outlives connections: only the server can judge them.
func TestRequestIdsAndAcknowledgementsAreTheServersToJudge(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	p.push(protocol.RouteZone)
	ask := protocol.AppendRequest(nil, routeAsk, 4, nil)
	p.send(append(ask, ask...)) // in flight twice
	for range 2 {
		if u := s.up(link.FromClient); u.ID != 4 {
			t.Errorf("the server hears %+v", u)
		}
	}
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypeResponse, Route: routeAsk, ID: 4, Seq: 1})
	if f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse }); f.ID != 4 || f.Seq != 1 {
		t.Errorf("the answer is %+v", f)
	}
	p.send(ask) // again, after its answer
	s.up(link.FromClient)
	p.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 4_000_000_000}))
	if u := s.up(link.Ack); u.Seq != 4_000_000_000 {
		t.Errorf("the server hears %+v", u)
	}
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectBadFrame, Payload: []byte("message 4000000000 was acknowledged")})
	p.closed(protocol.DisconnectBadFrame)
}

func TestFramesThatDoNotParseEndTheConnection(t *testing.T) {
	for name, frames := range map[string][]byte{
		"reserved bits": {0x80, 64, 0}, "reserved type": {7}, "truncated": {0, 64, 9, 1}, "overlong number": {0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := overLoopback(t, link.PipeConfig{}, nil)
			p := s.connect(true)
			p.send(frames)
			p.closed(protocol.DisconnectBadFrame)
		})
	}
}

func TestHandshakesThatTakeTooLongEnd(t *testing.T) {
	for name, drip := range map[string]bool{"nothing comes": false, "a byte a second": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inMemory(t, link.PipeConfig{}, nil)
				dial, wire := s.dial, make(chan net.Conn, 1)
				s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := dial(ctx, network, addr)
					wire <- c
					return c, err
				}
				p := s.connect(false)
				nc := <-wire
				go readAll(p)
				start := time.Now()
				for i := byte(0); drip && time.Since(start) < 4900*time.Millisecond; i++ { // the head of a masked frame of 80 bytes, and on
					if _, err := nc.Write([]byte{[]byte{0x82, 0x80 | 80, 0, 0, 0, 0}[i%6]}); err != nil {
						break
					}
					elapse(time.Second)
				}
				elapse(time.Until(start.Add(5100 * time.Millisecond)))
				synctest.Wait()
				if st := s.gw.Stats(); st.Disconnects["handshake_timeout"] != 1 || st.Connections != 0 {
					t.Errorf("after 5.1 s: %d connections, ended %v", st.Connections, st.Disconnects)
				}
			})
		})
	}
}

// A byte at a time is slow, and right.
func TestHandshakeAndRecordsMayComeByteByByte(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		return dripping{c}, err
	}
	p := s.play(1)
	p.send(protocol.AppendPing(nil, 7))
	p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong })
}

// dripping writes a byte at a time.
type dripping struct{ net.Conn }

func (d dripping) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestHandshakeOfAnUnknownKeyIsToldTheKey(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.connect(false)
	_, hs1 := p.hello(nil)
	hs1[2]++
	p.raw(hs1)
	record, err := p.next()
	if err != nil || record[0] != 0x50 {
		t.Errorf("the answer is %x, %v", record, err)
	}
	p.closed(protocol.DisconnectKeyUnknown)
	for _, bad := range [][]byte{{}, make([]byte, 79), make([]byte, 400)} {
		p := s.connect(false)
		p.raw(bad)
		p.closed(protocol.DisconnectBadHandshake)
	}
	if n := s.gw.Stats().Counts.Rejects["key_unknown"]; n != 1 {
		t.Errorf("rejects are %v", s.gw.Stats().Counts.Rejects)
	}
}

// bounded has loopback addresses bounded too.
func bounded(change func(*gateway.AddressLimits)) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.Limits.Addresses.Loopback = true
		change(&c.Limits.Addresses)
	}
}

// turnedAway is a client that is not let in, at the door.
func turnedAway(s *stage, reason string) {
	s.t.Helper()
	var r *network.RefusedError
	if _, err := s.open(); !errors.As(err, &r) || r.Status != http.StatusTooManyRequests {
		s.t.Errorf("a client too many: %v, want 429", err)
	}
	if st := s.gw.Stats(); st.Counts.Denials[reason] == 0 || st.Disconnects[reason] == 0 {
		s.t.Errorf("denied %v, want %s", st.Counts.Denials, reason)
	}
}

func TestUnfinishedHandshakesOfAnAddressAreBounded(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, bounded(func(l *gateway.AddressLimits) { l.HalfOpen = 2 }))
	s.play(1) // is done
	half := s.connect(false)
	s.connect(false)
	turnedAway(s, "refused_half_open")
	resp, err := http.Get("http" + strings.TrimPrefix(s.url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, Retry-After %q; want 429 after 1", resp.Status, resp.Header.Get("Retry-After"))
	}
	half.shake(nil)
	half.settles()
	s.connect(false)
	turnedAway(s, "refused_half_open")
	if st := s.gw.Stats(); st.Connections != 4 || st.Addresses != 1 {
		t.Errorf("%d connections of %d addresses", st.Connections, st.Addresses)
	}
}

func TestConnectionsOfAnAddressAreBounded(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, bounded(func(l *gateway.AddressLimits) { l.Open, l.Burst, l.Handshakes = 2, 3, 0.001 }))
	a := s.connect(true)
	s.connect(true)
	turnedAway(s, "refused_address_full")
	_ = a.conn.Close(1000, "")
	s.ended("closed_by_client", 1)
	b := s.connect(true)
	_ = b.conn.Close(1000, "")
	s.ended("closed_by_client", 2)
	turnedAway(s, "refused_handshake_rate")
}

func TestClientBehindAProxyIsBoundedByItsOwnAddress(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) {
		c.Network.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		c.Limits.Addresses.Open = 1
	})
	from := func(addr string) *network.Conn {
		t.Helper()
		conn, err := network.Dial(context.Background(), s.url, network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}, Header: http.Header{"X-Forwarded-For": {addr}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(1000, "") })
		return conn
	}
	from("192.0.2.1")
	from("192.0.2.2")
	s.until(func(st gateway.Stats) bool { return st.Addresses == 2 }, "two addresses")
	_, err := from("192.0.2.1").Next()
	var c *network.CloseError
	if !errors.As(err, &c) || protocol.DisconnectCode(c.Code) != protocol.DisconnectOverloaded || c.Reason != "too many connections from this address" {
		t.Errorf("the second connection of an address ends with %v", err)
	}
	s.ended("refused_address_full", 1)
}

// TestFloodingEndsInAKick: the client is warned first, and its address is refused for a while.
func TestFloodingEndsInAKick(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) {
		bounded(func(*gateway.AddressLimits) {})(c)
		c.FrameRate, c.FrameBurst = 10, 20
		c.Limits.Violations = gateway.Violations{Warn: 10, Kick: 20, Grace: time.Nanosecond}
	})
	p := s.play(1)
	var flood []byte
	for range 100 {
		flood = protocol.AppendPush(flood, routeSay, nil)
	}
	p.send(flood)
	p.send(flood)
	var w mmov1.Warning
	p.control(protocol.RouteWarning, &w)
	if protocol.ErrorCode(w.Code) != protocol.ErrorRateLimited || w.Message == "" {
		t.Errorf("the warning is %v", &w)
	}
	p.closed(protocol.DisconnectFlooding)
	if u := s.up(link.CloseSession); u.Conn != p.session || u.Code == 0 {
		t.Errorf("the server is told %+v", u)
	}
	s.ended("flooding", 1)
	turnedAway(s, "refused_held")
	st := s.gw.Stats().Counts
	if st.Warnings != 1 || st.Violations == 0 || st.Kicks["flooding"] != 1 || st.Errors["rate_limited"] == 0 {
		t.Errorf("counted %+v", st)
	}
}

func TestEmptyRecordsAndLargeMessagesCountAsAFloodToo(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*gateway.Config)
		frames  []byte
		records int // of which the last is one too many
	}{
		"empty records":  {func(c *gateway.Config) { c.FrameRate, c.FrameBurst = 1, 2 }, nil, 2 + 11},
		"large messages": {func(c *gateway.Config) { c.Limits.ByteRate = 100 }, protocol.AppendPush(nil, routeSay, make([]byte, 4000)), 1 + 11},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // within a second the next record is paid for
				s := inMemory(t, link.PipeConfig{}, func(cfg *gateway.Config) {
					cfg.Limits.Violations = gateway.Violations{Warn: 5, Kick: 10, Grace: time.Nanosecond, Decay: 0.01}
					c.change(cfg)
				})
				p := s.connect(true)
				for range c.records {
					elapse(time.Millisecond)
					p.send(c.frames)
				}
				p.closed(protocol.DisconnectFlooding)
			})
		})
	}
}

func TestMessagesThatAreNoRecordsEndTheConnection(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	if err := p.conn.SendText(append(make([]byte, network.HeaderRoom), "{}"...)); err != nil {
		t.Fatal(err)
	}
	s.ended("text_message", 1)
	p = s.play(2)
	p.raw(make([]byte, 64<<10+1))
	s.ended("record_too_large", 1)
}

func TestEchoesAreTaken(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.batch(true)
	p := s.play(1)
	p.push(protocol.RouteZone)
	for range 200 { // every fifth tick has a state frame, as long as there is nothing to say
		s.batch(true)
		s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot}) // behind the batch: two that come at once are one tick to the client
		p.push(routeGot)
		p.send(protocol.AppendEcho(nil, uint16(s.gw.Stats().StateFrames)))
	}
	if n := s.gw.Stats().StateFrames; n < 30 { // a client that does not echo is paused long before
		t.Errorf("%d state frames in 200 ticks", n)
	}
}
