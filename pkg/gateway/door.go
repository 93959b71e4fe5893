package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file lets connections in and counts them out.

// ServeHTTP upgrades a request to a connection.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.upgrade(w, r, false) }

func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, plain bool) {
	client := g.clientOf(r)
	s, refusal := g.admit(client)
	if refusal != nil {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.retryAfter))
		http.Error(w, refusal.text, refusal.status)
		return
	}
	if plain && s.w.converter == nil {
		http.Error(w, "the world server has told no descriptors of its messages: there is no JSON of them", http.StatusNotImplemented)
		g.leave(s, "refused_no_json")
		return
	}
	conn, err := network.Upgrade(w, r, g.network(s, plain))
	if err != nil {
		g.leave(s, "upgrade_refused")
		return
	}
	s.conn = conn
	if !client.IsValid() { // only the connection looks behind proxies, and now it is too late for a status
		var why *denial
		if s.address, why = g.addresses.enter(conn.Client().Addr(), g.clock()); why != nil {
			g.counters.denied(why)
			_ = conn.Close(uint16(protocol.DisconnectOverloaded), why.text)
			g.leave(s, why.reason)
			return
		}
	}
	g.begin(s, plain)
}

// clientOf is the address of who sent a request, the zero Addr if a trusted proxy passed it on or there is none.
func (g *Gateway) clientOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, p := range g.cfg.Network.Trusted {
		if p.Contains(addr) {
			return netip.Addr{}
		}
	}
	return addr
}

// ServeTCP takes connections of length-prefixed TCP from ln, which it closes, until ctx or Serve ends: then it returns nil. Limits and sessions are those of ServeHTTP. Who is not
// let in finds the connection closed. ln may be of TLS, and one that network.Listen made for balancers that tell client addresses.
func (g *Gateway) ServeTCP(ctx context.Context, ln net.Listener) error {
	ln = network.Listen(ln, network.ListenConfig{OnRetry: func(err error, pause time.Duration) {
		g.cfg.Log.Warn("no connections are accepted for a while", "error", err, "pause", pause)
	}})
	ended := make(chan struct{})
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		select {
		case <-ctx.Done():
		case <-g.over:
		case <-ended:
		}
		_ = ln.Close() // its error is Accept's
	}()
	defer func() { close(ended); <-closing }()
	for {
		nc, err := ln.Accept()
		if err != nil {
			select {
			case <-g.over:
				return nil
			default:
			}
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("gateway: accept: %w", err)
		}
		g.accept(nc)
	}
}

// accept makes a session of a TCP connection.
func (g *Gateway) accept(nc net.Conn) {
	client := netip.Addr{}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		client = a.AddrPort().Addr()
	}
	s, refusal := g.admit(client)
	if refusal != nil {
		_ = nc.Close()
		return
	}
	conn, err := network.Accept(nc, g.network(s, false))
	if err != nil {
		g.cfg.Log.Error("a connection is refused: the gateway's Network is misconfigured", "error", err)
		_ = nc.Close()
		g.leave(s, "upgrade_refused")
		return
	}
	s.conn = conn
	g.begin(s, false)
}

// network is the configuration of a session's connection.
func (g *Gateway) network(s *session, plain bool) network.Config {
	cfg := g.cfg.Network
	cfg.OnDrain = func(*network.Conn) { s.notify() }
	if plain {
		cfg.Subprotocol, cfg.Text = "", true
	}
	return cfg
}

// begin starts the reader of a connection that is open.
func (g *Gateway) begin(s *session, plain bool) {
	g.mu.Lock()
	g.opening[s] = true
	code, over := g.late(s)
	g.mu.Unlock()
	if over { // while the upgrade was under way
		_ = s.conn.Close(uint16(code), code.String())
	}
	if plain { // counted by admit, ended by leave
		s.texts = &texts{}
		go s.readPlain()
	} else {
		go s.shake()
	}
}

// late tells whether a connection came too late, and for what; mu is held.
func (g *Gateway) late(s *session) (code protocol.DisconnectCode, late bool) {
	switch {
	case g.stopped:
		return protocol.DisconnectServerShutdown, true
	case g.world != s.w:
		return protocol.DisconnectServerLost, true
	}
	return 0, false
}

// refusal is why a connection is not let in, and after how many seconds to ask again.
type refusal struct {
	status     int // of HTTP
	reason     string
	retryAfter int
	text       string
}

// admit counts a connection in, or says why not. A client of which only the connection knows the address is not bounded here.
func (g *Gateway) admit(client netip.Addr) (*session, *refusal) {
	w, r := g.place()
	if r != nil {
		return nil, r
	}
	s := &session{g: g, w: w}
	ref, why := g.addresses.enter(client, g.clock())
	if why != nil {
		g.counters.denied(why)
		g.leave(s, why.reason)
		return nil, &refusal{http.StatusTooManyRequests, why.reason, why.retryAfter(), why.text}
	}
	s.address = ref
	return s, nil
}

// place counts a connection in, if there is a place for it.
func (g *Gateway) place() (*world, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := refusal{status: http.StatusServiceUnavailable}
	switch {
	case g.stopped || g.open >= g.cfg.MaxConnections:
		r.reason, r.retryAfter, r.text = "refused_full", 5, "the gateway is full or stopping; try again later"
	case g.draining != 0:
		r.reason, r.retryAfter, r.text = "refused_draining", 1, "the gateway lets nobody in any more; try another one"
	case g.world == nil:
		r.reason, r.retryAfter, r.text = "refused_no_server", 1, awayText
	default:
		g.open++
		g.wg.Add(1)
		return g.world, nil
	}
	g.byReason[r.reason]++
	return nil, &r
}

// leave is the end of what admit began.
func (g *Gateway) leave(s *session, reason string) {
	g.addresses.leave(s.address, s.shaken)
	g.mu.Lock()
	g.open--
	if g.open == 0 && g.gone != nil {
		close(g.gone) // nobody is let in any more: it happens once
	}
	delete(g.opening, s)
	g.byReason[reason]++
	g.mu.Unlock()
	g.wg.Done()
}

// enroll gives a secured connection its number; late says that the gateway is stopping, or has lost the server, and with what code.
func (g *Gateway) enroll(s *session) (code protocol.DisconnectCode, late bool) {
	g.mu.Lock()
	code, late = g.late(s)
	if late {
		g.mu.Unlock()
		return code, true
	}
	delete(g.opening, s)
	g.lastID++ // never restarts: no two sessions of a gateway share a number, whichever server they are of
	s.id = uint64(s.w.hello.Gateway)<<40 | g.lastID
	g.sessions[s.id] = s
	g.stale = true
	over := g.draining
	g.mu.Unlock()
	if over != 0 { // it was in its handshake when the others were asked to go
		s.goAway(upTo(over))
	}
	return 0, false
}
