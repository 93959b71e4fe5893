package gateway

import (
	"errors"
	"os"
	"strings"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is the reader's side of a session: what the client sends.

// read is the reader's goroutine once the connection is secured.
func (s *session) read() {
	for {
		record, err := s.conn.Next() // here it sits for hours: nothing deep is called from this function itself
		if err != nil {
			if s.rested(err) {
				go s.read()
				return
			}
			break
		}
		if !s.record(record) {
			break
		}
	}
	s.part() // the flusher was told
}

// part is the end of one of the two that a session has, the reader and the flusher's part; the last one ends the session.
func (s *session) part() {
	if s.parted.Add(1) < 2 {
		return
	}
	s.mu.Lock()
	reason := s.outcome
	s.mu.Unlock()
	s.g.leave(s, reason)
}

// restAfter is the silence after which the flusher rouses a reader that has handled something.
const restAfter = 2 * time.Second

// rested tells whether the reader was only roused: it goes on in a new goroutine, with a small stack, for a stack never shrinks to what waiting takes, and most clients of a large gateway
// are quiet. If it was not, the flusher ends the session.
func (s *session) rested(err error) bool {
	s.mu.Lock()
	// A session that was asked for has no deadline: one that has passed is a Rouse's that met a record.
	roused := errors.Is(err, network.ErrRoused) || s.asking && errors.Is(err, os.ErrDeadlineExceeded)
	if roused { // which took the deadline away
		deadline := time.Time{}
		if !s.asking { // the server has said meanwhile that there is nothing to resume
			deadline = time.Now().Add(s.g.cfg.LoginTimeout)
		}
		_ = s.conn.SetReadDeadline(deadline) // a failure shows in Next
	}
	s.mu.Unlock()
	if !roused {
		s.end(outcomeOf(err, protocol.DisconnectHandshakeTimeout))
	}
	return roused
}

// noted notes that the client is there, and returns when.
func (s *session) noted() time.Duration {
	at := s.g.clock()
	s.lastSeen.Store(int64(at))
	if !s.deep.Load() {
		s.deep.Store(true)
	}
	return at
}

// record takes a record apart; false ends the reader.
func (s *session) record(record []byte) bool {
	frames, err := s.keys.Opener.Open(record)
	if err != nil {
		s.kick(protocol.DisconnectBadRecord, "")
		return false
	}
	at := s.noted()
	if len(frames) == 0 { // costs as much as one with a frame
		_, step, _ := s.limit.take(s.w.limits, protocol.Frame{}, at)
		return s.limited(protocol.Frame{}, step, 0, at)
	}
	return s.frames(frames, at)
}

// frames takes the frames of a record one by one; false ends the reader.
func (s *session) frames(frames []byte, at time.Duration) bool {
	var kept arena
	for len(frames) > 0 {
		f, rest, err := protocol.Next(frames)
		if err != nil {
			s.kick(protocol.DisconnectBadFrame, "")
			return false
		}
		frames, kept.left = rest, len(rest)
		if !s.handle(f, at, &kept) {
			return false
		}
	}
	s.acknowledge()
	return true
}

// acknowledge tells the server of the highest number among a record's acknowledgements, if it says more than the one before: each takes a place of the link's, which is
// everybody's.
func (s *session) acknowledge() {
	if s.acking <= s.acked {
		return
	}
	if s.w.link.Send(link.Up{Kind: link.Ack, Conn: s.id, Epoch: s.epoch.Load(), Seq: s.acking}) == nil { // one that finds no room is made good by the next
		s.acked = s.acking
	}
}

// handle takes one frame of the client; false ends the reader.
func (s *session) handle(said protocol.Frame, at time.Duration, kept *arena) bool {
	c := s.shard()
	c.in(said)
	ok, step, wait := s.limit.take(s.w.limits, said, at)
	if step != stepNone && !s.limited(said, step, wait, at) {
		return false
	}
	if !ok {
		c.violation()
		return true
	}
	if code := s.w.routes.Check(said, protocol.States(s.state.Load()), protocol.ClientToServer); code != protocol.ErrorNone {
		s.fail(said, code, "", 0)
		return true
	}
	f := said
	if said.Flags&protocol.FlagJSON != 0 {
		if f, ok = s.parsed(said); !ok {
			return true
		}
	}
	switch {
	case f.Type == protocol.TypeControl && f.Route == protocol.RouteBye:
		s.end(1000, "bye")
		return false
	case f.Type == protocol.TypeAck:
		s.acking = max(s.acking, f.Seq)
	case f.Type == protocol.TypeControl && f.Route == protocol.RouteResume:
		return s.comeBack(said, f)
	case f.Type == protocol.TypeControl:
		s.control(f)
	case f.Route == protocol.RouteLogin:
		return s.logIn(said, f)
	default:
		s.forward(said, f, kept)
	}
	return true
}

// limited does what the ladder says about a client that sends too much; false ends the reader.
func (s *session) limited(f protocol.Frame, step step, wait, at time.Duration) bool {
	switch step {
	case stepTell:
		s.fail(f, protocol.ErrorRateLimited, "", wait)
	case stepWarn:
		s.g.counters.warned()
		if b, err := protocol.Marshal(&mmov1.Warning{Code: uint32(protocol.ErrorRateLimited), Message: warnText}); err == nil {
			s.answer(protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteWarning, Payload: b}, false)
		}
		if f.Type == protocol.TypeRequest {
			s.fail(f, protocol.ErrorRateLimited, "", wait)
		}
	case stepKick:
		s.g.addresses.hold(s.conn.Client().Addr(), at)
		s.kick(protocol.DisconnectFlooding, "")
		return false
	}
	return true
}

// parsed gives a frame in JSON its payload in protobuf, or answers what is wrong with it.
func (s *session) parsed(f protocol.Frame) (_ protocol.Frame, ok bool) {
	if s.w.converter == nil {
		s.fail(f, protocol.ErrorMalformed, "the server has told no descriptors of its messages: JSON is not spoken here", 0)
		return f, false
	}
	p, _, err := fromJSON(s.w.converter, nil, f)
	if err == nil {
		return p, true
	}
	code := protocol.ErrorMalformed
	var c *protocol.ConvertError
	if errors.As(err, &c) {
		code = c.Code
	}
	s.fail(f, code, err.Error(), 0)
	return f, false
}

func (s *session) control(f protocol.Frame) {
	switch f.Route { // sizes were checked with the route
	case protocol.RoutePing:
		if t, err := protocol.ParsePing(f.Payload); err == nil {
			var b [1 + 1 + 1 + protocol.PongSize]byte
			frame := protocol.AppendPong(b[:0], t, uint64(time.Now().UnixMicro()))
			s.answer(protocol.Frame{Type: protocol.TypeControl, Route: protocol.RoutePong, Payload: frame[len(frame)-protocol.PongSize:]}, false)
		}
	case protocol.RouteEcho:
		if n, err := protocol.ParseEcho(f.Payload); err == nil {
			s.mu.Lock()
			s.echo, s.echoed = n, true // taken with the next tick
			s.mu.Unlock()
		}
	}
}

// forward hands a game's frame to the server.
func (s *session) forward(said, f protocol.Frame, kept *arena) {
	json := said.Flags&protocol.FlagJSON != 0
	u := link.Up{Kind: link.FromClient, Conn: s.id, Epoch: s.epoch.Load(), Route: f.Route, ID: f.ID, Payload: f.Payload}
	if !json { // what was converted is ours already
		u.Payload = kept.keep(f.Payload)
	} else if f.Type == protocol.TypeRequest && !s.json.Load() && s.texts == nil && !s.want(f.ID) {
		s.fail(said, protocol.ErrorOverloaded, "too many requests in JSON are unanswered", time.Second)
		return
	}
	if errors.Is(s.w.link.Send(u), link.ErrFull) {
		s.fail(said, protocol.ErrorOverloaded, "the server's queue is full", time.Second)
	}
}

// arena holds copies of the payloads of one record, whose own memory is the connection's. The zero value has no memory.
type arena struct {
	buf  []byte
	left int // bytes of the record behind the payload that is kept next
}

// arenaChunk bounds what a payload that is kept for long keeps with it, in bytes.
const arenaChunk = 4 << 10

// keep returns a copy of b: one allocation for all payloads of a record, if they are small.
func (a *arena) keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if cap(a.buf)-len(a.buf) < len(b) {
		a.buf = make([]byte, 0, max(len(b), min(len(b)+a.left, arenaChunk)))
	}
	at := len(a.buf)
	a.buf = append(a.buf, b...)
	return a.buf[at:len(a.buf):len(a.buf)]
}

// fail answers a frame with an error.
func (s *session) fail(f protocol.Frame, code protocol.ErrorCode, message string, retry time.Duration) {
	if message == "" {
		message = code.String()
	}
	s.g.counters.refused(code)
	b, err := protocol.Marshal(&mmov1.Error{Code: uint32(code), Message: strings.ToValidUTF8(message, "?"), RetryAfterMs: uint32(retry.Milliseconds())})
	if err != nil {
		return // cannot happen: scalars and valid text
	}
	id := f.ID
	if f.Type != protocol.TypeRequest {
		id = 0
	}
	s.answer(protocol.Frame{Type: protocol.TypeError, Route: f.Route, ID: id, Payload: b}, f.Flags&protocol.FlagJSON != 0)
}
