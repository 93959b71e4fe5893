package network

import "github.com/gobwas/ws"

const (
	readSmall = 512  // read buffer of a connection with little in hand, bytes
	readWide  = 4096 // read buffer of a connection whose reads keep filling it, and the one that is lent, bytes
	quietRun  = 16   // reads in a row that used under a quarter of a kept buffer before it shrinks
)

// decoder turns the bytes of the peer into messages and control frames. It does no I/O: the owner reads into space, says
// filled, and takes everything from next.
type decoder struct {
	maxMessage   int
	maxFragments int
	loan         *Pool // lends buffers, so that a quiet connection has none; nil: the decoder keeps one of its own

	// buf[:msg] is the message assembled so far from fragments, buf[r:w] is not yet parsed; msg <= r <= w.
	buf       []byte
	msg, r, w int
	fragments int // of the message in assembly; 0: none is
	valid     int // buf[:valid] of a text in assembly is UTF-8

	quiet uint8 // reads in a row that used under a quarter of a kept buf
	wide  bool  // the last read filled the buffer

	prefixed bool // the framing is the length prefix of TCP, not WebSocket
	masked   bool // the peer must mask: we are the server
	texts    bool // text messages are allowed
	text     bool // the message in assembly is text
}

// newDecoder takes the bytes that arrived already.
func newDecoder(cfg *Config, client, prefixed bool, early []byte) decoder {
	d := decoder{
		maxMessage: cfg.MaxMessage, maxFragments: cfg.MaxFragments,
		prefixed: prefixed, masked: !client, texts: cfg.Text,
	}
	if len(early) > 0 {
		d.buf = make([]byte, max(readSmall, len(early)))
		d.w = copy(d.buf, early)
	}
	return d
}

// limit is the largest useful buffer: a whole message, the header of its last fragment, and a control frame behind it.
func (d *decoder) limit() int { return d.maxMessage + 2*HeaderRoom + maxControl }

// next returns the next whole message (as OpBinary or OpText) or control frame; ok is false when more bytes are needed. The payload is
// valid until the following call of next or space.
func (d *decoder) next() (op ws.OpCode, payload []byte, ok bool, err error) {
	if d.prefixed {
		payload, ok, err = d.nextPrefixed()
		return ws.OpBinary, payload, ok, err
	}
	return d.nextFrame()
}

// ready tells whether next would give a message, an end or an error, with what is here already.
func (d *decoder) ready() bool {
	in := d.buf[d.r:d.w]
	if d.prefixed {
		n, size, err := parsePrefix(in, d.maxMessage)
		return err != nil || size > 0 && len(in)-size >= n
	}
	for {
		h, size, ok := parseHeader(in)
		switch {
		case size == 0:
			return false
		case !ok:
			return true
		case h.length > len(in)-size:
			most := d.maxMessage
			if h.op.IsControl() {
				most = maxControl // however small messages are to be
			}
			return h.length > most
		case h.op == ws.OpClose, h.fin && !h.op.IsControl():
			return true
		}
		in = in[size+h.length:]
	}
}

// space returns where to read to, never empty. What next returned before is overwritten.
func (d *decoder) space() []byte {
	d.compact()
	size := len(d.buf)
	switch {
	case size == 0 && d.loan != nil:
		d.buf = d.loan.buffer(readWide)
		return d.buf
	case size == 0:
		size = readSmall
	case d.w == size:
		// Doubling as bytes arrive, not as the header promises: a header without a body costs the peer what it costs us.
		size = min(2*size, d.limit())
	case d.loan != nil:
	case d.wide && size < readWide:
		size = min(2*size, readWide)
	case d.quiet >= quietRun && size > readSmall && d.w <= readSmall/2:
		size, d.quiet = readSmall, 0
	}
	if size != len(d.buf) {
		d.resize(size)
	}
	return d.buf[d.w:]
}

// compact moves the unparsed bytes down behind the message in assembly.
func (d *decoder) compact() {
	if d.r > d.msg {
		d.w = d.msg + copy(d.buf[d.msg:], d.buf[d.r:d.w])
		d.r = d.msg
	}
}

// resize moves what is held into a buffer of size bytes.
func (d *decoder) resize(size int) {
	buf := d.loan.buffer(size)
	copy(buf, d.buf[:d.w])
	d.loan.putBuffer(d.buf)
	d.buf = buf
}

// idle says that the socket has nothing to read: a borrowed buffer goes back, and what is held moves to the smallest
// that takes it. It must come after space, or else it would move what next returned.
func (d *decoder) idle() {
	switch {
	case d.loan == nil:
	case d.w == 0:
		d.loan.putBuffer(d.buf)
		d.buf = nil
	case len(d.buf) > readSmall && d.w < readSmall:
		d.resize(readSmall)
	}
}

// filled says how many bytes were read into space.
func (d *decoder) filled(n int) {
	d.w += n
	d.wide = d.w == len(d.buf)
	if d.w > len(d.buf)/4 {
		d.quiet = 0
	} else if d.quiet < quietRun {
		d.quiet++
	}
}
