package sock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// grace is what the end of a connection may take: for Close to bring the rest and the goodbye to the peer, and, after a failed write, for the reader to find
// the reason. A peer on a machine that is out of breath takes nothing for a quarter of a second.
const grace = time.Second

// past is a deadline that makes what waits for the socket return.
func past() time.Time { return time.Unix(1, 0) }

// conn is a transport.Conn over a socket.
type conn struct {
	kind  string
	nc    net.Conn // read and written: the TLS connection, if there is one
	sock  net.Conn // the socket below it; without TLS, nc itself
	peer  transport.Peer
	lane  lane
	lanes []transport.Lane

	bytesIn, bytesOut     atomic.Uint64
	batchesIn, batchesOut atomic.Uint64
	stalls                atomic.Uint64

	done   chan struct{}
	ended  atomic.Bool // done is closed
	writer sync.WaitGroup

	mu       sync.Mutex
	err      error     // why the connection is over
	deadline time.Time // of the goodbye
}

// newConn takes over a socket on which the preambles have been exchanged. cfg is valid.
func newConn(kind string, nc, sock net.Conn, peer transport.Peer, cfg *transport.Config) *conn {
	c := &conn{kind: kind, nc: nc, sock: sock, peer: peer, done: make(chan struct{})}
	c.lane = lane{conn: c, maxBacklog: cfg.MaxBacklog, kick: make(chan struct{}, 1), in: make([]byte, readBuffer)}
	if nc == sock {
		c.lane.raw = newRawWriter(sock)
	}
	c.lanes = []transport.Lane{&c.lane}
	c.writer.Go(c.lane.run)
	return c
}

func (c *conn) Kind() string            { return c.kind }
func (c *conn) Lanes() []transport.Lane { return c.lanes }
func (c *conn) Peer() transport.Peer    { return c.peer }
func (c *conn) Done() <-chan struct{}   { return c.done }

func (c *conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *conn) Stats() transport.Stats {
	return transport.Stats{
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		BatchesIn: c.batchesIn.Load(), BatchesOut: c.batchesOut.Load(),
		Stalls: c.stalls.Load(),
	}
}

func (c *conn) Close() error {
	c.end(transport.ErrClosed, goodbye(""))
	c.writer.Wait()
	return nil
}

// end gives the connection its reason, unless it has one. With a goodbye, the writer brings what waits and the goodbye to the peer before it closes the socket;
// without, nobody is there to hear it. It never blocks; the lane must not be locked.
func (c *conn) end(why error, bye []byte) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = why
	c.deadline = time.Now().Add(grace)
	c.ended.Store(true)
	close(c.done)
	if bye == nil {
		_ = c.sock.Close() // makes reader and writer return
	} else { // a failure of these two is that of a dead socket, which makes them return as well
		_ = c.sock.SetReadDeadline(past())
		_ = c.sock.SetWriteDeadline(c.deadline)
	}
	c.mu.Unlock()
	c.lane.stop(why, bye)
}

// vanished is the end of a peer that said no goodbye.
func (c *conn) vanished(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("its end was closed without a goodbye, as when a process dies")
	}
	c.end(fmt.Errorf("%w: %s: %w", ErrVanished, c.peer.Addr, err), nil)
}

// leave is the last act of the writer: it says goodbye and closes the socket. The peer's kernel throws away what it has not read if we close a TCP socket with
// unread bytes in ours, so there we wait for the peer's end first.
func (c *conn) leave(bye []byte) {
	defer c.sock.Close()
	if _, err := c.nc.Write(bye); err != nil {
		return
	}
	tcp, ok := c.sock.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil {
		return
	}
	c.lane.reading.Lock() // the reader left its read when the connection ended, and begins no other
	defer c.lane.reading.Unlock()
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	if tcp.SetReadDeadline(deadline) != nil {
		return
	}
	for scratch := make([]byte, 16<<10); ; {
		if _, err := tcp.Read(scratch); err != nil {
			return
		}
	}
}
