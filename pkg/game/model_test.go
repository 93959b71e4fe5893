package game_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// model is a world of three zones and some instances, in which everything that may happen happens in a random order, with what must be true of it whatever happens.
type model struct {
	*lab
	w       *gametest.World
	r       *rand.Rand
	clients []*gametest.Client
	away    map[*gametest.Client]bool
	left    map[game.SessionID]bool // kicked ones among them
	asked   map[question]int        // how often each request was answered
	begun   int                     // futures
	ran     map[int]int
	copies  []game.Departure // hand-overs of the last tick
	hash    uint64
}

type question struct {
	session game.SessionID
	id      uint32
}

func newModel(t testing.TB, seed uint64) *model {
	m := &model{lab: newLab(t), r: rand.New(rand.NewPCG(seed, 1)), away: map[*gametest.Client]bool{}, left: map[game.SessionID]bool{}, asked: map[question]int{}, ran: map[int]int{}}
	m.later = m.answer
	m.OnRespawn = m.OnJoin
	m.OnDepart = func(z *game.Zone, p *game.Player, _ game.Destination) { m.hooked(z, p) }
	m.OnArrive, m.OnLinger, m.OnReturn, m.OnLeave = m.hooked, m.hooked, m.hooked, func(z *game.Zone, p *game.Player) {}
	m.OnDeath = func(z *game.Zone, e game.Entity, _ game.EntityID) {
		if z.Rand.IntN(8) == 0 {
			panic("death")
		}
	}
	m.Setup = func(z *game.Zone) error {
		z.System(z.Drift)
		z.Visit(game.Every(3).Shed(), 2, func(e game.Entity) { m.live(z, e) })
		return nil
	}
	m.Instance("cellar", func(uint64) game.Config {
		return game.Config{Width: 600, EnterRadius: 300, ReplyTicks: 10, AsyncTicks: 10}
	})
	zones := row(3)
	for i := range zones {
		c := &zones[i]
		c.Strict, c.ReplyTicks, c.AsyncTicks, c.MaxAsync, c.Mailbox, c.Panics, c.Seed = false, 10, 10, 3, 6, 1000, seed
	}
	m.w = m.open(zones...)
	m.w.Lenient = true
	m.w.Outputs = m.outputs
	return m
}

// outputs notes what a zone gives out.
func (m *model) outputs(z *game.Zone, out *game.Outputs) {
	for _, x := range out.Messages {
		if x.Route == routeLater && x.ID != 0 {
			m.asked[question{x.Session, x.ID}]++
		}
	}
	for _, k := range out.Kicks {
		m.left[k.Session] = true
	}
	for _, d := range out.Departures {
		if d.Refused != "" {
			m.t.Errorf("zone %d refused %v: %s", z.Config().Zone, d.Entities, d.Refused)
		}
		if d.To.Instance == "" && d.To.Zone >= 1 && d.To.Zone <= 3 {
			d.Payload = bytes.Clone(d.Payload)
			m.copies = append(m.copies, d)
		}
	}
}

// hooked does something unusual in a hook.
func (m *model) hooked(z *game.Zone, p *game.Player) {
	switch z.Rand.IntN(12) {
	case 0:
		panic("hook")
	case 1:
		m.future(z, p)
	case 2:
		if p.Avatar().Alive() {
			z.Die(p.Avatar(), 0, 3)
		}
	case 3:
		if p.Avatar().Alive() {
			_ = z.Transfer(p.Avatar(), m.somewhere(z.Rand))
		}
	}
}

// answer does one of the things that may become of a request.
func (m *model) answer(z *game.Zone, p *game.Player, r int64Reply) error {
	one := wrapperspb.Int64(1)
	switch z.Rand.IntN(8) {
	case 0:
		return r.Send(one)
	case 1:
		return errors.New("no")
	case 2:
		z.After(1+z.Rand.Uint32N(15), func() { _ = r.Send(one) })
	case 3:
		z.After(z.Rand.Uint32N(5), func() { r.Fail(errors.New("no")) })
	case 4:
		_ = r.Send(one)
		panic("answered")
	case 5:
		panic("not answered")
	case 6:
		_ = r.Send(one)
		r.Fail(errors.New("twice"))
	}
	return nil
}

// future begins work or a call.
func (m *model) future(z *game.Zone, p *game.Player) {
	m.begun++
	n := m.begun
	a := game.Async{Player: p, IfGone: game.Gone(z.Rand.IntN(2)), Ticks: z.Rand.Uint32N(12)}
	if z.Rand.IntN(2) == 0 {
		game.Go(z, a, func(context.Context) (int, error) { return n, nil }, func(int, error) { m.ran[n]++; m.unusual(z) })
		return
	}
	id := game.EntityID(z.Rand.Uint64N(3)<<32 + 1 + z.Rand.Uint64N(30))
	if err := game.Call(z, nil, id, callAdd, wrapperspb.Int64(z.Rand.Int64N(3)-1), a, func(*wrapperspb.Int64Value, error) { m.ran[n]++; m.unusual(z) }); err != nil {
		m.t.Error(err)
	}
}

func (m *model) unusual(z *game.Zone) {
	if z.Rand.IntN(6) == 0 {
		panic("continuation")
	}
}

func (m *model) somewhere(r *rand.Rand) game.Destination {
	to := game.Destination{X: r.Int32N(3400) - 200, Y: r.Int32N(1200) - 100}
	switch r.IntN(6) {
	case 0:
		to.Instance, to.Key = "cellar", r.Uint64N(2)
	case 1:
		to.Zone = 1 + r.Uint32N(4)
	}
	return to
}

// live is the life of a thing: it turns, breeds, dies, clings to others and goes away.
func (m *model) live(z *game.Zone, e game.Entity) {
	r := z.Rand
	switch r.IntN(16) {
	case 0, 1, 2:
		e.SetVelocity(r.Int32N(120)-60, r.Int32N(60)-30)
	case 3:
		if x, y := e.Position(); z.Len() < 25 {
			_, _ = z.Spawn(2, x, y)
		}
	case 4:
		z.Die(e, 0, 0)
	case 5:
		if near := z.Nearest(0, 500, 3000, 1+r.IntN(6), nil); len(near) > 0 {
			_ = e.SetParent(near[len(near)-1])
		}
	case 6:
		_ = e.SetParent(nil)
	case 7:
		_ = z.Transfer(e, m.somewhere(r))
	case 8:
		m.bell.After(e, r.Uint32N(9), 1)
	case 9:
		m.future(z, nil)
	case 10:
		panic("visit")
	}
}

// happen gives the world some of the inputs that there are.
func (m *model) happen() {
	r, w := m.r, m.w
	for _, d := range m.copies {
		if r.IntN(4) == 0 {
			w.Input(int(d.To.Zone-1), game.Input{Kind: game.Arrive, Payload: d.Payload}) // behind the first, which it must not harm
		}
	}
	m.copies = m.copies[:0]
	if len(m.clients) < 6 && r.IntN(3) == 0 {
		m.clients = append(m.clients, w.Join("somebody"))
	}
	for i := 0; i < len(m.clients); i++ {
		c := m.clients[i]
		switch n := r.IntN(40); {
		case m.left[c.Session]:
			m.clients = append(m.clients[:i], m.clients[i+1:]...)
			i--
		case n == 0:
			m.left[c.Session] = true
			c.Leave()
		case n == 1 && !m.away[c]:
			m.away[c] = true
			c.Cut()
		case n < 4:
			delete(m.away, c)
			c.Resume()
		case n < 12:
			m.asked[question{c.Session, c.Request(routeLater, wrapperspb.Int64(1))}] += 0
		case n < 15:
			c.Push(routeCount, wrapperspb.Int64(int64(c.Zone().Tick()+r.Uint32N(6))))
		case n == 15:
			c.Push(routeBoom, wrapperspb.Int64(1))
		case n == 16:
			c.Push(9999, wrapperspb.Int64(1))
		case n < 24 && c.Player() != nil:
			z := c.Zone()
			z.Edit(func() { m.play(z, c.Player()) })
		}
	}
	at := r.IntN(3)
	garbage := make([]byte, r.IntN(20))
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	somebody := game.SessionID(1000 + r.Uint64N(3))
	switch r.IntN(14) {
	case 0:
		w.Input(at, game.Input{Kind: game.RequestSnapshot, Gateway: 1})
	case 1:
		w.Input(at, game.Input{Kind: game.Shed, Number: r.Uint64N(5)})
	case 2:
		w.Input(at, game.Input{Kind: game.Release})
	case 3:
		w.Input(at, game.Input{Kind: game.Operate, Name: "operator", Rights: []string{"gm"}, Route: protocol.RouteSpawn, ID: 1, Payload: garbage})
	case 4:
		w.Input(at, game.Input{Kind: game.Done, Number: r.Uint64N(50) + 1<<40, Payload: garbage})
	case 5:
		w.Input(at, game.Input{Kind: game.Watch, Session: somebody, X: r.Int32N(3000), Y: 500, Enter: 300, Leave: 330})
	case 6:
		w.Input(at, game.Input{Kind: game.Unwatch, Session: somebody})
	case 7:
		w.Input(at, game.Input{Kind: game.Receive, Session: somebody, Route: routeLater, ID: 1, Payload: garbage})
	case 8:
		w.Input(at, game.Input{Kind: game.AttachGateway, Gateway: 2})
		w.Input(at, game.Input{Kind: game.Watch, Session: somebody, Gateway: 2, Conn: uint64(somebody), X: r.Int32N(3000), Y: 500, Enter: 300, Leave: 330})
	case 9:
		w.Input(at, game.Input{Kind: game.DetachGateway, Gateway: 2})
	case 10:
		w.Input(at, game.Input{Kind: game.UseTables, Payload: garbage})
	case 11:
		w.Input(at, game.Input{Kind: game.Disconnect, Session: somebody})
		w.Input(at, game.Input{Kind: game.Leave, Session: somebody})
		w.Input(at, game.Input{Kind: game.Connect, Session: somebody, Gateway: 1, Conn: 1})
	case 12:
		zones := row(3)
		if r.IntN(2) == 0 {
			zones = zones[at : at+1]
		}
		w.Input(at, game.Input{Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(row(3)[at], zones, w.Zone(at).Reach()))})
	case 13:
		w.Zone(at).Edit(func() { _, _ = w.Zone(at).Spawn(2, int32(at)*1000+500, r.Int32N(1000)) })
	}
}

// play is what rules do with a player.
func (m *model) play(z *game.Zone, p *game.Player) {
	a := p.Avatar()
	switch m.r.IntN(8) {
	case 0, 1:
		if a.Alive() {
			_ = z.Transfer(a, m.somewhere(m.r))
		}
	case 2, 3:
		if a.Alive() {
			a.SetVelocity(m.r.Int32N(120)-60, 0)
		}
	case 4:
		m.future(z, p)
	case 5:
		z.KickPlayer(p, "test")
	case 6:
		if a.Alive() {
			z.Die(a, 0, 4)
		}
	case 7:
		_, _ = z.Spectate(p, m.r.Int32N(2)*500)
	}
}

// check is what must be true after every tick.
func (m *model) check() {
	m.t.Helper()
	lives, homes := map[game.EntityID]uint32{}, map[game.SessionID]uint32{}
	for i := range m.w.Zones() {
		z := m.w.Zone(i)
		for e := range z.Entities {
			if other, ok := lives[e.ID()]; ok {
				m.t.Fatalf("entity %d lives in zones %d and %d", e.ID(), other, i+1)
			}
			lives[e.ID()] = uint32(i + 1)
		}
		for p := range z.Players {
			if other, ok := homes[p.Session]; ok {
				m.t.Fatalf("session %d is in zones %d and %d", p.Session, other, i+1)
			}
			homes[p.Session] = uint32(i + 1)
		}
		checkWhole(m.t, z, z.Len())
		h := z.Hash()
		m.hash = (m.hash ^ h) * 0x9e3779b97f4a7c15
	}
	for q, n := range m.asked {
		if n > 1 {
			m.t.Fatalf("request %v was answered %d times", q, n)
		}
	}
}

// run lives through some ticks, and waits for all that is under way. It returns what became of the world.
func (m *model) run(ticks int) uint64 {
	m.t.Helper()
	for range ticks {
		m.happen()
		m.w.Tick(1)
		m.check()
	}
	for i := range 3 {
		m.w.Input(i, game.Input{Kind: game.Shed})
	}
	for _, c := range m.clients {
		if !m.left[c.Session] {
			m.asked[question{c.Session, c.Request(routeLater, wrapperspb.Int64(1))}] += 0
		}
	}
	m.w.Tick(30)
	home := map[game.SessionID]bool{}
	for range 10 { // one that is on its way arrives
		m.w.Tick(1)
		m.check()
		for _, c := range m.clients {
			home[c.Session] = home[c.Session] || c.Player() != nil
		}
	}
	for _, c := range m.clients {
		if !m.left[c.Session] && !home[c.Session] {
			m.t.Fatalf("session %d is nowhere", c.Session)
		}
	}
	for q, n := range m.asked {
		if n == 0 && !m.left[q.session] {
			m.t.Fatalf("request %v was not answered", q)
		}
	}
	m.checkFutures()
	return m.hash
}

func (m *model) checkFutures() {
	m.t.Helper()
	var dropped uint64
	for i := range m.w.Zones() {
		dropped += m.w.Zone(i).Stats().Dropped
	}
	late := 0 // begun by things in the last ticks
	for n := 1; n <= m.begun; n++ {
		if m.ran[n] > 1 {
			m.t.Fatalf("future %d ran %d times", n, m.ran[n])
		}
		if m.ran[n] == 0 {
			late++
		}
	}
	if uint64(late) < dropped {
		m.t.Fatalf("%d of %d futures did not run, %d were dropped", late, m.begun, dropped)
	}
	if uint64(late) > dropped+m.underWay() {
		m.t.Fatalf("%d of %d futures did not run, %d were dropped and %d are under way", late, m.begun, dropped, m.underWay())
	}
}

// underWay is how many futures zones wait for.
func (m *model) underWay() (n uint64) {
	for i := range m.w.Zones() {
		n += uint64(game.Futures(m.w.Zone(i)))
	}
	return n
}

// TestWhateverHappensTheWorldStaysWhole runs every seed twice: equal inputs give equal worlds.
func TestWhateverHappensTheWorldStaysWhole(t *testing.T) {
	seeds, ticks := uint64(200), 80
	if testing.Short() {
		seeds, ticks = 12, 60
	}
	var arrivals, panics, asked, begun int
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(t, seed)
			first := m.run(ticks)
			for i := range m.w.Zones() {
				arrivals += int(m.w.Zone(i).Stats().Arrivals)
			}
			panics, asked, begun = panics+len(m.w.Panics), asked+len(m.asked), begun+m.begun
			if second := newModel(t, seed).run(ticks); second != first {
				t.Errorf("two runs of seed %d give %x and %x", seed, first, second)
			}
		})
	}
	t.Logf("%d arrivals, %d panics, %d requests, %d futures", arrivals, panics, asked, begun)
	if n := int(seeds); arrivals < 10*n || panics < 10*n || asked < 10*n || begun < 10*n {
		t.Errorf("%d arrivals, %d panics, %d requests, %d futures: too little has happened to say anything", arrivals, panics, asked, begun)
	}
}
