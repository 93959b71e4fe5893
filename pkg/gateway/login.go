package gateway

import (
	"errors"
	"time"
	"unicode/utf8"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is how a secured connection comes by a session. The reader hears what the client wants; the flusher asks the server, and takes its answer (flush.go).

// logIn looks at the token; the server does the rest. said is the frame as the client sent it, f the same in protobuf.
func (s *session) logIn(said, f protocol.Frame) bool {
	var m mmov1.LoginRequest
	if err := protocol.Unmarshal(f.Payload, &m); err != nil {
		s.fail(said, protocol.ErrorMalformed, "", 0)
		return true
	}
	id, err := s.g.cfg.Verifier.Verify(m.Token, time.Now())
	if err == nil && !utf8.ValidString(id.Name) {
		err = errors.New("the token's name is not UTF-8")
	}
	if err != nil {
		s.fail(said, protocol.ErrorUnauthorized, err.Error(), 0)
		s.kick(protocol.DisconnectBadToken, err.Error())
		return false
	}
	if !s.ask(&login{identity: id, request: f.ID}, said.Flags&protocol.FlagJSON != 0) {
		s.fail(said, protocol.ErrorWrongState, "a login is under way", 0)
	}
	return true
}

// comeBack takes the client's word for what it has of its session, which its ticket proved to be its own.
func (s *session) comeBack(said, f protocol.Frame) bool {
	var m mmov1.Resume
	if err := protocol.Unmarshal(f.Payload, &m); err != nil {
		s.kick(protocol.DisconnectBadFrame, "")
		return false
	}
	grant := s.grant
	s.grant = nil
	if grant == nil || !s.ask(&login{resume: &link.Resumption{Session: grant.Session, Generation: grant.Generation, LastSeq: m.LastSeq}}, said.Flags&protocol.FlagJSON != 0) {
		s.fail(said, protocol.ErrorWrongState, "there is nothing to resume on this connection", 0)
	}
	return true
}

// ask has the flusher ask the server for a session; false if it was asked already.
func (s *session) ask(l *login, json bool) bool {
	s.mu.Lock()
	again := s.asking
	if !again {
		s.asking, s.login = true, l
		s.json.Store(json)
		_ = s.conn.SetReadDeadline(time.Time{}) // from now on the flusher watches for silence
	}
	s.mu.Unlock()
	if !again {
		s.notify()
	}
	return !again
}
