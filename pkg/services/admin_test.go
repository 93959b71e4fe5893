package services_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

func TestOperatorsNeedTheSecret(t *testing.T) {
	w := newWorld(t)
	for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer x", "Authorization: Bearer " + adminSecret + "0", "Authorization: Basic " + adminSecret} {
		for _, path := range []string{"find", "kick", "ban", "unban", "rights"} {
			w.want(header+" "+path, ask(w.Admin(), "POST", "/v1/admin/"+path, `{}`, header), 401, "not_an_operator")
		}
		w.want(header, ask(w.Admin(), "GET", "/v1/admin/stats", "", header), 401, "not_an_operator")
	}
	if strings.Contains(w.log.String(), adminSecret) {
		t.Error("the secret, or nearly so, is in the log")
	}
	w.want("players' paths at the operators' door", w.admin("POST", "/v1/guest", `{}`), 404, "not_found")
}

func TestSwitchedOffAdminIsNotFound(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Admin = services.AdminConfig{} })
	w.want("kick", ask(w.Admin(), "POST", "/v1/admin/kick", `{}`, "Authorization: Bearer "), 404, "not_found")
}

func TestBanEndsEverythingAtOnce(t *testing.T) {
	w := newWorld(t)
	made := w.ask("POST", "/v1/accounts", `{"name":"anna","password":"correct horse"}`)
	me, account := bearer(made.field("session")), made.field("account")
	hero := w.ask("POST", "/v1/characters", `{"name":"Hero"}`, me).field("id")
	w.want("token before", w.ask("POST", "/v1/token", `{"character":"`+hero+`"}`, me), 200, "")

	r := w.want("ban", w.admin("POST", "/v1/admin/ban", `{"player":"`+hero+`","until":"2026-11-02T00:00:00+08:00","reason":"cheating"}`), 200, "")
	if r.field("account") != account || r.field("players") != "["+hero+"]" || r.field("ban") != "map[reason:cheating until:2026-11-01T16:00:00Z]" {
		t.Errorf("%s", r.text)
	}
	if want := []string{"bar " + hero + " 2026-11-01T16:00:00Z", "kick " + hero + " banned cheating"}; !slices.Equal(w.servers.told, want) {
		t.Errorf("the servers were told %q, want %q", w.servers.told, want)
	}
	for what, r := range map[string]reply{
		"token": w.ask("POST", "/v1/token", `{}`, me), "account": w.ask("GET", "/v1/account", "", me),
		"login": w.ask("POST", "/v1/login", `{"name":"anna","password":"correct horse"}`),
	} {
		w.want(what, r, 403, "banned")
		if r.field("until") != "2026-11-01T16:00:00Z" || !strings.Contains(r.field("message"), "cheating") {
			t.Errorf("%s: %s", what, r.text)
		}
	}
	w.want("login by someone else", w.ask("POST", "/v1/login", `{"name":"anna","password":"wrong horse"}`), 401, "login_refused")
	w.want("unban", w.admin("POST", "/v1/admin/unban", `{"name":"Anna"}`), 200, "")
	w.want("token after", w.ask("POST", "/v1/token", `{}`, me), 200, "")
	for _, piece := range []string{"act=ban", "act=unban", "account=" + account, "reason=cheating", "from=192.0.2.1"} {
		if !strings.Contains(w.log.String(), piece) {
			t.Errorf("no %s in the log:\n%s", piece, w.log)
		}
	}
	if strings.Contains(w.log.String(), made.field("session")) || strings.Contains(w.log.String(), adminSecret) {
		t.Errorf("a secret in the log:\n%s", w.log)
	}
}

func TestServersThatCannotBeToldAre502(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Accounts.MaxCharacters = 0 })
	made := w.ask("POST", "/v1/guest", `{}`)
	w.servers.fail = errors.New("no route to host")
	body := fmt.Sprintf(`{"account":%q,"until":"2027-01-01T00:00:00Z","reason":"x"}`, made.field("account"))
	r := w.want("ban", w.admin("POST", "/v1/admin/ban", body), 502, "servers_not_told")
	if strings.Contains(r.text, "route") || !strings.Contains(w.log.String(), "no route to host") {
		t.Errorf("answer %s, log %s", r.text, w.log)
	}
	w.want("the ban holds", w.ask("GET", "/v1/account", "", bearer(made.field("session"))), 403, "banned")
	w.servers.fail = nil
	w.want("again", w.admin("POST", "/v1/admin/ban", body), 200, "")
}

func TestBadInputOfOperators(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"kick", `{"player":"7"}`, 400, "bad_json"},
		{"kick", `{"player":"x","reason":"y"}`, 400, "bad_number"},
		{"kick", `{"player":"7","reason":""}`, 400, "bad_argument"},
		{"ban", `{"account":"7","until":"tomorrow","reason":"y"}`, 400, "bad_time"},
		{"ban", `{"account":"7","until":"2026-11-01T12:00:00Z","reason":"y"}`, 400, "bad_argument"},
		{"ban", `{"account":"7","until":"2027-01-01T00:00:00Z","reason":"y"}`, 404, "unknown"},
		{"ban", `{"until":"2027-01-01T00:00:00Z","reason":"y"}`, 400, "bad_argument"},
		{"unban", `{"account":"7","player":"7"}`, 400, "bad_argument"},
		{"unban", `{"player":"07"}`, 400, "bad_number"},
		{"find", `{"name":"nobody"}`, 404, "unknown"},
		{"rights", `{"account":"7","rights":"gm"}`, 400, "bad_json"},
		{"rights", `{"account":"7","rights":[7]}`, 400, "bad_json"},
		{"rights", `{"account":"7","rights":["` + strings.Repeat(`x","`, 64) + `"]}`, 400, "bad_json"},
		{"rights", `{"account":"7","rights":[""]}`, 400, "bad_argument"},
		{"rights", `{"account":"7","rights":["gm"`, 400, "bad_json"},
	} {
		w.want(c.path+" "+c.body, w.admin("POST", "/v1/admin/"+c.path, c.body), c.status, c.code)
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t)
	keys := func(change func(k *services.Keys)) func() services.Keys {
		k := w.keys()
		change(&k)
		return func() services.Keys { return k }
	}
	now := accounts.Config{Now: w.clock.Now}
	for name, c := range map[string]struct {
		cfg  services.Config
		want string
	}{
		"admin without secret":    {services.Config{Admin: services.AdminConfig{Enabled: true}, Accounts: accounts.Config{Revoker: w.servers}}, "Admin.Secret has 0 bytes"},
		"admin with a short one":  {services.Config{Admin: services.AdminConfig{Enabled: true, Secret: "123456789012345"}, Accounts: accounts.Config{Revoker: w.servers}}, "at least 16"},
		"admin without a revoker": {services.Config{Admin: services.AdminConfig{Enabled: true, Secret: adminSecret}}, "Accounts.Revoker"},
		"secret without admin":    {services.Config{Admin: services.AdminConfig{Secret: adminSecret}}, "Admin.Enabled"},
		"origin with a path":      {services.Config{Origins: []string{"https://play.example/"}}, "scheme and host alone"},
		"origin without scheme":   {services.Config{Origins: []string{"play.example"}}, "scheme and host alone"},
		"body":                    {services.Config{MaxBody: 100}, "MaxBody"},
		"timeout":                 {services.Config{Timeout: -1}, "Timeout"},
		"age":                     {services.Config{KeysMaxAge: -1}, "KeysMaxAge"},
		"requests":                {services.Config{Requests: accounts.Limit{Burst: -5}}, "Requests"},
		"accounts":                {services.Config{Accounts: accounts.Config{TokenTTL: time.Second}}, "TokenTTL"},
		"keys of another root":    {services.Config{Accounts: now, Keys: keys(func(k *services.Keys) { k.Root = make([]byte, 32) })}, "not signed by the root"},
		"keys without a root":     {services.Config{Accounts: now, Keys: keys(func(k *services.Keys) { k.Root = nil })}, "root key of 0 bytes"},
		"keys without a gateway":  {services.Config{Accounts: now, Keys: keys(func(k *services.Keys) { k.Gateways = nil })}, "no gateway"},
		"keys of a long realm":    {services.Config{Accounts: now, Keys: keys(func(k *services.Keys) { k.Realm = strings.Repeat("x", 256) })}, "255"},
	} {
		if _, err := services.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word about %q", name, err, c.want)
		} else if strings.Contains(err.Error(), "123456789012345") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	s, err := services.New(services.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatalf("the zero value: %v", err)
	}
	w.want("keys", ask(s.Handler(), "GET", "/v1/keys", ""), 404, "not_found")
	w.want("key set", ask(s.Handler(), "GET", "/v1/jwks.json", ""), 404, "not_found")
	session := ask(s.Handler(), "POST", "/v1/guest", "{}").field("session")
	w.want("token without an issuer", ask(s.Handler(), "POST", "/v1/token", "{}", bearer(session)), 403, "closed")
	w.want("characters of a game without", ask(s.Handler(), "GET", "/v1/characters", "", bearer(session)), 409, "no_characters")
}
