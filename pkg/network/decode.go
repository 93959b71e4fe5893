package network

import (
	"bytes"
	"io"

	"github.com/gobwas/ws"
)

const (
	readSmall = 512  // read buffer of a quiet connection, bytes
	readWide  = 4096 // read buffer of a connection whose reads keep filling it, bytes; larger only for a large message
	quietRun  = 16   // reads in a row that used under a quarter of the buffer before it shrinks
)

// decoder turns the bytes of the peer into messages and control frames. It does no I/O: the owner reads into space, says
// filled, and takes everything from next.
type decoder struct {
	maxMessage   int
	maxFragments int
	side         ws.State // which end we are

	// buf[:msg] is the message assembled so far from fragments, buf[r:w] is not yet parsed; msg <= r <= w.
	buf       []byte
	msg, r, w int
	fragments int // of the message in assembly; 0: none is

	wide  bool // the last read filled the buffer
	quiet int  // reads in a row that used under a quarter of buf

	src bytes.Reader           // over the unparsed bytes, here because the library takes an io.Reader
	hdr [ws.MaxHeaderSize]byte // scratch of the library
}

// newDecoder takes the bytes that arrived with the upgrade.
func newDecoder(cfg *Config, side ws.State, early []byte) decoder {
	d := decoder{maxMessage: cfg.MaxMessage, maxFragments: cfg.MaxFragments, side: side}
	d.buf = make([]byte, max(readSmall, len(early)))
	d.w = copy(d.buf, early)
	return d
}

// limit is the largest useful buffer: a whole message, the header of its last fragment, and a control frame behind it.
func (d *decoder) limit() int { return d.maxMessage + 2*HeaderRoom + maxControl }

// next returns the next whole message (as OpBinary) or control frame; ok is false when more bytes are needed. The payload is valid until the
// following call of next or space.
func (d *decoder) next() (op ws.OpCode, payload []byte, ok bool, err error) {
	for d.r < d.w {
		h, size, err := d.header()
		if err != nil || size == 0 {
			return 0, nil, false, err
		}
		if int64(d.w-d.r-size) < h.Length {
			return 0, nil, false, nil
		}
		payload := d.buf[d.r+size : d.r+size+int(h.Length)]
		d.r += size + len(payload)
		if h.Masked {
			ws.Cipher(payload, h.Mask, 0)
		}
		if h.OpCode.IsControl() {
			return h.OpCode, payload, true, nil
		}
		if h.Fin && d.fragments == 0 {
			return ws.OpBinary, payload, true, nil
		}
		d.msg += copy(d.buf[d.msg:], payload)
		d.fragments++
		if h.Fin {
			payload = d.buf[:d.msg]
			d.msg, d.fragments = 0, 0
			return ws.OpBinary, payload, true, nil
		}
	}
	return 0, nil, false, nil
}

// header parses and judges the header at the head of the unparsed bytes; size 0 says that it is not all here.
func (d *decoder) header() (h ws.Header, size int, err error) {
	d.src.Reset(d.buf[d.r:d.w])
	h, err = ws.ReadHeaderBuffer(&d.src, d.hdr[:])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return h, 0, nil
	}
	if err != nil {
		return h, 0, ErrLength
	}
	size = d.w - d.r - d.src.Len()

	state := d.side
	if d.fragments > 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return h, 0, violationOf(err)
	}
	if size != ws.HeaderSize(h) {
		return h, 0, ErrLengthForm
	}
	if h.OpCode.IsControl() {
		return h, size, nil
	}
	if h.OpCode == ws.OpText {
		return h, 0, ErrText
	}
	if h.Length > int64(d.maxMessage-d.msg) {
		return h, 0, ErrTooLarge
	}
	if alone := h.Fin && d.fragments == 0; !alone && d.fragments >= d.maxFragments {
		return h, 0, ErrFragments
	}
	return h, size, nil
}

// violationOf translates the library's judgement of a header.
func violationOf(err error) Violation {
	switch err {
	case ws.ErrProtocolOpCodeReserved:
		return ErrReservedOpcode
	case ws.ErrProtocolControlPayloadOverflow:
		return ErrLongControl
	case ws.ErrProtocolControlNotFinal:
		return ErrFragmentedControl
	case ws.ErrProtocolMaskRequired:
		return ErrUnmasked
	case ws.ErrProtocolMaskUnexpected:
		return ErrMasked
	case ws.ErrProtocolContinuationExpected:
		return ErrInterleaved
	case ws.ErrProtocolContinuationUnexpected:
		return ErrContinuation
	}
	return ErrReservedBits
}

// space returns where to read to, never empty. What next returned before is overwritten.
func (d *decoder) space() []byte {
	if d.r > d.msg {
		d.w = d.msg + copy(d.buf[d.msg:], d.buf[d.r:d.w])
		d.r = d.msg
	}
	size := len(d.buf)
	switch {
	case d.w == size:
		// Doubling as bytes arrive, not as the header promises: a header without a body costs the peer what it costs us.
		size = min(2*size, d.limit())
	case d.wide && size < readWide:
		size = min(2*size, readWide)
	case d.quiet >= quietRun && size > readSmall && d.w <= readSmall/2:
		size, d.quiet = readSmall, 0
	}
	if size != len(d.buf) {
		buf := make([]byte, size)
		copy(buf, d.buf[:d.w])
		d.buf = buf
	}
	return d.buf[d.w:]
}

// filled says how many bytes were read into space.
func (d *decoder) filled(n int) {
	d.w += n
	d.wide = d.w == len(d.buf)
	if d.w > len(d.buf)/4 {
		d.quiet = 0
	} else {
		d.quiet++
	}
}
