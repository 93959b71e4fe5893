package game

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Schema is what a game's schema says, in the form in which generated bindings hand it over.
type Schema struct {
	Codec       *delta.Codec         // of the game's entities; nil: there are none
	Fingerprint protocol.Fingerprint // zero: made of routes and layout, understood only by its equal
	Routes      []protocol.Route     // all that the schema declares, handled or not
	Tables      *tables.Schema       // of the game's data tables; nil: there are none
}

// Game is a studio's game. It is made once, before any zone, and not changed afterwards: several zones may run it at the same time,
// so it must hold no state of a world; that belongs into what Setup captures.
type Game struct {
	Name   string
	Schema Schema

	// Setup fills a new zone: entities, systems, and the zone's own state.
	Setup func(z *Zone) error
	// OnJoin is called for a new player, who has no avatar yet; an error refuses it. OnLeave is called while everything of the player still exists.
	OnJoin  func(z *Zone, p *Player) error
	OnLeave func(z *Zone, p *Player)
	// OnLinger is called when a player has lost its connection and may come back, OnReturn when it has; OnLeave follows if it does not.
	OnLinger func(z *Zone, p *Player)
	OnReturn func(z *Zone, p *Player)
	// OnDepart is called when a player's avatar is about to leave for another zone, by crossing a border or by Transfer; OnArrive in that zone when it is there. Neither OnLeave nor OnJoin is: the session goes on.
	OnDepart func(z *Zone, p *Player, to Destination)
	OnArrive func(z *Zone, p *Player)
	// OnDeath is called by Zone.Die, while the entity still exists; by is who killed it, 0: nobody. OnRespawn gives a player a new avatar; an error leaves it without one.
	OnDeath   func(z *Zone, e Entity, by EntityID)
	OnRespawn func(z *Zone, p *Player) error
	// OnGive is what the command gm.give does: it gives a player an amount of what the game knows by a name.
	OnGive func(z *Zone, p *Player, what string, amount int64) error

	handlers map[uint16]*handler
	timers   []timerKind
	calls    map[uint16]*callKind
	worlds   map[string]func(key uint64) Config
	routes   []protocol.Route
	err      error
}

// Define returns g: whatever embeds a *Game, as generated bindings do, can be handed over in its place.
func (g *Game) Define() *Game { return g }

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
	defers bool                         // the first serial number that a call takes is that of its reply
	handle func(z *Zone, p *Player, m proto.Message, id uint32) (proto.Message, error)
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
	h := handler{route: r, parse: parser[M, P](), handle: func(z *Zone, p *Player, m proto.Message, _ uint32) (proto.Message, error) {
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
	g.add(handler{route: r, parse: parser[M, P](), handle: func(z *Zone, p *Player, m proto.Message, _ uint32) (proto.Message, error) {
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
		if err := protocol.Unmarshal(b, m); err != nil {
			return nil, err
		}
		return m, nil
	}
}

// add registers a handler. Its route is that of the schema, if the schema has it, and else declared by it.
func (g *Game) add(h handler) {
	if i := slices.IndexFunc(g.Schema.Routes, func(r protocol.Route) bool { return r.ID == h.route.ID }); i >= 0 {
		if r := g.Schema.Routes[i]; r.Kind != h.route.Kind || r.Direction&protocol.ClientToServer == 0 {
			g.fail(fmt.Errorf("route %d %q: the schema says %v %v, a handler takes a %v of the client", r.ID, r.Name, r.Kind, r.Direction, h.route.Kind))
		}
		h.route = g.Schema.Routes[i]
	} else {
		h.route.Direction, h.route.States, h.route.Affinity = protocol.ClientToServer, protocol.Playing, protocol.Zone
		g.routes = append(g.routes, h.route)
	}
	if g.handlers == nil {
		g.handlers = map[uint16]*handler{}
	}
	if _, ok := g.handlers[h.route.ID]; ok {
		g.fail(fmt.Errorf("route %d %q has two handlers", h.route.ID, h.route.Name))
	}
	g.handlers[h.route.ID] = &h
}

// Instance declares private copies of a zone under a name: Zone.Transfer with a Destination of that name opens one for each key, and the server closes it when nobody has been in it for a while.
// The zone's number, epoch and first tick are the server's to set, and it has no neighbours. zone runs on a goroutine of its own and must come to an end: who goes there waits for it, and so does a server that stops.
func (g *Game) Instance(name string, zone func(key uint64) Config) {
	if g.worlds == nil {
		g.worlds = map[string]func(uint64) Config{}
	}
	if g.worlds[name] != nil || name == "" || zone == nil {
		g.fail(fmt.Errorf("instance %q is declared twice, without a name, or without a zone", name))
	}
	g.worlds[name] = zone
}

// InstanceOf is what Instance has declared under a name; nil: nothing.
func (g *Game) InstanceOf(name string) func(key uint64) Config { return g.worlds[name] }

// fail notes a mistake in how the game was put together: no zone of it can be made.
func (g *Game) fail(err error) { g.err = errors.Join(g.err, err) }

// Routes is the game's route table with the framework's routes in it, or what is wrong with it.
func (g *Game) Routes() (*protocol.Routes, error) {
	if g.err != nil {
		return nil, fmt.Errorf("game %q: %w", g.Name, g.err)
	}
	r, err := protocol.NewRoutes(slices.Concat(protocol.FrameworkRoutes(), g.Schema.Routes, g.routes)...)
	if err != nil {
		return nil, fmt.Errorf("game %q: %w", g.Name, err)
	}
	return r, nil
}

// codec is the schema's, or one without any kinds.
func (g *Game) codec() (*delta.Codec, error) {
	if g.Schema.Codec != nil {
		return g.Schema.Codec, nil
	}
	l := &delta.Layout{Name: g.Name, TickHz: defaultTickHz}
	if err := l.Finish(); err != nil {
		return nil, err
	}
	return delta.NewCodec(l, nil)
}
