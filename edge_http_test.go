package tianxia

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
)

// pipes is a listener of pipes that are there already.
type pipes struct{ closed chan struct{} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case <-p.closed:
		return nil, net.ErrClosed
	default:
	}
	c, _ := net.Pipe()
	return c, nil
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return nil }

func TestConnectionsBeyondTheBoundWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &boundedListener{Listener: &pipes{make(chan struct{})}, slots: make(chan struct{}, 2), closed: make(chan struct{})}
		accepted, ended := 0, make(chan error, 1)
		go func() {
			for {
				if _, err := l.Accept(); err != nil {
					ended <- err
					return
				}
				accepted++
			}
		}()
		for want := 2; want < 5; want++ {
			synctest.Wait()
			if accepted != want {
				t.Fatalf("%d connections were accepted, want %d", accepted, want)
			}
			<-l.slots // one has gone
		}
		synctest.Wait()
		_ = l.Close() // while Accept waits
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestListenerOfClientsIsBoundedAndLetsGoOfWhatItHandsOver(t *testing.T) {
	keys, err := devKeys()
	if err != nil {
		t.Fatal(err)
	}
	e, err := openEdge(gateway.Config{MaxConnections: 3, Connect: func(context.Context) (link.Link, error) { return nil, errors.New("none") }}, keys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := e.http(slog.New(slog.DiscardHandler))
	if cap(s.slots) != 3+256 || s.IdleTimeout != 30*time.Second || s.MaxHeaderBytes != 16<<10 || s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 {
		t.Errorf("%d slots, %+v", cap(s.slots), &s.Server)
	}
	handed := make(chan net.Conn, 1)
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hand-over" {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			handed <- c
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(ln) }()
	dial := func(request string) *bufio.Reader {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		go func() { _, _ = fmt.Fprint(c, request) }() // a refusal may come before all of it is sent
		return bufio.NewReader(c)
	}
	status := func(r *bufio.Reader) string { line, _ := r.ReadString('\n'); return line }
	if got := status(dial("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n")); !strings.Contains(got, "431") {
		t.Errorf("a header of 40 KiB is answered with %q", got)
	}
	dial("GET /hand-over HTTP/1.1\r\nHost: x\r\n\r\n")
	c := <-handed
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("what is handed over is a %T, want TCP itself: it is tuned as such", c)
	}
	if got := status(dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); !strings.Contains(got, "200") {
		t.Errorf("answered with %q", got)
	}
	_ = s.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("served until %v", err)
	}
	_ = c.Close()
	for deadline := time.After(10 * time.Second); len(s.slots) > 0; { // each connection's goroutine gives its own back
		select {
		case s.slots <- struct{}{}:
			<-s.slots
		case <-deadline:
			t.Fatalf("%d slots are still taken", len(s.slots))
		}
	}
}
