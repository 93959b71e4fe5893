package network

import (
	"encoding/binary"
	"math"
)

// maxPrefix is the longest length prefix, bytes: a length of 32 bits.
const maxPrefix = binary.MaxVarintLen32

// parsePrefix reads the length at the head of b; size 0 says that it is not all here. It judges as early as it can, so that nobody
// waits for bytes behind a prefix that is wrong already.
//
//	length uvarint, 1..max, in its shortest form | message
//
// A uvarint is 7 bits a byte, the lowest first, with the high bit set in all bytes but the last.
func parsePrefix(b []byte, max int) (n, size int, err error) {
	var v uint64
	for i, c := range b {
		if i == maxPrefix-1 && c > 0x0f {
			return 0, 0, ErrLength
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		switch {
		case v == 0 && i == 0:
			return 0, 0, ErrEmpty
		case c == 0:
			return 0, 0, ErrLengthForm
		case v > uint64(max):
			return 0, 0, ErrTooLarge
		}
		return int(v), i + 1, nil
	}
	return 0, 0, nil
}

// nextPrefixed is next for the length prefix.
func (d *decoder) nextPrefixed() (payload []byte, ok bool, err error) {
	n, size, err := parsePrefix(d.buf[d.r:d.w], d.maxMessage)
	if err != nil || size == 0 || d.w-d.r-size < n {
		return nil, false, err
	}
	d.r += size
	payload = d.buf[d.r : d.r+n]
	d.r += n
	return payload, true, nil
}

// putPrefix writes the length of the message buf[HeaderRoom:] into the end of the room in front, and returns where it starts.
func putPrefix(buf []byte) int {
	n := uint64(len(buf) - HeaderRoom)
	var prefix [maxPrefix]byte
	size := binary.PutUvarint(prefix[:], n)
	copy(buf[HeaderRoom-size:HeaderRoom], prefix[:size])
	return HeaderRoom - size
}

// sendable says why a message of n bytes cannot be sent with a length prefix; nil if it can.
func sendable(n int) error {
	switch {
	case n == 0:
		return ErrEmpty
	case uint64(n) > math.MaxUint32:
		return ErrTooLarge
	}
	return nil
}
