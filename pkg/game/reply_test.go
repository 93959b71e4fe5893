package game_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

type int64Reply = game.Reply[*wrapperspb.Int64Value]

// answers are how often a request was answered so far, and with what code last; 0: it was no error.
func answers(c *gametest.Client) (n int, code protocol.ErrorCode) {
	for _, m := range c.Take(routeLater) {
		n++
		code = 0
		var e *game.Error
		if errors.As(gametest.FailureOf(&m), &e) {
			code = e.Code
		}
	}
	return n, code
}

func TestDeferredRequestIsAnsweredOnce(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		begin func(r int64Reply) error
		then  func(r int64Reply)
		code  protocol.ErrorCode
		late  uint64
		panic bool
	}{
		"at once":               {begin: func(r int64Reply) error { return r.Send(wrapperspb.Int64(1)) }},
		"later":                 {then: func(r int64Reply) { _ = r.Send(wrapperspb.Int64(1)) }},
		"by an error":           {begin: func(int64Reply) error { return boom }, code: protocol.ErrorInternal},
		"by an error of its":    {then: func(r int64Reply) { r.Fail(&game.Error{Code: 1005}) }, code: 1005},
		"twice":                 {begin: func(r int64Reply) error { return r.Send(wrapperspb.Int64(1)) }, then: func(r int64Reply) { r.Fail(boom) }, late: 1},
		"and an error":          {begin: func(r int64Reply) error { _ = r.Send(wrapperspb.Int64(1)); return boom }, late: 1},
		"never":                 {code: protocol.ErrorUnavailable, late: 1},
		"by a panic":            {begin: func(int64Reply) error { panic("x") }, code: protocol.ErrorInternal, panic: true},
		"before a panic":        {begin: func(r int64Reply) error { _ = r.Send(wrapperspb.Int64(1)); panic("x") }, panic: true},
		"by a panic, and later": {begin: func(int64Reply) error { panic("x") }, then: func(r int64Reply) { _ = r.Send(wrapperspb.Int64(1)) }, code: protocol.ErrorInternal, late: 1, panic: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var kept int64Reply
			l.later = func(_ *game.Zone, _ *game.Player, r int64Reply) error {
				kept = r
				if c.begin != nil {
					return c.begin(r)
				}
				return nil
			}
			w := l.open(game.Config{ReplyTicks: 10})
			w.Lenient = c.panic
			anna := w.Join("anna")
			w.Tick(1)
			anna.Request(routeLater, wrapperspb.Int64(1))
			w.Tick(2)
			if c.then != nil {
				w.Zone(0).Edit(func() { c.then(kept) })
			}
			w.Tick(20)
			if n, code := answers(anna); n != 1 || code != c.code || kept.Pending() {
				t.Errorf("%d answers, the last of code %d, pending %v; want one of %d", n, code, kept.Pending(), c.code)
			}
			if got := w.Zone(0).Stats().LateReplies; got != c.late || len(w.Panics) > 0 != c.panic {
				t.Errorf("%d late replies, want %d; panics %v", got, c.late, w.Panics)
			}
		})
	}
}

func TestReplyToAPlayerWhoLeftIsDroppedAndCounted(t *testing.T) {
	l := newLab(t)
	var kept []int64Reply
	l.later = func(_ *game.Zone, _ *game.Player, r int64Reply) error { kept = append(kept, r); return nil }
	w := l.open(game.Config{ReplyTicks: 10})
	sent := 0
	w.Outputs = func(_ *game.Zone, out *game.Outputs) {
		for _, m := range out.Messages {
			if m.Route == routeLater {
				sent++
			}
		}
	}
	anna := w.Join("anna")
	w.Tick(1)
	anna.Request(routeLater, wrapperspb.Int64(1))
	anna.Request(routeLater, wrapperspb.Int64(1))
	w.Tick(1)
	anna.Leave()
	w.Tick(1)
	if len(kept) != 2 || kept[0].Pending() {
		t.Fatalf("%d requests, pending", len(kept))
	}
	w.Zone(0).Edit(func() { _ = kept[0].Send(wrapperspb.Int64(1)) })
	w.Tick(20)
	if got := w.Zone(0).Stats().LateReplies; got != 2 || sent != 0 {
		t.Errorf("%d late replies, %d sent; want 2 and none", got, sent)
	}
	panics(t, "the zero Reply", func() { _ = int64Reply{}.Send(nil) })
}

func TestReplyFollowsAPlayerWhoCrossed(t *testing.T) {
	l := newLab(t)
	var kept int64Reply
	l.later = func(_ *game.Zone, _ *game.Player, r int64Reply) error { kept = r; return nil }
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	anna.Request(routeLater, wrapperspb.Int64(1))
	w.Tick(1)
	l.send(w.Zone(0), anna.Avatar(), game.Destination{X: 1500, Y: 500})
	w.Tick(3)
	if anna.Zone() != w.Zone(1) || !kept.Pending() {
		t.Fatalf("in zone %d, pending %v", anna.Zone().Config().Zone, kept.Pending())
	}
	w.Zone(0).Edit(func() { _ = kept.Send(wrapperspb.Int64(1)) })
	w.Tick(2)
	if n, code := answers(anna); n != 1 || code != 0 {
		t.Errorf("%d answers, code %d", n, code)
	}
}
