//go:build !race

package link

import (
	"testing"
)

func TestSendingAllocatesNothing(t *testing.T) {
	u := Up{Kind: FromClient, Conn: 1 << 40, Route: 70, Payload: make([]byte, 12)}
	d := Down{Kind: ToClient, Conn: 1 << 40, Type: 2, Route: 70, Payload: make([]byte, 12)}
	cfg := Config{}
	cfg.validate()
	dead := make(chan struct{})
	l := &remoteLink{bounds: cfg.Bounds, out: newSender(nil, 0, dead)}
	p := newPort(nil, nil, &cfg)
	l.out.waiting, p.out.waiting = make([]byte, 0, 1<<16), make([]byte, 0, 1<<16)
	for name, send := range map[string]func() error{"up": func() error { return l.Send(u) }, "down": func() error { p.sent++; return p.Send(d) }} {
		if n := testing.AllocsPerRun(1000, func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations to send %s, want 0", n, name)
		}
	}
	dst, k := make([]byte, 0, 1<<17), wire{}
	m := &outgoing{make([]byte, 10), make([]byte, 1<<16)}
	if n := testing.AllocsPerRun(100, func() {
		if n, err := k.Size(m); err != nil || n != 10+1<<16 {
			t.Fatal(n, err)
		}
		if _, err := k.MarshalAppend(dst, m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to marshal a message, want 0", n)
	}
}

// TestReceivingAllocatesOneBufferPerMessage counts what a message of many records costs at the receiver.
func TestReceivingAllocatesOneBufferPerMessage(t *testing.T) {
	b := receipt{}.append(nil)
	for range 100 {
		b = encodeUp(b, Up{Kind: FromClient, Conn: 1 << 40, Route: 70, Payload: make([]byte, 12)})
	}
	var a assembler
	var in incoming
	take := func(b []byte) error { _, err := parseUp(b); return err }
	if n := testing.AllocsPerRun(100, func() {
		if err := (wire{}).Unmarshal(b, &in); err != nil {
			t.Fatal(err)
		}
		c := cursor{b: in.b}
		c.receipt()
		if err := a.feed(c.b, take); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("%v allocations for a message of 100 records, want 1", n)
	}
}
