package game_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// add calls an entity from a zone and returns where its answer will be: its value and the code of its error.
func add(t *testing.T, z *game.Zone, to game.EntityID, by int64) *[2]int64 {
	t.Helper()
	got := &[2]int64{-1, -1}
	z.Edit(func() {
		if err := game.Call(z, nil, to, callAdd, wrapperspb.Int64(by), game.Async{Ticks: 30}, func(m *wrapperspb.Int64Value, err error) {
			if got[1] != -1 {
				t.Error("answered twice")
			}
			*got = [2]int64{m.GetValue(), int64(codeOf(err))}
		}); err != nil {
			t.Fatal(err)
		}
	})
	return got
}

func TestCallIsAnsweredWhateverBecomesOfIt(t *testing.T) {
	l := newLab(t)
	w := l.open(row(3)...)
	near, far := l.spawn(w.Zone(0), 1, 10, 10), l.spawn(w.Zone(2), 1, 2500, 10)
	moving := l.spawn(w.Zone(1), 1, 1500, 10)
	w.Tick(1)
	moved := moving.ID()
	l.send(w.Zone(1), moving, game.Destination{X: 2500, Y: 500})
	calls := []*[2]int64{
		add(t, w.Zone(0), near.ID(), 1), add(t, w.Zone(0), far.ID(), 2), add(t, w.Zone(0), moved, 3),
		add(t, w.Zone(0), 999, 1), add(t, w.Zone(0), 1<<40, 1), add(t, w.Zone(0), near.ID(), -1),
	}
	w.Tick(12)
	none := int64(protocol.ErrorUnavailable)
	for i, want := range [][2]int64{{1, 0}, {2, 0}, {3, 0}, {0, none}, {0, none}, {0, 1002}} {
		if *calls[i] != want {
			t.Errorf("call %d: answer and code %v, want %v", i, *calls[i], want)
		}
	}
	w.Zone(0).Edit(func() {
		if err := game.Call(w.Zone(0), near, far.ID(), 77, wrapperspb.Int64(1), game.Async{}, func(*wrapperspb.Int64Value, error) {}); err == nil || !strings.Contains(err.Error(), "no handler of call 77") {
			t.Errorf("a call that nobody handles: %v", err)
		}
	})
}

func TestAskThatIsNoCallIsAnsweredByWhy(t *testing.T) {
	l := newLab(t)
	z := newZone(t, l.Game, game.Config{})
	e, err := z.Spawn(1, 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	ask := game.Input{Kind: game.Ask, Zone: 7, Number: 5, Entity: e.ID(), Route: callAdd, Payload: []byte{0xff}}
	unknown, gone := ask, ask
	unknown.Route, gone.Entity = 88, 4444
	out := z.Step([]game.Input{ask, unknown, gone})
	var codes []protocol.ErrorCode
	for _, a := range out.Answers {
		if a.Zone != 7 || a.Number != 5 {
			t.Errorf("%+v", a)
		}
		codes = append(codes, codeOf(a.Err))
	}
	if want := []protocol.ErrorCode{protocol.ErrorMalformed, protocol.ErrorUnknownRoute, 0}; !slices.Equal(codes, want) || !out.Answers[2].Moved {
		t.Errorf("codes %v, want %v; %+v", codes, want, out.Answers)
	}
}
