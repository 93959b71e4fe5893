package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/sock"
)

// stranger says something to a server that is none of ours, and stays.
func stranger(t *testing.T, network, addr string) {
	t.Helper()
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := nc.Write(bytes.Repeat([]byte("GET / "), 20)); err != nil {
		t.Error(err)
	}
}

// soon is what a function that must not hang returns.
func soon[T any](t *testing.T, what string, f func() T) T {
	t.Helper()
	got := make(chan T, 1)
	go func() { got <- f() }()
	select {
	case v := <-got:
		return v
	case <-time.After(10 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s hangs:\n%s", what, buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// slow is a registry whose changes take as long as the test wants.
type slow struct {
	registry.Registry
	asked chan struct{} // gets one for each change under way
	goOn  chan struct{} // closed when they may go on
	early bool          // registering is as slow as updating
}

type slowEntry struct {
	registry.Registration
	r *slow
}

func newSlow() *slow {
	return &slow{Registry: registry.NewMemory(), asked: make(chan struct{}, 9), goOn: make(chan struct{})}
}

func (r *slow) Register(ctx context.Context, i registry.Instance) (registry.Registration, error) {
	if r.early {
		r.asked <- struct{}{}
		select {
		case <-r.goOn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	e, err := r.Registry.Register(ctx, i)
	return slowEntry{e, r}, err
}

func (e slowEntry) Update(i registry.Instance) error {
	e.r.asked <- struct{}{}
	<-e.r.goOn
	return e.Registration.Update(i)
}

// listed waits until the registry shows as many instances.
func listed(t *testing.T, r registry.Registry, n int) {
	t.Helper()
	w, err := r.Watch(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for ctx := within(t, 10*time.Second); ; {
		all, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == n {
			return
		}
	}
}

func TestDrainingMeetsPeersThatAreBeingRefused(t *testing.T) {
	leakless(t)
	reg := newSlow()
	refused := make(chan uint64, 9)
	var s *serving
	s = serve(t, rpc.ServerConfig{Endpoints: []string{"tcp://127.0.0.1:0"}, Registry: reg, Transport: transport.Config{Refused: func(string, error) {
		n := s.Stats().Refused
		refused <- n
		<-reg.goOn
		s.Stats() // while the listener is being closed, which waits for us
	}}}, func(s *rpc.Server) { echo(s) })
	listed(t, reg, 1)
	addr := strings.TrimPrefix(s.Addrs()[0], "tcp://")
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(within(t, 10*time.Second)) }()
	<-reg.asked // it is told that the instance is draining
	stranger(t, "tcp", addr)
	if n := soon(t, "counting a refusal", func() uint64 { return <-refused }); n != 1 {
		t.Errorf("%d peers refused", n)
	}
	if st := soon(t, "Stats", s.Stats); !st.Draining || st.LastRefused == nil {
		t.Errorf("%+v", st)
	}
	close(reg.goOn)
	if err := soon(t, "Drain", func() error { return <-drained }); err != nil {
		t.Error(err)
	}
	listed(t, reg, 0)
}

// hook is called for each log line, by several goroutines at once.
type hook func()

func (hook) Enabled(context.Context, slog.Level) bool { return true }

func (h hook) Handle(context.Context, slog.Record) error {
	h()
	return nil
}

func (h hook) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h hook) WithGroup(string) slog.Handler      { return h }

func TestDrainingIsNotHeldUpByASilentPeer(t *testing.T) {
	leakless(t)
	path := socket(t)
	cfg := rpc.ServerConfig{Endpoints: []string{"uds://" + path}, Codec: rpc.JSON{}}
	cfg.Mux.HelloTimeout = 30 * time.Second
	s := serve(t, cfg, func(s *rpc.Server) { echo(s) })
	left := make(chan error, 9)
	c := dial(t, rpc.ClientConfig{Endpoint: "uds://" + path, Codec: rpc.JSON{}, OnDisconnect: func(_ *rpc.Peer, err error) { left <- err }})
	if err := c.Ready(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	silent, err := sock.DialUnix(within(t, 10*time.Second), path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := silent.Lanes()[0].Receive(); err != nil { // the server's hello
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	soon(t, "the goodbye to a client", func() error { return <-left })
	select {
	case err := <-drained:
		t.Fatalf("drained before everybody who was let in has shaken hands: %v", err)
	default:
	}
	cancel()
	if err := soon(t, "Drain", func() error { return <-drained }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	soon(t, "hanging up", func() (err error) {
		for l := silent.Lanes()[0]; err == nil; _, err = l.Receive() {
			l.Release()
		}
		return err
	})
}

func TestStoppingEndsAnAttemptToRegister(t *testing.T) {
	for name, stop := range map[string]func(s *rpc.Server, cancel func()) error{
		"Close":   func(s *rpc.Server, _ func()) error { return s.Close() },
		"Drain":   func(s *rpc.Server, _ func()) error { return s.Drain(context.Background()) },
		"context": func(_ *rpc.Server, cancel func()) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			leakless(t)
			reg := newSlow()
			reg.early = true
			s, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"uds://" + socket(t)}, Registry: reg})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx) }()
			<-reg.asked
			soon(t, "Stats", s.Stats)
			if err := soon(t, name, func() error { return stop(s, cancel) }); err != nil {
				t.Error(err)
			}
			if err := soon(t, "Serve", func() error { return <-served }); err != nil {
				t.Error(err)
			}
			listed(t, reg, 0)
		})
	}
}

func TestServicesThatFitNoHelloAreRefusedWhenRegistered(t *testing.T) {
	leakless(t)
	name := func(i int) string { return fmt.Sprintf("%03d", i) + strings.Repeat("x", 97) }
	refused := func(f func()) (why any) {
		defer func() { why = recover() }()
		f()
		return nil
	}
	path := "uds://" + socket(t)
	fits := 0
	s := serve(t, rpc.ServerConfig{Endpoints: []string{path}, Codec: rpc.JSON{}}, func(s *rpc.Server) {
		echo(s)
		for ; fits < 300; fits++ {
			if why := refused(func() { s.RegisterService(name(fits)) }); why != nil {
				if text := fmt.Sprint(why); !strings.Contains(text, name(fits)[:50]) || !strings.Contains(text, "split the server") {
					t.Error(text)
				}
				break
			}
		}
		if fits < 140 || fits == 300 {
			t.Fatalf("%d services of 100 bytes were taken", fits)
		}
		if refused(func() {
			rpc.Handle(s, name(fits)+".Do", func(context.Context, *say) (*heard, error) { return nil, nil })
		}) == nil {
			t.Error("a method of one more service was taken")
		}
		if got := len(s.Instance().Services); got != fits+1 {
			t.Errorf("%d services are told, want %d", got, fits+1)
		}
	})
	c := dial(t, rpc.ClientConfig{Endpoint: path, Codec: rpc.JSON{}})
	if err := c.Ready(within(t, 10*time.Second)); err != nil { // what was taken can be told
		t.Fatal(err)
	}
	if got := c.Peers()[0].Info().Hello.Services; len(got) != fits+1 {
		t.Errorf("%d services were told", len(got))
	}
	if refused(func() { s.RegisterService(name(fits)) }) == nil {
		t.Error("a service too many was taken by a server that runs")
	}
	if refused(func() {
		for i := range 300 {
			c.RegisterService(name(i))
		}
	}) == nil {
		t.Error("300 services were taken by a client")
	}
	if _, err := rpc.NewServer(rpc.ServerConfig{ID: strings.Repeat("i", 16<<10), Endpoints: []string{path}}); err == nil || !strings.Contains(err.Error(), "ID") {
		t.Error(err)
	}
	if _, err := rpc.NewClient(rpc.ClientConfig{ID: strings.Repeat("i", 16<<10), Endpoint: path}); err == nil || !strings.Contains(err.Error(), "ID") {
		t.Error(err)
	}
}
