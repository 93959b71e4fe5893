package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// script is a listener that answers Accept from a list.
type script struct {
	answers chan error // nil: a connection
	closed  sync.Once
}

func (s *script) Accept() (net.Conn, error) {
	err, ok := <-s.answers
	if !ok {
		return nil, net.ErrClosed
	}
	if err != nil {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return &memConn{}, nil
}

func (s *script) Close() error {
	s.closed.Do(func() { close(s.answers) })
	return nil
}

func (*script) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptOutlivesShortages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: make(chan error, 100)}
		var pauses []time.Duration
		l := Listen(s, ListenConfig{MaxBackoff: 100 * time.Millisecond, OnRetry: func(err error, pause time.Duration) {
			pauses = append(pauses, pause)
		}})
		for _, err := range []error{
			syscall.ECONNABORTED, syscall.ECONNABORTED, nil, // no pause: the fault of one connection
			syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.EMFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE, nil,
			syscall.EMFILE, nil, // from the start again
		} {
			s.answers <- err
		}
		began := time.Now()
		for i, want := range []time.Duration{0, 5 + 10 + 20 + 40 + 80 + 100, 5} {
			if _, err := l.Accept(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want*time.Millisecond {
				t.Errorf("connection %d after %v, want %d ms", i, took, want)
			}
			began = time.Now()
		}
		if got := fmt.Sprint(pauses); got != "[5ms 10ms 20ms 40ms 80ms 100ms 5ms]" {
			t.Errorf("pauses %s", got)
		}
		s.answers <- syscall.EINVAL
		if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a fault that does not pass: %v", err)
		}

		// Close ends a pause.
		s.answers <- syscall.EMFILE
		done := make(chan error)
		go func() {
			_, err := l.Accept()
			done <- err
		}()
		synctest.Wait()
		began = time.Now()
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("closed in a pause: %v after %v", err, time.Since(began))
		}
	})
}

func TestWrongListenConfigIsRefused(t *testing.T) {
	for _, cfg := range []ListenConfig{{HeaderTimeout: -1}, {MaxPending: -1}, {MaxBackoff: -1}, {Trusted: make([]netip.Prefix, 1)}} {
		s := &script{answers: make(chan error, 1)}
		s.answers <- nil
		if _, err := Listen(s, cfg).Accept(); err == nil {
			t.Errorf("%+v is valid", cfg)
		}
	}
}

// proxyServer speaks HTTP behind a listener that trusts loopback, or only somebody else.
func proxyServer(t *testing.T, cfg ListenConfig) (addr string, conns chan *Conn, refused chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns, refused = make(chan *Conn, 16), make(chan error, 16)
	cfg.OnRefused = func(socket netip.AddrPort, err error) {
		if !socket.Addr().IsLoopback() {
			t.Errorf("refused %v", socket)
		}
		refused <- err
	}
	l := Listen(ln, cfg)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r, Config{Pool: new(Pool), Trusted: prefixes("198.51.100.0/24")}); err == nil {
			conns <- c
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close()
		<-done
	})
	return ln.Addr().String(), conns, refused
}

func dialRaw(t *testing.T, addr string, parts ...string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	for _, p := range parts {
		if _, err := nc.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	return nc
}

func TestClientIsKnownBehindAProxyProtocol(t *testing.T) {
	noLeak(t)
	addr, conns, _ := proxyServer(t, ListenConfig{Trusted: prefixes("127.0.0.1/32")})
	forwardedFor := strings.Replace(rawRequest, "\r\n", "\r\nX-Forwarded-For: 203.0.113.77\r\n", 1)
	for _, tc := range []struct {
		name  string
		parts []string
		want  string // "": the socket's
	}{
		{"v1", []string{"PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n", rawRequest}, "203.0.113.9:1234"},
		{"v1 with the request", []string{"PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n" + rawRequest}, "203.0.113.9:1234"},
		{"v2", []string{proxyV2(0x21, 0x11, addrs4) + rawRequest}, "203.0.113.9:1234"},
		{"v2 with many extensions", []string{proxyV2(0x21, 0x21, addrs6+strings.Repeat("e", 4000)) + rawRequest}, "[2001:db8::9]:1234"},
		{"v2 local", []string{proxyV2(0x20, 0, "") + rawRequest}, ""},
		{"v1 unknown", []string{"PROXY UNKNOWN\r\n" + rawRequest}, ""},
		{"drip", strings.Split("PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n"+rawRequest, ""), "203.0.113.9:1234"},
		{"and its X-Forwarded-For is not believed", []string{"PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n" + forwardedFor}, "203.0.113.9:1234"},
		{"but that of a proxy behind it is", []string{"PROXY TCP4 198.51.100.1 192.0.2.1 1234 443\r\n" + forwardedFor}, "203.0.113.77:0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nc := dialRaw(t, addr, tc.parts...)
			resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v %v", resp, err)
			}
			c := <-conns
			want := tc.want
			if want == "" {
				want = nc.LocalAddr().String()
			}
			if c.Client().String() != want || c.RemoteAddr().String() != nc.LocalAddr().String() {
				t.Errorf("client %v at %v, want %v", c.Client(), c.RemoteAddr(), want)
			}
			if !c.raw.ok() || c.in.loan == nil {
				t.Error("the socket is not used itself")
			}
			if _, err := nc.Write(frame(0x82, "hello")); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Next(); string(m) != "hello" {
				t.Errorf("%q %v", m, err)
			}
			_ = c.Close(0, "")
		})
	}
}

// cut waits for the server to end the connection, and tells what it sent before.
func cut(t *testing.T, nc net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	return string(b)
}

func TestWrongProxyHeadersAreCut(t *testing.T) {
	noLeak(t)
	addr, _, refused := proxyServer(t, ListenConfig{Trusted: prefixes("127.0.0.1/32"), HeaderTimeout: 50 * time.Millisecond})
	for name, in := range map[string]string{
		"none": rawRequest, "malformed": "PROXY TCP5 \r\n", "half": "PROXY TC", "late": "", "v2 cut": proxyV2(0x21, 0x11, addrs4)[:20],
	} {
		nc := dialRaw(t, addr, in)
		if name == "half" {
			_ = nc.(*net.TCPConn).CloseWrite()
		}
		if got := cut(t, nc); got != "" {
			t.Errorf("%s: the server said %q", name, got)
		}
		if err := <-refused; !errors.Is(err, ErrProxyHeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProxyHeaderFromAStrangerIsCut(t *testing.T) {
	noLeak(t)
	addr, conns, refused := proxyServer(t, ListenConfig{Trusted: prefixes("192.0.2.0/24")})
	for _, in := range []string{"PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n" + rawRequest, proxyV2(0x21, 0x11, addrs4) + rawRequest, proxyV2(0x20, 0, "")} {
		for _, parts := range [][]string{{in}, strings.Split(in, "")} {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parts {
				if _, err := nc.Write([]byte(p)); err != nil {
					break // cut already
				}
			}
			if got := cut(t, nc); strings.Contains(got, "101") {
				t.Errorf("the server said %q", got)
			}
			if err := <-refused; !errors.Is(err, ErrProxyHeader) || !strings.Contains(err.Error(), "no trusted proxy") {
				t.Errorf("%v", err)
			}
			_ = nc.Close()
		}
	}
	// One that sends none is served, in one piece or byte by byte.
	for _, parts := range [][]string{{rawRequest}, strings.Split(rawRequest, "")} {
		nc := dialRaw(t, addr, parts...)
		c := <-conns
		if c.Client().String() != nc.LocalAddr().String() || !c.raw.ok() || c.in.loan == nil {
			t.Errorf("client %v", c.Client())
		}
		_ = c.Close(0, "")
	}
}

// The length prefix too: of P and R it takes a few bytes to tell a message from a header.
func TestPrefixedConnectionsBehindAListenerWithProxyProtocol(t *testing.T) {
	noLeak(t)
	for _, tc := range []struct {
		trusted, in string
		message     string
		cause       error
	}{
		{"127.0.0.1/32", "PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n\x05hello", "hello", nil},
		{"192.0.2.0/24", "\x05hello", "hello", nil},
		{"192.0.2.0/24", "P" + strings.Repeat("R", 80), strings.Repeat("R", 80), nil},
		{"192.0.2.0/24", "PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n" + strings.Repeat("x", 100), "", ErrProxyHeader},
		{"192.0.2.0/24", proxyV2(0x21, 0x11, addrs4), "", ErrProxyHeader},
	} {
		l := newListener(t, Config{Pool: new(Pool)}, ListenConfig{Trusted: prefixes(tc.trusted)})
		dialRaw(t, l.Addr().String(), tc.in)
		c := <-l.conns
		m, err := c.Next()
		if string(m) != tc.message || !errors.Is(err, tc.cause) {
			t.Errorf("%q: %q %v", tc.in, m, err)
		}
		if want := "203.0.113.9:1234"; (c.Client().String() == want) != (tc.trusted == "127.0.0.1/32") {
			t.Errorf("client %v", c.Client())
		}
		if err := c.Send(message("x")); err == nil && c.Busy() {
			t.Error("a write of one byte was left to a transient writer")
		}
		_ = c.Close(0, "")
	}
}

// A load balancer that is slow with its headers delays nobody else, and Close does not wait for it.
func TestSlowProxyHeadersDelayNobody(t *testing.T) {
	noLeak(t)
	l := newListener(t, Config{}, ListenConfig{Trusted: prefixes("127.0.0.1/32"), HeaderTimeout: time.Hour, MaxPending: 3})
	slow := []net.Conn{dialRaw(t, l.Addr().String(), "PROXY"), dialRaw(t, l.Addr().String(), "")}
	dialRaw(t, l.Addr().String(), "PROXY UNKNOWN\r\n\x02hi")
	c := <-l.conns
	if m, err := c.Next(); string(m) != "hi" {
		t.Errorf("%q %v", m, err)
	}
	_ = c.Close(0, "")
	_ = l.Close()
	for _, nc := range slow {
		cut(t, nc)
	}
}

func TestDialThroughAListener(t *testing.T) {
	l := newListener(t, Config{}, ListenConfig{})
	c, err := Dial(context.Background(), "tcp://"+l.Addr().String(), DialConfig{})
	if err != nil {
		t.Fatal(err)
	}
	srv := <-l.conns
	if srv.Client().String() != c.nc.LocalAddr().String() || c.Client().String() != l.Addr().String() {
		t.Errorf("%v and %v", srv.Client(), c.Client())
	}
	_ = c.Close(0, "")
	_ = srv.Close(0, "")
}
