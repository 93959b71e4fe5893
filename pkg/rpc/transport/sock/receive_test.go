package sock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// bare is a connection whose other end is a socket in the hands of the test.
func bare(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	there, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(kindUnix, here, here, transport.Peer{Addr: "test"}, &transport.Config{MaxBacklog: defaultMaxBacklog})
	t.Cleanup(func() {
		_ = there.Close()
		_ = c.Close()
	})
	return c, there
}

func frame(size int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, size)
	binary.LittleEndian.PutUint32(b, uint32(size))
	return b
}

// However the bytes are cut on their way, frames come out whole, and a reader never sees more than it should.
func TestFramesAreWholeHoweverTheyAreCut(t *testing.T) {
	c, there := bare(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var stream []byte
	for i := range 300 {
		size := transport.MinFrame + rnd.IntN(200)
		if i%20 == 0 {
			size = MaxFrame - rnd.IntN(3)
		}
		stream = append(stream, frame(size, byte(i))...)
	}
	go func() {
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(1<<rnd.IntN(18)))
			if _, err := there.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_, _ = there.Write(goodbye(""))
	}()
	for got := stream[:0:0]; ; {
		b, err := c.lane.Receive()
		if err != nil {
			if !errors.Is(err, transport.ErrClosed) || !bytes.Equal(got, stream) {
				t.Fatalf("%d of %d bytes, %v", len(got), len(stream), err)
			}
			return
		}
		if whole, err := split(b); whole != len(b) || err != nil {
			t.Fatalf("%d of %d bytes are whole frames, %v", whole, len(b), err)
		}
		got = append(got, b...)
		c.lane.Release()
	}
}

func TestGoodbyes(t *testing.T) {
	for _, test := range []struct {
		what  string
		words []byte
		want  error
		text  string
	}{
		{"Plain", goodbye(""), transport.ErrClosed, ""},
		{"WithAReason", goodbye("frame of 3 bytes"), ErrAborted, `"frame of 3 bytes"`},
		{"WithALongReason", goodbye(strings.Repeat("x", 1000)), ErrAborted, strings.Repeat("x", maxReason)},
		{"None", nil, ErrVanished, "without a goodbye"},
		{"HalfAGoodbye", []byte{0, 0, 0}, ErrVanished, ""},
		{"HalfAReason", goodbye("frame of 3 bytes")[:9], ErrVanished, ""},
		{"HalfAFrame", frame(100, 1)[:99], ErrVanished, ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			c, there := bare(t)
			if _, err := there.Write(append(frame(100, 1), test.words...)); err != nil {
				t.Fatal(err)
			}
			_ = there.Close()
			if err := take(&c.lane, 100); err != nil {
				t.Fatal(err)
			}
			_, err := c.lane.Receive()
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || c.Err() != err {
				t.Errorf("Receive: %v; Err: %v", err, c.Err())
			}
		})
	}
}

// Who sends what may not be sent learns why it was left.
func TestAnAbortTellsThePeerWhy(t *testing.T) {
	a, b := open(t, kindTCP, transport.Config{})
	defer a.Close()
	defer b.Close()
	l := a.Lanes()[0]
	l.Lock()
	f, err := l.Reserve(100)
	if err == nil {
		binary.LittleEndian.PutUint32(f, 7)
		err = l.Flush()
	}
	l.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lanes()[0].Receive(); !errors.Is(err, ErrFrameTooSmall) {
		t.Errorf("receiver: %v", err)
	}
	if _, err := l.Receive(); !errors.Is(err, ErrAborted) || !strings.Contains(err.Error(), "7 bytes") {
		t.Errorf("sender: %v", err)
	}
}

func TestReceiveBeforeReleaseFails(t *testing.T) {
	c, there := bare(t)
	c.lane.Release() // of nothing
	if _, err := there.Write(frame(100, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.lane.Receive(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.lane.Receive(); !errors.Is(err, errNotReleased) {
		t.Errorf("%v", err)
	}
	if c.Err() != nil {
		t.Errorf("the connection is over: %v", c.Err())
	}
}

// splitSlowly is split, one frame at a time and with sums that cannot overflow.
func splitSlowly(b []byte) (whole int, ends bool) {
	for {
		rest := b[whole:]
		if len(rest) < 4 {
			return whole, false
		}
		n := uint64(rest[0]) | uint64(rest[1])<<8 | uint64(rest[2])<<16 | uint64(rest[3])<<24
		if n == 0 {
			return whole, len(rest) > 4 && len(rest) >= 5+int(rest[4])
		}
		if n < transport.MinFrame || n > MaxFrame {
			return whole, true
		}
		if uint64(len(rest)) < n {
			return whole, false
		}
		whole += int(n)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(append(frame(16, 1), frame(40, 2)...))
	f.Add(append(frame(16, 1), goodbye("why")...))
	f.Add(append(frame(16, 1), 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte{15, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := split(b)
		want, ends := splitSlowly(b)
		if whole != want || ends != (err != nil) {
			t.Fatalf("%d whole bytes, %v; want %d, an end: %v", whole, err, want, ends)
		}
		var bye *goodbyeError
		if err != nil && !errors.As(err, &bye) && !errors.Is(err, ErrFrameTooLarge) && !errors.Is(err, ErrFrameTooSmall) {
			t.Fatalf("an error without a name: %v", err)
		}
	})
}
