package game_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestWhoDiesLiesForATickAndIsHeardOf(t *testing.T) {
	g := speaking()
	g.OnDeath = func(z *game.Zone, e game.Entity, _ game.EntityID) {
		if err := z.Emit(e, 71, wrapperspb.String("dies")); err != nil {
			t.Error(err)
		}
	}
	s := newStage(t, g, small(), 7)
	victim := spawn(t, s.Zone, 150, 100)
	visits := 0
	s.Visit(game.Every(1), 1, func(e game.Entity) {
		if e == victim {
			visits++
		}
	})
	s.step()
	before := visits
	if !s.Die(victim, 0, 0) || s.Die(victim, 0, 0) {
		t.Error("it died never, or twice")
	}
	if got := told(s.step()); !slices.Equal(got, []string{"71 at gateway 1"}) || !victim.Alive() || !victim.Dead() {
		t.Errorf("told %v; alive %v", got, victim.Alive())
	}
	s.step()
	if victim.Alive() || visits != before {
		t.Errorf("alive %v after a tick, visited %d times more", victim.Alive(), visits-before)
	}
}
