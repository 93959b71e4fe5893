package delta

import (
	"encoding/binary"
	"errors"
)

// ErrTruncated reports a bit stream that ends before the value that was read from it.
var ErrTruncated = errors.New("delta: bit stream ends early")

// Writer appends values of up to 56 bits, low bit first, to a growing buffer.
// The zero value is ready. One goroutine at a time.
type Writer struct {
	buf []byte
	pos int    // whole bytes written
	acc uint64 // bits not yet in whole bytes
	n   uint   // number of bits in acc, < 8
}

// Reset starts a new stream in the same buffer; bytes returned before are overwritten.
func (w *Writer) Reset() { w.pos, w.acc, w.n = 0, 0, 0 }

// Put appends the low k bits of v; k ≤ 56 and v < 1<<k.
func (w *Writer) Put(v uint64, k uint) {
	if w.pos+8 > len(w.buf) {
		w.buf = append(w.buf, make([]byte, 64+len(w.buf))...)
	}
	w.acc |= v << (w.n & 7)
	binary.LittleEndian.PutUint64(w.buf[w.pos:], w.acc)
	w.n += k
	w.pos += int(w.n >> 3)
	w.acc >>= w.n &^ 7 & 63
	w.n &= 7
}

// Bits is the number of bits written since Reset.
func (w *Writer) Bits() int { return w.pos*8 + int(w.n) }

// Append appends the first n bits of b, low bit first; bits of its last byte beyond n are 0.
func (w *Writer) Append(b []byte, n int) {
	for ; n > 32; n -= 32 {
		w.Put(uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16|uint64(b[3])<<24, 32)
		b = b[4:]
	}
	var v uint64
	for i := (n - 1) >> 3; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	w.Put(v, uint(n))
}

// Bytes returns the stream, its last byte zero-padded; valid until the next Put or Reset.
func (w *Writer) Bytes() []byte {
	if w.n > 0 {
		return w.buf[:w.pos+1]
	}
	return w.buf[:w.pos]
}

// Reader reads what Writer wrote. Reading beyond the end yields zeros and sets Err; it never panics.
type Reader struct {
	buf  []byte
	pos  uint // next bit
	fail bool
}

// NewReader reads b, which it does not copy or change.
func NewReader(b []byte) Reader { return Reader{buf: b} }

// Get reads k ≤ 56 bits.
func (r *Reader) Get(k uint) uint64 {
	if r.pos+k > uint(len(r.buf))*8 {
		r.fail = true
		r.pos = uint(len(r.buf)) * 8
		return 0
	}
	i := r.pos >> 3
	var v uint64
	if i+8 <= uint(len(r.buf)) {
		v = binary.LittleEndian.Uint64(r.buf[i:])
	} else {
		for j := uint(len(r.buf)); j > i; j-- {
			v = v<<8 | uint64(r.buf[j-1])
		}
	}
	v >>= r.pos & 7
	r.pos += k
	return v & (1<<k - 1)
}

// Bit reads one bit.
func (r *Reader) Bit() bool {
	i := r.pos >> 3
	if i >= uint(len(r.buf)) {
		r.fail = true
		return false
	}
	b := r.buf[i] >> (r.pos & 7) & 1
	r.pos++
	return b != 0
}

// Err is ErrTruncated once a read went beyond the end.
func (r *Reader) Err() error {
	if r.fail {
		return ErrTruncated
	}
	return nil
}

// Fail makes Err report ErrTruncated, or whatever else is wrong with the bits: they cannot be what a Writer wrote.
func (r *Reader) Fail() { r.fail, r.pos = true, uint(len(r.buf))*8 }

// Failed tells whether Err is not nil.
func (r *Reader) Failed() bool { return r.fail }

// Pos is the number of bits read.
func (r *Reader) Pos() int { return int(r.pos) }

// Left is the number of unread bits, padding included.
func (r *Reader) Left() int { return len(r.buf)*8 - int(r.pos) }
