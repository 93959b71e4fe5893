package gateway

import (
	"net/http"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file lets connections in and counts them out.

// ServeHTTP upgrades a request to a connection.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	world, refusal := g.admit()
	if refusal != nil {
		w.Header().Set("Retry-After", refusal.retryAfter)
		http.Error(w, refusal.text, http.StatusServiceUnavailable)
		return
	}
	cfg := g.cfg.Network
	s := &session{g: g, w: world, done: make(chan struct{})}
	cfg.OnDrain = func(*network.Conn) { s.notify() }
	conn, err := network.Upgrade(w, r, cfg)
	if err != nil {
		g.leave(s, "upgrade_refused")
		return
	}
	s.conn = conn
	g.mu.Lock()
	g.opening[s] = true
	code, over := g.over(s)
	g.mu.Unlock()
	if over { // while the upgrade was under way
		_ = conn.Close(uint16(code), code.String())
	}
	go s.read() // counted by admit, ended by leave
}

// over tells whether a connection came too late, and for what; mu is held.
func (g *Gateway) over(s *session) (code protocol.DisconnectCode, over bool) {
	switch {
	case g.stopped:
		return protocol.DisconnectServerShutdown, true
	case g.world != s.w:
		return protocol.DisconnectServerLost, true
	}
	return 0, false
}

// refusal is why a request is answered with 503, and after how many seconds to ask again.
type refusal struct{ reason, retryAfter, text string }

// admit counts a connection in, or says why not.
func (g *Gateway) admit() (*world, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var r *refusal
	switch {
	case g.stopped || g.open >= g.cfg.MaxConnections:
		r = &refusal{"refused_full", "5", "the gateway is full or stopping; try again later"}
	case g.world == nil:
		r = &refusal{"refused_no_server", "1", awayText}
	default:
		g.open++
		g.wg.Add(1)
		return g.world, nil
	}
	g.byReason[r.reason]++
	return nil, r
}

// leave is the end of what admit began.
func (g *Gateway) leave(s *session, reason string) {
	g.mu.Lock()
	g.open--
	delete(g.opening, s)
	g.byReason[reason]++
	g.mu.Unlock()
	g.wg.Done()
}

// enroll gives a secured connection its number; over says that the gateway is stopping, or has lost the server, and with what code.
func (g *Gateway) enroll(s *session) (code protocol.DisconnectCode, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code, over = g.over(s); over {
		return code, true
	}
	delete(g.opening, s)
	g.lastID++ // never restarts: no two sessions of a gateway share a number, whichever server they are of
	s.id = uint64(s.w.hello.Gateway)<<40 | g.lastID
	g.sessions[s.id] = s
	g.stale = true
	return 0, false
}
