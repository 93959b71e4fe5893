package server

import (
	"slices"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// queue is where sessions wait for a world that is full, or that lets in no faster. First come, first served; who has lost its connection keeps its place for
// Config.QueueGrace, and is passed over meanwhile.
type queue struct {
	waiting []*session
	tokens  float64 // of the login rate
	rate    float64 // of those let in lately, per second
	entered int     // since the last look at the rate
}

// queueTell is how often those who wait are told their place.
const queueTell = 2 * time.Second

// roomNow spends a place in the world and a token of the login rate, if there are both and nobody waits for them.
func (s *Server) roomNow() bool {
	return len(s.queue.waiting) == 0 && s.room()
}

func (s *Server) room() bool {
	if s.cfg.MaxPlayers > 0 && s.playing >= s.cfg.MaxPlayers {
		return false
	}
	if s.cfg.LoginRate > 0 {
		if s.queue.tokens < 1 {
			return false
		}
		s.queue.tokens--
	}
	s.queue.entered++
	return true
}

// wait puts a session at the end of the queue.
func (s *Server) wait(x *session) {
	q := &s.queue
	if len(q.waiting) >= s.cfg.QueueMax {
		s.end(x, protocol.DisconnectOverloaded, "the login queue is full")
		return
	}
	q.waiting = append(q.waiting, x)
	s.place(x, len(q.waiting))
}

// admit lets in whom there is room for, once per tick.
func (s *Server) admit() {
	q := &s.queue
	if s.cfg.LoginRate > 0 {
		q.tokens = min(q.tokens+s.cfg.LoginRate/float64(s.hz), max(s.cfg.LoginRate, 1))
	}
	if len(q.waiting) > 0 {
		kept := q.waiting[:0]
		full := false
		for _, x := range q.waiting {
			switch {
			case x.place == over:
			case full || x.conn == 0:
				kept = append(kept, x)
			case s.room():
				s.place(x, 0)
				s.enter(x)
			default:
				full = true
				kept = append(kept, x)
			}
		}
		clear(q.waiting[len(kept):])
		if q.waiting = kept; len(kept) == 0 {
			q.waiting = nil
		}
	}
	every := uint32(queueTell * time.Duration(s.hz) / time.Second)
	if s.now()%max(every, 1) == 0 {
		q.rate += (float64(q.entered)/queueTell.Seconds() - q.rate) / 8
		q.entered = 0
		for i, x := range q.waiting {
			s.place(x, i+1)
		}
	}
}

// again tells a session that has come back its place.
func (s *Server) again(x *session) {
	s.place(x, slices.Index(s.queue.waiting, x)+1)
}

// place tells a session where it stands; 0: it is let in.
func (s *Server) place(x *session, position int) {
	m := &mmov1.Queue{Position: uint32(position), Length: uint32(len(s.queue.waiting))}
	rate := s.queue.rate
	if s.cfg.MaxPlayers == 0 || s.playing < s.cfg.MaxPlayers {
		rate = max(rate, s.cfg.LoginRate)
	}
	if rate > 0.01 {
		m.EtaMs = uint32(min(float64(position)/rate*1000, 1<<31))
	}
	s.tell(x, link.Down{Kind: link.ToClient, Type: protocol.TypeControl, Route: protocol.RouteQueue, Payload: marshal(m)})
}

// queuedNow is how many wait.
func (s *Server) queuedNow() int {
	return len(slices.DeleteFunc(slices.Clone(s.queue.waiting), func(x *session) bool { return x.place == over }))
}
