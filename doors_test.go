//go:build unix

package tianxia_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/network"
)

func TestNodeLetsClientsInOverTCP(t *testing.T) {
	n, _ := boot(t, app(5), tianxia.NodeConfig{TCP: "127.0.0.1:0"})
	c := dial(t, n, func(c *client.Config) { c.URL = "tcp://" + n.TCPAddr() })
	until(t, c, "state frames", func() bool { return c.Mirror.Frames >= 3 })
}

// plainTalk is a connection of texts.
type plainTalk struct {
	t *testing.T
	*network.Conn
}

func talkPlainly(t *testing.T, addr string) plainTalk {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := network.Dial(ctx, "ws://"+addr+"/", network.DialConfig{Config: network.Config{Text: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(1000, "") })
	return plainTalk{t, conn}
}

func (p plainTalk) say(text string) {
	p.t.Helper()
	if err := p.SendText(append(make([]byte, network.HeaderRoom), text...)); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a text that begins like this.
func (p plainTalk) hears(start string) {
	p.t.Helper()
	for {
		_ = p.SetReadDeadline(time.Now().Add(patience))
		b, err := p.Next()
		if err != nil {
			p.t.Fatalf("instead of %s: %v", start, err)
		}
		if !json.Valid(b) {
			p.t.Fatalf("%q is no JSON", b)
		}
		if strings.HasPrefix(string(b), start) {
			return
		}
	}
}

func TestGatewayAndServerLetToolsInInPlainText(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	g := gatewayProcess(t, dir, "-plain", "127.0.0.1:0", "-tcp", "127.0.0.1:0")
	addr := g.says(`PLAIN +ws://([^/]+)/ +NO ENCRYPTION`)
	joinPage(t, g.page()).plays(t, 1)
	cfg, err := tianxia.DevLogin(context.Background(), g.page(), "tool")
	if err != nil {
		t.Fatal(err)
	}
	p := talkPlainly(t, addr)
	p.say(`{"t":"req","r":"login","i":1,"d":{"token":"` + cfg.Token + `"}}`)
	p.hears(`{"t":"resp","r":"login","i":1`)
	p.say(`{"t":"req","r":"plains.spectate","i":2,"d":{"radius":1000}}`)
	p.hears(`{"t":"resp","r":"plains.spectate","i":2`)
	// The other way in: length-prefixed TCP.
	if cfg, err = tianxia.DevLogin(context.Background(), g.page(), "engine"); err != nil {
		t.Fatal(err)
	}
	cfg.URL = g.says(`TCP +(tcp://\S+)`)
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		t.Fatal(err)
	}
	enters(t, cfg).plays(t, 3)
}

func TestGatewayThatIsToldToStopLetsItsClientsGoElsewhere(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	first, second := gatewayProcess(t, dir, "-drain", "8s"), gatewayProcess(t, dir)
	p := traveller(t, first, second)
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := first.exit(); code != 0 || !strings.Contains(first.all(), "stopped") {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(first.all(), "sent away") {
		t.Error("it did not go when it was asked to")
	}
	p.plays(t, 5) // at the other one
}

// traveller plays at the first gateway and knows the second.
func traveller(t *testing.T, first, second *process) *player {
	t.Helper()
	for _, g := range []*process{first, second} { // they have found their server
		p := joinPage(t, g.page())
		p.plays(t, 1)
		_ = p.Close()
	}
	cfg, err := tianxia.DevLogin(context.Background(), first.page(), "traveller")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		t.Fatal(err)
	}
	cfg.URLs = []string{"ws" + strings.TrimPrefix(second.page(), "http") + "ws"}
	p := enters(t, cfg)
	p.plays(t, 2)
	return p
}

func TestGatewayThatDrainsIsNotReadyAndASecondSignalEndsItAtOnce(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	first, second := gatewayProcess(t, dir, "-drain", "1h"), gatewayProcess(t, dir)
	p := traveller(t, first, second)
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateway says that it drains", func() bool {
		code, text := get(t, first.page()+"readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "drains")
	})
	if code, _ := get(t, first.page()+"healthz"); code != http.StatusOK {
		t.Errorf("it is not alive while it drains: %d", code)
	}
	first.says("gateway drains")
	if err := first.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	first.exit()
	p.plays(t, 5) // at the other gateway: it was cut off
}

func TestGatewayThatDrainsEndsWhenEverybodyHasGone(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	g := gatewayProcess(t, dir, "-drain", "1h")
	p := joinPage(t, g.page())
	p.plays(t, 1)
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.says("gateway drains")
	_ = p.Close()
	if code := g.exit(); code != 0 || !strings.Contains(g.all(), "stopped") {
		t.Errorf("exit code %d", code)
	}
}

func TestGatewayBelievesItsLoadBalancers(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	g := gatewayProcess(t, dir, "-proxies.addresses", "127.0.0.1", "-proxies.protocol")
	addr := strings.TrimSuffix(strings.TrimPrefix(g.page(), "http://"), "/")
	ask := func(header string) string {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte(header + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")); err != nil {
			return err.Error()
		}
		answer := make([]byte, 12)
		n, _ := conn.Read(answer)
		return string(answer[:n])
	}
	if a := ask("PROXY TCP4 192.0.2.7 127.0.0.1 4000 80\r\n"); a != "HTTP/1.1 200" {
		t.Errorf("with the header of the PROXY protocol it answers %q", a)
	}
	if a := ask(""); strings.HasPrefix(a, "HTTP/1.1 200") {
		t.Errorf("a load balancer without the header is answered %q", a)
	}
}
