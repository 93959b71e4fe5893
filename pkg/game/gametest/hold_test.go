package gametest_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Routes of the shop.
const (
	routeBuy    = 64
	routeBought = 65
)

type number = wrapperspb.Int32Value

// shop tells buyers what they have bought, wherever they are by then.
func shop() *game.Game {
	g := &game.Game{Name: "shop", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Declare(protocol.Route{ID: routeBought, Name: "shop.bought"})
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 500, 500)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	game.OnPush(g, protocol.Route{ID: routeBuy, Name: "shop.buy"}, func(z *game.Zone, p *game.Player, m *number) error {
		n := m.Value
		game.Go(z, game.Async{Name: "pay", Player: p, IfGone: game.RunIfGone, Ticks: 20}, func(context.Context) (int32, error) { return n, nil }, func(n int32, err error) {
			if err != nil {
				n = -n - 1
			}
			_ = z.Push(p, routeBought, wrapperspb.Int32(n))
		})
		return nil
	})
	return g
}

func open(t testing.TB) *gametest.World {
	return gametest.Open(t, shop(), game.Grid(game.Config{Width: 2000, Height: 1000, Margin: 80, Strict: true}, 2, 1)...)
}

// bought are the numbers that a client has heard.
func bought(c *gametest.Client) (all []int32) {
	for _, m := range gametest.Heard[*number](c, routeBought) {
		all = append(all, m.Value)
	}
	return all
}

func same(t *testing.T, got []int32, want ...int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("heard %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("heard %v, want %v", got, want)
		}
	}
}

func TestHeldJobsEndWhenTheyAreFinishedAndInThatOrder(t *testing.T) {
	w := open(t)
	w.Hold = true
	ann := w.Join("Ann")
	w.Tick(1)
	ann.Push(routeBuy, wrapperspb.Int32(1))
	ann.Push(routeBuy, wrapperspb.Int32(2))
	w.Tick(5)
	jobs := w.Jobs()
	if len(jobs) != 2 || jobs[0].Name != "pay" || jobs[0].Zone != w.Zone(0) {
		t.Fatalf("held: %+v", jobs)
	}
	w.Finish(jobs[1])
	same(t, bought(ann))
	w.Tick(1)
	same(t, bought(ann), 2)
	w.Finish(jobs[0])
	w.Tick(1)
	same(t, bought(ann), 1)
	if n := len(w.Jobs()); n != 0 {
		t.Errorf("%d jobs are still held", n)
	}
	w.Hold = false
	ann.Push(routeBuy, wrapperspb.Int32(3))
	w.Tick(2)
	same(t, bought(ann), 3)
}

func TestAResultReachesWhoHasCrossedABorderMeanwhile(t *testing.T) {
	w := open(t)
	w.Hold = true
	ann := w.Join("Ann")
	w.Tick(1)
	ann.Push(routeBuy, wrapperspb.Int32(7))
	w.Tick(1)
	ann.Put(1500, 500)
	w.Tick(2)
	if ann.Zone() != w.Zone(1) || ann.Player() == nil {
		t.Fatal("Ann has not arrived")
	}
	w.Finish(w.Jobs()[0])
	w.Tick(1)
	same(t, bought(ann), 7)
}

func TestAJobThatNobodyFinishesTimesOut(t *testing.T) {
	w := open(t)
	w.Hold = true
	ann := w.Join("Ann")
	w.Tick(1)
	ann.Push(routeBuy, wrapperspb.Int32(7))
	w.Tick(30)
	same(t, bought(ann), -1)
}

func TestSeenIsTheEntityOfTheView(t *testing.T) {
	w := open(t)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(2)
	id := ben.Avatar().ID()
	e, ok := ann.Seen(id)
	if !ok || e.ID != uint64(id) || !ann.Sees(id) {
		t.Fatalf("Ann sees %v, %v", e, ok)
	}
	if x, _, placed := e.Position(w.Zone(0).Tick()); !placed || x != 500 {
		t.Errorf("Ann sees Ben at %d", x)
	}
	ben.Leave()
	w.Tick(3)
	if _, ok := ann.Seen(id); ok {
		t.Error("Ann still sees Ben, who has left")
	}
}

// faults counts what a world finds wrong.
type faults struct {
	testing.TB
	n int
}

func (f *faults) Errorf(string, ...any) { f.n++ }

func TestAJobIsFinishedOnce(t *testing.T) {
	f := &faults{TB: t}
	w := open(f)
	w.Hold = true
	ann := w.Join("Ann")
	w.Tick(1)
	ann.Push(routeBuy, wrapperspb.Int32(7))
	w.Tick(1)
	j := w.Jobs()[0]
	w.Finish(j)
	w.Finish(j)
	if f.n != 1 {
		t.Errorf("%d faults, want 1", f.n)
	}
}
