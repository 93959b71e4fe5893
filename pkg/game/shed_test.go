package game_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestSheddingHalvesWhatCanWaitAndNothingElse(t *testing.T) {
	l := newLab(t)
	var must, may, visits int
	seen := map[game.EntityID]int{}
	l.Setup = func(z *game.Zone) error {
		z.System(func() { must++ })
		z.SystemEvery(game.Every(2).Shed(), func() { may++ })
		z.Visit(game.Every(4).Shed(), 2, func(e game.Entity) { visits++; seen[e.ID()]++ })
		for i := range int32(64) {
			if _, err := z.Spawn(2, 10+i, 10); err != nil {
				return err
			}
		}
		return nil
	}
	w := l.open()
	for level, want := range []struct{ may, each int }{{32, 16}, {16, 8}, {8, 4}, {4, 2}, {4, 2}} {
		must, may, visits = 0, 0, 0
		clear(seen)
		w.Input(0, game.Input{Kind: game.Shed, Number: uint64(level)})
		w.Tick(64)
		if must != 64 || may != want.may || visits != 64*want.each || w.Zone(0).Shed() != min(uint32(level), game.MaxShed) {
			t.Errorf("level %d: %d, %d and %d runs, want 64, %d and %d", level, must, may, visits, want.may, 64*want.each)
		}
		for id, n := range seen {
			if n != want.each {
				t.Errorf("level %d: entity %d was visited %d times, want %d", level, id, n, want.each)
			}
		}
	}
	if s := w.Zone(0).Stats().Shed; s.Level != 3 || s.Systems != 16+24+28+28 || s.Visits != 64*(8+12+14+14) {
		t.Errorf("counted %+v", s)
	}
	w.Input(0, game.Input{Kind: game.Shed})
	w.Tick(1)
	if w.Zone(0).Shed() != 0 {
		t.Error("it goes on shedding")
	}
}

func TestWhatIsSpawnedWhileInterestIsShedComesIntoViewLater(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{Width: 2000, EnterRadius: 300})
	anna := w.Join("anna")
	w.Input(0, game.Input{Kind: game.Shed, Number: 3})
	w.Tick(4)
	thing := l.spawn(w.Zone(0), 1, 1010, 1000)
	w.Tick(5)
	if !anna.Sees(thing.ID()) || w.Zone(0).Stats().Shed.Interest == 0 {
		t.Errorf("seen %v; %+v", anna.Sees(thing.ID()), w.Zone(0).Stats().Shed)
	}
	w.Zone(0).Edit(func() { w.Zone(0).Despawn(thing) })
	w.Tick(2)
	if anna.Sees(thing.ID()) {
		t.Error("what died is still seen")
	}
}
