//go:build !race

package network

import (
	"errors"
	"io"
	"slices"
	"testing"
)

func TestEchoAllocatesNothing(t *testing.T) {
	overEach(t, echoAllocates)
}

func echoAllocates(t *testing.T, scheme string) {
	srv, client := pairOver(t, scheme, Config{Pool: new(Pool)}, DialConfig{})
	buf, echo := make([]byte, HeaderRoom+64), make([]byte, HeaderRoom+64)
	if allocs := testing.AllocsPerRun(500, func() {
		if err := client.Send(buf); err != nil {
			t.Fatal(err)
		}
		m, err := srv.Next()
		if err != nil {
			t.Fatal(err)
		}
		copy(echo[HeaderRoom:], m)
		if err := srv.Send(echo); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Next(); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations per echo", allocs)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	var cfg Config
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	round := join(frame(0x82, "hello"), frame(0x02, "frag"), frame(0x80, "ment"), frame(0x8a, "pong"))
	mem := &memConn{in: slices.Repeat(round, 3000), chunk: 100}
	c := newConn(mem, &cfg, origin{})
	if allocs := testing.AllocsPerRun(5000, func() {
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations per message", allocs)
	}
	if _, err := collect(c); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_ = c.Close(0, "")
}
