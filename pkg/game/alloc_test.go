package game_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// pacing is a game of n walkers that turn around every few ticks, at ticks of their own.
func pacing(n int) *game.Game {
	g := withAvatars()
	avatars := g.Setup
	g.Setup = func(z *game.Zone) error {
		if err := avatars(z); err != nil {
			return err
		}
		for i := range n {
			e, err := z.Spawn(2, int32(40+i*50%1900), int32(40+i*70%1900))
			if err != nil {
				return err
			}
			e.SetVelocity(4, 0)
		}
		z.System(func() {
			for e := range z.Entities {
				s := stateOf(e)
				if s.VX == 0 {
					continue // an avatar
				}
				e.SetPosition(s.X+int32(s.VX), s.Z)
				if (z.Tick()+e.Slot())%8 == 0 {
					e.SetVelocity(-s.VX, 0)
				}
			}
		})
		return nil
	}
	return g
}

func TestStepAllocatesNothingWithoutPlayers(t *testing.T) {
	for name, in := range map[string][]game.Input{"alone": nil, "with a gateway": {attach(1)}} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t, pacing(500), small())
			z.Step(in)
			for range 100 {
				z.Step(nil)
			}
			if n := testing.AllocsPerRun(100, func() { z.Step(nil) }); n != 0 {
				t.Errorf("%v allocations per step, want none", n)
			}
		})
	}
}

// TestStepAllocatesNothingForPlayersWhoLook has 20 players who see some dozens of walkers each, which come and go in their views; what allocates in
// a zone is what arrives: a decoded message and its reply.
func TestStepAllocatesNothingForPlayersWhoLook(t *testing.T) {
	t.Run("at all", func(t *testing.T) { stepsWithoutAllocating(t, small(), 500) })
	bound := small()
	bound.MaxVisible = 5
	t.Run("at the nearest", func(t *testing.T) { stepsWithoutAllocating(t, bound, 500) }) // of them for the spectator
	t.Run("at themselves", func(t *testing.T) { stepsWithoutAllocating(t, small(), 500, "") })
}

func stepsWithoutAllocating(t *testing.T, cfg game.Config, least int, ignores ...string) {
	t.Helper()
	z := newZone(t, pacing(500), cfg)
	in := []game.Input{attach(1)}
	for s := range game.SessionID(20) {
		in = append(in, join(1, s+1))
	}
	z.Step(in)
	n := int32(0)
	for p := range z.Players {
		p.Avatar().SetPosition(60+90*n, 1000)
		n++
	}
	spectate(t, z, player(t, z, 1), 4000, 4000)
	for p := range z.Players {
		ignore(t, z, p, ignores...)
	}
	for range 200 {
		z.Step(nil)
	}
	seen, before := 0, z.Stats()
	for p := range z.Players {
		seen += z.Seen(p.Session)
	}
	if allocs := testing.AllocsPerRun(100, func() { z.Step(nil) }); allocs != 0 {
		t.Errorf("%v allocations per step, want none", allocs)
	}
	if after := z.Stats(); seen < least || after.Fragments == before.Fragments {
		t.Errorf("%d entities seen, %d fragments: the steps had nothing to do", seen, after.Fragments-before.Fragments)
	}
}

// TestMessagesAndTimersAllocateNothingBeyondTheMessage has a player send and a timer start itself again in every tick.
func TestMessagesAndTimersAllocateNothingBeyondTheMessage(t *testing.T) {
	l := newLab(t)
	handled, rang := 0, 0
	var again game.Timer
	again = l.Timer("again", func(_ *game.Zone, e game.Entity, _ uint64) { rang++; again.After(e, 1, 0) })
	game.OnPush(l.Game, protocolRoute(95), func(*game.Zone, *game.Player, *wrapperspb.Int64Value) error { handled++; return nil })
	z := newZone(t, l.Game, game.Config{})
	z.Step([]game.Input{attach(1), join(1, 1)})
	for p := range z.Players {
		again.After(p.Avatar(), 1, 0)
	}
	in := []game.Input{send(1, 95, 0, wrapperspb.Int64(1)), send(1, 95, 0, wrapperspb.Int64(2))}
	for range 50 {
		z.Step(in)
	}
	before := rang
	if n := testing.AllocsPerRun(100, func() { z.Step(in) }); n != 2+1 { // two messages, and After's Being
		t.Errorf("%v allocations for two messages and a timer", n)
	}
	if handled < 300 || rang-before < 100 {
		t.Errorf("%d were handled, %d rang", handled, rang-before)
	}
	if n := testing.AllocsPerRun(100, func() { z.Hash() }); n != 0 {
		t.Errorf("%v allocations for a hash", n)
	}
	if n := testing.AllocsPerRun(100, func() { z.Nearest(5, 5, 500, 3, nil) }); n != 0 {
		t.Errorf("%v allocations for a query", n)
	}
	found := func(game.Entity) bool { return true }
	if n := testing.AllocsPerRun(100, func() {
		z.Within(5, 5, 500, found)
		z.Box(0, 0, 50, 50, found)
		z.Sector(5, 5, 500, 1, 1, 1, found)
	}); n != 0 {
		t.Errorf("%v allocations for three queries of places", n)
	}
}
