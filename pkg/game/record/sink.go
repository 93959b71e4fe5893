package record

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
)

// ErrSlow is wrapped by the error of a recording that ended because the disk could not keep up.
var ErrSlow = errors.New("the disk is too slow for the recording")

// chunk is one to be written, head and body, and how many ticks it has.
type chunk struct {
	kind  byte
	b     []byte
	ticks uint64
	size  int64 // of the memory that it holds
}

// file is what a sink needs to give back what a failed write has left behind. *os.File has it.
type file interface{ Truncate(size int64) error }

// sink writes chunks on a goroutine of its own. All but the fields of its owner belong to that goroutine while it runs.
type sink struct {
	w     io.Writer
	limit int64 // of pending
	log   *slog.Logger

	queue   chan chunk
	free    chan []byte  // room that has been written
	pending atomic.Int64 // bytes that wait
	failed  atomic.Pointer[error]
	done    chan struct{}

	last   End  // set by the owner before it closes the queue
	closed bool // the owner's

	written  atomic.Uint64 // bytes
	at       mark          // behind the last whole chunk
	previous mark          // behind the one before
}

// mark is a place in the file behind a whole chunk.
type mark struct {
	offset int64
	number uint32
	ticks  uint64
}

func newSink(w io.Writer, limit int, log *slog.Logger) *sink {
	return &sink{w: w, limit: int64(limit), log: log, queue: make(chan chunk, 256), free: make(chan []byte, 16), done: make(chan struct{})}
}

// room is a buffer for a chunk. Owner.
func (s *sink) room() []byte {
	select {
	case b := <-s.free:
		return beginChunk(b)
	default:
		return beginChunk(make([]byte, 0, 4<<10)) // most games send little
	}
}

// put hands a chunk over without waiting; false if there is no room. A chunk above the limit has room alone. Owner.
func (s *sink) put(c chunk) bool {
	c.size = int64(cap(c.b))
	if waiting := s.pending.Add(c.size); waiting > s.limit && waiting != c.size {
		s.pending.Add(-c.size)
		return false
	}
	select {
	case s.queue <- c:
		return true
	default:
		s.pending.Add(-c.size)
		return false
	}
}

// finish lets what waits be written, and the end behind it. Owner.
func (s *sink) finish(e End) {
	if !s.closed {
		s.closed, s.last = true, e
		close(s.queue)
	}
}

// run writes until the queue is closed or a write fails.
func (s *sink) run() {
	defer close(s.done)
	for c := range s.queue {
		err := s.write(c.kind, c.b, c.ticks)
		s.pending.Add(-c.size)
		if err != nil {
			s.fail(err)
			return
		}
		if cap(c.b) <= 4*fullBody { // an unusual one is not worth keeping
			select {
			case s.free <- c.b:
			default:
			}
		}
	}
	e := s.last
	e.Ticks = s.at.ticks
	if err := s.write(chunkEnd, appendEnd(beginChunk(nil), e), 0); err != nil {
		s.fail(err)
	}
}

// write writes a chunk that began with beginChunk.
func (s *sink) write(kind byte, b []byte, ticks uint64) error {
	b = finishChunk(b, kind, s.at.number)
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	s.written.Add(uint64(len(b)))
	s.previous, s.at = s.at, mark{s.at.offset + int64(len(b)), s.at.number + 1, s.at.ticks + ticks}
	return nil
}

// fail ends the file with a reason, if it can. What the failed write has left is cut off, which on a full disk makes the room that the end needs; if it does not, the last whole chunk goes, too.
func (s *sink) fail(err error) {
	err = fmt.Errorf("write the recording: %w", err)
	s.failed.Store(&err)
	said := false
	if f, ok := s.w.(file); ok {
		for _, m := range []mark{s.at, s.previous} {
			if m.offset == 0 || f.Truncate(m.offset) != nil {
				break
			}
			s.at = m
			if s.write(chunkEnd, appendEnd(beginChunk(nil), End{Ticks: m.ticks, Reason: err.Error()}), 0) == nil {
				said = true
				break
			}
		}
	}
	s.log.Error("recording ended early", "error", err, "ticks", s.at.ticks, "told in the file", said)
}
