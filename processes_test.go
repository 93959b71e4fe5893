//go:build unix

package tianxia_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// These tests run real processes of the test binary, each a gateway, a server or mmo.

func gatewayProcess(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return launch(t, dir, "gateway", append([]string{"-listen", "127.0.0.1:0"}, args...)...)
}

func TestBareGatewayAndServerFindEachOtherInEitherOrder(t *testing.T) {
	for _, first := range []string{"gateway", "server"} {
		t.Run(first+" first", func(t *testing.T) {
			dir := runFolder(t)
			var g, s *process
			if first == "gateway" {
				g = gatewayProcess(t, dir)
				page := g.page()
				g.says("start one with bin/server")
				if code, text := get(t, page+"readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "no world server") {
					t.Errorf("/readyz without a server: %d %q", code, text)
				}
				if code, _ := get(t, page+"healthz"); code != http.StatusOK {
					t.Errorf("/healthz without a server: %d", code)
				}
				if _, err := tianxia.DevLogin(context.Background(), page, "early"); err == nil || !strings.Contains(err.Error(), "the world server is away") {
					t.Errorf("a login without a server: %v", err)
				}
				s = launch(t, dir, "server")
			} else {
				s = launch(t, dir, "server")
				s.says("start one with bin/gateway")
				g = gatewayProcess(t, dir)
			}
			p := joinPage(t, g.page())
			p.plays(t, 20)
			if runtime.GOOS == "linux" {
				s.says(`gateway joins.*"transport":"shm"`)
			}
			if code, text := get(t, g.page()+"readyz"); code != http.StatusOK || !strings.Contains(text, "plains") {
				t.Errorf("/readyz with a server: %d %q", code, text)
			}
			if p.Zones[0].Epoch < 1<<16 {
				t.Errorf("the zone's epoch is %d, want one of this start", p.Zones[0].Epoch)
			}

			// Both stop when asked to, and say so.
			_ = g.cmd.Process.Signal(syscall.SIGTERM)
			var k *client.KickError
			if err := p.end(t); !errors.As(err, &k) || k.Code != protocol.DisconnectServerShutdown {
				t.Errorf("the player was told %v", err)
			}
			if code := g.exit(); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
			_ = s.cmd.Process.Signal(syscall.SIGINT)
			if code := s.exit(); code != 0 || !strings.Contains(s.all(), "stopped") {
				t.Errorf("the server ended with %d", code)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*.sock*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 512)
	n, _ := resp.Body.Read(b)
	return resp.StatusCode, string(b[:n])
}

// back is the promise: play goes on so soon after the server has come back.
const back = 3 * time.Second

func TestGatewayOutlivesAKilledServer(t *testing.T) {
	dir := runFolder(t)
	s, g := launch(t, dir, "server"), gatewayProcess(t, dir)
	p := joinPage(t, g.page())
	p.plays(t, 5)
	epoch := p.Zones[0].Epoch
	for range 3 {
		killed := time.Now()
		s.kill()
		var k *client.KickError
		if err := p.end(t); !errors.As(err, &k) || k.Code != protocol.DisconnectServerLost || k.Reason != "the world server is away; try again" {
			t.Fatalf("the player was told %v", err)
		}
		told := time.Since(killed)
		if told > time.Second {
			t.Errorf("the player was told after %v", told)
		}
		if code, _ := get(t, g.page()+"readyz"); code != http.StatusServiceUnavailable {
			t.Errorf("/readyz after the server's death: %d", code)
		}
		s = launch(t, dir, "server")
		s.says("waits for gateways")
		began := time.Now()
		p = joinPage(t, g.page())
		p.plays(t, 1)
		d := time.Since(began)
		if d > back {
			t.Errorf("play went on %v after the server's return, want %v at most", d, back)
		}
		t.Logf("told %v after the kill, playing %v after the server's return", told, d)
		if p.Zones[0].Epoch == epoch {
			t.Errorf("two servers with epoch %d", epoch)
		}
		epoch = p.Zones[0].Epoch
	}
}

func TestServerOutlivesAKilledGateway(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server", "-sessions.linger", "300ms")
	a, b := gatewayProcess(t, dir), gatewayProcess(t, dir)
	one, two, other := joinPage(t, a.page()), joinPage(t, a.page()), joinPage(t, b.page())
	for _, p := range []*player{one, two, other} {
		p.plays(t, 5)
	}
	a.kill()
	for _, p := range []*player{one, two} {
		if err := p.end(t); err == nil {
			t.Error("a player of a dead gateway plays on")
		}
	}
	// Their avatars are gone from the world: the status, told once a second, counts who is left.
	counted(t, b.page(), 2)
	other.plays(t, 20)
	c := gatewayProcess(t, dir)
	joinPage(t, c.page()).plays(t, 5)
}

// counted waits until the world's status counts so many players, the one who looks included.
func counted(t *testing.T, page string, want uint32) {
	t.Helper()
	p := joinPage(t, page)
	p.plays(t, 1)
	late := time.Now().Add(patience)
	for {
		p.plays(t, 20)
		_ = p.Close()
		<-p.ended
		if p.Status != nil && p.Status.Players == want {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the world counts %v players, want %d", p.Status, want)
		}
		p = joinPage(t, page)
	}
}

func TestFrozenGatewayHurtsNobodyElse(t *testing.T) {
	freeze := 10 * time.Second
	if testing.Short() {
		freeze = 2 * time.Second
	}
	dir := runFolder(t)
	s := launch(t, dir, "server")
	a, b := gatewayProcess(t, dir), gatewayProcess(t, dir)
	frozen, other := joinPage(t, a.page()), joinPage(t, b.page())
	frozen.plays(t, 5)
	other.plays(t, 5)
	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began, last, worst := time.Now(), time.Now(), time.Duration(0)
	for time.Since(began) < freeze {
		other.plays(t, 1)
		now := time.Now()
		worst = max(worst, now.Sub(last))
		last = now
	}
	t.Logf("longest wait of the other gateway's player in %v: %v", freeze, worst)
	if worst > time.Second { // a few ticks of 50 ms is what one sees; a server that waited for the frozen one would stand still for three
		t.Errorf("the other gateway's player waited %v for a frame", worst)
	}
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// The gateway is where it was, or has been given up by the server and comes back: either way one plays there again.
	joinPage(t, a.page()).plays(t, 20)
	other.plays(t, 20)
	select {
	case <-s.done:
		t.Error("the server died")
	default:
	}
}

func TestGatewayAndServerOverTLS(t *testing.T) {
	certs := t.TempDir()
	ca := authority(t, certs)
	ca.issue(t, "server", "world.test")
	ca.issue(t, "gateway", "gateway.test")
	file := func(name string) string { return filepath.Join(certs, name) }
	addr := freePort(t)
	launch(t, runFolder(t), "server", "-rpc.listen", "tls://"+addr, "-rpc.tls.cert", file("server.pem"), "-rpc.tls.key", file("server.key"), "-rpc.tls.ca", file("ca.pem"), "-rpc.token", "open sesame")
	towards := func(change ...string) []string {
		return append([]string{"-rpc.server", "tls://" + addr, "-rpc.tls.ca", file("ca.pem"), "-rpc.tls.name", "world.test", "-rpc.token", "open sesame"}, change...)
	}
	own := []string{"-rpc.tls.cert", file("gateway.pem"), "-rpc.tls.key", file("gateway.key")}
	good := gatewayProcess(t, runFolder(t), towards(own...)...)
	joinPage(t, good.page()).plays(t, 20)
	refused := map[string]*process{}
	for name, args := range map[string][]string{
		"another token":  towards(append(own, "-rpc.token", "open barley")...),
		"no certificate": towards(),
		"another name":   towards(append(own, "-rpc.tls.name", "elsewhere.test")...),
	} {
		refused[name] = gatewayProcess(t, runFolder(t), args...)
	}
	for name, g := range refused { // each has tried for some seconds by then
		g.says("no world server")
		if code, _ := get(t, g.page()+"readyz"); code != http.StatusServiceUnavailable {
			t.Errorf("%s: the gateway was let in", name)
		}
	}
}

func TestProcessesSayWhatIsWrongWithTheirConfiguration(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nrpc:\n  regsitry: /tmp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"gateway", []string{"-lisen", "x"}, 2, `did you mean -listen`},
		{"gateway", []string{"-listen", "x"}, 2, "host:port"},
		{"gateway", []string{"-listen", ":8080"}, 2, "login.public"},
		{"gateway", []string{"-config", file}, 2, "wrong.yaml:3:3"},
		{"gateway", []string{"-config", file + ".not"}, 2, "wrong.yaml.not"},
		{"gateway", []string{"-listen", taken.Addr().String()}, 1, "name a free one"},
		{"gateway", []string{"-rpc.server", "nowhere"}, 2, "nowhere"},
		{"gateway", []string{"-limits.frame_rate", "0"}, 2, "frame_rate"},
		{"gateway", []string{"-rpc.tls.cert", file}, 2, "cert and key"},
		{"gateway", []string{"again"}, 2, "unknown command"},
		{"server", []string{"-walkers", "-3"}, 2, "0 or more"},
		{"server", []string{"-catch_up", "0"}, 2, "catch_up"},
		{"server", []string{"-rpc.listen", "tcp://0.0.0.0:7000"}, 2, "in the clear"},
		{"server", []string{"-rpc.listen", "tls://127.0.0.1:7000"}, 2, "tls.cert"},
		{"server", []string{"-rpc.listen", "carrier pigeon"}, 2, "carrier pigeon"},
		{"server", []string{"-log.level", "loud"}, 2, "debug, info, warn or error"},
	} {
		p := launch(t, runFolder(t), c.name, c.args...)
		if code := p.exit(); code != c.code || !strings.Contains(p.all(), c.say) {
			t.Errorf("%s %q: exit code %d (want %d), says %q (want %q)", c.name, c.args, code, c.code, p.all(), c.say)
		}
	}
	for _, name := range []string{"server", "gateway"} {
		for _, args := range [][]string{{"-h"}, {"help"}} {
			p := launch(t, runFolder(t), name, args...)
			if code := p.exit(); code != 0 || !strings.Contains(p.all(), "rpc.registry") || !strings.Contains(p.all(), "log.level") {
				t.Errorf("%s %q: exit code %d, says %q", name, args, code, p.all())
			}
		}
	}
}

func TestDevWithProcessesBringsBackWhatDies(t *testing.T) {
	m := launch(t, runFolder(t), "mmo", "-processes", "-addr", "127.0.0.1:0", "-bots", "3", "-walkers", "20", "-v")
	page := m.page()
	p := joinPage(t, page)
	p.plays(t, 5)
	for _, name := range []string{"server", "gateway"} {
		pid := childOf(t, m, name)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.says(name + ` *\| .*starting it again`)
		if err := p.end(t); err == nil {
			t.Error("the player was not told")
		}
		p = joinPage(t, page) // at the same address
		p.plays(t, 5)
	}
	counted(t, page, 2+3+1) // the bots have come back too; the status counts this player, the one who looks, them, and the one whose gateway died, who lingers
	_ = m.cmd.Process.Signal(os.Interrupt)
	if code := m.exit(); code != 0 || !strings.Contains(m.all(), "stopped") {
		t.Errorf("exit code %d", code)
	}
	for _, name := range []string{"server", "gateway"} {
		if alive(childOf(t, m, name)) {
			t.Errorf("the %s lives on", name)
		}
	}
}

func TestDevWithProcessesOnAllAddressesIgnoresKeysMeantForOthers(t *testing.T) {
	t.Setenv("MMO_LISTEN", "nonsense")
	t.Setenv("MMO_RPC_REGSITRY", "misspelt")
	m := launch(t, runFolder(t), "mmo", "-processes", "-addr", ":0", "-bots", "2", "-walkers", "5")
	page := m.page()
	if !strings.HasPrefix(page, "http://localhost:") && !strings.HasPrefix(page, "http://127.0.0.1:") {
		t.Errorf("announced %q", page)
	}
	counted(t, page, 1+2) // the bots found it
	_ = m.cmd.Process.Signal(os.Interrupt)
	if code := m.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestChildrenOfDevDieWithTheirParent(t *testing.T) {
	dir := runFolder(t)
	t.Setenv("TMPDIR", dir) // where the private folder of its processes is made
	m := launch(t, dir, "mmo", "-processes", "-addr", "127.0.0.1:0", "-v")
	joinPage(t, m.page()).plays(t, 1)
	pids := []int{childOf(t, m, "server"), childOf(t, m, "gateway")}
	m.kill()
	eventually(t, "the children die", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	if left, err := filepath.Glob(filepath.Join(dir, "tianxia-dev-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// childOf is the process id of mmo's latest child of a name, which it says when it starts it.
func childOf(t *testing.T, m *process, name string) int {
	t.Helper()
	m.says(name + ` *\| .*process \d+`)
	lines := strings.Split(m.all(), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if _, after, ok := strings.Cut(lines[i], "process "); ok && strings.HasPrefix(lines[i], name) {
			if pid, err := strconv.Atoi(strings.Fields(after)[0]); err == nil {
				return pid
			}
		}
	}
	t.Fatalf("no process id of the %s", name)
	return 0
}

// alive tells whether a process that is not ours still runs. One that ended and was not waited for yet is not alive.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(b), ") Z ")
}
