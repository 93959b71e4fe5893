package server

import (
	"errors"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// collect turns what has come since the last tick into the next one's inputs.
func (s *Server) collect() {
	s.mu.Lock()
	joining, opened, served, commands, results, made := s.joining, s.opened, s.served, s.commands, s.results, s.made
	s.joining, s.opened, s.served, s.commands, s.results, s.made = nil, nil, nil, nil, nil, nil
	s.mu.Unlock()
	for _, g := range joining {
		s.gateways = append(s.gateways, g)
		s.catchUp(g)
		for _, h := range s.hosts {
			h.input(game.Input{Kind: game.AttachGateway, Gateway: g.id})
		}
	}
	for i := range made {
		s.opens(&made[i])
	}
	s.gateways = slices.DeleteFunc(s.gateways, func(g *gateway) bool {
		ups, err := g.port.Receive(s.ups[:0])
		for i := range ups {
			s.input(g, &ups[i])
		}
		clear(ups)
		s.ups = ups[:0]
		if err != nil {
			s.lost(g, err)
		}
		return err != nil
	})
	for i := range opened {
		s.begin(&opened[i])
	}
	for i := range served {
		s.answer(&served[i])
	}
	for i := range results {
		s.jobs--
		if h := s.host(results[i].zone); h != nil {
			h.input(results[i].in)
		}
	}
	for _, f := range commands {
		f()
	}
	s.expire()
	s.overflowed()
	s.admit()
	s.renew(time.Now())
	queued := s.queuedNow()
	s.count(func(st *Stats) {
		st.Gateways, st.Sessions, st.Lingering, st.Queued = len(s.gateways), len(s.sessions), len(s.lingering), queued
	})
}

// lost is the end of a gateway: its sessions linger, and their clients come back through another.
func (s *Server) lost(g *gateway, why error) {
	n := 0
	for k, c := range s.claims {
		if k.gateway == g.id {
			c.cancel()
			delete(s.claims, k)
		}
	}
	for _, x := range s.sessions {
		if x.conn != 0 && x.gateway == g.id {
			s.linger(x, false)
			n++
		}
	}
	for _, h := range s.hosts {
		h.input(game.Input{Kind: game.DetachGateway, Gateway: g.id})
	}
	s.cfg.Log.Info("gateway left; its sessions linger", "gateway", g.id, "sessions", n, "tick", s.now(), "error", why)
	s.count(func(st *Stats) { st.GatewaysLost++ })
}

func (s *Server) input(g *gateway, u *link.Up) {
	if u.Kind == link.RequestSnapshot {
		if h := s.host(u.Zone); h != nil && h.zone != nil {
			h.input(game.Input{Kind: game.RequestSnapshot, Gateway: g.id})
		}
		return
	}
	if !g.owns(u.Conn) { // or one gateway could speak for the players of another, and end their sessions
		s.count(func(st *Stats) { st.Strangers++ })
		if !g.told {
			g.told = true
			s.cfg.Log.Error("a gateway speaks for a connection that is not its own; refused, and counted from now on", "gateway", g.id, "connection", u.Conn, "kind", u.Kind)
		}
		return
	}
	switch u.Kind {
	case link.OpenSession:
		s.open(g, u)
		return
	case link.ResumeSession:
		s.resume(g, u)
		return
	}
	key := connKey{g.id, u.Conn}
	x := s.conns[key]
	if x == nil || u.Epoch != x.epoch && !(u.Kind == link.CloseSession && u.Epoch == 0) { // a connection may end before it heard of its session
		if x == nil && u.Kind == link.CloseSession {
			if c := s.claims[key]; c != nil { // it has gone before its login was decided
				c.cancel()
				delete(s.claims, key)
			}
			return
		}
		s.count(func(st *Stats) { st.Strangers++ }) // overtaken: the session has ended or has another connection
		return
	}
	switch u.Kind {
	case link.CloseSession:
		if u.Code == 0 {
			s.linger(x, true)
		} else {
			s.end(x, 0, "")
		}
	case link.Ack:
		s.ack(x, u.Seq)
	case link.FromClient:
		s.fromClient(x, u)
	}
}

// fromClient passes on what a client says. Requests are numbered by their client, upwards: one that was seen before is not executed again, its answer comes or has come.
func (s *Server) fromClient(x *session, u *link.Up) {
	if u.ID != 0 {
		if u.ID <= x.seen {
			return
		}
		x.skip(u.ID)
	}
	r, ok := s.routes.Lookup(u.Route)
	switch {
	case ok && r.Affinity == protocol.Service:
		s.call(x, r, u)
	case x.place == playing:
		x.zone.input(game.Input{Kind: game.Receive, Session: game.SessionID(x.id), Route: u.Route, ID: u.ID, Payload: u.Payload})
	default:
		s.refuse(x, r, u.ID, protocol.ErrorWrongState, "the session is not in the world yet")
	}
}

// maxMissed bounds how many refused requests of a connection are remembered.
const maxMissed = 64

// skip notes a request's id, and those before it that have not come: ids ascend, so they never will.
func (x *session) skip(id uint32) {
	for n := max(x.seen+1, id-min(id, maxMissed)); n < id; n++ {
		x.missed = append(x.missed, n)
	}
	if over := len(x.missed) - maxMissed; over > 0 {
		x.missed = x.missed[over:]
	}
	x.seen = id
}

// refusalOf is what a player is told of a claim that failed.
func refusalOf(err error) (protocol.DisconnectCode, string) {
	switch {
	case errors.Is(err, link.ErrTokenUsed):
		return protocol.DisconnectBadToken, "the login token has been used; get a new one"
	case errors.Is(err, link.ErrBarred):
		return protocol.DisconnectBanned, ""
	}
	return protocol.DisconnectOverloaded, "the login cannot be checked now; try again"
}
