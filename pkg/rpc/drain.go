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
	s.stopListing()
	listeners := s.takeListeners()
	s.mu.Unlock()
	s.tell() // clients learn it from the connections too
	unbind(listeners)

	var waiting sync.WaitGroup
	asked := map[*Peer]bool{}
	sendAway := func() {
		for _, p := range s.peers.list() {
			if !asked[p] {
				asked[p] = true
				waiting.Go(func() { p.sendAway(ctx) })
			}
		}
	}
	sendAway()
	greeted := make(chan struct{})
	go func() {
		s.greeting.Wait()
		close(greeted)
	}()
	select { // those who shook hands when it began were asked then; a silent one takes the whole HelloTimeout
	case <-greeted:
		sendAway()
	case <-ctx.Done():
	}
	waiting.Wait()
	err := errors.Join(ctx.Err(), s.Close())
	<-greeted // whoever still shook hands was cut off
	return err
}

// stopListing gives up an attempt to register. The lock is held.
func (s *Server) stopListing() {
	if s.unlist != nil {
		s.unlist()
	}
}

// Close ends everything at once and waits for the server's goroutines, though not for handlers that ignore their context. It may be called twice, but not by a
// handler, an interceptor or a callback of the server.
func (s *Server) Close() error {
	s.mu.Lock()
	s.phase = phaseClosed
	s.stopListing()
	listeners := s.takeListeners()
	s.mu.Unlock()
	unbind(listeners)
	err := s.withdraw()
	s.cancel()
	s.wg.Wait()
	return err
}

// withdraw takes the instance from the registry.
func (s *Server) withdraw() error {
	s.listing.Lock()
	defer s.listing.Unlock()
	r := s.registration
	s.registration = nil
	if r == nil {
		return nil
	}
	return r.Close()
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
	st := ServerStats{Without: slices.Clone(s.without), Draining: s.phase >= phaseDraining}
	s.mu.Unlock()
	s.refusals.mu.Lock()
	st.Refused, st.LastRefused = s.refusals.n, s.refusals.last
	s.refusals.mu.Unlock()
	for _, p := range s.Peers() {
		info := p.Info()
		st.Peers = append(st.Peers, PeerStats{ID: p.ID(), Transport: p.transport, Addr: info.Addr, Conn: p.Stats()})
	}
	return st
}
