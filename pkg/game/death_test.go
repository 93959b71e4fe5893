package game_test

import (
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestEntityDiesOnce(t *testing.T) {
	l := newLab(t)
	var killers []game.EntityID
	l.OnDeath = func(z *game.Zone, e game.Entity, by game.EntityID) {
		killers = append(killers, by)
		if !e.Alive() || !e.Dead() || z.Die(e, 99, 0) {
			t.Error("it is dead, and still there, and dies once")
		}
	}
	w := l.open()
	z := w.Zone(0)
	e := l.spawn(z, 1, 10, 10)
	gone := l.spawn(z, 1, 20, 10)
	z.Edit(func() {
		if !z.Die(e, 7, 0) || z.Die(e, 8, 0) {
			t.Error("the first killed, not the second")
		}
		z.Die(gone, 9, 0)
		z.Despawn(gone) // a rule despawns it itself
		if _, ok := z.Entity(e.ID()); !ok {
			t.Error("it is gone before the end of the tick")
		}
	})
	w.Tick(1)
	if !e.Alive() || !e.Dead() {
		t.Error("it does not lie there for a tick")
	}
	w.Tick(1)
	if e.Alive() || !slices.Equal(killers, []game.EntityID{7, 9}) {
		t.Errorf("alive %v, killers %v", e.Alive(), killers)
	}
}

func TestPlayerComesBackAfterItsAvatarDied(t *testing.T) {
	l := newLab(t)
	var ticks []uint32
	l.OnRespawn = func(z *game.Zone, p *game.Player) error {
		ticks = append(ticks, z.Tick())
		return l.OnJoin(z, p)
	}
	w := l.open()
	anna, ben := w.Join("anna"), w.Join("ben")
	w.Tick(2)
	z := w.Zone(0)
	first, died := anna.Avatar(), z.Tick()
	z.Edit(func() {
		z.Die(first, 0, 5)
		z.Die(ben.Avatar(), 0, 5)
	})
	w.Tick(3)
	ben.Leave()
	if anna.Avatar().Alive() {
		t.Error("anna is alive already")
	}
	w.Tick(5)
	if !slices.Equal(ticks, []uint32{died + 5}) || !anna.Avatar().Alive() || anna.Avatar() == first || !anna.Sees(anna.Avatar().ID()) {
		t.Errorf("came back in %v, want %d; avatar %v", ticks, died+5, anna.Avatar().ID())
	}
	z.Edit(func() { z.Die(anna.Avatar(), 0, 0) }) // for good
	w.Tick(10)
	if len(ticks) != 1 {
		t.Error("came back for nothing")
	}
}

func TestWhatDiesAtABorderDoesNotCross(t *testing.T) {
	l := newLab(t)
	l.OnDepart = func(z *game.Zone, p *game.Player, _ game.Destination) { z.Die(p.Avatar(), 0, 0) }
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	a := anna.Avatar()
	l.send(w.Zone(0), a, game.Destination{X: 1500, Y: 500})
	w.Tick(3)
	if n := w.Zone(0).Len() + w.Zone(1).Len(); n != 0 || w.Zone(0).Stats().Departures != 0 || anna.Zone() != w.Zone(0) {
		t.Errorf("%d entities live; %d departed", n, w.Zone(0).Stats().Departures)
	}
}
