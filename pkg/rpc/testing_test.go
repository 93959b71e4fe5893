package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// say and heard are the messages of most tests; they go as JSON.
type say struct{ Text string }
type heard struct{ Text string }

// leakless fails the test if goroutines are left behind. Call it first.
func leakless(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, func() error {
			if now := runtime.NumGoroutine(); now > before {
				buf := make([]byte, 1<<20)
				return fmt.Errorf("%d goroutines, %d before:\n%s", now, before, buf[:runtime.Stack(buf, true)])
			}
			return nil
		})
	})
}

// eventually waits until what others do in the background is done.
func eventually(t *testing.T, ok func() error) {
	t.Helper()
	late := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(err)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// socket is a path that is short enough for every system.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// serving is a server that runs until the test ends, or stop.
type serving struct {
	*rpc.Server
	stop func()
	done chan struct{}
	err  error
}

func serve(t *testing.T, cfg rpc.ServerConfig, register func(s *rpc.Server)) *serving {
	t.Helper()
	s, err := rpc.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if register != nil {
		register(s)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &serving{Server: s, done: make(chan struct{})}
	go func() {
		r.err = s.Serve(ctx)
		close(r.done)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-r.done
		if r.err != nil {
			t.Errorf("Serve: %v", r.err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func dial(t *testing.T, cfg rpc.ClientConfig) *rpc.Client {
	t.Helper()
	c, err := rpc.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func echo(r rpc.Registrar) {
	rpc.Handle(r, "test.Echo", func(_ context.Context, m *say) (*heard, error) { return &heard{m.Text}, nil })
}

// over runs a test over each transport that every system has.
func over(t *testing.T, f func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig)) {
	t.Run("inproc", func(t *testing.T) {
		leakless(t)
		n := inproc.NewNetwork()
		f(t, rpc.ServerConfig{Endpoints: []string{"inproc://s"}, InProc: n, Codec: rpc.JSON{}}, rpc.ClientConfig{Endpoint: "inproc://s", InProc: n, Codec: rpc.JSON{}})
	})
	t.Run("uds", func(t *testing.T) {
		leakless(t)
		path := "uds://" + socket(t)
		f(t, rpc.ServerConfig{Endpoints: []string{path}, Codec: rpc.JSON{}}, rpc.ClientConfig{Endpoint: path, Codec: rpc.JSON{}})
	})
}

// wants checks code and fate of an error.
func wants(t *testing.T, err error, code rpc.Code, fate status.Fate) *rpc.Error {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want an *rpc.Error with code %v", err, err, code)
	}
	if e.Code != code || e.Fate != fate {
		t.Fatalf("error is %v: code %v, fate %v; want %v, %v", err, e.Code, e.Fate, code, fate)
	}
	return e
}
