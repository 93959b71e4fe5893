package tianxia_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// patience bounds every wait for something that should happen at once; it is reached only when something is broken.
const patience = 30 * time.Second

func app(walkers int) tianxia.App {
	return tianxia.App{
		New: func(bots int) (*game.Game, []game.Config, error) {
			return plains.New(plains.Config{Walkers: walkers}), []game.Config{{Seed: 1, Width: plains.SideFor(walkers + bots)}}, nil
		},
		Bot: bot.Play,
	}
}

// boot runs a node for the test; stop ends it and returns how long that took.
func boot(t *testing.T, a tianxia.App, cfg tianxia.NodeConfig) (n *tianxia.Node, stop func() time.Duration) {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	n, err := tianxia.Open(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	stopped := false
	stop = func() time.Duration {
		if stopped {
			return 0
		}
		stopped = true
		start := time.Now()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("the node does not stop")
		}
		return time.Since(start)
	}
	t.Cleanup(func() { stop() })
	return n, stop
}

// dial logs a client in.
func dial(t *testing.T, n *tianxia.Node, change func(*client.Config)) *client.Client {
	t.Helper()
	cfg, err := n.ClientConfig("tester")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Reconnect.Off = true // the end of a connection is to be seen
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// until serves a client until the condition, looked at after every state frame, holds; then it ends the client.
func until(t *testing.T, c *client.Client, what string, ok func() bool) {
	t.Helper()
	timer := time.AfterFunc(patience, func() { _ = c.Close() })
	defer timer.Stop()
	held := false
	err := c.Serve(client.Handler{State: func() {
		if !held && ok() {
			held = true
			_ = c.Close()
		}
	}})
	if !held {
		t.Fatalf("%s: never came; the client ended with %v", what, err)
	}
}

// eventually waits for counters that other goroutines move.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("%s: never came", what)
		}
	}
}

func TestClientSeesALivingWorldAndWalksInIt(t *testing.T) {
	n, _ := boot(t, app(300), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	asked := false
	var x0 int32
	until(t, c, "own avatar walks east", func() bool {
		own, ok := c.Own()
		if !ok || c.Mirror.Live < 20 {
			return false
		}
		if !asked {
			asked = true
			x0, _, _ = own.Position(own.Base.Tick)
			_ = c.Push(bind.RouteMove, &plainsv1.Move{Seq: 1, Tick: c.Mirror.Rows[0].Tick + 3, Vx: -80})
			if x0 < 4000 {
				_ = c.Push(bind.RouteMove, &plainsv1.Move{Seq: 2, Tick: c.Mirror.Rows[0].Tick + 3, Vx: 80})
			}
		}
		x, _, _ := own.Position(c.Mirror.Rows[0].Tick)
		return c.Mirror.Rows[0].Input > 0 && (x-x0 > 400 || x0-x > 400)
	})
}

func TestSpectatorGetsTheWholeWorld(t *testing.T) {
	n, _ := boot(t, app(1000), tianxia.NodeConfig{})
	c := dial(t, n, nil)
	answered := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		answered <- c.Request(ctx, bind.RouteSpectate, &plainsv1.SpectateRequest{Radius: 1 << 20}, &plainsv1.SpectateResponse{})
	}()
	until(t, c, "the answer, 1,000 walkers and itself", func() bool { // the state may come first
		return c.Mirror.Live == 1001 && len(answered) == 1
	})
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestRekeyOnTheLiveConnection(t *testing.T) {
	n, _ := boot(t, app(50), tianxia.NodeConfig{Gateway: gateway.Config{Security: security.ServerConfig{RekeyRecords: 3, RekeyBytes: 500}}})
	c := dial(t, n, nil)
	frames := uint64(40)
	if testing.Short() {
		frames = 12
	}
	until(t, c, "frames across many keys", func() bool { return uint64(c.Mirror.Frames) >= frames })
}

func TestSecondLoginOfAPlayerSupersedesTheFirst(t *testing.T) {
	n, _ := boot(t, app(10), tianxia.NodeConfig{})
	same := func(c *client.Config) {
		ann, err := n.PlayerConfig(77, "Ann")
		if err != nil {
			t.Fatal(err)
		}
		c.Token = ann.Token
	}
	first := dial(t, n, same)
	ended := make(chan error, 1)
	go func() { ended <- first.Serve(client.Handler{}) }()
	second := dial(t, n, same)
	var k *client.KickError
	if err := <-ended; !errors.As(err, &k) || k.Code != protocol.DisconnectSuperseded {
		t.Errorf("the first client ended with %v, want superseded", err)
	}
	until(t, second, "the second plays on", func() bool { _, ok := second.Own(); return ok })
}

func TestRefusedLoginSaysWhy(t *testing.T) {
	n, _ := boot(t, app(10), tianxia.NodeConfig{})
	cfg, err := n.ClientConfig("x")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Token = cfg.Token[:len(cfg.Token)-2] + "AA"
	var e *client.Error
	if _, err := client.Dial(context.Background(), cfg); !errors.As(err, &e) || e.Code != protocol.ErrorUnauthorized {
		t.Errorf("forged token: %v", err)
	}
	strange := *cfg.Codec.Layout
	strange.Fingerprint++ // an older or newer generation
	if cfg.Codec, err = delta.NewCodec(&strange, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "the server is older: its schema is") {
		t.Errorf("another schema: %v", err)
	}
	eventually(t, "reasons counted", func() bool {
		d := n.Stats().Gateway.Disconnects
		return d["bad_token"] == 1 && d["schema_mismatch"] == 1
	})
}

func TestStopTellsPlayersAndLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	n, stop := boot(t, app(100), tianxia.NodeConfig{Bots: 30, BotRate: 1000})
	eventually(t, "all bots play", func() bool { return n.Stats().Server.Players == 30 })
	c := dial(t, n, nil)
	halfway, err := net.Dial("tcp", n.Addr()) // somebody who stands in the door
	if err != nil {
		t.Fatal(err)
	}
	defer halfway.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(client.Handler{}) }()
	if took := stop(); took > 2*time.Second {
		t.Errorf("stopping took %v, want at most 2 s", took)
	}
	var k *client.KickError
	if err := <-ended; !errors.As(err, &k) || k.Code != protocol.DisconnectServerShutdown {
		t.Errorf("a player was told %v, want server_shutdown", err)
	}
	if s := n.Stats(); s.Gateway.Connections != 0 {
		t.Errorf("%d connections are left", s.Gateway.Connections)
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
}

func TestBusyPortMeansTheNextFreeOne(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := tianxia.Open(app(1), tianxia.NodeConfig{Addr: taken.Addr().String()}); err == nil {
		t.Error("a busy port was taken a second time")
	}
	n, _ := boot(t, app(1), tianxia.NodeConfig{Addr: taken.Addr().String(), Ports: 50})
	if n.Addr() == taken.Addr().String() {
		t.Errorf("listens on the busy address %s", n.Addr())
	}
	for _, addr := range []string{"nonsense", "127.0.0.1:http", "127.0.0.1:99999", "192.0.2.1:8080"} {
		if _, err := tianxia.Open(app(1), tianxia.NodeConfig{Addr: addr}); err == nil || !strings.Contains(err.Error(), "listen on") {
			t.Errorf("address %q: %v", addr, err)
		}
	}
}

func TestDevLoginIsForPagesOfThisServerOnly(t *testing.T) {
	n, _ := boot(t, app(1), tianxia.NodeConfig{})
	ctx := context.Background()
	if _, err := tianxia.DevLogin(ctx, n.URL(), "somebody"); err != nil {
		t.Error(err)
	}
	if _, err := tianxia.DevLogin(ctx, n.URL(), strings.Repeat("x", 65)); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a name that is too long: %v", err)
	}
	req, _ := http.NewRequest(http.MethodGet, n.URL()+"dev/session", nil)
	req.Host = "rebound.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("under a foreign name: %s", resp.Status)
	}
}

func TestFullGatewayAnswers503(t *testing.T) {
	n, _ := boot(t, app(1), tianxia.NodeConfig{Gateway: gateway.Config{MaxConnections: 1}})
	c := dial(t, n, nil)
	cfg, err := n.ClientConfig("late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the second of one connection: %v", err)
	}
	_ = c
}

// writerFunc is a writer made of a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestMainRunsAnyGame(t *testing.T) {
	var out, errs strings.Builder
	a := app(5)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	said := writerFunc(func(b []byte) (int, error) { // it ends once it has said where it is
		n, err := out.Write(b)
		if strings.Contains(out.String(), "ws://127.0.0.1:") {
			stop()
		}
		return n, err
	})
	if code := a.Run(ctx, []string{"-addr", "127.0.0.1:0", "-for", "1h"}, said, &errs); code != 0 || !strings.Contains(out.String(), "ws://127.0.0.1:") {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	out.Reset()
	if code := a.Run(context.Background(), []string{"-addr", "127.0.0.1:0", "-for", "10ms"}, &out, &errs); code != 0 || !strings.Contains(out.String(), "stopped") { // before it serves, or after
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"-bot", "3"}, 2, `did you mean -bots`},
		{[]string{"-bots", "x"}, 2, "not a number"},
		{[]string{"-bots", "-3"}, 2, "need 0 or more"},
		{[]string{"dve"}, 2, `did you mean dev`},
		{[]string{"dev", "again"}, 2, "not expected here"},
		{[]string{"-addr", "x"}, 2, "host:port"},
		{[]string{"bots", "-url", "http://127.0.0.1:1/"}, 1, "Start a world"},
		{[]string{"bots", "-n", "0"}, 2, "need 1 or more"},
	} {
		out.Reset()
		errs.Reset()
		if code := a.Run(context.Background(), c.args, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.say) {
			t.Errorf("%q: exit code %d (want %d), says %q (want %q)", c.args, code, c.code, errs.String(), c.say)
		}
	}
	for _, args := range [][]string{{"help"}, {"version"}, {"-h"}} {
		out.Reset()
		if code := a.Run(context.Background(), args, &out, &errs); code != 0 || out.Len() == 0 {
			t.Errorf("%q: exit code %d, says %q", args, code, out.String())
		}
	}
}

func TestPageIsServedWithItsPolicy(t *testing.T) {
	a := app(1)
	a.Web = fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>plains</title>")}}
	n, _ := boot(t, a, tianxia.NodeConfig{})
	for _, check := range []string{"healthz", "readyz"} {
		resp, err := http.Get(n.URL() + check)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("/%s: %s", check, resp.Status)
		}
	}
	resp, err := http.Get(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("%s, policy %q", resp.Status, resp.Header.Get("Content-Security-Policy"))
	}
}
