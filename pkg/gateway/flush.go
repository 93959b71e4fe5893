package gateway

import (
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// This file is the flusher's side of a session.

// service does everything that is due for a session: its login, its end, and one record with what waits. A tick adds the state frame.
func (s *session) service(tick bool) {
	if s.dropped {
		return
	}
	s.mu.Lock()
	s.queued = false
	login, ending, code, text, outcome := s.login, s.ending, s.code, s.reason, s.outcome
	echo, echoed := s.echo, s.echoed
	s.login, s.echoed = nil, false
	s.mu.Unlock()
	if ending {
		s.drop(code, text, outcome)
		return
	}
	if login != nil {
		s.present(login)
	}
	if echoed && s.client != nil {
		s.client.Echo(echo, s.g.tick) // a count that cannot be is the client's own loss
	}
	s.flush(tick)
}

// present asks the server for a session. Its views open as batches name it, which may be before the server's word that it has entered.
func (s *session) present(l *login) {
	s.asked, s.who = true, l
	u := link.Up{Kind: link.OpenSession, Conn: s.id}
	if l.resume != nil {
		u.Kind, u.Payload = link.ResumeSession, l.resume.Append(nil)
	} else {
		id := &l.identity
		o := link.Opening{Player: id.Player, Name: id.Name, Rights: id.Rights, Token: id.TokenID, Ends: id.Expires}
		u.ID, u.Payload = l.request, o.Append(nil)
	}
	s.client = replica.NewClient(s.g.cfg.Replica)
	_ = s.w.link.Send(u) // a closed link ends everything soon
}

// opened takes the server's word that there is a session.
func (s *session) opened(d *link.Down) {
	x, err := link.ParseSession(d.Payload)
	if err != nil || s.who == nil {
		s.g.cfg.Log.Error("damaged word of the server about a session", "connection", s.id, "error", err)
		s.kick(protocol.DisconnectServerLost, awayText)
		return
	}
	who := s.who
	s.who = nil
	s.epoch.Store(x.Epoch)
	if x.Queued {
		s.state.Store(uint32(protocol.Authenticated))
	} else { // Entered is on its way; the server, which is in order, takes what the client may send meanwhile
		s.state.Store(uint32(protocol.Playing))
	}
	if x.Recovered {
		s.g.counters.resumed(true)
		s.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Recovered: true, SessionId: x.ID, LastRequest: x.LastRequest, Queued: x.Queued})
		return
	}
	id := &who.identity
	s.message(protocol.TypeResponse, protocol.RouteLogin, who.request, &mmov1.LoginResponse{
		SessionId: x.ID, PlayerId: id.Player, Name: id.Name, Rights: id.Rights, Server: s.g.cfg.Version, Queued: x.Queued,
	})
}

// notRecovered makes the connection one that nobody has logged in on.
func (s *session) notRecovered(reason string) {
	s.g.counters.resumed(false)
	s.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Reason: strings.ToValidUTF8(reason, "?")})
	s.client.Close()
	s.client, s.asked, s.who, s.table, s.rowless, s.telling = nil, false, nil, nil, nil, false
	s.mu.Lock()
	s.asking = false
	_ = s.conn.SetReadDeadline(time.Now().Add(s.g.cfg.LoginTimeout)) // a failure shows in Next
	s.mu.Unlock()
}

// enter tells the client of the world that its session is in, and of the zone that is its home from now on.
func (s *session) enter(home uint32) {
	if !s.asked {
		return
	}
	if z := s.w.zones[home]; z != nil {
		s.client.Home(z.rep)
		s.look(z)
	}
	if s.entered {
		return
	}
	s.entered = true
	// Only now may the client's frames go to the zone.
	s.state.Store(uint32(protocol.Playing))
	if s.foreign { // before the zones, whose states it explains
		s.push(protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: s.w.hello.Layout})
	}
	s.tellRows()
}

func (s *session) message(t protocol.FrameType, route uint16, id uint32, m proto.Message) {
	b, err := protocol.Marshal(m)
	if err != nil { // a name that is not UTF-8 got past the verifier
		s.kick(protocol.DisconnectBadToken, "")
		return
	}
	s.push(protocol.Frame{Type: t, Route: route, ID: id, Payload: b})
}

// flush writes one record: the state frame first, because a message of a tick follows the structure of that tick; but the zone table
// precedes the first state.
func (s *session) flush(tick bool) {
	g := s.g
	tick = tick && s.entered
	if !s.unstick() {
		if tick && g.eventful {
			s.events(nil, false)
		}
		return
	}
	if s.texts != nil {
		if tick && g.eventful {
			s.events(nil, true)
		}
		s.flushTexts()
		return
	}
	plain := g.plain[:0]
	if tick {
		if _, ok := s.client.Frame(&g.bits, g.tick); ok {
			plain = protocol.AppendState(plain, g.bits.Bytes())
			g.stateBytes.Add(uint64(len(g.bits.Bytes())))
			g.frames.Add(1)
			g.counters.flusher().out(protocol.TypeState, classless, len(plain))
		}
		if !s.client.Held() {
			g.pairTicks.Add(g.ticks * uint64(s.client.Visible()))
		}
		if g.eventful {
			plain = s.events(plain, true)
		}
	}
	plain, more := s.take(plain)
	g.plain = plain
	if !more && s.telling { // everything that was queued goes with this record
		s.telling = false
		s.client.Told()
	}
	if len(plain) == 0 {
		return
	}
	g.sealed = s.keys.Sealer.Seal(slices.Grow(g.sealed[:0], network.HeaderRoom)[:network.HeaderRoom], plain)
	switch err := s.conn.Send(g.sealed); {
	case errors.Is(err, network.ErrBusy): // the reader's pong came first; a sealed record must not be lost
		s.stuck = slices.Clone(g.sealed)
	case err != nil: // also when the sealer is used up, after 2^64 records
		s.end(outcomeOf(err, protocol.DisconnectSlowConsumer))
	case more:
		s.notify()
	}
}

// flushTexts is flush on the development listener: a message for each frame that waits, as long as the connection takes them.
func (s *session) flushTexts() {
	for more := true; more; {
		if !s.texts.waiting() {
			var plain []byte
			plain, more = s.take(s.g.plain[:0])
			s.g.plain = plain
			if fault := s.texts.add(s.w.converter, plain); fault != nil {
				s.g.noJSON(s.w, fault) // it keeps its place
			}
		}
		switch err := s.texts.send(s.conn.SendText); {
		case errors.Is(err, network.ErrBusy):
			return // OnDrain brings us back
		case err != nil:
			s.end(outcomeOf(err, protocol.DisconnectSlowConsumer))
			return
		}
	}
}

// unstick tells whether the connection can take a record now.
func (s *session) unstick() bool {
	if s.conn.Busy() {
		return false // OnDrain brings us back
	}
	if s.stuck != nil {
		if errors.Is(s.conn.Send(s.stuck), network.ErrBusy) {
			return false
		}
		s.stuck = nil
	}
	return true
}

// take moves waiting frames behind plain, as many as a record has room for. A large frame may have to wait for a record of its own.
func (s *session) take(plain []byte) (_ []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return plain, false
	}
	return s.out.take(plain, s.g.queue.frame-len(plain))
}

// room is the number of bytes of frames that fit a record.
func (g *Gateway) room() int { return int(g.cfg.Security.RecordMax) - security.Overhead }
