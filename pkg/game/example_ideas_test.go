package game_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// standing is a game whose players stand in the middle of their zone.
func standing() *game.Game {
	g := &game.Game{Name: "standing", Schema: schema()}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		c := z.Config()
		hero, err := z.Spawn(1, c.X+c.Width/2, c.Y+c.Height/2)
		if err != nil {
			return err
		}
		setHP(hero, 10)
		return z.Control(p, hero)
	}
	return g
}

// A poison that hurts five times, once in ten ticks. It goes wherever its entity goes, and ends with it.
func ExampleTimer_After() {
	g := standing()
	var poison game.Timer
	poison = g.Timer("poison", func(z *game.Zone, e game.Entity, left uint64) {
		setHP(e, int(stateOf(e).HP)-1)
		if left > 1 {
			poison.After(e, 10, left-1)
		}
	})

	w := gametest.Open(new(testing.T), g) // in a test: its own t
	ann := w.Join("Ann")
	w.Tick(1)
	w.Zone(0).Edit(func() { poison.After(ann.Avatar(), 10, 5) })
	w.Tick(25)
	fmt.Println(stateOf(ann.Avatar()).HP)
	w.Tick(100)
	fmt.Println(stateOf(ann.Avatar()).HP)
	// Output:
	// 8
	// 5
}

// A door that opens after a while: whoever asked is answered then.
func ExampleOnDeferred() {
	g := standing()
	game.OnDeferred(g, protocol.Route{ID: 70, Name: "door.open"},
		func(z *game.Zone, p *game.Player, _ *wrapperspb.BoolValue, reply game.Reply[*wrapperspb.StringValue]) error {
			if stateOf(p.Avatar()).HP < 5 {
				return &game.Error{Code: 1000, Message: "too weak"} // at once
			}
			z.After(20, func() { _ = reply.Send(wrapperspb.String("open, " + p.Name)) })
			return nil
		})

	w := gametest.Open(new(testing.T), g)
	ann := w.Join("Ann")
	w.Tick(1)
	id := ann.Request(70, wrapperspb.Bool(true))
	var answer wrapperspb.StringValue
	for range 2 {
		w.Tick(20)
		ok, err := ann.Reply(id, &answer)
		fmt.Printf("%v %v %q\n", ok, err, answer.Value)
	}
	// Output:
	// false <nil> ""
	// true <nil> "open, Ann"
}

// A query of something slow. The work gets copies of what it needs, and runs on another goroutine; what comes of it is handled in a later tick.
func ExampleGo() {
	g := standing()
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		game.Go(z, game.Async{Name: "load purse", Player: p},
			func(ctx context.Context) (int, error) { return 100, ctx.Err() }, // a database would be asked here, for a copy of p.ID
			func(gold int, err error) {
				if err != nil {
					z.KickPlayer(p, "the bank is closed")
					return
				}
				fmt.Println(p.Name, "has", gold)
			})
		return nil
	}

	w := gametest.Open(new(testing.T), g)
	w.Join("Ann")
	w.Tick(2)
	// Output: Ann has 100
}

// A blow across a border: the target is named by its id and may live in any zone, where its handler decides.
func ExampleCall() {
	const strike = 1
	g := standing()
	game.OnCall(g, "strike", strike, func(z *game.Zone, e game.Entity, from game.Caller, m *wrapperspb.Int32Value) (*wrapperspb.Int32Value, error) {
		if from.DistanceTo(e) > 3 {
			return nil, &game.Error{Code: 1000, Message: "out of reach"}
		}
		setHP(e, int(stateOf(e).HP-m.Value))
		return wrapperspb.Int32(stateOf(e).HP), nil
	})

	w := gametest.Open(new(testing.T), g, game.Grid(game.Config{Width: 2000, Height: 1000, EnterRadius: 300, Margin: 80}, 2, 1)...)
	ann := w.Join("Ann")
	w.Tick(1)
	here, there := w.Zone(0), w.Zone(1)
	var wolf game.Entity
	there.Edit(func() { wolf, _ = there.Spawn(2, 1100, 500); setHP(wolf, 9) })
	for _, x := range []int32{990, 100} { // 0.3 m and 3.1 m away
		here.Edit(func() {
			ann.Avatar().SetPosition(x, 500)
			_ = game.Call(here, ann.Avatar(), wolf.ID(), strike, wrapperspb.Int32(4), game.Async{}, func(left *wrapperspb.Int32Value, err error) {
				fmt.Println(left.GetValue(), err)
			})
		})
		w.Tick(4)
	}
	// Output:
	// 5 <nil>
	// 0 out of reach (game(1000))
}

// Every second thing thinks in this tick, every other in the next.
func ExampleZone_Visit() {
	g := standing()
	g.Setup = func(z *game.Zone) error {
		z.Visit(game.Every(2).Shed(), 2, func(e game.Entity) { fmt.Println(z.Tick(), "thinks", e.ID()) })
		for i := range int32(4) {
			if _, err := z.Spawn(2, 10*i, 0); err != nil {
				return err
			}
		}
		return nil
	}
	gametest.Open(new(testing.T), g).Tick(2)
	// Output:
	// 1 thinks 2
	// 1 thinks 4
	// 2 thinks 1
	// 2 thinks 3
}

// A cellar of its own for every party that goes down.
func ExampleGame_Instance() {
	g := standing()
	g.Instance("cellar", func(key uint64) game.Config { return game.Config{Width: 500, Seed: key} })
	g.OnArrive = func(z *game.Zone, p *game.Player) { fmt.Println(p.Name, "is in a zone of", z.Config().Width) }

	w := gametest.Open(new(testing.T), g)
	ann := w.Join("Ann")
	w.Tick(1)
	z := w.Zone(0)
	z.Edit(func() {
		if err := z.Transfer(ann.Avatar(), game.Destination{Instance: "cellar", Key: 7, X: 250, Y: 250}); err != nil {
			fmt.Println(err)
		}
	})
	w.Tick(2)
	fmt.Println(w.Zones(), z.PlayerCount())
	// Output:
	// Ann is in a zone of 500
	// 2 0
}
