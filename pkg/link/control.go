package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// stream is what a link needs of a stream of pkg/rpc/mux.
type stream interface {
	// Send waits for room. Only one goroutine sends.
	Send(v any) error
	CloseSend() error
	// Recv waits for the next message; io.EOF is the end that the sender meant.
	Recv(v any) error
	// Cancel ends the stream both ways; whoever waits in it is woken.
	Cancel(err error)
}

// wire is the codec of both streams: messages are bytes, written from two parts straight to where the transport wants them.
type wire struct{}

// outgoing is a message: a, then b.
type outgoing struct{ a, b []byte }

// incoming is a message received. Its bytes are a copy of its own, for records keep parts of them.
type incoming struct{ b []byte }

// Name never changes: which version the bytes are of is said in the first message.
func (wire) Name() string { return "mmo.link" }

func (wire) Size(v any) (int, error) {
	m, ok := v.(*outgoing)
	if !ok {
		return 0, fmt.Errorf("link: a %T is no message", v)
	}
	return len(m.a) + len(m.b), nil
}

func (wire) MarshalAppend(dst []byte, v any) ([]byte, error) {
	m, ok := v.(*outgoing)
	if !ok {
		return dst, fmt.Errorf("link: a %T is no message", v)
	}
	return append(append(dst, m.a...), m.b...), nil
}

func (wire) Unmarshal(b []byte, v any) error {
	m, ok := v.(*incoming)
	if !ok {
		return fmt.Errorf("link: a %T is no message", v)
	}
	m.b = append(make([]byte, 0, len(b)), b...)
	return nil
}

// Sizes of messages, in bytes: what a frame of the transports' first lane, or of one for bulk, can take, so that a message is one frame.
const (
	controlMessage = 31 << 10
	batchMessage   = 64<<10 + 512
)

// keepRoom is the room that a buffer may keep after a burst, in bytes.
const keepRoom = 1 << 20

// receipt counts what was taken at this end: what gives the sender room again.
type receipt struct{ n, bytes, lossy int }

// Every message on the stream of messages is: n · bytes · lossy (of the receipt since the message before) · records, or a part of one.
func (r receipt) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.n))
	b = binary.AppendUvarint(b, uint64(r.bytes))
	return binary.AppendUvarint(b, uint64(r.lossy))
}

func (c *cursor) receipt() receipt {
	n := func(what string) int { return int(c.uvarint(what, math.MaxInt32)) }
	return receipt{n("receipt of records"), n("receipt of bytes"), n("receipt of batches")}
}

// sender is one end's side of the stream of messages: it takes records without blocking, and one goroutine sends as many as wait in one message.
type sender struct {
	s      stream
	wake   chan struct{}
	gather time.Duration
	dead   <-chan struct{} // the link is over

	mu      sync.Mutex
	waiting []byte  // records
	sent    receipt // what the other end has not taken yet; lossy: of batches and broadcasts, wherever they are
	taken   receipt // what this end has taken and not told yet
	closing bool    // no more records: the goroutine ends when it has sent what waits
}

func newSender(s stream, gather time.Duration, dead <-chan struct{}) *sender {
	return &sender{s: s, wake: make(chan struct{}, 1), gather: gather, dead: dead}
}

// room tells whether a record of size payload bytes may be sent. Call it with mu held.
func (s *sender) room(size, most, limit int) error {
	switch {
	case s.closing:
		return ErrClosed
	case s.sent.n >= most || s.sent.bytes+size > limit:
		return ErrFull
	}
	return nil
}

func (s *sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// took tells the other end, with the next message, what was received here.
func (s *sender) took(r receipt) {
	if r == (receipt{}) {
		return
	}
	s.mu.Lock()
	s.taken.n, s.taken.bytes, s.taken.lossy = s.taken.n+r.n, s.taken.bytes+r.bytes, s.taken.lossy+r.lossy
	s.mu.Unlock()
	s.poke()
}

// settle takes the other end's receipt.
func (s *sender) settle(r receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.n > s.sent.n || r.bytes > s.sent.bytes || r.lossy > s.sent.lossy {
		return fmt.Errorf("%w: receipt for more than was sent", ErrMalformed)
	}
	s.sent.n, s.sent.bytes, s.sent.lossy = s.sent.n-r.n, s.sent.bytes-r.bytes, s.sent.lossy-r.lossy
	return nil
}

// finish lets run end once everything was sent.
func (s *sender) finish() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.poke()
}

// drop is finish without sending what waits.
func (s *sender) drop() {
	s.mu.Lock()
	s.closing, s.waiting = true, nil
	s.mu.Unlock()
	s.poke()
}

// run sends until the end. The first record after a pause goes at once; under load a message leaves per gather time, with all that came meanwhile: the other end
// looks once per tick, and waking it for every record would cost more than the records.
func (s *sender) run() error {
	var (
		buf, head []byte
		m         outgoing
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.dead:
			return ErrClosed
		case <-s.wake:
		}
		if cap(buf) > keepRoom {
			buf = nil
		}
		s.mu.Lock()
		buf, s.waiting = s.waiting, buf[:0]
		r, closing := s.taken, s.closing
		s.taken = receipt{}
		s.mu.Unlock()
		for left, rest := buf, 0; len(left) > 0 || r != (receipt{}); {
			n := min(rest, controlMessage)
			if rest -= n; n == 0 {
				n, rest = pack(left, controlMessage)
			}
			head = r.append(head[:0])
			r = receipt{}
			m = outgoing{head, left[:n]}
			if err := s.s.Send(&m); err != nil {
				return err
			}
			left = left[n:]
		}
		if closing { // nothing came since: closing was read together with what waits
			return s.s.CloseSend()
		}
		if s.gather > 0 {
			timer.Reset(s.gather)
			select {
			case <-s.dead:
				return ErrClosed
			case <-timer.C:
			}
		}
	}
}

// receiver is the other side: what comes in the stream of messages.
type receiver struct {
	s stream
	m incoming
	a assembler
}

// next takes a message: its receipt to the sender of this end, its records to each.
func (r *receiver) next(out *sender, each func(record []byte) error) error {
	if err := r.s.Recv(&r.m); err != nil {
		return err
	}
	c := cursor{b: r.m.b}
	r.m.b = nil
	if got := c.receipt(); c.err != nil {
		return c.err
	} else if err := out.settle(got); err != nil {
		return err
	}
	return r.a.feed(c.b, each)
}

// ended is what is left of a receiver's error: nil for an end that was meant, and came between two records.
func (r *receiver) ended(err error) error {
	if errors.Is(err, io.EOF) {
		if err = nil; r.a.need > 0 {
			err = fmt.Errorf("%w: the stream ends within a record", ErrMalformed)
		}
	}
	return err
}
