//go:build unix

package tianxia_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// operator is a secret of operators.
const operator = "0123456789abcdef0123456789abcdef"

// loginAPI is a login service that a test calls.
type loginAPI struct {
	t    *testing.T
	base string // URL before /v1/
}

// call sends a body of JSON, or GETs where there is none, and reads the answer.
func (l loginAPI) call(path, bearer, body string) (status int, answer map[string]any) {
	l.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, l.base+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	c := http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &answer); err != nil {
			l.t.Fatalf("%s answers %d with %q", path, resp.StatusCode, b)
		}
	}
	return resp.StatusCode, answer
}

// must is call with the answer that is expected; it returns the members that are texts.
func (l loginAPI) must(status int, path, bearer, body string) map[string]string {
	l.t.Helper()
	got, answer := l.call(path, bearer, body)
	if got != status {
		l.t.Fatalf("%s answers %d: %v, want %d", path, got, answer, status)
	}
	texts := map[string]string{}
	for k, v := range answer {
		if s, ok := v.(string); ok {
			texts[k] = s
		}
	}
	return texts
}

// guest makes an account and returns its session there.
func (l loginAPI) guest() string { return l.must(201, "/v1/guest", "", "{}")["session"] }

// client is what a client needs to play with a token, by what the service says of the gateways.
func (l loginAPI) client(token string) client.Config {
	l.t.Helper()
	status, answer := l.call("/v1/keys", "", "")
	if status != http.StatusOK {
		l.t.Fatalf("keys: %d: %v", status, answer)
	}
	var k struct {
		Realm         string
		Root, Current []byte
		Gateways      []string
	}
	if b, err := json.Marshal(answer); err != nil {
		l.t.Fatal(err)
	} else if err := json.Unmarshal(b, &k); err != nil {
		l.t.Fatal(err)
	}
	cert, err := security.ParseKeyCert(k.Current)
	if err != nil {
		l.t.Fatal(err)
	}
	codec, err := bind.NewCodec()
	if err != nil {
		l.t.Fatal(err)
	}
	return client.Config{URL: k.Gateways[0], Token: token, Codec: codec, Security: security.ClientConfig{Root: k.Root, Cert: cert, Realm: k.Realm}, Reconnect: client.Reconnect{Off: true}}
}

// enter logs in with the configuration and plays.
func enter(t *testing.T, cfg client.Config) (*player, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p := serving(c)
	t.Cleanup(func() { _ = c.Close(); <-p.ended })
	return p, nil
}

func enters(t *testing.T, cfg client.Config) *player {
	t.Helper()
	p, err := enter(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// barrier is a way to the gateway that can be cut, and opened again.
type barrier struct {
	mu   sync.Mutex
	conn net.Conn
	open chan struct{} // closed while one may pass
}

func newBarrier() *barrier {
	b := &barrier{open: make(chan struct{})}
	close(b.open)
	return b
}

func (b *barrier) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	b.mu.Lock()
	b.conn = c
	b.mu.Unlock()
	return c, err
}

// cut ends the connection and lets none pass until the function that it returns is called.
func (b *barrier) cut() (reopen func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = make(chan struct{})
	_ = b.conn.Close()
	return func() { close(b.open) }
}

func TestPlayersOfTheLoginServicePlayUntilTheyAreBanned(t *testing.T) {
	dir := runFolder(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{{"new-root"}, {"issue", "-keyring", file("keyring.json")}} {
		if p := launch(t, dir, "mmo", append(append([]string{"keys"}, args...), "-root", file("root.key"))...); p.exit() != 0 {
			t.Fatal(p.all())
		}
	}
	t.Setenv("MMO_SERVICES_ADMIN_SECRET", operator) // of both processes: each passes over what is the other's
	login, admin, gate := freePort(t), freePort(t), freePort(t)
	server := launch(t, dir, "server", "-services.listen", login, "-services.realm", "plains", "-services.issuer", "https://login.test", "-services.signer", file("signer.pem"),
		"-services.keyring", file("keyring.json"), "-services.gateways", "ws://"+gate+"/ws", "-services.admin.listen", admin)
	server.says("login +http://" + login + "/v1/")
	server.says("operators +http://" + admin + "/v1/admin/")
	launch(t, dir, "gateway", "-listen", gate, "-realm", "plains", "-keys", file("keyring.json"), "-login.jwks", "http://"+login+"/v1/jwks.json", "-login.issuer", "https://login.test").says("clients")
	eventually(t, "the gateway finds its server", func() bool {
		code, _ := get(t, "http://"+gate+"/readyz")
		return code == http.StatusOK
	})
	players, operators := loginAPI{t, "http://" + login}, loginAPI{t, "http://" + admin}

	ann := players.guest()
	token := players.must(200, "/v1/token", ann, "{}")
	cfg := players.client(token["token"])
	p := enters(t, cfg)
	p.plays(t, 5)
	if _, err := enter(t, cfg); !refused(err) {
		t.Errorf("a token that was used lets in again: %v", err)
	}

	bob := players.guest() // who has no connection when he is banned
	bobs := players.must(200, "/v1/token", bob, "{}")
	way := newBarrier()
	cfg = players.client(bobs["token"])
	cfg.Network.NetDial, cfg.Reconnect = way.dial, client.Reconnect{}
	away := enters(t, cfg)
	away.plays(t, 5)
	reopen := way.cut()

	unused := players.must(200, "/v1/token", ann, "{}")
	began := time.Now()
	for _, player := range []string{token["player"], bobs["player"]} {
		operators.must(200, "/v1/admin/ban", operator, `{"player":"`+player+`","until":"2999-01-01T00:00:00Z","reason":"cheating"}`)
	}
	var k *client.KickError
	if err := p.end(t); !errors.As(err, &k) || k.Code != protocol.DisconnectBanned {
		t.Errorf("the banned player's session ended with %v", err)
	}
	t.Logf("from the ban to the end of the session: %v", time.Since(began))
	reopen()
	if err := away.end(t); !errors.Is(err, client.ErrNotRecovered) {
		t.Errorf("the ticket of one who was banned meanwhile led to %v", err)
	}
	if _, err := enter(t, players.client(unused["token"])); !refused(err) {
		t.Errorf("a token from before the ban lets in: %v", err)
	}
	players.must(403, "/v1/token", ann, "{}")
	if status, _ := players.call("/v1/admin/stats", operator, ""); status != 404 {
		t.Errorf("the players' listener answers operators with %d", status)
	}
	operators.must(401, "/v1/admin/stats", "guess", "")
}

// refused tells whether a login was refused, by an answer or by a kick.
func refused(err error) bool {
	var e *client.Error
	var k *client.KickError
	return errors.As(err, &e) || errors.As(err, &k)
}

func TestNodeHasAccountsAtOnce(t *testing.T) {
	n, _ := boot(t, app(5), tianxia.NodeConfig{AdminSecret: operator})
	api := loginAPI{t, strings.TrimSuffix(n.URL(), "/")}
	token := api.must(200, "/v1/token", api.guest(), "{}")
	cfg := api.client(token["token"])
	p := enters(t, cfg)
	p.plays(t, 3)
	if _, err := enter(t, cfg); !refused(err) {
		t.Errorf("a token that was used lets in again: %v", err)
	}
	api.must(401, "/v1/admin/kick", "guess", `{"player":"`+token["player"]+`","reason":"x"}`)
	if status, answer := api.call("/v1/admin/kick", operator, `{"player":"`+token["player"]+`","reason":"please update"}`); status != 204 {
		t.Errorf("kick: %d: %v", status, answer)
	}
	var k *client.KickError
	if err := p.end(t); !errors.As(err, &k) || k.Code != protocol.DisconnectKicked || k.Reason != "please update" {
		t.Errorf("the session ended with %v", err)
	}
}

func TestNodeHasNoOperatorsUnlessItIsGivenASecret(t *testing.T) {
	n, _ := boot(t, app(5), tianxia.NodeConfig{})
	api := loginAPI{t, strings.TrimSuffix(n.URL(), "/")}
	api.must(404, "/v1/admin/stats", "", "")
	api.must(404, "/v1/admin/stats", operator, "")
	if _, err := tianxia.Open(app(5), tianxia.NodeConfig{Addr: "127.0.0.1:0", AdminSecret: "short"}); err == nil || !strings.Contains(err.Error(), "at least 16") {
		t.Errorf("a short secret: %v", err)
	}
	req, err := http.NewRequest(http.MethodPost, n.URL()+"v1/guest", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page that rebound its name is answered with %d", resp.StatusCode)
	}
}

func TestLoginServiceOfAServerSpeaksTLS(t *testing.T) {
	dir := runFolder(t)
	ca := authority(t, dir)
	ca.issue(t, "login", "login.test")
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := security.Keyring{}.Next(root, nil, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(filepath.Join(dir, "keyring.json")); err != nil {
		t.Fatal(err)
	}
	login, admin := freePort(t), freePort(t)
	f := tianxia.DefaultServerFile()
	f.RPC.Registry, f.RPC.Listen = dir, []string{"tcp://127.0.0.1:0"}
	f.Services = tianxia.ServicesFile{
		Listen: login, TLS: tianxia.ServicesTLS{Cert: filepath.Join(dir, "login.pem"), Key: filepath.Join(dir, "login.key")}, Realm: "plains", Issuer: "x", Signer: filepath.Join(dir, "signer.pem"),
		Keyring: filepath.Join(dir, "keyring.json"), Gateways: []string{"wss://gate.test/ws"}, Admin: tianxia.AdminFile{Listen: admin, Secret: operator},
	}
	if err := f.Services.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n, err := tianxia.OpenServer(ctx, app(5), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "login.test"}}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	c := http.Client{Transport: transport, Timeout: patience}
	defer c.CloseIdleConnections()
	for url, want := range map[string]int{
		"https://" + login + "/v1/keys": 200, "https://" + login + "/v1/jwks.json": 200, "https://" + admin + "/v1/admin/stats": 401, "https://" + admin + "/v1/keys": 404,
		"http://" + login + "/v1/keys": 400, // Go's server says that it speaks TLS
	} {
		resp, err := c.Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s answers %d, want %d", url, resp.StatusCode, want)
		}
	}
}

func TestServerWithoutUsableServicesLetsGoOfWhatItHad(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := runFolder(t)
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := security.Keyring{}.Next(root, nil, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(filepath.Join(dir, "keyring.json")); err != nil {
		t.Fatal(err)
	}
	f := tianxia.DefaultServerFile()
	f.RPC.Registry = dir
	good := tianxia.ServicesFile{Listen: "127.0.0.1:0", Realm: "plains", Issuer: "x", Signer: filepath.Join(dir, "signer.pem"), Keyring: filepath.Join(dir, "keyring.json"), Gateways: []string{"ws://gate.test/ws"}}
	for say, change := range map[string]func(*tianxia.ServicesFile){
		"services.keyring: ": func(s *tianxia.ServicesFile) { s.Keyring += ".not" },
		"services.signer: ":  func(s *tianxia.ServicesFile) { s.Signer = s.Keyring },
		"services.tls: ":     func(s *tianxia.ServicesFile) { s.TLS = tianxia.ServicesTLS{Cert: s.Keyring, Key: s.Keyring} },
		"services.listen: ":  func(s *tianxia.ServicesFile) { s.Listen = taken.Addr().String() },
		"services.admin.listen: ": func(s *tianxia.ServicesFile) {
			s.Admin = tianxia.AdminFile{Listen: taken.Addr().String(), Secret: operator}
		},
	} {
		f.Services = good
		change(&f.Services)
		if _, err := tianxia.OpenServer(context.Background(), app(5), f, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("it says %v, want %q", err, say)
		}
	}
	f.Services = good // and the registry's place is free
	n, err := tianxia.OpenServer(context.Background(), app(5), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Serve(ctx); err != nil {
		t.Error(err)
	}
}
