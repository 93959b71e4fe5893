package network

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// HeaderRoom is the number of bytes to leave free in front of a message given to Send: 2, 4 or 10 of header and 4 of mask.
const HeaderRoom = 14

const (
	maxControl = 125            // payload of a control frame, bytes
	maxReason  = maxControl - 2 // reason in a close frame, bytes
)

// putHeader writes the header of an unfragmented frame into the end of buf[:HeaderRoom], for the payload buf[HeaderRoom:], masks the payload if
// asked, and returns where the frame starts.
//
//	FIN 1 | RSV 000 | opcode 4 | MASK 1 | length 7, or 126 and 16 bits, or 127 and 64 bits (big-endian) | mask 32 if MASK
func putHeader(buf []byte, op ws.OpCode, masked bool, mask uint32) int {
	n := len(buf) - HeaderRoom
	start := HeaderRoom
	var bit byte
	if masked {
		bit = 0x80
		var key [4]byte
		binary.BigEndian.PutUint32(key[:], mask)
		ws.Cipher(buf[HeaderRoom:], key, 0)
		start -= copy(buf[HeaderRoom-len(key):HeaderRoom], key[:])
	}
	switch {
	case n < 126:
		start -= 2
		buf[start+1] = bit | byte(n)
	case n < 1<<16:
		start -= 4
		buf[start+1] = bit | 126
		binary.BigEndian.PutUint16(buf[start+2:], uint16(n))
	default:
		start -= 10
		buf[start+1] = bit | 127
		binary.BigEndian.PutUint64(buf[start+2:], uint64(n))
	}
	buf[start] = 0x80 | byte(op)
	return start
}

// closePayload fills dst with code and reason; CodeNoStatus gives an empty payload. A reason too long is cut between characters.
func closePayload(dst []byte, code uint16, reason string) []byte {
	if code == CodeNoStatus {
		return dst
	}
	if len(reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}

// parseClose reads the payload of a close frame.
func parseClose(p []byte) (*CloseError, error) {
	if len(p) == 0 {
		return &CloseError{Code: CodeNoStatus}, nil
	}
	if len(p) == 1 {
		return nil, ErrClosePayload
	}
	code := binary.BigEndian.Uint16(p)
	if !validCode(code) {
		return nil, ErrCloseCode
	}
	if !utf8.Valid(p[2:]) {
		return nil, ErrCloseReason
	}
	return &CloseError{Code: code, Reason: string(p[2:])}, nil
}

// validCode tells whether a code may be on the wire: RFC 6455 with the registered 1012 to 1014, and the private ranges.
func validCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
