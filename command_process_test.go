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
		New: func(int) (*game.Game, game.Config, error) { return &game.Game{Name: "pond"}, game.Config{}, nil },
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
		{"server", "game:\n  dukcs: 3\n", `f.yaml:2:10: game.dukcs: the game has no such setting (did you mean "ducks"?); it has: day, ducks, frozen`},
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
	a.New = func(int) (*game.Game, game.Config, error) {
		return nil, game.Config{}, &UsageError{"-ducks -3: need 0 or more"}
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
	a.New = func(int) (*game.Game, game.Config, error) {
		close(building)
		<-built // as a world that takes long to make, or a socket that the system does not give
		return nil, game.Config{}, errors.New("too late")
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
