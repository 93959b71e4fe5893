package sock

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	readBuffer = 128 << 10
	cheapMove  = 4 << 10 // bytes of a partial frame that are moved rather than read less behind them
)

// Receive implements transport.Lane. It also finds the end of the peer.
func (l *lane) Receive() ([]byte, error) {
	if l.held > 0 {
		return nil, errNotReleased
	}
	for !l.conn.ended.Load() {
		n, err := split(l.in[l.start:l.end])
		if n > 0 { // what stands behind is looked at next time
			l.held = n
			l.conn.bytesIn.Add(uint64(n))
			l.conn.batchesIn.Add(1)
			return l.in[l.start : l.start+n], nil
		}
		if err != nil {
			l.peerEnded(err)
			break
		}
		if err := l.read(); err != nil {
			l.conn.vanished(err) // unless we ended the connection ourselves
			break
		}
	}
	return nil, l.conn.Err()
}

// Release implements transport.Lane.
func (l *lane) Release() {
	l.start += l.held
	l.held = 0
}

// read waits for bytes. It keeps room for the rest of the frame that has begun.
func (l *lane) read() error {
	partial := l.in[l.start:l.end]
	need := 4
	if len(partial) >= 4 {
		need = int(binary.LittleEndian.Uint32(partial)) // checked by split; 0 for a goodbye
	}
	if len(partial) <= cheapMove || l.start+max(need, maxGoodbye) > len(l.in) {
		copy(l.in, partial)
		l.start, l.end = 0, len(partial)
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	if l.conn.ended.Load() {
		return transport.ErrClosed // whoever ended it may be about to read what is left
	}
	n, err := l.conn.nc.Read(l.in[l.end:])
	l.end += n
	if n > 0 {
		return nil // an error that came along comes again
	}
	return err
}

// peerEnded ends the connection for what stands in place of a frame.
func (l *lane) peerEnded(err error) {
	var bye *goodbyeError
	switch {
	case !errors.As(err, &bye): // the peer is told what it did
		l.conn.end(fmt.Errorf("%s: %w", l.conn.peer.Addr, err), goodbye(err.Error()))
	case bye.reason == "":
		l.conn.end(transport.ErrClosed, nil)
	default:
		l.conn.end(fmt.Errorf("%w: %s: %q", ErrAborted, l.conn.peer.Addr, bye.reason), nil)
	}
}

// A goodbye stands where the length of a frame would:
//
//	0          4        5
//	0 (uint32) length   reason, that many bytes; empty when the connection was closed on purpose
const (
	goodbyeHeader = 5
	maxReason     = 255
	maxGoodbye    = goodbyeHeader + maxReason
)

// goodbyeError is the goodbye that split found.
type goodbyeError struct{ reason string }

func (e *goodbyeError) Error() string { return "goodbye: " + e.reason }

// goodbye encodes one.
func goodbye(reason string) []byte {
	reason = reason[:min(len(reason), maxReason)]
	return append([]byte{0, 0, 0, 0, byte(len(reason))}, reason...)
}

// split tells how many bytes at the front of b are whole frames. Its error is about what stands right behind them: a length that no frame may have, or a goodbye.
func split(b []byte) (whole int, err error) {
	for len(b)-whole >= 4 {
		rest := b[whole:]
		n := binary.LittleEndian.Uint32(rest)
		switch {
		case n > MaxFrame:
			return whole, fmt.Errorf("%w: %d bytes announced, at most %d are allowed", ErrFrameTooLarge, n, MaxFrame)
		case n == 0:
			if len(rest) < goodbyeHeader || len(rest) < goodbyeHeader+int(rest[4]) {
				return whole, nil
			}
			return whole, &goodbyeError{string(rest[goodbyeHeader : goodbyeHeader+int(rest[4])])}
		case n < transport.MinFrame:
			return whole, fmt.Errorf("%w: %d bytes announced, at least %d are needed", ErrFrameTooSmall, n, transport.MinFrame)
		case int(n) > len(rest):
			return whole, nil
		}
		whole += int(n)
	}
	return whole, nil
}
