package gateway

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is a session's end.

// drop ends the session: the client is told if it can be, the server is told if it knew.
func (s *session) drop(code protocol.DisconnectCode, text, outcome string) {
	g := s.g
	s.dropped = true
	if code >= 4000 {
		g.counters.kicked(code)
	}
	if s.asked {
		u := link.Up{Kind: link.CloseSession, Conn: s.id, Epoch: s.epoch.Load()}
		if outcome == "bye" || !code.Reconnect() && !forgeable(code) { // it is not to come back
			u.Code = max(code, 1000)
		}
		_ = s.w.link.Send(u) // a closed link has no sessions
	}
	if s.client != nil {
		s.client.Close()
	}
	s.state.Store(uint32(protocol.Secured))
	go func() { // a connection that is busy gets a moment to hear why it ends; the session is not over before this goroutine
		if code >= 4000 {
			s.farewell(code, text)
		}
		if s.keys != nil {
			s.keys.Sealer.Close()
		}
		_ = s.conn.Close(uint16(code), outcome)
		g.forget(s)
		s.part()
	}()
}

// forgeable tells the codes for what needs no key: whoever is on the way could end a session for good by it. A cut only makes it linger, and so does this.
func forgeable(code protocol.DisconnectCode) bool {
	switch code {
	case protocol.DisconnectTextMessage, protocol.DisconnectRecordTooLarge, protocol.DisconnectWebsocketViolation:
		return true
	}
	return false
}

// forget takes a session that has ended out of the table and keeps what it counted.
func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.id)
	g.stale = true
	g.closed.BytesIn += s.conn.BytesIn()
	g.closed.BytesOut += s.conn.BytesOut()
}

// farewellGrace bounds how long a busy connection is waited for at its end.
const farewellGrace = time.Second

// farewell sends what waits and the reason, if the connection can take it soon. The flusher has let go of the session.
func (s *session) farewell(code protocol.DisconnectCode, text string) {
	grace := time.NewTimer(farewellGrace)
	defer grace.Stop()
	if !s.settled(grace.C) {
		return
	}
	s.lastWords(code, text)
	s.settled(grace.C)
}

// settled waits until the connection has taken what it was given; false if that takes too long.
func (s *session) settled(late <-chan time.Time) bool {
	for {
		if s.unstick() && !s.conn.Busy() {
			if s.texts == nil || !s.texts.waiting() {
				return true
			}
			if err := s.texts.send(s.conn.SendText); err != nil && !errors.Is(err, network.ErrBusy) {
				return false
			}
		}
		writing := s.conn.Writing()
		if writing == nil {
			continue // it has just ended
		}
		select {
		case <-writing:
		case <-late:
			return false
		}
	}
}

// lastWords sends what waits and why the session ends, in one record if it fits; if not, only why. The connection is closed next, come what may.
func (s *session) lastWords(code protocol.DisconnectCode, text string) {
	if text == "" {
		text = code.String()
	}
	text = strings.ToValidUTF8(text[:min(len(text), 256)], "") // a reason is a line, whoever wrote it
	var last []byte
	if code == protocol.DisconnectServerShutdown { // spread over two seconds, so that not everybody comes back at once
		last = s.lastWord(last, protocol.RouteGoaway, &mmov1.Goaway{Reason: code.String(), ReconnectAfterMs: uint32(500 + s.id*7919%2000)})
	}
	last = s.lastWord(last, protocol.RouteKick, &mmov1.Kick{Code: uint32(code), Reason: text})
	plain, more := s.take(nil)
	if more || len(plain)+len(last) > s.g.room() {
		plain = plain[:0]
	}
	plain = append(plain, last...)
	if s.texts == nil {
		_ = s.conn.Send(s.keys.Sealer.Seal(make([]byte, network.HeaderRoom), plain))
		return
	}
	_ = s.texts.add(s.w.converter, plain)
	_ = s.texts.send(s.conn.SendText)
}

// lastWord appends a control frame.
func (s *session) lastWord(b []byte, route uint16, m proto.Message) []byte {
	payload, err := protocol.Marshal(m)
	if err != nil {
		return b // cannot happen: scalars and valid text
	}
	f := protocol.Frame{Type: protocol.TypeControl, Route: route, Payload: payload}
	if !s.json.Load() || s.texts != nil {
		return protocol.AppendFrame(b, f)
	}
	b, _, _ = appendJSON(s.w.converter, b, nil, f, s.g.room()) // as it is, if it is not to be had in JSON
	return b
}
