//go:build !race

package mux

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestCallAllocatesNothing(t *testing.T) {
	c, _ := pair(t, methods{"echo": {Name: "echo", Inline: true, New: func() any { return shared }, Unary: func(_ context.Context, req any) (any, error) { return req, nil }}}, nil, 1, 33<<10)
	req, resp, i, ctx := make([]byte, 64), make([]byte, 64), info(), context.Background()
	i.Timeout = time.Minute
	run := func() {
		if err := c.Call(ctx, "echo", &req, &resp, i); err != nil {
			t.Error(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(1000, run); n > 1 { // the handler's context
		t.Errorf("%v allocations per call on both ends, want at most the handler's context", n)
	}
}

var shared = new([]byte)

func TestStreamMessagesAllocateNothing(t *testing.T) {
	var got atomic.Int64
	seen := make(chan struct{}, 1)
	c, _ := pair(t, methods{"sink": streaming("sink", func(_ context.Context, s *Stream) error {
		var b []byte
		for s.Recv(&b) == nil {
			got.Add(1)
			seen <- struct{}{}
		}
		return nil
	})}, nil, 1, 33<<10)
	x, err := c.Open(context.Background(), "sink", info())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 200)
	if n := testing.AllocsPerRun(2000, func() {
		if err := x.Send(&b); err != nil {
			t.Error(err)
		}
		<-seen
	}); n > 0 {
		t.Errorf("%v allocations per message", n)
	}
}
