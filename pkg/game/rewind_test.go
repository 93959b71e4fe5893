package game_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestRewindKnowsWhereWhoLivesNowWasThen(t *testing.T) {
	l := newLab(t)
	check := func() {}
	l.Setup = func(z *game.Zone) error {
		z.System(func() { check() })
		z.System(z.Drift)
		return nil
	}
	first := ^uint32(0) - 4 // across the wrap
	w := l.open(game.Config{Width: 4000, Rewind: 8, FirstTick: first})
	z := w.Zone(0)
	e, dies := l.spawn(z, 1, 100, 100), l.spawn(z, 1, 200, 100)
	z.Edit(func() { e.SetVelocity(10, 0) })
	if _, ok := z.Rewind(first - 1); ok {
		t.Error("it knows a tick before the first")
	}
	w.Tick(12) // at 220
	z.Edit(func() { z.Despawn(dies) })
	w.Tick(1)
	reborn := l.spawn(z, 1, 300, 300)
	if reborn.Slot() != dies.Slot() {
		t.Fatal("the slot was not used again")
	}
	w.Tick(1)
	now, _ := e.Position()
	check = func() { checkPast(t, z, e, now, dies, reborn) }
	w.Tick(1)
	if _, _, ok := (game.Past{}).Position(e); ok {
		t.Error("the zero Past knows something")
	}
}

// checkPast wants e, who comes from the left, where it was, and the others nowhere.
func checkPast(t *testing.T, z *game.Zone, e game.Entity, now int32, dies, reborn game.Entity) {
	t.Helper()
	for ago := range uint32(12) {
		past, ok := z.Rewind(z.Tick() - ago)
		if want := ago >= 1 && ago <= 8; ok != want {
			t.Errorf("%d ticks ago: %v", ago, ok)
		} else if !ok {
			continue
		}
		if x, y, ok := past.Position(e); !ok || x != now-10*int32(ago-1) || y != 100 || past.Tick() != z.Tick()-ago {
			t.Errorf("%d ticks ago it was at %d, %d, %v", ago, x, y, ok)
		}
		for _, other := range []game.Entity{dies, reborn, {}} {
			if _, _, ok := past.Position(other); ok != (other == reborn && ago == 1) {
				t.Errorf("%d ticks ago entity %d was there: %v", ago, other.ID(), ok)
			}
		}
		if _, ok := past.Distance(e, dies); ok {
			t.Error("it has a distance to who was not there")
		}
		if d, ok := past.Distance(e, e); !ok || d != 0 {
			t.Errorf("distance to itself %v, %v", d, ok)
		}
	}
}

func TestRewindKnowsNothingOfATickThatHasNotBeen(t *testing.T) {
	w := newLab(t).open(game.Config{Rewind: 8})
	w.Tick(3)
	for tick, want := range map[uint32]bool{2: true, 1: true, 0: false, 3: false, 4: false} {
		if _, ok := w.Zone(0).Rewind(tick); ok != want {
			t.Errorf("tick %d: %v", tick, ok)
		}
	}
	off := newLab(t).open()
	off.Tick(3)
	if _, ok := off.Zone(0).Rewind(2); ok {
		t.Error("a zone without Rewind looks back")
	}
}
