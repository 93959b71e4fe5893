package game

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// SessionID names a player's conversation.
type SessionID uint64

// Player is a session as the zone sees it. It lives from OnJoin or OnArrive until OnLeave returned or its avatar crossed into another zone, and may be without a connection for some of that time.
type Player struct {
	Session SessionID
	ID      uint64 // of the player, lasting
	Name    string
	Rights  []string
	Data    any // the game's own, in this zone: what must cross a border belongs into a component of the avatar

	// InputSeq is the number of the last input that was handled: generated bindings refuse what is not newer.
	InputSeq uint32

	gateway    uint32
	conn       uint64 // of the gateway, and the number of the player's observer in batches; 0: it lingers without one
	applied    uint32 // number of the last input that took effect
	gone       bool   // it has left or crossed; the zone's list lets go of it before the mailboxes are served
	left       bool   // its session ended here
	visits     bool   // its home is another zone
	lost       bool   // its avatar died or despawned
	avatar     Entity
	view       aoi.Handle // observer that moves with the avatar, if looks
	looks      bool
	eyeX, eyeY int32 // where the view is, world quanta
	enter      int32 // its radii, quanta
	leave      int32
	ignores    uint32     // layers that it does not show
	veiled     uint32     // of it: what the index was told of ignores
	views      []watched  // what neighbours were told of the view
	spectator  aoi.Handle // additional observer, if spectates
	spectates  bool
	radius     int32 // the spectator's, quanta
	box        []letter
	waits      int    // results for it that are under way
	denied     int    // messages refused for want of a right since deniedAt, of which the first few are audited
	deniedAt   uint32 // tick
}

type letter struct {
	h       *handler
	m       proto.Message
	id      uint32 // of the request; 0 for a push
	due     uint32
	arrived uint32
	sum     uint64 // of the payload, for Hash
}

// Has tells whether the login token granted a right.
func (p *Player) Has(right string) bool { return slices.Contains(p.Rights, right) }

// Connected tells whether the player has a connection; without one it lingers, and will come back or leave.
func (p *Player) Connected() bool { return p.conn != 0 }

// Here tells whether the player is one of this zone: it has neither logged out nor crossed into another.
func (p *Player) Here() bool { return !p.gone }

// Avatar is the entity that the player controls; the zero Entity before Control. It may have died.
func (p *Player) Avatar() Entity { return p.avatar }

// Waiting is the number of messages of the player that are not handled yet.
func (p *Player) Waiting() int { return len(p.box) }

// Applied records the number of the last input of the player that took effect: its client reconciles with it.
func (z *Zone) Applied(p *Player, seq uint32) {
	p.applied = seq
	if p.Connected() {
		z.src.Input(p.conn, seq)
	}
}

// Players calls yield for every player, in order of joining.
func (z *Zone) Players(yield func(*Player) bool) {
	z.reading()
	for _, p := range z.players {
		if !p.gone && !yield(p) {
			return
		}
	}
}

// PlayerOf finds the player of a session; ok is false if it is not in this zone.
func (z *Zone) PlayerOf(s SessionID) (p *Player, ok bool) {
	p, ok = z.sessions[s]
	return p, ok
}

// PlayerNamed finds a player by its name, the first to join of several; ok is false if there is none.
func (z *Zone) PlayerNamed(name string) (*Player, bool) {
	for p := range z.Players {
		if p.Name == name {
			return p, true
		}
	}
	return nil, false
}

// compact lets go of the players who have left, and keeps the order of the others. Once for all of a tick: they may be many.
func (z *Zone) compact() {
	if len(z.players) != len(z.sessions) {
		z.players = slices.DeleteFunc(z.players, func(p *Player) bool { return p.gone })
	}
	if len(z.visitors) != len(z.visiting) {
		z.visitors = slices.DeleteFunc(z.visitors, func(p *Player) bool { return p.gone })
	}
}

func (z *Zone) player(s SessionID) *Player {
	return z.sessions[s]
}

func (z *Zone) join(in *Input) {
	if z.player(in.Session) != nil || !z.attached(in) {
		z.stats.Refused++
		return
	}
	if old := z.byID[in.Player]; old != nil { // at whatever gateway: each knows its own sessions only
		z.leave(old.Session)
		z.out.Kicks = append(z.out.Kicks, Kick{old.Session, protocol.DisconnectSuperseded, "the same player has logged in again"})
	}
	p := &Player{Session: in.Session, ID: in.Player, Name: in.Name, Rights: in.Rights, gateway: in.Gateway, conn: in.Conn}
	if p.Connected() {
		z.src.AddObserver(p.conn, p.gateway)
	}
	z.players = append(z.players, p)
	z.sessions[p.Session] = p
	if p.ID != 0 {
		z.byID[p.ID] = p
	}
	if z.game.OnJoin != nil {
		if err := z.hook("OnJoin", p, func() error { return z.game.OnJoin(z, p) }); err != nil {
			z.remove(p)
			z.out.Kicks = append(z.out.Kicks, Kick{in.Session, protocol.DisconnectKicked, strings.ToValidUTF8(err.Error(), "?")})
		}
	}
}

// knows tells whether a gateway is there.
func (z *Zone) knows(gateway uint32) bool { return slices.Contains(z.gateways, gateway) }

// attached tells whether an input that brings a connection names a gateway that is there; without a connection it need not.
func (z *Zone) attached(in *Input) bool { return in.Conn == 0 || z.knows(in.Gateway) }

// connect gives a player another connection: it is shown there what it sees, from the beginning.
func (z *Zone) connect(in *Input) {
	p := z.player(in.Session)
	if p == nil || in.Conn == 0 || !z.attached(in) {
		z.stats.Refused++
		return
	}
	away := !p.Connected()
	z.unobserve(p)
	p.gateway, p.conn = in.Gateway, in.Conn
	z.src.AddObserver(p.conn, p.gateway)
	z.src.Input(p.conn, p.applied)
	if p.looks {
		z.show(p, p.view)
	}
	if p.spectates {
		z.show(p, p.spectator)
	}
	z.owners = append(z.owners, p)
	if away && z.game.OnReturn != nil {
		_ = z.hook("OnReturn", p, func() error { z.game.OnReturn(z, p); return nil })
	}
}

// show tells a player's connection, which is new, what an observer of its sees.
func (z *Zone) show(p *Player, h aoi.Handle) {
	z.space.Visible(h, func(target aoi.Handle) bool {
		z.src.Enter(p.conn, z.slotOf[target])
		return true
	})
}

// disconnect takes a player's connection: it lingers.
func (z *Zone) disconnect(p *Player) {
	if !p.Connected() {
		return
	}
	z.unobserve(p)
	z.lingers(p)
}

func (z *Zone) lingers(p *Player) {
	if z.game.OnLinger != nil {
		_ = z.hook("OnLinger", p, func() error { z.game.OnLinger(z, p); return nil })
	}
}

func (z *Zone) unobserve(p *Player) {
	if p.Connected() {
		z.src.RemoveObserver(p.conn)
		p.conn, p.gateway = 0, 0
	}
}

func (z *Zone) leave(s SessionID) {
	p := z.player(s)
	if p == nil {
		return // refused at the door, or gone with its gateway
	}
	if z.game.OnLeave != nil {
		_ = z.hook("OnLeave", p, func() error { z.game.OnLeave(z, p); return nil }) // it leaves all the same
	}
	z.remove(p)
}

func (z *Zone) remove(p *Player) {
	if p.gone {
		return // a hook of its own leave has sent it away
	}
	if p.looks {
		z.dropView(p, p.view, 0, false)
	}
	if p.spectates {
		z.dropView(p, p.spectator, 0, false)
	}
	if p.avatar.Alive() {
		z.Despawn(p.avatar)
	}
	if p.Connected() {
		z.src.RemoveObserver(p.conn)
	}
	for i := range p.views {
		z.out.Views = append(z.out.Views, View{Zone: p.views[i].Zone, End: true, Session: p.Session})
	}
	delete(z.sessions, p.Session)
	if z.byID[p.ID] == p {
		delete(z.byID, p.ID)
	}
	p.left = true
	p.gone, p.looks, p.spectates, p.views, p.box = true, false, false, nil, nil
}

// receive puts a message into the player's mailbox, or answers why not.
func (z *Zone) receive(in *Input) {
	p := z.player(in.Session)
	h, ok := z.handlers[in.Route]
	if p == nil {
		z.stats.Refused++
		return
	}
	if !ok {
		z.refuse(p, in.Route, in.ID, &Error{protocol.ErrorUnknownRoute, fmt.Sprintf("the game does not handle route %d", in.Route)})
		return
	}
	if len(p.box) >= z.cfg.Mailbox {
		z.turnAway(p, h, in, &Error{protocol.ErrorOverloaded, fmt.Sprintf("%s: %d messages are waiting already", h.route.Name, len(p.box))})
		return
	}
	m, err := h.parse(in.Payload)
	if err != nil {
		z.turnAway(p, h, in, &Error{protocol.ErrorMalformed, fmt.Sprintf("%s: the payload does not parse", h.route.Name)})
		return
	}
	due := z.tick
	if h.due != nil {
		due = h.due(m)
		switch ahead := int32(due - z.tick); {
		case ahead <= 0:
			due = z.tick
		case uint32(ahead) > z.cfg.MaxAhead:
			due = z.tick + z.cfg.MaxAhead
		}
	}
	p.box = append(p.box, letter{h, m, in.ID, due, z.tick, mixBytes(0, in.Payload)})
}

// turnAway refuses a message that does not get into the mailbox.
func (z *Zone) turnAway(p *Player, h *handler, in *Input, err error) {
	if h.route.Audit && z.worthNoting(p, h) {
		z.audited(p, h, slices.Clone(in.Payload), err)
	}
	z.refuse(p, in.Route, in.ID, err)
}

// refuse tells a player why a message of its came to nothing.
func (z *Zone) refuse(p *Player, route uint16, id uint32, err error) {
	z.fail(p.Session, route, id, err)
}

func (z *Zone) fail(s SessionID, route uint16, id uint32, err error) {
	z.stats.Refused++
	var e *Error
	if !errors.As(err, &e) {
		if id == 0 {
			return
		}
		e = &Error{protocol.ErrorInternal, "the request failed"}
	}
	b, err := protocol.Marshal(&mmov1.Error{Code: uint32(e.Code), Message: strings.ToValidUTF8(e.Message, "?")})
	if err != nil {
		return // cannot happen: a number and valid text
	}
	z.out.Messages = append(z.out.Messages, Message{s, protocol.TypeError, route, id, b, id != 0}) // nobody waits for the error of a push: it must not cost an outbox
}

// deliver hands a player's due messages to their handlers, in order, as many as are its due in a tick.
func (z *Zone) deliver(p *Player) {
	n, most := 0, min(len(p.box), z.cfg.PerTick)
	for ; n < most && !p.gone; n++ {
		l := &p.box[n]
		if int32(l.due-z.tick) > 0 {
			break
		}
		z.handle(p, l)
	}
	if n > 0 && !p.gone {
		p.box = slices.Delete(p.box, 0, n)
	}
}

// handle handles one message.
func (z *Zone) handle(p *Player, l *letter) {
	var reply proto.Message
	err := z.permit(p, l)
	if err == nil {
		reply, err = z.run(p, l)
	}
	if l.h.route.Audit && z.worthNoting(p, l.h) {
		z.audit(p, l, err)
	}
	switch {
	case err == errDeferred:
	case err != nil:
		z.refuse(p, l.h.route.ID, l.id, err)
	case reply != nil:
		_ = z.reply(p.Session, l.h.route.ID, l.id, reply) // of a reply that cannot be sent the client is told
	}
	z.observe(PhaseHandlers, l.h.route.Name)
}

// permit tells why a player may not call a handler now.
func (z *Zone) permit(p *Player, l *letter) error {
	h := l.h
	switch {
	case h.route.Right != "" && !p.Has(h.route.Right):
		return &Error{protocol.ErrorNotAllowed, fmt.Sprintf("%s needs the right %q in the login token", h.route.Name, h.route.Right)}
	case z.quarantined(h.route.ID, p):
		return errQuarantined(h.route.Name)
	}
	return nil
}

// quarantined tells whether a handler is not called any more: for anybody, or for a player who has made it panic too often.
func (z *Zone) quarantined(route uint16, p *Player) bool {
	f := z.faults[faultKey{'r', route}]
	return f != nil && (f.quarantined || f.by[p.Session] >= z.cfg.Panics && z.tick-f.since <= z.cfg.PanicTicks)
}

// run runs a handler; what it panics with ends this call only.
func (z *Zone) run(p *Player, l *letter) (reply proto.Message, err error) {
	before := z.serial
	defer func() {
		if v := recover(); v != nil {
			z.panicked(z.faultOf('r', l.h.route.ID), l.h.route.Name, p, p.avatar.id, v)
			reply, err = nil, errPanicked
			if _, waits := z.replies[before+1]; l.h.defers && !waits {
				err = errDeferred // it had answered before it panicked
			} else if l.h.defers {
				delete(z.replies, before+1)
			}
		}
	}()
	return l.h.handle(z, p, l.m, l.id)
}

// maxDenied is how many attempts of one player without the right are audited per Config.PanicTicks; the rest are counted.
const maxDenied = 5

// worthNoting tells whether an attempt is audited: whoever has no right must not be able to fill the log of those who have.
func (z *Zone) worthNoting(p *Player, h *handler) bool {
	if h.route.Right == "" || p.Has(h.route.Right) {
		return true
	}
	if p.denied == 0 || z.tick-p.deniedAt > z.cfg.PanicTicks {
		p.denied, p.deniedAt = 0, z.tick
	}
	if p.denied++; p.denied > maxDenied {
		z.stats.Denied++
		return false
	}
	return true
}

// audit notes the use of a command.
func (z *Zone) audit(p *Player, l *letter, err error) {
	b, e := protocol.Marshal(l.m)
	if e != nil {
		b = nil // cannot happen: it was parsed
	}
	z.audited(p, l.h, b, err)
}

func (z *Zone) audited(p *Player, h *handler, payload []byte, err error) {
	a := Audit{Tick: z.tick, By: p.Name, Player: p.ID, Session: p.Session, Route: h.route.ID, Name: h.route.Name, Payload: payload}
	if err != nil && err != errDeferred {
		a.Err = err.Error()
	}
	z.out.Audits = append(z.out.Audits, a)
}

// ParseFailure reads the payload of an error message.
func ParseFailure(b []byte) (protocol.ErrorCode, string, error) {
	var e mmov1.Error
	if err := protocol.Unmarshal(b, &e); err != nil {
		return 0, "", fmt.Errorf("%w: error message: %w", ErrMalformed, err)
	}
	return protocol.ErrorCode(e.Code), e.Message, nil
}
