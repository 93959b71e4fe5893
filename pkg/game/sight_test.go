package game_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Who sees an entity from the next tick on has not heard what happened to it before, though its gateway takes two batches at once.
func TestEventsAreForThoseWhoSawThem(t *testing.T) {
	l := newLab(t)
	l.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, map[game.SessionID]int32{1: 900, 2: 120}[p.Session], 100)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	s := newStage(t, l.Game, row(1)[0], 1, 2)
	s.step()
	var e game.Entity
	s.Edit(func() { e, _ = s.Spawn(2, 100, 100) })
	s.step()
	s.wantView("before", 1, player(t, s.Zone, 1).Avatar())
	s.Edit(func() { _ = s.Emit(e, routeBang, wrapperspb.String("secret")) })
	take := func(out *game.Outputs) {
		for _, b := range out.Batches {
			if err := s.rep.Apply(append([]byte(nil), b.Bytes...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(s.Step(nil))
	s.Edit(func() { player(t, s.Zone, 1).Avatar().SetPosition(130, 100) })
	take(s.Step(nil))
	s.now += 2
	c := s.eyes[1].client
	var w delta.Writer
	c.Frame(&w, s.now)
	c.Events(false, func(ev *replica.Event) { t.Errorf("session 1 hears %q of what it did not see", ev.Payload) })
}

// A view reaches beyond a narrow neighbour.
func TestViewsReachBeyondNarrowZones(t *testing.T) {
	l := newLab(t)
	l.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 190, 100)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	w := l.open(game.Grid(game.Config{Width: 600, Height: 1000, EnterRadius: 300, LeaveRadius: 330, Margin: 20}, 3, 1)...)
	anna := w.Join("anna")
	w.Tick(1)
	e := l.spawn(w.Zone(2), 2, 410, 100)
	w.Tick(5)
	seen := false
	for i := range anna.Mirror.Entities {
		if m := &anna.Mirror.Entities[i]; m.Live && game.EntityID(m.ID) == e.ID() {
			seen = true
		}
	}
	if !seen {
		t.Error("an entity at 220 quanta, in the zone after the next, is not seen by a view of 300")
	}
}
