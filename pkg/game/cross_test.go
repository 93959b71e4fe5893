package game_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Routes of borderland.
const (
	routeWalk  = 80
	routeShout = 81
	callPoke   = 1
)

// borderland is a game of players who walk by their velocity, in a world of zones of 1000 quanta with a view of 300.
func borderland() (*game.Game, game.Timer) {
	g := &game.Game{Name: "borderland", Schema: schema()}
	bell := g.Timer("bell", func(z *game.Zone, e game.Entity, arg uint64) {
		if p := e.Player(); p != nil {
			_ = z.Push(p, routeShout, wrapperspb.String("bell"))
		}
	})
	g.Declare(protocol.Route{ID: routeShout, Name: "borderland.shout"})
	game.OnPush(g, protocol.Route{ID: routeWalk, Name: "borderland.walk"}, func(_ *game.Zone, p *game.Player, m *wrapperspb.Int64Value) error {
		p.Avatar().SetVelocity(int32(m.Value), 0)
		return nil
	})
	game.OnCall(g, "poke", callPoke, func(z *game.Zone, e game.Entity, from game.Caller, m *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
		if !z.SeenBy(from, e) {
			return nil, &game.Error{Code: 1001, Message: "not seen"}
		}
		setHP(e, int(stateOf(e).HP)-int(m.Value))
		return wrapperspb.Int64(int64(stateOf(e).HP)), nil
	})
	g.Setup = func(z *game.Zone) error { z.System(z.Drift); return nil }
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		c := z.Config()
		e, err := z.Spawn(1, c.Width*9/10, c.Height/2)
		if err != nil {
			return err
		}
		setHP(e, 100)
		return z.Control(p, e)
	}
	return g, bell
}

func border() []game.Config {
	return game.Grid(game.Config{Width: 2000, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 80}, 2, 1)
}

func TestAvatarCrossesABorderAndItsClientHardlyNotices(t *testing.T) {
	g, bell := borderland()
	arrived, departed := 0, 0
	g.OnArrive = func(_ *game.Zone, p *game.Player) { arrived++ }
	g.OnDepart = func(_ *game.Zone, p *game.Player, to game.Destination) { departed++ }
	w := gametest.Open(t, g, border()...)
	anna, ben := w.Join("anna"), w.Join("ben")
	w.Tick(2)
	a, b := anna.Avatar().ID(), ben.Avatar().ID()
	w.Zone(0).Edit(func() { bell.After(anna.Avatar(), 30, 7) })
	anna.Push(routeWalk, wrapperspb.Int64(8))
	for range 16 { // at 1028
		w.Tick(1)
	}
	if anna.Zone() != w.Zone(0) || w.Zone(1).Visitors() != 2 {
		t.Fatalf("within the margin: in zone %d, zone 2 has %d visitors", anna.Zone().Config().Zone, w.Zone(1).Visitors())
	}
	enters := ben.Enters + anna.Enters
	for range 12 {
		w.Tick(1)
		if !anna.Sees(a) || !anna.Sees(b) || !ben.Sees(a) {
			t.Fatalf("tick %d: anna sees herself %v and ben %v, ben sees anna %v", w.Zone(0).Tick(), anna.Sees(a), anna.Sees(b), ben.Sees(a))
		}
	}
	if anna.Zone() != w.Zone(1) || anna.Avatar().ID() != a || arrived != 1 || departed != 1 {
		t.Errorf("anna is in zone %d as entity %d, arrived %d times, departed %d", anna.Zone().Config().Zone, anna.Avatar().ID(), arrived, departed)
	}
	if n := ben.Enters + anna.Enters - enters + ben.Leaves + anna.Leaves; n != 0 {
		t.Errorf("the crossing caused %d enters and leaves", n)
	}
	w.Tick(10)
	if rung := anna.Take(routeShout); len(rung) != 1 {
		t.Errorf("the bell rang %d times", len(rung))
	}
	if vx, _ := anna.Avatar().Velocity(); vx != 8 || stateOf(anna.Avatar()).HP != 100 {
		t.Errorf("arrived as %+v", stateOf(anna.Avatar()))
	}
	anna.Push(routeWalk, wrapperspb.Int64(-8)) // handled by the new zone
	w.Tick(40)
	if anna.Zone() != w.Zone(0) {
		t.Error("anna has not come back")
	}
}

func TestCallReachesAnEntityInWhateverZone(t *testing.T) {
	g, _ := borderland()
	w := gametest.Open(t, g, border()...)
	anna, ben := w.Join("anna"), w.Join("ben")
	w.Tick(2)
	anna.Push(routeWalk, wrapperspb.Int64(8))
	w.Tick(30)
	anna.Push(routeWalk, wrapperspb.Int64(0))
	w.Tick(2)
	if anna.Zone() != w.Zone(1) {
		t.Fatal("anna has not crossed")
	}
	var got []int64
	poke := func(to game.EntityID) {
		w.Zone(0).Edit(func() {
			if err := game.Call(w.Zone(0), ben.Avatar(), to, callPoke, wrapperspb.Int64(10), game.Async{}, func(r *wrapperspb.Int64Value, err error) {
				if err != nil {
					got = append(got, -1)
					return
				}
				got = append(got, r.Value)
			}); err != nil {
				t.Error(err)
			}
		})
		w.Tick(4)
	}
	poke(anna.Avatar().ID())
	poke(ben.Avatar().ID())
	poke(12345)
	w.Zone(1).Edit(func() { anna.Avatar().SetPosition(1900, 500) })
	w.Tick(2)
	poke(anna.Avatar().ID()) // not seen any more
	if want := []int64{90, 90, -1, -1}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
}

// TestManyCrossingsLoseNothing has players and things wander over the borders of four zones, with connections that break at random.
func TestManyCrossingsLoseNothing(t *testing.T) {
	crossings := 3000
	if testing.Short() {
		crossings = 300
	}
	g, _ := borderland()
	game.OnPush(g, protocol.Route{ID: 82, Name: "borderland.course"}, func(z *game.Zone, p *game.Player, m *wrapperspb.Int64Value) error {
		p.Avatar().SetVelocity(int32(m.Value)%100-50, int32(m.Value)/100-50)
		return nil
	})
	w := gametest.Open(t, g, game.Grid(game.Config{Width: 1200, Height: 1200, EnterRadius: 200, LeaveRadius: 220, Margin: 160}, 2, 2)...)
	r := rand.New(rand.NewPCG(1, 2))
	var all []*gametest.Client
	for range 30 {
		all = append(all, w.Join("somebody"))
	}
	for i := range 4 {
		z := w.Zone(i)
		z.Edit(func() {
			c := z.Config()
			for range 20 {
				if _, err := z.Spawn(2, c.X+r.Int32N(c.Width), c.Y+r.Int32N(c.Height)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	w.Tick(2)
	want := 0
	for i := range 4 {
		want += w.Zone(i).Len()
	}
	done := func() (n uint64) {
		for i := range 4 {
			n += w.Zone(i).Stats().Arrivals
		}
		return n
	}
	away := map[*gametest.Client]bool{}
	for done() < uint64(crossings) {
		for _, c := range all {
			switch x := r.IntN(100); {
			case x < 4:
				c.Push(82, wrapperspb.Int64(r.Int64N(10000)))
			case x == 5 && !away[c]:
				c.Cut()
				away[c] = true
			case x < 10 && away[c]:
				c.Resume()
				delete(away, c)
			}
		}
		for i := range 4 {
			z := w.Zone(i)
			z.Edit(func() {
				for e := range z.OfKind(2) {
					if r.IntN(20) == 0 {
						e.SetVelocity(r.Int32N(80)-40, r.Int32N(80)-40)
					}
				}
			})
		}
		w.Tick(1)
		checkOnce(t, w, want)
	}
	for i := range 4 { // quiet: what clients see is what is there
		z := w.Zone(i)
		z.Edit(func() {
			for e := range z.Entities {
				e.SetVelocity(0, 0)
			}
		})
	}
	w.Tick(20)
	for _, c := range all {
		if away[c] {
			continue
		}
		checkView(t, w, c)
	}
}

// checkOnce wants every entity exactly once, but those on their way.
func checkOnce(t *testing.T, w *gametest.World, want int) {
	t.Helper()
	seen, n := map[game.EntityID]int{}, 0
	flying := 0
	for i := range 4 {
		z := w.Zone(i)
		for e := range z.Entities {
			seen[e.ID()]++
			n++
		}
		s := z.Stats()
		flying += int(s.Departures) - int(s.Arrivals)
	}
	if len(seen) != n || n+flying != want {
		t.Fatalf("%d entities live, %d of them different, %d on their way; want %d", n, len(seen), flying, want)
	}
}

// checkView wants what is within the enter radius in view, and nothing beyond the leave radius.
func checkView(t *testing.T, w *gametest.World, c *gametest.Client) {
	t.Helper()
	if !c.Avatar().Alive() {
		for i := range 4 {
			p, ok := w.Zone(i).PlayerOf(c.Session)
			t.Logf("zone %d: %v %+v", i+1, ok, p)
		}
		t.Fatalf("session %d has no avatar; zone %d", c.Session, c.Zone().Config().Zone)
	}
	x, y := c.Avatar().Position()
	for i := range 4 {
		for e := range w.Zone(i).Entities {
			ex, ey := e.Position()
			d := (ex-x)*(ex-x) + (ey-y)*(ey-y)
			if sees := c.Sees(e.ID()); sees && d > 220*220 || !sees && d <= 200*200 {
				t.Errorf("%s at %d, %d of zone %d: sees entity %d of zone %d at %d, %d: %v", c.Name, x, y, c.Zone().Config().Zone, e.ID(), i+1, ex, ey, sees)
			}
		}
	}
}
