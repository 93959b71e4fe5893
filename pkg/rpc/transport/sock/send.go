package sock

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	chunkSize  = 4 * MaxFrame // a buffer grows to this; what does not fit goes into another, as copying megabytes under the lock would cost milliseconds
	keepBuffer = 64 << 10     // buffers of this size are kept for ever
	keepChunks = 4            // larger ones that are kept while they are needed
	calmWrites = 64           // small ones in a row, after which they are not
)

// lane is the only lane of a connection. While busy is unset, whoever holds mu may write to the socket, without waiting; while it is set, only the writer
// goroutine may, and mu is not held across its writes.
type lane struct {
	conn       *conn
	maxBacklog int
	raw        *rawWriter    // nil: no write without waiting; the writer goroutine writes everything
	kick       chan struct{} // wakes the writer goroutine
	backlog    atomic.Int64  // bytes that wait, while busy; otherwise 0

	mu     sync.Mutex
	full   [][]byte // what is reserved and not yet written: these, then tail; whole frames whenever mu is free
	tail   []byte
	size   int // bytes of them that are not written
	sent   int // bytes at the front of the first that are
	free   [][]byte
	large  bool   // there are buffers above keepBuffer
	calm   int    // small writes in a row since
	busy   bool   // the writer goroutine is at work, or about to be
	fail   error  // what Reserve answers; set when the connection is over or broken
	broken error  // of a failed write; nothing more is written
	bye    []byte // of the end of the connection
	ended  bool   // the connection is over

	// Owned by the reader; see receive.go.
	in               []byte
	start, end, held int
	reading          sync.Mutex // held during a read of the socket
}

func (l *lane) Lock()         { l.mu.Lock() }
func (l *lane) Unlock()       { l.mu.Unlock() }
func (l *lane) MaxFrame() int { return MaxFrame }
func (l *lane) Backlog() int  { return int(l.backlog.Load()) }

// Reserve implements transport.Lane. A frame is taken whatever its size when nothing waits, so a small MaxBacklog keeps no frame from ever being sent.
func (l *lane) Reserve(n int) ([]byte, error) {
	if n < transport.MinFrame || n > MaxFrame {
		return nil, fmt.Errorf("rpc: reserve a frame of %d bytes: it must have %d to %d", n, transport.MinFrame, MaxFrame)
	}
	if l.fail != nil {
		return nil, l.fail
	}
	waiting := l.size
	if l.busy {
		waiting = int(l.backlog.Load())
	}
	if waiting > 0 && waiting+n > l.maxBacklog {
		return nil, transport.ErrBacklog
	}
	if l.busy {
		l.backlog.Add(int64(n))
	}
	if cap(l.tail)-len(l.tail) < n {
		l.grow(n)
	}
	at := len(l.tail)
	l.tail = l.tail[:at+n]
	l.size += n
	return l.tail[at : at+n : at+n], nil
}

// Flush implements transport.Lane.
func (l *lane) Flush() error {
	if l.fail != nil {
		return l.fail
	}
	if l.size == 0 {
		return nil
	}
	if l.busy {
		l.conn.stalls.Add(1)
		return nil
	}
	if l.raw != nil {
		n := l.size
		err := l.writeNow()
		if err != nil {
			l.breakLocked(err)
			return l.fail
		}
		l.conn.batchesOut.Add(1)
		if l.size == 0 {
			l.settle(n)
			return nil
		}
		l.conn.stalls.Add(1)
	}
	l.busy = true
	l.backlog.Store(int64(l.size))
	l.wake()
	return nil
}

// writeNow writes as much as the socket takes without waiting.
func (l *lane) writeNow() error {
	for l.size > 0 {
		b := l.tail
		if len(l.full) > 0 {
			b = l.full[0]
		}
		n, err := l.raw.write(b[l.sent:])
		l.conn.bytesOut.Add(uint64(n))
		l.size -= n
		l.sent += n
		if err != nil || l.sent < len(b) {
			return err
		}
		l.sent = 0
		if len(l.full) > 0 {
			l.full = slices.Delete(l.full, 0, 1)
			l.recycle(b)
		} else {
			l.tail = b[:0]
		}
	}
	return nil
}

// wake makes the writer goroutine look, now or when it is done with what it does.
func (l *lane) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// breakLocked notes a failed write. It does not end the connection: the peer's goodbye, which tells why it fails, may lie in the socket still, and the reader
// is to find it.
func (l *lane) breakLocked(err error) {
	l.broken = err
	if l.fail == nil {
		l.fail = fmt.Errorf("%w: write to %s: %w", ErrVanished, l.conn.peer.Addr, err)
	}
	l.wake()
}

// stop makes Reserve fail and the writer goroutine end, after a goodbye unless bye is nil.
func (l *lane) stop(why error, bye []byte) {
	l.mu.Lock()
	l.fail, l.bye, l.ended = why, bye, true
	l.mu.Unlock()
	l.wake()
}

// grow makes room for n bytes in tail.
func (l *lane) grow(n int) {
	if len(l.tail)+n > chunkSize {
		l.full = append(l.full, l.tail)
		l.tail = l.unused()
	}
	if have := len(l.tail); cap(l.tail)-have < n {
		more := max(n, have, 4<<10) // at least double: the steps of slices.Grow are small
		if len(l.full) > 0 {
			more = chunkSize // it is a burst
		}
		l.tail = slices.Grow(l.tail, min(more, chunkSize-have))
	}
	l.large = l.large || cap(l.tail) > keepBuffer
}

// unused is a buffer from those that are kept, or nil.
func (l *lane) unused() []byte {
	n := len(l.free)
	if n == 0 {
		return nil
	}
	b := l.free[n-1]
	l.free = slices.Delete(l.free, n-1, n)
	return b
}

// recycle keeps a buffer that has been written.
func (l *lane) recycle(b []byte) {
	if cap(b) > 0 && len(l.free) < keepChunks {
		l.free = append(l.free, b[:0])
		l.large = l.large || cap(b) > keepBuffer
	}
}

// settle gives large buffers back when they have not been needed for a while. It is called after each write, of n bytes: a writer that never comes to rest is
// no reason to keep them.
func (l *lane) settle(n int) {
	switch {
	case !l.large:
	case n > keepBuffer/4:
		l.calm = 0
	default:
		if l.calm++; l.calm < calmWrites {
			return
		}
		l.free = slices.DeleteFunc(l.free, func(b []byte) bool { return cap(b) > keepBuffer })
		if cap(l.tail) > keepBuffer {
			if l.size > 0 { // in use: next time
				return
			}
			l.tail = nil
		}
		l.calm, l.large = 0, false
	}
}
