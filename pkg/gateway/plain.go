package gateway

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file puts frames into JSON: for connections that asked for it, in frames whose payload is JSON, and for those of the development listener, in text messages.

// fromJSON gives a client's frame its payload in protobuf, for whom it goes to: scratch is overwritten and returned, and holds the payload. A frame without FlagJSON comes back as it is.
func fromJSON(c *protocol.Converter, scratch []byte, f protocol.Frame) (protocol.Frame, []byte, error) {
	if f.Flags&protocol.FlagJSON == 0 {
		return f, scratch, nil
	}
	scratch, err := c.FromJSON(scratch[:0], f, protocol.ClientToServer)
	if err != nil {
		return f, scratch, err
	}
	f.Flags &^= protocol.FlagJSON
	f.Payload = scratch[:len(scratch):len(scratch)]
	return f, scratch, nil
}

// appendJSON appends a frame for a client to dst with its payload in JSON; frames that carry no message are appended as they are. scratch is overwritten and returned.
// A payload that is not what its route says, our side's mistake, or whose JSON would make a frame of more than room bytes, goes as it is, without FlagJSON, so that no number is
// missing from the sequence; the error is for the log.
func appendJSON(c *protocol.Converter, dst, scratch []byte, f protocol.Frame, room int) (_, _ []byte, err error) {
	if f.Flags&protocol.FlagJSON != 0 || !isMessage(f) {
		return protocol.AppendFrame(dst, f), scratch, nil
	}
	if scratch, err = c.ToJSON(scratch[:0], f, protocol.ServerToClient); err != nil {
		return protocol.AppendFrame(dst, f), scratch, err
	}
	text := f
	text.Flags |= protocol.FlagJSON
	text.Payload = scratch
	out := protocol.AppendFrame(dst, text)
	if size := len(out) - len(dst); size > room {
		return protocol.AppendFrame(dst, f), scratch, fmt.Errorf("gateway: %v of route %d takes %d bytes in JSON, a record has room for %d", f.Type, f.Route, size, room)
	}
	return out, scratch, nil
}

// isMessage tells whether a frame's payload is a protobuf message.
func isMessage(f protocol.Frame) bool {
	switch f.Type {
	case protocol.TypeState, protocol.TypeAck:
		return false
	case protocol.TypeControl:
		return f.Route != protocol.RoutePing && f.Route != protocol.RoutePong && f.Route != protocol.RouteEcho && f.Route != protocol.RouteBye
	}
	return true
}

// texts are messages that wait for the connection of a development session. They belong to the flusher. The zero value is empty.
//
//	buf    room for a header | text | room for a header | text | …
//	              ends[0] there ^                  ends[1] there ^
type texts struct {
	buf  []byte
	ends []int
	sent int // messages
}

// waiting tells whether there are messages that were not sent.
func (t *texts) waiting() bool { return t.sent < len(t.ends) }

// add makes a text of each frame of a record, but for state frames, which have none. A frame whose payload is not what its route says, our side's mistake, keeps its place
// with a d of null; the last such error is returned, for the log.
func (t *texts) add(c *protocol.Converter, frames []byte) (fault error) {
	if !t.waiting() {
		t.buf, t.ends, t.sent = t.buf[:0], t.ends[:0], 0
	}
	for len(frames) > 0 {
		f, rest, err := protocol.Next(frames)
		if err != nil {
			return fmt.Errorf("gateway: frames of our own: %w", err)
		}
		frames = rest
		if f.Type == protocol.TypeState {
			continue
		}
		before := len(t.buf)
		var room [network.HeaderRoom]byte
		t.buf = append(t.buf, room[:]...)
		if t.buf, err = c.AppendText(t.buf, f, protocol.ServerToClient); err != nil {
			fault = err
			f.Flags |= protocol.FlagJSON
			f.Payload = []byte("null")
			if t.buf, err = c.AppendText(t.buf, f, protocol.ServerToClient); err != nil {
				t.buf = t.buf[:before] // it has no text at all
				fault = err
				continue
			}
		}
		t.ends = append(t.ends, len(t.buf))
	}
	return fault
}

// send gives the messages that wait to send, each with room for a header before it, until there is none or send fails: then the rest still waits.
func (t *texts) send(send func([]byte) error) error {
	for t.waiting() {
		start := 0
		if t.sent > 0 {
			start = t.ends[t.sent-1]
		}
		if err := send(t.buf[start:t.ends[t.sent]]); err != nil {
			return err
		}
		t.sent++
	}
	if cap(t.buf) > 64<<10 { // a burst is not held for good
		*t = texts{}
	}
	return nil
}
