package sock

import (
	"errors"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestSmallBoundsHoldAndRecover(t *testing.T) {
	const bound = 4 * MaxFrame
	forEachKind(t, transport.Config{MaxBacklog: bound}, func(t *testing.T, a, b transport.Conn) {
		l := a.Lanes()[0]
		for range 3 {
			sent := 0
			for ; ; sent++ {
				if err := put(l, 1, MaxFrame); errors.Is(err, transport.ErrBacklog) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if n := l.Backlog(); n > bound {
					t.Fatalf("%d bytes wait, %d may", n, bound)
				}
			}
			if err := take(b.Lanes()[0], sent*MaxFrame); err != nil {
				t.Fatal(err)
			}
		}
	})
	a, _ := open(t, kindUnix, transport.Config{MaxBacklog: 1})
	if err := put(a.Lanes()[0], 1, MaxFrame); err != nil {
		t.Errorf("a frame above MaxBacklog, with nothing waiting: %v", err)
	}
	_ = a.Close()
}

func TestABurstIsNotKeptForEver(t *testing.T) {
	a, b := open(t, kindUnix, transport.Config{})
	defer b.Close()
	defer a.Close()
	l := &a.(*conn).lane
	if err := put(l, 200, MaxFrame); err != nil {
		t.Fatal(err)
	}
	if err := take(b.Lanes()[0], 200*MaxFrame); err != nil {
		t.Fatal(err)
	}
	for range 4 * calmWrites {
		if err := put(l, 1, 100); err != nil {
			t.Fatal(err)
		}
		if err := take(b.Lanes()[0], 100); err != nil {
			t.Fatal(err)
		}
	}
	l.Lock()
	defer l.Unlock()
	kept := cap(l.tail)
	for _, b := range l.free {
		kept += cap(b)
	}
	if kept > 4*keepBuffer {
		t.Errorf("%d bytes of buffers are kept", kept)
	}
}

// The writer goroutine of a busy connection may not come to rest for hours; that must not keep a burst.
func TestAWriterThatNeverRestsKeepsNoBurst(t *testing.T) {
	l := &lane{busy: true, size: 100, tail: make([]byte, 100, chunkSize), large: true}
	for range 3 {
		l.recycle(make([]byte, 0, chunkSize))
	}
	for range calmWrites {
		l.settle(100)
	}
	if len(l.free) != 0 || len(l.tail) != 100 || !l.large {
		t.Errorf("%d buffers are kept, and of what waits %d bytes; large: %v", len(l.free), len(l.tail), l.large)
	}
	l.recycle(l.tail) // it has been written
	l.tail = nil
	l.settle(100)
	if len(l.free) != 0 || l.large {
		t.Errorf("%d buffers are kept, large: %v", len(l.free), l.large)
	}
	l.recycle(make([]byte, 0, chunkSize))
	for range 3 * calmWrites { // those that are needed at times stay
		l.settle(100)
		l.settle(keepBuffer)
	}
	if len(l.free) != 1 {
		t.Error("a buffer in use was given back")
	}
}

// A write may fail before the reader has found out why; the connection ends even if nobody reads.
func TestAFailedWriteEndsAConnectionThatNobodyReads(t *testing.T) {
	c, there := bare(t)
	_ = there.Close()
	for put(&c.lane, 1, 100) == nil {
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	if err := c.Err(); !errors.Is(err, ErrVanished) {
		t.Errorf("%v", err)
	}
}

// The goodbye counts, even if a write has failed before it was read.
func TestAGoodbyeExplainsAFailedWrite(t *testing.T) {
	c, there := bare(t)
	if _, err := there.Write(append(frame(100, 1), goodbye("")...)); err != nil {
		t.Fatal(err)
	}
	_ = there.Close()
	for put(&c.lane, 1, 100) == nil {
	}
	if err := take(&c.lane, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := c.lane.Receive(); err != transport.ErrClosed {
		t.Errorf("%v", err)
	}
}
