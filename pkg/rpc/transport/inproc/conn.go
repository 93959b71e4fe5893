package inproc

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	keepBuffer  = 64 << 10 // a buffer of this size is kept for ever
	calmBatches = 64       // that fill less than a quarter of a larger buffer, until it is given back
)

// errNotReleased answers a Receive between a Receive and its Release: the bytes of the former would be overwritten.
var errNotReleased = errors.New("rpc: Receive before Release of what the last one returned")

// shared is what both ends of a connection have in common.
type shared struct {
	mu    sync.Mutex
	ended bool
	done  chan struct{}
}

// conn is one end.
type conn struct {
	*shared
	out, in *half
	peer    transport.Peer
	lanes   []transport.Lane
}

func (c *conn) Kind() string            { return "inproc" }
func (c *conn) Lanes() []transport.Lane { return c.lanes }
func (c *conn) Peer() transport.Peer    { return c.peer }
func (c *conn) Done() <-chan struct{}   { return c.done }

func (c *conn) Err() error {
	select {
	case <-c.done:
		return transport.ErrClosed
	default:
		return nil
	}
}

func (c *conn) Stats() transport.Stats {
	return transport.Stats{
		BytesIn: c.in.taken.Load(), BatchesIn: c.in.takes.Load(),
		BytesOut: c.out.bytes.Load(), BatchesOut: c.out.flushes.Load(),
		Stalls: c.out.stalls.Load(), Wakeups: c.out.wakeups.Load(),
	}
}

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	close(c.done)
	c.out.end(false)
	c.in.end(true)
	return nil
}

// half is one direction.
type half struct {
	maxBacklog int
	backlog    atomic.Int64 // = flushed

	bytes, flushes, stalls, wakeups atomic.Uint64 // of the writers
	taken, takes                    atomic.Uint64 // of the reader

	mu      sync.Mutex // the lane's lock
	wake    sync.Cond  // of the reader
	waits   bool       // the reader does
	batch   []byte     // reserved and not taken; whole frames whenever mu is free
	flushed int        // bytes at the front of batch that the reader may have
	over    bool       // the connection is
	deaf    bool       // the reader's end closed it: nothing more is received

	// Owned by the reader.
	held  []byte // between Receive and Release
	spare []byte
	calm  int // small batches in a row
}

func newHalf(maxBacklog int) *half {
	h := &half{maxBacklog: maxBacklog}
	h.wake.L = &h.mu
	return h
}

func (h *half) end(deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over, h.deaf = true, deaf
	h.wake.Signal()
}

// lane is the only lane of an end.
type lane struct{ conn *conn }

func (l *lane) Lock()         { l.conn.out.mu.Lock() }
func (l *lane) Unlock()       { l.conn.out.mu.Unlock() }
func (l *lane) MaxFrame() int { return MaxFrame }
func (l *lane) Backlog() int  { return int(l.conn.out.backlog.Load()) }

// Reserve implements transport.Lane. A frame is taken whatever its size when nothing waits, so a small MaxBacklog keeps no frame from ever being sent.
func (l *lane) Reserve(n int) ([]byte, error) {
	h := l.conn.out
	if n < transport.MinFrame || n > MaxFrame {
		return nil, fmt.Errorf("rpc: reserve a frame of %d bytes: it must have %d to %d", n, transport.MinFrame, MaxFrame)
	}
	if h.over {
		return nil, transport.ErrClosed
	}
	at := len(h.batch)
	if at > 0 && at+n > h.maxBacklog {
		return nil, transport.ErrBacklog
	}
	if cap(h.batch)-at < n {
		h.batch = slices.Grow(h.batch, max(n, at, 4<<10)) // at least double: Grow's own steps are small
	}
	h.batch = h.batch[:at+n]
	return h.batch[at : at+n : at+n], nil
}

// Flush implements transport.Lane.
func (l *lane) Flush() error {
	h := l.conn.out
	if h.over {
		return transport.ErrClosed
	}
	fresh := len(h.batch) - h.flushed
	if fresh == 0 {
		return nil
	}
	if h.flushed > 0 {
		h.stalls.Add(1)
	}
	h.bytes.Add(uint64(fresh))
	h.flushes.Add(1)
	h.flushed = len(h.batch)
	h.backlog.Store(int64(h.flushed))
	if h.waits {
		h.waits = false
		h.wakeups.Add(1)
		h.wake.Signal()
	}
	return nil
}

// Receive implements transport.Lane.
func (l *lane) Receive() ([]byte, error) {
	h := l.conn.in
	if h.held != nil {
		return nil, errNotReleased
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.flushed == 0 && !h.over {
		h.waits = true
		h.wake.Wait()
	}
	h.waits = false
	if h.deaf || h.flushed == 0 {
		return nil, transport.ErrClosed
	}
	h.held = h.batch
	got := h.batch[:h.flushed]
	// What is reserved but not flushed stays for its writers to flush. It is seldom there: who does not flush knows of somebody who is about to.
	h.batch = append(h.spare[:0], h.batch[h.flushed:]...)
	h.spare, h.flushed = nil, 0
	h.backlog.Store(0)
	h.taken.Add(uint64(len(got)))
	h.takes.Add(1)
	return got, nil
}

// Release implements transport.Lane.
func (l *lane) Release() {
	h := l.conn.in
	if h.held == nil {
		return
	}
	b := h.held
	h.held = nil
	switch {
	case cap(b) <= keepBuffer: // of the two buffers, this one says nothing about the other
	case len(b) > cap(b)/4:
		h.calm = 0
	default:
		if h.calm++; h.calm >= calmBatches {
			h.calm = 0
			return // to the collector: it has not been needed for a while
		}
	}
	h.spare = b
}
