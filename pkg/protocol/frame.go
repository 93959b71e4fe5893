package protocol

import (
	"errors"
	"fmt"
	"math"
)

// FrameType says what a frame is; it is the low three bits of the head byte.
type FrameType uint8

// The frame types.
const (
	TypePush     FrameType = 0 // one way message of a route
	TypeRequest  FrameType = 1 // wants exactly one Response or Error of the same id
	TypeResponse FrameType = 2
	TypeError    FrameType = 3 // payload is mmo.v1.Error; id 0 where no request was meant
	TypeAck      FrameType = 4 // of the session's numbered messages, up to Seq; client → server
	TypeControl  FrameType = 5 // routes below 32
	TypeState    FrameType = 6 // replicated state, manual section 7
)

// String names the type for logs.
func (t FrameType) String() string {
	switch t {
	case TypePush:
		return "push"
	case TypeRequest:
		return "request"
	case TypeResponse:
		return "response"
	case TypeError:
		return "error"
	case TypeAck:
		return "ack"
	case TypeControl:
		return "control"
	case TypeState:
		return "state"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Flags are the head bits above the type.
type Flags uint8

// The flags of a frame. Those that are reserved are named so that nobody takes their bits.
const (
	FlagREL  Flags = 0x08 // a numbered message: a session sequence is present; push, response and error only
	FlagCMP  Flags = 0x10 // reserved: compressed payload
	FlagJSON Flags = 0x20 // the payload is JSON of the route's message; push, request, response, error and control only
	FlagTRC  Flags = 0x40 // reserved: trace context
)

const (
	typeMask     = 0x07
	reservedBits = 0x80 | uint8(FlagCMP) | uint8(FlagTRC)
	maxVarint    = 5 // bytes
)

// What a type carries. Indexed by the type's three bits, so that no frame can index beyond it.
const (
	hasRoute = 1 << iota
	hasID
	mayREL
	hasSeq // without FlagREL
	hasPayload
	mayJSON
	isFrame
)

// fieldsOf is a switch rather than a table because a package holds no variables; it compiles to a shift of a constant.
func fieldsOf(t FrameType) uint8 {
	switch t {
	case TypePush:
		return isFrame | hasRoute | mayREL | mayJSON | hasPayload
	case TypeRequest:
		return isFrame | hasRoute | hasID | mayJSON | hasPayload
	case TypeResponse, TypeError:
		return isFrame | hasRoute | hasID | mayREL | mayJSON | hasPayload
	case TypeAck:
		return isFrame | hasSeq
	case TypeControl:
		return isFrame | hasRoute | mayJSON | hasPayload
	case TypeState:
		return isFrame | hasPayload
	}
	return 0
}

// legal tells whether a frame that carries fields may have this head: no reserved bit, and no flag that its type has no use for.
func legal(head, fields uint8) bool {
	return fields != 0 && head&reservedBits == 0 &&
		(head&uint8(FlagREL) == 0 || fields&mayREL != 0) && (head&uint8(FlagJSON) == 0 || fields&mayJSON != 0)
}

// Frame is one message inside a record.
type Frame struct {
	Type    FrameType
	Flags   Flags
	Route   uint16 // 0 for ack and state
	ID      uint32 // of the request; request, response and error only
	Seq     uint32 // of the session's reliable frames; with FlagREL, and in an ack
	Payload []byte // aliases the decoded record; nil for an ack
}

// The ways in which bytes are no frame. All of them end the connection with DisconnectBadFrame.
var (
	// ErrTruncated: the bytes end inside a head, a varint or a payload.
	ErrTruncated = errors.New("truncated")
	// ErrReserved: a reserved bit or type is used, REL on a type that has no sequence, or JSON on one whose payload is no message.
	ErrReserved = errors.New("reserved bit or type")
	// ErrVarint: a varint is longer than 5 bytes or its value above the field's range.
	ErrVarint = errors.New("varint out of range")
	// ErrSize: a control payload of fixed layout has another length.
	ErrSize = errors.New("wrong payload size")
)

// FrameError is what Next returns: one of the sentinels above, and where.
type FrameError struct {
	Offset int    // of the offending field from the start of the bytes given to Next
	Field  string // head, route, id, seq, len or payload
	Err    error  // ErrTruncated, ErrReserved or ErrVarint
}

// Error describes the fault without any of the offending bytes.
func (e *FrameError) Error() string {
	return fmt.Sprintf("decode frame: %s at byte %d: %v", e.Field, e.Offset, e.Err)
}

// Unwrap returns the sentinel.
func (e *FrameError) Unwrap() error { return e.Err }

// Next decodes the first frame of b and returns the bytes after it. f.Payload aliases b. It allocates nothing unless it
// fails, and reads nothing beyond b. Call it while the rest is not empty; an empty b is ErrTruncated. Whether the route
// exists and may be used here is Routes.Check's question, not this one's.
func Next(b []byte) (f Frame, rest []byte, err error) {
	if len(b) == 0 {
		return Frame{}, nil, fault(0, "head", ErrTruncated)
	}
	head := b[0]
	f.Type, f.Flags = FrameType(head&typeMask), Flags(head&^typeMask)
	fields := fieldsOf(f.Type)
	if !legal(head, fields) {
		return Frame{}, nil, fault(0, "head", ErrReserved)
	}
	at := 1
	var v uint32
	if fields&hasRoute != 0 {
		if v, at, err = uvarint(b, at, "route", MaxRoute); err != nil {
			return Frame{}, nil, err
		}
		f.Route = uint16(v)
	}
	if fields&hasID != 0 {
		if f.ID, at, err = uvarint(b, at, "id", math.MaxUint32); err != nil {
			return Frame{}, nil, err
		}
	}
	if fields&hasSeq != 0 || f.Flags&FlagREL != 0 {
		if f.Seq, at, err = uvarint(b, at, "seq", math.MaxUint32); err != nil {
			return Frame{}, nil, err
		}
	}
	if fields&hasPayload == 0 {
		return f, b[at:], nil
	}
	if v, at, err = uvarint(b, at, "len", math.MaxUint32); err != nil {
		return Frame{}, nil, err
	}
	if uint64(v) > uint64(len(b)-at) {
		return Frame{}, nil, fault(at, "payload", ErrTruncated)
	}
	end := at + int(v)
	// The capacity ends with the payload, so that an append by the receiver cannot overwrite the next frame.
	f.Payload = b[at:end:end]
	return f, b[end:], nil
}

// uvarint reads a value of at most limit from b[at:] and returns the offset after it. Padded forms of up to 5 bytes are
// accepted, as protobuf does.
func uvarint(b []byte, at int, field string, limit uint32) (uint32, int, error) {
	if at < len(b) && b[at] < 0x80 {
		return uint32(b[at]), at + 1, nil
	}
	var v uint64
	for i := 0; i < maxVarint; i++ {
		if at+i >= len(b) {
			return 0, 0, fault(at, field, ErrTruncated)
		}
		c := b[at+i]
		v |= uint64(c&0x7F) << (7 * i)
		if c < 0x80 {
			if v > uint64(limit) {
				break
			}
			return uint32(v), at + i + 1, nil
		}
	}
	return 0, 0, fault(at, field, ErrVarint)
}

func fault(at int, field string, err error) error {
	return &FrameError{Offset: at, Field: field, Err: err}
}
