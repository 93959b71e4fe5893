//go:build linux && (amd64 || arm64)

package shm

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/cloudwego/shmipc-go"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// lane is one stream of the library and the windows both ways. Writers and the reader share no cache line.
type lane struct {
	c        *conn
	index    int
	stream   *shmipc.Stream
	maxFrame int

	mu sync.Mutex // of the writers; all fields of writer are used under it, but for the atomics
	w  writer

	_ [128]byte

	rmu sync.Mutex // of the reader; held while it touches shared memory
	r   reader

	_ [128]byte

	guard guard
}

// writer is the sending half of a lane. Frames go into block, which is shared memory, as long as there is room in the window; otherwise into queue, which is not.
type writer struct {
	out    class
	shared counters // of our blocks; the peer consumes

	closed bool   // no new frames
	sealed bool   // nobody touches shared memory any more; closed as well
	block  []byte // the batch at hand; nil: none
	used   int    // bytes of it, block header included
	sent   uint64 // data blocks
	seen   uint64 // of them consumed, when we looked last

	queue   [][]byte // batches that wait; while there are any, block is nil
	free    [][]byte // of queue, for reuse
	open    bool     // the last of queue has frames that were not flushed
	full    error    // what Reserve says when too much waits
	kickDue bool     // we asked the peer for a kick that has not come

	stalled  atomic.Bool  // queue is not empty
	backlog  atomic.Int64 // bytes in queue
	flushing atomic.Bool  // somebody is inside the library's Flush

	bytes, batches, stalls atomic.Uint64
}

// freeBatches is how many empty batches a lane keeps for its next stall.
const freeBatches = 8

func (l *lane) Lock()         { l.mu.Lock() }
func (l *lane) Unlock()       { l.mu.Unlock() }
func (l *lane) MaxFrame() int { return l.maxFrame }
func (l *lane) Backlog() int  { return int(l.w.backlog.Load()) }

func (l *lane) Reserve(n int) ([]byte, error) {
	w := &l.w
	if w.closed {
		return nil, l.c.reason()
	}
	if n < transport.MinFrame || n > l.maxFrame {
		return nil, fmt.Errorf("rpc shm: lane %d: a frame of %d bytes: allowed are %d to %d", l.index, n, transport.MinFrame, l.maxFrame)
	}
	if len(w.queue) > 0 {
		return l.reserveLater(n)
	}
	if w.block != nil && w.used+n > len(w.block) {
		if err := l.send(kindData, 0); err != nil {
			return nil, err
		}
	}
	if w.block == nil {
		ok, err := l.acquire()
		if err != nil {
			return nil, err
		}
		if !ok {
			return l.reserveLater(n)
		}
	}
	at := w.used
	w.used += n
	return w.block[at:w.used:w.used], nil
}

// reserveLater finds room for a frame in private memory.
func (l *lane) reserveLater(n int) ([]byte, error) {
	w := &l.w
	if int(w.backlog.Load())+n > l.c.maxBacklog {
		return nil, w.full
	}
	last := len(w.queue) - 1
	if last < 0 || len(w.queue[last])+n > cap(w.queue[last]) {
		w.queue = append(w.queue, l.emptyBatch())
		w.stalls.Add(1)
		last++
	}
	w.backlog.Add(int64(n)) // before mind is told, which goes back to sleep when it sees nothing waiting
	if !w.stalled.Load() {
		w.stalled.Store(true)
		l.c.watchStall()
	}
	w.open = true
	batch := w.queue[last]
	at := len(batch)
	w.queue[last] = batch[:at+n]
	return batch[at : at+n : at+n], nil
}

func (l *lane) emptyBatch() []byte {
	w := &l.w
	if n := len(w.free) - 1; n >= 0 {
		batch := w.free[n]
		w.free[n] = nil
		w.free = w.free[:n]
		return batch
	}
	return make([]byte, 0, w.out.block-blockHeader)
}

func (l *lane) Flush() error {
	w := &l.w
	if w.closed {
		return l.c.reason()
	}
	if w.block != nil {
		return l.send(kindData, 0)
	}
	if len(w.queue) > 0 {
		w.open = false
		return l.pump()
	}
	return nil
}

// room tells whether the window has room for another block.
func (l *lane) room() (bool, error) {
	w := &l.w
	if w.sent-w.seen < w.out.window {
		return true, nil
	}
	seen := w.shared.consumed.Load()
	if seen < w.seen || seen > w.sent {
		return false, l.c.failWith(fmt.Errorf("%w: lane %d: %d blocks consumed of %d", errCounters, l.index, seen, w.sent))
	}
	w.seen = seen
	return w.sent-seen < w.out.window, nil
}

// acquire begins a block in shared memory, if there is room in the window.
func (l *lane) acquire() (bool, error) {
	ok, err := l.room()
	if !ok || err != nil {
		return false, err
	}
	return true, l.take()
}

// take gets a slice from the lane's pool, whole.
func (l *lane) take() (err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	block, err := l.stream.BufferWriter().Reserve(l.w.out.block)
	if err != nil {
		return l.c.failWith(fmt.Errorf("rpc shm: lane %d: take a slice: %w", l.index, err))
	}
	l.w.block, l.w.used = block, blockHeader
	return nil
}

// send hands the block to the peer.
func (l *lane) send(kind, flags byte) (err error) {
	w := &l.w
	h := header{kind: kind, flags: flags, lane: l.index}
	if kind == kindData {
		h.used, h.seq = w.used-blockHeader, uint32(w.sent)
	}
	if err := l.flush(h); err != nil {
		return err
	}
	if kind == kindData {
		w.sent++
		w.bytes.Add(uint64(h.used))
		w.batches.Add(1)
	}
	if !l.c.sess.IsHealthy() {
		return l.c.failWith(errFallback)
	}
	return nil
}

func (l *lane) flush(h header) (err error) {
	w := &l.w
	w.flushing.Store(true)
	defer w.flushing.Store(false)
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	h.put(w.block)
	w.block = nil
	if err := l.stream.Flush(false); err != nil {
		return l.c.failWith(l.c.brokeOff(fmt.Errorf("rpc shm: lane %d: send: %w", l.index, err)))
	}
	return nil
}

// pump sends what waits, as far as the window goes, and sees to it that somebody wakes us when it does not. Call with the lane locked.
func (l *lane) pump() error {
	w := &l.w
	for len(w.queue) > 0 && (len(w.queue) > 1 || !w.open) {
		ok, err := l.acquire()
		if err != nil {
			return err
		}
		if !ok {
			if w.kickDue || !l.askKick() {
				return nil
			}
			continue
		}
		batch := w.queue[0]
		if err := l.fill(batch); err != nil {
			return err
		}
		if err := l.send(kindData, 0); err != nil {
			return err
		}
		w.backlog.Add(-int64(len(batch)))
		copy(w.queue, w.queue[1:])
		w.queue[len(w.queue)-1] = nil
		w.queue = w.queue[:len(w.queue)-1]
		if len(w.free) < freeBatches {
			w.free = append(w.free, batch[:0])
		}
	}
	if len(w.queue) == 0 {
		w.stalled.Store(false)
	}
	return nil
}

func (l *lane) fill(batch []byte) (err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	l.w.used += copy(l.w.block[l.w.used:], batch)
	return nil
}

// askKick asks the peer to wake us as soon as half of the window is free, or as much as we need. It tells whether that is so already.
func (l *lane) askKick() bool {
	w := &l.w
	target := w.sent - w.out.window + min(uint64(len(w.queue)), w.out.window/2)
	w.shared.want.Store(target)
	if w.shared.consumed.Load() >= target && w.shared.want.CompareAndSwap(target, 0) {
		return true
	}
	w.kickDue = true
	return false
}

// resume pumps for the reader or the ticker. kicked says that the kick has come that we asked for.
func (l *lane) resume(kicked bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kicked {
		l.w.kickDue = false
	}
	if l.w.sealed {
		return nil
	}
	return l.pump()
}

// kick wakes the peer's writer. It takes no place in the window: the peer asks for one at a time.
func (l *lane) kick() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w.sealed {
		return nil
	}
	if l.w.block != nil { // frames are whole whenever the lane is unlocked
		return l.send(kindData, flagKick)
	}
	if err := l.take(); err != nil {
		return err
	}
	return l.send(kindKick, 0)
}

// shut ends the lane for new frames. What waits may still go.
func (l *lane) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.closed, l.w.open = true, false
}

// seal ends all writing. What was not flushed, or waits, is dropped: its block, if it has one, goes out empty. It answers how many data blocks were sent.
func (l *lane) seal() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &l.w
	w.closed, w.sealed = true, true
	if w.block != nil {
		// A session that the library itself has closed must not be written to: Flush could wait for the cleanup, which waits for the guard. The guard gives the slice back then.
		if l.c.sess.IsClosed() {
			l.guard.leftover = true
		} else {
			w.used = blockHeader
			_ = l.send(kindData, 0)
		}
		w.block = nil
	}
	w.queue, w.free, w.open = nil, nil, false
	w.backlog.Store(0)
	w.stalled.Store(false)
	close(l.guard.sealed)
	return w.sent
}
