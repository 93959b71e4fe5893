package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is what zones say to each other and to what is around them.

// askKey names a call that is under way, by its asker.
type askKey struct {
	zone   uint32
	number uint64
}

// asking is a call that is under way.
type asking struct {
	game.Asked
	at    *host // that was asked
	tries int
}

// maxTries bounds how often a call follows an entity that moves on.
const maxTries = 8

// result is what became of a zone's work.
type result struct {
	zone uint32
	in   game.Input
}

// exchange takes what the zones gave out for each other.
func (s *Server) exchange(h *host) {
	out := h.out
	for i := range out.Departures {
		s.handOver(h, &out.Departures[i])
	}
	for _, id := range out.Gone {
		delete(s.where, id)
		delete(s.refused, id)
	}
	for i := range out.Views {
		s.lookInto(h, &out.Views[i])
	}
	for i := range out.Asks {
		s.ask(h, &asking{Asked: out.Asks[i]})
	}
	for i := range out.Answers {
		s.answered(h, &out.Answers[i])
	}
	for i := range out.Jobs {
		s.work(h, &out.Jobs[i])
	}
}

// handOver brings what left a zone to another, or back.
func (s *Server) handOver(from *host, d *game.Departure) {
	to := s.destination(from, d)
	if d.Refused == "" {
		delete(s.refused, d.Entities[0])
	} else if s.giveBack(d) {
		return
	}
	for _, id := range d.Players {
		if x := s.sessions[uint64(id)]; x != nil && x.place == playing {
			s.move(x, to)
			if to.zone != nil {
				s.tell(x, link.Down{Kind: link.Entered, Zone: to.id()}) // its gateway keeps the row of its home
			}
		}
	}
	for _, id := range d.Entities {
		if id.Birthplace() == to.id() {
			delete(s.where, id)
		} else {
			s.where[id] = to
		}
	}
	s.count(func(st *Stats) { st.HandOvers++ })
	if to.zone == nil {
		to.waiting = append(to.waiting, waiting{from, *d})
		return
	}
	s.arrive(to, d)
}

// maxReturns is how often what a zone has refused is offered again, where it came from first.
const maxReturns = 2

// giveBack counts the refusals of a hand-over; true: nobody takes it, so it ends here, with its players' sessions.
func (s *Server) giveBack(d *game.Departure) bool {
	first := game.EntityID(0) // bytes that mean nothing to this game: nobody will take them
	if len(d.Entities) > 0 {
		first = d.Entities[0]
		if s.refused[first]++; s.refused[first] <= maxReturns {
			return false
		}
	}
	s.cfg.Log.Error("no zone takes what was handed over; it is lost, and its players are sent away", "entities", d.Entities, "reason", d.Refused)
	delete(s.refused, first)
	for _, id := range d.Entities {
		delete(s.where, id)
	}
	for _, id := range d.Players {
		if x := s.sessions[uint64(id)]; x != nil {
			s.end(x, protocol.DisconnectKicked, "the world has lost your avatar; log in again")
			s.toAll(game.Input{Kind: game.Unwatch, Session: id}) // its last home has told them that it comes
		}
	}
	return true
}

// arrive gives a zone what was handed over, with the connections that its players have now.
func (s *Server) arrive(to *host, d *game.Departure) {
	in := game.Input{Kind: game.Arrive, Payload: d.Payload}
	for _, id := range d.Players {
		c := game.Conn{Session: id}
		if x := s.sessions[uint64(id)]; x != nil {
			c.Gateway, c.Conn = x.gateway, x.conn
		}
		in.Conns = append(in.Conns, c)
	}
	to.input(in)
	for _, id := range d.Players {
		if s.sessions[uint64(id)] == nil {
			to.input(game.Input{Kind: game.Leave, Session: id})
		}
	}
}

// destination is the zone that something goes to; where there is none it goes back where it came from.
func (s *Server) destination(from *host, d *game.Departure) *host {
	to := &d.To
	var h *host
	switch {
	case to.Instance != "":
		h = s.instanceFor(instanceKey{to.Instance, to.Key})
	case to.Zone != 0:
		h = s.host(to.Zone)
	default:
		h = s.zoneAt(from.cfg.World, to.X, to.Y)
	}
	if d.Refused != "" {
		s.cfg.Log.Error("a zone refused what was handed over to it; it goes back", "zone", from.id(), "entities", d.Entities, "to", to.Zone, "reason", d.Refused)
		if h == nil || h == from {
			h = s.hosts[0]
		}
	}
	if h == nil {
		s.cfg.Log.Warn("nothing is where an entity was sent; it goes back", "zone", from.id(), "entities", d.Entities, "to", to.Zone, "instance", to.Instance, "x", to.X, "y", to.Y)
		h = from
	}
	return h
}

// move makes another zone a session's home.
func (s *Server) move(x *session, to *host) {
	if x.zone != nil {
		x.zone.sessions--
	}
	x.zone = to
	to.sessions++
	to.idle = 0
}

// lookInto tells a zone of the view of a player of another one.
func (s *Server) lookInto(from *host, v *game.View) {
	to := s.host(v.Zone)
	if to == nil {
		return
	}
	if v.End {
		to.input(game.Input{Kind: game.Unwatch, Session: v.Session})
		return
	}
	to.input(game.Input{Kind: game.Watch, Session: v.Session, Gateway: v.Gateway, Conn: v.Conn, X: v.X, Y: v.Y, Enter: v.Enter, Leave: v.Leave, Ignores: v.Ignores, Zone: from.id()})
}

// ask brings a call to where its entity lives.
func (s *Server) ask(from *host, a *asking) {
	key := askKey{from.id(), a.Number}
	at := s.where[a.Entity]
	if at == nil {
		at = s.host(a.Entity.Birthplace())
	}
	if at == nil || a.tries >= maxTries {
		delete(s.asks, key)
		s.fail(from, a.Number, game.ErrNowhere)
		return
	}
	a.at, a.tries = at, a.tries+1
	s.asks[key] = a
	at.input(game.Input{Kind: game.Ask, Zone: from.id(), Number: a.Number, Entity: a.Entity, From: a.From, Route: a.Route, Payload: a.Payload})
}

// answered brings an answer back; a call whose entity has moved on follows it.
func (s *Server) answered(at *host, w *game.Answer) {
	key := askKey{w.Zone, w.Number}
	from, a := s.host(w.Zone), s.asks[key]
	if from == nil || a == nil {
		delete(s.asks, key)
		return
	}
	if w.Moved {
		if s.where[a.Entity] == nil && a.at == at && s.host(a.Entity.Birthplace()) == at {
			a.tries = maxTries // it is where it would be
		}
		s.ask(from, a)
		return
	}
	delete(s.asks, key)
	in := game.Input{Kind: game.Done, Number: w.Number, Payload: w.Payload}
	if w.Err != nil {
		in.Code, in.Text = game.Failure(w.Err)
	}
	from.input(in)
}

// fail answers work or a call with an error.
func (s *Server) fail(h *host, number uint64, err error) {
	code, text := game.Failure(err)
	h.input(game.Input{Kind: game.Done, Number: number, Code: code, Text: text})
}

// forget lets go of the calls from and to a zone that is closed.
func (s *Server) forget(h *host) {
	for key, a := range s.asks {
		switch {
		case key.zone == h.id():
			delete(s.asks, key)
		case a.at == h:
			delete(s.asks, key)
			if from := s.host(key.zone); from != nil {
				s.fail(from, key.number, game.ErrNowhere)
			}
		}
	}
	for id, at := range s.where {
		if at == h {
			delete(s.where, id)
		}
	}
}

// work runs a zone's job on a goroutine of its own; what came of it is an input of its next tick.
func (s *Server) work(h *host, j *game.Job) {
	if s.jobs >= s.cfg.Jobs {
		s.fail(h, j.Number, &game.Error{Code: protocol.ErrorOverloaded, Message: fmt.Sprintf("%s: %d jobs are under way already", j.Name, s.jobs)})
		return
	}
	s.jobs++
	zone, number, name, run := h.id(), j.Number, j.Name, j.Run
	limit := time.Duration(j.Ticks) * time.Second / time.Duration(h.zone.TickHz())
	s.asking.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, limit)
		defer cancel()
		in := game.Input{Kind: game.Done, Number: number}
		b, err := s.guardJob(ctx, name, run)
		if in.Payload = b; err != nil {
			in.Code, in.Text = game.Failure(err)
		}
		s.mu.Lock()
		s.results = append(s.results, result{zone, in})
		s.mu.Unlock()
	})
}

func (s *Server) guardJob(ctx context.Context, name string, run func(context.Context) ([]byte, error)) (b []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Log.Error("a job panicked; it has failed", "job", name, "panic", v, "stack", string(debug.Stack()))
			b, err = nil, &game.Error{Code: protocol.ErrorInternal, Message: "the work failed"}
		}
	}()
	b, err = run(ctx)
	if len(b) > maxResult {
		return nil, fmt.Errorf("%s: a result of %d bytes, at most %d are taken: return less, or a reference", name, len(b), maxResult)
	}
	return b, err
}

// maxResult bounds what work may bring into a zone.
const maxResult = 16 << 20
