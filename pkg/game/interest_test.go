package game_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// layered is the schema of tests with layers: the kinds take turns in having each of them.
func layered(t testing.TB, names ...string) game.Schema {
	t.Helper()
	l := deltatest.Layout()
	for i := range l.Kinds {
		l.Kinds[i].Layer = names[i%len(names)]
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return game.Schema{Codec: c}
}

var restlessLayers = []string{"hero", "", "monster", "item"}

// restless is a game in which things walk, come and go, and players do all that changes what they see; all of it from the zones' own chance. It keeps so many things in a zone.
func restless(t testing.TB, things int) *game.Game {
	g := &game.Game{Name: "restless", Schema: layered(t, restlessLayers...)}
	spawn := func(z *game.Zone, k game.Kind) game.Entity {
		c := z.Config()
		e, err := z.Spawn(k, c.X+z.Rand.Int32N(c.Width), c.Y+z.Rand.Int32N(c.Height))
		if err != nil {
			panic(err)
		}
		e.SetVelocity(z.Rand.Int32N(41)-20, z.Rand.Int32N(41)-20)
		return e
	}
	control := func(z *game.Zone, p *game.Player) error { return z.Control(p, spawn(z, 1+game.Kind(z.Rand.IntN(2)))) }
	act := func(z *game.Zone, p *game.Player) {
		switch r := z.Rand; r.IntN(25) {
		case 0:
			_ = control(z, p)
		case 1:
			if p.Avatar().Alive() {
				z.Despawn(p.Avatar())
			}
		case 2:
			_, _ = z.Spectate(p, []int32{0, 100, 400}[r.IntN(3)])
		case 3, 4:
			names := slices.Clone(restlessLayers)
			r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			_ = z.Ignore(p, names[:r.IntN(len(names)+1)]...)
		case 5:
			if p.Avatar().Alive() { // to the border, or over it
				c := z.Config()
				_ = z.Transfer(p.Avatar(), game.Destination{X: 900 + r.Int32N(200), Y: c.Y + r.Int32N(c.Height)})
			}
		case 6, 7, 8:
			if p.Avatar().Alive() {
				strike(z, p.Avatar())
			}
		}
	}
	g.Setup = func(z *game.Zone) error {
		z.System(z.Drift)
		z.System(func() {
			for e := range z.Entities {
				switch z.Rand.IntN(50) {
				case 0:
					e.SetVelocity(z.Rand.Int32N(41)-20, z.Rand.Int32N(41)-20)
				case 1:
					if e.Player() == nil {
						z.Despawn(e)
					}
				}
			}
			for z.Len() < things {
				spawn(z, 1+game.Kind(z.Rand.IntN(8)))
			}
			for p := range z.Players {
				act(z, p)
			}
		})
		return nil
	}
	g.OnJoin = control
	return g
}

// strike asks all questions that there are, and makes the answers show.
func strike(z *game.Zone, e game.Entity) {
	x, y := e.Position()
	n := 0
	count := func(game.Entity) bool { n++; return true }
	z.Within(x, y, 200, count)
	z.Box(x-90, y-30, x+10, y+200, count)
	z.Sector(x, y, 300, 3, -1, 0.7, count)
	for _, t := range z.Nearest(x, y, 300, 5, nil) {
		setHP(t, n)
	}
	if t, ok := z.NearestOf(3, e, 500); ok {
		setHP(t, n+1)
	}
}

// heard keeps what an index tells.
type heard struct {
	game.Interest
	events aoi.Events
}

func (h *heard) Tick() aoi.Events {
	ev := h.Interest.Tick()
	h.events = aoi.Events{Leaves: slices.Clone(ev.Leaves), Enters: slices.Clone(ev.Enters)}
	return ev
}

// glance is one zone in one tick.
type glance struct {
	hash    uint64
	batches uint64 // hash of their bytes
	events  aoi.Events
	views   map[game.SessionID][]game.EntityID
	shown   []int // how many entities each session sees here, visitors too
}

// sorted is what must be the same of indexes that tell their events in different orders.
func (g glance) sorted() glance {
	order := func(p []aoi.Pair) []aoi.Pair {
		return slices.SortedFunc(slices.Values(p), func(a, b aoi.Pair) int {
			return cmp.Or(cmp.Compare(a.Observer, b.Observer), cmp.Compare(a.Target, b.Target))
		})
	}
	g.batches, g.events = 0, aoi.Events{Leaves: order(g.events.Leaves), Enters: order(g.events.Enters)}
	return g
}

// pair is two zones beside each other, each on an index of its own, and the players who walk between them.
type pair struct {
	zones   [2]*game.Zone
	heard   [2]*heard
	in      [2][]game.Input
	home    []int // by session - 1
	conn    []uint64
	crossed int
	chance  *rand.Rand
}

func newPair(t testing.TB, things, players, visible, workers int, open func(c aoi.Config) (game.Interest, error)) *pair {
	p := &pair{chance: rand.New(rand.NewPCG(4, 2))}
	cfg := game.Grid(game.Config{Width: 2000, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 80, Seed: 7, MaxVisible: visible, InterestWorkers: workers}, 2, 1)
	for i := range p.zones {
		z, err := game.NewZoneOn(restless(t, things), cfg[i], func(c aoi.Config) (game.Interest, error) {
			index, err := open(c)
			p.heard[i] = &heard{Interest: index}
			return p.heard[i], err
		})
		if err != nil {
			t.Fatal(err)
		}
		p.zones[i] = z
		p.in[i] = []game.Input{attach(1), attach(2), {Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(cfg[i], cfg, z.Reach()))}}
	}
	for s := range players {
		p.home, p.conn = append(p.home, s%2), append(p.conn, uint64(s+1))
		p.in[s%2] = append(p.in[s%2], join(gatewayOf(0, game.SessionID(s+1)), game.SessionID(s+1)))
	}
	return p
}

// tick steps both zones, and carries what they give each other.
func (p *pair) tick(t testing.TB) (seen [2]glance) {
	s := p.chance.IntN(len(p.home))
	if away := p.conn[s] == 0; away {
		p.conn[s] = uint64(s+1) | uint64(p.zones[0].Tick()+1)<<32
		p.in[p.home[s]] = append(p.in[p.home[s]], connect(gatewayOf(p.conn[s], game.SessionID(s+1)), game.SessionID(s+1), p.conn[s]))
	} else if p.chance.IntN(3) == 0 {
		p.conn[s] = 0
		p.in[p.home[s]] = append(p.in[p.home[s]], disconnect(game.SessionID(s+1)))
	}
	given := p.in
	p.in = [2][]game.Input{}
	for i, z := range p.zones {
		out := z.Step(given[i])
		if len(out.Panics) > 0 {
			t.Fatalf("%+v", out.Panics[0])
		}
		for _, v := range out.Views {
			in := game.Input{Kind: game.Watch, Session: v.Session, Gateway: v.Gateway, Conn: v.Conn, X: v.X, Y: v.Y, Enter: v.Enter, Leave: v.Leave, Ignores: v.Ignores}
			if v.End {
				in = game.Input{Kind: game.Unwatch, Session: v.Session}
			}
			p.in[1-i] = append(p.in[1-i], in)
		}
		for _, d := range out.Departures {
			in := game.Input{Kind: game.Arrive, Payload: d.Payload}
			for _, s := range d.Players {
				p.home[s-1] = 1 - i
				in.Conns = append(in.Conns, game.Conn{Session: s, Gateway: gatewayOf(p.conn[s-1], s), Conn: p.conn[s-1]})
			}
			p.in[1-i] = append(p.in[1-i], in)
			p.crossed += len(d.Players)
		}
		seen[i] = p.glance(i, out)
	}
	return seen
}

// gatewayOf is where a session has its first connection, and where the others.
func gatewayOf(conn uint64, s game.SessionID) uint32 {
	if conn>>32 == 0 {
		return 1 + uint32(s-1)/2%2
	}
	return 1 + uint32(s-1)%2
}

func (p *pair) glance(i int, out *game.Outputs) glance {
	z := p.zones[i]
	g := glance{hash: z.Hash(), events: p.heard[i].events, views: map[game.SessionID][]game.EntityID{}}
	h := fnv.New64a()
	for _, b := range out.Batches {
		_, _ = h.Write(b.Bytes) // it never fails
	}
	g.batches = h.Sum64()
	for s := range p.home {
		g.shown = append(g.shown, z.Seen(game.SessionID(s+1)))
	}
	for pl := range z.Players {
		z.InView(pl, func(e game.Entity) bool { g.views[pl.Session] = append(g.views[pl.Session], e.ID()); return true })
	}
	return g
}

// run is the story of a pair.
func run(t testing.TB, p *pair, ticks int) (all [][2]glance) {
	t.Helper()
	enters := 0
	for range ticks {
		seen := p.tick(t)
		all = append(all, seen)
		enters += len(seen[0].events.Enters)
	}
	if p.crossed < ticks/20 || enters < 100*ticks/20 || p.zones[0].Visitors() == 0 {
		t.Fatalf("%d crossed, %d enters, %d visitors at the end: the story is too dull", p.crossed, enters, p.zones[0].Visitors())
	}
	return all
}

// same compares what two indexes made of the same story.
func same(t *testing.T, name string, got, want [][2]glance, exactly bool) {
	t.Helper()
	for i := range want {
		for z := range want[i] {
			g, w := got[i][z], want[i][z]
			if !exactly {
				g, w = g.sorted(), w.sorted()
			}
			if !reflect.DeepEqual(g, w) {
				t.Fatalf("%s: zone %d differs in tick %d:\n%+v\nwant\n%+v", name, z+1, i+1, g, w)
			}
		}
	}
}

func openTwin(aoi.Config) (game.Interest, error) { return &twin{}, nil }

func openSpace(k aoi.Kernel) func(c aoi.Config) (game.Interest, error) {
	return func(c aoi.Config) (game.Interest, error) {
		c.Kernel = k
		return aoi.New(c)
	}
}

// TestZonesAreTheSameOnAnyIndex runs two zones with all that changes what players see: with the dumb twin of the index, and with every kernel and number of workers. Zones on the twin and on the index show every
// player the same in every tick, though not in the same order; between kernels and workers not a byte differs, nor does the order in which enters and leaves are told.
func TestZonesAreTheSameOnAnyIndex(t *testing.T) {
	stories := []struct{ things, players, visible, ticks int }{{80, 12, 0, 200}, {80, 12, 5, 200}, {1200, 500, 20, 8}}
	if testing.Short() {
		stories = stories[:2]
	}
	for _, s := range stories {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			dumb := run(t, newPair(t, s.things, s.players, s.visible, 1, openTwin), s.ticks)
			var first [][2]glance
			for _, k := range aoi.Kernels() {
				for workers := 1; workers <= 2; workers++ {
					got := run(t, newPair(t, s.things, s.players, s.visible, workers, openSpace(k)), s.ticks)
					if first == nil {
						same(t, "twin", got, dumb, false)
						first = got
					}
					same(t, fmt.Sprint(k, ", workers ", workers), got, first, true)
				}
			}
		})
	}
}
