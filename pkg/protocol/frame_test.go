package protocol

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

// randomFrame fills only the fields that its type carries, so that it equals its decoded self.
func randomFrame(r *rand.Rand) Frame {
	f := Frame{Type: FrameType(r.IntN(7))}
	fields := fieldsOf(f.Type)
	if fields&mayREL != 0 && r.IntN(2) == 0 {
		f.Flags = FlagREL
	}
	if fields&mayJSON != 0 && r.IntN(2) == 0 {
		f.Flags |= FlagJSON
	}
	if fields&hasRoute != 0 {
		f.Route = uint16(r.Uint32() >> r.IntN(32))
	}
	if fields&hasID != 0 {
		f.ID = r.Uint32() >> r.IntN(32)
	}
	if fields&hasSeq != 0 || f.Flags&FlagREL != 0 {
		f.Seq = r.Uint32() >> r.IntN(32)
	}
	if fields&hasPayload != 0 {
		sizes := []int{0, 1, 127, 128, 300, 16383, 16384, 20000}
		f.Payload = make([]byte, sizes[r.IntN(len(sizes))])
		for i := range f.Payload {
			f.Payload[i] = byte(r.Uint32())
		}
	}
	return f
}

func TestFramesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := 0; round < 300; round++ {
		var want []Frame
		var b []byte
		for range 1 + r.IntN(6) {
			f := randomFrame(r)
			want = append(want, f)
			before := len(b)
			if b = AppendFrame(b, f); len(b)-before != FrameSize(f) {
				t.Fatalf("FrameSize(%v) = %d, appended %d", f.Type, FrameSize(f), len(b)-before)
			}
		}
		for _, w := range want {
			f, rest, err := Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(f, w) {
				t.Fatalf("decoded %v route %d id %d seq %d, %d bytes; want %v route %d id %d seq %d, %d bytes",
					f.Type, f.Route, f.ID, f.Seq, len(f.Payload), w.Type, w.Route, w.ID, w.Seq, len(w.Payload))
			}
			b = rest
		}
		if len(b) != 0 {
			t.Fatalf("%d bytes left", len(b))
		}
	}
}

func TestBeginEndEqualsAppendFrame(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 70000, 1<<21 - 1, 1 << 21} {
		payload := bytes.Repeat([]byte{0xA5}, size)
		f := Frame{Type: TypePush, Flags: FlagREL, Route: 300, Seq: 9, Payload: payload}
		want := AppendFrame([]byte("before"), f)
		got, start := Begin([]byte("before"), f)
		got = End(append(got, payload...), start)
		if !bytes.Equal(got, want) {
			t.Errorf("payload of %d bytes: Begin and End differ from AppendFrame", size)
		}
		got, start = Begin([]byte("before"), f)
		if got = Cancel(append(got, payload...), start, f); string(got) != "before" {
			t.Errorf("payload of %d bytes: Cancel left %d bytes", size, len(got))
		}
	}
}

func TestNextRefusesMalformedFrames(t *testing.T) {
	tests := []struct {
		name   string
		bytes  []byte
		offset int
		want   error
	}{
		{"empty", nil, 0, ErrTruncated},
		{"reserved type", []byte{7, 0, 0}, 0, ErrReserved},
		{"compressed", []byte{0x10, 64, 0}, 0, ErrReserved},
		{"json ack", []byte{0x24, 1}, 0, ErrReserved},
		{"json state", []byte{0x26, 0}, 0, ErrReserved},
		{"compressed json", []byte{0x30, 64, 0}, 0, ErrReserved},
		{"trace", []byte{0x40, 64, 0}, 0, ErrReserved},
		{"high bit", []byte{0x80, 64, 0}, 0, ErrReserved},
		{"reliable request", []byte{0x09, 64, 1, 1, 0}, 0, ErrReserved},
		{"reliable ack", []byte{0x0C, 1}, 0, ErrReserved},
		{"reliable control", []byte{0x0D, 1, 1, 0}, 0, ErrReserved},
		{"reliable state", []byte{0x0E, 1, 0}, 0, ErrReserved},
		{"no route", []byte{0}, 1, ErrTruncated},
		{"half a route", []byte{0, 0x80}, 1, ErrTruncated},
		{"route above 65535", []byte{0, 0x80, 0x80, 0x04, 0}, 1, ErrVarint},
		{"route of 6 bytes", []byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0}, 1, ErrVarint},
		{"route of 11 bytes", append([]byte{0}, bytes.Repeat([]byte{0xFF}, 11)...), 1, ErrVarint},
		{"id above 32 bits", []byte{1, 64, 0xFF, 0xFF, 0xFF, 0xFF, 0x10, 0}, 2, ErrVarint},
		{"no seq", []byte{0x08, 64}, 2, ErrTruncated},
		{"no length", []byte{0, 64}, 2, ErrTruncated},
		{"length beyond the rest", []byte{0, 64, 3, 1, 2}, 3, ErrTruncated},
		{"length of 4 GiB", []byte{6, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 6, ErrTruncated},
		{"length above 32 bits", []byte{6, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F}, 1, ErrVarint},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := Next(test.bytes)
			var fault *FrameError
			if !errors.Is(err, test.want) || !errors.As(err, &fault) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if fault.Offset != test.offset {
				t.Errorf("%v: offset %d, want %d", err, fault.Offset, test.offset)
			}
		})
	}
}

func TestNextAcceptsPaddedVarint(t *testing.T) {
	f, rest, err := Next([]byte{0, 0xC0, 0x80, 0x80, 0x80, 0x00, 0x81, 0x00, 7})
	if err != nil || f.Route != 64 || len(rest) != 0 || !bytes.Equal(f.Payload, []byte{7}) {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestTruncationAtEveryLengthIsRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		f := randomFrame(r)
		if len(f.Payload) > 300 {
			continue
		}
		b := AppendFrame(nil, f)
		for n := range b {
			if _, _, err := Next(b[:n:n]); !errors.Is(err, ErrTruncated) {
				t.Fatalf("%v cut to %d of %d bytes: %v", f.Type, n, len(b), err)
			}
		}
	}
}

func TestPayloadCannotGrowIntoTheNextFrame(t *testing.T) {
	b := AppendPush(AppendPush(nil, 64, []byte("one")), 64, []byte("two"))
	f, rest, err := Next(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(f.Payload, "overwrite"...)
	if f, _, err = Next(rest); err != nil || string(f.Payload) != "two" {
		t.Fatalf("second frame is %q, %v", f.Payload, err)
	}
}

func TestAppendFrameRefusesReservedBits(t *testing.T) {
	for _, f := range []Frame{
		{Type: 7}, {Type: 8}, {Type: TypePush, Flags: FlagCMP}, {Type: TypePush, Flags: 1}, {Type: TypePush, Flags: 0x80},
		{Type: TypeState, Flags: FlagREL}, {Type: TypeRequest, Flags: FlagREL}, {Type: TypeAck, Flags: FlagJSON}, {Type: TypeState, Flags: FlagJSON},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("frame %v with flags %#x was encoded", f.Type, uint8(f.Flags))
				}
			}()
			AppendFrame(nil, f)
		}()
	}
}

func TestControlPayloads(t *testing.T) {
	b := AppendEcho(AppendPong(AppendPing(nil, 1<<63+7), 1<<62+5, 99), 65535)
	ping, b, err := Next(b)
	if v, perr := ParsePing(ping.Payload); err != nil || perr != nil || ping.Route != RoutePing || v != 1<<63+7 {
		t.Fatal(v, err, perr)
	}
	pong, b, err := Next(b)
	if c, s, perr := ParsePong(pong.Payload); err != nil || perr != nil || pong.Route != RoutePong || c != 1<<62+5 || s != 99 {
		t.Fatal(c, s, err, perr)
	}
	echo, b, err := Next(b)
	if n, perr := ParseEcho(echo.Payload); err != nil || perr != nil || echo.Route != RouteEcho || n != 65535 || len(b) != 0 {
		t.Fatal(n, err, perr)
	}
	for n := range 20 {
		p := make([]byte, n)
		if _, err := ParsePing(p); (err == nil) != (n == PingSize) || (err != nil && !errors.Is(err, ErrSize)) {
			t.Errorf("ping of %d bytes: %v", n, err)
		}
		if _, _, err := ParsePong(p); (err == nil) != (n == PongSize) {
			t.Errorf("pong of %d bytes: %v", n, err)
		}
		if _, err := ParseEcho(p); (err == nil) != (n == EchoSize) {
			t.Errorf("echo of %d bytes: %v", n, err)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendPing(nil, 12345))
	f.Add(AppendState(AppendRequest(nil, 300, 70000, []byte("payload")), make([]byte, 200)))
	f.Add(AppendFrame(nil, Frame{Type: TypePush, Flags: FlagREL, Route: 64, Seq: 1 << 30, Payload: []byte{1}}))
	f.Add(AppendFrame(nil, Frame{Type: TypeAck, Seq: 77}))
	f.Add(AppendFrame(nil, Frame{Type: TypeError, Flags: FlagREL | FlagJSON, Route: 64, ID: 3, Seq: 9, Payload: []byte(`{"code":5}`)}))
	f.Add([]byte{0, 0xC0, 0x80, 0x80, 0x80, 0x00, 0x81, 0x00, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			frame, rest, err := Next(b)
			if err != nil {
				var fault *FrameError
				if !errors.As(err, &fault) || fault.Offset > len(b) || frame.Payload != nil || rest != nil {
					t.Fatalf("failure is %+v, %d bytes left, %v", frame, len(rest), err)
				}
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			again, left, err := Next(AppendFrame(nil, frame))
			if err != nil || len(left) != 0 || !sameFrame(frame, again) {
				t.Fatalf("%+v encodes to %+v, %v", frame, again, err)
			}
			b = rest
		}
	})
}

func sameFrame(a, b Frame) bool {
	return a.Type == b.Type && a.Flags == b.Flags && a.Route == b.Route && a.ID == b.ID && a.Seq == b.Seq && bytes.Equal(a.Payload, b.Payload)
}
