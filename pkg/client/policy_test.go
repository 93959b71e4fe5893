package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func TestFailuresAreJudged(t *testing.T) {
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{errors.New("connection reset"), again},
		{&network.CloseError{Code: 4003}, again},
		{&network.CloseError{Code: 4508}, over},
		{&network.CloseError{Code: 4508, Local: true}, again},
		{&network.CloseError{Code: 1002}, again}, // a proxy's doing
		{&network.RefusedError{Status: 503}, again},
		{&KickError{Code: protocol.DisconnectServerShutdown}, again},
		{&KickError{Code: protocol.DisconnectResumedElsewhere}, over},
		{&lostSession{}, anew},
		{&loginError{errors.New("no")}, over},
		{&security.Reject{Code: security.RejectTicket}, anew},
		{&security.Reject{Code: security.RejectSuite}, anew},
		{&security.Reject{Code: security.RejectBusy}, again},
		{&security.Reject{Code: security.RejectMalformed}, again},
		{&security.Reject{Code: security.RejectVersion}, over},
		{&security.Reject{Code: security.RejectKeyUnknown}, over},
		{security.ErrCertExpired, over},
		{&Error{Code: protocol.ErrorUnauthorized}, over},
		{&Error{Code: protocol.ErrorOverloaded}, again},
		{delta.ErrIncompatible, over},
		{ErrBroken, again},
		{ErrSilent, again},
	} {
		if got := judge(fmt.Errorf("somewhere: %w", c.err)); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestComebackWaitsLongerEachRoundAndEndsInTime(t *testing.T) {
	cfg := Reconnect{}
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1000, 0)
	most := func(n int64) int64 { return n - 1 }
	b := comeback{cfg: cfg, gateways: 2, chance: most, since: start, cause: errors.New("reset"), failure: errors.New("refused")}
	now, want := start, []time.Duration{50 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond, 50 * time.Millisecond, time.Second, 50 * time.Millisecond, 2 * time.Second}
	for i, w := range want {
		wait, resume, err := b.next(now, start.Add(30*time.Second), false)
		if wait != w || !resume || err != nil {
			t.Errorf("attempt %d: %v %v %v, want %v", i, wait, resume, err, w)
		}
		b.attempts++
		now = now.Add(wait)
	}
	b.attempts = 40
	if wait, _, _ := b.next(now, start.Add(time.Hour), false); wait != 10*time.Second {
		t.Errorf("much later: %v", wait)
	}
	late := start.Add(31 * time.Second)
	if _, _, err := b.next(late, start.Add(30*time.Second), false); !errors.Is(err, ErrNotRecovered) || !errors.Is(err, b.cause) || !errors.Is(err, b.failure) {
		t.Errorf("the ticket is old: %v", err)
	}
	if _, resume, err := b.next(late, start.Add(30*time.Second), true); resume || err != nil {
		t.Errorf("the ticket is old, and there is a login: %v, %v", resume, err)
	}
	if _, _, err := b.next(start.Add(6*time.Minute), start, true); !errors.Is(err, ErrNotRecovered) || !strings.Contains(err.Error(), "given up after 6m0s") {
		t.Errorf("after so long: %v", err)
	}
}

func TestComebackHeedsWhatItIsTold(t *testing.T) {
	cfg := Reconnect{}
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	none := func(int64) int64 { return 0 }
	b := comeback{cfg: cfg, gateways: 1, chance: none, since: now, cause: errors.New("reset")}
	b.attempts, b.failure = 1, &Error{Code: protocol.ErrorOverloaded, RetryAfter: 7 * time.Second}
	if wait, resume, err := b.next(now, time.Time{}, true); wait != 7*time.Second || resume || err != nil {
		t.Errorf("overloaded: %v %v %v", wait, resume, err)
	}
	b.failure = &security.Reject{Code: security.RejectTicket}
	if _, resume, err := b.next(now, now.Add(time.Minute), true); resume || err != nil {
		t.Errorf("ticket refused, with a login: %v %v", resume, err)
	}
	if _, _, err := b.next(now, now.Add(time.Minute), false); !errors.Is(err, ErrNotRecovered) {
		t.Errorf("ticket refused: %v", err)
	}
	b = comeback{cfg: cfg, gateways: 1, chance: none, since: now, cause: errors.New("reset")}
	if _, _, err := b.next(now, time.Time{}, false); !errors.Is(err, ErrNotRecovered) || !strings.Contains(err.Error(), "gave no ticket") {
		t.Errorf("no ticket: %v", err)
	}
	b.broken = maxBroken
	if _, _, err := b.next(now, now.Add(time.Minute), true); !errors.Is(err, ErrNotRecovered) {
		t.Errorf("a broken server: %v", err)
	}
}

func TestReconnectRefusesNegativeTimes(t *testing.T) {
	r := Reconnect{Base: -1}
	if err := r.validate(); err == nil || !strings.Contains(err.Error(), "Reconnect.Base") {
		t.Error(err)
	}
}
