//go:build !race

package protocol

import (
	"bytes"
	"testing"
)

func TestFramesAllocateNothing(t *testing.T) {
	payload, b := make([]byte, 100), make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		b = AppendPush(b[:0], 64, payload)
		b = AppendFrame(b, Frame{Type: TypeResponse, Flags: FlagREL, Route: 300, ID: 1 << 31, Seq: 1 << 20, Payload: payload})
		b = AppendPing(b, 1)
		b = AppendState(b, payload)
		var start int
		b, start = Begin(b, Frame{Type: TypeState})
		b = End(append(b, payload...), start)
		for rest := b; len(rest) > 0; {
			var err error
			if _, rest, err = Next(rest); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per run, want 0", n)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	routes := testRoutes(t)
	f := Frame{Type: TypePush, Route: 64, Payload: make([]byte, 20)}
	text := Frame{Type: TypePush, Flags: FlagJSON, Route: 64, Payload: make([]byte, 200)}
	ack := Frame{Type: TypeAck, Seq: 1 << 30}
	if n := testing.AllocsPerRun(100, func() {
		routes.Check(f, Playing, ClientToServer)
		routes.Check(text, Playing, ClientToServer)
		routes.Check(ack, Authenticated, ClientToServer)
		routes.Lookup(64)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAMillionFramesOfNoLengthAllocateNothing(t *testing.T) {
	record := bytes.Repeat(AppendState(nil, nil), 1_000_000)
	n := testing.AllocsPerRun(1, func() {
		for rest := record; len(rest) > 0; {
			var err error
			if _, rest, err = Next(rest); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestJSONIsLookedThroughWithoutAllocations(t *testing.T) {
	text := []byte(`{"seq":7,"to":[1,2.5e3,{"a":"\u00e9"}],"b":null}`)
	if n := testing.AllocsPerRun(100, func() {
		if err := checkJSON(text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
