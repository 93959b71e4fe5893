//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/shmipc-go"
	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

var (
	errGone     = errors.New("rpc shm: the peer's process is gone: it ended without a goodbye")
	errLibrary  = errors.New("rpc shm: the library ended the session: the peer broke its protocol")
	errFallback = errors.New("rpc shm: the library left the shared memory: a batch went over the socket, which must not happen")
)

const (
	cleanupPoll  = 100 * time.Microsecond // between two looks whether the library has begun its cleanup
	goodbyeLimit = 100 * time.Millisecond // for writing a goodbye
	lingerIdle   = 500 * time.Millisecond // for a peer to take something of what waits for it when we close
	lingerLimit  = 3 * time.Second        // for all of it
	leaveLimit   = 5 * time.Second        // for reading what the peer sent before its goodbye
	closeLimit   = 10 * time.Second       // for Close to wait
	stallMin     = 2 * time.Millisecond   // between two looks at a stalled lane; kicks are the rule, this is for lanes that nobody reads
	stallMax     = 50 * time.Millisecond
)

// conn is one connection. It has three goroutines: run waits for the end and takes everything apart, listen reads the control socket, mind looks after stalled lanes.
type conn struct {
	geometry
	client     bool
	peer       transport.Peer
	maxBacklog int

	control  *net.UnixConn
	opposite int // descriptor of the peer's end of the library's socket
	sess     *shmipc.Session
	manager  *shmipc.SessionManager // client only
	list     []*lane
	exposed  []transport.Lane

	quit     chan struct{} // closed by Close
	quitOnce sync.Once
	done     chan struct{} // closed when the connection is over
	gone     chan struct{} // closed when all is taken apart
	heard    chan struct{} // closed when listen has returned
	stall    chan struct{} // a lane has stalled
	minded   chan struct{} // closed when mind has returned
	closed   chan struct{} // closed when no lane takes new frames
	begun    func()        // returns when the library's cleanup has begun
	running  bool          // the connection has its goroutines; set before they start

	leaving atomic.Pointer[bye] // the peer's clean goodbye

	mu  sync.Mutex
	err error

	metricsMu sync.Mutex
	sealed    bool // metrics are final: the memory may go
	wakeups   uint64
	fallbacks uint64
}

func newConn(g geometry, client bool, control *net.UnixConn, sess *shmipc.Session, cfg transport.Config) *conn {
	c := &conn{geometry: g, client: client, control: control, opposite: -1, sess: sess, maxBacklog: cfg.MaxBacklog,
		quit: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{}), heard: make(chan struct{}), stall: make(chan struct{}, 1),
		minded: make(chan struct{}), closed: make(chan struct{})}
	c.begun = sync.OnceFunc(func() {
		for sess.GetActiveStreamCount() > 0 { // the cleanup's first act is to take all streams
			time.Sleep(cleanupPoll)
		}
	})
	return c
}

func (c *conn) Kind() string            { return "shm" }
func (c *conn) Lanes() []transport.Lane { return c.exposed }
func (c *conn) Peer() transport.Peer    { return c.peer }
func (c *conn) Done() <-chan struct{}   { return c.done }

func (c *conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// reason is Err for those who know that the connection is over, or about to be.
func (c *conn) reason() error {
	if err := c.Err(); err != nil {
		return err
	}
	return transport.ErrClosed
}

// fail ends the connection. The first reason counts. It does not block, whoever calls.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// brokeOff is what an error of the library's streams means: that of a session which it closed by itself says nothing.
func (c *conn) brokeOff(err error) error {
	if c.sess.IsClosed() {
		return errLibrary
	}
	return err
}

func (c *conn) failWith(err error) error {
	c.fail(err)
	return c.reason()
}

// caught is deferred by whatever touches shared memory: a fault, or what the library makes of garbage in there, ends the connection and not the process.
func (c *conn) caught(err *error, onFault bool) {
	debug.SetPanicOnFault(onFault)
	if r := recover(); r != nil {
		if _, ok := r.(runtime.Error); !ok {
			panic(r)
		}
		*err = c.failWith(fmt.Errorf("rpc shm: shared memory is broken: %v", r))
	}
}

// Close waits for up to 3 s for the peer to take what was flushed, less if it takes nothing at all.
func (c *conn) Close() error {
	c.quitOnce.Do(func() { close(c.quit) })
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case <-c.gone:
		return nil
	case <-timer.C:
		return fmt.Errorf("rpc shm: close: a lane is still in use after %v: a writer or reader holds it", closeLimit)
	}
}

// run waits for the end. It takes no lane's lock before that: a writer can be stuck in the library until the connection is taken apart.
func (c *conn) run() {
	defer close(c.gone)
	defer c.takeApart()
	select {
	case <-c.done:
	case <-c.sess.CloseChan():
		c.fail(errLibrary)
	case <-c.quit:
		c.linger()
		c.fail(transport.ErrClosed)
	}
}

// mind looks after stalled lanes.
func (c *conn) mind() {
	defer close(c.minded)
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	pause := stallMin
	for {
		select {
		case <-c.done:
			return
		case <-c.quit:
			c.finish()
			return
		case <-c.stall:
			pause = stallMin
			tick.Reset(pause)
		case <-tick.C:
			if before := c.waiting(); before > 0 {
				c.resumeStalled()
				if pause = min(2*pause, stallMax); c.waiting() < before {
					pause = stallMin
				}
				tick.Reset(pause)
			}
		}
	}
}

// finish ends the lanes for new frames and pushes those that wait, until run has had enough.
func (c *conn) finish() {
	for _, l := range c.list {
		l.shut()
	}
	close(c.closed)
	tick := time.NewTicker(stallMin)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
			c.resumeStalled()
		}
	}
}

// linger waits until the lanes are closed to new frames and the peer has taken those that wait.
func (c *conn) linger() {
	tick := time.NewTicker(stallMin)
	defer tick.Stop()
	began, moved := time.Now(), time.Now()
	select {
	case <-c.closed:
	case <-c.done:
		return
	case <-time.After(lingerIdle):
		return
	}
	for left := c.waiting(); left > 0; {
		select {
		case <-c.done:
			return
		case <-c.sess.CloseChan():
			return
		case now := <-tick.C:
			if less := c.waiting(); less < left {
				left, moved = less, now
			}
			if c.leaving.Load() != nil || now.Sub(moved) > lingerIdle || now.Sub(began) > lingerLimit {
				return
			}
		}
	}
}

// waiting is how many bytes wait for the peer, on all lanes.
func (c *conn) waiting() (n int) {
	for _, l := range c.list {
		n += l.Backlog()
	}
	return n
}

// watchStall has mind look after stalled lanes.
func (c *conn) watchStall() {
	select {
	case c.stall <- struct{}{}:
	default:
	}
}

func (c *conn) resumeStalled() {
	for _, l := range c.list {
		if l.w.stalled.Load() {
			_ = l.resume(false) // an error has ended the connection
		}
	}
}

// takeApart ends everything in the one order that is safe: the writers, then the session, whose cleanup waits for the guards, which wait for the readers.
func (c *conn) takeApart() {
	last := bye{sent: make([]uint64, len(c.list))}
	var sealed sync.WaitGroup
	for i, l := range c.list { // side by side: if the library closed the session, a writer may be stuck until the guards of all other lanes have let go
		sealed.Go(func() { last.sent[i] = l.seal() })
	}
	sealed.Wait()
	c.sealMetrics()
	c.sayBye(last)
	c.closeSession()
	for _, l := range c.list {
		if l.guard.entered.Load() {
			<-l.guard.freed
		}
	}
	_ = c.control.Close()
	closeFD(c.opposite)
	if c.running {
		<-c.heard
		<-c.minded
	}
}

func (c *conn) sayBye(last bye) {
	if !c.running { // the handshake failed
		return
	}
	if err := c.Err(); !errors.Is(err, transport.ErrClosed) {
		last.reason = err.Error()
	}
	_ = c.control.SetWriteDeadline(time.Now().Add(goodbyeLimit))
	_ = sendControl(c.control, msgBye, last.append(nil)) // who is not there any more needs none
}

// closeSession closes the library's session and wakes its dispatcher, which would otherwise see up to a second later that there is something to clean up.
func (c *conn) closeSession() {
	if c.manager != nil {
		_ = c.manager.Close()
	} else {
		_ = c.sess.Close()
	}
	if c.opposite >= 0 {
		// What is written to the peer's end comes out of ours. A closed session ignores it; a polling event does no harm in any case.
		_ = unix.Sendto(c.opposite, pollingEvent[:], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	}
}

// pollingEvent is "there is something in the queue" in the library's protocol, version 3.
var pollingEvent = [8]byte{0, 0, 0, 8, 0x77, 0x58, 3, 1}

func (c *conn) awaitCleanup() { c.begun() }

// listen reads the control socket until the end of it.
func (c *conn) listen() {
	defer close(c.heard)
	kind, body, fd, err := receiveControl(c.control)
	closeFD(fd)
	if err != nil {
		c.fail(errGone)
		return
	}
	if kind != msgBye {
		c.fail(fmt.Errorf("%w: message %d in the middle", errControl, kind))
		return
	}
	last, err := parseBye(body, len(c.list))
	switch {
	case err != nil:
		c.fail(err)
	case last.reason != "":
		c.fail(fmt.Errorf("rpc shm: the peer ended the connection: %s", last.reason))
	default:
		c.leaving.Store(&last)
		c.checkLeft()
		timer := time.NewTimer(leaveLimit)
		defer timer.Stop()
		select {
		case <-c.done:
		case <-timer.C:
			c.fail(transport.ErrClosed)
		}
	}
}

// checkLeft ends the connection when everything was read that the peer sent before its goodbye.
func (c *conn) checkLeft() {
	last := c.leaving.Load()
	for i, l := range c.list {
		if l.r.done.Load() < last.sent[i] {
			return
		}
	}
	c.fail(transport.ErrClosed)
}

func (c *conn) Stats() transport.Stats {
	wakeups, fallbacks := c.metrics()
	s := transport.Stats{Wakeups: wakeups, Fallbacks: fallbacks, SharedBytes: uint64(c.shared)}
	for _, l := range c.list {
		s.BytesIn += l.r.bytes.Load()
		s.BatchesIn += l.r.batches.Load()
		s.BytesOut += l.w.bytes.Load()
		s.BatchesOut += l.w.batches.Load()
		s.Stalls += l.w.stalls.Load()
	}
	return s
}

// metrics asks the library, which looks into shared memory for its answer.
func (c *conn) metrics() (wakeups, fallbacks uint64) {
	c.metricsMu.Lock()
	defer c.metricsMu.Unlock()
	if !c.sealed {
		c.readMetrics()
	}
	return c.wakeups, c.fallbacks
}

func (c *conn) sealMetrics() {
	c.metricsMu.Lock()
	defer c.metricsMu.Unlock()
	if !c.sess.IsClosed() {
		c.readMetrics()
	}
	c.sealed = true
}

func (c *conn) readMetrics() {
	var err error
	defer c.caught(&err, debug.SetPanicOnFault(true))
	performance, stability, _ := c.sess.GetMetrics()
	c.wakeups = performance.SendSyncEventCount
	c.fallbacks = stability.FallbackWriteCount + stability.FallbackReadCount
}
