package tianxia

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/config"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

// pond is an app without a world to speak of.
func pond() App {
	return App{
		Name: "pond",
		Flags: func(fs *flag.FlagSet) {
			fs.Int("ducks", 1, "number of `ducks`")
			fs.Bool("frozen", false, "in winter")
			fs.Duration("day", time.Hour, "length of a day")
		},
		New: func(int) (*game.Game, []game.Config, error) { return &game.Game{Name: "pond"}, nil, nil },
	}
}

func openProcess(t *testing.T, command string) *process {
	t.Helper()
	server, gateway := DefaultServerFile(), DefaultGatewayFile()
	var own, other any = &server, &gateway
	if command == "gateway" {
		own, other = other, own
	}
	p, err := pond().process(command, own, other)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEveryKeyLoadsFromTheEnvironment gives all variables of both files to both processes at once, as one environment of a host does: many keys are in both.
func TestEveryKeyLoadsFromTheEnvironment(t *testing.T) {
	values := map[string]string{
		"MMO_GAME": "{ducks: 3}", "MMO_RPC_LISTEN": "tls://127.0.0.1:7000", "MMO_RPC_SERVER": "tls://127.0.0.1:7000", "MMO_RPC_REGISTRY": "/somewhere", "MMO_RPC_TOKEN": "open sesame",
		"MMO_RPC_TLS_CERT": "c.pem", "MMO_RPC_TLS_KEY": "c.key", "MMO_RPC_TLS_CA": "ca.pem", "MMO_RPC_TLS_NAME": "world.test", "MMO_LOGIN_RIGHTS": "spectate",
		"MMO_TCP": "127.0.0.1:7001", "MMO_PLAIN": "127.0.0.1:7002", "MMO_ORIGINS": "https://play.test", "MMO_PROXIES_ADDRESSES": "10.0.0.0/8", "MMO_KEYS": "keyring.json",
		"MMO_LOGIN_JWKS": "https://login.test/v1/jwks.json", "MMO_LOGIN_ISSUER": "https://login.test", "MMO_LIMITS_ADDRESSES_EXEMPT": "192.0.2.7",
		"MMO_SERVICES_LISTEN": ":443", "MMO_SERVICES_TLS_CERT": "c.pem", "MMO_SERVICES_TLS_KEY": "c.key", "MMO_SERVICES_ISSUER": "https://login.test", "MMO_SERVICES_SIGNER": "signer.pem",
		"MMO_SERVICES_KEYRING": "keyring.json", "MMO_SERVICES_GATEWAYS": "wss://gate.test/ws", "MMO_SERVICES_ORIGINS": "https://play.test", "MMO_SERVICES_TRUSTED": "10.0.0.7",
		"MMO_TABLES": "tables", "MMO_RECORD": "recordings", "MMO_SERVICES_ADMIN_LISTEN": "127.0.0.1:7003", "MMO_SERVICES_ADMIN_SECRET": "0123456789abcdef",
	}
	keys := map[string][]config.Key{}
	for command, file := range map[string]any{"server": DefaultServerFile(), "gateway": DefaultGatewayFile()} {
		list, err := config.Keys(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range list {
			if k.Env == "" {
				continue
			}
			keys[command] = append(keys[command], k)
			value, ok := values[k.Env]
			if !ok {
				value = k.Default
			}
			if value == "" {
				t.Errorf("%s has neither a default nor a value in this test: give it one", k.Env)
			}
			t.Setenv(k.Env, value)
		}
	}
	for command, list := range keys {
		p := openProcess(t, command)
		var out, errs strings.Builder
		if code, done := p.load(nil, &out, &errs); done {
			t.Fatalf("%s: exit code %d, says %s", command, code, errs.String())
		}
		for _, k := range list {
			if o := p.origins.Of(k.Path); o.Kind != config.Env || o.Name != k.Env {
				t.Errorf("%s: %s comes from %v, want %s", command, k.Path, o, k.Env)
			}
		}
	}
}

func TestMistakesInFilesAreShownInTheirPlace(t *testing.T) {
	for _, c := range []struct{ command, text, say string }{
		{"server", "game:\n  ducks: many\n", `f.yaml:2:10: game.ducks: want a whole number, got "many"; write digits only`},
		{"server", "game:\n  ducks: 99999999999999999999\n", `f.yaml:2:10: game.ducks: want a whole number, got "99999999999999999999": it is out of range`},
		{"server", "game: {frozen: perhaps, day: 3}\n", `f.yaml:1:30: game.day: want a duration, got "3"; write a number and one of`},
		{"server", "game: {frozen: perhaps, day: 3}\n", `f.yaml:1:16: game.frozen: want true or false, got "perhaps"; write true or false`},
		{"server", "game:\n  dukcs: 3\n", `f.yaml:2:10: game.dukcs: the game has no such setting (did you mean ducks?); it has: day, ducks, frozen`},
		{"server", "rpc:\n  listen:\n    - auto\n    - tcp://127.0.0.1:99999\n", `f.yaml:4:7: rpc.listen[1]: tcp://127.0.0.1:99999: the port "99999" is no number from 0 to 65535`},
		{"server", "rpc:\n  listen: [auto, tcp://127.0.0.1]\n", `f.yaml:2:18: rpc.listen[1]: tcp://127.0.0.1: want host:port`},
		{"server", "rpc: {listen: [auto, auto]}\n", `rpc.listen[1]: auto is there twice`},
		{"server", "rpc: {listen: ['unix://']}\n", `rpc.listen[0]: "unix://" is no endpoint`},
		{"server", "rpc: {listen: [" + strings.Repeat("auto, ", 17) + "]}\n", `f.yaml:1:15: rpc.listen: 17 endpoints, at most 16`},
		{"server", "rpc:\n  tls:\n    cert: a\n    key: b\n", `f.yaml:3:11: rpc.tls.cert: no endpoint uses it, so nothing would be encrypted; listen on tls://`},
		{"server", "rpc:\n  tls:\n    ca: a\n", `f.yaml:3:9: rpc.tls.ca: no endpoint uses it`},
		{"gateway", "listen: 127.0.0.1:80800\n", `f.yaml:1:9: listen: "127.0.0.1:80800": the port "80800" is no number`},
		{"gateway", "rpc:\n  server: tcp://10.0.0.7:7000\n", `f.yaml:2:11: rpc.server: tcp://10.0.0.7:7000 is in the clear for everybody on the way: use tls://, or say insecure: true`},
		{"gateway", "rpc:\n  server: tls://10.0.0.7:70000\n", `f.yaml:2:11: rpc.server: endpoint "tls://10.0.0.7:70000": the port`},
		{"gateway", "rpc: {server: 'inproc://world'}\n", `is inside a process`},
		{"gateway", "rpc:\n  server: tcp://127.0.0.1:7000\n  tls:\n    name: world.test\n", `f.yaml:4:11: rpc.tls.name: no endpoint uses it, so nothing would be encrypted; name a server at tls://`},
		{"gateway", "tcp: 127.0.0.1\n", `f.yaml:1:6: tcp: "127.0.0.1": want host:port`},
		{"gateway", "tcp: 0.0.0.0:7777\n", `f.yaml:1:6: tcp: 0.0.0.0:7777 can be reached by others, and the development login`},
		{"gateway", "tcp: 127.0.0.1:8080\n", `f.yaml:1:6: tcp: 127.0.0.1:8080 is taken by listen`},
		{"gateway", "plain: ':9000'\n", `f.yaml:1:8: plain: :9000 can be reached by others, and everything said there is in the clear`},
		{"gateway", "plain: ':9000'\nkeys: k\nlogin: {jwks: 'https://login.test/', issuer: x}\n", `f.yaml:1:8: plain: :9000 can be reached`},
		{"gateway", "keys: k\nlogin:\n  jwks: http://login.test/v1/jwks.json\n  issuer: x\n", `f.yaml:3:9: login.jwks: "http://login.test/v1/jwks.json": write https://`},
		{"gateway", "drain: -1s\n", `f.yaml:1:8: drain: -1s: need 0 to 1h0m0s`},
		{"gateway", "drain: 10\n", `f.yaml:1:8: drain: want a duration`},
		{"gateway", "origins:\n  - https://play.test\n  - play.test/\n", `f.yaml:3:5: origins[1]: "play.test/": write scheme and host alone`},
		{"gateway", "proxies:\n  addresses: [10.0.0.0/8, proxy.test]\n", `f.yaml:2:27: proxies.addresses[1]: want text, got the text "proxy.test": no address and no range of addresses: write 10.0.0.7`},
		{"gateway", "proxies:\n  addresses: [10.0.0.7/8]\n", `10.0.0.7/8 has bits behind its 8: write 10.0.0.0/8`},
		{"gateway", "proxies:\n  protocol: true\n", `f.yaml:2:13: proxies.protocol: whom to believe is not said`},
		{"gateway", "limits:\n  byte_rate: 0\n", `f.yaml:2:14: limits.byte_rate: 0: must be positive`},
		{"gateway", "limits:\n  queue_age: 10ms\n", `f.yaml:2:14: limits.queue_age: 10ms, need at least 1s`},
		{"gateway", "limits:\n  addresses:\n    open: 0\n", `f.yaml:3:11: limits.addresses.open: 0: must be positive`},
		{"server", "services:\n  listen: 0.0.0.0:443\n", `f.yaml:2:11: services.listen: 0.0.0.0:443 can be reached by others, and passwords and tokens would travel in the clear: set tls.cert`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n", `services.signer: missing: name the file`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n", `services.keyring: missing: name the gateways' keyring`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  gateways: [https://gate.test]\n", `f.yaml:3:14: services.gateways[0]: "https://gate.test": write wss://host/ws`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  admin: {listen: 127.0.0.1:9001, secret: short}\n", `f.yaml:3:43: services.admin.secret: 5 bytes, and whoever guesses it can ban everybody`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  admin: {secret: 0123456789abcdef}\n", `f.yaml:3:19: services.admin.secret: there is no operators' interface`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  admin: {listen: ':9001'}\n", `f.yaml:3:19: services.admin.listen: :9001 can be reached by others`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  admin: {listen: 127.0.0.1:9000}\n", `f.yaml:3:19: services.admin.listen: 127.0.0.1:9000 is where the players come`},
		{"server", "services:\n  admin: {listen: 127.0.0.1:9001}\n", `f.yaml:2:19: services.admin.listen: it is the operators' interface of the login service, which is off`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  max_characters: -1\n", `f.yaml:3:19: services.max_characters: -1: need 0 to 1000`},
		{"server", "services:\n  listen: 127.0.0.1:9000\n  tls: {cert: a}\n", `services.tls: cert and key come together or not at all`},
		{"gateway", "limits:\n  queue: 63 KiB\n", `f.yaml:2:10: limits.queue: 63 KiB, need at least 64 KiB`},
	} {
		file := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var errs strings.Builder
		code, done := openProcess(t, c.command).load([]string{"-config", file}, io.Discard, &errs)
		if !done || code != exitUsage || !strings.Contains(errs.String(), c.say) {
			t.Errorf("%s with %q: exit code %d, says %q, want %q", c.command, c.text, code, errs.String(), c.say)
		}
		code, done = openProcess(t, c.command).load([]string{"-supervised", "-config", file}, io.Discard, &errs)
		if !done || code != exitMistake {
			t.Errorf("%s with %q: a supervised process ends with %d, want %d", c.command, c.text, code, exitMistake)
		}
	}
	for _, c := range []struct{ command, text string }{
		{"server", "rpc: {listen: [auto, tcp://127.0.0.1:0, 'unix:///run/world.sock']}\ngame: {ducks: 3, frozen: true, day: 2h}\n"},
		{"server", "rpc: {listen: ['tls://:7000'], token: x, tls: {cert: a, key: b}}\n"},
		{"gateway", "rpc: {server: 'tcp://10.0.0.7:7000', insecure: true}\n"},
		{"gateway", "listen: ':8080'\ntcp: ':7777'\nplain: ':9000'\nlogin: {public: true}\norigins: ['*']\nproxies: {addresses: [10.0.0.7, 2001:db8::/32], protocol: true}\ndrain: 0s\n"},
		{"gateway", "listen: ':8080'\ntcp: ':7777'\nkeys: k\nlogin: {jwks: 'https://login.test/', issuer: x}\n"},
		{"server", "services: {listen: ':443', tls: {cert: a, key: b}, issuer: x, signer: s, keyring: k, gateways: [wss://gate.test/ws], admin: {listen: 127.0.0.1:9001, secret: 0123456789abcdef}}\n"},
		{"gateway", "rpc: {tls: {ca: a}}\nlimits: {queue: 64 KiB}\n"}, // whoever is found in the registry may be at tls://
	} {
		file := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var errs strings.Builder
		if code, done := openProcess(t, c.command).load([]string{"-config", file}, io.Discard, &errs); done {
			t.Errorf("%s with %q: exit code %d, says %q", c.command, c.text, code, errs.String())
		}
	}
}

func TestWhatTheGameSaysOfItsFlagsIsShownInTheirPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("game:\n  ducks: -3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := pond()
	a.New = func(int) (*game.Game, []game.Config, error) {
		return nil, nil, &UsageError{"-ducks -3: need 0 or more"}
	}
	for _, c := range []struct {
		args []string
		say  string
	}{
		{nil, "f.yaml:2:10: game.ducks: -3: need 0 or more\n"},
		{[]string{"-ducks=-3"}, "pond: -ducks -3: need 0 or more\n"},
	} {
		var errs strings.Builder
		if code := a.Run(context.Background(), append([]string{"server", "-config", file}, c.args...), io.Discard, &errs); code != exitUsage || !strings.HasSuffix(errs.String(), c.say) {
			t.Errorf("%q: exit code %d, says %q, want %q", c.args, code, errs.String(), c.say)
		}
	}
}

func TestProcessThatIsToldToStopBeforeItServesEndsAtOnce(t *testing.T) {
	for _, command := range []string{"server", "dev"} {
		t.Run(command, func(t *testing.T) { stoppedWhileItOpens(t, command) })
	}
}

func stoppedWhileItOpens(t *testing.T, command string) {
	building, built := make(chan struct{}), make(chan struct{})
	a := pond()
	a.New = func(int) (*game.Game, []game.Config, error) {
		close(building)
		<-built // as a world that takes long to make, or a socket that the system does not give
		return nil, nil, errors.New("too late")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	var out, errs bytes.Buffer
	args := map[string][]string{"server": {"server", "-rpc.registry", dir}, "dev": {"dev", "-addr", "127.0.0.1:0"}}[command]
	go func() { code <- a.Run(ctx, args, &out, &errs) }()
	<-building
	cancel()
	select {
	case c := <-code:
		if c != exitOK || out.String() != "stopped\n" || errs.Len() > 0 {
			t.Errorf("exit code %d, says %q and %q", c, out.String(), errs.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs on")
	}
	close(built)
}

func TestWhatOpensTooLateIsUndone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	release, undone := make(chan struct{}), make(chan int, 1)
	n, err := unlessEnded(ctx, func() (int, error) { <-release; return 7, nil }, func(n int) error { undone <- n; return nil })
	if n != 0 || err != context.Canceled {
		t.Errorf("%d, %v", n, err)
	}
	close(release)
	if n := <-undone; n != 7 {
		t.Errorf("%d was undone", n)
	}
}

// TestServerWhoseIdIsTakenSaysSoAndNothingElse holds the id by an instance that serves something else, so that only the registry itself finds out.
func TestServerWhoseIdIsTakenSaysSoAndNothingElse(t *testing.T) {
	dir, err := os.MkdirTemp("", "tx") // the names of sockets are bounded, which t.TempDir's are not
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Register(context.Background(), registry.Instance{ID: aloneID, Epoch: 1, Endpoints: []string{"unix:///nowhere"}}); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := pond().Run(context.Background(), []string{"server", "-rpc.registry", dir}, &out, &errs)
	if code != exitFailed || out.Len() > 0 || !strings.Contains(errs.String(), "by a living process") {
		t.Errorf("exit code %d, announced %q, says %q", code, out.String(), errs.String())
	}
}
