package accounts_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

func TestSessionEnds(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) { c.SessionTTL = time.Hour })
	e, _ := w.guest()
	other, _ := w.enter(w.Guest(t.Context(), here(), e.Secret))
	w.clock.pass(time.Hour - time.Second)
	_, err := w.Visit(t.Context(), e.Session)
	w.must(err)

	w.must(w.Logout(t.Context(), other.Session))
	w.must(w.Logout(t.Context(), other.Session))
	w.must(w.Logout(t.Context(), "nonsense"))
	_, err = w.Visit(t.Context(), other.Session)
	w.wants("logged out", err, accounts.ErrNoSession)

	w.clock.pass(time.Second)
	_, err = w.Visit(t.Context(), e.Session)
	w.wants("expired", err, accounts.ErrNoSession)
	w.must(w.Sweep(t.Context()))
	if n := w.Stats().SessionsSwept; n != 1 {
		t.Errorf("%d sessions swept, want 1", n)
	}
	for _, token := range []string{"", "x", e.Secret, e.Session + "A", e.Session[:42]} {
		_, err = w.Visit(t.Context(), token)
		w.wants(token, err, accounts.ErrNoSession)
	}
}

func TestOldestSessionGivesWay(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) { c.MaxSessions = 2 })
	first, _ := w.guest()
	second, _ := w.enter(w.Guest(t.Context(), here(), first.Secret))
	third, _ := w.enter(w.Guest(t.Context(), here(), first.Secret))
	_, err := w.Visit(t.Context(), first.Session)
	w.wants("the oldest", err, accounts.ErrNoSession)
	for _, e := range []accounts.Entry{second, third} {
		_, err = w.Visit(t.Context(), e.Session)
		w.must(err)
	}
}

func TestUpgradeKeepsThePlayerAndEndsTheOldWays(t *testing.T) {
	w := newWorld(t)
	e, v := w.guest()
	c, err := w.CreateCharacter(t.Context(), v, "Hero")
	w.must(err)
	w.must(w.SelectCharacter(t.Context(), v, c.ID))
	_, v = w.enter(e, nil)
	up, upVisit := w.enter(w.Upgrade(t.Context(), here(), v, "Anna", goodPassword))
	if up.Account.ID != e.Account.ID || up.Account.Guest() || up.Created || upVisit.Session.Character != c.ID {
		t.Errorf("%+v %+v", up, upVisit.Session)
	}
	_, err = w.Visit(t.Context(), e.Session)
	w.wants("the guest's session", err, accounts.ErrNoSession)
	again, _ := w.enter(w.Guest(t.Context(), here(), e.Secret))
	if again.Account.ID == e.Account.ID {
		t.Error("the device secret still opens the account")
	}
	_, err = w.Upgrade(t.Context(), here(), upVisit, "Other", goodPassword)
	w.wants("twice", err, accounts.ErrNotGuest)
	in, _ := w.enter(w.Login(t.Context(), here(), "anna", goodPassword))
	if in.Account.ID != e.Account.ID {
		t.Error("another account")
	}
}

func TestUpgradesOfOneGuestAtOnceLeaveOneName(t *testing.T) {
	w := newWorld(t)
	_, v := w.guest()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := w.Upgrade(context.Background(), here(), v, "anna"+string(rune('a'+i)), goodPassword)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, accounts.ErrNoSession):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d upgrades of one guest", won.Load())
	}
}

func TestChangedPasswordEndsEverySession(t *testing.T) {
	w := newWorld(t)
	thief, _ := w.register("anna")
	_, v := w.enter(w.Login(t.Context(), here(), "anna", goodPassword))
	_, err := w.ChangePassword(t.Context(), here(), v, "wrong horse", "new password")
	w.wants("wrong old password", err, accounts.ErrRefused)
	_, err = w.ChangePassword(t.Context(), here(), v, "", "new password")
	w.wants("no old password", err, accounts.ErrRefused)
	_, err = w.ChangePassword(t.Context(), here(), v, goodPassword, "short")
	w.wants("short", err, password.ErrTooShort)
	w.enter(w.ChangePassword(t.Context(), here(), v, goodPassword, "new password"))
	_, err = w.Visit(t.Context(), thief.Session)
	w.wants("another session", err, accounts.ErrNoSession)
	_, err = w.ChangePassword(t.Context(), here(), v, "new password", "newer password")
	w.wants("a visit from before", err, accounts.ErrNoSession)
	_, err = w.Login(t.Context(), here(), "anna", goodPassword)
	w.wants("the old password", err, accounts.ErrRefused)
	w.enter(w.Login(t.Context(), here(), "anna", "new password"))

	_, guest := w.guest()
	_, err = w.ChangePassword(t.Context(), here(), guest, goodPassword, "new password")
	w.wants("a guest", err, accounts.ErrGuest)
}

func TestGuessingByChangeOfPasswordIsLimited(t *testing.T) {
	w := newWorld(t)
	_, v := w.register("anna")
	for range 10 {
		_, err := w.ChangePassword(t.Context(), here(), v, "wrong horse", "new password")
		w.wants("within the limit", err, accounts.ErrRefused)
	}
	_, err := w.ChangePassword(t.Context(), here(), v, goodPassword, "new password")
	is[*accounts.LimitError](t, "the eleventh", err)
}
