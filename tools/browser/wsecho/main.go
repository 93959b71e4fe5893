// Command wsecho is a WebSocket server for other people's clients: pkg/network as a server has it, with the defaults where the
// tests of web/ need no other, on a free port of the loopback interface. It answers every message with the same message, but
// "close CODE REASON" by closing so. It prints a line of JSON when it listens and one for each connection that ended:
//
//	{"url":"ws://127.0.0.1:40123/"}
//	{"path":"/7","cause":"network: closed by peer: 1000 \"bye\""}
//
// It ends when its standard input does.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/network"
)

// Limits that the tests reach; web/test/ws.test.ts knows them.
const (
	maxMessage   = 1 << 20 // bytes
	maxFragments = 64
	maxControls  = 100
	subprotocol  = "mmo.v1"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wsecho:", err)
		os.Exit(1)
	}
}

// run serves until in ends.
func run(in io.Reader, out io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	e := &echo{out: json.NewEncoder(out)}
	s := &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	e.print(map[string]any{"url": "ws://" + ln.Addr().String() + "/"})
	_, err = io.Copy(io.Discard, in)
	if e := s.Close(); err == nil {
		err = e
	}
	if e := <-done; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	e.closeAll()
	return err
}

// echo owns the connections; they are hijacked, so the HTTP server does not close them.
type echo struct {
	all sync.WaitGroup

	mu    sync.Mutex
	out   *json.Encoder
	conns map[*network.Conn]bool
}

func (e *echo) print(line map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.out.Encode(line) // whoever read it is gone: so will this program be
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	drained := make(chan struct{}, 1)
	c, err := network.Upgrade(w, r, network.Config{
		MaxMessage: maxMessage, MaxFragments: maxFragments, MaxControls: maxControls, Subprotocol: subprotocol,
		OnDrain: func(*network.Conn) {
			select {
			case drained <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return // the client has its answer
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns == nil {
		e.conns = map[*network.Conn]bool{}
	}
	e.conns[c] = true
	e.all.Go(func() {
		err := serve(c, drained)
		_ = c.Close(1000, "")
		e.mu.Lock()
		delete(e.conns, c)
		e.mu.Unlock()
		e.print(map[string]any{"path": r.URL.Path, "cause": err.Error()})
	})
}

// closeAll ends what is left and waits for it.
func (e *echo) closeAll() {
	e.mu.Lock()
	for c := range e.conns {
		go func() { _ = c.Close(1001, "the test is over") }()
	}
	e.mu.Unlock()
	e.all.Wait()
}

// serve answers until the connection ends, and returns why.
func serve(c *network.Conn, drained <-chan struct{}) error {
	for {
		m, err := c.Next()
		if err != nil {
			return err
		}
		var code uint16
		if n, _ := fmt.Sscanf(string(m[:min(len(m), 16)]), "close %d", &code); n == 1 {
			_, reason, _ := strings.Cut(string(m[len("close "):]), " ")
			if err := c.Close(code, reason); err != nil {
				return err
			}
			return c.Cause()
		}
		out := append(make([]byte, network.HeaderRoom, network.HeaderRoom+len(m)), m...)
		for {
			err := c.Send(out)
			if err == nil {
				break
			}
			if !errors.Is(err, network.ErrBusy) {
				return err
			}
			<-drained
		}
	}
}
