package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

const testProtocol = "mmo.v1"

// server upgrades every request on a loopback listener and hands the connections out.
type server struct {
	*httptest.Server
	conns chan *Conn
}

func newServer(t testing.TB, cfg Config) *server {
	t.Helper()
	s := &server{conns: make(chan *Conn, 16)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r, cfg); err == nil {
			s.conns <- c
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) ws() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func (s *server) addr() string { return s.Listener.Addr().String() }

// pair is a server's and a client's end of one connection.
func pair(t testing.TB, scfg Config, ccfg DialConfig) (*Conn, *Conn) {
	t.Helper()
	s := newServer(t, scfg)
	client, err := Dial(context.Background(), s.ws(), ccfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := <-s.conns
	t.Cleanup(func() {
		_ = client.Close(1000, "")
		_ = srv.Close(1000, "")
	})
	return srv, client
}

const rawRequest = "GET /ws HTTP/1.1\r\nHost: game.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

// rawClient upgrades by hand; early goes out in the same segment as the request.
func rawClient(t testing.TB, s *server, early []byte) (net.Conn, *bufio.Reader, *Conn) {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := nc.Write(append([]byte(rawRequest), early...)); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("answer %d %v", resp.StatusCode, resp.Header)
	}
	return nc, br, <-s.conns
}

// frame builds a masked frame byte by byte, as a client would, or worse. b0 is FIN, reserved bits and opcode.
func frame(b0 byte, payload string) []byte { return frameWith(b0, true, payload) }

func frameWith(b0 byte, masked bool, payload string) []byte {
	b, n := []byte{b0}, len(payload)
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	key := [4]byte{0xa1, 0xb2, 0xc3, 0xd4}
	b[1] |= 0x80
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func join(frames ...[]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

func closing(code uint16, reason string) []byte {
	return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// message gives a payload the room that Send wants.
func message(payload string) []byte { return append(make([]byte, HeaderRoom), payload...) }

type received struct {
	op      ws.OpCode
	payload string
}

// readFrames reads frames until the stream ends.
func readFrames(r io.Reader) (frames []received) {
	for {
		f, err := readFrame(r)
		if err != nil {
			return frames
		}
		frames = append(frames, f)
	}
}

func readFrame(r io.Reader) (received, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return received{}, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	return received{h.OpCode, string(payload)}, err
}

// collect reads messages until the connection ends.
func collect(c *Conn) (messages []string, err error) {
	for {
		m, err := c.Next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, string(m))
	}
}

// sendAll sends, waiting for the transient writer where it must; drained is fed by OnDrain.
func sendAll(c *Conn, buf []byte, drained <-chan struct{}) error {
	return sendAllBy(c.Send, buf, drained)
}

func sendAllBy(send func([]byte) error, buf []byte, drained <-chan struct{}) error {
	for {
		err := send(buf)
		if err != ErrBusy {
			return err
		}
		<-drained
	}
}

// drainSignal is an OnDrain and the channel that it feeds; the signal stays until taken.
func drainSignal() (func(*Conn), chan struct{}) {
	ch := make(chan struct{}, 1)
	return func(*Conn) {
		select {
		case ch <- struct{}{}:
		default:
		}
	}, ch
}

// noLeak fails the test when more goroutines are left than it began with.
func noLeak(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("goroutines: %d before, %d after\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
			}
			runtime.Gosched()
		}
	})
}
