package game_test

import (
	"math"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestTimersRunInTheirTickInOrderOfStarting(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{FirstTick: math.MaxUint32 - 2}) // across the wrap
	z := w.Zone(0)
	e := l.spawn(z, 1, 10, 10)
	start := z.Tick()
	z.Edit(func() {
		l.bell.After(e, 5, 1)
		l.bell.After(e, 2, 2)
		l.bell.After(e, 5, 3)
		l.bell.After(e, 0, 4)
		z.After(5, func() { l.rung = append(l.rung, ring{1, z.Tick(), 5}) })
		if left, ok := l.bell.Left(e); !ok || left != 1 {
			t.Errorf("the next rings in %d ticks, %v", left, ok)
		}
	})
	w.Tick(8)
	if want := []ring{{1, start + 1, 4}, {1, start + 2, 2}, {1, start + 5, 1}, {1, start + 5, 3}, {1, start + 5, 5}}; !slices.Equal(l.rung, want) {
		t.Errorf("rang %v, want %v", l.rung, want)
	}
	if _, ok := l.bell.Left(e); ok {
		t.Error("something is left")
	}
}

func TestTimersEndWithTheirEntityAndByCancel(t *testing.T) {
	l := newLab(t)
	w := l.open()
	z := w.Zone(0)
	dies, stays := l.spawn(z, 1, 10, 10), l.spawn(z, 1, 20, 20)
	z.Edit(func() {
		l.bell.After(dies, 3, 1)
		l.bell.After(stays, 3, 2)
		l.bell.After(stays, 4, 3)
	})
	w.Tick(1)
	z.Edit(func() {
		z.Despawn(dies)
		if n := l.bell.Cancel(stays); n != 2 {
			t.Errorf("%d were cancelled, want 2", n)
		}
	})
	w.Tick(1)
	reborn := l.spawn(z, 1, 30, 30)
	if reborn.Slot() != dies.Slot() {
		t.Fatal("the slot was not used again")
	}
	w.Tick(5)
	if len(l.rung) != 0 {
		t.Errorf("rang %v", l.rung)
	}
}

func TestATimerOfVeryLongNeitherRunsAtOnceNorHangsTheZone(t *testing.T) {
	l := newLab(t)
	again := l.Timer("again", func(z *game.Zone, e game.Entity, arg uint64) {})
	w := l.open()
	z := w.Zone(0)
	e := l.spawn(z, 1, 10, 10)
	z.Edit(func() {
		l.bell.After(e, math.MaxUint32, 1)
		again.After(e, 1<<31, 1)
		z.After(math.MaxUint32, func() { t.Error("ran") })
	})
	w.Tick(3)
	if left, ok := l.bell.Left(e); len(l.rung) != 0 || !ok || left != 1<<30-3 {
		t.Errorf("rang %v, %d ticks left", l.rung, left)
	}
}

func TestTimersThatAreNotTheGamesPanic(t *testing.T) {
	l := newLab(t)
	w := l.open()
	z := w.Zone(0)
	e := l.spawn(z, 1, 10, 10)
	panics(t, "keep the one that Game.Timer gave", func() { z.Edit(func() { game.Timer{}.After(e, 1, 0) }) })
	panics(t, "has 256 timers already", func() {
		z.Edit(func() {
			for range 300 {
				l.bell.After(e, 9, 0)
			}
		})
	})
	if l.Timer("bell", nil); l.Game != nil {
		if _, err := l.Routes(); err == nil {
			t.Error("a timer that is declared twice is no mistake")
		}
	}
}
