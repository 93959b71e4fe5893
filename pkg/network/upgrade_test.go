package network

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUpgradeRefusals(t *testing.T) {
	s := newServer(t, Config{Subprotocol: testProtocol, Origins: []string{"https://play.example"}})
	base := map[string]string{
		"": "GET /ws HTTP/1.1", "Host": "game.test", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": testProtocol,
	}
	for _, tc := range []struct {
		name, key, value string
		status           int
		reason           string
	}{
		{"as it should be", "", "", 101, ""},
		{"protocol in a list", "Sec-WebSocket-Protocol", "other, mmo.v1", 101, ""},
		{"own origin", "Origin", "https://game.test", 101, ""},
		{"own origin in capitals", "Origin", "http://GAME.test", 101, ""},
		{"listed origin", "Origin", "https://play.example", 101, ""},
		{"foreign origin", "Origin", "https://evil.example", 403, "origin"},
		{"origin with own name in front", "Origin", "https://game.test.evil.example", 403, "origin"},
		{"other port", "Origin", "https://game.test:8443", 403, "origin"},
		{"origin null", "Origin", "null", 403, "origin"},
		{"two origins", "Origin", "https://game.test\r\nOrigin: https://game.test", 403, "origin"},
		{"POST", "", "POST /ws HTTP/1.1", 405, "GET"},
		{"HTTP/1.0", "", "GET /ws HTTP/1.0", 505, "HTTP/1.1"},
		{"no upgrade", "Upgrade", "-", 426, "WebSocket endpoint"},
		{"upgrade to h2c", "Upgrade", "h2c", 426, "WebSocket endpoint"},
		{"connection close", "Connection", "close", 426, "WebSocket endpoint"},
		{"no version", "Sec-WebSocket-Version", "-", 426, "must be 13"},
		{"version 8", "Sec-WebSocket-Version", "8", 426, "must be 13"},
		{"two versions", "Sec-WebSocket-Version", "13\r\nSec-WebSocket-Version: 13", 426, "must be 13"},
		{"no key", "Sec-WebSocket-Key", "-", 400, "16 bytes"},
		{"short key", "Sec-WebSocket-Key", "c2hvcnQ=", 400, "16 bytes"},
		{"key not base64", "Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==", 400, "16 bytes"},
		{"two keys", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400, "16 bytes"},
		{"no protocol", "Sec-WebSocket-Protocol", "-", 400, "mmo.v1"},
		{"other protocol", "Sec-WebSocket-Protocol", "MMO.v1", 400, "mmo.v1"},
		{"malformed protocols", "Sec-WebSocket-Protocol", "@@ \"x, mmo.v1", 400, ""},
		{"body", "Content-Length", "3", 400, "no body"},
		{"chunked body", "Transfer-Encoding", "chunked", 400, "no body"},
		{"header too long", "X-Padding", strings.Repeat("x", http.DefaultMaxHeaderBytes+8192), 431, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			headers := map[string]string{}
			for k, v := range base {
				headers[k] = v
			}
			if tc.value != "" {
				headers[tc.key] = tc.value
			}
			req := headers[""] + "\r\n"
			for k, v := range headers {
				if k != "" && v != "-" {
					req += k + ": " + v + "\r\n"
				}
			}
			nc, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			go func() { _, _ = nc.Write([]byte(req + "\r\n")) }()
			resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 200)
			n := 0
			if resp.StatusCode != 101 {
				n, _ = resp.Body.Read(body)
			} else {
				c := <-s.conns
				_ = c.Close(1000, "")
				if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != testProtocol {
					t.Errorf("protocol %q", got)
				}
			}
			if resp.StatusCode != tc.status || !strings.Contains(string(body[:n]), tc.reason) {
				t.Errorf("%d %q, want %d %q", resp.StatusCode, body[:n], tc.status, tc.reason)
			}
		})
	}
}

func TestUpgradeReportsRefusal(t *testing.T) {
	rec := httptest.NewRecorder()
	_, err := Upgrade(rec, httptest.NewRequest("GET", "/ws", nil), Config{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Status != 426 || rec.Code != 426 || rec.Header().Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("%v, answer %d %v", err, rec.Code, rec.Header())
	}
	rec = httptest.NewRecorder()
	if _, err := Upgrade(rec, httptest.NewRequest("GET", "/ws", nil), Config{MaxMessage: -1}); err == nil || rec.Code != 500 {
		t.Errorf("%v, answer %d", err, rec.Code)
	}
}

func TestCheckOriginReplacesTheRule(t *testing.T) {
	s := newServer(t, Config{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "app://unity" }})
	var cfg DialConfig
	if _, err := Dial(context.Background(), s.ws(), cfg); err == nil {
		t.Error("no origin was accepted")
	}
	cfg.Header = http.Header{"Origin": {"app://unity"}}
	c, err := Dial(context.Background(), s.ws(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close(1000, "")
	_ = (<-s.conns).Close(1000, "")
}

func TestDialErrors(t *testing.T) {
	s := newServer(t, Config{Subprotocol: testProtocol})
	var refused *RefusedError
	if _, err := Dial(context.Background(), s.ws(), DialConfig{}); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("without subprotocol: %v", err)
	}
	// A server that knows no subprotocol chooses none.
	plain := newServer(t, Config{})
	asking := DialConfig{Config: Config{Subprotocol: testProtocol}}
	if _, err := Dial(context.Background(), plain.ws(), asking); !errors.As(err, &refused) || refused.Status != 101 {
		t.Errorf("subprotocol not chosen: %v", err)
	}
	_ = (<-plain.conns).Close(0, "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, s.ws(), DialConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Dial(context.Background(), "http://127.0.0.1", DialConfig{}); err == nil {
		t.Error("http URL was dialled")
	}
}
