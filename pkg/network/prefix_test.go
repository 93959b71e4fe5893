package network

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func prefixed(payload string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(payload))), payload...)
}

// prefixTable is for a MaxMessage of 1000.
func prefixTable() []conformance {
	big := strings.Repeat("x", 1000)
	bad := func(name string, v Violation, input ...[]byte) conformance {
		return conformance{name: name, input: join(input...), cause: v}
	}
	cut := func(name string, want []string, input ...[]byte) conformance {
		return conformance{name: name, input: join(input...), want: want, cause: io.ErrUnexpectedEOF}
	}
	return []conformance{
		{name: "nothing", cause: ErrNoCode},
		{name: "one byte", input: prefixed("a"), want: []string{"a"}, cause: ErrNoCode},
		{name: "longest one-byte prefix", input: prefixed(big[:127]), want: []string{big[:127]}, cause: ErrNoCode},
		{name: "shortest two-byte prefix", input: prefixed(big[:128]), want: []string{big[:128]}, cause: ErrNoCode},
		{name: "at the limit", input: prefixed(big), want: []string{big}, cause: ErrNoCode},
		{name: "many", input: slices.Repeat(prefixed("abc"), 900), want: slices.Repeat([]string{"abc"}, 900), cause: ErrNoCode},
		cut("half a prefix", []string{"a"}, prefixed("a"), []byte{0x80}),
		cut("prefix without message", nil, []byte{5}),
		cut("half a message", nil, prefixed("hello")[:3]),
		bad("zero", ErrEmpty, []byte{0}),
		bad("zero in two bytes", ErrLengthForm, []byte{0x80, 0}),
		bad("padded", ErrLengthForm, []byte{0x85, 0}, []byte("hello")),
		bad("padded to five bytes", ErrLengthForm, []byte{0x85, 0x80, 0x80, 0x80, 0}, []byte("hello")),
		bad("above the limit", ErrTooLarge, prefixed(big+"x")),
		bad("above the limit, prefix alone", ErrTooLarge, []byte{0xe9, 0x07}),
		bad("32 bits", ErrTooLarge, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}),
		bad("33 bits", ErrLength, []byte{0xff, 0xff, 0xff, 0xff, 0x1f}),
		bad("six bytes", ErrLength, []byte{0x80, 0x80, 0x80, 0x80, 0x80}),
		bad("endless", ErrLength, slices.Repeat([]byte{0xff}, 100)),
	}
}

func TestPrefixConformance(t *testing.T) {
	noLeak(t)
	l := newListener(t, Config{MaxMessage: 1000, Pool: new(Pool)}, ListenConfig{})
	for _, tc := range prefixTable() {
		for _, chunk := range []int{max(1, len(tc.input)), 1} {
			t.Run(tc.name, func(t *testing.T) {
				nc, c := l.raw(t)
				done := make(chan error, 1)
				var got []string
				go func() {
					var err error
					got, err = collect(c)
					done <- err
				}()
				for part := range slices.Chunk(tc.input, chunk) {
					if _, err := nc.Write(part); err != nil {
						break // the server had enough
					}
				}
				if _, broken := tc.cause.(Violation); !broken {
					_ = nc.CloseWrite()
				}
				err := <-done
				checkCause(t, err, tc.cause)
				checkCause(t, c.Cause(), tc.cause)
				if !slices.Equal(got, tc.want) {
					t.Errorf("messages %q, want %q", got, tc.want)
				}
				if err := c.Close(4000, "late"); err != nil {
					t.Errorf("Close after the end: %v", err)
				}
				if rest, _ := io.ReadAll(nc); len(rest) > 0 {
					t.Errorf("the server wrote %q", rest)
				}
			})
		}
	}
}

// twinPrefix is the framing told as plainly as possible, with the standard library's varint.
func twinPrefix(in []byte, maxMessage int) (messages []string, end error) {
	for len(in) > 0 {
		v, n := binary.Uvarint(in[:min(len(in), 5)])
		switch {
		case n == 0 && len(in) < 5:
			return messages, io.ErrUnexpectedEOF
		case n == 0, v > 1<<32-1, n == 5 && in[4] > 15:
			return messages, ErrLength
		case v == 0 && n == 1:
			return messages, ErrEmpty
		case n != len(binary.AppendUvarint(nil, v)):
			return messages, ErrLengthForm
		case v > uint64(maxMessage):
			return messages, ErrTooLarge
		case uint64(len(in)-n) < v:
			return messages, io.ErrUnexpectedEOF
		}
		messages = append(messages, string(in[n:n+int(v)]))
		in = in[n+int(v):]
	}
	return messages, ErrNoCode
}

func FuzzPrefix(f *testing.F) {
	for _, tc := range prefixTable() {
		f.Add(tc.input, uint16(1), uint16(1000))
		f.Add(tc.input, uint16(700), uint16(100))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk, maxMessage uint16) {
		cfg := Config{MaxMessage: int(maxMessage)}
		if err := cfg.validate(); err != nil {
			t.Fatal(err)
		}
		early := min(len(in), int(chunk)/3)
		mem := &memConn{in: in[early:], chunk: int(chunk)}
		c := newConn(mem, &cfg, origin{prefixed: true, early: in[:early]})
		got, err := collect(c)
		want, end := twinPrefix(in, cfg.MaxMessage)
		if !slices.Equal(got, want) {
			t.Errorf("messages %q, want %q", got, want)
		}
		checkCause(t, err, end)
		_ = c.Close(1000, "")
		if size := len(c.in.buf); size > max(readWide, early, c.in.limit()) {
			t.Errorf("read buffer of %d bytes for messages of %d", size, maxMessage)
		}
		if mem.out.Len() > 0 {
			t.Errorf("wrote %q", mem.out.Bytes())
		}
		if errors.Is(end, ErrNoCode) {
			end = io.EOF
		}
		checkBorrowed(t, &cfg, true, in, int(chunk), want, end)
	})
}

func TestPrefixCannotCarryTextNorNothing(t *testing.T) {
	srv, client := pairOver(t, "tcp", Config{}, DialConfig{})
	for _, c := range []*Conn{srv, client} {
		if err := c.Send(message("")); err != ErrEmpty {
			t.Errorf("empty: %v", err)
		}
		if err := c.SendText(message("a")); err != ErrText {
			t.Errorf("text: %v", err)
		}
	}
}
