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
// Send answers ErrBusy and takes nothing. After a nil the caller may reuse buf. A client's connection masks in place, so there the
// content of buf is garbage after a nil. After the end of the connection it returns the Cause. 0 allocations when the kernel takes all.
func (c *Conn) Send(buf []byte) error {
	if len(buf) < HeaderRoom {
		return ErrNoRoom
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	if c.busy.Load() {
		return ErrBusy
	}
	start := c.header(buf, ws.OpBinary)
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

// header writes the header of a frame into its room; see putHeader.
func (c *Conn) header(buf []byte, op ws.OpCode) int {
	if c.client {
		return putHeader(buf, op, true, c.mask())
	}
	return putHeader(buf, op, false, 0)
}

// writeLocked writes a frame as far as it goes and leaves the rest to a transient writer. mu is held, the connection lives and is not busy.
func (c *Conn) writeLocked(frame []byte) error {
	n := 0
	if c.raw != nil {
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
	for err == nil {
		c.mu.Lock()
		pong := c.takePong()
		if pong == nil {
			err = c.nc.SetWriteDeadline(time.Time{}) // a passed one would fail the next Send
			if err == nil {
				c.busy.Store(false)
			}
			c.mu.Unlock()
			break
		}
		*rest = append((*rest)[:0], pong...)
		c.mu.Unlock()
		err = c.writeAll(*rest)
	}
	c.pool.put(rest)
	if err != nil {
		_ = c.end(err, 0, "") // still busy: no close frame into a half-written message
		c.busy.Store(false)
	}
	if c.onDrain != nil {
		c.onDrain(c)
	}
}

// writeAll blocks until b is written, as long as the peer takes something every WriteTimeout.
func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
			return fmt.Errorf("network: write deadline: %w", err)
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
