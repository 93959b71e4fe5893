package network

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// listener accepts length-prefixed connections and hands them out.
type listener struct {
	net.Listener
	conns chan *Conn
}

func newListener(t testing.TB, cfg Config, lc ListenConfig) *listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveListener(t, Listen(ln, lc), cfg)
}

func serveListener(t testing.TB, ln net.Listener, cfg Config) *listener {
	l := &listener{Listener: ln, conns: make(chan *Conn, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c, err := Accept(nc, cfg)
			if err != nil {
				t.Error(err)
				return
			}
			l.conns <- c
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l
}

func (l *listener) raw(t testing.TB) (*net.TCPConn, *Conn) {
	t.Helper()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn), <-l.conns
}

// pairOver is pair for a scheme.
func pairOver(t testing.TB, scheme string, scfg Config, ccfg DialConfig) (*Conn, *Conn) {
	t.Helper()
	if scheme == "ws" {
		return pair(t, scfg, ccfg)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln = Listen(ln, ListenConfig{})
	if scheme == "tls" {
		unstarted := httptest.NewUnstartedServer(nil) // for its certificate
		unstarted.StartTLS()
		ccfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		ccfg.TLS.RootCAs.AddCert(unstarted.Certificate())
		ln = tls.NewListener(ln, &tls.Config{Certificates: unstarted.TLS.Certificates})
		unstarted.Close()
	}
	l := serveListener(t, ln, scfg)
	dialled := make(chan *Conn, 1)
	go func() {
		defer close(dialled)
		c, err := Dial(context.Background(), scheme+"://"+l.Addr().String(), ccfg)
		if err != nil {
			t.Error(err)
			return
		}
		dialled <- c
	}()
	srv := <-l.conns
	if scheme == "tls" { // the handshake of the server's end runs in its first Read or Write
		if err := srv.nc.(*tls.Conn).HandshakeContext(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	client, ok := <-dialled
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() {
		_ = client.Close(1000, "")
		_ = srv.Close(1000, "")
	})
	return srv, client
}

// overEach runs a scenario over every framing.
func overEach(t *testing.T, scenario func(t *testing.T, scheme string)) {
	for _, scheme := range []string{"ws", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			noLeak(t)
			scenario(t, scheme)
		})
	}
}

// One story, told over both framings: only what a framing does not have may differ.
func TestFramingsBehaveAlike(t *testing.T) {
	for _, scheme := range []string{"ws", "tcp", "tls"} {
		for _, pool := range []*Pool{nil, new(Pool)} {
			t.Run(scheme, func(t *testing.T) { tellStory(t, scheme, pool) })
		}
	}
}

func tellStory(t *testing.T, scheme string, pool *Pool) {
	noLeak(t)
	onDrain, drained := drainSignal()
	cfg := Config{MaxMessage: 70_000, OnDrain: onDrain, Pool: pool}
	srv, client := pairOver(t, scheme, cfg, DialConfig{Config: cfg})
	if peer := srv.Client(); !peer.Addr().IsLoopback() || peer.String() != srv.RemoteAddr().String() {
		t.Errorf("client %v at %v", peer, srv.RemoteAddr())
	}

	sizes := []int{1, 125, 126, 127, 128, 16383, 16384, 65535, 65536, 70_000}
	for _, dir := range [][2]*Conn{{srv, client}, {client, srv}} {
		for i, size := range sizes {
			payload := strings.Repeat(string(rune('a'+i)), size)
			if err := sendAll(dir[0], message(payload), drained); err != nil {
				t.Fatal(err)
			}
			if m, err := dir[1].Next(); err != nil || string(m) != payload || dir[1].Text() {
				t.Fatalf("size %d: %d bytes, %v", size, len(m), err)
			}
			if dir[1].Ready() {
				t.Error("ready with nothing behind the message")
			}
		}
		waitIdle(dir[0], drained)
		if in, _ := dir[1].Messages(); in != uint64(len(sizes)) {
			t.Errorf("%d messages in", in)
		}
		if _, out := dir[0].Messages(); out != uint64(len(sizes)) || dir[0].BytesOut() != dir[1].BytesIn() {
			t.Errorf("%d messages and %d bytes out, %d bytes in", out, dir[0].BytesOut(), dir[1].BytesIn())
		}
	}

	// A passed deadline ends nothing.
	for range 2 {
		if err := srv.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.Next(); !errors.Is(err, os.ErrDeadlineExceeded) || srv.Cause() != nil {
			t.Fatalf("%v, %v", err, srv.Cause())
		}
	}
	if err := srv.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := sendAll(client, message("on we go"), drained); err != nil {
		t.Fatal(err)
	}
	if m, err := srv.Next(); string(m) != "on we go" {
		t.Fatalf("%q, %v", m, err)
	}

	// Misuse, and the end.
	if err := srv.Send(make([]byte, HeaderRoom-1)); err != ErrNoRoom {
		t.Errorf("no room: %v", err)
	}
	if err := srv.Close(4001, "enough"); err != nil {
		t.Error(err)
	}
	local := &CloseError{Code: 4001, Reason: "enough", Local: true}
	checkCause(t, srv.Cause(), local)
	checkCause(t, srv.Send(message("late")), local)
	_, err := srv.Next()
	checkCause(t, err, local)
	_, err = client.Next()
	if scheme == "ws" {
		checkCause(t, err, &CloseError{Code: 4001, Reason: "enough"})
		return
	}
	checkCause(t, err, ErrNoCode)
	checkCause(t, err, io.EOF)
}

// waitIdle waits until the transient writer has done its work.
func waitIdle(c *Conn, drained <-chan struct{}) {
	for c.Busy() {
		<-drained
	}
}

func TestTooLargeMessageEndsEitherFraming(t *testing.T) {
	overEach(t, func(t *testing.T, scheme string) {
		srv, client := pairOver(t, scheme, Config{MaxMessage: 100, Pool: new(Pool)}, DialConfig{})
		if err := client.Send(message(strings.Repeat("x", 101))); err != nil {
			t.Fatal(err)
		}
		_, err := srv.Next()
		checkCause(t, err, ErrTooLarge)
		_, err = client.Next()
		if scheme == "ws" {
			checkCause(t, err, &CloseError{Code: CodeTooBig, Reason: "message too large"})
		} else if err == nil {
			t.Error("the client did not notice")
		}
	})
}

// A burst in one segment is Ready to its last message, and is answered with one write.
func TestReadyTellsWhereABatchEnds(t *testing.T) {
	overEach(t, func(t *testing.T, scheme string) {
		srv, client := pairOver(t, scheme, Config{Pool: new(Pool)}, DialConfig{})
		burst := bytes.Repeat(prefixed("hello"), 5)
		if scheme == "ws" {
			burst = join(bytes.Repeat(frame(0x82, "hello"), 5), frame(0x89, "ping"), frame(0x02, "unfinished"))
		}
		if _, err := client.nc.Write(burst); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if m, err := srv.Next(); string(m) != "hello" || srv.Ready() != (i < 4) {
				t.Errorf("message %d: %q %v, ready %v", i, m, err, srv.Ready())
			}
		}
		_ = srv.Close(0, "")
		if !srv.Ready() {
			t.Error("Next of an ended connection would not wait")
		}
	})
}

// A quiet connection of a server with a Pool holds no read buffer.
func TestQuietConnectionHoldsNoBuffer(t *testing.T) {
	overEach(t, func(t *testing.T, scheme string) {
		srv, client := pairOver(t, scheme, Config{Pool: new(Pool)}, DialConfig{})
		for range 3 {
			if err := client.Send(message("hello")); err != nil {
				t.Fatal(err)
			}
			if m, err := srv.Next(); string(m) != "hello" {
				t.Fatalf("%q, %v", m, err)
			}
			if err := srv.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
			_, err := srv.Next()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if err := srv.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := srv.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if srv.in.buf != nil && srv.in.loan != nil {
				t.Errorf("it holds %d bytes", len(srv.in.buf))
			}
			if err := srv.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDialRefusesWrongURLs(t *testing.T) {
	for url, want := range map[string]string{
		"tcp://127.0.0.1":        "tcp://host:port",
		"tcp://:80":              "tcp://host:port",
		"tls://host:443/path":    "tls://host:port",
		"tcp://host:1?query":     "tcp://host:port",
		"tcp://user@host:1":      "tcp://host:port",
		"tcp://%zz:1":            "invalid",
		"gopher://127.0.0.1:70":  "gopher",
		"tcp://127.0.0.1:999999": "999999",
	} {
		if c, err := Dial(context.Background(), url, DialConfig{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", url, c, err)
		}
	}
	if _, err := Accept(nil, Config{MaxMessage: -1}); err == nil {
		t.Error("Accept took a wrong Config")
	}
}

func TestDialTLSChecksTheCertificate(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	_, err := Dial(context.Background(), "tls://"+s.Listener.Addr().String(), DialConfig{})
	var unknown *tls.CertificateVerificationError
	if !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
}
