package services_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

func TestFromNothingToATokenOverTLS(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(w.Handler())
	defer server.Close()
	client := server.Client()
	do := func(method, path, session, body string) map[string]any {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		w.must(err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+session)
		resp, err := client.Do(r)
		w.must(err)
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		w.must(err)
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
		}
		object := map[string]any{}
		if len(b) > 0 {
			w.must(json.Unmarshal(b, &object))
		}
		return object
	}
	session := do("POST", "/v1/guest", "", `{}`)["session"].(string)
	session = do("POST", "/v1/upgrade", session, `{"name":"anna","password":"correct horse"}`)["session"].(string)
	hero := do("POST", "/v1/characters", session, `{"name":"Hero"}`)["id"].(string)
	token := do("POST", "/v1/token", session, `{"character":"`+hero+`"}`)["token"].(string)

	jwt, err := security.NewJWT(security.JWTConfig{Keys: w.signer.JWKS(), Issuer: "https://login.example", Audience: "plains"})
	w.must(err)
	id, err := jwt.Verify(token, w.clock.Now().Add(89*time.Second))
	w.must(err)
	if accounts.PlayerID(id.Player).String() != hero || id.Name != "Hero" || id.TokenID == "" {
		t.Errorf("%+v, want player %s", id, hero)
	}
	if _, err := jwt.Verify(token, w.clock.Now().Add(10*time.Minute)); !errors.Is(err, security.ErrTokenExpired) {
		t.Errorf("the token ten minutes later: %v", err)
	}
	do("POST", "/v1/logout", session, "")
}

func TestPublishedKeysVerifyTokens(t *testing.T) {
	w := newWorld(t)
	keys, err := security.ParseJWKS([]byte(w.ask("GET", "/v1/jwks.json", "").text))
	w.must(err)
	if _, ok := keys.Key("login-1", "EdDSA"); !ok {
		t.Errorf("the set has %v", keys.IDs())
	}
}

func TestKeysMayBeCached(t *testing.T) {
	w := newWorld(t)
	r := w.want("keys", w.ask("GET", "/v1/keys", ""), 200, "")
	tag := r.header.Get("ETag")
	if r.header.Get("Cache-Control") != "public, max-age=60" || tag == "" {
		t.Errorf("%v", r.header)
	}
	for _, have := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if again := w.ask("GET", "/v1/keys", "", "If-None-Match: "+have); again.status != 304 || again.text != "" || again.header.Get("ETag") != tag {
			t.Errorf("If-None-Match: %s: %d %q", have, again.status, again.text)
		}
	}
	w.want("another tag", w.ask("GET", "/v1/keys", "", `If-None-Match: "x"`), 200, "")
	w.clock.pass(time.Date(2026, 12, 31, 23, 59, 30, 0, time.UTC).Sub(w.clock.Now()))
	if c := w.ask("GET", "/v1/keys", "").header.Get("Cache-Control"); c != "public, max-age=30" {
		t.Errorf("30 s before the key ends: %s", c)
	}
	w.clock.pass(time.Hour)
	if c := w.ask("GET", "/v1/keys", "").header.Get("Cache-Control"); c != "public, max-age=0" {
		t.Errorf("after the key's end: %s", c)
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	session := w.ask("POST", "/v1/guest", "{}").field("session")
	me := bearer(session)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no path", "GET", "/", "", nil, 404, "not_found"},
		{"another version", "POST", "/v2/login", "{}", nil, 404, "not_found"},
		{"unclean path", "POST", "/v1//login", "{}", nil, 404, "not_found"},
		{"path with an end", "POST", "/v1/login/", "{}", nil, 404, "not_found"},
		{"admin at the players' door", "POST", "/v1/admin/kick", "{}", nil, 404, "not_found"},
		{"method", "GET", "/v1/login", "", nil, 405, "method_not_allowed"},
		{"method of a path with an id", "PUT", "/v1/characters/7", "", nil, 405, "method_not_allowed"},
		{"query", "POST", "/v1/login?name=anna", "{}", nil, 400, "unknown_query"},
		{"no type", "POST", "/v1/login", "", nil, 415, "bad_content_type"},
		{"form", "POST", "/v1/login", "name=a", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "bad_content_type"},
		{"charset", "POST", "/v1/login", "{}", []string{"Content-Type: application/json; charset=gbk"}, 415, "bad_content_type"},
		{"empty", "POST", "/v1/login", " ", nil, 400, "bad_json"},
		{"no object", "POST", "/v1/login", `["name"]`, nil, 400, "bad_json"},
		{"null", "POST", "/v1/login", `null`, nil, 400, "bad_json"},
		{"cut", "POST", "/v1/login", `{"name":"anna"`, nil, 400, "bad_json"},
		{"two objects", "POST", "/v1/login", `{"name":"anna","password":"correct horse"}{}`, nil, 400, "bad_json"},
		{"unknown member", "POST", "/v1/login", `{"name":"anna","password":"correct horse","admin":"1"}`, nil, 400, "bad_json"},
		{"member in another case", "POST", "/v1/login", `{"Name":"anna","password":"correct horse"}`, nil, 400, "bad_json"},
		{"member twice", "POST", "/v1/login", `{"name":"anna","password":"correct horse","name":"berta"}`, nil, 400, "bad_json"},
		{"member missing", "POST", "/v1/login", `{"name":"anna"}`, nil, 400, "bad_json"},
		{"number for text", "POST", "/v1/login", `{"name":7,"password":"correct horse"}`, nil, 400, "bad_json"},
		{"null for text", "POST", "/v1/login", `{"name":null,"password":"correct horse"}`, nil, 400, "bad_json"},
		{"object for text", "POST", "/v1/login", `{"name":{"a":"b"},"password":"correct horse"}`, nil, 400, "bad_json"},
		{"no UTF-8", "POST", "/v1/login", "{\"name\":\"anna\",\"password\":\"correct horse\xff\"}", nil, 400, "bad_json"},
		{"half a surrogate", "POST", "/v1/login", `{"name":"anna","password":"correct horse\ud800"}`, nil, 400, "bad_password"},
		{"too large", "POST", "/v1/login", `{"name":"` + strings.Repeat("x", 5000) + `"}`, nil, 413, "body_too_large"},
		{"deep", "POST", "/v1/login", strings.Repeat("[", 4000), nil, 400, "bad_json"},
		{"bad name", "POST", "/v1/login", `{"name":"a b","password":"correct horse"}`, nil, 400, "bad_name"},
		{"short password", "POST", "/v1/accounts", `{"name":"anna","password":"1234567"}`, nil, 400, "bad_password"},
		{"bad secret", "POST", "/v1/guest", `{"secret":"AAAA"}`, nil, 400, "bad_secret"},
		{"no session", "GET", "/v1/account", "", nil, 401, "no_session"},
		{"wrong session", "GET", "/v1/account", "", []string{bearer("x" + session[1:])}, 401, "no_session"},
		{"basic", "GET", "/v1/account", "", []string{"Authorization: Basic " + session}, 401, "no_session"},
		{"guest's password", "POST", "/v1/password", `{"old":"correct horse","new":"correct horse"}`, []string{me}, 409, "guest"},
		{"nobody selected", "POST", "/v1/token", `{}`, []string{me}, 409, "not_selected"},
		{"no number", "POST", "/v1/token", `{"character":"-1"}`, []string{me}, 400, "bad_number"},
		{"number in another form", "DELETE", "/v1/characters/007", "", []string{me}, 400, "bad_number"},
		{"number above 63 bits", "DELETE", "/v1/characters/9223372036854775808", "", []string{me}, 400, "bad_number"},
		{"unknown character", "DELETE", "/v1/characters/7", "", []string{me}, 404, "unknown"},
		{"unknown selection", "POST", "/v1/characters/7/select", "", []string{me}, 404, "unknown"},
		{"bad character name", "POST", "/v1/characters", `{"name":"x"}`, []string{me}, 400, "bad_name"},
		{"plain", "POST", "/v1/guest", `{}`, []string{"Plain: 1"}, 403, "https_required"},
		{"plain, says it is not", "POST", "/v1/guest", `{}`, []string{"Plain: 1", "X-Forwarded-Proto: https"}, 403, "https_required"},
		{"foreign page", "POST", "/v1/guest", `{}`, []string{"Origin: https://evil.example"}, 403, "origin_refused"},
		{"page without origin", "POST", "/v1/guest", `{}`, []string{"Origin: null"}, 403, "origin_refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := *w
			in.t = t
			r := in.want(c.name, in.ask(c.method, c.path, c.body, c.header...), c.status, c.code)
			if strings.Contains(r.text, "correct horse") {
				t.Errorf("the answer repeats the password: %s", r.text)
			}
			if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%v", r.header)
			}
		})
	}
	if r := w.ask("PUT", "/v1/characters", ""); r.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %s", r.header.Get("Allow"))
	}
	if log := w.log.String(); log != "" {
		t.Errorf("bad input of a client is in the log:\n%s", log)
	}
}

func TestRacesForANameOverHTTP(t *testing.T) {
	w := newWorld(t)
	h := w.Handler()
	race := func(path, body string, header func(i int) []string) (won, lost int64) {
		var wins, losses atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				switch r := ask(h, "POST", path, body, header(i)...); {
				case r.status == 201:
					wins.Add(1)
				case r.status == 409 && r.field("code") == "name_taken":
					losses.Add(1)
				default:
					t.Errorf("%s: %d %s", path, r.status, r.text)
				}
			})
		}
		wg.Wait()
		return wins.Load(), losses.Load()
	}
	if won, lost := race("/v1/accounts", `{"name":"anna","password":"correct horse"}`, func(int) []string { return nil }); won != 1 || lost != 15 {
		t.Errorf("accounts: %d won, %d lost", won, lost)
	}
	sessions := make([]string, 16)
	for i := range sessions {
		sessions[i] = w.ask("POST", "/v1/guest", "{}", "Remote: 192.0.2.2:1").field("session")
	}
	if won, lost := race("/v1/characters", `{"name":"Hero"}`, func(i int) []string { return []string{bearer(sessions[i])} }); won != 1 || lost != 15 {
		t.Errorf("characters: %d won, %d lost", won, lost)
	}
}

func TestStormOfLoginsIsAnswered503(t *testing.T) {
	w := newWorld(t, func(c *services.Config) {
		c.Accounts.Passwords = password.Config{Memory: 1024, Passes: 2, Concurrent: 1, Queue: 1, Wait: 1500 * time.Millisecond}
		c.Requests.Burst = -1
	})
	w.want("register", w.ask("POST", "/v1/accounts", `{"name":"anna","password":"correct horse"}`), 201, "")
	h := w.Handler()
	var ok, busy, limited atomic.Int64
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			switch r := ask(h, "POST", "/v1/login", `{"name":"anna","password":"correct horse"}`, "Remote: "+from.String()+":1"); {
			case r.status == 200:
				ok.Add(1)
			case r.status == 503 && r.field("code") == "busy" && r.header.Get("Retry-After") == "2":
				busy.Add(1)
			case r.status == 429: // many names at once, before the right ones are given back
				limited.Add(1)
			default:
				t.Errorf("%d %s %v", r.status, r.text, r.header)
			}
		})
	}
	wg.Wait()
	s := w.Stats().Accounts
	if ok.Load() == 0 || ok.Load()+busy.Load()+limited.Load() != 48 || s.Passwords.Peak != 1 || s.Busy != uint64(busy.Load()) {
		t.Errorf("%d ok, %d busy, %d limited: %+v", ok.Load(), busy.Load(), limited.Load(), s)
	}
}

func TestLimitsAreAnswered429(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Requests = accounts.Limit{Every: 1500 * time.Millisecond, Burst: 20} })
	for range 10 {
		w.want("wrong", w.ask("POST", "/v1/login", `{"name":"anna","password":"wrong horse"}`), 401, "login_refused")
	}
	r := w.want("eleventh", w.ask("POST", "/v1/login", `{"name":"anna","password":"wrong horse"}`), 429, "too_many_attempts")
	if r.header.Get("Retry-After") != "10" {
		t.Errorf("%v", r.header)
	}
	for range 9 {
		w.ask("GET", "/v1/nothing", "")
	}
	r = w.want("anything", w.ask("GET", "/v1/keys", ""), 429, "too_many_requests")
	if r.header.Get("Retry-After") != "2" || w.Stats().Limited != 1 {
		t.Errorf("%v, %+v", r.header, w.Stats())
	}
	w.want("another address", w.ask("GET", "/v1/keys", "", "Remote: 192.0.2.9:1"), 200, "")
}

func TestPagesOfListedOriginsMayCall(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Origins = []string{"https://play.example"} })
	pre := w.ask("OPTIONS", "/v1/login", "", "Origin: https://play.example", "Access-Control-Request-Method: POST")
	if pre.status != 204 || pre.header.Get("Access-Control-Allow-Origin") != "https://play.example" || pre.header.Get("Vary") != "Origin" ||
		!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(pre.header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("%d %v", pre.status, pre.header)
	}
	if r := w.want("call", w.ask("POST", "/v1/guest", "{}", "Origin: https://play.example"), 201, ""); r.header.Get("Access-Control-Allow-Origin") != "https://play.example" {
		t.Errorf("%v", r.header)
	}
	if r := w.want("foreign", w.ask("OPTIONS", "/v1/login", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"), 403, "origin_refused"); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", r.header)
	}
	w.want("own page", w.ask("POST", "/v1/guest", "{}", "Origin: https://login.example", "Host: login.example"), 201, "")
	all := newWorld(t, func(c *services.Config) { c.Origins = []string{"*"} })
	if r := all.want("anyone", all.ask("POST", "/v1/guest", "{}", "Origin: https://any.example"), 201, ""); r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v", r.header)
	}
}

func TestProxiesAreBelievedOnlyIfTrusted(t *testing.T) {
	w := newWorld(t, func(c *services.Config) {
		c.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		c.Accounts.Limits.Signups = accounts.Limit{Every: time.Hour, Burst: 1}
	})
	guest := func(header ...string) reply { return w.ask("POST", "/v1/guest", "{}", header...) }
	w.want("through a proxy that ended TLS", guest("Plain: 1", "Remote: 10.1.1.1:1", "X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.1"), 201, "")
	w.want("the same client, a forged hop before it", guest("Plain: 1", "Remote: 10.1.1.2:1", "X-Forwarded-Proto: https", "X-Forwarded-For: 198.51.100.7, 203.0.113.1, 10.9.9.9"), 429, "too_many_attempts")
	w.want("another client", guest("Plain: 1", "Remote: 10.1.1.1:1", "X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.2"), 201, "")
	w.want("a proxy that got it in the clear", guest("Remote: 10.1.1.1:1", "X-Forwarded-Proto: http", "X-Forwarded-For: 203.0.113.3"), 403, "https_required")
	w.want("no proxy", guest("X-Forwarded-For: 203.0.113.4"), 201, "")
	w.want("no proxy, another lie", guest("X-Forwarded-For: 203.0.113.5"), 429, "too_many_attempts")
}

func TestStoreThatFailsIsOurFault(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Accounts.Store = brokenStore{err: errors.New("disk of db-7 is full")} })
	r := w.want("guest", w.ask("POST", "/v1/guest", "{}"), 500, "internal")
	if strings.Contains(r.text, "db-7") || !strings.Contains(w.log.String(), "db-7") || w.Stats().Faults != 1 {
		t.Errorf("answer %s, log %s", r.text, w.log)
	}
	slow := newWorld(t, func(c *services.Config) { c.Accounts.Store = brokenStore{err: context.DeadlineExceeded} })
	slow.want("guest", slow.ask("POST", "/v1/guest", "{}"), 503, "unavailable")
}

// brokenStore fails at whatever a login needs.
type brokenStore struct {
	accounts.Store
	err error
}

func (b brokenStore) AccountByDevice(context.Context, accounts.Hash) (accounts.Account, error) {
	return accounts.Account{}, b.err
}

func TestRunSweepsUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *services.Config) { c.Accounts.SessionTTL = time.Hour })
		w.want("guest", w.ask("POST", "/v1/guest", "{}"), 201, "")
		w.clock.pass(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := w.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if n := w.Stats().Accounts.SessionsSwept; n != 1 {
			t.Errorf("%d sessions swept, want 1", n)
		}
	})
}
