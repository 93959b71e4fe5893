package game_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestGroupHasMembersInManyZones(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	anna, ben, carl := w.Join("anna"), w.Join("ben"), w.Join("carl")
	w.Tick(1)
	z := w.Zone(0)
	z.Edit(func() {
		z.JoinGroup(anna.Player(), 5)
		z.JoinGroup(ben.Player(), 5)
		z.JoinGroup(ben.Player(), 5)
		z.JoinGroup(&game.Player{Name: "operator"}, 5) // has no session
	})
	l.send(z, ben.Avatar(), game.Destination{X: 1500, Y: 500})
	w.Tick(3)
	note := func(text string) {
		z.Edit(func() {
			if err := z.PushGroup(5, routeNote, wrapperspb.String(text)); err != nil {
				t.Error(err)
			}
		})
		w.Tick(1)
	}
	want := func(a, b, c int) {
		t.Helper()
		if x, y, v := len(anna.Take(routeNote)), len(ben.Take(routeNote)), len(carl.Take(routeNote)); x != a || y != b || v != c {
			t.Errorf("anna got %d, ben %d, carl %d; want %d, %d, %d", x, y, v, a, b, c)
		}
	}
	note("all")
	want(1, 1, 0)
	w.Zone(1).Edit(func() { w.Zone(1).LeaveGroup(ben.Player(), 5) })
	w.Tick(1)
	note("one")
	want(1, 0, 0)
	z.Edit(func() {
		if err := z.Broadcast(routeNote, wrapperspb.String("here")); err != nil {
			t.Error(err)
		}
		if err := z.PushGroup(5, 9999, wrapperspb.String("x")); err == nil {
			t.Error("a route that nobody declared is no mistake")
		}
	})
	w.Tick(1)
	want(1, 0, 1)
}

func TestEmitReachesThoseWhoSeeFromWhicheverZone(t *testing.T) {
	for name, route := range map[string]uint16{"reliable": routeNote, "event": routeBang} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			w := l.open(row(2)...)
			anna, ben := w.Join("anna"), w.Join("ben")
			w.Tick(1)
			w.Zone(0).Edit(func() { anna.Avatar().SetPosition(950, 500); ben.Avatar().SetPosition(300, 500) })
			thing := l.spawn(w.Zone(1), 1, 1100, 500)
			w.Tick(4)
			w.Zone(1).Edit(func() {
				if err := w.Zone(1).Emit(thing, route, wrapperspb.String("x")); err != nil {
					t.Fatal(err)
				}
			})
			w.Tick(1)
			if a, b := len(anna.Take(route)), len(ben.Take(route)); a != 1 || b != 0 {
				t.Errorf("anna, who sees it from zone 1, got %d; ben, who does not, %d", a, b)
			}
		})
	}
}

func TestMessagesThatCannotBeSentSayWhy(t *testing.T) {
	l := newLab(t)
	w := l.open()
	anna := w.Join("anna")
	w.Tick(1)
	w.Zone(0).Edit(func() {
		big := wrapperspb.Bytes(make([]byte, protocol.DefaultMaxBytes+1))
		for what, err := range map[string]error{
			"above MaxBytes": w.Zone(0).Push(anna.Player(), routeNote, big), "a client's route": w.Zone(0).Push(anna.Player(), routeCount, wrapperspb.Int64(1)),
			"no UTF-8": w.Zone(0).Push(anna.Player(), routeNote, wrapperspb.String("\xff")), "emitted": w.Zone(0).Emit(anna.Avatar(), routeBang, big),
		} {
			if err == nil {
				t.Errorf("%s: no error", what)
			}
		}
	})
	w.Tick(1)
	if n := len(anna.Take(routeNote)) + len(anna.Take(routeBang)); n != 0 {
		t.Errorf("%d were sent all the same", n)
	}
}

func TestOfWhatDespawnsOnlyReliableMessagesTell(t *testing.T) {
	l := newLab(t)
	w := l.open()
	anna := w.Join("anna")
	w.Tick(2)
	z := w.Zone(0)
	x, y := anna.Avatar().Position()
	wolf := l.spawn(z, 1, x, y)
	w.Tick(2)
	z.Edit(func() {
		for _, about := range []game.Entity{wolf, anna.Avatar()} {
			if err := errors.Join(z.Emit(about, routeBang, wrapperspb.String("x")), z.Emit(about, routeNote, wrapperspb.String("x"))); err != nil {
				t.Fatal(err)
			}
		}
		z.Despawn(wolf)
	})
	w.Tick(1)
	if events, notes := len(anna.Take(routeBang)), len(anna.Take(routeNote)); events != 1 || notes != 2 || anna.Sees(wolf.ID()) {
		t.Errorf("%d events and %d messages, want the killer's event and both messages", events, notes)
	}
}
