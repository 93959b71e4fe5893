package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// phase says how far a client's connection is.
type phase uint8

const (
	away    phase = iota // there is none, or no keys yet
	opening              // RESUME or the login is on its way
	up                   // the session lives on it
)

// maxQueue bounds what waits to be sent, and what waits for answers, in bytes each.
const maxQueue = 1 << 20

// ticket is what the next resume needs.
type ticket struct {
	bytes  []byte // nil: there is none
	secret [32]byte
	linger time.Duration // for how long the session waits after a lost connection
}

// session is what of a client outlives its connections, and the rules of that: which numbered messages are new, when to acknowledge them, and which requests to send,
// to await or to give up. It is a plain machine: no clock, no socket, no lock; Client.mu guards it.
//
// Invariants: acked ≤ last. The ids of requests ascend through the life of a session and into the next. Every request in waiting is answered or failed once,
// by the call that takes it out.
type session struct {
	ticket ticket
	phase  phase

	last  uint32        // sequence of the last numbered message that was taken
	acked uint32        // the last that the server was told of, by an ACK or a RESUME
	every uint32        // acknowledge at the latest after so many messages
	after time.Duration // and at the latest so long after the first of them
	due   time.Time     // when that is; zero: everything is acknowledged

	gone    bool // the session was given up, and the next login begins a new one
	lastID  uint32
	waiting []*request // by id ascending
	kept    int        // bytes of their payloads, at most maxQueue
}

// request waits for its answer.
type request struct {
	id      uint32 // changes if a login comes before it
	route   uint16
	flags   protocol.Flags
	sent    bool   // on some connection, so that it may have been executed
	payload []byte // kept, because it may have to be sent again
	answer  chan reply
}

type reply struct {
	payload []byte
	json    bool // the payload
	err     error
}

// frame is the request as it travels.
func (r *request) frame() protocol.Frame {
	return protocol.Frame{Type: protocol.TypeRequest, Flags: r.flags, Route: r.route, ID: r.id, Payload: r.payload}
}

// settle hands a request its answer; it was taken out of waiting.
func (r *request) settle(a reply) { r.answer <- a } // has room for the one answer

// fail settles a request that will not be answered, and says what is known of it.
func (r *request) fail(cause error) {
	what := ErrNotExecuted
	if r.sent {
		what = ErrUnknownOutcome
	}
	r.settle(reply{err: fmt.Errorf("%w: %w", what, cause)})
}

// open begins a connection, whose handshake said how to acknowledge.
func (s *session) open(every uint16, after time.Duration) {
	s.phase, s.every, s.after = opening, max(uint32(every), 1), after
}

// lost ends it. What was taken and not acknowledged is told by the RESUME that follows.
func (s *session) lost() { s.phase, s.due = away, time.Time{} }

// resume is the number that a RESUME carries; it acknowledges, too.
func (s *session) resume() (lastSeq uint32) {
	s.acked, s.due = s.last, time.Time{}
	return s.last
}

// resumed continues the session on a new connection. It returns the requests to send there, in order: those that never reached the server, which saw ids up to
// lastRequest. The answers of the others come by themselves.
func (s *session) resumed(lastRequest uint32) []*request {
	s.phase = up
	s.lastID = max(s.lastID, lastRequest) // a server that saw more than was sent must not take the next ones for repetitions
	at, _ := s.find(lastRequest + 1)
	if lastRequest == ^uint32(0) {
		at = len(s.waiting)
	}
	return s.send(s.waiting[at:])
}

// loggedIn begins a new session on this connection. It returns the requests to send, in order: those made since the last one was given up. They get new ids, because
// the login's is higher than theirs.
func (s *session) loggedIn() []*request {
	s.phase, s.gone = up, false
	for _, r := range s.waiting {
		r.id = s.nextID()
	}
	return s.send(s.waiting)
}

func (s *session) send(list []*request) []*request {
	for _, r := range list {
		r.sent = true
	}
	return list
}

// forget gives the session up, so that the next connection needs a login. It returns the requests of which nothing will be heard any more; fail them. Those made from now
// on are the next session's.
func (s *session) forget() []*request {
	if s.gone {
		return nil
	}
	s.gone = true
	s.ticket, s.last, s.acked, s.due = ticket{}, 0, 0, time.Time{}
	failed := s.waiting
	s.waiting, s.kept = nil, 0
	return failed
}

// take judges the number of a frame: whether it is new. An error wraps ErrBroken.
func (s *session) take(f protocol.Frame, now time.Time) (fresh bool, err error) {
	switch {
	case f.Flags&protocol.FlagREL == 0:
		return true, nil
	case s.phase != up:
		return false, fmt.Errorf("%w: a numbered message before the login or the resume was answered", ErrBroken)
	case f.Seq <= s.last:
		return false, nil // a repetition
	case f.Seq != s.last+1:
		return false, fmt.Errorf("%w: message %d follows %d: those between are lost", ErrBroken, f.Seq, s.last)
	}
	if s.last++; s.last-s.acked == 1 {
		s.due = now.Add(s.after)
	}
	return true, nil
}

// ack tells whether messages are to be acknowledged now: there are so many, or it is time, or something is sent along with which it costs little.
func (s *session) ack(now time.Time, along bool) bool {
	n := s.last - s.acked
	return s.phase == up && n > 0 && (along || n >= s.every || !now.Before(s.due))
}

// acknowledge is the number to acknowledge; the caller sends it.
func (s *session) acknowledge() (seq uint32) {
	s.acked, s.due = s.last, time.Time{}
	return s.last
}

// ask makes a request. While there is no connection it waits for the next one; otherwise the caller sends it.
func (s *session) ask(route uint16, flags protocol.Flags, payload []byte) (*request, error) {
	if s.kept+len(payload) > maxQueue {
		return nil, ErrFull
	}
	r := &request{id: s.nextID(), route: route, flags: flags, sent: s.phase == up, payload: payload, answer: make(chan reply, 1)}
	s.waiting = append(s.waiting, r)
	s.kept += len(payload)
	return r, nil
}

// nextID is the id of the next request.
func (s *session) nextID() uint32 {
	s.lastID++
	return s.lastID
}

// settled takes the request of an id out of those that wait; nil: none waits.
func (s *session) settled(id uint32) *request {
	at, ok := s.find(id)
	if !ok {
		return nil
	}
	r := s.waiting[at]
	s.waiting = slices.Delete(s.waiting, at, at+1)
	s.kept -= len(r.payload)
	return r
}

func (s *session) find(id uint32) (at int, ok bool) {
	return slices.BinarySearchFunc(s.waiting, id, func(r *request, id uint32) int { return cmp.Compare(r.id, id) })
}
