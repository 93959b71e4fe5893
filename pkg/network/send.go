package network

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// Send sends the binary message buf[HeaderRoom:]; the room in front is for the header. Only the flusher calls it. It makes one write
// system call and never waits: what the kernel does not take is copied and left to a transient writer, and until that is done
// Send answers ErrBusy and takes nothing. Length-prefixed TCP cannot carry an empty message (ErrEmpty). After a nil the caller may reuse buf. A client's connection masks in place, so there the
// content of buf is garbage after a nil. After the end of the connection it returns the Cause. 0 allocations when the kernel takes all.
func (c *Conn) Send(buf []byte) error { return c.send(buf, ws.OpBinary) }

// SendText is Send for a text message, which must be UTF-8: that is not checked. Length-prefixed TCP has no texts and answers ErrText.
func (c *Conn) SendText(buf []byte) error {
	if c.in.prefixed {
		return ErrText
	}
	return c.send(buf, ws.OpText)
}

func (c *Conn) send(buf []byte, op ws.OpCode) error {
	if len(buf) < HeaderRoom {
		return ErrNoRoom
	}
	if c.in.prefixed {
		if err := sendable(len(buf) - HeaderRoom); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	if c.busy.Load() {
		return ErrBusy
	}
	start := c.header(buf, op)
	if err := c.writeLocked(buf[start:]); err != nil {
		return err
	}
	c.messagesOut.Add(1)
	return nil
}

// Writing is closed when the transient writer that is at work has ended; nil when none is.
func (c *Conn) Writing() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy.Load() {
		return nil
	}
	return c.writing
}

// Busy tells whether a transient writer has a message in hand, so that Send would answer ErrBusy.
func (c *Conn) Busy() bool { return c.busy.Load() }

// header writes the header of a frame into its room; see putHeader and putPrefix.
func (c *Conn) header(buf []byte, op ws.OpCode) int {
	if c.in.prefixed {
		return putPrefix(buf)
	}
	if c.mask != nil {
		return putHeader(buf, op, true, c.mask())
	}
	return putHeader(buf, op, false, 0)
}

// writeLocked writes a frame as far as it goes and leaves the rest to a transient writer. mu is held, the connection lives and is not busy.
func (c *Conn) writeLocked(frame []byte) error {
	n := 0
	if c.raw.ok() {
		var err error
		n, err = c.raw.write(frame)
		c.bytesOut.Add(uint64(n))
		if err != nil {
			c.endLocked(fmt.Errorf("network: write: %w", err), 0, "")
			return c.cause
		}
	}
	if n == len(frame) {
		return nil
	}
	c.busy.Store(true)
	rest, done := c.pool.copyOf(frame[n:]), make(chan struct{})
	c.writing = done
	c.writers.Go(func() {
		defer close(done)
		c.drain(rest)
	})
	return nil
}

// drain is the transient writer. It owns the write side while busy is set, and before it lets go it sends the pong that
// the reader could not.
func (c *Conn) drain(rest *[]byte) {
	err := c.writeAll(*rest)
	free := false
	for err == nil {
		var pong []byte
		if free, pong, err = c.letGo(); pong == nil {
			break
		}
		*rest = append((*rest)[:0], pong...)
		err = c.writeAll(*rest)
	}
	c.pool.put(rest)
	if !free {
		c.drained(err)
	}
	if c.onDrain != nil {
		c.onDrain(c)
	}
}

// letGo ends the writer's ownership of a connection that lives, or returns the frame of a pong to write first.
func (c *Conn) letGo() (free bool, pong []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return false, nil, nil
	}
	if pong := c.takePong(); pong != nil {
		return false, pong, nil
	}
	if err := c.nc.SetWriteDeadline(time.Time{}); err != nil { // a passed one would fail the next Send
		return false, nil, err
	}
	c.busy.Store(false)
	return true, nil, nil
}

// drained ends a connection that has failed, or ended meanwhile: endLocked left the close frame and the socket to the writer, which alone knows
// whether a message is half written.
func (c *Conn) drained(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.endLocked(err, 0, "")
	}
	if c.raw.ok() {
		if err == nil && c.farewell != nil && c.nc.SetWriteDeadline(time.Time{}) == nil {
			n, _ := c.raw.write(c.farewell) // the connection ends either way
			c.bytesOut.Add(uint64(n))
		}
		_ = c.nc.Close()
	}
	c.busy.Store(false)
}

// writeAll blocks until b is written, as long as the peer takes something every WriteTimeout and the connection lives.
func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
			return fmt.Errorf("network: write deadline: %w", err)
		}
		if c.raw.ok() && c.ended.Load() { // endLocked sets a deadline in the past, but perhaps it did so before ours
			return c.Cause()
		}
		n, err := c.nc.Write(b)
		c.bytesOut.Add(uint64(n))
		b = b[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("network: write: %w", err)
		case n == 0:
			return ErrWriteTimeout
		}
	}
	return nil
}

// notePing keeps the payload of the latest ping. Called by the reader.
func (c *Conn) notePing(payload []byte) {
	c.pinged = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pong == nil {
		c.pong = make([]byte, HeaderRoom, HeaderRoom+maxControl)
	}
	c.pong = append(c.pong[:HeaderRoom], payload...)
	c.pongDue = true
}

// sendPong answers the latest ping now, or leaves it to the transient writer. Called by the reader.
func (c *Conn) sendPong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || c.busy.Load() {
		return
	}
	if pong := c.takePong(); pong != nil {
		_ = c.writeLocked(pong) // the read that follows finds the end
	}
}

// takePong returns the frame of the pong that is due, or nil. mu is held.
func (c *Conn) takePong() []byte {
	if !c.pongDue {
		return nil
	}
	c.pongDue = false
	return c.pong[c.header(c.pong, ws.OpPong):]
}
