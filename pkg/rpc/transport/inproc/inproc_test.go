package inproc

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

func TestPipeConforms(t *testing.T) {
	conformance.Run(t, func(*testing.T) (a, b transport.Conn) { return Pipe(transport.Config{}) })
}

func TestDialedConnectionConforms(t *testing.T) {
	conformance.Run(t, func(t *testing.T) (a, b transport.Conn) {
		n := NewNetwork()
		ln, err := n.Listen("world", transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if a, err = n.Dial(t.Context(), "world", transport.Config{}); err == nil {
			b, err = ln.Accept(t.Context())
		}
		if err = errors.Join(err, ln.Close()); err != nil {
			t.Fatal(err)
		}
		return a, b
	})
}

func TestListenerConforms(t *testing.T) {
	n := NewNetwork()
	conformance.RunListener(t, conformance.Network{
		Listen: func(t *testing.T, cfg transport.Config) transport.Listener {
			ln, err := n.Listen(t.Name(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			return ln
		},
		Dial: n.Dial,
	})
}

func TestNamesAreTakenOnceAndFreedByClose(t *testing.T) {
	n := NewNetwork()
	first, err := n.Listen("world", transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("world", transport.Config{}); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("second listener: %v", err)
	}
	if _, err := n.Dial(t.Context(), "wrold", transport.Config{}); err == nil || !strings.Contains(err.Error(), `"world"`) {
		t.Errorf("Dial of a wrong name does not tell the right ones: %v", err)
	}
	_ = first.Close()
	second, err := n.Listen("world", transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // must not take the name from its new owner
	a, err := n.Dial(t.Context(), "world", transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.Close(), second.Close()
}

// The bound is that of the end that writes.
func TestEachEndHasItsOwnBound(t *testing.T) {
	n := NewNetwork()
	ln, err := n.Listen("world", transport.Config{MaxBacklog: 4000})
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.Dial(t.Context(), "world", transport.Config{MaxBacklog: 1000})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		conn transport.Conn
		want int
	}{{a, 10}, {b, 40}} {
		l := end.conn.Lanes()[0]
		got := 0
		for ; ; got++ {
			if err := put(l, 100); err != nil {
				break
			}
		}
		if got != end.want || l.Backlog() != 100*end.want {
			t.Errorf("%d frames of 100 bytes taken, backlog %d; want %d frames", got, l.Backlog(), end.want)
		}
	}
	_, _ = a.Close(), ln.Close()
	big, _ := Pipe(transport.Config{MaxBacklog: 1})
	if err := put(big.Lanes()[0], MaxFrame); err != nil {
		t.Errorf("a frame above MaxBacklog, with nothing waiting: %v", err)
	}
	_ = big.Close()
}

// The reader must not take what is reserved and not flushed yet, nor lose it.
func TestUnflushedFramesStayForTheirFlush(t *testing.T) {
	a, b := Pipe(transport.Config{})
	out, in := a.Lanes()[0], b.Lanes()[0]
	for round := range 3 {
		if err := put(out, 16); err != nil {
			t.Fatal(err)
		}
		out.Lock()
		f, err := out.Reserve(32)
		if err != nil {
			t.Fatal(err)
		}
		header(f)
		f[31] = byte(round)
		out.Unlock()
		got, err := in.Receive()
		if err != nil || len(got) != 16 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		in.Release()
		out.Lock()
		err = out.Flush()
		out.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if got, err = in.Receive(); err != nil || len(got) != 32 || got[31] != byte(round) {
			t.Fatalf("%v, %v", got, err)
		}
		in.Release()
	}
	_ = a.Close()
}

func TestReceiveWaitsWithoutBeingWokenInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(transport.Config{})
		got := 0
		go func() {
			for {
				f, err := b.Lanes()[0].Receive()
				if err != nil {
					return
				}
				got += len(f)
				b.Lanes()[0].Release()
			}
		}()
		for range 5 {
			synctest.Wait() // the reader waits
			if err := put(a.Lanes()[0], 100); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := a.Stats(); got != 500 || s.Wakeups != 5 || s.BatchesOut != 5 || s.Stalls != 0 {
			t.Errorf("%d bytes, %+v", got, s)
		}
		_ = a.Close()
	})
}

func TestMisuse(t *testing.T) {
	a, b := Pipe(transport.Config{})
	in := b.Lanes()[0]
	in.Release() // of nothing
	if err := put(a.Lanes()[0], 100); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Receive(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Receive(); !errors.Is(err, errNotReleased) {
		t.Errorf("Receive before Release: %v", err)
	}
	_ = a.Close()
	defer func() {
		if recover() == nil {
			t.Error("a pipe with a negative bound")
		}
	}()
	Pipe(transport.Config{MaxBacklog: -1})
}

func TestABurstIsNotKeptForEver(t *testing.T) {
	a, b := Pipe(transport.Config{})
	out, in := a.Lanes()[0], b.Lanes()[0]
	for range 100 {
		if err := put(out, MaxFrame); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 * calmBatches {
		if _, err := in.Receive(); err != nil {
			t.Fatal(err)
		}
		in.Release()
		if err := put(out, 100); err != nil {
			t.Fatal(err)
		}
	}
	h := a.(*conn).out
	if c := cap(h.batch) + cap(h.spare); c > 2*keepBuffer {
		t.Errorf("%d bytes of buffers are kept", c)
	}
	_ = a.Close()
}

func TestDialWaitsForRoomUntilItsContextEnds(t *testing.T) {
	n := NewNetwork()
	ln, err := n.Listen("world", transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range maxWaiting {
		if _, err := n.Dial(t.Context(), "world", transport.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Dial(ctx, "world", transport.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
	_ = ln.Close()
}

func header(f []byte) { binary.LittleEndian.PutUint32(f, uint32(len(f))) }

func put(l transport.Lane, size int) error {
	l.Lock()
	defer l.Unlock()
	f, err := l.Reserve(size)
	if err != nil {
		return err
	}
	header(f)
	return l.Flush()
}

func take(l transport.Lane, n int) error {
	for n > 0 {
		b, err := l.Receive()
		if err != nil {
			return err
		}
		n -= len(b)
		l.Release()
	}
	return nil
}
