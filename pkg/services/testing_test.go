package services_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

const (
	goodPassword = "correct horse"
	adminSecret  = "0123456789abcdef0123456789abcdef"
)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

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

// chance is randomness that is the same in every run.
type chance struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func newChance() *chance { return &chance{r: rand.NewChaCha8([32]byte{7})} }

func (c *chance) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Read(b)
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
	s.told = append(s.told, fmt.Sprintf(format, args...))
	return s.fail
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
	*services.Services
	t       *testing.T
	clock   *clock
	servers *servers
	signer  *security.Signer
	log     *bytes.Buffer
}

func newWorld(t *testing.T, change ...func(*services.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, servers: &servers{}, log: &bytes.Buffer{}}
	seed := bytes.Repeat([]byte{3}, ed25519.SeedSize)
	var err error
	w.signer, err = security.NewSigner(security.SignerConfig{Key: ed25519.NewKeyFromSeed(seed), KeyID: "login-1", Issuer: "https://login.example", Audience: "plains"})
	w.must(err)
	cfg := services.Config{
		Accounts: accounts.Config{
			Passwords: password.Config{Memory: 64, Passes: 1}, MaxCharacters: 3, Now: w.clock.Now, Rand: newChance(), Issuer: w.signer, Revoker: w.servers,
		},
		Keys:  func() services.Keys { return w.keys() },
		JWKS:  w.signer.JWKS,
		Admin: services.AdminConfig{Enabled: true, Secret: adminSecret},
		Log:   slog.New(slog.NewTextHandler(&locked{w: w.log}, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	w.Services, err = services.New(cfg)
	w.must(err)
	return w
}

// locked lets many goroutines write one log.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// keys are those of a gateway whose key was changed once.
func (w *world) keys() services.Keys {
	root, err := security.RootFromSeed(bytes.Repeat([]byte{5}, 32))
	w.must(err)
	issue := func(id uint32, fill byte) security.KeyCert {
		key, err := root.Issue(bytes.NewReader(bytes.Repeat([]byte{fill}, 64)), id, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		w.must(err)
		return key.Cert()
	}
	return services.Keys{
		Realm: "plains", Root: root.Public(), Current: issue(2, 9), Previous: issue(1, 8),
		Gateways: []string{"wss://gate-1.example/ws", "tls://gate-1.example:7777"}, Schema: [8]byte{1, 0, 0, 0, 0xab, 0xcd, 0xef, 1},
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	text   string
}

// field is a member of the JSON object, as text.
func (r reply) field(name string) string {
	var object map[string]any
	if json.Unmarshal([]byte(r.text), &object) != nil {
		return "no JSON: " + r.text
	}
	if inner, ok := object["error"].(map[string]any); ok && object[name] == nil {
		object = inner
	}
	if object[name] == nil {
		return ""
	}
	return fmt.Sprint(object[name])
}

// ask sends a request to a handler as if over TLS from 192.0.2.1. header holds lines such as "Origin: x";
// "Remote: " is the address of the peer, and "Plain: 1" leaves out TLS.
func ask(h http.Handler, method, path, body string, header ...string) reply {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.TLS = "192.0.2.1:4000", &tls.ConnectionState{}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Plain":
			r.TLS = nil
		case "Remote":
			r.RemoteAddr = value
		case "Host":
			r.Host = value
		default:
			r.Header.Set(name, value)
		}
	}
	recorded := httptest.NewRecorder()
	h.ServeHTTP(recorded, r)
	return reply{recorded.Code, recorded.Header(), recorded.Body.String()}
}

func (w *world) ask(method, path, body string, header ...string) reply {
	return ask(w.Handler(), method, path, body, header...)
}

func (w *world) admin(method, path, body string) reply {
	return ask(w.Admin(), method, path, body, "Authorization: Bearer "+adminSecret)
}

// want fails unless the answer has this status and, where one is given, this error code.
func (w *world) want(what string, r reply, status int, code string) reply {
	w.t.Helper()
	if r.status != status || r.field("code") != code {
		w.t.Errorf("%s: %d %s, want %d %s", what, r.status, strings.TrimSpace(r.text), status, code)
	}
	if code != "" && (r.field("message") == "" || r.field("fix") == "" || r.header.Get("Content-Type") != "application/json") {
		w.t.Errorf("%s: an error without message, fix or type: %s", what, r.text)
	}
	return r
}

func bearer(session string) string { return "Authorization: Bearer " + session }
