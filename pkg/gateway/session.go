package gateway

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// session is a connection from its upgrade on, and the session on it once somebody has logged in.
type session struct {
	g    *Gateway
	w    *world // that it was admitted to
	id   uint64
	conn *network.Conn
	keys *security.Session // Opener: the reader's; Sealer: the flusher's
	done chan struct{}     // closed when the flusher has dropped the session

	playing  atomic.Bool
	lastSeen atomic.Int64 // unix ns of the last record

	mu     sync.Mutex
	queued bool   // stands in the gateway's ready list
	out    []byte // encoded frames that wait
	sizes  []int  // of each frame in out
	login  *login // accepted, not yet opened by the flusher

	foreign bool // the client's schema is another revision: it is told the layout

	loggedIn bool
	echo     uint16
	echoed   bool // echo is news
	ending   bool // the flusher is to end it with code and reason
	code     protocol.DisconnectCode
	reason   string
	outcome  string // under which the end is counted

	limit bucket // the reader's own

	// The flusher's own:
	identity *security.Identity
	client   *replica.Client
	rows     bool   // the zone table has been sent: state frames may follow
	stuck    []byte // a sealed record that the connection could not take yet
	dropped  bool
}

type login struct {
	identity security.Identity
	request  uint32
}

// read is the connection's reader goroutine.
func (s *session) read() {
	reason := s.secure()
	if reason == "" {
		s.loop()
		<-s.done
		s.mu.Lock()
		reason = s.outcome
		s.mu.Unlock()
	}
	s.g.leave(s, reason)
}

// secure does the handshake. It returns "" and has enrolled the session, or has closed the connection and returns the reason.
func (s *session) secure() string {
	now := time.Now()
	if err := s.conn.SetReadDeadline(now.Add(s.g.cfg.HandshakeTimeout)); err != nil {
		return s.refuse(0, "connection_lost")
	}
	hs1, err := s.conn.Next()
	if err != nil {
		return s.refuse(outcomeOf(err, protocol.DisconnectHandshakeTimeout))
	}
	hs2, keys, info, err := security.Accept(&s.w.security, hs1, now)
	if err != nil {
		var r *security.Reject
		if errors.As(err, &r) {
			_ = s.send(r.Bytes)
			return s.refuse(rejectCode(r.Code), "")
		}
		return s.refuse(protocol.DisconnectBadHandshake, "")
	}
	s.keys = keys
	if err := s.send(hs2); err != nil {
		return s.refuse(0, "connection_lost")
	}
	if !info.SchemaMatches {
		mine, theirs := protocol.Fingerprint(s.w.security.SchemaHash), protocol.Fingerprint(info.SchemaHash)
		if !mine.Compatible(theirs) {
			s.g.cfg.Log.Warn("client refused: its schema is not compatible", "client", theirs, "server", mine)
			return s.refuseWith(protocol.DisconnectSchemaMismatch, protocol.SchemaMismatch(theirs, mine))
		}
		s.foreign = true
	}
	s.limit = newBucket(s.g.cfg.FrameRate, s.g.cfg.FrameBurst, now)
	s.lastSeen.Store(now.UnixNano())
	if code, over := s.g.enroll(s); over {
		text := code.String()
		if code == protocol.DisconnectServerLost {
			text = awayText
		}
		return s.refuseWith(code, text)
	}
	return ""
}

// send writes a record in clear, before the flusher owns the connection.
func (s *session) send(record []byte) error {
	return s.conn.Send(append(make([]byte, network.HeaderRoom), record...))
}

// sendLast is send for the last record: it waits a moment for a connection that is still writing the one before, and for this one to be written.
func (s *session) sendLast(record []byte) {
	grace := time.NewTimer(farewellGrace)
	defer grace.Stop()
	for sent := false; ; {
		if writing := s.conn.Writing(); writing != nil {
			select {
			case <-writing:
			case <-grace.C:
				return
			}
		}
		if sent {
			return
		}
		if err := s.send(record); err != nil && !errors.Is(err, network.ErrBusy) {
			return
		} else if err == nil {
			sent = true
		}
	}
}

// refuse closes a connection that never became a session.
func (s *session) refuse(code protocol.DisconnectCode, reason string) string {
	if reason == "" {
		reason = code.String()
	}
	return s.refuseAs(code, reason, reason)
}

// refuseWith is refuse with a text that explains the code.
func (s *session) refuseWith(code protocol.DisconnectCode, text string) string {
	return s.refuseAs(code, code.String(), text)
}

func (s *session) refuseAs(code protocol.DisconnectCode, reason, text string) string {
	if s.keys != nil && code >= 4000 {
		if b, err := protocol.Marshal(&mmov1.Kick{Code: uint32(code), Reason: text}); err == nil {
			s.sendLast(s.keys.Sealer.Seal(nil, protocol.AppendControl(nil, protocol.RouteKick, b)))
		}
	}
	_ = s.conn.Close(uint16(code), reason)
	if s.keys != nil {
		s.keys.Close()
	}
	return reason
}

func rejectCode(c security.RejectCode) protocol.DisconnectCode {
	switch c {
	case security.RejectKeyUnknown:
		return protocol.DisconnectKeyUnknown
	case security.RejectVersion:
		return protocol.DisconnectVersionRefused
	case security.RejectBusy:
		return protocol.DisconnectOverloaded
	}
	return protocol.DisconnectBadHandshake
}

// outcomeOf names the end of a connection by the error of its reader; timeout is what a passed deadline means.
func outcomeOf(err error, timeout protocol.DisconnectCode) (protocol.DisconnectCode, string) {
	var v network.Violation
	var c *network.CloseError
	switch {
	case errors.As(err, &v):
		return codeOf(v), codeOf(v).String()
	case errors.As(err, &c) && !c.Local:
		return 0, "closed_by_client"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return timeout, timeout.String()
	case errors.Is(err, network.ErrWriteTimeout):
		return protocol.DisconnectSlowConsumer, protocol.DisconnectSlowConsumer.String()
	}
	return 0, "connection_lost"
}

// loop reads records until the connection or the session ends.
func (s *session) loop() {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.g.cfg.LoginTimeout)) // a failure shows in Next
	for {
		record, err := s.conn.Next()
		if err != nil {
			code, reason := outcomeOf(err, protocol.DisconnectHandshakeTimeout)
			s.end(code, reason)
			return
		}
		frames, err := s.keys.Opener.Open(record)
		if err != nil {
			s.kick(protocol.DisconnectBadRecord, "")
			return
		}
		now := time.Now()
		s.lastSeen.Store(now.UnixNano())
		if len(frames) == 0 { // costs as much as one with a frame
			s.limit.take(now)
		}
		for len(frames) > 0 {
			f, rest, err := protocol.Next(frames)
			if err != nil {
				s.kick(protocol.DisconnectBadFrame, "")
				return
			}
			frames = rest
			if !s.handle(f, now) {
				return
			}
		}
	}
}

// handle takes one frame of the client; false ends the loop.
func (s *session) handle(f protocol.Frame, now time.Time) bool {
	if ok, first := s.limit.take(now); !ok && !isEcho(f) {
		if first {
			s.fail(f, protocol.ErrorRateLimited, "", s.limit.wait())
		}
		return true
	}
	state := protocol.Secured
	if s.playing.Load() {
		state = protocol.Playing
	}
	if code := s.w.routes.Check(f, state, protocol.ClientToServer); code != protocol.ErrorNone {
		s.fail(f, code, "", 0)
		return true
	}
	switch {
	case f.Type == protocol.TypeControl && f.Route == protocol.RouteBye:
		s.end(1000, "bye")
		return false
	case f.Type == protocol.TypeControl:
		s.control(f, now)
	case f.Route == protocol.RouteLogin:
		return s.logIn(f, now)
	default:
		s.forward(f)
	}
	return true
}

// isEcho tells the frames that pass the rate limit: a lost echo would pause its client for good, and it costs and answers nothing.
func isEcho(f protocol.Frame) bool {
	return f.Type == protocol.TypeControl && f.Route == protocol.RouteEcho && len(f.Payload) == protocol.EchoSize
}

func (s *session) control(f protocol.Frame, now time.Time) {
	switch f.Route { // sizes were checked with the route
	case protocol.RoutePing:
		if t, err := protocol.ParsePing(f.Payload); err == nil {
			s.append(func(b []byte) []byte { return protocol.AppendPong(b, t, uint64(now.UnixMicro())) })
		}
	case protocol.RouteEcho:
		if n, err := protocol.ParseEcho(f.Payload); err == nil {
			s.mu.Lock()
			s.echo, s.echoed = n, true // taken with the next tick
			s.mu.Unlock()
		}
	}
}

func (s *session) logIn(f protocol.Frame, now time.Time) bool {
	var m mmov1.LoginRequest
	if err := protocol.Unmarshal(f.Payload, &m); err != nil {
		s.fail(f, protocol.ErrorMalformed, "", 0)
		return true
	}
	id, err := s.g.cfg.Verifier.Verify(m.Token, now)
	if err == nil && !utf8.ValidString(id.Name) {
		err = errors.New("the token's name is not UTF-8")
	}
	if err != nil {
		s.fail(f, protocol.ErrorUnauthorized, err.Error(), 0)
		s.kick(protocol.DisconnectBadToken, err.Error())
		return false
	}
	_ = s.conn.SetReadDeadline(time.Time{}) // from now on the flusher watches for silence
	s.mu.Lock()
	again := s.loggedIn
	if !again {
		s.loggedIn, s.login = true, &login{id, f.ID}
	}
	s.mu.Unlock()
	if again {
		s.fail(f, protocol.ErrorWrongState, "a login is under way", 0)
	}
	s.notify()
	return true
}

// forward hands a game's frame to the server.
func (s *session) forward(f protocol.Frame) {
	err := s.w.link.Send(link.Up{Kind: link.FromClient, Session: s.id, Route: f.Route, ID: f.ID, Payload: bytes.Clone(f.Payload)})
	if errors.Is(err, link.ErrFull) {
		s.fail(f, protocol.ErrorOverloaded, "the server's queue is full", time.Second)
	}
}

// fail answers a frame with an error.
func (s *session) fail(f protocol.Frame, code protocol.ErrorCode, message string, retry time.Duration) {
	if message == "" {
		message = code.String()
	}
	b, err := protocol.Marshal(&mmov1.Error{Code: uint32(code), Message: strings.ToValidUTF8(message, "?"), RetryAfterMs: uint32(retry.Milliseconds())})
	if err != nil {
		return // cannot happen: scalars and valid text
	}
	id := f.ID
	if f.Type != protocol.TypeRequest {
		id = 0
	}
	s.push(protocol.Frame{Type: protocol.TypeError, Route: f.Route, ID: id, Payload: b})
}

// push queues a frame for the client.
func (s *session) push(f protocol.Frame) {
	s.append(func(b []byte) []byte { return protocol.AppendFrame(b, f) })
}

func (s *session) append(frame func([]byte) []byte) {
	s.mu.Lock()
	before := len(s.out)
	s.out = frame(s.out)
	size := len(s.out) - before
	switch {
	case size > s.g.room():
		s.out = s.out[:before]
		s.mu.Unlock()
		s.g.cfg.Log.Error("frame dropped: it fits no record", "session", s.id, "bytes", size)
		return
	case len(s.out) > s.g.cfg.QueueBytes && before > 0:
		s.out = s.out[:before]
		s.mu.Unlock()
		s.kick(protocol.DisconnectSlowConsumer, "")
		return
	}
	s.sizes = append(s.sizes, size)
	s.mu.Unlock()
	s.notify()
}

// kick has the flusher tell the client why and close; the first reason counts.
func (s *session) kick(code protocol.DisconnectCode, text string) {
	s.mu.Lock()
	if !s.ending {
		s.ending, s.code, s.reason, s.outcome = true, code, strings.ToValidUTF8(text, "?"), code.String()
	}
	s.mu.Unlock()
	s.notify()
}

// end has the flusher drop a session whose connection is over, or closes without a word of explanation.
func (s *session) end(code protocol.DisconnectCode, outcome string) {
	s.mu.Lock()
	if !s.ending {
		s.ending, s.code, s.outcome = true, code, outcome
	}
	s.mu.Unlock()
	s.notify()
}

// notify puts the session on the flusher's list, once.
func (s *session) notify() {
	s.mu.Lock()
	if s.queued {
		s.mu.Unlock()
		return
	}
	s.queued = true
	s.mu.Unlock()
	s.g.enqueue(s)
}

func sortSessions(list []*session) {
	slices.SortFunc(list, func(a, b *session) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
}
