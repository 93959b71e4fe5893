package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func streaming(name string, f func(ctx context.Context, s *Stream) error) *Method {
	return &Method{Name: name, Stream: f}
}

func TestStreamsBothWaysKeepOrderAndContent(t *testing.T) {
	back := streaming("back", func(_ context.Context, s *Stream) error {
		var b []byte
		for {
			if err := s.Recv(&b); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.Send(&b); err != nil {
				return err
			}
		}
	})
	c, s := pair(t, methods{"back": back}, func(cfg *Config) { cfg.Window = 4 << 10 }, 3, 33<<10)
	n := 300
	if testing.Short() {
		n = 100
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			end := []*Conn{c, s}[g%2]
			i := info()
			i.Bulk = g%3 == 0
			x, err := end.Open(context.Background(), "back", i)
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				for i := range n {
					b := numbered(g*1000+i, []int{8, 100, 5000, 70_000}[min(i%40, 3)])
					if err := x.Send(&b); err != nil {
						t.Errorf("stream %d, send %d: %v", g, i, err)
						return
					}
				}
				_ = x.CloseSend()
			}()
			var b []byte
			for i := range n {
				if err := x.Recv(&b); err != nil || !bytes.Equal(b, numbered(g*1000+i, []int{8, 100, 5000, 70_000}[min(i%40, 3)])) {
					t.Errorf("stream %d, message %d: %d bytes, %v", g, i, len(b), err)
					return
				}
			}
			if err := x.Recv(&b); err != io.EOF {
				t.Errorf("stream %d ended with %v", g, err)
			}
		})
	}
	wg.Wait()
	// Whoever reads the end of a stream may do so before either connection has forgotten it.
	for late := time.Now().Add(longest); c.streams.len()+s.streams.len() != 0; runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("%d streams left", c.streams.len()+s.streams.len())
		}
	}
}

func TestSenderWaitsForCredit(t *testing.T) {
	read := make(chan struct{})
	h := methods{"slow": streaming("slow", func(_ context.Context, s *Stream) error {
		var b []byte
		for range read {
			if err := s.Recv(&b); err != nil {
				return err
			}
		}
		return nil
	})}
	c, _ := pair(t, h, func(cfg *Config) { cfg.Window = 1000 }, 1, 33<<10)
	x, err := c.Open(context.Background(), "slow", info())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 84) // 100 with what a message costs
	n := 0
	for ; ; n++ {
		if err := x.TrySend(&b); errors.Is(err, ErrWouldBlock) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 10 {
		t.Errorf("%d messages of 100 bytes fit a window of 1000", n)
	}
	sent := make(chan error)
	go func() { sent <- x.Send(&b) }()
	for range 3 { // a quarter of the window is read
		read <- struct{}{}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	close(read)
	if err := x.Recv(&b); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
	if err := x.Send(&b); err != io.EOF {
		t.Errorf("sending after a good end: %v", err)
	}
}

func TestStreamsEndInEveryWay(t *testing.T) {
	ended := make(chan error, 1)
	h := methods{
		"fails": streaming("fails", func(_ context.Context, s *Stream) error {
			b := []byte("last words")
			_ = s.Send(&b)
			return status.New(status.Aborted, "enough")
		}),
		"panics": streaming("panics", func(context.Context, *Stream) error { panic("on purpose") }),
		"hangs": streaming("hangs", func(ctx context.Context, s *Stream) error {
			b := []byte("here")
			_ = s.Send(&b)
			err := s.Recv(&b)
			<-ctx.Done()
			ended <- err
			return nil
		}),
		"gives up": streaming("gives up", func(_ context.Context, s *Stream) error {
			s.Cancel(status.New(status.DataLoss, "given up"))
			return nil
		}),
		"echo": echo(false),
	}
	c, s := pair(t, h, nil, 1, 33<<10)
	open := func(ctx context.Context, method string) *Stream {
		x, err := c.Open(ctx, method, info())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var b []byte
	x := open(context.Background(), "fails")
	if err := x.Recv(&b); err != nil || string(b) != "last words" {
		t.Errorf("what was sent before the error: %q, %v", b, err)
	}
	if err := x.Recv(&b); status.CodeOf(err) != status.Aborted || !strings.Contains(err.Error(), "enough") {
		t.Errorf("handler's error: %v", err)
	}
	if err := open(context.Background(), "panics").Recv(&b); status.CodeOf(err) != status.Internal {
		t.Errorf("handler's panic: %v", err)
	}
	if err := open(context.Background(), "missing").Recv(&b); status.CodeOf(err) != status.Unimplemented || status.Of(err).Fate != status.NotSent {
		t.Errorf("no such method: %v", err)
	}
	if err := open(context.Background(), "echo").Recv(&b); status.CodeOf(err) != status.Unimplemented {
		t.Errorf("not a stream: %v", err)
	}
	if err := open(context.Background(), "gives up").Recv(&b); status.CodeOf(err) != status.DataLoss {
		t.Errorf("handler cancels: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x = open(ctx, "hangs")
	_ = x.Recv(&b)
	cancel()
	if err := x.Recv(&b); !errors.Is(err, context.Canceled) {
		t.Errorf("opener's context: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's Recv: %v", err)
	}
	x = open(context.Background(), "hangs")
	_ = x.Recv(&b)
	s.Fail(errors.New("on purpose"))
	if err := x.Recv(&b); status.CodeOf(err) != status.Unavailable {
		t.Errorf("connection over: %v", err)
	}
	<-ended
}
