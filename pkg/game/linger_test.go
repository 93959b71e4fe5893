package game_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
)

// told are the routes and sessions of the messages of a tick, in order.
func told(out *game.Outputs) []string {
	lines := []string{}
	for _, m := range out.Messages {
		lines = append(lines, fmt.Sprint(m.Route, " to ", m.Session))
	}
	for _, o := range out.Batches { // events go once to each gateway
		var b batch.Batch
		if err := b.Decode(o.Bytes); err != nil {
			panic(err)
		}
		for _, e := range b.Events {
			lines = append(lines, fmt.Sprint(e.Route, " at gateway ", o.Gateway))
		}
	}
	return lines
}

// speaking is a game with a route of each delivery: 70 reliable, 71 an event, 72 the latest.
func speaking() *game.Game {
	g := withAvatars()
	g.Declare(protocol.Route{ID: 70, Name: "avatars.told"})
	g.Declare(protocol.Route{ID: 71, Name: "avatars.event", Delivery: protocol.AOIEvent})
	g.Declare(protocol.Route{ID: 72, Name: "avatars.latest", Delivery: protocol.Latest})
	return g
}

// emit speaks about something on routes, and lists who is told.
func (s stage) emit(about game.Being, routes ...uint16) []string {
	s.t.Helper()
	return told(s.during(func() {
		for _, r := range routes {
			if err := s.Emit(about, r, wrapperspb.String("x")); err != nil {
				s.t.Error(err)
			}
		}
	}))
}

func (s stage) wantTold(what string, got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		s.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func TestWhoLingersIsToldReliablyOfWhatItsAvatarSees(t *testing.T) {
	s := newStage(t, speaking(), small(), 7, 8)
	near, far := spawn(t, s.Zone, 150, 100), spawn(t, s.Zone, 1000, 1000)
	s.step()
	s.wantTold("both connected", s.emit(near, 70, 71, 72), "70 to 7", "70 to 8", "71 at gateway 1", "72 at gateway 1")
	s.close(7)
	s.step(disconnect(7))
	s.wantTold("7 lingers", s.emit(near, 70, 71, 72), "70 to 7", "70 to 8", "71 at gateway 1", "72 at gateway 1")
	s.wantTold("of what nobody sees", s.emit(far, 70, 71, 72))
	p := player(t, s.Zone, 7)
	if e, ok := s.Visible(p, near.ID()); !ok || e != near {
		t.Errorf("what stands beside who lingers: %v, %v; want it visible", e, ok)
	}
	if _, ok := s.Visible(p, far.ID()); ok {
		t.Error("what is far from who lingers is visible")
	}
	spectate(t, s.Zone, p, 10, 10)
	s.wantTold("its spectator has not looked yet", s.emit(far, 70))
	s.wantTold("its spectator has", s.emit(far, 70, 71), "70 to 7")
	if _, ok := s.Visible(p, far.ID()); !ok {
		t.Error("what a spectator without a connection sees is not visible")
	}
	near.SetPosition(1900, 100)
	s.wantTold("as of the last tick", s.emit(near, 70), "70 to 7", "70 to 8")
	s.wantTold("it walked away", s.emit(near, 70))

	s.wantTold("7 has left", told(s.step(leave(7))))
	s.wantTold("of its place", s.emit(far, 70))
	s.step()
	s.open(9, 9)
	s.step(join(1, 9))
	spectate(t, s.Zone, player(t, s.Zone, 9), 4000, 4000) // its observers have the places of 7's in the index by now
	s.step()
	for e := range s.Entities {
		if _, ok := s.Visible(p, e.ID()); ok {
			t.Errorf("who has left sees entity %d", e.ID())
		}
	}
}

func TestWhoLostItsGatewayIsToldOfTheOthersWhoDid(t *testing.T) {
	g := speaking()
	g.OnLinger = func(z *game.Zone, p *game.Player) {
		for _, r := range []uint16{70, 71} {
			if err := z.Emit(p.Avatar(), r, wrapperspb.String("x")); err != nil {
				t.Error(err)
			}
		}
	}
	z := newZone(t, g, small())
	z.Step([]game.Input{attach(1), attach(2), join(1, 7), join(2, 8), join(1, 9)})
	got := told(z.Step([]game.Input{{Kind: game.DetachGateway, Gateway: 1}}))
	want := []string{"70 to 7", "70 to 8", "70 to 9", "70 to 7", "70 to 8", "70 to 9", "71 at gateway 2", "71 at gateway 2"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestWhoHasLeftIsGoneAtOnce leaves and comes within one tick: nobody who has left is met, by hooks of the same tick neither.
func TestWhoHasLeftIsGoneAtOnce(t *testing.T) {
	var met []string
	g := speaking()
	meet := func(z *game.Zone, what string) {
		line := what + ":"
		for p := range z.Players {
			line += fmt.Sprint(" ", p.Session)
		}
		met = append(met, fmt.Sprint(line, " of ", z.PlayerCount()))
	}
	g.OnLeave = func(z *game.Zone, p *game.Player) {
		meet(z, fmt.Sprint("leave ", p.Session))
		if err := z.Emit(p.Avatar(), 70, wrapperspb.String("bye")); err != nil {
			t.Error(err)
		}
	}
	s := newStage(t, g, small(), 1, 2, 3, 4)
	s.step()
	joined := g.OnJoin
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		meet(z, fmt.Sprint("join ", p.Session))
		return joined(z, p)
	}
	for _, id := range []game.SessionID{1, 2, 3} {
		s.close(id)
	}
	s.open(2, 2)
	got := told(s.step(disconnect(1), leave(3), leave(2), join(1, 2), leave(1)))
	meet(s.Zone, "end")
	if want := []string{"leave 3: 1 2 3 4 of 4", "leave 2: 1 2 4 of 3", "join 2: 1 4 2 of 3", "leave 1: 1 4 2 of 3", "end: 4 2 of 2"}; !slices.Equal(met, want) {
		t.Errorf("met %q, want %q", met, want)
	}
	s.wantTold("in that tick", got, "70 to 1", "70 to 2", "70 to 3", "70 to 4", "70 to 1", "70 to 2", "70 to 4", fmt.Sprint(protocol.RouteAvatar, " to 2"), "70 to 1", "70 to 4")
	a, b := player(t, s.Zone, 2).Avatar(), player(t, s.Zone, 4).Avatar()
	s.step()
	s.wantView("who came again", 2, a, b)
	s.wantView("who stayed", 4, a, b)
}

// TestManyWhoDieWhileAViewGoesLeaveIt has more die than the player sees: its view is walked, not the dead.
func TestManyWhoDieWhileAViewGoesLeaveIt(t *testing.T) {
	s := newStage(t, withAvatars(), small(), 7)
	p, me := player(t, s.Zone, 7), player(t, s.Zone, 7).Avatar()
	stays, dies := spawn(t, s.Zone, 130, 100), []game.Entity{spawn(t, s.Zone, 1000, 1000), spawn(t, s.Zone, 140, 100), spawn(t, s.Zone, 1100, 1000)}
	spectate(t, s.Zone, p, 4000, 4000)
	s.step()
	s.wantView("everything", 7, append(dies, me, stays)...)
	s.during(func() {
		for range 20 {
			s.Despawn(spawn(t, s.Zone, 500, 500)) // was never in view
		}
		for _, e := range []int{2, 0, 1} {
			s.Despawn(dies[e])
		}
		spectate(t, s.Zone, p, 0, 0)
	})
	s.wantView("in that tick", 7, me, stays)
	for range 23 {
		spawn(t, s.Zone, 1500, 1500)
	}
	s.step()
	s.wantView("their slots' next entities are far away", 7, me, stays)
}
