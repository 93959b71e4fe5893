package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

type conformance struct {
	name  string
	input []byte
	want  []string // messages delivered
	cause error    // a Violation, or what the peer's close frame said
	code  uint16   // in the close frame sent, 0: none
}

func conformanceTable() []conformance {
	bye := closing(1000, "bye")
	peer := &CloseError{Code: 1000, Reason: "bye"}
	big := strings.Repeat("x", 1000)
	bad := func(name string, v Violation, input ...[]byte) conformance {
		return conformance{name: name, input: join(input...), cause: v, code: v.Code()}
	}
	good := func(name string, want []string, input ...[]byte) conformance {
		return conformance{name: name, input: join(append(input, bye)...), want: want, cause: peer, code: 1000}
	}
	table := []conformance{
		good("nothing", nil),
		good("empty message", []string{""}, frame(0x82, "")),
		good("16-bit length", []string{big[:126]}, frame(0x82, big[:126])),
		good("message at the limit", []string{big}, frame(0x82, big)),
		good("many in one segment", slices.Repeat([]string{"abc"}, 500), slices.Repeat(frame(0x82, "abc"), 500)),
		good("fragments", []string{"abcdef", "g"}, frame(0x02, "ab"), frame(0x00, "cd"), frame(0x80, "ef"), frame(0x82, "g")),
		good("fragments at the limit", []string{big}, frame(0x02, big[:999]), frame(0x00, ""), frame(0x80, "x")),
		good("pong unasked", []string{"a"}, frame(0x8a, "hello"), frame(0x82, "a")),
		{name: "ping between fragments", input: join(frame(0x02, "ab"), frame(0x89, "now"), frame(0x80, "cd"), bye),
			want: []string{"abcd"}, cause: peer, code: 1000},
		{name: "close without code", input: frame(0x88, ""), cause: &CloseError{Code: CodeNoStatus}, code: CodeNoStatus},
		{name: "close with a private code", input: closing(4001, ""), cause: &CloseError{Code: 4001}, code: 4001},
		{name: "end without close", input: frame(0x82, "a"), want: []string{"a"}, cause: io.EOF},
		{name: "header without body", input: frame(0x82, big)[:4], cause: io.EOF},
		{name: "half a header", input: frame(0x82, big)[:3], cause: io.EOF},

		bad("text", ErrText, frame(0x81, "hi")),
		bad("too large", ErrTooLarge, frame(0x82, big+"x")),
		bad("too large, header alone", ErrTooLarge, []byte{0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4}),
		bad("too large in fragments", ErrTooLarge, frame(0x02, big[:600]), frame(0x80, big[:401])),
		bad("unmasked", ErrUnmasked, frameWith(0x82, false, "hi")),
		bad("unmasked ping", ErrUnmasked, frameWith(0x89, false, "")),
		bad("RSV1 (permessage-deflate)", ErrReservedBits, frame(0xc2, "hi")),
		bad("RSV2", ErrReservedBits, frame(0xa2, "hi")),
		bad("RSV3", ErrReservedBits, frame(0x92, "hi")),
		bad("RSV1 on ping", ErrReservedBits, frame(0xc9, "hi")),
		bad("opcode 3", ErrReservedOpcode, frame(0x83, "hi")),
		bad("opcode 7", ErrReservedOpcode, frame(0x87, "hi")),
		bad("opcode 11", ErrReservedOpcode, frame(0x8b, "hi")),
		bad("opcode 15", ErrReservedOpcode, frame(0x8f, "hi")),
		bad("fragmented ping", ErrFragmentedControl, frame(0x09, "hi")),
		bad("fragmented close", ErrFragmentedControl, frame(0x08, "")),
		bad("long ping", ErrLongControl, frame(0x89, big[:126])),
		bad("highest bit of the length", ErrLength, []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}),
		bad("63-bit length", ErrTooLarge, []byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}),
		bad("length 5 in 16 bits", ErrLengthForm, []byte{0x82, 0xfe, 0, 5, 1, 2, 3, 4}),
		bad("length 500 in 64 bits", ErrLengthForm, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 0xf4, 1, 2, 3, 4}),
		bad("ping length in 16 bits", ErrLengthForm, []byte{0x89, 0xfe, 0, 5, 1, 2, 3, 4}),
		bad("continuation without start", ErrContinuation, frame(0x80, "hi")),
		{name: "continuation after the end", input: join(frame(0x02, "a"), frame(0x80, "b"), frame(0x80, "")),
			want: []string{"ab"}, cause: ErrContinuation, code: 1002},
		bad("interleaved", ErrInterleaved, frame(0x02, "a"), frame(0x82, "b")),
		bad("interleaved text", ErrInterleaved, frame(0x02, "a"), frame(0x81, "b")),
		bad("million empty fragments", ErrFragments, frame(0x02, ""), slices.Repeat(frame(0x00, ""), 1_000_000)),
		bad("close with one byte", ErrClosePayload, frame(0x88, "x")),
		bad("close reason not UTF-8", ErrCloseReason, closing(1000, "\xff\xfe")),
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		table = append(table, bad(fmt.Sprint("close code ", code), ErrCloseCode, closing(code, "")))
	}
	return table
}

// smallInput bounds what is sent byte by byte, or in one go with the request before anyone reads.
const smallInput = 4 << 10

func TestConformance(t *testing.T) {
	noLeak(t)
	s := newServer(t, Config{MaxMessage: 1000, MaxFragments: 64, Pool: new(Pool)})
	for _, tc := range conformanceTable() {
		for _, mode := range []string{"whole", "with the upgrade", "drip"} {
			if mode != "whole" && len(tc.input) > smallInput {
				continue
			}
			t.Run(tc.name+"/"+mode, func(t *testing.T) { tc.run(t, s, mode) })
		}
	}
}

func (tc conformance) run(t *testing.T, s *server, mode string) {
	var early []byte
	if mode == "with the upgrade" {
		early = tc.input
	}
	nc, br, c := rawClient(t, s, early)
	type result struct {
		messages []string
		err      error
	}
	done := make(chan result, 1)
	go func() {
		messages, err := collect(c)
		done <- result{messages, err}
	}()
	chunk := max(1, len(tc.input))
	if mode == "drip" {
		chunk = 1
	}
	if early == nil {
		for part := range slices.Chunk(tc.input, chunk) {
			if _, err := nc.Write(part); err != nil {
				break // the server had enough
			}
		}
	}
	if tc.cause == io.EOF {
		_ = nc.(interface{ CloseWrite() error }).CloseWrite()
	}
	frames := readFrames(br)
	got := <-done
	if !slices.Equal(got.messages, tc.want) {
		t.Errorf("messages %q, want %q", got.messages, tc.want)
	}
	checkCause(t, got.err, tc.cause)
	checkCause(t, c.Cause(), tc.cause)
	if _, err := c.Next(); !errors.Is(err, c.Cause()) {
		t.Errorf("Next after the end: %v", err)
	}
	if err := c.Send(message("late")); !errors.Is(err, c.Cause()) {
		t.Errorf("Send after the end: %v", err)
	}
	if err := c.Close(4000, "late"); err != nil {
		t.Errorf("Close after the end: %v", err)
	}
	checkClose(t, frames, tc.code)
}

func checkCause(t *testing.T, got, want error) {
	t.Helper()
	var closed *CloseError
	if errors.As(want, &closed) {
		var ce *CloseError
		if !errors.As(got, &ce) || *ce != *closed {
			t.Errorf("cause %v, want %v", got, want)
		}
		return
	}
	if !errors.Is(got, want) {
		t.Errorf("cause %v, want %v", got, want)
	}
}

// checkClose wants the last frame to be a close frame with code; 0 wants none.
func checkClose(t *testing.T, frames []received, code uint16) {
	t.Helper()
	var last received
	if len(frames) > 0 {
		last = frames[len(frames)-1]
	}
	switch {
	case code == 0:
		if last.op == ws.OpClose {
			t.Errorf("unwanted close frame %q", last.payload)
		}
	case last.op != ws.OpClose:
		t.Errorf("no close frame but %q", frames)
	case code == CodeNoStatus:
		if last.payload != "" {
			t.Errorf("close payload %q, want none", last.payload)
		}
	case len(last.payload) < 2 || binary.BigEndian.Uint16([]byte(last.payload)) != code:
		t.Errorf("close payload %q, want code %d", last.payload, code)
	}
}

func TestClientRefusesMaskedFrames(t *testing.T) {
	srv, client := pair(t, Config{}, DialConfig{})
	if _, err := srv.nc.Write(frame(0x82, "masked")); err != nil {
		t.Fatal(err)
	}
	_, err := client.Next()
	checkCause(t, err, ErrMasked)
	_, err = srv.Next()
	checkCause(t, err, &CloseError{Code: 1002, Reason: "masked frame from server"})
}

func TestCloseCodeIsTheOwnersChoice(t *testing.T) {
	s := newServer(t, Config{CloseCode: func(v Violation) (uint16, string) {
		if v != ErrText {
			t.Errorf("violation %v", v)
		}
		return 4501, "text_message"
	}})
	nc, br, c := rawClient(t, s, nil)
	if _, err := nc.Write(frame(0x81, "hi")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Next()
	checkCause(t, err, ErrText)
	if got := readFrames(br); len(got) != 1 || got[0].payload != "\x11\x95text_message" {
		t.Errorf("frames %q", got)
	}
	_ = c.Close(0, "")
}

// Pings that come in one read get one answer, to the latest.
func TestPingFloodIsBounded(t *testing.T) {
	s := newServer(t, Config{MaxControls: 20_000})
	flood := slices.Repeat(frame(0x89, "old"), 10_000)
	nc, br, c := rawClient(t, s, nil)
	done := make(chan error, 1)
	go func() {
		_, err := collect(c)
		done <- err
	}()
	if _, err := nc.Write(join(flood, frame(0x89, "last"))); err != nil {
		t.Fatal(err)
	}
	pongs := 0
	for {
		f, err := readFrame(br)
		if err != nil || f.op != ws.OpPong {
			t.Fatalf("frame %v, %v", f, err)
		}
		pongs++
		if f.payload == "last" {
			break
		}
	}
	// A read brings at least 40 pings of 9 bytes, but for short ones at the borders of segments.
	if pongs > 1000 {
		t.Errorf("%d pongs for 10,001 pings", pongs)
	}
	_ = c.Close(1000, "")
	checkCause(t, <-done, &CloseError{Code: 1000, Local: true})
}

func TestEndlessControlFramesEndTheConnection(t *testing.T) {
	for name, op := range map[string]byte{"pings": 0x89, "pongs": 0x8A} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{MaxControls: 50})
			nc, _, c := rawClient(t, s, nil)
			for _, part := range [][]byte{slices.Repeat(frame(op, "x"), 50), frame(0x82, "message"), slices.Repeat(frame(op, "x"), 51)} {
				if _, err := nc.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if m, err := c.Next(); string(m) != "message" {
				t.Fatalf("%q, %v", m, err)
			}
			if _, err := c.Next(); !errors.Is(err, ErrControls) {
				t.Errorf("after one control frame too many: %v", err)
			}
			_ = c.Close(0, "")
		})
	}
}

func TestReadDeadlineEndsNothing(t *testing.T) {
	srv, client := pair(t, Config{}, DialConfig{})
	if err := srv.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Next: %v", err)
	}
	if srv.Cause() != nil {
		t.Fatalf("cause %v", srv.Cause())
	}
	if err := srv.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Send(message("still here")); err != nil {
		t.Fatal(err)
	}
	if m, err := srv.Next(); string(m) != "still here" {
		t.Fatalf("Next: %q, %v", m, err)
	}
	if err := srv.Close(4002, "idle_timeout"); err != nil {
		t.Fatal(err)
	}
	_, err := client.Next()
	checkCause(t, err, &CloseError{Code: 4002, Reason: "idle_timeout"})
}
