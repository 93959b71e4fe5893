//go:build linux && (amd64 || arm64)

package shm

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cloudwego/shmipc-go"
)

// reader is the receiving half of a lane. Its fields belong to the one goroutine that calls Receive and Release; what touches shared memory, and dead, to whoever holds the
// lane's rmu.
type reader struct {
	in     class
	shared counters // of the peer's blocks; we consume

	dead     bool   // the memory is about to go
	received uint64 // data blocks
	private  []byte // lane 0: the copy
	held     bool   // between Receive and Release
	inPlace  bool   // not lane 0: what is held is shared memory, and rmu is locked

	// done is the number of data blocks that the reader has finished with. It is less than received while a batch is held.
	done           atomic.Uint64
	bytes, batches atomic.Uint64
}

// taken is what came out of the stream.
type taken struct {
	frames []byte // nil: none
	kicked bool   // the peer kicks us
	kick   bool   // the peer wants a kick
}

func (l *lane) Receive() ([]byte, error) {
	r := &l.r
	if r.held {
		panic("rpc shm: Receive before the Release of the last batch")
	}
	for {
		if l.w.stalled.Load() {
			if err := l.resume(false); err != nil {
				return nil, err
			}
		}
		l.rmu.Lock()
		if r.dead {
			l.rmu.Unlock()
			return nil, l.c.reason()
		}
		got, err := l.next()
		if err != nil || got.frames == nil || !r.inPlace {
			l.rmu.Unlock()
		}
		if err != nil {
			return nil, l.c.failWith(err)
		}
		if got.kicked {
			err = l.resume(true)
		}
		if got.kick && err == nil {
			err = l.kick()
		}
		if err != nil {
			if got.frames != nil && r.inPlace {
				l.rmu.Unlock()
			}
			return nil, err
		}
		if got.frames != nil {
			r.held = true
			return got.frames, nil
		}
	}
}

// next waits for a block and takes what is in it. Call with rmu locked; a batch of a bulk lane is valid as long as it stays so.
func (l *lane) next() (got taken, err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	r := &l.r
	block, err := l.stream.BufferReader().ReadBytes(r.in.block)
	if err != nil {
		return taken{}, l.c.brokeOff(fmt.Errorf("rpc shm: lane %d: receive: %w", l.index, err))
	}
	h, err := parseHeader(block)
	if err != nil {
		return taken{}, err
	}
	if h.lane != l.index || h.kind != kindData && h.kind != kindKick || h.kind == kindData && h.seq != uint32(r.received) {
		return taken{}, fmt.Errorf("%w: lane %d, block %d: kind %d, lane %d, number %d", errBlock, l.index, r.received, h.kind, h.lane, h.seq)
	}
	if h.kind == kindKick {
		l.stream.BufferReader().ReleasePreviousRead()
		return taken{kicked: true}, nil
	}
	got.kicked = h.flags&flagKick != 0
	r.received++
	if h.used == 0 {
		got.kick = l.consume()
		l.finished()
		return got, nil
	}
	frames := block[blockHeader : blockHeader+h.used : blockHeader+h.used]
	if !r.inPlace {
		frames = r.private[:copy(r.private, frames)]
		got.kick = l.consume()
	}
	if err := checkFrames(frames, l.maxFrame); err != nil {
		return taken{}, fmt.Errorf("lane %d: %w", l.index, err)
	}
	r.bytes.Add(uint64(h.used))
	r.batches.Add(1)
	got.frames = frames
	return got, nil
}

// consume gives the block back and tells whether the peer wants to know.
func (l *lane) consume() (kick bool) {
	r := &l.r
	l.stream.BufferReader().ReleasePreviousRead()
	r.shared.consumed.Store(r.received)
	want := r.shared.want.Load()
	return want != 0 && r.received >= want && r.shared.want.CompareAndSwap(want, 0)
}

func (l *lane) Release() {
	r := &l.r
	if !r.held {
		return
	}
	r.held = false
	if r.inPlace {
		kick, err := l.consumeHeld()
		l.rmu.Unlock()
		if err == nil && kick {
			_ = l.kick() // an error is the connection's end, and the next Receive tells
		}
	}
	l.finished()
}

func (l *lane) consumeHeld() (kick bool, err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	return l.consume(), nil
}

// finished notes that the reader is done with one more block.
func (l *lane) finished() {
	l.r.done.Store(l.r.received)
	if l.c.leaving.Load() != nil {
		l.c.checkLeft()
	}
}

// guard is the lane's callback. Its OnData runs from the first block to the end of the session: the library ends a session by waiting for it, and only then unmaps.
type guard struct {
	l        *lane
	entered  atomic.Bool
	first    chan error    // what became of the start block
	sealed   chan struct{} // closed when no writer touches shared memory any more
	freed    chan struct{} // closed when nobody does
	leftover bool          // a slice is in the stream's send buffer; set before sealed is closed
	finished bool
}

// flushPatience is how long the guard waits for a writer that is inside the library's Flush. Only if the library closed the session by itself can such a writer
// wait for what the guard holds up.
const flushPatience = 250 * time.Millisecond

func (g *guard) OnLocalClose() {}

// OnRemoteClose runs on the library's dispatcher. No peer of ours closes a stream.
func (g *guard) OnRemoteClose() { g.l.c.fail(fmt.Errorf("%w: it closed lane %d", errBlock, g.l.index)) }

// OnData runs on a goroutine of the library, once: it is told of the first block and returns when the session ends.
func (g *guard) OnData(shmipc.BufferReader) {
	l := g.l
	if !g.entered.Swap(true) {
		g.first <- l.start()
	}
	<-l.c.sess.CloseChan()
	// The dispatcher still delivers blocks until it begins the cleanup; one that came after our last look would be given back after the memory is gone.
	l.c.awaitCleanup()
	g.awaitWriters()
	if g.leftover {
		for l.stream.IsOpen() { // the cleanup comes to this stream shortly; a closed stream's Flush gives the slice back and does nothing else
			time.Sleep(cleanupPoll)
		}
		l.discardWritten()
	}
	l.rmu.Lock()
	l.r.dead = true
	l.drain()
	l.rmu.Unlock()
	if !g.finished {
		g.finished = true
		close(g.freed)
	}
}

func (g *guard) awaitWriters() {
	for {
		timer := time.NewTimer(flushPatience)
		select {
		case <-g.sealed:
			timer.Stop()
			return
		case <-timer.C:
			if g.l.w.flushing.Load() {
				return
			}
		}
	}
}

// start reads the start block.
func (l *lane) start() (err error) {
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	return l.expect(kindStart)
}

// expect reads a block of the handshake. The block is there already, or the stream has a deadline.
func (l *lane) expect(kind byte) error {
	block, err := l.stream.BufferReader().ReadBytes(l.r.in.block)
	if err != nil {
		return fmt.Errorf("lane %d: %w", l.index, err)
	}
	h, err := parseHeader(block)
	if err != nil {
		return err
	}
	if h.kind != kind || h.lane != l.index {
		return fmt.Errorf("%w: kind %d on lane %d, expected kind %d on lane %d", errBlock, h.kind, h.lane, kind, l.index)
	}
	l.stream.BufferReader().ReleasePreviousRead()
	return nil
}

func (l *lane) discardWritten() {
	var err error
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	_ = l.stream.Flush(false)
}

// drain gives back what was not read. The session is closed: nothing blocks.
func (l *lane) drain() {
	var err error
	defer l.c.caught(&err, debug.SetPanicOnFault(true))
	in := l.stream.BufferReader()
	for {
		if n := in.Len(); n > 0 {
			if _, err := in.Discard(n); err != nil {
				break
			}
			in.ReleasePreviousRead()
			continue
		}
		if _, err := in.Peek(1); err != nil {
			break
		}
	}
	in.ReleasePreviousRead()
}
