package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// memConn reads in from memory, chunk bytes at a time, and remembers what is written.
type memConn struct {
	net.Conn
	in    []byte
	chunk int
	out   bytes.Buffer
}

func (m *memConn) Read(b []byte) (int, error) {
	if len(m.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), max(1, m.chunk))], m.in)
	m.in = m.in[n:]
	return n, nil
}

func (m *memConn) Write(b []byte) (int, error)      { return m.out.Write(b) }
func (m *memConn) SetWriteDeadline(time.Time) error { return nil }
func (m *memConn) Close() error                     { return nil }

// twin is the decoder told as plainly as possible: all input at once, one frame after the other, by the book.
func twin(in []byte, maxMessage, maxFragments int, texts bool) (messages []string, end error) {
	var msg []byte
	fragments, text := 0, false
	for {
		if len(in) < 2 {
			return messages, io.EOF
		}
		fin, rsv, op, masked := in[0]&0x80 != 0, in[0]&0x70, in[0]&0x0f, in[1]&0x80 != 0
		length, size := uint64(in[1]&0x7f), 2
		ext := map[uint64]int{126: 2, 127: 8}[length]
		if masked {
			size += 4
		}
		size += ext
		if len(in) < size {
			return messages, io.EOF
		}
		minimal := true
		switch ext {
		case 2:
			length = uint64(binary.BigEndian.Uint16(in[2:]))
			minimal = length > 125
		case 8:
			length = binary.BigEndian.Uint64(in[2:])
			minimal = length > 65535
		}
		control := op >= 8
		switch {
		case length>>63 != 0:
			return messages, ErrLength
		case op > 2 && op < 8 || op > 10:
			return messages, ErrReservedOpcode
		case control && length > 125:
			return messages, ErrLongControl
		case control && !fin:
			return messages, ErrFragmentedControl
		case rsv != 0:
			return messages, ErrReservedBits
		case !masked:
			return messages, ErrUnmasked
		case fragments > 0 && !control && op != 0:
			return messages, ErrInterleaved
		case fragments == 0 && op == 0:
			return messages, ErrContinuation
		case !minimal:
			return messages, ErrLengthForm
		case op == 1 && !texts:
			return messages, ErrText
		case !control && uint64(len(msg))+length > uint64(maxMessage):
			return messages, ErrTooLarge
		case !control && !(fin && fragments == 0) && fragments+1 > maxFragments:
			return messages, ErrFragments
		case uint64(len(in)-size) < length:
			return messages, io.EOF
		}
		key, payload := in[size-4:size], slices.Clone(in[size:size+int(length)])
		in = in[size+int(length):]
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		switch {
		case op == 8:
			return messages, twinClose(payload)
		case control:
			continue
		}
		if fragments == 0 {
			text = op == 1
		}
		msg = append(msg, payload...)
		fragments++
		if text && !beginsText(msg, fin) {
			return messages, ErrInvalidText
		}
		if fin {
			messages = append(messages, string(msg))
			msg, fragments = nil, 0
		}
	}
}

// beginsText tells whether b is UTF-8, or becomes so by adding to it.
func beginsText(b []byte, whole bool) bool {
	if utf8.Valid(b) || whole {
		return utf8.Valid(b)
	}
	for cut := 1; cut <= min(3, len(b)); cut++ {
		if utf8.Valid(b[:len(b)-cut]) {
			return !utf8.FullRune(b[len(b)-cut:])
		}
	}
	return false
}

func twinClose(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: 1005}
	}
	if len(p) == 1 {
		return ErrClosePayload
	}
	code := binary.BigEndian.Uint16(p)
	allowed := []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
	if !slices.Contains(allowed, code) && (code < 3000 || code > 4999) {
		return ErrCloseCode
	}
	if !utf8.Valid(p[2:]) {
		return ErrCloseReason
	}
	return &CloseError{Code: code, Reason: string(p[2:])}
}

func FuzzNext(f *testing.F) {
	for _, tc := range append(conformanceTable(), textTable()...) {
		if len(tc.input) <= smallInput {
			f.Add(tc.input, uint16(1), uint16(1000), true)
			f.Add(tc.input, uint16(700), uint16(130), false)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk, maxMessage uint16, texts bool) {
		cfg := Config{MaxMessage: int(maxMessage), MaxFragments: 8, Text: texts}
		if err := cfg.validate(); err != nil {
			t.Fatal(err)
		}
		early := min(len(in), int(chunk)/3)
		mem := &memConn{in: in[early:], chunk: int(chunk)}
		c := newConn(mem, &cfg, origin{early: in[:early]})
		got, err := collect(c)
		want, end := twin(in, cfg.MaxMessage, cfg.MaxFragments, texts)
		if !slices.Equal(got, want) {
			t.Errorf("messages %q, want %q", got, want)
		}
		checkCause(t, err, end)
		if err := c.Close(1000, ""); err != nil {
			t.Errorf("Close: %v", err)
		}
		if size := len(c.in.buf); size > max(readWide, early, c.in.limit()) {
			t.Errorf("read buffer of %d bytes for messages of %d", size, maxMessage)
		}
		for _, f := range readFrames(&mem.out) {
			if f.op != ws.OpPong && f.op != ws.OpClose {
				t.Errorf("wrote %v %q", f.op, f.payload)
			}
		}
		checkBorrowed(t, &cfg, false, in, int(chunk), want, end)
	})
}

// checkBorrowed gives a decoder that borrows its buffers the same input, with a pause after each read, and looks whether Ready tells the truth.
func checkBorrowed(t *testing.T, cfg *Config, prefixed bool, in []byte, chunk int, want []string, end error) {
	t.Helper()
	pool := new(Pool)
	d := newDecoder(cfg, false, prefixed, nil)
	d.loan = pool
	var got []string
	for {
		ready := d.ready()
		op, payload, ok, err := d.next()
		for ok && op.IsControl() && op != ws.OpClose {
			op, payload, ok, err = d.next()
		}
		if ready && !ok && err == nil {
			t.Fatalf("ready, but after %d messages there is nothing", len(got))
		}
		if !ready && ok {
			t.Fatalf("not ready, but message %d is here", len(got))
		}
		switch {
		case err != nil:
			checkCause(t, err, end)
			fallthrough
		case op == ws.OpClose:
			if !slices.Equal(got, want) {
				t.Errorf("borrowing: messages %q, want %q", got, want)
			}
			return
		case ok:
			got = append(got, string(payload))
			continue
		}
		d.space()
		d.idle()
		if d.w == 0 && d.buf != nil || d.w > 0 && d.w < readSmall && len(d.buf) > readSmall {
			t.Fatalf("a pause with %d bytes in hand holds a buffer of %d", d.w, len(d.buf))
		}
		if len(in) == 0 {
			if !slices.Equal(got, want) || !errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF) {
				t.Errorf("borrowing: messages %q, want %q and then %v", got, want, end)
			}
			return
		}
		n := copy(d.space()[:min(len(d.space()), max(1, chunk))], in)
		in = in[n:]
		d.filled(n)
	}
}

// The header parser against the library's.
func FuzzHeader(f *testing.F) {
	for _, tc := range conformanceTable() {
		f.Add(tc.input[:min(len(tc.input), 16)])
	}
	f.Add([]byte("0\xff\xe80000000")) // the length has its highest bit set, and the mask is missing
	f.Fuzz(func(t *testing.T, in []byte) { checkHeader(t, in) })
}

func checkHeader(t *testing.T, in []byte) {
	t.Helper()
	h, size, ok := parseHeader(in)
	want, err := ws.ReadHeader(bytes.NewReader(in))
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if size != 0 {
			t.Errorf("%x: %d bytes of half a header", in, size)
		}
	case err != nil:
		if size == 0 || ok {
			t.Errorf("%x: %+v, want %v", in, h, err)
		}
	case h.fin != want.Fin || h.rsv != (want.Rsv != 0) || h.op != want.OpCode || h.masked != want.Masked || h.mask != want.Mask ||
		int64(h.length) != want.Length || h.padded != (size != ws.HeaderSize(want)):
		t.Errorf("%x: %+v, want %+v", in, h, want)
	}
}

// A large message grows the buffer as its bytes arrive, and quiet traffic shrinks it again.
func TestReadBufferGrowsAndShrinks(t *testing.T) {
	var cfg Config
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	d := newDecoder(&cfg, false, false, nil)
	feed := func(b []byte) (messages int) {
		for len(b) > 0 {
			n := copy(d.space(), b)
			b = b[n:]
			d.filled(n)
			for {
				_, _, ok, err := d.next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				messages++
			}
		}
		return messages
	}
	big := frame(0x82, string(make([]byte, 60_000)))
	feed(big[:8])
	if d.space(); len(d.buf) != readSmall {
		t.Errorf("%d bytes for a header alone", len(d.buf))
	}
	feed(big[8:readSmall])
	if d.space(); len(d.buf) != 2*readSmall {
		t.Errorf("%d bytes for the first %d of 60,000", len(d.buf), readSmall)
	}
	if feed(big[readSmall:]) != 1 || len(d.buf) < 60_000 || len(d.buf) > d.limit() {
		t.Errorf("%d bytes for a message of 60,000", len(d.buf))
	}
	for range quietRun + 1 {
		feed(frame(0x82, "hi"))
	}
	if d.space(); len(d.buf) != readSmall {
		t.Errorf("%d bytes after quiet traffic", len(d.buf))
	}
	feed(slices.Repeat(frame(0x82, "busy"), 2000))
	if d.space(); len(d.buf) != readWide {
		t.Errorf("%d bytes under busy traffic", len(d.buf))
	}
}
