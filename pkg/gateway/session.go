package gateway

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// session is a connection from its upgrade on, and what the gateway knows of the session that it has once somebody has logged in or come back. The session itself
// is the server's, which may give it another connection.
//
//	connecting → secured → asking → authenticated → playing → ended          asking: the server is asked to open or resume a session
//	                ↑─────────┘ nothing to resume
type session struct {
	g    *Gateway
	w    *world // that it was admitted to
	id   uint64
	conn *network.Conn
	keys *security.Session // Opener: the reader's; Sealer: the flusher's; nil on the development listener

	state    atomic.Uint32 // protocol.States; written by the flusher
	epoch    atomic.Uint64 // of the session; set before state leaves Secured
	lastSeen atomic.Int64  // time of the last record, by the gateway's clock
	parted   atomic.Int32  // see part
	deep     atomic.Bool   // the reader's stack has grown; see rested
	json     atomic.Bool   // the client wants JSON

	mu      sync.Mutex
	queued  bool // stands in the gateway's ready list
	asking  bool // the server is asked for a session, or has given one
	ending  bool // the flusher is to end it with code and reason
	echoed  bool // echo is news
	echo    uint16
	code    protocol.DisconnectCode
	out     *outqueue       // nil: nothing waits
	login   *login          // not yet taken to the server by the flusher
	wants   map[uint32]bool // ids of requests in JSON that are to be answered in JSON, on a connection that is not; nil: none. They end with the connection: an answer that a resume brings is in protobuf
	reason  string
	outcome string // under which the end is counted

	// The reader's own, and before it starts the door's:
	limit   limiter
	grant   *link.Grant // what the client's ticket stands for, until it is used
	acking  uint32      // the highest number that the client has acknowledged
	acked   uint32      // and that the server was told of
	address addressRef
	shaken  bool // the handshake is done
	foreign bool // the client's schema is another revision: it is told the layout

	// The flusher's own:
	who     *login // of whom the server was asked, until it has answered
	client  *replica.Client
	table   []*mmov1.Zone // rows of the zone table, until they are queued for the client
	rowless []uint32      // zones for which the client had no row
	texts   *texts        // of the development listener; nil: it is another
	stuck   []byte        // a sealed record that the connection could not take yet
	asked   bool          // the server was asked for a session, or has given one
	entered bool          // it is in the world
	telling bool          // rows of the zone table are queued: their sections may follow when they have left
	dropped bool
}

// login is what the server is asked for: to open a session for an identity, or to resume one.
type login struct {
	identity security.Identity
	request  uint32           // that is to be answered
	resume   *link.Resumption // nil: it is no resumption
}

// shard is where the session's reader counts.
func (s *session) shard() *countShard { return s.g.counters.shard(s.id) }

// push queues a frame for the client. The flusher calls it.
func (s *session) push(f protocol.Frame) { s.queue(s.g.counters.flusher(), s.g.at, f, false) }

// answer queues a frame for the client, in JSON if that is how it spoke. The reader calls it.
func (s *session) answer(f protocol.Frame, json bool) { s.queue(s.shard(), s.g.clock(), f, json) }

// queue puts a frame into the outbound queue, and tells the flusher. What finds no room there ends the session, or is dropped if its class allows. Whatever json says, messages are in JSON on
// a connection that wants it, and only at its end on the development listener.
func (s *session) queue(c *countShard, now time.Duration, f protocol.Frame, json bool) {
	class, size, fault := s.w.class(f), 0, error(nil)
	json = (json || s.json.Load()) && s.w.converter != nil && s.texts == nil
	s.mu.Lock()
	if s.wants != nil {
		json = s.wanted(f) || json
	}
	if s.out == nil {
		s.out = &outqueue{}
	}
	answer, shed := s.out.push(&s.g.queue, now, class, f.Route, func(b []byte) []byte {
		before := len(b)
		if json {
			b, _, fault = appendJSON(s.w.converter, b, nil, f, s.g.queue.frame)
		} else {
			b = protocol.AppendFrame(b, f)
		}
		size = len(b) - before
		return b
	})
	wake := answer == pushedIn && !s.queued
	s.queued = s.queued || wake
	s.mu.Unlock()
	if shed.events > 0 {
		c.shed(protocol.AOIEvent, shed.events)
	}
	if shed.latest > 0 {
		c.shed(protocol.Latest, shed.latest)
	}
	if fault != nil {
		s.g.noJSON(s.w, fault) // it went as it is
	}
	if answer == pushedIn {
		kind := class
		if f.Type == protocol.TypeControl {
			kind = classless
		}
		c.out(f.Type, kind, size)
		if wake {
			s.g.enqueue(s)
		}
		return
	}
	s.refused(c, f, answer, size)
}

// refused is what follows for a frame that the queue did not take.
func (s *session) refused(c *countShard, f protocol.Frame, answer pushed, size int) {
	switch answer {
	case pushedAway:
		c.shed(protocol.AOIEvent, 1)
	case pushedOver:
		s.kick(protocol.DisconnectSlowConsumer, "")
	case pushedTooLarge:
		name := "unknown"
		if r, ok := s.w.routes.Lookup(f.Route); ok {
			name = r.Name
		}
		s.g.cfg.Log.Error("a frame fits no record: lower what the route sends, or raise RecordMax", "session", s.id, "route", name, "bytes", size, "room", s.g.queue.frame)
		if f.Flags&protocol.FlagREL != 0 { // without it the client waits for its number for ever, whichever gateway it resumes at
			s.kick(protocol.DisconnectKicked, "a message of the server's is too large")
		}
	}
}

// lookAtQueue is the flusher's look once a second. A queue that has been empty for a while is let go.
func (s *session) lookAtQueue() (frames, bytes int, age time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return 0, 0, 0, true
	}
	frames, bytes, age, ok = s.out.look(&s.g.queue, s.g.at)
	if s.out.buf == nil {
		s.out = nil
	}
	return frames, bytes, age, ok
}

// maxWants bounds the requests of one connection that wait for an answer in JSON.
const maxWants = 1024

// want notes that a request came in JSON; false if too many wait.
func (s *session) want(id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wants) >= maxWants {
		return false
	}
	if s.wants == nil {
		s.wants = map[uint32]bool{}
	}
	s.wants[id] = true
	return true
}

// wanted tells whether a frame answers a request that came in JSON, and forgets the request; mu is held.
func (s *session) wanted(f protocol.Frame) bool {
	if f.Type != protocol.TypeResponse && f.Type != protocol.TypeError || !s.wants[f.ID] {
		return false
	}
	if delete(s.wants, f.ID); len(s.wants) == 0 {
		s.wants = nil
	}
	return true
}

// kick has the flusher tell the client why and close; the first reason counts.
func (s *session) kick(code protocol.DisconnectCode, text string) {
	s.finish(code, strings.ToValidUTF8(text, "?"), code.String())
}

// end has the flusher drop a session whose connection is over, or closes without a word of explanation.
func (s *session) end(code protocol.DisconnectCode, outcome string) { s.finish(code, "", outcome) }

func (s *session) finish(code protocol.DisconnectCode, reason, outcome string) {
	s.mu.Lock()
	if !s.ending {
		s.ending, s.code, s.reason, s.outcome = true, code, reason, outcome
	}
	s.mu.Unlock()
	s.notify()
}

// notify puts the session on the flusher's list, once.
func (s *session) notify() {
	s.mu.Lock()
	wake := !s.queued
	s.queued = true
	s.mu.Unlock()
	if wake {
		s.g.enqueue(s)
	}
}
