package gateway

import (
	"net/http"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is the development listener: sessions without keys, in text.

// Plain is a handler for developers' tools: it upgrades a request to a connection without encryption, whose messages are texts of one JSON object each (protocol.Converter.AppendText) and
// which has no state frames. There is no handshake, and nothing to resume with; logins, limits and everything else are those of ServeHTTP. Whoever can listen reads everything, tokens
// included: never let it be reached from outside a developer's machine. It says so in the log.
func (g *Gateway) Plain() http.Handler {
	g.cfg.Log.Warn("DEVELOPMENT LISTENER: clients are let in without encryption and in plain text; never run it where others can reach it")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.upgrade(w, r, true) })
}

// readPlain is read on the development listener.
func (s *session) readPlain() {
	if reason := s.enroll(); reason != "" {
		s.g.leave(s, reason)
		return
	}
	for {
		text, err := s.conn.Next()
		if err != nil {
			if s.rested(err) {
				continue
			}
			break
		}
		if !s.text(text) {
			break
		}
	}
	s.part() // the flusher was told
}

// text takes one message of a developer; false ends the reader.
func (s *session) text(text []byte) bool {
	if !s.conn.Text() {
		s.kick(protocol.DisconnectWebsocketViolation, "a binary message on the development listener")
		return false
	}
	at := s.noted()
	f, err := s.w.converter.ParseText(text)
	if err != nil {
		ok, step, wait := s.limit.take(s.w.limits, protocol.Frame{Flags: protocol.FlagJSON}, at)
		if ok && step == stepNone {
			s.fail(protocol.Frame{}, protocol.ErrorMalformed, err.Error(), 0)
		}
		return s.limited(protocol.Frame{}, step, wait, at)
	}
	goes := s.handle(f, at, &arena{})
	s.acknowledge()
	return goes
}
