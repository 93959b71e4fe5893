package network

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// peer is the other end of a connection in another library, as client or server. coder and gorilla are independent readings of the RFC.
type peer interface {
	send(text bool, m string) error
	fragments(text bool, parts ...string) error // one message, more than one frame
	receive() (text bool, m string, err error)
	ping() error // and wait for the pong
	close(code int, reason string) error
	closed(err error) (code int, reason string) // what an error of receive says
	drop()
}

type coderPeer struct{ *websocket.Conn }

func kindOf(text bool) websocket.MessageType {
	if text {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

func (p coderPeer) send(text bool, m string) error {
	return p.Write(context.Background(), kindOf(text), []byte(m))
}

func (p coderPeer) fragments(text bool, parts ...string) error {
	w, err := p.Writer(context.Background(), kindOf(text))
	for _, part := range parts {
		if err == nil {
			_, err = w.Write([]byte(part))
		}
	}
	return errors.Join(err, w.Close())
}

func (p coderPeer) receive() (bool, string, error) {
	kind, m, err := p.Read(context.Background())
	return kind == websocket.MessageText, string(m), err
}

func (p coderPeer) ping() error {
	p.CloseRead(context.Background())
	return p.Ping(context.Background())
}

func (p coderPeer) close(code int, reason string) error {
	return p.Close(websocket.StatusCode(code), reason)
}

func (p coderPeer) closed(err error) (int, string) {
	var ce websocket.CloseError
	errors.As(err, &ce)
	return int(ce.Code), ce.Reason
}

func (p coderPeer) drop() { _ = p.CloseNow() }

type gorillaPeer struct{ *gorilla.Conn }

func gorillaKind(text bool) int {
	if text {
		return gorilla.TextMessage
	}
	return gorilla.BinaryMessage
}

func (p gorillaPeer) send(text bool, m string) error {
	return p.WriteMessage(gorillaKind(text), []byte(m))
}

func (p gorillaPeer) fragments(text bool, parts ...string) error {
	w, err := p.NextWriter(gorillaKind(text)) // a full buffer is a fragment
	for _, part := range parts {
		if err == nil {
			_, err = w.Write([]byte(part))
		}
	}
	return errors.Join(err, w.Close())
}

func (p gorillaPeer) receive() (bool, string, error) {
	kind, m, err := p.ReadMessage()
	return kind == gorilla.TextMessage, string(m), err
}

func (p gorillaPeer) ping() error {
	pong := ""
	p.SetPongHandler(func(m string) error {
		pong = m
		return errors.New("ponged")
	})
	err := p.WriteMessage(gorilla.PingMessage, []byte("are you there"))
	if err == nil {
		_, _, err = p.ReadMessage()
	}
	if pong == "are you there" {
		return nil
	}
	return errors.Join(errors.New("no pong"), err)
}

func (p gorillaPeer) close(code int, reason string) error {
	if err := p.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason)); err != nil {
		return err
	}
	_, _, err := p.ReadMessage()
	if got, _ := p.closed(err); got != code {
		return err
	}
	return nil
}

func (p gorillaPeer) closed(err error) (int, string) {
	var ce *gorilla.CloseError
	if !errors.As(err, &ce) {
		return 0, ""
	}
	return ce.Code, ce.Text
}

func (p gorillaPeer) drop() { _ = p.Conn.Close() }

// meet connects one of ours with one of theirs. Both offer compression where they can, which ours refuses.
func meet(t *testing.T, library string, weServe bool, cfg Config) (*Conn, peer) {
	t.Helper()
	cfg.Subprotocol = testProtocol
	if weServe {
		s := newServer(t, cfg)
		if library == "coder" {
			c, _, err := websocket.Dial(context.Background(), s.ws(), &websocket.DialOptions{
				Subprotocols: []string{testProtocol}, CompressionMode: websocket.CompressionContextTakeover,
			})
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadLimit(-1)
			return <-s.conns, coderPeer{c}
		}
		d := gorilla.Dialer{Subprotocols: []string{testProtocol}, EnableCompression: true, WriteBufferSize: 256}
		c, resp, err := d.Dial(s.ws(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if ext := resp.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
			t.Errorf("extensions %q", ext)
		}
		return <-s.conns, gorillaPeer{c}
	}
	peers := make(chan peer, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if library == "coder" {
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{testProtocol}, CompressionMode: websocket.CompressionContextTakeover})
			if err == nil {
				c.SetReadLimit(-1)
				peers <- coderPeer{c}
			}
			return
		}
		up := gorilla.Upgrader{Subprotocols: []string{testProtocol}, EnableCompression: true, WriteBufferSize: 256}
		if c, err := up.Upgrade(w, r, nil); err == nil {
			peers <- gorillaPeer{c}
		}
	}))
	t.Cleanup(s.Close)
	c, err := Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http"), DialConfig{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	return c, <-peers
}

// The same cases with two independent libraries, as their servers and as their clients.
func TestConformanceWithPeers(t *testing.T) {
	long := strings.Repeat("天下 all under heaven. ", 200)
	mine := func(code uint16, reason string) *CloseError { return &CloseError{Code: code, Reason: reason} }
	cases := []struct {
		name  string
		play  func(p peer, ours *Conn) error // nil: the peer must be told of code
		cause error                          // of ours
		code  int                            // that the peer sees; 0: it closed itself
	}{
		{"binary of every size", func(p peer, _ *Conn) error {
			for _, size := range []int{0, 1, 125, 126, 127, 4096, 65535, 65536, 300_000} {
				if err := echoed(p, false, strings.Repeat(string(rune(size%250)), size)[:size]); err != nil {
					return err
				}
			}
			return p.close(4123, "done")
		}, mine(4123, "done"), 0},
		{"texts", func(p peer, _ *Conn) error {
			for _, m := range []string{"", "a", "天下", long} {
				if err := echoed(p, true, m); err != nil {
					return err
				}
			}
			return p.close(1000, "")
		}, mine(1000, ""), 0},
		{"fragments", func(p peer, _ *Conn) error {
			for _, text := range []bool{false, true} {
				// Pieces of 7 and of 500 bytes cut characters.
				for _, piece := range []int{7, 500} {
					var parts []string
					for part := range bytes.SplitSeq([]byte(long), nil) {
						if n := len(parts) - 1; n >= 0 && len(parts[n])+len(part) <= piece {
							parts[n] += string(part)
						} else {
							parts = append(parts, string(part))
						}
					}
					if err := p.fragments(text, parts...); err != nil {
						return err
					}
					if gotText, m, err := p.receive(); err != nil || m != long || gotText != text {
						return errors.Join(errors.New("fragments came back wrong"), err)
					}
				}
			}
			return p.close(1001, "going away")
		}, mine(1001, "going away"), 0},
		{"ping", func(p peer, ours *Conn) error {
			if err := p.ping(); err != nil {
				return err
			}
			p.drop()
			return nil
		}, nil, 0},
		{"text that is no UTF-8", func(p peer, _ *Conn) error { return p.send(true, "a\xff") }, ErrInvalidText, 1007},
		{"too large", func(p peer, _ *Conn) error { return p.send(false, strings.Repeat("x", 201)) }, ErrTooLarge, 1009},
		{"we close", func(_ peer, ours *Conn) error { return ours.Close(4001, "kick") }, &CloseError{Code: 4001, Reason: "kick", Local: true}, 4001},
	}
	for _, library := range []string{"coder", "gorilla"} {
		for _, weServe := range []bool{true, false} {
			for _, tc := range cases {
				name := library + " as server/" + tc.name
				if weServe {
					name = library + " as client/" + tc.name
				}
				t.Run(name, func(t *testing.T) {
					noLeak(t)
					onDrain, drained := drainSignal()
					most := 300_000
					if tc.cause == ErrTooLarge {
						most = 200
					}
					ours, theirs := meet(t, library, weServe, Config{MaxMessage: most, MaxFragments: 3000, Text: true, OnDrain: onDrain, Pool: new(Pool)})
					done := make(chan error, 1)
					go func() { done <- echo(ours, drained) }()
					if err := tc.play(theirs, ours); err != nil {
						t.Error(err)
					}
					if tc.code != 0 {
						_, _, err := theirs.receive()
						if code, _ := theirs.closed(err); code != tc.code {
							t.Errorf("they saw %v, want %d", err, tc.code)
						}
					}
					if err := <-done; tc.cause != nil {
						checkCause(t, err, tc.cause)
					}
					theirs.drop()
					_ = ours.Close(1000, "")
				})
			}
		}
	}
}

func echoed(p peer, text bool, m string) error {
	if err := p.send(text, m); err != nil {
		return err
	}
	gotText, got, err := p.receive()
	if err == nil && (got != m || gotText != text) {
		err = errors.New("the echo is wrong")
	}
	return err
}
