package network

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// coder/websocket is an independent reading of the RFC.

var interopSizes = []int{0, 1, 125, 126, 4096, 65535, 65536, 300_000}

func TestInteropTheirClient(t *testing.T) {
	noLeak(t)
	onDrain, drained := drainSignal()
	s := newServer(t, Config{MaxMessage: 300_000, Subprotocol: testProtocol, OnDrain: onDrain})
	ctx := context.Background()
	peer, resp, err := websocket.Dial(ctx, s.ws(), &websocket.DialOptions{
		Subprotocols: []string{testProtocol}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	if ext := resp.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Errorf("extensions %q", ext)
	}
	peer.SetReadLimit(-1)
	c := <-s.conns
	done := make(chan error, 1)
	go func() { done <- echo(c, drained) }()
	for _, size := range interopSizes {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if err := peer.Write(ctx, websocket.MessageBinary, want); err != nil {
			t.Fatal(err)
		}
		if _, got, err := peer.Read(ctx); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("size %d: %d bytes, %v", size, len(got), err)
		}
	}
	// Their streaming writer sends fragments.
	w, err := peer.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat([]byte("fragment"), 1000)
	for range 10 {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := peer.Read(ctx); err != nil || !bytes.Equal(got, bytes.Repeat(part, 10)) {
		t.Fatalf("fragments: %d bytes, %v", len(got), err)
	}
	peer.CloseRead(ctx)
	if err := peer.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(4123, "done"); err != nil {
		t.Errorf("their close handshake: %v", err)
	}
	checkCause(t, <-done, &CloseError{Code: 4123, Reason: "done"})
	_ = c.Close(1000, "")
}

func TestInteropTheirClientReadsOurClose(t *testing.T) {
	for _, tc := range []struct {
		kind   websocket.MessageType
		size   int
		status websocket.StatusCode
	}{{websocket.MessageText, 5, 1003}, {websocket.MessageBinary, 70_000, 1009}} {
		s := newServer(t, Config{})
		peer, _, err := websocket.Dial(context.Background(), s.ws(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := <-s.conns
		go func() { _, _ = collect(c) }()
		_ = peer.Write(context.Background(), tc.kind, make([]byte, tc.size))
		if _, _, err := peer.Read(context.Background()); websocket.CloseStatus(err) != tc.status {
			t.Errorf("their client saw %v, want %d", err, tc.status)
		}
		_ = peer.CloseNow()
		_ = c.Close(1000, "")
	}
}

func echoTheirs(w http.ResponseWriter, r *http.Request) {
	peer, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{testProtocol}})
	if err != nil {
		return
	}
	defer func() { _ = peer.CloseNow() }()
	peer.SetReadLimit(-1)
	for {
		kind, m, err := peer.Read(r.Context())
		if err != nil {
			return
		}
		if string(m) == "ping me" {
			ctx := peer.CloseRead(r.Context())
			if peer.Ping(ctx) == nil {
				_ = peer.Close(4321, "pinged")
			}
			return
		}
		if peer.Write(r.Context(), kind, m) != nil {
			return
		}
	}
}

func TestInteropTheirServer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(echoTheirs))
		var conf *tls.Config
		if secure {
			s.StartTLS()
			conf = &tls.Config{RootCAs: x509.NewCertPool()}
			conf.RootCAs.AddCert(s.Certificate())
		} else {
			s.Start()
		}
		onDrain, drained := drainSignal()
		c, err := Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http"), DialConfig{
			Config: Config{MaxMessage: 300_000, Subprotocol: testProtocol, OnDrain: onDrain}, TLS: conf,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range interopSizes {
			want := strings.Repeat("s", size)
			if err := sendAll(c, message(want), drained); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Next(); err != nil || string(got) != want {
				t.Fatalf("size %d: %d bytes, %v", size, len(got), err)
			}
		}
		if err := sendAll(c, message("ping me"), drained); err != nil {
			t.Fatal(err)
		}
		_, err = c.Next()
		checkCause(t, err, &CloseError{Code: 4321, Reason: "pinged"})
		_ = c.Close(1000, "")
		s.Close()
	}
}

// TLS ends at the server here: no raw writes, and yet the close code arrives.
func TestServerWithTLS(t *testing.T) {
	conns := make(chan *Conn, 1)
	onDrain, drained := drainSignal()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r, Config{OnDrain: onDrain}); err == nil {
			conns <- c
		}
	}))
	defer s.Close()
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	conf.RootCAs.AddCert(s.Certificate())
	client, err := Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http"), DialConfig{TLS: conf})
	if err != nil {
		t.Fatal(err)
	}
	srv := <-conns
	for range 10 {
		if err := sendAll(srv, message("over TLS"), drained); err != nil {
			t.Fatal(err)
		}
		if m, err := client.Next(); string(m) != "over TLS" {
			t.Fatalf("%q, %v", m, err)
		}
	}
	for srv.Busy() {
		<-drained
	}
	if err := srv.Close(4000, "server_shutdown"); err != nil {
		t.Fatal(err)
	}
	_, err = client.Next()
	checkCause(t, err, &CloseError{Code: 4000, Reason: "server_shutdown"})
	_ = client.Close(1000, "")
}

// echo answers each message with itself until the connection ends.
func echo(c *Conn, drained <-chan struct{}) error {
	var buf []byte
	for {
		m, err := c.Next()
		if err != nil {
			return err
		}
		buf = append(append(buf[:0], make([]byte, HeaderRoom)...), m...)
		send := c.Send
		if c.Text() {
			send = c.SendText
		}
		if err := sendAllBy(send, buf, drained); err != nil {
			return err
		}
	}
}
