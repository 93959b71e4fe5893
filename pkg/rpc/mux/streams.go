package mux

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// streams are those of a connection.
type streams struct {
	mu       sync.Mutex
	last     uint32
	opened   map[uint32]*Stream // here; nil once the connection is over
	accepted map[uint32]*Stream
}

func (s *streams) init() {
	s.opened, s.accepted = map[uint32]*Stream{}, map[uint32]*Stream{}
}

func (s *streams) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.opened) + len(s.accepted)
}

func (s *streams) remove(x *Stream) {
	s.mu.Lock()
	m := s.opened
	if x.accept {
		m = s.accepted
	}
	if m[x.id] == x {
		delete(m, x.id)
	}
	s.mu.Unlock()
}

func (s *streams) failAll(err error) {
	s.mu.Lock()
	opened, accepted := s.opened, s.accepted
	s.opened, s.accepted = nil, nil
	s.mu.Unlock()
	for _, m := range []map[uint32]*Stream{opened, accepted} {
		for _, x := range m {
			x.end(err)
		}
	}
}

// cancelled ends a stream whose opener gave it up.
func (s *streams) cancelled(id uint32, code status.Code) {
	s.mu.Lock()
	x := s.accepted[id]
	s.mu.Unlock()
	if x != nil {
		x.end(status.New(code, "the caller gave the stream up"))
	}
}

// frame takes data, credit and the end of a stream. Frames of streams that are over are dropped.
func (s *streams) frame(h header, body []byte) error {
	s.mu.Lock()
	m := s.accepted
	if h.flags&flagAnswer != 0 {
		m = s.opened
	}
	x := m[h.id]
	s.mu.Unlock()
	if x == nil {
		return nil
	}
	switch h.typ {
	case typeCredit:
		x.mu.Lock()
		x.credit = min(x.credit+int(h.arg), math.MaxInt32)
		x.room.Broadcast()
		x.mu.Unlock()
		return nil
	case typeEnd:
		return x.ended(h, body)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(body) + perMessage
	if x.unread >= x.c.cfg.Window { // a sender without credit sends nothing
		return fmt.Errorf("rpc: the peer sent on a stream beyond its credit: %d bytes wait there", x.unread)
	}
	if most := int64(64 * x.c.cfg.MaxMessage); x.c.unread.Add(int64(n)) > most {
		return fmt.Errorf("rpc: more than %d bytes wait in this connection's streams, and nobody receives them", most)
	}
	x.unread += n
	x.in = binary.LittleEndian.AppendUint32(x.in, uint32(len(body)))
	x.in = append(x.in, body...)
	x.arrived.Signal()
	return nil
}
