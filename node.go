package tianxia

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/server"
)

// maxBotRate bounds how many bots may join per second.
const maxBotRate = 10_000

// Realm of development keys and tokens.
const devRealm = "dev"

// NodeConfig describes an all-in-one node for development: keys and tokens are its own and die with it. Zero fields take their default.
type NodeConfig struct {
	Addr    string         // host:port to listen on; default 127.0.0.1:8080; port 0 takes any
	Ports   int            // how many ports to try, upwards, when one is busy; default 1
	Bots    int            // bot clients over loopback
	BotRate int            // of them joining per second; default 250
	Rights  []string       // of every development token; default: spectate
	Gateway gateway.Config // Connect, Verifier and Security's keys are the node's
	Server  server.Config  // Zones are the app's

	Tables string // folder of the game's data tables: read at the start, and again whenever it changes; default: those that the game has by itself

	TCP         string          // host:port for clients over TCP without WebSocket; default: none
	Plain       string          // host:port for tools that speak JSON without encryption; default: none
	Accounts    accounts.Config // of the login service at /v1/; Issuer and Revoker are the node's
	AdminSecret string          // opens the operators' interface at /v1/admin/, at least 16 bytes; default: it is off

	Log *slog.Logger // default: none
}

func (c *NodeConfig) validate() error {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:8080"
	}
	if c.Ports == 0 {
		c.Ports = 1
	}
	if c.BotRate == 0 {
		c.BotRate = 250
	}
	if c.Rights == nil {
		c.Rights = []string{"spectate"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Bots < 0 || c.Ports < 1 || c.BotRate < 1 || c.BotRate > maxBotRate {
		return fmt.Errorf("node: Bots %d, Ports %d, BotRate %d: need 0 or more, 1 or more, 1 to %d", c.Bots, c.Ports, c.BotRate, maxBotRate)
	}
	return nil
}

// Node is gateway, server and page in one process.
type Node struct {
	cfg   NodeConfig
	app   App
	doors *doors
	game  *game.Game

	server *server.Server
	tables *tablesFolder // nil: none
	*edge
	start time.Time
}

// NodeStats is what a node measured of itself.
type NodeStats struct {
	Server  server.Stats
	Gateway gateway.Stats
}

// Open makes a node that listens and is otherwise at rest. Serve must be called; it closes the node.
func Open(app App, cfg NodeConfig) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g, zones, err := app.New(cfg.Bots)
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, app: app, game: g, start: time.Now()}
	if n.tables, err = openTables(cfg.Tables, g, zones); err != nil {
		return nil, err
	}
	cfg.Server.Zones = zones
	if cfg.Server.Services == nil {
		cfg.Server.Services = app.Services
	}
	if cfg.Server.Log == nil {
		cfg.Server.Log = cfg.Log
	}
	if n.server, err = server.New(cfg.Server, g); err != nil {
		return nil, err
	}
	edgeCfg := cfg.Gateway
	edgeCfg.Connect = n.server.Attach
	if edgeCfg.Log == nil {
		edgeCfg.Log = cfg.Log
	}
	keys, err := devKeys()
	if err != nil {
		return nil, err
	}
	if n.edge, err = openEdge(edgeCfg, keys, app.Web, cfg.Rights); err != nil {
		return nil, err
	}
	if err := n.gateway.CanServe(n.server.Hello()); err != nil {
		return nil, err
	}
	if n.doors, err = openDoors(cfg.Addr, cfg.Ports, cfg.TCP, cfg.Plain); err != nil {
		return nil, err
	}
	if n.login, err = n.devServices(); err != nil {
		return nil, errors.Join(err, n.doors.Close())
	}
	return n, nil
}

// listen takes the address or, if it is busy, one of the next ports.
func listen(addr string, ports int) (ln net.Listener, busy string, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", &UsageError{fmt.Sprintf("listen on %q: %v (want host:port, as in 127.0.0.1:8080)", addr, err)}
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, "", &UsageError{fmt.Sprintf("listen on %q: port %q is not a number from 0 to 65535", addr, p)}
	}
	for i := range ports {
		try := int(port) + i
		if try > 65535 {
			break
		}
		ln, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(try)))
		if err == nil {
			if i > 0 {
				busy = addr
			}
			return ln, busy, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !isWindowsBusy(err) {
			return nil, "", fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	return nil, "", fmt.Errorf("listen on %s: %w (%d ports tried; name a free one)", addr, err, ports)
}

// isWindowsBusy knows WSAEADDRINUSE, which package syscall does not name on other systems.
func isWindowsBusy(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && e == 10048
}

// Addr is the address that the node listens on.
func (n *Node) Addr() string { return addrOf(n.doors.web) }

// TCPAddr is the address for clients over TCP; empty: there is none.
func (n *Node) TCPAddr() string { return addrOf(n.doors.tcp) }

// PlainAddr is the address of the development listener; empty: there is none.
func (n *Node) PlainAddr() string { return addrOf(n.doors.plain) }

func (n *Node) whereabouts() whereabouts {
	at := n.doors.at()
	at.login = true
	return at
}

// URL is the address of the page.
func (n *Node) URL() string { return "http://" + n.Addr() + "/" }

// Stats returns the node's measurements.
func (n *Node) Stats() NodeStats { return NodeStats{n.server.Stats(), n.gateway.Stats()} }

// ClientConfig is what a Go client needs to log in to the node as a new player.
func (n *Node) ClientConfig(name string) (client.Config, error) {
	token, err := n.token(name)
	return n.clientConfig(token), err
}

// PlayerConfig is ClientConfig for a player of a number of one's own choice: a later login of the same player supersedes the earlier.
func (n *Node) PlayerConfig(player uint64, name string) (client.Config, error) {
	token, err := n.tokenOf(player, name)
	return n.clientConfig(token), err
}

func (n *Node) clientConfig(token string) client.Config {
	ring := n.keys.ring()
	return client.Config{
		URL:      "ws://" + n.Addr() + "/ws",
		Security: security.ClientConfig{Root: ring.Root, Cert: ring.Current.Cert(), Realm: n.keys.realm},
		Token:    token,
		Codec:    clientCodec(n.game),
	}
}

// Serve runs the node until ctx ends or a part of it fails; everything has stopped when it returns.
func (n *Node) Serve(ctx context.Context) error {
	serverCtx, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServer()
	gatewayCtx, stopGateway := context.WithCancel(ctx)
	defer stopGateway()
	botsCtx, stopBots := context.WithCancel(gatewayCtx)
	defer stopBots()

	var wg, bots sync.WaitGroup
	failed := make(chan error, 5)
	run := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	gatewayDone := make(chan struct{})
	run(func() error { return n.server.Serve(serverCtx) })
	run(func() error { defer close(gatewayDone); return n.gateway.Serve(gatewayCtx) })
	wg.Go(func() { _ = n.login.Run(gatewayCtx) }) // its error is the context's
	wg.Go(func() { n.tables.watch(gatewayCtx, n.server, n.cfg.Log) })
	select { // who comes earlier waits in the listener
	case <-n.gateway.Connected():
	case <-ctx.Done():
	}
	stopDoors := n.serve(n.doors, n.cfg.Log, func(err error) { failed <- err })
	bots.Go(func() { n.swarm().run(botsCtx) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopBots()
	stopGateway()
	<-gatewayDone // it tells its clients while the server still runs
	stopDoors()
	stopServer()
	wg.Wait()
	bots.Wait()
	return err
}

func (n *Node) swarm() *swarm {
	s := &swarm{n: n.cfg.Bots, rate: n.cfg.BotRate, play: n.app.Bot, log: n.cfg.Log, config: func(_ context.Context, bot int) (client.Config, error) {
		return n.ClientConfig(fmt.Sprintf("bot-%d", bot))
	}}
	if s.play == nil {
		s.n = 0
	}
	return s
}

// Version is the version of the module that the program was built from, with the commit where it is known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, rev := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			rev = s.Value[:min(12, len(s.Value))]
		}
	}
	switch {
	case (v == "" || v == "(devel)") && rev != "":
		return "devel+" + rev
	case v == "" || v == "(devel)":
		return "devel"
	}
	return v
}
