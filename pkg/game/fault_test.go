package game_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestWhatPanicsAgainAndAgainIsSwitchedOffUntilReleased(t *testing.T) {
	l := newLab(t)
	runs, visits := 0, 0
	bad := l.Timer("bad", func(*game.Zone, game.Entity, uint64) { panic("timer") })
	l.Setup = func(z *game.Zone) error {
		z.System(func() { runs++; panic("system") })
		z.Visit(game.Every(1), 2, func(game.Entity) { visits++; panic("visit") })
		return nil
	}
	w := l.open(game.Config{Panics: 3, PanicTicks: 50})
	w.Lenient = true
	z := w.Zone(0)
	anna := w.Join("anna")
	w.Tick(1) // the system has panicked once
	l.spawn(z, 2, 10, 10)
	e := l.spawn(z, 2, 20, 10)
	var codes []protocol.ErrorCode
	for range 4 {
		id := anna.Request(routeBoom, wrapperspb.Int64(1))
		z.Edit(func() { bad.After(e, 1, 0) })
		w.Tick(1)
		_, err := anna.Reply(id, nil)
		codes = append(codes, codeOf(err))
	}
	if want := []protocol.ErrorCode{protocol.ErrorInternal, protocol.ErrorInternal, protocol.ErrorInternal, protocol.ErrorUnavailable}; !slices.Equal(codes, want) {
		t.Errorf("the client was told %v, want %v", codes, want)
	}
	for _, c := range []*gametest.Client{w.Join("ben"), w.Join("cem")} { // one player's panics are not everybody's
		if names := z.Quarantined(); slices.Contains(names, "lab.boom") {
			t.Errorf("switched off %q, though others have not tried", names)
		}
		w.Tick(1)
		c.Request(routeBoom, wrapperspb.Int64(1))
		w.Tick(1)
	}
	if names := z.Quarantined(); len(names) != 4 || z.Stats().Quarantined != 4 || runs != 3 || visits != 3 {
		t.Errorf("switched off %q, counted %d; the system ran %d times, visits %d", names, z.Stats().Quarantined, runs, visits)
	}
	if n := len(w.Panics); n != 14 || w.Panics[n-1].Stack == nil {
		t.Errorf("%d panics", n)
	}
	for _, p := range w.Panics {
		if p.Where == "lab.boom" && (p.Session == anna.Session && p.Entity != anna.Avatar().ID() || p.Session == 0 || p.Value != "boom" || !strings.Contains(string(p.Stack), "lab_test.go")) {
			t.Errorf("%+v\n%s", p, p.Stack)
		}
	}
	w.Input(0, game.Input{Kind: game.Release, Text: "lab.boom"})
	w.Tick(1)
	if names := z.Quarantined(); len(names) != 3 || slices.Contains(names, "lab.boom") {
		t.Errorf("after one release %q", names)
	}
	w.Input(0, game.Input{Kind: game.Release})
	w.Tick(1)
	if runs != 4 || z.Stats().Quarantined != 0 {
		t.Errorf("after all releases the system ran %d times, %d are switched off", runs, z.Stats().Quarantined)
	}
}

func TestPanicsThatAreFarApartSwitchNothingOff(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{Panics: 2, PanicTicks: 5})
	w.Lenient = true
	anna := w.Join("anna")
	w.Tick(1)
	for range 4 {
		anna.Push(routeBoom, wrapperspb.Int64(1))
		w.Tick(7)
	}
	if q := w.Zone(0).Quarantined(); len(q) != 0 || len(w.Panics) != 4 {
		t.Errorf("switched off %q after %d panics", q, len(w.Panics))
	}
}

func TestDelayedCallsAndHooksAreNeverSwitchedOff(t *testing.T) {
	l := newLab(t)
	l.OnLeave = func(*game.Zone, *game.Player) { panic("hook") }
	w := l.open(game.Config{Panics: 1})
	w.Lenient = true
	ran := 0
	for range 3 {
		anna := w.Join("anna")
		w.Zone(0).Edit(func() { w.Zone(0).After(1, func() { ran++; panic("delayed") }) })
		w.Tick(1)
		anna.Leave()
		w.Tick(1)
	}
	if s := w.Zone(0).Stats(); ran != 3 || s.Quarantined != 0 || s.Panics != 6 || w.Zone(0).PlayerCount() != 0 || w.Zone(0).Len() != 0 {
		t.Errorf("ran %d times, %d switched off, %d panics, %d players and %d entities are left", ran, s.Quarantined, s.Panics, w.Zone(0).PlayerCount(), w.Zone(0).Len())
	}
}

func TestAVisitThatPanicsCostsTheOthersNothing(t *testing.T) {
	l := newLab(t)
	var visited []game.EntityID
	var bad game.EntityID
	l.Setup = func(z *game.Zone) error {
		z.Visit(game.Schedule{}, 2, func(e game.Entity) {
			if e.ID() == bad {
				panic("visit")
			}
			visited = append(visited, e.ID())
		})
		return nil
	}
	w := l.open()
	w.Lenient = true
	a, b, c := l.spawn(w.Zone(0), 2, 10, 10), l.spawn(w.Zone(0), 2, 20, 10), l.spawn(w.Zone(0), 2, 30, 10)
	bad = b.ID()
	w.Tick(1)
	if !slices.Equal(visited, []game.EntityID{a.ID(), c.ID()}) || w.Panics[0].Entity != bad {
		t.Errorf("visited %v; %+v", visited, w.Panics[0].Entity)
	}
}
