package network

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// header is that of one WebSocket frame.
type header struct {
	length int // of the payload, bytes
	op     ws.OpCode
	mask   [4]byte
	fin    bool
	masked bool
	rsv    bool // any reserved bit is set
	padded bool // the length has more bytes than it needs
}

// parseHeader reads the header at the head of b; see putHeader for its layout. Size 0 says that it is not all here; ok is false when the highest bit of
// the length is set. A length that no int holds counts as the largest int, which is above every limit.
func parseHeader(b []byte) (h header, size int, ok bool) {
	if len(b) < 2 {
		return h, 0, true
	}
	h.fin, h.rsv, h.op = b[0]&0x80 != 0, b[0]&0x70 != 0, ws.OpCode(b[0]&0x0f)
	h.masked, h.length, size = b[1]&0x80 != 0, int(b[1]&0x7f), 2
	tooLong := false
	switch h.length {
	case 126:
		if size = 4; len(b) < size {
			return h, 0, true
		}
		h.length = int(binary.BigEndian.Uint16(b[2:]))
		h.padded = h.length < 126
	case 127:
		if size = 10; len(b) < size {
			return h, 0, true
		}
		long := binary.BigEndian.Uint64(b[2:])
		tooLong = long>>63 != 0
		h.length, h.padded = int(min(long, uint64(maxInt))), long < 1<<16
	}
	if h.masked {
		if size += 4; len(b) < size {
			return h, 0, true
		}
		copy(h.mask[:], b[size-4:])
	}
	return h, size, !tooLong
}

const maxInt = int(^uint(0) >> 1)

// nextFrame is next for WebSocket.
func (d *decoder) nextFrame() (op ws.OpCode, payload []byte, ok bool, err error) {
	for d.r < d.w {
		h, size, ok := parseHeader(d.buf[d.r:d.w])
		if size == 0 {
			return 0, nil, false, nil
		}
		if !ok {
			return 0, nil, false, ErrLength
		}
		if v := d.judge(h); v != 0 {
			return 0, nil, false, v
		}
		if d.w-d.r-size < h.length {
			return 0, nil, false, nil
		}
		payload := d.buf[d.r+size : d.r+size+h.length]
		d.r += size + h.length
		if h.masked {
			ws.Cipher(payload, h.mask, 0)
		}
		if h.op.IsControl() {
			return h.op, payload, true, nil
		}
		if op, payload, ok, err = d.assemble(h, payload); ok || err != nil {
			return op, payload, ok, err
		}
	}
	return 0, nil, false, nil
}

// judge looks for a violation in a header; 0 is none.
func (d *decoder) judge(h header) Violation {
	control := h.op.IsControl()
	switch {
	case h.op.IsReserved():
		return ErrReservedOpcode
	case control && h.length > maxControl:
		return ErrLongControl
	case control && !h.fin:
		return ErrFragmentedControl
	case h.rsv:
		return ErrReservedBits
	case h.masked != d.masked && d.masked:
		return ErrUnmasked
	case h.masked != d.masked:
		return ErrMasked
	case d.fragments > 0 && !control && h.op != ws.OpContinuation:
		return ErrInterleaved
	case d.fragments == 0 && h.op == ws.OpContinuation:
		return ErrContinuation
	case h.padded:
		return ErrLengthForm
	case control:
		return 0
	case h.op == ws.OpText && !d.texts:
		return ErrText
	case h.length > d.maxMessage-d.msg:
		return ErrTooLarge
	}
	if alone := h.fin && d.fragments == 0; !alone && d.fragments >= d.maxFragments {
		return ErrFragments
	}
	return 0
}

// assemble adds a fragment to the message in assembly; ok says that it is whole. An unfragmented message stays where it is.
func (d *decoder) assemble(h header, payload []byte) (op ws.OpCode, whole []byte, ok bool, err error) {
	if d.fragments == 0 {
		d.text = h.op == ws.OpText
		if h.fin {
			if d.text && !utf8.Valid(payload) {
				return 0, nil, false, ErrInvalidText
			}
			return h.op, payload, true, nil
		}
	}
	d.msg += copy(d.buf[d.msg:], payload)
	d.fragments++
	if d.text && !d.stillText(h.fin) {
		return 0, nil, false, ErrInvalidText
	}
	if !h.fin {
		return 0, nil, false, nil
	}
	whole, op = d.buf[:d.msg], ws.OpBinary
	if d.text {
		op = ws.OpText
	}
	d.msg, d.fragments, d.valid = 0, 0, 0
	return op, whole, true, nil
}

// stillText validates what came since the last fragment; a fragment may end inside of a character, a message may not. Each byte is looked
// at once, but for the few of such a character.
func (d *decoder) stillText(fin bool) bool {
	fresh := d.buf[d.valid:d.msg]
	whole := len(fresh)
	if !fin {
		// The last character starts in one of the last three bytes if it is cut.
		for back := 1; back <= min(utf8.UTFMax-1, len(fresh)); back++ {
			if at := len(fresh) - back; utf8.RuneStart(fresh[at]) {
				if !utf8.FullRune(fresh[at:]) {
					whole = at
				}
				break
			}
		}
	}
	d.valid += whole
	return utf8.Valid(fresh[:whole])
}
