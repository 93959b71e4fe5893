package sock

import (
	"errors"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestFramesCostNoAllocation(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for _, kind := range []string{kindUnix, kindTCP} { // crypto/tls allocates for each read
		t.Run(kind, func(t *testing.T) {
			a, b := open(t, kind, transport.Config{})
			defer b.Close()
			defer a.Close()
			for _, c := range []transport.Conn{a, b} { // so that the kernel does not swallow everything
				s := c.(*conn).sock.(interface {
					SetReadBuffer(int) error
					SetWriteBuffer(int) error
				})
				if err := errors.Join(s.SetReadBuffer(32<<10), s.SetWriteBuffer(32<<10)); err != nil {
					t.Fatal(err)
				}
			}
			for _, shape := range []struct{ n, size int }{{1, 16}, {64, 64}, {1, MaxFrame}, {10, MaxFrame}} {
				if n := testing.AllocsPerRun(100, func() {
					for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
						if err := put(dir[0].Lanes()[0], shape.n, shape.size); err != nil {
							t.Fatal(err)
						}
						if err := take(dir[1].Lanes()[0], shape.n*shape.size); err != nil {
							t.Fatal(err)
						}
					}
				}); n != 0 {
					t.Errorf("%d frames of %d bytes: %v allocations there and back", shape.n, shape.size, n)
				}
			}
			if a.Stats().Stalls == 0 {
				t.Error("nothing ever waited for the peer: the writer goroutine was not measured")
			}
		})
	}
}

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
	for range 2 * calmWrites {
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
