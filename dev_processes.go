package tianxia

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// devProcesses is dev with gateway and server as two processes of this program, joined as they are in production: by a socket and, on Linux, by shared memory. The bots play in
// this process, which watches over the two.
func (a App) devProcesses(ctx context.Context, fs *flag.FlagSet, f *flags, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		if u := (*UsageError)(nil); errors.As(err, &u) {
			return exitUsage
		}
		return exitFailed
	}
	g, _, err := a.New(f.bots) // what is wrong with the flags is better said once, here
	if err != nil {
		return fail(err)
	}
	addr, moved, err := freeAddress(f.addr)
	if err != nil {
		return fail(err)
	}
	here := reachable(addr)
	dir, err := os.MkdirTemp("", "tianxia-dev-") // readable by this user only
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)

	var mu sync.Mutex // of stdout
	out := func(name string) *lines { return &lines{mu: &mu, w: stdout, prefix: name + " | "} }
	level := "info"
	if f.verbose {
		level = "debug"
	}
	common := []string{"-supervised", "-rpc.registry=" + dir, "-log.format=text", "-log.level=" + level}
	server := &child{name: "server", out: out("server "), args: append(append([]string{"server"}, common...), append(f.passOn(fs), "-bots="+strconv.Itoa(f.bots))...)}
	gateway := &child{name: "gateway", out: out("gateway"), args: append(append([]string{"gateway"}, common...), "-listen="+addr, "-tcp="+f.tcp, "-plain="+f.plain, "-login.public", "-login.rights="+f.rights, "-drain=0")}

	ctx, cancel := f.deadline(ctx)
	defer cancel()
	serverCtx, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServer()
	failed := make(chan error, 2)
	var servers, gateways sync.WaitGroup
	run := func(wg *sync.WaitGroup, ctx context.Context, c *child) {
		wg.Go(func() {
			if err := c.run(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	run(&servers, serverCtx, server)
	run(&gateways, ctx, gateway)
	gateways.Go(func() {
		if !ready(ctx, "http://"+here+"/readyz") {
			return
		}
		mu.Lock()
		announceDev(stdout, g.Name, whereabouts{web: addr, tcp: f.tcp, plain: f.plain, busy: moved}, a.Web != nil)
		fmt.Fprint(stdout, "gateway and server are processes of their own: end one, and see it come back\n\n")
		mu.Unlock()
		a.playProcesses(ctx, f, g, "http://"+here+"/", stderr)
	})
	gateways.Wait() // the gateway tells its clients while the server still runs
	stopServer()
	servers.Wait()
	select {
	case err := <-failed:
		return fail(err)
	default:
	}
	fmt.Fprintln(stdout, "stopped")
	return exitOK
}

// playProcesses lets the bots play until ctx ends.
func (a App) playProcesses(ctx context.Context, f *flags, g *game.Game, page string, stderr io.Writer) {
	if a.Bot == nil || f.bots == 0 {
		return
	}
	s := &swarm{n: f.bots, rate: f.rate, play: a.Bot, log: f.logger(stderr), config: func(ctx context.Context, n int) (client.Config, error) {
		cfg, err := DevLogin(ctx, page, fmt.Sprintf("bot-%d", n))
		cfg.Codec = clientCodec(g)
		return cfg, err
	}}
	s.run(ctx)
}

// passOn are the flags for the server as they were given: the game's own, and those about its world.
func (f *flags) passOn(given *flag.FlagSet) (args []string) {
	for name, folder := range map[string]string{"tables": f.tables, "record": f.record} {
		if folder != "" {
			if abs, err := filepath.Abs(folder); err == nil { // the server may run elsewhere
				folder = abs
			}
			args = append(args, "-"+name+"="+folder)
		}
	}
	given.Visit(func(g *flag.Flag) {
		if slices.Contains(f.game, g.Name) {
			args = append(args, "-"+g.Name+"="+g.Value.String())
		}
	})
	return args
}

// freeAddress finds an address to listen on, as dev does, for a process that will listen on it again and again.
func freeAddress(addr string) (free, busy string, err error) {
	ln, busy, err := listen(addr, devPorts)
	if err != nil {
		return "", "", err
	}
	defer ln.Close()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return net.JoinHostPort(host, port), busy, err
}

// reachable is an address by which this process reaches what listens on addr: all addresses of the machine are no address to call.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// ready waits until a health check says so; false: ctx ended before.
func ready(ctx context.Context, url string) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	c := http.Client{Timeout: time.Second}
	defer c.CloseIdleConnections()
	for {
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err == nil {
			if resp, err := c.Do(req); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return true
				}
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
}
