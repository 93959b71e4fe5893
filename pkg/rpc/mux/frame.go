package mux

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// A frame, little-endian:
//
//	 0  u32  size of the whole frame, these bytes included
//	 4  u8   type
//	 5  u8   flags
//	 6  u16  method: 0 when the extension names it; with an extension that names it, the number is from now on that name's, on this lane
//	 8  u32  id of the call or stream
//	12  u32  argument: microseconds left (call, open; 0: no limit), code (error, end, cancel), bytes (credit), number (ping, pong)
//	16  extension, if flagged: u16 size, then entries of u8 kind, u16 size, bytes
//	    message, or part of one: with flagLarge, u32 size of the whole message and its first part; the rest follows in frames of typeMore with the same id
//
// Ids of calls are the caller's: slot in the low half, generation in the high half, so that an answer to a call that was given up meets nobody. Ids of streams are
// their opener's; flagAnswer tells frames of the accepting end, whose ids are in the receiver's own table.
const headerSize = 16

const (
	typeHello   = iota + 1
	typeWelcome // the peer's hello was accepted
	typeCall
	typeReply
	typeError
	typeNotify
	typeOpen
	typeData
	typeEnd
	typeCancel
	typeCredit
	typePing
	typePong
	typeGoaway
	typeBye // the connection ends, and why
	typeMore
	typePad     // was to be something, could not be marshalled
	typeAbandon // the opener gives a stream up
	typeLast    = typeAbandon
)

const (
	flagExt    = 1 << 0
	flagLarge  = 1 << 1
	flagAnswer = 1 << 2 // stream frames: of the end that accepted it
	flagNever  = 1 << 3 // error: the call was refused, it never ran
	codecShift = 4      // two bits: number of the codec; codecNamed: the extension names it
	codecNamed = 3
)

const (
	extMethod = iota + 1
	extCodec
	extKey // of metadata; a value follows
	extValue
)

// maxName bounds a method's name, in bytes.
const maxName = 255

// forever is a limit that is none.
const forever = 100 * 365 * 24 * time.Hour

// maxExt bounds the extension of a frame, and so the metadata of a call, in bytes.
const maxExt = 16 << 10

type header struct {
	size   uint32
	typ    uint8
	flags  uint8
	method uint16
	id     uint32
	arg    uint32
}

func (h header) put(b []byte) {
	_ = b[headerSize-1]
	binary.LittleEndian.PutUint32(b, h.size)
	b[4], b[5] = h.typ, h.flags
	binary.LittleEndian.PutUint16(b[6:], h.method)
	binary.LittleEndian.PutUint32(b[8:], h.id)
	binary.LittleEndian.PutUint32(b[12:], h.arg)
}

var errFrame = errors.New("rpc: malformed frame")

// cut takes the first frame off a batch.
func cut(b []byte) (h header, body, rest []byte, err error) {
	if len(b) < headerSize {
		return h, nil, nil, fmt.Errorf("%w: %d bytes are no header", errFrame, len(b))
	}
	h = header{
		size: binary.LittleEndian.Uint32(b), typ: b[4], flags: b[5], method: binary.LittleEndian.Uint16(b[6:]),
		id: binary.LittleEndian.Uint32(b[8:]), arg: binary.LittleEndian.Uint32(b[12:]),
	}
	if h.size < headerSize || uint64(h.size) > uint64(len(b)) {
		return h, nil, nil, fmt.Errorf("%w: size %d with %d bytes there", errFrame, h.size, len(b))
	}
	if h.typ == 0 || h.typ > typeLast {
		return h, nil, nil, fmt.Errorf("%w: type %d", errFrame, h.typ)
	}
	return h, b[headerSize:h.size], b[h.size:], nil
}

// extension is what a frame says besides its header and its message.
type extension struct {
	method, codec string
	metadata      []string
}

// extSize is the number of bytes that the extension takes; 0 for an empty one.
func (e *extension) size() int {
	n := 0
	if e.method != "" {
		n += 3 + len(e.method)
	}
	if e.codec != "" {
		n += 3 + len(e.codec)
	}
	for _, s := range e.metadata {
		n += 3 + len(s)
	}
	if n > 0 {
		n += 2
	}
	return n
}

func (e *extension) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(e.size()-2))
	one := func(kind byte, s string) {
		b = append(b, kind)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	if e.method != "" {
		one(extMethod, e.method)
	}
	if e.codec != "" {
		one(extCodec, e.codec)
	}
	for i, s := range e.metadata {
		one(byte(extKey+i%2), s)
	}
	return b
}

// parseExt reads an extension and returns what is behind it. Kinds that are not known are skipped.
func parseExt(b []byte) (e extension, rest []byte, err error) {
	if len(b) < 2 {
		return e, nil, fmt.Errorf("%w: no room for the extension's size", errFrame)
	}
	n := int(binary.LittleEndian.Uint16(b))
	if n > len(b)-2 || n > maxExt {
		return e, nil, fmt.Errorf("%w: extension of %d bytes with %d there, %d allowed", errFrame, n, len(b)-2, maxExt)
	}
	rest, b = b[2+n:], b[2:2+n]
	for len(b) > 0 {
		if len(b) < 3 {
			return e, nil, fmt.Errorf("%w: extension ends within an entry", errFrame)
		}
		kind, size := b[0], int(binary.LittleEndian.Uint16(b[1:]))
		if size > len(b)-3 {
			return e, nil, fmt.Errorf("%w: extension entry of %d bytes with %d there", errFrame, size, len(b)-3)
		}
		s := b[3 : 3+size]
		b = b[3+size:]
		switch kind {
		case extMethod:
			if size > maxName {
				return e, nil, fmt.Errorf("%w: a method's name of %d bytes", errFrame, size)
			}
			e.method = string(s)
		case extCodec:
			e.codec = string(s)
		case extKey, extValue:
			if int(kind-extKey) != len(e.metadata)%2 {
				return e, nil, fmt.Errorf("%w: metadata out of order", errFrame)
			}
			e.metadata = append(e.metadata, string(s))
		}
	}
	if len(e.metadata)%2 != 0 {
		return e, nil, fmt.Errorf("%w: metadata key without a value", errFrame)
	}
	return e, rest, nil
}

// hello on the wire, behind a frame's header:
//
//	"TXRP", u16 version, u32 window, u32 most bytes of a message, u64 epoch, 16 random bytes, then instance, number of codecs and their names, number of services and their
//	names; numbers are u16, strings have a u16 size.
//
// The welcome proves that its sender knows the token, which itself is never sent: HMAC-SHA256 under the token of "dialler" or "listener", the sender's random bytes and the
// receiver's.
type hello struct {
	Hello
	version uint16
	window  uint32
	message uint32
	nonce   [nonceSize]byte
	codecs  []string
}

const nonceSize = 16

// proof is what the welcome of the end that said own holds, for a peer that said theirs.
func proof(token []byte, dialled bool, own, theirs [nonceSize]byte) []byte {
	h := hmac.New(sha256.New, token)
	role := "listener"
	if dialled {
		role = "dialler"
	}
	h.Write([]byte(role))
	h.Write(own[:])
	h.Write(theirs[:])
	return h.Sum(nil)
}

// version of what is above: frames and hello.
const version = 1

const magic = "TXRP"

func (h *hello) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, h.version)
	b = binary.LittleEndian.AppendUint32(b, h.window)
	b = binary.LittleEndian.AppendUint32(b, h.message)
	b = binary.LittleEndian.AppendUint64(b, h.Epoch)
	b = append(b, h.nonce[:]...)
	str := func(s string) {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	list := func(l []string) {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(l)))
		for _, s := range l {
			str(s)
		}
	}
	str(h.Instance)
	list(h.codecs)
	list(h.Services)
	return b
}

func parseHello(b []byte) (h hello, err error) {
	if len(b) < 6 || string(b[:4]) != magic {
		return h, errors.New("rpc: the peer does not speak this protocol")
	}
	h.version = binary.LittleEndian.Uint16(b[4:])
	if h.version != version {
		return h, fmt.Errorf("rpc: the peer speaks version %d, this end version %d: run builds of the same release on both ends", h.version, version)
	}
	if len(b) < 22+nonceSize {
		return h, fmt.Errorf("%w: hello ends early", errFrame)
	}
	h.window, h.message, h.Epoch = binary.LittleEndian.Uint32(b[6:]), binary.LittleEndian.Uint32(b[10:]), binary.LittleEndian.Uint64(b[14:])
	b = b[22+copy(h.nonce[:], b[22:]):]
	number := func() int {
		if len(b) < 2 {
			err = fmt.Errorf("%w: hello ends early", errFrame)
			return 0
		}
		n := int(binary.LittleEndian.Uint16(b))
		b = b[2:]
		return n
	}
	str := func() string {
		n := number()
		if n > len(b) {
			err = fmt.Errorf("%w: hello ends early", errFrame)
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	list := func() (l []string) {
		for n := number(); n > 0 && err == nil; n-- {
			l = append(l, str())
		}
		return l
	}
	h.Instance = str()
	h.codecs, h.Services = list(), list()
	return h, err
}

// micros is a duration as a frame carries it: at least 1, and none if it is longer than fits (over an hour: the caller alone watches it).
func micros(d time.Duration) uint32 {
	if d > math.MaxUint32*time.Microsecond {
		return 0
	}
	return uint32(max((d+time.Microsecond-1)/time.Microsecond, 1))
}

var _ = [1]int{}[headerSize-transport.MinFrame] // the transport knows the size of our header
