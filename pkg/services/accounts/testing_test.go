package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

const goodPassword = "correct horse"

func here() netip.Addr { return netip.MustParseAddr("192.0.2.1") }

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// servers is a Revoker that remembers what it was told.
type servers struct {
	mu   sync.Mutex
	told []string
	fail error
}

func (s *servers) tell(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.told = append(s.told, fmt.Sprintf(format, args...))
	return nil
}

func (s *servers) Kick(_ context.Context, player uint64, code protocol.DisconnectCode, reason string) error {
	return s.tell("kick %d %v %s", player, code, reason)
}

func (s *servers) Bar(_ context.Context, player uint64, until time.Time) error {
	return s.tell("bar %d %s", player, until.UTC().Format(time.RFC3339))
}

func (s *servers) Unbar(_ context.Context, player uint64) error { return s.tell("unbar %d", player) }

// world is a login service with everything that a test looks at.
type world struct {
	*accounts.Accounts
	t       *testing.T
	clock   *clock
	servers *servers
	store   *accounts.Memory
}

func newWorld(t *testing.T, change ...func(*accounts.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), servers: &servers{}, store: newMemory(t, accounts.MemoryConfig{})}
	cfg := accounts.Config{
		Store: w.store, Passwords: password.Config{Memory: 64, Passes: 1}, MaxCharacters: 3, Now: w.clock.Now, Revoker: w.servers,
		Issuer: security.DevTokens{Secret: []byte("0123456789abcdef")},
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := accounts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Accounts = a
	return w
}

// enter logs in by what login does, and returns the visit of the new session.
func (w *world) enter(e accounts.Entry, err error) (accounts.Entry, accounts.Visit) {
	w.t.Helper()
	w.must(err)
	v, err := w.Visit(w.t.Context(), e.Session)
	w.must(err)
	return e, v
}

func (w *world) guest() (accounts.Entry, accounts.Visit) {
	w.t.Helper()
	return w.enter(w.Guest(w.t.Context(), here(), ""))
}

func (w *world) register(name string) (accounts.Entry, accounts.Visit) {
	w.t.Helper()
	return w.enter(w.Register(w.t.Context(), here(), name, goodPassword))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// wants fails unless err is the sentinel.
func (w *world) wants(what string, err, sentinel error) {
	w.t.Helper()
	if !errors.Is(err, sentinel) {
		w.t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

// is fails unless err is of type E, which it returns.
func is[E error](t *testing.T, what string, err error) (e E) {
	t.Helper()
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v, want a %T", what, err, e)
	}
	return e
}
