package gateway

import (
	"context"
	"errors"
	"os"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// This file is a connection's beginning, until it is secured or refused.

// shake is the goroutine of the handshake. It is not the reader's, whose stack stays small: elliptic curves want a deep one.
func (s *session) shake() {
	if reason := s.secure(); reason != "" {
		s.g.leave(s, reason)
		return
	}
	go s.read()
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
	who := s.w.security
	if k := s.g.keys.Load(); k != nil {
		who.Current, who.Previous = k.current, k.previous
	}
	h, err := security.Begin(&who, hs1, now)
	var hs2 []byte
	if err == nil {
		hs2, err = s.respond(h)
	}
	if err != nil {
		var r *security.Reject
		if errors.Is(err, errAway) {
			return s.refuse(protocol.DisconnectOverloaded, "")
		}
		if errors.As(err, &r) {
			s.g.counters.rejected(r.Code)
			_ = s.send(r.Bytes)
			return s.refuse(rejectCode(r.Code), "")
		}
		return s.refuse(protocol.DisconnectBadHandshake, "")
	}
	info := h.Info
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
	s.g.counters.shaken(info.Suite == security.SuiteNKpsk2)
	return s.enroll()
}

// enroll makes a session of a connection that has shaken hands, or needs not. It returns as secure does.
func (s *session) enroll() string {
	s.shaken = true
	s.g.addresses.secured(s.address)
	s.lastSeen.Store(int64(s.g.clock()))
	s.state.Store(uint32(protocol.Secured))
	if code, late := s.g.enroll(s); late {
		text := code.String()
		if code == protocol.DisconnectServerLost {
			text = awayText
		}
		return s.refuseWith(code, text)
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(s.g.cfg.LoginTimeout)) // a failure shows in Next
	return ""
}

// errAway: the server does not say what a ticket stands for.
var errAway = errors.New("the server does not answer")

// secretTimeout bounds how long the directory is waited for in the middle of a handshake.
const secretTimeout = 3 * time.Second

// respond makes the answer to a handshake, and the keys. What a ticket stands for is asked where its session is; nothing changes there.
func (s *session) respond(h *security.ServerHandshake) (hs2 []byte, err error) {
	var secret *[32]byte
	if h.Ticket != nil {
		ctx, cancel := context.WithTimeout(context.Background(), secretTimeout)
		defer cancel()
		grant, err := s.w.link.Secret(ctx, h.Ticket)
		switch {
		case errors.Is(err, link.ErrNoTicket):
			return nil, h.Refuse()
		case err != nil:
			s.g.cfg.Log.Warn("a client cannot resume: the server does not tell what its ticket stands for", "error", err)
			return nil, errAway
		}
		s.grant, secret = &grant, &grant.Secret
	}
	hs2, s.keys, err = h.Finish(secret)
	return hs2, err
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
	case security.RejectTicket:
		return protocol.DisconnectTicketRefused
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
