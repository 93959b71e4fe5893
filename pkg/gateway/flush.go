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
		s.open(login)
	}
	if echoed && s.client != nil {
		s.client.Echo(echo, s.g.tick) // a count that cannot be is the client's own loss
	}
	s.flush(tick)
}

// open makes the session of an accepted login.
func (s *session) open(l *login) {
	g := s.g
	if old := g.players[l.identity.Player]; old != nil {
		old.kick(protocol.DisconnectSuperseded, "the same player has logged in again")
	}
	s.identity = &l.identity
	g.players[l.identity.Player] = s
	id := &l.identity
	_ = s.w.link.Send(link.Up{Kind: link.OpenSession, Session: s.id, Player: id.Player, Name: id.Name, Rights: id.Rights}) // a closed link ends everything soon
	// Only now may the client's frames go to the server: behind the opening.
	s.playing.Store(true)
	s.message(protocol.TypeResponse, protocol.RouteLogin, l.request, &mmov1.LoginResponse{
		SessionId: s.id, PlayerId: id.Player, Name: id.Name, Rights: id.Rights, Server: g.cfg.Version,
	})
	s.client = replica.NewClient(g.cfg.Replica)
	if s.foreign { // before the zones, whose states it explains
		s.push(protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: s.w.hello.Layout})
	}
	for _, z := range s.w.order {
		index, tick, ok := s.client.Open(z.rep, s.id)
		if !ok {
			break
		}
		i := &z.info
		s.message(protocol.TypePush, protocol.RouteZone, 0, &mmov1.Zone{
			Index: uint32(index), Zone: i.ID, Epoch: i.Epoch, Tick: tick, TickHz: i.TickHz, PositionBits: uint32(i.Params.PositionBits),
			QuantaPerMetre: i.QuantaPerMetre, Width: uint32(i.Width), Height: uint32(i.Height),
			EnterRadius: uint32(i.EnterRadius), LeaveRadius: uint32(i.LeaveRadius),
		})
	}
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
	if !s.unstick() {
		return
	}
	if tick && s.rows && !s.client.Paused(g.tick) {
		g.pairTicks.Add(g.ticks * uint64(s.client.Visible()))
	}
	plain := g.plain[:0]
	if tick && s.rows {
		if _, ok := s.client.Frame(&g.bits, g.tick); ok {
			plain = protocol.AppendState(plain, g.bits.Bytes())
			g.stateBytes.Add(uint64(len(g.bits.Bytes())))
			g.frames.Add(1)
		}
	}
	plain, more := s.take(plain)
	g.plain = plain
	if !more && s.client != nil {
		s.rows = true
	}
	if len(plain) == 0 {
		return
	}
	g.sealed = s.keys.Sealer.Seal(slices.Grow(g.sealed[:0], network.HeaderRoom)[:network.HeaderRoom], plain)
	switch err := s.conn.Send(g.sealed); {
	case errors.Is(err, network.ErrBusy): // the reader's pong came first; a sealed record must not be lost
		s.stuck = slices.Clone(g.sealed)
	case err != nil: // also when the sealer is used up, after 2^64 records
		code, outcome := outcomeOf(err, protocol.DisconnectSlowConsumer)
		s.end(code, outcome)
	case more:
		s.notify()
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
	n, size, room := 0, 0, s.g.room()-len(plain)
	for n < len(s.sizes) && size+s.sizes[n] <= room {
		size += s.sizes[n]
		n++
	}
	plain = append(plain, s.out[:size]...)
	if n == len(s.sizes) {
		s.out, s.sizes = s.out[:0], s.sizes[:0]
		if cap(s.out) > 4<<10 { // a burst must not be held for good
			s.out, s.sizes = nil, nil
		}
		return plain, false
	}
	s.out = append(s.out[:0], s.out[size:]...)
	s.sizes = append(s.sizes[:0], s.sizes[n:]...)
	return plain, true
}

// room is the number of bytes of frames that fit a record.
func (g *Gateway) room() int { return int(g.cfg.Security.RecordMax) - security.Overhead }

// drop ends the session: the client is told if it can be, the server is told if it knew.
func (s *session) drop(code protocol.DisconnectCode, text, outcome string) {
	g := s.g
	s.dropped = true
	if s.identity != nil {
		if g.players[s.identity.Player] == s {
			delete(g.players, s.identity.Player)
		}
		_ = s.w.link.Send(link.Up{Kind: link.CloseSession, Session: s.id}) // a closed link has no sessions
	}
	if s.client != nil {
		s.client.Close()
	}
	s.playing.Store(false)
	go func() { // a connection that is busy gets a moment to hear why it ends; the reader waits for this goroutine
		if code >= 4000 {
			s.farewell(code, text)
		}
		s.keys.Sealer.Close()
		_ = s.conn.Close(uint16(code), outcome)
		g.forget(s)
		close(s.done)
	}()
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
	for !s.unstick() || s.conn.Busy() {
		writing := s.conn.Writing()
		if writing == nil {
			continue // it has just ended
		}
		select {
		case <-writing:
		case <-grace.C:
			return
		}
	}
	if text == "" {
		text = code.String()
	}
	text = strings.ToValidUTF8(text[:min(len(text), 256)], "") // a reason is a line, whoever wrote it
	var last []byte
	if code == protocol.DisconnectServerShutdown { // spread over two seconds, so that not everybody comes back at once
		if b, err := protocol.Marshal(&mmov1.Goaway{Reason: code.String(), ReconnectAfterMs: uint32(500 + s.id*7919%2000)}); err == nil {
			last = protocol.AppendControl(last, protocol.RouteGoaway, b)
		}
	}
	if b, err := protocol.Marshal(&mmov1.Kick{Code: uint32(code), Reason: text}); err == nil {
		last = protocol.AppendControl(last, protocol.RouteKick, b)
	}
	plain, more := s.take(nil)
	if more || len(plain)+len(last) > s.g.room() {
		plain = plain[:0] // too much to say at the end: then only why
	}
	plain = append(plain, last...)
	record := s.keys.Sealer.Seal(make([]byte, network.HeaderRoom), plain)
	_ = s.conn.Send(record) // it is closed next, come what may
	if writing := s.conn.Writing(); writing != nil {
		select {
		case <-writing:
		case <-grace.C:
		}
	}
}
