package accounts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

func TestGuestComesBackByItsSecret(t *testing.T) {
	w := newWorld(t)
	first, _ := w.guest()
	if !first.Created || first.Secret == "" || !first.Account.Guest() {
		t.Errorf("%+v", first)
	}
	again, _ := w.enter(w.Guest(t.Context(), here(), first.Secret))
	if again.Created || again.Secret != "" || again.Account.ID != first.Account.ID || again.Session == first.Session {
		t.Errorf("%+v after %+v", again, first)
	}
	if other, _ := w.guest(); other.Account.ID == first.Account.ID {
		t.Error("two guests are one")
	}
}

func TestSecretOfTheClientsMaking(t *testing.T) {
	w := newWorld(t)
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i * 7)
	}
	text := base64.RawURLEncoding.EncodeToString(raw)
	first, _ := w.enter(w.Guest(t.Context(), here(), text))
	if !first.Created || first.Secret != "" {
		t.Errorf("%+v", first)
	}
	if repeated, _ := w.enter(w.Guest(t.Context(), here(), text)); repeated.Account.ID != first.Account.ID || repeated.Created {
		t.Error("a repeated call made another account")
	}
	for name, bad := range map[string]string{
		"short": text[:42], "long": text + "A", "padded": text + "=", "zero": strings.Repeat("A", 43), "two values": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("ab", 16))),
		"loose bits": text[:42] + "-", "line end": text[:42] + "\n", "other alphabet": "+" + text[1:],
	} {
		if _, err := w.Guest(t.Context(), here(), bad); !errors.Is(err, accounts.ErrSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreKeepsNoSecret(t *testing.T) {
	w := newWorld(t)
	e, v := w.guest()
	named, _ := w.register("anna")
	raw, _ := base64.RawURLEncoding.DecodeString(e.Secret)
	token, _ := base64.RawURLEncoding.DecodeString(e.Session)
	if string(e.Account.Device[:]) == string(raw) || string(v.Session.Hash[:]) == string(token) || v.Session.Hash == e.Account.Device {
		t.Error("a secret is stored as it is")
	}
	if strings.Contains(fmt.Sprintf("%+v", named.Account), goodPassword) || !strings.HasPrefix(named.Account.Password, "$argon2id$") {
		t.Errorf("%+v", named.Account)
	}
	if _, err := w.Visit(t.Context(), e.Secret); !errors.Is(err, accounts.ErrNoSession) {
		t.Errorf("a device secret passes for a session: %v", err)
	}
}

func TestTwoCallsOfOneDeviceMakeOneAccount(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.guest()
	raw, _ := base64.RawURLEncoding.DecodeString(seed.Secret)
	raw[0]++
	secret := base64.RawURLEncoding.EncodeToString(raw)
	var created atomic.Int32
	var ids sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			e, err := w.Guest(context.Background(), here(), secret)
			if err != nil {
				t.Error(err)
				return
			}
			if e.Created {
				created.Add(1)
			}
			ids.Store(e.Account.ID, true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 || created.Load() != 1 {
		t.Errorf("%d accounts, %d calls that say they made it", n, created.Load())
	}
}

func TestLoginTakesTheNameInAnyCase(t *testing.T) {
	w := newWorld(t)
	made, _ := w.register("Anna.B")
	for _, name := range []string{"Anna.B", "anna.b", "ANNA.B"} {
		e, _ := w.enter(w.Login(t.Context(), here(), name, goodPassword))
		if e.Account.ID != made.Account.ID || e.Account.Name != "Anna.B" {
			t.Errorf("%s: %+v", name, e.Account)
		}
	}
	_, err := w.Register(t.Context(), here(), "aNNA.b", goodPassword)
	w.wants("the same name in another case", err, accounts.ErrNameTaken)
}

// TestUnknownNameCostsAndAnswersLikeAWrongPassword is about the work, not the clock: one hash, with the parameters of new accounts.
func TestUnknownNameCostsAndAnswersLikeAWrongPassword(t *testing.T) {
	w := newWorld(t)
	w.register("anna")
	work := func(name string) (uint64, string) {
		before := w.Stats().Passwords.Hashed
		_, err := w.Login(t.Context(), here(), name, "wrong horse")
		w.wants(name, err, accounts.ErrRefused)
		return w.Stats().Passwords.Hashed - before, err.Error()
	}
	knownWork, knownText := work("anna")
	unknownWork, unknownText := work("berta")
	if knownWork != 1 || unknownWork != 1 || knownText != unknownText {
		t.Errorf("known: %d hashes, %q; unknown: %d hashes, %q", knownWork, knownText, unknownWork, unknownText)
	}
	if s := w.Stats(); s.Refused != 2 {
		t.Errorf("%+v", s)
	}
}

func TestLimitsDoNotTellNamesApart(t *testing.T) {
	w := newWorld(t)
	w.register("anna")
	for _, name := range []string{"anna", "berta"} {
		tries := 0
		for ; ; tries++ {
			_, err := w.Login(t.Context(), here(), name, "wrong horse")
			if errors.Is(err, accounts.ErrRefused) {
				continue
			}
			if e := is[*accounts.LimitError](t, name, err); e.Wait != 10*time.Second {
				t.Errorf("%s: wait %v, want 10s", name, e.Wait)
			}
			break
		}
		if tries != 10 {
			t.Errorf("%s: %d wrong passwords pass, want 10", name, tries)
		}
	}
	hashed := w.Stats().Passwords.Hashed
	_, err := w.Login(t.Context(), here(), "anna", goodPassword)
	is[*accounts.LimitError](t, "the right password, too late", err)
	if w.Stats().Passwords.Hashed != hashed {
		t.Error("an attempt above the limit costs a hash")
	}
	if _, err := w.Login(t.Context(), netip.MustParseAddr("192.0.2.2"), "anna", goodPassword); err != nil {
		t.Errorf("the owner at another address: %v", err)
	}
	w.clock.pass(10 * time.Second)
	_, err = w.Login(t.Context(), here(), "anna", goodPassword)
	w.must(err)
}

func TestRightPasswordsDoNotCount(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) { c.MaxSessions = 2 })
	w.register("anna")
	for range 200 {
		_, err := w.Login(t.Context(), here(), "anna", goodPassword)
		w.must(err)
	}
}

func TestOneAddressHasOneLimitForAllNames(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) {
		c.Limits.Address = accounts.Limit{Every: time.Minute, Burst: 5}
		c.Limits.Signups = accounts.Limit{Every: time.Minute, Burst: 2}
	})
	six := func(host string) netip.Addr { return netip.MustParseAddr("2001:db8:1:2::" + host) }
	for i := range 5 {
		_, err := w.Login(t.Context(), six(fmt.Sprint(i+1)), fmt.Sprintf("name%d", i), "wrong horse")
		w.wants("within the limit", err, accounts.ErrRefused)
	}
	_, err := w.Login(t.Context(), six("99"), "name99", "wrong horse")
	is[*accounts.LimitError](t, "the same /64", err)
	_, err = w.Login(t.Context(), netip.MustParseAddr("2001:db8:1:3::1"), "name99", "wrong horse")
	w.wants("another /64", err, accounts.ErrRefused)

	w.guest()
	w.register("anna")
	_, err = w.Guest(t.Context(), here(), "")
	is[*accounts.LimitError](t, "a third account", err)
	_, err = w.Register(t.Context(), netip.MustParseAddr("::ffff:192.0.2.1"), "berta", goodPassword)
	is[*accounts.LimitError](t, "the same IPv4 address written as IPv6", err)
	w.clock.pass(time.Minute)
	w.guest()
}

func TestRaisedCostRenewsTheHashOnce(t *testing.T) {
	w := newWorld(t)
	old, _ := w.register("anna")
	strong := newWorld(t, func(c *accounts.Config) { c.Store, c.Passwords.Memory = w.store, 128 })
	for range 2 {
		_, err := strong.Login(t.Context(), here(), "anna", goodPassword)
		w.must(err)
	}
	now, err := w.store.Account(t.Context(), old.Account.ID)
	w.must(err)
	if s := strong.Stats(); s.Rehashes != 1 || s.Passwords.Hashed != 3 || !strings.Contains(now.Password, "m=128,") {
		t.Errorf("%d renewals, %d hashes, %s", s.Rehashes, s.Passwords.Hashed, now.Password)
	}
	if _, err := w.Visit(t.Context(), old.Session); err != nil {
		t.Errorf("a renewed hash ended a session: %v", err)
	}
}

func TestLoginStormIsAnsweredBusy(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) {
		c.Passwords = password.Config{Memory: 1024, Passes: 1, Concurrent: 1, Queue: 1, Wait: time.Minute}
		c.Limits.Pair, c.Limits.Name, c.Limits.Address = accounts.Limit{Burst: -1}, accounts.Limit{Burst: -1}, accounts.Limit{Burst: -1}
	})
	w.register("anna")
	var ok, busy atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := w.Login(context.Background(), here(), "anna", goodPassword)
			var b *accounts.BusyError
			switch {
			case err == nil:
				ok.Add(1)
			case errors.As(err, &b) && b.Wait == time.Minute:
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := w.Stats()
	if ok.Load()+busy.Load() != 64 || ok.Load() == 0 || s.Passwords.Peak != 1 || s.Busy != uint64(busy.Load()) {
		t.Errorf("%d ok, %d busy, %+v", ok.Load(), busy.Load(), s)
	}
}

func TestBusyAttemptDoesNotCount(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) { c.Limits.Pair = accounts.Limit{Every: time.Hour, Burst: 1} })
	w.register("anna")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if _, err := w.Login(gone, here(), "anna", goodPassword); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	_, err := w.Login(t.Context(), here(), "anna", goodPassword)
	w.must(err)
}

func TestClosedDoors(t *testing.T) {
	w := newWorld(t)
	old, _ := w.guest()
	closed := newWorld(t, func(c *accounts.Config) { c.Store, c.NoGuests, c.NoSignups, c.Issuer = w.store, true, true, nil })
	_, err := closed.Guest(t.Context(), here(), "")
	w.wants("a new guest", err, accounts.ErrClosed)
	_, err = closed.Register(t.Context(), here(), "anna", goodPassword)
	w.wants("a new account", err, accounts.ErrClosed)
	_, v := closed.enter(closed.Guest(t.Context(), here(), old.Secret))
	_, err = closed.Token(t.Context(), v)
	w.wants("a token without an issuer", err, accounts.ErrClosed)
	closed.enter(closed.Upgrade(t.Context(), here(), v, "anna", goodPassword))
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]accounts.Config{
		"characters": {MaxCharacters: -1}, "many characters": {MaxCharacters: 1001}, "short session": {SessionTTL: time.Second}, "sessions": {MaxSessions: -1},
		"short token": {TokenTTL: 59 * time.Second}, "long token": {TokenTTL: 121 * time.Second}, "keys": {Limits: accounts.Limits{Keys: -1}},
		"burst": {Limits: accounts.Limits{Pair: accounts.Limit{Burst: -2}}}, "every": {Limits: accounts.Limits{Signups: accounts.Limit{Every: -1}}},
		"passwords": {Passwords: password.Config{Passes: 100}},
	} {
		if _, err := accounts.New(cfg); err == nil {
			t.Errorf("%s: %+v is accepted", name, cfg)
		}
	}
	if _, err := accounts.New(accounts.Config{}); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}
