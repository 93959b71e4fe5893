package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// session is a logged-in player's conversation. It belongs to the zone's goroutine.
//
//	opening (a claim is asked) → queued → playing → over
//	                             queued and playing each with a connection, or lingering without
type session struct {
	id     uint64
	epoch  uint64
	who    link.Opening
	out    outbox
	sent   uint32 // number of the last message that is on its way over the present connection
	place  place
	seen   uint32    // highest id of a request
	missed []uint32  // ids below it that never came over the present connection: its gateway refused them
	calls  int       // of services, under way
	issued uint32    // generation of the latest ticket
	good   [2]ticket // see tickets.good

	zone    *host // its home, once it plays
	groups  []game.GroupID
	gateway uint32
	conn    uint64 // 0: it lingers
	until   uint32 // tick at which it is over, if it lingers
}

// place is where a session stands.
type place uint8

const (
	queued place = iota
	playing
	over
)

// connKey names a connection: its number is unique among those of its gateway.
type connKey struct {
	gateway uint32
	conn    uint64
}

// opened is what became of a claim.
type opened struct {
	key   connKey
	who   link.Opening
	epoch uint64
	err   error
}

// claim is a login that waits for the directory.
type claim struct {
	player uint64
	id     uint32 // of the login's request
	cancel context.CancelFunc
	code   protocol.DisconnectCode // of a kick that came meanwhile; 0: none did
	reason string
}

// maxClaims bounds how many logins may wait for the directory at once.
const maxClaims = 4096

// open begins a login: the directory is asked on a goroutine of its own, for it may be a database.
func (s *Server) open(g *gateway, u *link.Up) {
	key := connKey{g.id, u.Conn}
	who, err := link.ParseOpening(u.Payload)
	switch {
	case err != nil:
		s.cfg.Log.Error("damaged login of a gateway", "gateway", g.id, "error", err)
		s.kick(key, protocol.DisconnectServerLost, "the gateway and the server do not understand each other")
		return
	case who.Player == 0:
		s.kick(key, protocol.DisconnectBadToken, "player 0 is nobody")
		return
	case s.conns[key] != nil || s.claims[key] != nil:
		s.count(func(st *Stats) { st.Strangers++ })
		return // it has a session, or soon will
	case s.claiming >= maxClaims:
		s.kick(key, protocol.DisconnectOverloaded, "too many logins at once")
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.ClaimTimeout)
	s.claims[key] = &claim{player: who.Player, id: u.ID, cancel: cancel}
	s.claiming++
	s.asking.Go(func() {
		defer cancel()
		epoch, err := s.directory.Claim(ctx, link.Claim{Player: who.Player, Token: who.Token, Ends: who.Ends})
		s.mu.Lock()
		s.opened = append(s.opened, opened{key, who, epoch, err})
		s.mu.Unlock()
	})
}

// begin ends a login: there is a session, or the connection is told why not.
func (s *Server) begin(o *opened) {
	s.claiming--
	c := s.claims[o.key]
	if c == nil {
		return // the connection has gone meanwhile
	}
	delete(s.claims, o.key)
	if c.code != 0 {
		s.kick(o.key, c.code, c.reason)
		return
	}
	if o.err != nil {
		code, text := refusalOf(o.err)
		if code == protocol.DisconnectOverloaded {
			s.cfg.Log.Error("login failed: the directory cannot say", "player", o.who.Player, "error", o.err)
		}
		s.kick(o.key, code, text)
		return
	}
	s.lastSession++
	x := &session{id: s.lastSession, epoch: o.epoch, who: o.who, seen: c.id}
	now, at := false, -1 // whether it enters at once, and its place in the queue if it has one already
	if old := s.byPlayer[o.who.Player]; old != nil {
		if old.epoch > o.epoch { // the directory answered two logins out of order
			s.kick(o.key, protocol.DisconnectSuperseded, supersededText)
			return
		}
		if now = old.place == playing; !now { // who comes again keeps its place, in the world or in the queue
			at = slices.Index(s.queue.waiting, old)
		}
		s.end(old, protocol.DisconnectSuperseded, supersededText)
	}
	s.sessions[x.id], s.byPlayer[x.who.Player] = x, x
	s.attach(x, o.key)
	now = now || at < 0 && s.roomNow()
	s.tell(x, link.Down{Kind: link.Opened, Payload: (&link.Session{ID: x.id, Epoch: x.epoch, Queued: !now}).Append(nil)})
	s.issue(x)
	switch {
	case now:
		s.enter(x)
	case at >= 0:
		s.queue.waiting[at] = x
		s.place(x, at+1)
	default:
		s.wait(x)
	}
}

const supersededText = "the same player has logged in again"

// enter lets a session into the world.
func (s *Server) enter(x *session) {
	x.place = playing
	s.playing++
	s.move(x, s.hosts[0])
	if x.conn != 0 {
		s.tell(x, link.Down{Kind: link.Entered, Zone: x.zone.id()})
	}
	x.zone.input(game.Input{Kind: game.Join, Gateway: x.gateway, Session: game.SessionID(x.id), Conn: x.conn, Player: x.who.Player, Name: x.who.Name, Rights: x.who.Rights})
}

// attach gives a session a connection.
func (s *Server) attach(x *session, key connKey) {
	x.gateway, x.conn, x.sent, x.missed = key.gateway, key.conn, x.out.acked(), nil
	s.conns[key] = x
	delete(s.lingering, x)
}

// detach takes it away.
func (s *Server) detach(x *session) {
	delete(s.conns, connKey{x.gateway, x.conn})
	x.gateway, x.conn = 0, 0
}

// linger keeps a session that has lost its connection. inZone: the zone is to be told; a gateway's end tells it of all at once.
func (s *Server) linger(x *session, inZone bool) {
	s.detach(x)
	grace := s.cfg.Linger
	if x.place == queued && grace > 0 { // without tickets nobody could come back
		grace = s.cfg.QueueGrace
	}
	if grace <= 0 {
		s.end(x, 0, "")
		return
	}
	x.until = s.now() + 1 + uint32(grace*time.Duration(s.hz)/time.Second)
	s.lingering[x] = true
	if inZone && x.place == playing {
		x.zone.input(game.Input{Kind: game.Disconnect, Session: game.SessionID(x.id)})
	}
}

// maxExpire is how many sessions end in one tick because they have lingered for too long: those of a lost gateway come due together, and leaving costs the zone.
const maxExpire = 200

// expire ends the sessions that have lingered for too long.
func (s *Server) expire() {
	n := 0
	for x := range s.lingering {
		if int32(s.now()-x.until) >= 0 {
			s.end(x, 0, "")
			if n++; n == maxExpire {
				return
			}
		}
	}
}

// end ends a session. With a code its connection is told.
func (s *Server) end(x *session, code protocol.DisconnectCode, reason string) {
	if x.place == over {
		return
	}
	for len(x.groups) > 0 {
		s.ungroup(x, x.groups[len(x.groups)-1])
	}
	if x.place == playing {
		s.playing--
		x.zone.sessions--
		x.zone.input(game.Input{Kind: game.Leave, Session: game.SessionID(x.id)})
	}
	x.place = over
	if x.conn != 0 {
		if code != 0 {
			s.kick(connKey{x.gateway, x.conn}, code, reason)
		}
		s.detach(x)
	}
	delete(s.sessions, x.id)
	delete(s.lingering, x)
	if s.byPlayer[x.who.Player] == x {
		delete(s.byPlayer, x.who.Player)
	}
	s.tickets.set(x.id, [2]ticket{})
}

// resume gives a session the connection of a client that came back.
func (s *Server) resume(g *gateway, u *link.Up) {
	key := connKey{g.id, u.Conn}
	r, err := link.ParseResumption(u.Payload)
	if err != nil {
		s.cfg.Log.Error("damaged resume of a gateway", "gateway", g.id, "error", err)
	}
	x := s.sessions[r.Session]
	if err != nil || x == nil || s.conns[key] != nil || s.claims[key] != nil || !x.knows(r.Generation) {
		s.notRecovered(key, "the session is over, or the ticket was used")
		return
	}
	if r.LastSeq < x.out.acked() || r.LastSeq > x.out.last() { // not what it has said before, or was ever sent: late, or wrong. The session is not touched
		s.notRecovered(key, "the messages that are missing are not kept any more")
		return
	}
	x.redeem(r.Generation)
	refused := x.missed
	if x.conn != 0 {
		s.kick(connKey{x.gateway, x.conn}, protocol.DisconnectResumedElsewhere, "")
		s.detach(x)
	}
	s.attach(x, key)
	s.count(func(st *Stats) { st.Resumed++ })
	s.tell(x, link.Down{Kind: link.Opened, Payload: (&link.Session{ID: x.id, Epoch: x.epoch, LastRequest: x.seen, Recovered: true, Queued: x.place == queued}).Append(nil)})
	x.out.ack(r.LastSeq)
	s.confirm(x)
	if x.sent = r.LastSeq; x.sent < x.out.last() {
		s.behind[x] = true
	}
	for _, id := range refused { // the gateway said so, and that may have been lost with the connection
		s.number(x, failure(0, id, protocol.ErrorOverloaded, "the request was refused before it reached the world"))
	}
	s.issue(x)
	if x.place == playing {
		s.tell(x, link.Down{Kind: link.Entered, Zone: x.zone.id()})
		x.zone.input(game.Input{Kind: game.Connect, Gateway: x.gateway, Session: game.SessionID(x.id), Conn: x.conn})
	} else {
		s.again(x)
	}
}

func (s *Server) notRecovered(key connKey, reason string) {
	s.count(func(st *Stats) { st.NotRecovered++ })
	s.reliable(key.gateway, link.Down{Kind: link.NotRecovered, Conn: key.conn, Payload: []byte(reason)})
}

// knows tells whether a ticket is good.
func (x *session) knows(generation uint32) bool {
	return generation != 0 && (x.good[0].generation == generation || x.good[1].generation == generation)
}

// redeem lets go of the other ticket: who shows this one has none that is newer.
func (x *session) redeem(generation uint32) {
	for _, k := range x.good {
		if k.generation == generation {
			x.good = [2]ticket{k}
			return
		}
	}
}

// issue gives a session's client a ticket. The one before stays good until the client has acknowledged this one.
func (s *Server) issue(x *session) {
	if s.cfg.Linger <= 0 {
		return
	}
	x.issued++
	k := ticket{generation: x.issued}
	_, _ = rand.Read(k.secret[:]) // it never fails
	sealed, err := s.tickets.keys.Seal(security.TicketClaims{Home: s.tickets.home, Session: x.id, Player: x.who.Player, Generation: k.generation, Expires: s.ticketsEnd})
	if err != nil {
		s.cfg.Log.Error("a client gets no ticket", "session", x.id, "error", err)
		return
	}
	b := marshal(&mmov1.Ticket{Ticket: sealed, Secret: k.secret[:], LingerMs: uint32(s.cfg.Linger.Milliseconds())})
	k.seq = s.number(x, letter{typ: protocol.TypePush, route: protocol.RouteTicket, payload: b})
	if x.good[1].generation != 0 {
		x.good[0] = x.good[1]
	}
	x.good[1] = k
	if x.good[0].generation == 0 {
		x.good[0], x.good[1] = k, ticket{}
	}
	s.tickets.set(x.id, x.good)
}

// confirm lets go of the ticket before the latest once the client has the latest.
func (s *Server) confirm(x *session) {
	if k := x.good[1]; k.generation != 0 && x.out.acked() >= k.seq {
		x.good = [2]ticket{k}
		s.tickets.set(x.id, x.good)
	}
}

// renew makes tickets that were issued long ago good for longer: keys change, and a ticket must not outlive its key.
func (s *Server) renew(now time.Time) {
	if now.Before(s.ticketsTurn) {
		return
	}
	s.ticketsTurn, s.ticketsEnd = now.Add(ticketTurn), now.Add(2*ticketTurn)
	if err := s.tickets.keys.Rotate(); err != nil {
		s.cfg.Log.Error("ticket keys stay as they are", "error", err)
		return
	}
	for _, x := range s.sessions {
		if x.conn != 0 && x.good[1].generation == 0 { // the others' are of the key before this, which is good until the next turn
			s.issue(x)
		}
	}
}

// ticketTurn is how often ticket keys change.
const ticketTurn = 6 * time.Hour

// number puts a message into a session's outbox, and on its way if there is a connection.
func (s *Server) number(x *session, l letter) (seq uint32) {
	seq = x.out.add(l)
	if x.conn != 0 {
		if s.behind[x] || !s.post(x, seq, &l) {
			s.behind[x] = true
		}
	}
	if x.out.bytes > s.cfg.OutboxBytes || x.out.waiting() > s.cfg.OutboxMessages {
		s.full = append(s.full, x)
	}
	return seq
}

// Bounds of what one tick sends of numbered messages: a gateway whose players all come back at once must not be given up for want of room, nor one player take that
// of the others. What has no room goes with the ticks to come.
const (
	tickBytes   = 8 << 20  // to one gateway
	flightBytes = 32 << 10 // to one client that has come back, unacknowledged: its gateway's queue holds eight times that, which JSON may need
)

// post sends a numbered message that is the next one of its session; false if it has to wait.
func (s *Server) post(x *session, seq uint32, l *letter) bool {
	g := s.gateway(x.gateway)
	if g == nil || g.sent+l.size() > tickBytes {
		return g == nil // it has gone, and its sessions will know soon
	}
	d := link.Down{Kind: link.ToClient, Conn: x.conn, Type: l.typ, Route: l.route, ID: l.id, Seq: seq, Payload: l.payload}
	if errors.Is(g.port.Send(d), link.ErrFull) {
		g.sent = tickBytes // nothing more in this tick
		return false
	}
	g.sent += l.size()
	x.sent = seq
	return true
}

// pump sends to those who are behind what there is room for.
func (s *Server) pump() {
	for x := range s.behind {
		if x.conn == 0 || x.place == over {
			delete(s.behind, x)
			continue
		}
		flight := 0
		for n := x.out.acked() + 1; n <= x.sent; n++ {
			flight += x.out.at(n).size()
		}
		for x.sent < x.out.last() && flight < flightBytes {
			l := x.out.at(x.sent + 1)
			if !s.post(x, x.sent+1, l) {
				break
			}
			flight += l.size()
		}
		if x.sent == x.out.last() {
			delete(s.behind, x)
		}
	}
	for _, g := range s.gateways {
		g.sent = 0
	}
}

// send sends a message without a number.
func (s *Server) send(x *session, seq uint32, l *letter) {
	s.tell(x, link.Down{Kind: link.ToClient, Type: l.typ, Route: l.route, ID: l.id, Seq: seq, Payload: l.payload})
}

// tell sends something to a session's connection, if it has one.
func (s *Server) tell(x *session, d link.Down) {
	if x.conn != 0 {
		d.Conn = x.conn
		s.reliable(x.gateway, d)
	}
}

// kick ends a connection.
func (s *Server) kick(key connKey, code protocol.DisconnectCode, reason string) {
	s.reliable(key.gateway, link.Down{Kind: link.Kick, Conn: key.conn, Code: code, Payload: []byte(reason)})
}

// overflowed ends the sessions whose clients take too long to acknowledge: what they would miss could not be made good.
func (s *Server) overflowed() {
	for _, x := range s.full {
		if x.out.bytes > s.cfg.OutboxBytes || x.out.waiting() > s.cfg.OutboxMessages { // still
			s.end(x, protocol.DisconnectSlowConsumer, "too many messages are unacknowledged")
		}
	}
	s.full = s.full[:0]
}

// ack takes a client's acknowledgement.
func (s *Server) ack(x *session, seq uint32) {
	if !x.out.ack(seq) {
		s.end(x, protocol.DisconnectBadFrame, fmt.Sprintf("message %d was acknowledged, %d is the last that was sent", seq, x.out.last()))
		return
	}
	s.confirm(x)
}

// marshal encodes a message of the framework's own, which cannot fail: its texts are UTF-8.
func marshal(m proto.Message) []byte {
	b, err := protocol.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("server: %T cannot be marshalled: %v", m, err))
	}
	return b
}
