package game_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// TestWhateverDecidesTheFutureIsInTheHash makes the same zone again and again, and changes one thing of it.
func TestWhateverDecidesTheFutureIsInTheHash(t *testing.T) {
	type world struct {
		*game.Zone
		l                *lab
		e, child, bearer game.Entity
	}
	build := func() world {
		l := newLab(t)
		l.later = func(*game.Zone, *game.Player, int64Reply) error { return nil }
		w := world{Zone: newZone(t, l.Game, row(2)[0]), l: l}
		w.Step([]game.Input{attach(1), join(1, 1)})
		for i, p := range []*game.Entity{&w.e, &w.child, &w.bearer} {
			kind := game.Kind(1)
			if i == 2 {
				kind = deltatestBearer
			}
			e, err := w.Spawn(kind, 100+int32(i), 100)
			if err != nil {
				t.Fatal(err)
			}
			*p = e
		}
		w.Step(nil)
		return w
	}
	input := func(in game.Input) func(world) { return func(w world) { w.Step([]game.Input{in}) } }
	pushed := func(due int64) func(world) { return input(send(1, routeCount, 0, wrapperspb.Int64(due))) }
	seen := map[uint64]string{}
	for _, c := range []struct {
		name string
		do   func(w world)
	}{
		{"nothing", func(world) {}},
		{"a position", func(w world) { w.e.SetPosition(5, 5) }},
		{"a velocity", func(w world) { w.e.SetVelocity(5, 5) }},
		{"a field", func(w world) { setHP(w.e, 5) }},
		{"a text", func(w world) { v := w.bearer.Cell(deltatest.Bag).Edit(delta.AOI); v.V[0].B = append(v.V[0].B, 'x') }},
		{"an owner", func(w world) { w.e.SetOwner(w.child) }},
		{"a parent", func(w world) { _ = w.child.SetParent(w.e) }},
		{"another parent's place", func(w world) {
			w.child.SetPosition(110, 100)
			_ = w.child.SetParent(w.e)
			w.child.SetPosition(101, 100)
		}},
		{"a death", func(w world) { w.Die(w.e, 0, 0) }},
		{"a transfer", func(w world) { _ = w.Transfer(w.e, game.Destination{X: 1500, Y: 5}) }},
		{"a despawn", func(w world) { w.Despawn(w.e) }},
		{"a spawn that ended", func(w world) { e, _ := w.Spawn(1, 1, 1); w.Despawn(e) }},
		{"a timer", func(w world) { w.l.bell.After(w.e, 10, 1) }},
		{"a timer's time", func(w world) { w.l.bell.After(w.e, 11, 1) }},
		{"a timer's argument", func(w world) { w.l.bell.After(w.e, 10, 2) }},
		{"a delayed call", func(w world) { w.After(10, func() {}) }},
		{"a later delayed call", func(w world) { w.After(11, func() {}) }},
		{"chance", func(w world) { w.Rand.Uint64() }},
		{"an input's number", func(w world) { player(t, w.Zone, 1).InputSeq++ }},
		{"an applied number", func(w world) { w.Applied(player(t, w.Zone, 1), 3) }},
		{"a spectator", func(w world) { _, _ = w.Spectate(player(t, w.Zone, 1), 100) }},
		{"a wider spectator", func(w world) { _, _ = w.Spectate(player(t, w.Zone, 1), 200) }},
		{"an ignored layer", func(w world) { _ = w.Ignore(player(t, w.Zone, 1), "") }},
		{"work", func(w world) {
			game.Go(w.Zone, game.Async{}, func(context.Context) (int, error) { return 0, nil }, func(int, error) {})
		}},
		// from here on with a step
		{"a tick", input(game.Input{Kind: game.Unwatch})},
		{"a message that waits", pushed(20)},
		{"a message that waits longer", pushed(21)},
		{"a request that waits for its answer", func(w world) { w.Step([]game.Input{send(1, routeLater, 4, wrapperspb.Int64(1))}) }},
		{"another player", input(join(1, 2))},
		{"a player's name", func(w world) { in := join(1, 2); in.Name = "x"; w.Step([]game.Input{in}) }},
		{"a player's rights", func(w world) { in := join(1, 2); in.Rights = []string{"gm"}; w.Step([]game.Input{in}) }},
		{"a player's number", func(w world) { in := join(1, 2); in.Player = 77; w.Step([]game.Input{in}) }},
		{"a connection that is lost", input(disconnect(1))},
		{"another connection", input(connect(1, 1, 77))},
		{"a gateway", input(attach(2))},
		{"a visitor", input(game.Input{Kind: game.Watch, Session: 9, X: 1100, Y: 500, Enter: 300, Leave: 330})},
		{"a visitor elsewhere", input(game.Input{Kind: game.Watch, Session: 9, X: 1101, Y: 500, Enter: 300, Leave: 330})},
		{"a visitor who ignores a layer", input(game.Input{Kind: game.Watch, Session: 9, X: 1100, Y: 500, Enter: 300, Leave: 330, Ignores: 1})},
		{"shedding", input(game.Input{Kind: game.Shed, Number: 1})},
		{"neighbours", input(game.Input{Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(row(2)[0], row(2), 0))})},
		{"a panic", input(send(1, routeBoom, 0, wrapperspb.Int64(1)))},
	} {
		w, twin := build(), build()
		if w.Hash() != twin.Hash() {
			t.Fatal("two zones of the same inputs differ")
		}
		c.do(w)
		c.do(twin)
		h := w.Hash()
		if h != twin.Hash() || h != w.Hash() {
			t.Errorf("%s: the same gives different hashes", c.name)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", c.name, other)
		}
		seen[h] = c.name
	}
}
