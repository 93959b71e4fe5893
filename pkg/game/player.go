package game

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// SessionID names a player's conversation.
type SessionID uint64

// Player is a session as the zone sees it. It lives from OnJoin until OnLeave returned, and may be without a connection for some of that time.
type Player struct {
	Session SessionID
	ID      uint64 // of the player, lasting
	Name    string
	Rights  []string
	Data    any // the game's own

	// InputSeq is the number of the last input that was handled: generated bindings refuse what is not newer.
	InputSeq uint32

	gateway   uint32
	conn      uint64 // of the gateway, and the number of the player's observer in batches; 0: it lingers without one
	applied   uint32 // number of the last input that took effect
	gone      bool   // it has left; the zone's list lets go of it before the mailboxes are served
	avatar    Entity
	view      aoi.Handle // observer that moves with the avatar, if looks
	looks     bool
	spectator aoi.Handle // additional observer, if spectates
	spectates bool
	box       []letter
}

type letter struct {
	h       *handler
	m       proto.Message
	id      uint32 // of the request; 0 for a push
	due     uint32
	arrived uint32
}

// Has tells whether the login token granted a right.
func (p *Player) Has(right string) bool { return slices.Contains(p.Rights, right) }

// Connected tells whether the player has a connection; without one it lingers, and will come back or leave.
func (p *Player) Connected() bool { return p.conn != 0 }

// Avatar is the entity that the player controls; the zero Entity before Control.
func (p *Player) Avatar() Entity { return p.avatar }

// Applied records the number of the last input of the player that took effect: its client reconciles with it.
func (z *Zone) Applied(p *Player, seq uint32) {
	p.applied = seq
	if p.Connected() {
		z.src.Input(p.conn, seq)
	}
}

// Push sends a player, in the tick that is being stepped, a message of a route that the game declared. It fails, and sends nothing, for a route that is not the server's to push, a message above
// the route's MaxBytes, and one that holds text which is not UTF-8.
func (z *Zone) Push(p *Player, route uint16, m proto.Message) error {
	r, ok := z.routes.Lookup(route)
	if !ok || r.Kind != protocol.Push || r.Direction&protocol.ServerToClient == 0 {
		return fmt.Errorf("push on route %d: the game declares no such route for the server", route)
	}
	b, err := encode(m, r.MaxBytes)
	if err != nil {
		return fmt.Errorf("push on route %d %q: %w", route, r.Name, err)
	}
	z.out.Messages = append(z.out.Messages, Message{p.Session, protocol.TypePush, route, 0, b, r.Delivery == protocol.Reliable})
	return nil
}

func encode(m proto.Message, most int) ([]byte, error) {
	b, err := protocol.Marshal(m)
	if err == nil && len(b) > most {
		err = fmt.Errorf("%d bytes, the route's MaxBytes is %d", len(b), most)
	}
	return b, err
}

// Players calls yield for every player, in order of joining.
func (z *Zone) Players(yield func(*Player) bool) {
	for _, p := range z.players {
		if !p.gone && !yield(p) {
			return
		}
	}
}

// compact lets go of the players who have left, and keeps the order of the others. Once for all of a tick: they may be many.
func (z *Zone) compact() {
	if len(z.players) != len(z.sessions) {
		z.players = slices.DeleteFunc(z.players, func(p *Player) bool { return p.gone })
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
		if err := z.guard("OnJoin", p, func() error { return z.game.OnJoin(z, p) }); err != nil {
			z.remove(p)
			z.out.Kicks = append(z.out.Kicks, Kick{in.Session, protocol.DisconnectKicked, err.Error()})
		}
	}
}

// attached tells whether an input that brings a connection names a gateway that is there; without a connection it need not.
func (z *Zone) attached(in *Input) bool {
	return in.Conn == 0 || slices.Contains(z.gateways, in.Gateway)
}

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
	show := func(h aoi.Handle) {
		z.space.Visible(h, func(target aoi.Handle) bool {
			z.src.Enter(p.conn, z.slotOf[target])
			return true
		})
	}
	if p.looks {
		show(p.view)
	}
	if p.spectates {
		show(p.spectator)
	}
	if away && z.game.OnReturn != nil {
		_ = z.guard("OnReturn", p, func() error { z.game.OnReturn(z, p); return nil })
	}
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
		_ = z.guard("OnLinger", p, func() error { z.game.OnLinger(z, p); return nil })
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
		_ = z.guard("OnLeave", p, func() error { z.game.OnLeave(z, p); return nil }) // it leaves all the same
	}
	z.remove(p)
}

func (z *Zone) remove(p *Player) {
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
	delete(z.sessions, p.Session)
	delete(z.byID, p.ID) // it is this one: a later one would have ended it
	p.gone, p.looks, p.spectates = true, false, false
}

// receive puts a message into the player's mailbox, or answers why not.
func (z *Zone) receive(in *Input) {
	p := z.player(in.Session)
	h, ok := z.game.handlers[in.Route]
	if p == nil {
		z.stats.Refused++
		return
	}
	if !ok {
		z.refuse(p, in.Route, in.ID, &Error{protocol.ErrorUnknownRoute, fmt.Sprintf("the game does not handle route %d", in.Route)})
		return
	}
	m, err := h.parse(in.Payload)
	switch {
	case err != nil:
		z.refuse(p, in.Route, in.ID, &Error{protocol.ErrorMalformed, fmt.Sprintf("%s: the payload does not parse", h.route.Name)})
		return
	case len(p.box) >= z.cfg.Mailbox:
		z.refuse(p, in.Route, in.ID, &Error{protocol.ErrorOverloaded, fmt.Sprintf("%s: %d messages are waiting already", h.route.Name, len(p.box))})
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
	p.box = append(p.box, letter{&h, m, in.ID, due, z.tick})
}

func (z *Zone) refuse(p *Player, route uint16, id uint32, err error) {
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
	z.out.Messages = append(z.out.Messages, Message{p.Session, protocol.TypeError, route, id, b, id != 0}) // nobody waits for the error of a push: it must not cost an outbox
}

// errPanicked is what a caller is told of a handler that panicked.
var errPanicked = &Error{protocol.ErrorInternal, "the request failed"}

// guard runs a hook or a handler of the game. A panic ends that call only: it is reported, and the world goes on with what the call has changed so far.
func (z *Zone) guard(what string, p *Player, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			z.stats.Panics++
			z.out.Panics = append(z.out.Panics, Panic{what, p.Session, fmt.Sprint(v), debug.Stack()})
			err = errPanicked
		}
	}()
	return call()
}

// deliver hands a player's due messages to their handlers, in order.
func (z *Zone) deliver(p *Player) {
	n := 0
	for ; n < len(p.box); n++ {
		l := &p.box[n]
		if int32(l.due-z.tick) > 0 {
			break
		}
		var reply proto.Message
		err := z.guard(l.h.route.Name, p, func() (err error) {
			reply, err = l.h.handle(z, p, l.m)
			return err
		})
		switch {
		case err != nil:
			z.refuse(p, l.h.route.ID, l.id, err)
		case reply != nil:
			r, _ := z.routes.Lookup(l.h.route.ID) // it is there: it has a handler
			b, err := encode(reply, r.MaxBytes)
			if err != nil {
				z.refuse(p, l.h.route.ID, l.id, err)
				continue
			}
			z.out.Messages = append(z.out.Messages, Message{p.Session, protocol.TypeResponse, l.h.route.ID, l.id, b, true})
		}
	}
	p.box = slices.Delete(p.box, 0, n)
}
