package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// small makes the kernel's buffers fill soon.
func small(onDrain func(*Conn)) Config {
	return Config{SendBuffer: 8 << 10, NotSentLowat: 4 << 10, OnDrain: onDrain, Pool: new(Pool)}
}

// numbered is a message of size bytes that says which it is.
func numbered(buf []byte, i, size int) []byte {
	buf = binary.BigEndian.AppendUint32(buf[:HeaderRoom], uint32(i))
	for len(buf) < HeaderRoom+size {
		buf = append(buf, byte(i))
	}
	return buf
}

// fillUp sends messages, numbered from from, until the connection is busy for good, and returns the next number. The kernel goes on moving bytes from one
// buffer to the other for a moment, and makes the receiver's larger: only when nothing has drained for a while is the peer's end full.
func fillUp(t *testing.T, c *Conn, from, size int, drained <-chan struct{}) int {
	t.Helper()
	const settled = 400 * time.Millisecond
	buf := make([]byte, HeaderRoom, HeaderRoom+size)
	for i := from; i < 1<<20; {
		switch err := c.Send(numbered(buf, i, size)); err {
		case nil:
			i++
		case ErrBusy:
			select {
			case <-drained:
			case <-time.After(settled):
				return i
			}
		default:
			t.Fatalf("message %d: %v", i, err)
		}
	}
	t.Fatal("the connection swallows everything")
	return 0
}

// Small messages meet a full kernel at their first byte, large ones somewhere inside.
func TestStalledPeerCostsNothingAndThenGetsAllInOrder(t *testing.T) {
	for _, size := range []int{1500, 60_000} {
		overEach(t, func(t *testing.T, scheme string) { stallAndResume(t, scheme, size) })
	}
}

func stallAndResume(t *testing.T, scheme string, size int) {
	onDrain, drained := drainSignal()
	srv, client := pairOver(t, scheme, small(onDrain), DialConfig{})
	sent := 0
	for full, tries := false, 0; !full; tries++ {
		if tries == 20 {
			t.Fatal("the connection is never full")
		}
		sent = fillUp(t, srv, sent, size, drained)
		buf := numbered(make([]byte, HeaderRoom), sent, size)
		before := bytes.Clone(buf)
		out := srv.BytesOut()
		full = true
		allocs := testing.AllocsPerRun(10_000, func() {
			if !full {
				return
			}
			switch err := srv.Send(buf); err {
			case ErrBusy:
			case nil: // on a busy machine the transient writer had not come to it yet
				full = false
				sent++
			default:
				t.Fatalf("Send to a stalled peer: %v", err)
			}
		})
		if !bytes.Equal(buf[HeaderRoom:], before[HeaderRoom:]) {
			t.Error("Send changed the message")
		}
		if full = full && srv.BytesOut() == out; !full {
			continue
		}
		if allocs != 0 {
			t.Errorf("%v allocations per refused Send", allocs)
		}
		if !bytes.Equal(buf, before) {
			t.Error("a refused Send did something")
		}
	}

	const more = 200
	done := make(chan error, 1)
	go func() {
		for i := range sent + more {
			m, err := client.Next()
			if err != nil {
				done <- fmt.Errorf("message %d: %w", i, err)
				return
			}
			if want := numbered(make([]byte, HeaderRoom), i, size)[HeaderRoom:]; !bytes.Equal(m, want) {
				done <- fmt.Errorf("message %d is wrong: %x...", i, m[:8])
				return
			}
		}
		done <- nil
	}()
	buf := make([]byte, HeaderRoom, HeaderRoom+size)
	for i := range more {
		if err := sendAll(srv, numbered(buf, sent+i, size), drained); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, out := srv.Messages(); out != uint64(sent+more) {
		t.Errorf("%d messages counted, %d sent", out, sent+more)
	}
	if srv.Close(1000, "") != nil || client.BytesIn() > srv.BytesOut() {
		t.Errorf("bytes: %d out, %d in", srv.BytesOut(), client.BytesIn())
	}
	_ = client.Close(1000, "")
}

func TestWriteTimeoutEndsAStalledPeer(t *testing.T) { overEach(t, endStalled) }

func endStalled(t *testing.T, scheme string) {
	onDrain, drained := drainSignal()
	cfg := small(onDrain)
	cfg.WriteTimeout = 20 * time.Millisecond
	srv, client := pairOver(t, scheme, cfg, DialConfig{})
	buf := make([]byte, HeaderRoom, HeaderRoom+4096)
	for i := 0; ; i++ {
		err := sendAll(srv, numbered(buf, i, 4096), drained)
		if errors.Is(err, ErrWriteTimeout) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	checkCause(t, srv.Cause(), ErrWriteTimeout)
	if _, err := srv.Next(); !errors.Is(err, ErrWriteTimeout) {
		t.Errorf("Next: %v", err)
	}
	_ = srv.Close(4001, "too late")
	_ = client.Close(1000, "")
}

func TestCloseInTheMiddleOfAMessage(t *testing.T) { overEach(t, closeInTheMiddle) }

func closeInTheMiddle(t *testing.T, scheme string) {
	onDrain, drained := drainSignal()
	srv, client := pairOver(t, scheme, small(onDrain), DialConfig{})
	fillUp(t, srv, 0, 1500, drained)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _ = srv.Close(4001, "slow_consumer") })
	}
	all.Wait()
	<-drained
	checkCause(t, srv.Cause(), &CloseError{Code: 4001, Reason: "slow_consumer", Local: true})
	if srv.Busy() {
		t.Error("busy after Close")
	}
	if _, err := collect(client); err == nil { // no close frame may follow half a message
		t.Error("no end")
	} else if ce := (*CloseError)(nil); errors.As(err, &ce) {
		t.Errorf("client saw %v", err)
	}
	_ = client.Close(0, "")
}

// A ping that comes while a message is half written is answered behind that message.
func TestPongWaitsForTheMessageInHand(t *testing.T) {
	noLeak(t)
	onDrain, drained := drainSignal()
	s := newServer(t, small(onDrain))
	nc, br, c := rawClient(t, s, nil)
	sent := fillUp(t, c, 0, 1500, drained)
	if _, err := nc.Write(join(frame(0x89, "one"), frame(0x89, "two"), frame(0x82, "go"))); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Next(); string(m) != "go" {
		t.Fatalf("Next: %q, %v", m, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); !errors.Is(err, os.ErrDeadlineExceeded) { // the pong is handed over on the way to the read
		t.Fatal(err)
	}
	for i := range sent {
		f, err := readFrame(br)
		if err != nil || f.payload != string(numbered(make([]byte, HeaderRoom), i, 1500)[HeaderRoom:]) {
			t.Fatalf("message %d: %v %v", i, f, err)
		}
	}
	if f, err := readFrame(br); err != nil || f.payload != "two" {
		t.Fatalf("pong %v, %v", f, err)
	}
	<-drained
	_ = c.Close(1000, "")
}

func TestFirstCauseWins(t *testing.T) {
	srv, client := pair(t, Config{}, DialConfig{})
	long := strings.Repeat("界", 60)
	if err := srv.Close(4508, long); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(1000, "second"); err != nil {
		t.Fatal(err)
	}
	checkCause(t, srv.Cause(), &CloseError{Code: 4508, Reason: long, Local: true})
	_, err := client.Next()
	checkCause(t, err, &CloseError{Code: 4508, Reason: long[:123]})
}

func TestMisuse(t *testing.T) {
	srv, client := pair(t, Config{}, DialConfig{})
	if err := srv.Send(make([]byte, HeaderRoom-1)); err != ErrNoRoom {
		t.Errorf("Send without room: %v", err)
	}
	if err := srv.Close(1006, ""); !errors.Is(err, ErrBadCode) {
		t.Errorf("Close with 1006: %v", err)
	}
	if _, err := client.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("client: %v", err)
	}
	for _, cfg := range []Config{{MaxMessage: -1}, {MaxMessage: 1 << 30}, {MaxFragments: -1}, {SendBuffer: -1}, {NotSentLowat: -1}, {WriteTimeout: -1}} {
		if cfg.validate() == nil {
			t.Errorf("%+v is valid", cfg)
		}
	}
}

// Every length form and both roles: the frame arrives as it was.
func TestSendSizes(t *testing.T) {
	onDrain, drained := drainSignal()
	cfg := Config{MaxMessage: 200_000, OnDrain: onDrain}
	srv, client := pair(t, cfg, DialConfig{Config: cfg})
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000} {
		payload := strings.Repeat("p", size)
		for _, dir := range [][2]*Conn{{srv, client}, {client, srv}} {
			if err := sendAll(dir[0], message(payload), drained); err != nil {
				t.Fatal(err)
			}
			if m, err := dir[1].Next(); err != nil || string(m) != payload {
				t.Fatalf("size %d: %d bytes, %v", size, len(m), err)
			}
		}
	}
}

// slowConn takes a few bytes per write deadline, then everything.
type slowConn struct {
	memConn
	patience int // partial writes before it takes all; then fails with nothing if stuck
	stuck    bool
}

func (s *slowConn) Write(b []byte) (int, error) {
	switch {
	case s.patience > 0:
		s.patience--
		n, _ := s.memConn.Write(b[:min(2, len(b))])
		return n, &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}
	case s.stuck:
		return 0, &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}
	}
	return s.memConn.Write(b)
}

// Without a raw socket everything goes through the transient writer; progress, however slow, keeps the connection.
func TestSlowSocketWithoutRawWrites(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		onDrain, drained := drainSignal()
		cfg := Config{OnDrain: onDrain}
		if err := cfg.validate(); err != nil {
			t.Fatal(err)
		}
		slow := &slowConn{patience: 3, stuck: stuck}
		c := newConn(slow, &cfg, origin{})
		if err := c.Send(message("abcdefgh")); err != nil {
			t.Fatal(err)
		}
		<-drained
		err := c.Close(1000, "")
		if err != nil {
			t.Fatal(err)
		}
		if stuck {
			checkCause(t, c.Cause(), ErrWriteTimeout)
			continue
		}
		checkCause(t, c.Cause(), &CloseError{Code: 1000, Local: true})
		if got := readFrames(&slow.out); len(got) != 2 || got[0].payload != "abcdefgh" || got[1].payload != "\x03\xe8" {
			t.Errorf("written %q", got)
		}
	}
}
