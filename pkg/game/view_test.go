package game_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// withAvatars is a game whose players stand at 100, 100 and may have anything done within the handlers' phase of a tick.
func withAvatars() *game.Game {
	return &game.Game{Name: "avatars", Schema: schema(), Setup: func(z *game.Zone) error {
		z.System(func() {
			if do, ok := z.Data.(func()); ok {
				z.Data = nil
				do()
			}
		})
		return nil
	},
		OnJoin: func(z *game.Zone, p *game.Player) error {
			e, err := z.Spawn(1, 100, 100)
			if err != nil {
				return err
			}
			return z.Control(p, e)
		}}
}

// during makes a tick in which something happens: messages to players are a part of the tick that sends them.
func (s stage) during(do func()) *game.Outputs {
	s.t.Helper()
	s.Data = do
	return s.step()
}

// small is a zone in which nothing but the avatar's surroundings is in view, and squares of distances are exact.
func small() game.Config {
	return game.Config{Width: 2000, EnterRadius: 100, LeaveRadius: 120}
}

func spectate(t testing.TB, z *game.Zone, p *game.Player, radius, want int32) {
	t.Helper()
	if got, err := z.Spectate(p, radius); err != nil || got != want {
		t.Errorf("spectate %d: %d, %v; want %d", radius, got, err, want)
	}
}

func TestViewFollowsTheAvatarWithHysteresis(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7)
	me := player(t, s.Zone, 7).Avatar()
	other := spawn(t, s.Zone, 201, 100)
	s.step()
	s.wantView("one quantum beyond the enter radius", 7, me)
	me.SetPosition(101, 100)
	s.step()
	s.wantView("at the enter radius", 7, me, other)
	me.SetPosition(81, 100)
	s.step()
	s.wantView("at the leave radius", 7, me, other)
	me.SetPosition(80, 100)
	s.step()
	s.wantView("one quantum beyond the leave radius", 7, me)
	other.SetPosition(100, 100)
	s.step()
	s.wantView("it came itself", 7, me, other)
	s.Despawn(other)
	s.step()
	s.wantView("it is no more", 7, me)
}

func TestSpectatorAddsToTheAvatarsView(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7)
	p := player(t, s.Zone, 7)
	me := p.Avatar()
	near, centre, corner := spawn(t, s.Zone, 150, 100), spawn(t, s.Zone, 1000, 1000), spawn(t, s.Zone, 1999, 1999)
	s.step()
	s.wantView("avatar alone", 7, me, near)
	spectate(t, s.Zone, p, 10, 10)
	s.step()
	s.wantView("and the centre", 7, me, near, centre)
	spectate(t, s.Zone, p, 1<<30, 4000)
	s.step()
	s.wantView("and everything", 7, me, near, centre, corner)
	spectate(t, s.Zone, p, 10, 10)
	s.step()
	s.wantView("less again", 7, me, near, centre)
	spectate(t, s.Zone, p, -5, 0)
	s.step()
	s.wantView("avatar alone again", 7, me, near)
	spectate(t, s.Zone, p, 0, 0) // off twice is off
	spectate(t, s.Zone, p, 3000, 3000)
	spectate(t, s.Zone, p, 0, 0) // on and off within a tick
	s.step()
	s.wantView("nothing came of it", 7, me, near)
	spectate(t, s.Zone, p, 3000, 3000)
	s.step()
	spectate(t, s.Zone, p, 0, 0)
	spectate(t, s.Zone, p, 3000, 3000) // off and on within a tick
	s.step()
	s.wantView("still everything", 7, me, near, centre, corner)
}

func TestWhatBothViewsSeeEntersOnceAndLeavesLast(t *testing.T) {
	s := newStage(t, withAvatars(), game.Config{Width: 2000, EnterRadius: 100, LeaveRadius: 120, MaxSpectate: 1500}, 7)
	p := player(t, s.Zone, 7)
	me := p.Avatar()
	me.SetPosition(1000, 900)
	both := spawn(t, s.Zone, 1000, 950)
	spectate(t, s.Zone, p, 60, 60)
	enters, leaves := 0, 0
	s.eyes[7].mirror.Enter, s.eyes[7].mirror.Leave = counter(&enters), counter(&leaves)
	s.step()
	s.wantView("both views", 7, me, both) // the avatar's own entry came with the join
	me.SetPosition(1000, 500)
	s.step()
	s.wantView("the avatar walked away", 7, me, both)
	me.SetPosition(1000, 900)
	s.step()
	spectate(t, s.Zone, p, 0, 0)
	s.step()
	s.wantView("the spectator went away", 7, me, both)
	if enters != 1 || leaves != 0 {
		t.Errorf("%d enters and %d leaves reached the client, want 1 and 0", enters, leaves)
	}
	spectate(t, s.Zone, p, 60, 60)
	s.step()
	me.SetPosition(1000, 500)
	both.SetPosition(1900, 1900)
	s.step()
	s.wantView("both lost it in one tick", 7, me)
	if enters != 1 || leaves != 1 {
		t.Errorf("%d enters and %d leaves reached the client, want 1 and 1", enters, leaves)
	}
}

func TestEntityThatDiesWhileItsSpectatorGoesLeavesTheView(t *testing.T) {
	for _, c := range []struct {
		name   string
		orders func(off, kill func())
	}{
		{"spectator first", func(off, kill func()) { off(); kill() }},
		{"entity first", func(off, kill func()) { kill(); off() }},
	} {
		for _, near := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				s := newStage(t, withAvatars(), small(), 7, 8)
				p, me, you := player(t, s.Zone, 7), player(t, s.Zone, 7).Avatar(), player(t, s.Zone, 8).Avatar()
				at := int32(1000)
				if near { // the avatar sees it too
					at = 130
				}
				doomed := spawn(t, s.Zone, at, at)
				spectate(t, s.Zone, p, 4000, 4000)
				s.step()
				s.wantView("everything", 7, me, you, doomed)
				c.orders(func() { spectate(t, s.Zone, p, 0, 0) }, func() { s.Despawn(doomed) })
				s.step()
				s.wantView("in that tick", 7, me, you)
				next := spawn(t, s.Zone, 1000, 1000)
				if next.Slot() != doomed.Slot() {
					t.Fatalf("slot %d, want %d again", next.Slot(), doomed.Slot())
				}
				s.step()
				s.wantView("its slot's next entity is far away", 7, me, you)
				spectate(t, s.Zone, p, 4000, 4000)
				s.step()
				s.wantView("and comes with the next spectator", 7, me, you, next)
			})
		}
	}
}

func TestControlOfAnotherEntityMovesTheView(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7)
	p := player(t, s.Zone, 7)
	first := p.Avatar()
	second, beside := spawn(t, s.Zone, 1500, 1500), spawn(t, s.Zone, 1510, 1500)
	s.step()
	control := func(e game.Entity) {
		if err := s.Control(p, e); err != nil {
			t.Error(err)
		}
	}
	out := s.during(func() { control(second) })
	s.wantView("around the second", 7, second, beside)
	if len(out.Messages) != 1 || out.Messages[0].Route != protocol.RouteAvatar || p.Avatar() != second || !first.Alive() {
		t.Errorf("messages %+v, avatar %v, first alive %v", out.Messages, p.Avatar(), first.Alive())
	}
	s.during(func() { control(first); control(second) })
	s.wantView("there and back", 7, second, beside)
	s.Despawn(second)
	s.step()
	s.wantView("who lost its avatar goes on seeing the place", 7, beside)
	third := spawn(t, s.Zone, 100, 101)
	s.during(func() { control(third) })
	s.wantView("a third", 7, first, third)
	s.step(leave(7))
	if third.Alive() || !first.Alive() || s.Len() != 2 {
		t.Errorf("the third lives: %v, the first: %v, %d entities; want the avatar alone to go", third.Alive(), first.Alive(), s.Len())
	}
}

func TestAppliedInputReachesItsClientWithinFiveTicks(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7, 8)
	s.Applied(player(t, s.Zone, 7), 41)
	for range 5 { // alone it is not worth a frame
		s.step()
	}
	if a, b := s.eyes[7].mirror.Rows[0].Input, s.eyes[8].mirror.Rows[0].Input; a != 41 || b != 0 {
		t.Errorf("last inputs %d and %d, want 41 and 0", a, b)
	}
}

func TestPushGoesToOnePlayerOnADeclaredRoute(t *testing.T) {
	g := withAvatars()
	g.Declare(protocol.Route{ID: 70, Name: "avatars.told", MaxBytes: 5})
	game.OnPush(g, protocol.Route{ID: 71, Name: "avatars.tell"}, func(*game.Zone, *game.Player, *wrapperspb.StringValue) error { return nil })
	s := newStage(t, g, small(), 7, 8)
	p := player(t, s.Zone, 8)
	out := s.during(func() {
		if err := s.Push(p, 70, wrapperspb.String("abc")); err != nil {
			t.Error(err)
		}
		for _, c := range []struct {
			route uint16
			text  string
			say   string
		}{
			{70, "abcd", "6 bytes, the route's MaxBytes is 5"}, {70, "\xff", "UTF-8"},
			{71, "abc", "push on route 71"}, {72, "abc", "push on route 72"}, {protocol.RouteLogin, "abc", "push on route 32"},
		} {
			if err := s.Push(p, c.route, wrapperspb.String(c.text)); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("push of %q on route %d: %v, want %q", c.text, c.route, err, c.say)
			}
		}
	})
	if len(out.Messages) != 1 || out.Messages[0].Session != 8 || out.Messages[0].Type != protocol.TypePush || string(out.Messages[0].Payload) != "\x0a\x03abc" {
		t.Errorf("messages %+v, want one push for session 8", out.Messages)
	}
}

// counter counts calls.
func counter(n *int) func(int, *replica.Entity) { return func(int, *replica.Entity) { *n++ } }

func TestLateGatewayGetsEverythingAtOnce(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7)
	e := spawn(t, s.Zone, 120, 120)
	for range 50 {
		s.step()
	}
	late := stage{s.Zone, newEdge(t, s.Zone, 2)}
	late.open(9, 9)
	out := s.step(attach(2), join(2, 9))
	if err := late.take(out); err != nil {
		t.Fatal(err)
	}
	late.wantView("at the late gateway", 9, player(t, s.Zone, 7).Avatar(), player(t, s.Zone, 9).Avatar(), e)
	if len(out.Batches) != 2 || out.Batches[0].Gateway != 1 || out.Batches[1].Gateway != 2 {
		t.Errorf("%d batches, want one for each gateway in order of attachment", len(out.Batches))
	}
}
