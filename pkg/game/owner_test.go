package game_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestChangeOutsideOfATickPanicsWithAdvice(t *testing.T) {
	l := newLab(t)
	w := l.open()
	anna := w.Join("anna")
	w.Tick(1)
	z, p, e := w.Zone(0), anna.Player(), anna.Avatar()
	for name, do := range map[string]func(){
		"spawn": func() { _, _ = z.Spawn(1, 1, 1) }, "despawn": func() { z.Despawn(e) }, "move": func() { e.SetPosition(1, 1) }, "velocity": func() { e.SetVelocity(1, 1) },
		"field": func() { setHP(e, 3) }, "tag": func() { e.SetTag(1) }, "owner": func() { e.SetOwner(nil) }, "parent": func() { _ = e.SetParent(nil) }, "die": func() { z.Die(e, 0, 0) },
		"push": func() { _ = z.Push(p, routeNote, wrapperspb.String("")) }, "emit": func() { _ = z.Emit(e, routeNote, wrapperspb.String("")) }, "broadcast": func() { _ = z.Broadcast(routeNote, wrapperspb.String("")) },
		"join group": func() { z.JoinGroup(p, 1) }, "leave group": func() { z.LeaveGroup(p, 1) }, "kick": func() { z.KickPlayer(p, "") }, "control": func() { _ = z.Control(p, e) },
		"spectate": func() { _, _ = z.Spectate(p, 1) }, "transfer": func() { _ = z.Transfer(e, game.Destination{}) }, "timer": func() { l.bell.After(e, 1, 0) },
		"cancel": func() { l.bell.Cancel(e) }, "after": func() { z.After(1, nil) }, "respawn": func() { z.RespawnIn(p, 1) }, "system": func() { z.System(nil) },
		"visit": func() { z.Visit(game.Schedule{}, 1, nil) }, "work": func() { game.Go[int](z, game.Async{}, nil, nil) },
		"call": func() {
			_ = game.Call(z, nil, 1, callAdd, wrapperspb.Int64(1), game.Async{}, func(*wrapperspb.Int64Value, error) {})
		},
	} {
		t.Run(name, func(t *testing.T) { panics(t, "changed outside of its tick", do) })
	}
}

func TestAnotherGoroutineIsCaught(t *testing.T) {
	l := newLab(t)
	var caught any
	l.Setup = func(z *game.Zone) error {
		z.System(func() {
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_, _ = z.Spawn(1, 1, 1)
			}()
			caught = <-done
		})
		return nil
	}
	w := l.open(game.Config{Strict: true})
	w.Tick(1)
	if !strings.Contains(fmt.Sprint(caught), "goroutine that is not its owner") || w.Zone(0).Len() != 0 {
		t.Errorf("caught %v; %d entities", caught, w.Zone(0).Len())
	}
}

func TestStepWithinAStepIsCaughtAndTheZoneGoesOn(t *testing.T) {
	l := newLab(t)
	l.Setup = func(z *game.Zone) error {
		z.System(func() { z.Step(nil) })
		z.System(func() { z.Edit(func() {}) })
		return nil
	}
	w := l.open()
	w.Lenient = true
	w.Tick(2)
	if w.Zone(0).Tick() != 2 || len(w.Panics) != 4 || !strings.Contains(w.Panics[0].Value, "stepped within its own step") {
		t.Errorf("tick %d, panics %+v", w.Zone(0).Tick(), w.Panics)
	}
	panics(t, "changed outside of its tick", func() { _, _ = w.Zone(0).Spawn(1, 1, 1) })
}

func TestEditThatPanicsLeavesTheZoneClosed(t *testing.T) {
	l := newLab(t)
	w := l.open()
	func() {
		defer func() { _ = recover() }()
		w.Zone(0).Edit(func() { panic("test") })
	}()
	panics(t, "changed outside of its tick", func() { _, _ = w.Zone(0).Spawn(1, 1, 1) })
	w.Tick(1)
}

func TestPlayersWhoLeftControlNothing(t *testing.T) {
	l := newLab(t)
	w := l.open()
	anna := w.Join("anna")
	w.Tick(1)
	p := anna.Player()
	anna.Leave()
	w.Tick(1)
	e := l.spawn(w.Zone(0), 1, 10, 10)
	w.Zone(0).Edit(func() {
		if err := w.Zone(0).Control(p, e); err == nil {
			t.Error("it controls an entity")
		}
		if _, err := w.Zone(0).Spectate(p, 100); err == nil {
			t.Error("it spectates")
		}
	})
	if e.Player() != nil {
		t.Error("the entity is its avatar")
	}
}

func TestStrictNoticesReadersToo(t *testing.T) {
	l := newLab(t)
	cfg := game.Config{Strict: true}
	z := newZone(t, l.Game, cfg)
	e := spawn(t, z, 10, 10)
	z.Edit(func() {
		for name, read := range map[string]func(){
			"position": func() { e.Position() }, "component": func() { stateOf(e) }, "within": func() { z.Within(10, 10, 5, func(game.Entity) bool { return true }) },
			"kind": func() { z.OfKind(1)(func(e game.Entity) bool { e.Position(); return true }) }, "players": func() { z.Players(func(*game.Player) bool { return true }) },
		} {
			caught := make(chan any)
			go func() {
				defer func() { caught <- recover() }()
				read()
			}()
			if v := <-caught; v == nil {
				t.Errorf("%s: read by another goroutine without a panic", name)
			}
		}
	})
	e.Position() // it rests
}
