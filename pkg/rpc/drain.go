package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// Drain asks clients for no new calls, takes no new connections, and waits until nothing is under way; then it closes. When ctx ends first, it closes
// nevertheless and returns ctx's error.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if s.phase >= phaseDraining {
		s.mu.Unlock()
		select { // somebody is at it already
		case <-s.ctx.Done():
			return s.Close()
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.Close())
		}
	}
	s.phase = phaseDraining
	if s.registration != nil {
		if err := s.registration.Update(s.instance()); err != nil { // clients learn it from the connections too
			s.cfg.Log.Warn("rpc: registry not updated", "instance", s.cfg.ID, "error", err)
		}
	}
	s.unbind()
	s.mu.Unlock()
	s.greeting.Wait() // for HelloTimeout at most
	var waiting sync.WaitGroup
	for _, p := range s.peers.list() {
		waiting.Go(func() { p.sendAway(ctx) })
	}
	waiting.Wait()
	return errors.Join(ctx.Err(), s.Close())
}

// Close ends everything at once and waits for the server's goroutines, though not for handlers that ignore their context. It may be called twice, but not by a
// handler, an interceptor or a callback of the server.
func (s *Server) Close() error {
	s.mu.Lock()
	first := s.phase != phaseClosed
	s.phase = phaseClosed
	r := s.registration
	s.unbind()
	s.mu.Unlock()
	var err error
	if first && r != nil {
		err = r.Close()
	}
	s.cancel()
	s.wg.Wait()
	return err
}

// Peers are the connections at hand.
func (s *Server) Peers() []*Peer {
	list := s.peers.list()
	slices.SortFunc(list, func(a, b *Peer) int { return strings.Compare(a.ID(), b.ID()) })
	return list
}

// PeerStats is one connection of a server.
type PeerStats struct {
	ID        string
	Transport string
	Addr      string
	Conn      mux.Stats
}

// ServerStats is what a server knows.
type ServerStats struct {
	Peers       []PeerStats
	Without     []Refusal // transports that an endpoint should have and could not listen on
	Refused     uint64    // peers that were turned away: strangers, wrong tokens, garbage
	LastRefused error     // the last one's reason
	Draining    bool
}

// Stats is the state of the server.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	st := ServerStats{Without: slices.Clone(s.without), Refused: s.refused, LastRefused: s.lastRefused, Draining: s.phase >= phaseDraining}
	s.mu.Unlock()
	for _, p := range s.Peers() {
		info := p.Info()
		st.Peers = append(st.Peers, PeerStats{ID: p.ID(), Transport: p.transport, Addr: info.Addr, Conn: p.Stats()})
	}
	return st
}
