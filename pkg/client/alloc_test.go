//go:build !race

package client

import (
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// TestNumberedMessagesAllocateNothing: what a bot does ten thousand times a second.
func TestNumberedMessagesAllocateNothing(t *testing.T) {
	c := &Client{}
	c.out.open(nil, &security.Session{}, 1<<16)
	c.session.open(16, time.Hour)
	c.session.loggedIn()
	heard := 0
	c.handler.Push = func(uint16, []byte) { heard++ }
	seq, payload := uint32(0), make([]byte, 100)
	one := func() {
		for range 16 {
			seq++
			if err := c.frame(protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: 64, Seq: seq, Payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		if !c.session.ack(time.Now(), false) {
			t.Fatal("no acknowledgement is due")
		}
		c.out.frames = protocol.AppendFrame(c.out.frames[:0], protocol.Frame{Type: protocol.TypeAck, Seq: c.session.acknowledge()})
	}
	one() // the timer, and room
	if n := testing.AllocsPerRun(100, one); n != 0 || heard == 0 {
		t.Errorf("%v allocations for 16 messages and their acknowledgement, want 0", n)
	}
	c.timer.Stop()
}
