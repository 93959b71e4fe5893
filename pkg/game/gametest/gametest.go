// Package gametest runs a game in a test, without sockets, clocks or goroutines: zones that are stepped by hand, as a server steps them, with players whose clients see what
// replication shows them.
//
//	w := gametest.Open(t, g, game.Grid(cfg, 2, 1)...)
//	anna := w.Join("anna")
//	anna.Push(bind.RouteMove, &pb.Move{Seq: 1, Vx: 16})
//	w.Tick(20)
//
// Hand-overs, calls across borders, groups and jobs go their ways between the zones; a job runs at once, in the tick that has begun it, and its result comes in the next.
// With World.Hold jobs wait for World.Finish, so that a test has time to send a player away, or to let two jobs end in the other order. A World belongs to the test's goroutine.
package gametest

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// gateway is the number of the one gateway of a World.
const gateway = 1

// World is a game's zones with their players.
type World struct {
	// Panics are those of the game's code so far; a test that expects none need not look: Tick fails it unless Lenient.
	Panics []game.Panic
	// Lenient lets panics of the game's code pass.
	Lenient bool
	// Hold keeps the jobs that game.Go begins from now on until Finish runs them, or nobody does: then what waits for them is told of a timeout.
	Hold bool
	// Audits are the uses of commands so far.
	Audits []game.Audit
	// Inputs, if set, is told the inputs of every step before it is made, and the outputs after it.
	Inputs  func(z *game.Zone, in []game.Input)
	Outputs func(z *game.Zone, out *game.Outputs)

	t       testing.TB
	game    *game.Game
	routes  *protocol.Routes
	places  []*place
	clients []*Client
	where   map[game.EntityID]*place
	groups  map[game.GroupID][]*Client
	next    uint64
	now     uint32
	zones   uint32 // highest number
	asked   map[askKey]game.Asked
	inst    map[string]*place
	answers map[uint32]*game.Operated
	held    []HeldJob
}

type askKey struct {
	zone   uint32
	number uint64
}

// place is a zone with what waits for its next step.
type place struct {
	zone *game.Zone
	rep  *replica.Zone
	in   []game.Input
	out  *game.Outputs
}

// Open makes a world of zones, the first of which players join; without any it is one of defaults. A mistake fails the test.
func Open(t testing.TB, g *game.Game, zones ...game.Config) *World {
	t.Helper()
	if len(zones) == 0 {
		zones = []game.Config{{}}
	}
	routes, err := g.Routes()
	if err != nil {
		t.Fatal(err)
	}
	w := &World{t: t, game: g, routes: routes, where: map[game.EntityID]*place{}, groups: map[game.GroupID][]*Client{}, asked: map[askKey]game.Asked{}, inst: map[string]*place{}, answers: map[uint32]*game.Operated{}}
	var all []game.Config
	for _, c := range zones {
		all = append(all, w.add(c).zone.Config())
	}
	for i, p := range w.places {
		if n := game.NeighboursOf(all[i], all, p.zone.Reach()); len(n) > 0 {
			p.in = append(p.in, game.Input{Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, n)})
		}
	}
	return w
}

func (w *World) add(c game.Config) *place {
	w.t.Helper()
	z, err := game.NewZone(w.game, c)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &place{zone: z}
	cfg := z.Config()
	if codec := w.game.Schema.Codec; codec != nil {
		p.rep = replica.NewZone(cfg.Zone, cfg.Epoch, codec, z.Params())
		p.rep.Strange = func(observer uint64) { w.open(p, observer) }
	}
	p.in = append(p.in, game.Input{Kind: game.AttachGateway, Gateway: gateway})
	w.places = append(w.places, p)
	w.zones = max(w.zones, cfg.Zone)
	return p
}

// Zone is the i-th zone, to be looked at between ticks, or changed by Zone.Edit.
func (w *World) Zone(i int) *game.Zone { return w.places[i].zone }

// Zones is the number of zones, instances that were opened among them.
func (w *World) Zones() int { return len(w.places) }

// Operate uses a command as an operator without a session, in the i-th zone, in a tick of its own, and returns the encoded answer.
func (w *World) Operate(i int, by string, rights []string, route uint16, m proto.Message) ([]byte, error) {
	w.t.Helper()
	b, err := protocol.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	id := uint32(w.next)
	w.places[i].in = append(w.places[i].in, game.Input{Kind: game.Operate, Name: by, Rights: rights, Route: route, ID: id, Payload: b})
	w.Tick(1)
	o := w.answers[id]
	delete(w.answers, id)
	if o == nil {
		w.t.Fatalf("command of route %d was not answered", route)
	}
	return o.Payload, o.Err
}

// Input gives the i-th zone an input of the next tick.
func (w *World) Input(i int, in game.Input) { w.places[i].in = append(w.places[i].in, in) }

// Tick makes n ticks.
func (w *World) Tick(n int) {
	w.t.Helper()
	for range n {
		w.tick()
	}
}

func (w *World) tick() {
	w.t.Helper()
	w.now++
	steps := slices.Clone(w.places)
	for _, p := range steps {
		in := p.in
		p.in = nil
		if w.Inputs != nil {
			w.Inputs(p.zone, in)
		}
		p.out = p.zone.Step(in)
		if w.Outputs != nil {
			w.Outputs(p.zone, p.out)
		}
		for _, b := range p.out.Batches {
			if p.rep == nil || b.Gateway != gateway { // another one that a test has attached by an input
				continue
			}
			if err := p.rep.Apply(b.Bytes); err != nil {
				w.t.Fatalf("batch of zone %d: %v", p.zone.Config().Zone, err)
			}
		}
	}
	w.show()
	for _, p := range steps {
		w.exchange(p)
	}
	for _, p := range steps {
		w.emit(p)
	}
}

// open has a client look into a zone.
func (w *World) open(p *place, conn uint64) {
	i := slices.IndexFunc(w.clients, func(c *Client) bool { return c.conn == conn && c.view != nil })
	if i < 0 {
		return // its connection has gone
	}
	c := w.clients[i]
	index, tick, ok := c.view.Open(p.rep, conn)
	if !ok {
		return // all rows are in use
	}
	if err := c.Mirror.OpenZone(index, p.rep.ID, p.rep.Params, tick); err != nil {
		w.t.Fatalf("%s: %v", c.Name, err)
	}
}

// show brings every client up to the tick.
func (w *World) show() {
	w.t.Helper()
	var bits delta.Writer
	for _, c := range w.clients {
		if c.view == nil {
			continue
		}
		if !c.view.Echo(c.Mirror.Frames, w.now) {
			w.t.Fatalf("%s: an honest echo was refused", c.Name)
		}
		if _, ok := c.view.Frame(&bits, w.now); ok {
			if err := c.Mirror.Decode(bits.Bytes()); err != nil {
				w.t.Fatalf("%s: %v", c.Name, err)
			}
		}
		c.view.Events(true, func(e *replica.Event) {
			c.inbox = append(c.inbox, game.Message{Session: c.Session, Type: protocol.TypePush, Route: e.Route, Payload: slices.Clone(e.Payload)})
		})
	}
	for _, p := range w.places {
		if p.rep != nil {
			p.rep.Settle()
		}
	}
}

func (w *World) zone(id uint32) *place {
	for _, p := range w.places {
		if p.zone.Config().Zone == id {
			return p
		}
	}
	return nil
}

func (w *World) client(s game.SessionID) *Client {
	for _, c := range w.clients {
		if c.Session == s {
			return c
		}
	}
	return nil
}
