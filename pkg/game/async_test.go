package game_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// codeOf is the code of an error; 0: it has none.
func codeOf(err error) protocol.ErrorCode {
	var e *game.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestResultsOfEveryTypeComeBackInALaterTick(t *testing.T) {
	l := newLab(t)
	w := l.open()
	z := w.Zone(0)
	type rows struct{ Names []string }
	var got []any
	z.Edit(func() {
		game.Go(z, game.Async{}, func(context.Context) (*wrapperspb.Int64Value, error) { return wrapperspb.Int64(7), nil },
			func(m *wrapperspb.Int64Value, err error) { got = append(got, m.Value, err) })
		game.Go(z, game.Async{}, func(context.Context) ([]byte, error) { return []byte("raw"), nil },
			func(b []byte, err error) { got = append(got, string(b), err) })
		game.Go(z, game.Async{}, func(context.Context) (rows, error) { return rows{[]string{"a", "b"}}, nil },
			func(r rows, err error) { got = append(got, len(r.Names), err) })
		game.Go(z, game.Async{}, func(context.Context) (int, error) { return 3, &game.Error{Code: 1009, Message: "sold"} },
			func(n int, err error) { got = append(got, n, codeOf(err)) })
	})
	if len(got) != 0 {
		t.Error("a result came at once")
	}
	w.Tick(2)
	if want := []any{int64(7), nil, "raw", nil, 2, nil, 0, protocol.ErrorCode(1009)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// begin has a zone start work whose result the test gives by its number, which it returns.
func begin(z *game.Zone, a game.Async, then func(string, error)) (number uint64) {
	z.Edit(func() { game.Go(z, a, func(context.Context) (string, error) { return "", nil }, then) })
	out := z.Step(nil)
	if len(out.Jobs) != 1 {
		return 0
	}
	return out.Jobs[0].Number
}

func TestFutureRunsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		ticks int // before the first result
		twice bool
		code  protocol.ErrorCode
		out   uint64 // timeouts
	}{
		"in time":  {},
		"twice":    {twice: true},
		"too late": {ticks: 12, code: protocol.ErrorUnavailable, out: 1},
	} {
		t.Run(name, func(t *testing.T) {
			z, err := game.NewZone(newLab(t).Game, game.Config{AsyncTicks: 10})
			if err != nil {
				t.Fatal(err)
			}
			ran, code := 0, protocol.ErrorCode(0)
			n := begin(z, game.Async{}, func(_ string, err error) { ran++; code = codeOf(err) })
			for range c.ticks {
				z.Step(nil)
			}
			done := game.Input{Kind: game.Done, Number: n, Payload: []byte(`"x"`)}
			in := []game.Input{done}
			if c.twice {
				in = append(in, done)
			}
			z.Step(in)
			for range 20 {
				z.Step(nil)
			}
			if ran != 1 || code != c.code || z.Stats().Timeouts != c.out {
				t.Errorf("ran %d times with code %d, %d timeouts", ran, code, z.Stats().Timeouts)
			}
		})
	}
}

func TestTooMuchWorkFailsInTheNextTick(t *testing.T) {
	z, err := game.NewZone(newLab(t).Game, game.Config{MaxAsync: 2})
	if err != nil {
		t.Fatal(err)
	}
	var codes []protocol.ErrorCode
	for range 3 {
		begin(z, game.Async{Ticks: 50}, func(_ string, err error) { codes = append(codes, codeOf(err)) })
	}
	z.Step(nil)
	if !slices.Equal(codes, []protocol.ErrorCode{protocol.ErrorOverloaded}) {
		t.Errorf("codes %v", codes)
	}
}

func TestResultForAPlayerWhoHasGoneIsDroppedUnlessItMustRun(t *testing.T) {
	for name, c := range map[string]struct {
		gone    game.Gone
		ran     int
		dropped uint64
	}{"drop": {game.DropIfGone, 0, 1}, "run": {game.RunIfGone, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			z, err := game.NewZone(newLab(t).Game, game.Config{})
			if err != nil {
				t.Fatal(err)
			}
			z.Step([]game.Input{attach(1), join(1, 1)})
			p, _ := z.PlayerOf(1)
			ran := 0
			n := begin(z, game.Async{Name: "buy", Player: p, IfGone: c.gone}, func(string, error) {
				ran++
				if p.Here() || p.Name != "player 1" {
					t.Errorf("%+v", p)
				}
			})
			z.Step([]game.Input{leave(1)})
			z.Step([]game.Input{{Kind: game.Done, Number: n, Payload: []byte(`""`)}})
			if ran != c.ran || z.Stats().Dropped != c.dropped {
				t.Errorf("ran %d times, dropped %d", ran, z.Stats().Dropped)
			}
		})
	}
}
