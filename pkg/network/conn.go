package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// closeGrace bounds the write of a close frame where no non-blocking write is to be had (TLS, Windows).
const closeGrace = time.Second

// Conn is one connection, of a server (Upgrade, Accept) or of a client (Dial). See the package comment for who may call what.
type Conn struct {
	nc           net.Conn
	peer         netip.AddrPort // behind the proxies
	mask         func() uint32  // of a WebSocket client; nil: frames are not masked
	writeTimeout time.Duration  // without progress
	closeCode    func(Violation) (uint16, string)
	onDrain      func(*Conn)
	pool         *Pool

	// Owned by the reader.
	in     decoder
	pinged bool // a pong may be due since the last read
	text   bool // the last message was a text

	controls, maxControls int // control frames since the last message, and how many there may be

	bytesIn, bytesOut       atomic.Uint64
	messagesIn, messagesOut atomic.Uint64
	busy                    atomic.Bool // a transient writer runs; written under mu
	ended                   atomic.Bool // cause is set; written under mu
	roused                  atomic.Bool // Rouse was called, and Next has not answered yet

	writers sync.WaitGroup // transient writers: at most one, and at the end the closer of a slow socket; Add under mu

	// mu is the ownership of the write side. It is never held across anything that blocks.
	mu       sync.Mutex
	raw      rawSocket     // not ok: the socket has no non-blocking write, transient writers do everything
	cause    error         // why the connection ended, nil while it lives
	pong     []byte        // frame room and payload of the latest ping
	farewell []byte        // close frame that the transient writer sends last, if it has finished its message
	pongDue  bool          // pong is to be written by whoever owns the write side next
	writing  chan struct{} // closed when the transient writer that busy stands for has ended
}

// origin tells newConn how a connection came to be.
type origin struct {
	client   bool
	prefixed bool           // the framing is the length prefix of TCP
	mask     func() uint32  // of a WebSocket client
	early    []byte         // read from the socket already; copied
	peer     netip.AddrPort // behind the proxies
}

// newConn takes over an open socket. cfg is valid.
func newConn(nc net.Conn, cfg *Config, o origin) *Conn {
	c := &Conn{
		nc: nc, peer: o.peer, mask: o.mask,
		maxControls: cfg.MaxControls, writeTimeout: cfg.WriteTimeout, closeCode: cfg.CloseCode, onDrain: cfg.OnDrain, pool: cfg.Pool,
		in: newDecoder(cfg, o.client, o.prefixed, o.early),
	}
	c.bytesIn.Store(uint64(len(o.early)))
	socket, watched := nc, false
	if a, ok := nc.(*accepted); ok {
		socket, watched = a.Conn, true
	}
	sc, ok := socket.(syscall.Conn)
	if !ok {
		return c
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	tune(socket, rc, cfg)
	if c.raw.init(rc); c.raw.ok() && !watched { // a watched one is read through its watcher
		c.in.loan = cfg.Pool
	}
	return c
}

// tune sets socket options. An option that the system refuses costs latency or memory, not correctness, so that is no error.
func tune(nc net.Conn, rc syscall.RawConn, cfg *Config) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetNoDelay(true)
	_ = tcp.SetWriteBuffer(cfg.SendBuffer)
	setNotSentLowat(rc, cfg.NotSentLowat)
}

// Next blocks for the next message and returns it; the bytes are valid until the following call. Only the reader calls it. It also answers
// pings and close frames. After the end of the connection it returns the Cause. A passed read deadline gives an
// error that wraps os.ErrDeadlineExceeded and ends nothing: set a new deadline to go on, or Close. Pings and fragments do
// not move the deadline. 0 allocations per message.
func (c *Conn) Next() ([]byte, error) {
	for {
		if c.ended.Load() {
			return nil, c.Cause()
		}
		op, payload, ok, err := c.in.next()
		switch {
		case err != nil:
			return nil, c.violated(err)
		case !ok:
			if err := c.read(); err != nil {
				return nil, err
			}
		case op == ws.OpBinary, op == ws.OpText:
			c.messagesIn.Add(1)
			c.controls, c.text = 0, op == ws.OpText
			return payload, nil
		case op == ws.OpPing, op == ws.OpPong:
			if c.controls++; c.controls > c.maxControls {
				return nil, c.violated(ErrControls)
			}
			if op == ws.OpPing {
				c.notePing(payload)
			}
		case op == ws.OpClose:
			return nil, c.closedByPeer(payload)
		}
	}
}

// Text tells whether the message that Next returned last is text; see Config.Text. Only the reader calls it.
func (c *Conn) Text() bool { return c.text }

// Ready tells whether Next would return at once, with what was read already. It lets the owner of both roles answer a batch of messages with one Send. Only the
// reader calls it.
func (c *Conn) Ready() bool { return c.ended.Load() || c.in.ready() }

// read waits for bytes. Everything that came before is parsed by now, so this is when to answer a ping: once per read, however many
// there were (RFC 6455, 5.5.3 wants only the latest answered).
func (c *Conn) read() error {
	if c.pinged {
		c.pinged = false
		c.sendPong()
	}
	var n int
	var err error
	if c.in.loan != nil {
		n, err = c.raw.read(&c.in)
	} else {
		n, err = c.nc.Read(c.in.space())
	}
	if n > 0 {
		c.bytesIn.Add(uint64(n))
		c.in.filled(n)
		return nil // an error that came along comes again
	}
	if err == nil {
		return nil
	}
	return c.unread(err)
}

// unread is what follows from a failed read.
func (c *Conn) unread(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.ended.Load() {
		if c.roused.Swap(false) {
			_ = c.nc.SetReadDeadline(time.Time{}) // a closed socket says so at the next read
			return ErrRoused
		}
		return fmt.Errorf("network: read: %w", err)
	}
	if c.in.prefixed && err == io.EOF {
		if c.in.w > c.in.r {
			return c.end(fmt.Errorf("network: read: %w in a message", io.ErrUnexpectedEOF), 0, "")
		}
		return c.end(fmt.Errorf("%w: %w", ErrNoCode, err), 0, "")
	}
	return c.end(fmt.Errorf("network: read: %w", err), 0, "")
}

// closedByPeer answers a close frame with the same code.
func (c *Conn) closedByPeer(payload []byte) error {
	ce, err := parseClose(payload)
	if err != nil {
		return c.violated(err)
	}
	return c.end(ce, ce.Code, "")
}

// violated ends the connection for what the peer did.
func (c *Conn) violated(err error) error {
	v, ok := err.(Violation)
	if !ok {
		return c.end(err, CodeProtocolError, "")
	}
	code, reason := v.Code(), v.text()
	if c.closeCode != nil {
		code, reason = c.closeCode(v)
	}
	return c.end(v, code, reason)
}

// Close ends the connection: it sends a close frame with code and reason if that is possible without waiting (not in the middle of
// another message), closes the socket and waits for the transient writer, which is broken off. Code 0 sends no frame, and length-prefixed TCP has none: there
// the code is in our Cause only, and the peer's says ErrNoCode. A reason above 123 bytes is cut. Call it from
// any goroutine but OnDrain, as often as you like: the first cause wins. It does not wait for the reader, whose Next returns
// at once. Over TLS, and where there is no non-blocking write, a peer that does not read can make it take seconds.
func (c *Conn) Close(code uint16, reason string) error {
	var bad error
	if code != 0 && code != CodeNoStatus && !validCode(code) {
		bad = fmt.Errorf("close with %d: %w", code, ErrBadCode)
		code = 0
	}
	_ = c.end(&CloseError{Code: code, Reason: reason, Local: true}, code, reason)
	c.writers.Wait()
	return bad
}

// end gives the connection its cause, unless it has one, and returns the cause that counts.
func (c *Conn) end(cause error, code uint16, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(cause, code, reason)
	return c.cause
}

// endLocked is end for the holder of mu. The frame is lost when a message is half written: anything after that half would be
// taken for its other half.
func (c *Conn) endLocked(cause error, code uint16, reason string) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	c.ended.Store(true)
	var frame []byte
	if code != 0 && !c.in.prefixed {
		frame = make([]byte, HeaderRoom, HeaderRoom+maxControl)
		frame = closePayload(frame, code, reason)
		frame = frame[c.header(frame, ws.OpClose):]
	}
	switch {
	case !c.raw.ok():
		var writing <-chan struct{}
		if c.busy.Load() {
			writing = c.writing
		}
		c.writers.Go(func() { c.closeSlowly(frame, writing) })
	case c.busy.Load():
		// The writer may be done with its message but for our mutex. It is not given time to finish, only the chance to say that it has.
		c.farewell = frame
		_ = c.nc.SetWriteDeadline(time.Unix(1, 0))
	default:
		if frame != nil {
			n, _ := c.raw.write(frame) // the connection ends either way
			c.bytesOut.Add(uint64(n))
		}
		_ = c.nc.Close() // nothing is left to do about its error
	}
}

// closeSlowly ends a socket whose every write may block. On such a socket every Send is a transient writer's, so the last message is given a moment to
// get out; the close frame must not stand in the middle of one.
func (c *Conn) closeSlowly(frame []byte, writing <-chan struct{}) {
	if writing != nil {
		grace := time.NewTimer(closeGrace)
		defer grace.Stop()
		select {
		case <-writing:
		case <-grace.C:
			frame = nil
		}
	}
	if frame != nil && c.nc.SetWriteDeadline(time.Now().Add(closeGrace)) == nil {
		n, _ := c.nc.Write(frame)
		c.bytesOut.Add(uint64(n))
	}
	_ = c.nc.Close()
}

// Cause tells why the connection ended: a *CloseError, a Violation, ErrWriteTimeout, or a failed read or write; nil while it lives.
func (c *Conn) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Rouse ends the wait of Next, or the next such wait, with ErrRoused, once. Nothing is lost, but for a read deadline. Any goroutine may call it.
//
// It is for connections that have been quiet for some seconds: the goroutine that handled a message has grown a deep stack, which a
// Go program never takes back below 4 KiB while the goroutine lives. Its reader answers ErrRoused by going on in a new
// goroutine, and an idle connection then costs 2 KiB less.
func (c *Conn) Rouse() {
	c.roused.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed socket needs no rousing
}

// SetReadDeadline bounds Next, at a point in time; the zero time removes the bound.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// Client is the address of the other end's user: behind the proxies of Config.Trusted if there are any, of the socket if not. The port is 0 where a
// proxy told none, and the zero AddrPort stands for a socket without IP address.
func (c *Conn) Client() netip.AddrPort { return c.peer }

// RemoteAddr is the address of the other end of the socket (of the proxy, if there is one).
func (c *Conn) RemoteAddr() net.Addr {
	if a, ok := c.nc.(*accepted); ok {
		return a.Conn.RemoteAddr()
	}
	return c.nc.RemoteAddr()
}

// BytesIn counts the bytes read from the socket after the upgrade, headers included.
func (c *Conn) BytesIn() uint64 { return c.bytesIn.Load() }

// BytesOut counts the bytes that the kernel took after the upgrade, headers included.
func (c *Conn) BytesOut() uint64 { return c.bytesOut.Load() }

// Messages counts the messages that Next returned and those that Send accepted.
func (c *Conn) Messages() (in, out uint64) { return c.messagesIn.Load(), c.messagesOut.Load() }
