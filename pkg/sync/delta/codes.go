package delta

import (
	"math/bits"
	"unicode/utf8"
)

// This file holds the codes that every field is made of. "`10` + 8" reads: the bits 1, 0, then 8 bits, low bit first. Each write has its read
// beside it; a read of bits that no write makes fails the Reader.
//
//	age, count  = `0`: 0 | `10` + 5, 4 | `110` + 10, 11 | `111` + 32, 20
//	velocity    = `0` + 5: old + n − 16 | `10` + 8: n − 128 | `110` + 16: two's complement | `111` + 32
//	residual    = `0`: 0 | `10` + 3: n + 1 | `110` + 6 | `1110` + 11 | `1111` + 32                          zigzag
//	angle       = `0` + k−4: old + n − 2^(k−5) | `1` + k; plain k bits if k ≤ 4                              k bits to the turn
//	ranged      = n bits if n ≤ 8, else `0` + 4 | `10` + 8 | `11` + n; the short ones the zigzag of new − old   n bits
//	num32       = `0` + 4 | `10` + 8 | `110` + 16 | `111` + 32                                               zigzag of new − old
//	num64       = `0` + 4 | `10` + 8 | `110` + 16 | `1110` + 32 | `1111` + 64                                zigzag of new − old
//	entity      = `0`: nobody | `10` + 16 | `110` + 32 | `111` + 64
//	text        = count · 8 bits per byte

func zigzag(v int32) uint64     { return uint64(uint32(v<<1) ^ uint32(v>>31)) }
func unzigzag(u uint64) int32   { return int32(uint32(u)>>1) ^ -int32(u&1) }
func zigzag64(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag64(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// Put64 appends 64 bits.
func (w *Writer) Put64(v uint64) {
	w.Put(v&(1<<32-1), 32)
	w.Put(v>>32, 32)
}

// Get64 reads 64 bits.
func (r *Reader) Get64() uint64 {
	lo := r.Get(32)
	return lo | r.Get(32)<<32
}

// Age appends an age in ticks.
func (w *Writer) Age(age uint32) {
	switch {
	case age == 0:
		w.Put(0, 1)
	case age < 1<<5:
		w.Put(1|uint64(age)<<2, 7)
	case age < 1<<10:
		w.Put(3|uint64(age)<<3, 13)
	default:
		w.Put(7|uint64(age)<<3, 35)
	}
}

// Age reads an age in ticks.
func (r *Reader) Age() uint32 {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return uint32(r.Get(5))
	case !r.Bit():
		return uint32(r.Get(10))
	}
	return uint32(r.Get(32))
}

// MaxCount is the greatest number that Count can write.
const MaxCount = 1<<20 - 1

// Count appends a number of things, at most MaxCount.
func (w *Writer) Count(n int) {
	switch {
	case n == 0:
		w.Put(0, 1)
	case n < 1<<4:
		w.Put(1|uint64(n)<<2, 6)
	case n < 1<<11:
		w.Put(3|uint64(n)<<3, 14)
	default:
		w.Put(7|uint64(n)<<3, 23)
	}
}

// Count reads a number of things. The caller compares it with its own limit before it allocates.
func (r *Reader) Count() int {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return int(r.Get(4))
	case !r.Bit():
		return int(r.Get(11))
	}
	return int(r.Get(20))
}

// Velocity appends one axis of a velocity.
func (w *Writer) Velocity(v, old int32) {
	switch d := v - old; {
	case d >= -16 && d < 16:
		w.Put(uint64(d+16)<<1, 6)
	case v >= -128 && v < 128:
		w.Put(1|uint64(v+128)<<2, 10)
	case v >= -1<<15 && v < 1<<15:
		w.Put(3|uint64(uint16(v))<<3, 19)
	default:
		w.Put(7|uint64(uint32(v))<<3, 35)
	}
}

// Velocity reads one axis of a velocity.
func (r *Reader) Velocity(old int32) int32 {
	switch {
	case !r.Bit():
		return old + int32(r.Get(5)) - 16
	case !r.Bit():
		return int32(r.Get(8)) - 128
	case !r.Bit():
		return int32(int16(r.Get(16)))
	}
	return int32(r.Get(32))
}

// Residual appends how far a position is from its prediction.
func (w *Writer) Residual(v int32) {
	switch u := zigzag(v); {
	case u == 0:
		w.Put(0, 1)
	case u <= 8:
		w.Put(1|(u-1)<<2, 5)
	case u < 1<<6:
		w.Put(3|u<<3, 9)
	case u < 1<<11:
		w.Put(7|u<<4, 15)
	default:
		w.Put(15|u<<4, 36)
	}
}

// Residual reads how far a position is from its prediction.
func (r *Reader) Residual() int32 {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return unzigzag(r.Get(3) + 1)
	case !r.Bit():
		return unzigzag(r.Get(6))
	case !r.Bit():
		return unzigzag(r.Get(11))
	}
	return unzigzag(r.Get(32))
}

// Angle appends an angle of k bits to the turn that differs from old.
func (w *Writer) Angle(v, old uint32, k uint) {
	if k <= 4 {
		w.Put(uint64(v), k)
		return
	}
	half := uint32(1) << (k - 5)
	if n := (v - old + half) & (1<<k - 1); n < 2*half {
		w.Put(uint64(n)<<1, k-3)
	} else {
		w.Put(1|uint64(v)<<1, k+1)
	}
}

// Angle reads an angle of k bits to the turn.
func (r *Reader) Angle(old uint32, k uint) uint32 {
	if k <= 4 || r.Bit() {
		return uint32(r.Get(k))
	}
	return (old + uint32(r.Get(k-4)) - 1<<(k-5)) & (1<<k - 1)
}

// Ranged appends a value of n bits that differs from old; both count from the range's least value.
func (w *Writer) Ranged(v, old uint64, n uint) {
	if n <= 8 {
		w.Put(v, n)
		return
	}
	switch u := zigzag64(int64(v - old)); {
	case u < 1<<4:
		w.Put(u<<1, 5)
	case u < 1<<8:
		w.Put(1|u<<2, 10)
	default:
		w.Put(3|v<<2, n+2)
	}
}

// Ranged reads what Ranged wrote; a value above span, the range's width, fails the Reader.
func (r *Reader) Ranged(old uint64, n uint, span uint64) uint64 {
	var v uint64
	switch {
	case n <= 8:
		v = r.Get(n)
	case !r.Bit():
		v = old + uint64(unzigzag64(r.Get(4)))
	case !r.Bit():
		v = old + uint64(unzigzag64(r.Get(8)))
	default:
		v = r.Get(n)
	}
	if v > span {
		r.Fail()
		return 0
	}
	return v
}

// RangedFull reads a whole value of n bits; one above span fails the Reader.
func (r *Reader) RangedFull(n uint, span uint64) uint64 {
	v := r.Get(n)
	if v > span {
		r.Fail()
		return 0
	}
	return v
}

// Num32 appends any 32-bit number, short if it is near old.
func (w *Writer) Num32(v, old uint32) {
	switch u := zigzag(int32(v - old)); {
	case u < 1<<4:
		w.Put(u<<1, 5)
	case u < 1<<8:
		w.Put(1|u<<2, 10)
	case u < 1<<16:
		w.Put(3|u<<3, 19)
	default:
		w.Put(7|u<<3, 35)
	}
}

// Num32 reads any 32-bit number.
func (r *Reader) Num32(old uint32) uint32 {
	var u uint64
	switch {
	case !r.Bit():
		u = r.Get(4)
	case !r.Bit():
		u = r.Get(8)
	case !r.Bit():
		u = r.Get(16)
	default:
		u = r.Get(32)
	}
	return old + uint32(unzigzag(u))
}

// Num64 appends any 64-bit number, short if it is near old.
func (w *Writer) Num64(v, old uint64) {
	switch u := zigzag64(int64(v - old)); {
	case u < 1<<4:
		w.Put(u<<1, 5)
	case u < 1<<8:
		w.Put(1|u<<2, 10)
	case u < 1<<16:
		w.Put(3|u<<3, 19)
	case u < 1<<32:
		w.Put(7|u<<4, 36)
	default:
		w.Put(15, 4)
		w.Put64(u)
	}
}

// Num64 reads any 64-bit number.
func (r *Reader) Num64(old uint64) uint64 {
	var u uint64
	switch {
	case !r.Bit():
		u = r.Get(4)
	case !r.Bit():
		u = r.Get(8)
	case !r.Bit():
		u = r.Get(16)
	case !r.Bit():
		u = r.Get(32)
	default:
		u = r.Get64()
	}
	return old + uint64(unzigzag64(u))
}

// Entity appends the id of an entity.
func (w *Writer) Entity(id uint64) {
	switch n := bits.Len64(id); {
	case n == 0:
		w.Put(0, 1)
	case n <= 16:
		w.Put(1|id<<2, 18)
	case n <= 32:
		w.Put(3|id<<3, 35)
	default:
		w.Put(7, 3)
		w.Put64(id)
	}
}

// Entity reads the id of an entity.
func (r *Reader) Entity() uint64 {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return r.Get(16)
	case !r.Bit():
		return r.Get(32)
	}
	return r.Get64()
}

// Text appends bytes and their number, at most MaxCount.
func (w *Writer) Text(b []byte) {
	w.Count(len(b))
	for ; len(b) >= 4; b = b[4:] {
		w.Put(uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16|uint64(b[3])<<24, 32)
	}
	for _, c := range b {
		w.Put(uint64(c), 8)
	}
}

// Text reads bytes into dst, whose old content goes and whose room is used again. More than most bytes, and bytes that are not UTF-8 where that is
// asked for, fail the Reader.
func (r *Reader) Text(dst []byte, most uint32, asUTF8 bool) []byte {
	n := r.Count()
	dst = dst[:0]
	if n > int(most) || n*8 > r.Left() {
		r.Fail()
		return dst
	}
	for range n {
		dst = append(dst, byte(r.Get(8)))
	}
	if asUTF8 && !utf8.Valid(dst) {
		r.Fail()
		return dst[:0]
	}
	return dst
}
