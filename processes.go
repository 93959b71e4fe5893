package tianxia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/server"
)

// ServerNode is a server process: the game's zone, and an rpc server by which gateways of other processes join it.
type ServerNode struct {
	game   *game.Game
	zone   *server.Server
	tables *tablesFolder // nil: none
	rpc    *rpc.Server
	log    *slog.Logger

	presence *presence
	login    *loginNode // nil: there is no login service
}

// OpenServer makes a server that listens and is otherwise at rest. Serve must be called; it closes the server. When ctx ends first, it returns ctx's error at once; what it was doing
// goes on behind it and is undone.
func OpenServer(ctx context.Context, a App, f ServerFile, log *slog.Logger) (*ServerNode, error) {
	return unlessEnded(ctx, func() (*ServerNode, error) { return openServer(ctx, a, f, log) }, (*ServerNode).close)
}

// unlessEnded is what open returns, or ctx's error if ctx ends before: building a world, and asking the system for sockets and files, may take their time and cannot be called off.
// undo gets what comes too late.
func unlessEnded[T any](ctx context.Context, open func() (T, error), undo func(T) error) (T, error) {
	type result struct {
		v   T
		err error
	}
	opened := make(chan result, 1)
	go func() { // ends when open does
		v, err := open()
		opened <- result{v, err}
	}()
	select {
	case r := <-opened:
		return r.v, r.err
	case <-ctx.Done():
	}
	go func() {
		if r := <-opened; r.err == nil {
			_ = undo(r.v) // nobody is there any more to be told
		}
	}()
	var none T
	return none, ctx.Err()
}

func openServer(ctx context.Context, a App, f ServerFile, log *slog.Logger) (*ServerNode, error) {
	g, zones, err := a.New(f.Bots)
	if err != nil {
		return nil, err
	}
	n := &ServerNode{game: g, log: log}
	if n.tables, err = openTables(f.Tables, g, zones); err != nil {
		return nil, err
	}
	if n.zone, err = server.New(server.Config{
		Zones: zones, CatchUp: f.CatchUp, Services: a.Services, Log: log, RecordDir: f.Record, Flags: settings(f.Game),
		Linger: orNever(f.Sessions.Linger), MaxPlayers: f.Sessions.MaxPlayers, LoginRate: f.Sessions.LoginRate, QueueGrace: orNever(f.Sessions.QueueGrace),
	}, g); err != nil {
		return nil, err
	}
	if n.presence, err = openPresence(ctx, &f.RPC, log); err != nil {
		return nil, err
	}
	if n.rpc, err = n.presence.listen(&f.RPC, n.zone, log); err != nil {
		return nil, errors.Join(err, n.presence.Close())
	}
	if n.login, err = openLogin(&f.Services, n.zone, log); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// close undoes openServer.
func (n *ServerNode) close() error {
	return errors.Join(n.rpc.Close(), n.presence.Close(), n.login.Close())
}

// Endpoints are where gateways reach the server.
func (n *ServerNode) Endpoints() []string { return n.rpc.Instance().Endpoints }

// Stats returns the zone's measurements.
func (n *ServerNode) Stats() server.Stats { return n.zone.Stats() }

// Serve runs the server until ctx ends or a part of it fails; everything has stopped when it returns.
func (n *ServerNode) Serve(ctx context.Context) error {
	zoneCtx, stopZone := context.WithCancel(ctx)
	defer stopZone()
	rpcCtx, stopRPC := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRPC()
	failed := make(chan error, 3)
	zoneDone := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { failed <- n.login.serve(zoneCtx) })
	wg.Go(func() { defer close(zoneDone); failed <- n.zone.Serve(zoneCtx) })
	wg.Go(func() { failed <- n.rpc.Serve(rpcCtx) })
	wg.Go(func() { n.tables.watch(zoneCtx, n.zone, n.log) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopZone()
	<-zoneDone // its links are closed, so that nothing is under way
	stopRPC()
	wg.Wait()
	return errors.Join(err, n.close())
}

func (n *ServerNode) findable() <-chan struct{} { return n.presence.registered }

func (n *ServerNode) announce(w io.Writer) {
	fmt.Fprintf(w, "Tianxia %s · server of %s\n", Version(), n.game.Name)
	for _, e := range n.Endpoints() {
		fmt.Fprintf(w, "  gateways   %s\n", e)
	}
	n.login.announce(w)
	fmt.Fprintln(w, "  waits for gateways: start one with bin/gateway; Ctrl-C ends this")
}

// GatewayNode is a gateway process: what faces the clients, and an rpc client that finds the server.
type GatewayNode struct {
	*edge
	doors *doors
	drain time.Duration
	conn  *connector
	log   *slog.Logger
}

// OpenGateway makes a gateway that listens, looks for its server, and is otherwise at rest. It knows no game: the server tells it. Serve must be called; it closes the gateway. When ctx
// ends first, it returns ctx's error at once; what it was doing goes on behind it and is undone.
func OpenGateway(ctx context.Context, a App, f GatewayFile, log *slog.Logger) (*GatewayNode, error) {
	return unlessEnded(ctx, func() (*GatewayNode, error) { return openGateway(a, f, log) }, func(n *GatewayNode) error { return errors.Join(n.doors.Close(), n.conn.Close(), n.keys.Close()) })
}

func openGateway(a App, f GatewayFile, log *slog.Logger) (*GatewayNode, error) {
	n := &GatewayNode{log: log, drain: f.Drain}
	var err error
	if n.conn, err = openConnector(&f.RPC, log); err != nil {
		return nil, err
	}
	cfg := f.gateway(log)
	cfg.Connect = n.conn.connect
	page := a.Web
	if !f.Page {
		page = nil
	}
	keys, err := f.keys(log)
	if err == nil {
		n.edge, err = openEdge(cfg, keys, page, f.Login.Rights)
	}
	if err == nil {
		n.doors, err = openDoors(f.Listen, 1, f.TCP, f.Plain)
	}
	if err != nil {
		if keys != nil {
			err = errors.Join(err, keys.Close())
		}
		return nil, errors.Join(err, n.conn.Close())
	}
	if f.Proxies.Protocol {
		n.doors.behind(prefixes(f.Proxies.Addresses), log)
	}
	return n, nil
}

// findable is at once: clients come to the listener, which is bound.
func (n *GatewayNode) findable() <-chan struct{} {
	now := make(chan struct{})
	close(now)
	return now
}

// Addr is the address that the gateway listens on.
func (n *GatewayNode) Addr() string { return addrOf(n.doors.web) }

// TCPAddr is the address for clients over TCP; empty: there is none.
func (n *GatewayNode) TCPAddr() string { return addrOf(n.doors.tcp) }

// PlainAddr is the address of the development listener; empty: there is none.
func (n *GatewayNode) PlainAddr() string { return addrOf(n.doors.plain) }

// Stats returns the gateway's counters.
func (n *GatewayNode) Stats() gateway.Stats { return n.gateway.Stats() }

// Serve runs the gateway until ctx ends or a part of it fails; everything has stopped when it returns. When ctx ends, it drains first: clients are asked to go on at another gateway,
// as long as the file's drain allows.
func (n *GatewayNode) Serve(ctx context.Context) error {
	gatewayCtx, stopGateway := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGateway()
	failed := make(chan error, 3)
	stopDoors := n.serve(n.doors, n.log, func(err error) { failed <- err })
	var wg sync.WaitGroup
	if f := n.keys.file; f != nil {
		wg.Go(func() { f.watch(gatewayCtx, n.log, n.rekey) })
	}
	wg.Go(func() { _ = n.gateway.Serve(gatewayCtx) }) // which fails at nothing
	var err error
	select {
	case <-ctx.Done():
		n.empty(n.drain, n.log)
	case err = <-failed:
	}
	stopGateway()
	wg.Wait() // the clients have been told
	stopDoors()
	return errors.Join(err, n.conn.Close(), n.keys.Close())
}

func (n *GatewayNode) announce(w io.Writer) {
	fmt.Fprintf(w, "Tianxia %s · gateway\n", Version())
	if n.keys.tokens != nil {
		fmt.Fprintln(w, "development login: anybody may play; keys "+n.keys.from)
	} else {
		fmt.Fprintf(w, "realm %s; keys %s\n", n.keys.realm, n.keys.from)
	}
	announceClients(w, n.doors.at(), n.page != nil)
	fmt.Fprintf(w, "  looks for a world server %s; if none is there: start one with bin/server; Ctrl-C ends this\n", n.conn.where)
}
