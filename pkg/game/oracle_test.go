package game_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// chaos is a game in which everything that a game may do happens at random, all of it from the zone's own chance.
func chaos() *game.Game {
	g := &game.Game{Name: "chaos", Schema: schema()}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		if z.Rand.IntN(8) == 0 {
			return errors.New("not today")
		}
		p.Data = &looker{}
		if z.Rand.IntN(8) == 0 {
			return nil // a player without an avatar
		}
		return z.Data.(*wild).control(p)
	}
	g.Setup = func(z *game.Zone) error {
		w := &wild{Zone: z}
		z.Data = w
		for range 40 {
			w.spawn()
		}
		z.System(w.run)
		return nil
	}
	game.OnPushAt(g, protocol.Route{ID: routeMove, Name: "chaos.move"}, func(m *plainsv1.Move) uint32 { return m.Tick },
		func(z *game.Zone, p *game.Player, m *plainsv1.Move) error {
			z.Applied(p, m.Seq)
			return z.Data.(*wild).act(p, m.Vx)
		})
	game.OnRequest(g, protocol.Route{ID: routeAsk, Name: "chaos.ask"}, func(z *game.Zone, p *game.Player, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
		r, err := z.Spectate(p, int32(m.Radius))
		p.Data.(*looker).radius = r
		return &plainsv1.SpectateResponse{Radius: uint32(r)}, err
	})
	return g
}

type wild struct{ *game.Zone }

// looker is what the oracle must know of a player's views.
type looker struct {
	controls int   // how often Control was called: each begins a view that has seen nothing
	x, z     int32 // where it began: an avatar may die in its first tick
	radius   int32 // of the spectator, 0: none
}

func (w *wild) spawn() game.Entity {
	c := w.Config()
	e, err := w.Spawn(1+game.Kind(w.Rand.IntN(20)), w.Rand.Int32N(c.Width), w.Rand.Int32N(c.Height))
	if err != nil {
		panic(err)
	}
	e.SetVelocity(w.Rand.Int32N(61)-30, w.Rand.Int32N(61)-30)
	return e
}

func (w *wild) control(p *game.Player) error {
	e, l := w.spawn(), p.Data.(*looker)
	l.controls, l.x, l.z = l.controls+1, stateOf(e).X, stateOf(e).Z
	return w.Control(p, e)
}

// act lets a player do one of the unusual things.
func (w *wild) act(p *game.Player, what int32) error {
	switch what {
	case 0:
		return w.control(p)
	case 1:
		if p.Avatar().Alive() {
			w.Despawn(p.Avatar())
		}
	case 2:
		if p.Avatar().Alive() {
			w.teleport(p.Avatar())
		}
	case 3:
		return &game.Error{Code: 1000, Message: "no"}
	}
	return nil
}

func (w *wild) teleport(e game.Entity) {
	c := w.Config()
	e.SetPosition(w.Rand.Int32N(c.Width), w.Rand.Int32N(c.Height))
}

// run moves everything along its velocity, turns some, and lets some come and go.
func (w *wild) run() {
	c := w.Config()
	for e := range w.Entities {
		s := stateOf(e)
		x, z := s.X+int32(s.VX), s.Z+int32(s.VZ)
		if x < 0 || x >= c.Width {
			x, s.VX = s.X, -s.VX
		}
		if z < 0 || z >= c.Height {
			z, s.VZ = s.Z, -s.VZ
		}
		e.SetPosition(x, z)
		e.SetVelocity(s.VX, s.VZ)
		switch w.Rand.IntN(60) {
		case 0:
			e.SetVelocity(w.Rand.Int32N(61)-30, 0)
			setYaw(e, w.Rand.IntN(fullTurn))
		case 1:
			setHP(e, w.Rand.IntN(1<<16))
		case 2:
			w.teleport(e)
		case 3, 4:
			if w.Len() > 20 {
				w.Despawn(e)
			}
		}
	}
	for w.Len() < 40 {
		w.spawn()
	}
	if w.Rand.IntN(5) == 0 {
		w.Despawn(w.spawn())
	}
}

// crowd makes the inputs of random gateways and players; it draws from a chance of its own.
type crowd struct {
	r        *rand.Rand
	gateways []uint32
	sessions map[uint32][]game.SessionID
	away     []game.SessionID // without a connection
	last     uint32
	seq      uint32
}

func newCrowd(seed uint64) *crowd {
	return &crowd{r: rand.New(rand.NewPCG(seed, 5)), sessions: map[uint32][]game.SessionID{}}
}

func (c *crowd) inputs(tick uint32) (in []game.Input) {
	if len(c.gateways) == 0 || len(c.gateways) < 3 && c.r.IntN(30) == 0 {
		c.last++
		c.gateways = append(c.gateways, c.last)
		in = append(in, attach(c.last))
	}
	gw := c.gateways[c.r.IntN(len(c.gateways))]
	list := c.sessions[gw]
	switch n := c.r.IntN(100); {
	case n < 20 && len(list) < 6:
		c.last++
		c.sessions[gw] = append(list, game.SessionID(c.last))
		in = append(in, join(gw, game.SessionID(c.last)))
	case n < 25 && len(list) > 0:
		i := c.r.IntN(len(list))
		in = append(in, leave(list[i]))
		c.sessions[gw] = slices.Delete(list, i, i+1)
	case n == 25:
		in = append(in, game.Input{Kind: game.DetachGateway, Gateway: gw})
		c.gateways = slices.DeleteFunc(c.gateways, func(g uint32) bool { return g == gw })
		c.away = append(c.away, c.sessions[gw]...)
		delete(c.sessions, gw)
	case n >= 27 && n < 33 && len(list) > 0:
		i := c.r.IntN(len(list))
		c.away = append(c.away, list[i])
		in = append(in, disconnect(list[i]))
		c.sessions[gw] = slices.Delete(list, i, i+1)
	case n >= 33 && n < 43 && len(c.away) > 0: // comes back, here or elsewhere
		i := c.r.IntN(len(c.away))
		c.last++
		in = append(in, connect(gw, c.away[i], uint64(c.last)<<32))
		c.sessions[gw] = append(list, c.away[i])
		c.away = slices.Delete(c.away, i, i+1)
	case n >= 43 && n < 47 && len(list) > 0: // comes again before anybody noticed that it had gone
		c.last++
		in = append(in, connect(gw, list[c.r.IntN(len(list))], uint64(c.last)<<32))
	case n == 26:
		in = append(in, game.Input{Kind: game.RequestSnapshot, Gateway: gw})
	}
	for range c.r.IntN(4) {
		if list = c.sessions[gw]; len(list) == 0 {
			break
		}
		s := list[c.r.IntN(len(list))]
		if c.r.IntN(3) == 0 {
			radius := []uint32{0, 0, 50, 400, 1 << 20}[c.r.IntN(5)]
			in = append(in, send(s, routeAsk, 1+c.r.Uint32N(9), &plainsv1.SpectateRequest{Radius: radius}))
			continue
		}
		c.seq++
		in = append(in, send(s, routeMove, 0, &plainsv1.Move{Seq: c.seq, Tick: tick + c.r.Uint32N(8) - 2, Vx: c.r.Int32N(5)}))
	}
	return in
}

// belief is the dumb twin of one player's view: brute force over all entities.
type belief struct {
	controls int
	inView   map[game.EntityID]bool
	x, z     int32 // where the avatar's view is
}

// expect says what a player must see after a tick.
func (b *belief) expect(z *game.Zone, p *game.Player) map[game.EntityID]deltatest.State {
	l, c := p.Data.(*looker), z.Config()
	if b.controls != l.controls {
		b.controls, b.inView, b.x, b.z = l.controls, map[game.EntityID]bool{}, l.x, l.z
	}
	if p.Avatar().Alive() {
		s := stateOf(p.Avatar())
		b.x, b.z = s.X, s.Z
	}
	want, now := map[game.EntityID]deltatest.State{}, map[game.EntityID]bool{}
	for e := range z.Entities {
		s := stateOf(e)
		d := square(s.X-b.x) + square(s.Z-b.z)
		r := c.EnterRadius
		if b.inView[e.ID()] {
			r = c.LeaveRadius
		}
		now[e.ID()] = l.controls > 0 && d <= square(r)
		watched := l.radius > 0 && square(s.X-c.Width/2)+square(s.Z-c.Height/2) <= square(l.radius)
		if now[e.ID()] || watched {
			want[e.ID()] = s
		}
	}
	b.inView = now
	return want
}

func square(v int32) int64 { return int64(v) * int64(v) }

func chaosConfig(seed uint64) game.Config {
	return game.Config{Seed: seed, Width: 2000, Height: 1500, EnterRadius: 300, LeaveRadius: 360, FirstTick: ^uint32(0) - 200}
}

// TestEveryClientSeesWhatBruteForceSays runs whole zones, gateways and clients, some of which lose batches, across the wrap of the tick.
func TestEveryClientSeesWhatBruteForceSays(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			z := newZone(t, chaos(), chaosConfig(seed))
			o := &oracle{t: t, z: z, edges: map[uint32]*edge{}, beliefs: map[game.SessionID]*belief{}, loss: rand.New(rand.NewPCG(seed, 9))}
			c := newCrowd(seed)
			for range 300 {
				o.step(c.inputs(z.Tick() + 1))
				if t.Failed() {
					return
				}
			}
			if o.checked < 500 || o.lost == 0 || o.moved < 5 {
				t.Errorf("%d views of %d entities were compared, %d batches lost, %d connections changed: the story is too dull", o.checked, o.pairs, o.lost, o.moved)
			}
			t.Logf("%d views of %d entities compared, %d batches lost, %d connections changed, %d players at the end", o.checked, o.pairs, o.lost, o.moved, z.PlayerCount())
		})
	}
}

type oracle struct {
	t       *testing.T
	z       *game.Zone
	edges   map[uint32]*edge
	beliefs map[game.SessionID]*belief
	loss    *rand.Rand
	asking  []game.Input

	checked, pairs, lost, moved int
}

func (o *oracle) close(s game.SessionID) {
	for _, e := range o.edges {
		if e.eyes[s] != nil {
			e.close(s)
		}
	}
}

func (o *oracle) step(in []game.Input) {
	in = append(o.asking, in...)
	o.asking = nil
	for _, i := range in {
		switch i.Kind {
		case game.AttachGateway:
			o.edges[i.Gateway] = newEdge(o.t, o.z, i.Gateway)
		case game.DetachGateway:
			delete(o.edges, i.Gateway)
		case game.Join:
			o.edges[i.Gateway].open(i.Session, i.Conn)
			o.beliefs[i.Session] = &belief{}
		case game.Leave, game.Disconnect:
			o.close(i.Session)
		case game.Connect:
			o.close(i.Session)
			if slices.ContainsFunc(slices.Collect(o.z.Players), func(p *game.Player) bool { return p.Session == i.Session }) {
				o.edges[i.Gateway].open(i.Session, i.Conn)
				o.moved++
			}
		}
	}
	out := o.z.Step(in)
	for _, k := range out.Kicks {
		o.close(k.Session)
	}
	for _, b := range out.Batches { // in the zone's order, not that of a map
		e := o.edges[b.Gateway]
		if o.loss.IntN(40) == 0 {
			o.lost++
			continue
		}
		if err := e.take(out); errors.Is(err, replica.ErrGap) {
			o.asking = append(o.asking, game.Input{Kind: game.RequestSnapshot, Gateway: e.id})
		} else if err != nil {
			o.t.Fatal(err)
		}
	}
	for p := range o.z.Players {
		want := o.beliefs[p.Session].expect(o.z, p)
		if n := o.z.Seen(p.Session); n != len(want) && p.Connected() {
			o.t.Errorf("tick %d: the zone counts %d entities in the view of session %d, brute force %d", o.z.Tick(), n, p.Session, len(want))
		}
		for _, e := range o.edges {
			y := e.eyes[p.Session]
			if y == nil || !e.rep.Ready() || e.rep.Tick() != o.z.Tick() {
				continue
			}
			got := y.sees(o.z.Tick())
			if !reflect.DeepEqual(got, want) {
				o.t.Errorf("tick %d: session %d sees\n%v\nbrute force says\n%v", o.z.Tick(), p.Session, got, want)
			}
			o.checked++
			o.pairs += len(want)
		}
	}
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	type tick struct {
		hash uint64
		out  game.Outputs
	}
	run := func(seed, inputs uint64) (ticks []tick) {
		z, c := newZone(t, chaos(), chaosConfig(seed)), newCrowd(inputs)
		for range 300 {
			out := z.Step(c.inputs(z.Tick() + 1))
			own := game.Outputs{Messages: slices.Clone(out.Messages), Kicks: slices.Clone(out.Kicks), Batches: slices.Clone(out.Batches)}
			for i := range own.Batches {
				own.Batches[i].Bytes = slices.Clone(own.Batches[i].Bytes)
			}
			ticks = append(ticks, tick{z.Hash(), own})
		}
		return ticks
	}
	a, b := run(1, 1), run(1, 1)
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) {
			t.Fatalf("tick %d differs between two runs of the same inputs: hash %x and %x", i, a[i].hash, b[i].hash)
		}
	}
	if last := len(a) - 1; a[last].hash == run(2, 1)[last].hash || a[last].hash == run(1, 2)[last].hash {
		t.Error("another seed, or other inputs, ended in the same world")
	}
}
