//go:build linux && (amd64 || arm64)

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// A block, little-endian:
//
//	0  u32 magic
//	4  u32 bytes of frames behind the header
//	8  u32 number of the data block in its lane and direction, from 0; 0 for others
//	12 u8  kind
//	13 u8  flags
//	14 u16 lane
//	16     frames
const (
	blockHeader = 16
	blockMagic  = 0x31425854 // "TXB1"

	kindData  = 0
	kindHello = 1 // the client's first on every lane: it makes the server see the lane
	kindStart = 2 // the second one, and the server's first
	kindKick  = 3 // no frames, no number: look at the counters again

	flagKick = 1 // a data block that is a kick as well
)

// Errors of a peer that breaks the rules; the connection is over.
var (
	errBlock    = errors.New("rpc shm: the peer sent a malformed block")
	errFrame    = errors.New("rpc shm: the peer sent a malformed frame")
	errCounters = errors.New("rpc shm: the peer's counters make no sense")
)

type header struct {
	used  int
	seq   uint32
	kind  byte
	flags byte
	lane  int
}

func (h header) put(b []byte) {
	binary.LittleEndian.PutUint32(b, blockMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(h.used))
	binary.LittleEndian.PutUint32(b[8:], h.seq)
	b[12], b[13] = h.kind, h.flags
	binary.LittleEndian.PutUint16(b[14:], uint16(h.lane))
}

// parseHeader reads the header of a block and checks all that can be checked without knowing the lane. Each byte is read once: the peer can still write.
func parseHeader(b []byte) (header, error) {
	if len(b) < blockHeader {
		return header{}, fmt.Errorf("%w: %d bytes", errBlock, len(b))
	}
	var own [blockHeader]byte
	copy(own[:], b)
	if magic := binary.LittleEndian.Uint32(own[:]); magic != blockMagic {
		return header{}, fmt.Errorf("%w: it begins with %#x", errBlock, magic)
	}
	used := binary.LittleEndian.Uint32(own[4:])
	if uint64(used) > uint64(len(b)-blockHeader) {
		return header{}, fmt.Errorf("%w: %d bytes used of %d", errBlock, used, len(b)-blockHeader)
	}
	h := header{used: int(used), seq: binary.LittleEndian.Uint32(own[8:]), kind: own[12], flags: own[13], lane: int(binary.LittleEndian.Uint16(own[14:]))}
	if h.kind > kindKick || h.flags > flagKick {
		return header{}, fmt.Errorf("%w: kind %d, flags %#x", errBlock, h.kind, h.flags)
	}
	if h.kind != kindData && (h.used != 0 || h.seq != 0 || h.flags != 0) {
		return header{}, fmt.Errorf("%w: kind %d with content", errBlock, h.kind)
	}
	return h, nil
}

// checkFrames tells whether b consists of whole frames of allowed lengths.
func checkFrames(b []byte, most int) error {
	for at := 0; at < len(b); {
		if len(b)-at < transport.MinFrame {
			return fmt.Errorf("%w: %d bytes at the end of a batch", errFrame, len(b)-at)
		}
		n := binary.LittleEndian.Uint32(b[at:])
		if n < transport.MinFrame || uint64(n) > uint64(most) {
			return fmt.Errorf("%w: length %d, allowed are %d to %d", errFrame, n, transport.MinFrame, most)
		}
		if uint64(n) > uint64(len(b)-at) {
			return fmt.Errorf("%w: length %d with %d bytes left", errFrame, n, len(b)-at)
		}
		at += int(n)
	}
	return nil
}
