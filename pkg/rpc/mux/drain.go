package mux

import (
	"context"
	"errors"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Drain asks the peer for no new calls, waits until nothing is under way in either direction, and closes. When ctx ends first, it closes nevertheless and returns ctx's
// error.
func (c *Conn) Drain(ctx context.Context) error {
	c.GoAway("draining")
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	// What the peer sent before it knew arrives before its answer to a ping; a call that was about to be sent just then arrives before the answer to a second one.
	for quiet := 0; quiet < 2; {
		want := c.pongs.Load() + uint32(len(c.lanes))
		for _, l := range c.lanes { // an answer may still lie on any of them
			_ = l.control(typePing, 0, 0, 1, nil) // a broken lane ends the connection
		}
		for first := true; first || int32(want-c.pongs.Load()) > 0; first = false {
			select {
			case <-t.C:
			case <-c.over:
				<-c.ended
				if errors.Is(c.err, transport.ErrClosed) {
					return nil
				}
				return c.err
			case <-ctx.Done():
				_ = c.Close()
				return ctx.Err()
			}
		}
		if quiet++; c.busy() {
			quiet = 0
		}
	}
	return c.Close()
}

// busy tells whether anything is under way.
func (c *Conn) busy() bool {
	return c.InFlight() > 0 || c.serving.n.Load() > 0 || c.streams.len() > 0 || c.backlog() > 0
}

func (c *Conn) backlog() (n int) {
	for _, l := range c.lanes {
		n += l.Backlog()
	}
	return n
}
