package game

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Game is a studio's game. It is made once, before any zone, and not changed afterwards: several zones may run it at the same time,
// so it must hold no state of a world; that belongs into what Setup captures.
type Game struct {
	Name string

	// Setup fills a new zone: entities, systems, and the hooks and handlers that share the zone's own state.
	Setup func(z *Zone) error

	handlers map[uint16]handler
	routes   []protocol.Route
	err      error
}

// Error is a refusal that reaches the client as an error reply with this code. Games number theirs from 1000.
type Error struct {
	Code    protocol.ErrorCode
	Message string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Code) }

type handler struct {
	route  protocol.Route
	parse  func(payload []byte) (proto.Message, error)
	due    func(m proto.Message) uint32 // nil: at once
	handle func(z *Zone, p *Player, m proto.Message) (proto.Message, error)
}

// message is the constraint of a generated message type M, used by pointer.
type message[M any] interface {
	*M
	proto.Message
}

// OnPush declares a route for messages that need no answer, and its handler. An error that the handler returns is counted, and told to the client if
// it is an *Error.
func OnPush[M any, P message[M]](g *Game, r protocol.Route, handle func(z *Zone, p *Player, m P) error) {
	OnPushAt(g, r, nil, handle)
}

// OnPushAt is OnPush for messages that carry the tick at which they are meant to apply: the player's mailbox waits for it (Config.MaxAhead ticks
// at the most), and what came later waits behind.
func OnPushAt[M any, P message[M]](g *Game, r protocol.Route, tick func(m P) uint32, handle func(z *Zone, p *Player, m P) error) {
	r.Kind = protocol.Push
	h := handler{route: r, parse: parser[M, P](), handle: func(z *Zone, p *Player, m proto.Message) (proto.Message, error) {
		return nil, handle(z, p, m.(P))
	}}
	if tick != nil {
		h.due = func(m proto.Message) uint32 { return tick(m.(P)) }
	}
	g.add(h)
}

// OnRequest declares a route whose messages are answered, and its handler; an error becomes an error reply.
func OnRequest[M, R any, P message[M], Q message[R]](g *Game, r protocol.Route, handle func(z *Zone, p *Player, m P) (Q, error)) {
	r.Kind = protocol.Request
	g.add(handler{route: r, parse: parser[M, P](), handle: func(z *Zone, p *Player, m proto.Message) (proto.Message, error) {
		reply, err := handle(z, p, m.(P))
		if err != nil {
			return nil, err
		}
		return reply, nil
	}})
}

// Declare adds a route that only the server sends.
func (g *Game) Declare(r protocol.Route) {
	r.Kind, r.Direction = protocol.Push, protocol.ServerToClient
	g.routes = append(g.routes, r)
}

func parser[M any, P message[M]]() func([]byte) (proto.Message, error) {
	return func(b []byte) (proto.Message, error) {
		m := P(new(M))
		if err := proto.Unmarshal(b, m); err != nil {
			return nil, err
		}
		return m, nil
	}
}

func (g *Game) add(h handler) {
	h.route.Direction, h.route.States, h.route.Affinity = protocol.ClientToServer, protocol.Playing, protocol.Zone
	if g.handlers == nil {
		g.handlers = map[uint16]handler{}
	}
	if _, ok := g.handlers[h.route.ID]; ok {
		g.err = errors.Join(g.err, fmt.Errorf("route %d %q has two handlers", h.route.ID, h.route.Name))
	}
	g.handlers[h.route.ID] = h
	g.routes = append(g.routes, h.route)
}

// Routes is the game's route table with the framework's routes in it, or what is wrong with it.
func (g *Game) Routes() (*protocol.Routes, error) {
	if g.err != nil {
		return nil, fmt.Errorf("game %q: %w", g.Name, g.err)
	}
	r, err := protocol.NewRoutes(append(protocol.FrameworkRoutes(), g.routes...)...)
	if err != nil {
		return nil, fmt.Errorf("game %q: %w", g.Name, err)
	}
	return r, nil
}
