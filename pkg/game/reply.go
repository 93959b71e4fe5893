package game

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Reply is the answer that a request's handler gives later. It may be kept, in this zone, and used once: by Send or Fail, in any tick before Config.ReplyTicks have passed,
// after which the zone answers in its place that there is none. If the player has left, or the answer was given, using it does nothing but to be counted
// (Stats.LateReplies). It stays good when the player's avatar crosses into another zone, and belongs to this one all the same: it is used here.
type Reply[Q proto.Message] struct {
	z      *Zone
	serial uint64
}

// pendingReply is a request that waits for its answer.
type pendingReply struct {
	player *Player // it may have crossed into another zone since
	route  uint16
	id     uint32
}

// ErrTimeout is why a future failed whose result did not come in time.
var ErrTimeout = &Error{protocol.ErrorUnavailable, "there was no answer in time"}

// Send answers the request. It fails as Zone.Push does; the client is then told that the request failed.
func (r Reply[Q]) Send(m Q) error {
	p, ok := r.take()
	if !ok {
		return nil
	}
	return r.z.reply(p.player.Session, p.route, p.id, m)
}

// Fail answers the request with an error, which reaches the client if it is an *Error, and otherwise as an internal error.
func (r Reply[Q]) Fail(err error) {
	if p, ok := r.take(); ok {
		r.z.fail(p.player.Session, p.route, p.id, err)
	}
}

// Pending tells whether an answer is still waited for.
func (r Reply[Q]) Pending() bool {
	if r.z == nil {
		return false
	}
	p, ok := r.z.replies[r.serial]
	return ok && !p.player.left
}

func (r Reply[Q]) take() (pendingReply, bool) {
	if r.z == nil {
		panic("game: the zero Reply answers nothing: keep the one that the handler was given")
	}
	r.z.own()
	p, ok := r.z.replies[r.serial]
	ok = ok && !p.player.left
	if !ok {
		r.z.stats.LateReplies++
	}
	delete(r.z.replies, r.serial)
	return p, ok
}

// reply sends an answer to a session.
func (z *Zone) reply(s SessionID, route uint16, id uint32, m proto.Message) error {
	r, _ := z.routes.Lookup(route) // it is there: it has a handler
	b, err := encode(m, r.MaxBytes)
	if err != nil {
		z.fail(s, route, id, err)
		return fmt.Errorf("reply on route %d %q: %w", route, r.Name, err)
	}
	z.out.Messages = append(z.out.Messages, Message{s, protocol.TypeResponse, route, id, b, true})
	return nil
}

// later gives a request a deadline.
func (z *Zone) later(p *Player, route uint16, id uint32) uint64 {
	z.serial++
	serial := z.serial
	z.replies[serial] = pendingReply{p, route, id}
	z.alarms.push(alarm{due: z.tick + z.cfg.ReplyTicks, serial: serial, slot: none, run: func() {
		if w, ok := z.replies[serial]; ok {
			delete(z.replies, serial)
			z.stats.LateReplies++
			if !w.player.left {
				z.fail(w.player.Session, w.route, w.id, ErrTimeout)
			}
		}
	}})
	return serial
}

// errDeferred says that a handler's answer comes later.
var errDeferred = errors.New("game: answered later")

// OnDeferred declares a route whose messages are answered, at once or later, and its handler. An error that it returns is the answer.
func OnDeferred[M, R any, P message[M], Q message[R]](g *Game, r protocol.Route, handle func(z *Zone, p *Player, m P, reply Reply[Q]) error) {
	r.Kind = protocol.Request
	g.add(handler{route: r, defers: true, parse: parser[M, P](), handle: func(z *Zone, p *Player, m proto.Message, id uint32) (proto.Message, error) {
		later := Reply[Q]{z, z.later(p, r.ID, id)}
		if err := handle(z, p, m.(P), later); err != nil {
			if _, ok := later.take(); ok {
				return nil, err
			}
			return nil, errDeferred // it had answered before it failed
		}
		return nil, errDeferred
	}})
}
