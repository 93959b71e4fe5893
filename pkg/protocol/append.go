package protocol

import "fmt"

// Layout of a frame, in order; a field is present where its column says so. v is a uvarint of at most 5 bytes.
//
//	             head(1)  route v  id v  seq v   len v  payload
//	0 push          x        x            REL      x       x
//	1 request       x        x      x              x       x
//	2 response      x        x      x     REL      x       x
//	3 error         x        x      x     REL      x       x      mmo.v1.Error
//	4 ack           x                      x
//	5 control       x        x                     x       x
//	6 state         x                              x       x
//
//	head = type(bits 0-2) | REL 0x08 | CMP 0x10 | JSON 0x20 | TRC 0x40 | 0x80      CMP, TRC and 0x80 are reserved: 0
//
// REL is where the column seq says so; JSON on types 0-3 and 5: the payload is JSON of the message that it would be otherwise.

// AppendFrame appends f to dst and returns the extended slice; it allocates only where dst lacks room. Fields that the
// type does not carry are left out. It panics on a reserved type or flag: such a frame would end the receiver's connection.
func AppendFrame(dst []byte, f Frame) []byte {
	dst = appendHead(dst, f)
	if fieldsOf(f.Type)&hasPayload == 0 {
		return dst
	}
	dst = appendUvarint(dst, uint32(len(f.Payload)))
	return append(dst, f.Payload...)
}

// AppendPush appends an unreliable push.
func AppendPush(dst []byte, route uint16, payload []byte) []byte {
	return AppendFrame(dst, Frame{Type: TypePush, Route: route, Payload: payload})
}

// AppendRequest appends a request; id must not be 0 (an Error of id 0 answers no request).
func AppendRequest(dst []byte, route uint16, id uint32, payload []byte) []byte {
	return AppendFrame(dst, Frame{Type: TypeRequest, Route: route, ID: id, Payload: payload})
}

// AppendResponse appends the answer to request id.
func AppendResponse(dst []byte, route uint16, id uint32, payload []byte) []byte {
	return AppendFrame(dst, Frame{Type: TypeResponse, Route: route, ID: id, Payload: payload})
}

// AppendError appends an error frame; payload is an encoded mmo.v1.Error, id is 0 where no request is answered.
func AppendError(dst []byte, route uint16, id uint32, payload []byte) []byte {
	return AppendFrame(dst, Frame{Type: TypeError, Route: route, ID: id, Payload: payload})
}

// AppendControl appends a control frame; route is below FirstFrameworkRoute.
func AppendControl(dst []byte, route uint16, payload []byte) []byte {
	return AppendFrame(dst, Frame{Type: TypeControl, Route: route, Payload: payload})
}

// AppendState appends a state frame.
func AppendState(dst, payload []byte) []byte {
	dst = append(dst, byte(TypeState))
	dst = appendUvarint(dst, uint32(len(payload)))
	return append(dst, payload...)
}

// lengthGap is the room that Begin leaves for a payload's length: two bytes fit 128-16383, what game messages mostly are.
const lengthGap = 2

// Begin appends the head of f (its Payload is ignored) with room for the length and returns where the payload starts.
// The caller appends the payload to the slice, then calls End with the same start.
//
//	dst, start := protocol.Begin(dst, protocol.Frame{Type: protocol.TypeState})
//	dst = encode(dst)
//	dst = protocol.End(dst, start)
func Begin(dst []byte, f Frame) (_ []byte, start int) {
	if fieldsOf(f.Type)&hasPayload == 0 {
		panic(fmt.Sprintf("protocol: Begin of a frame without payload: %v", f.Type))
	}
	dst = appendHead(dst, f)
	dst = append(dst, 0, 0)
	return dst, len(dst)
}

// End writes the length of a frame that Begin started: the payload is dst[start:]. The length takes the fewest bytes;
// a payload below 128 or above 16,383 bytes is moved by the difference.
func End(dst []byte, start int) []byte {
	n := len(dst) - start
	if n < 0 || start < lengthGap {
		panic("protocol: End without its Begin")
	}
	size := uvarintSize(uint32(n))
	at := start - lengthGap
	if size > lengthGap {
		dst = append(dst, 0, 0, 0)[:len(dst)+size-lengthGap] // a length has at most 5 bytes
	}
	if size != lengthGap {
		copy(dst[at+size:], dst[start:start+n])
	}
	appendUvarint(dst[:at], uint32(n))
	return dst[:at+size+n]
}

// Cancel drops a frame that Begin started with the head f and returns dst as it was before Begin.
func Cancel(dst []byte, start int, f Frame) []byte {
	return dst[:start-lengthGap-headSize(f)]
}

func appendHead(dst []byte, f Frame) []byte {
	fields := fieldsOf(f.Type)
	if uint8(f.Flags)&typeMask != 0 || !legal(uint8(f.Flags), fields) {
		panic(fmt.Sprintf("protocol: frame of %v with flags %#x", f.Type, uint8(f.Flags)))
	}
	dst = append(dst, byte(f.Type)|byte(f.Flags))
	if fields&hasRoute != 0 {
		dst = appendUvarint(dst, uint32(f.Route))
	}
	if fields&hasID != 0 {
		dst = appendUvarint(dst, f.ID)
	}
	if fields&hasSeq != 0 || f.Flags&FlagREL != 0 {
		dst = appendUvarint(dst, f.Seq)
	}
	return dst
}

func headSize(f Frame) int {
	fields, n := fieldsOf(f.Type), 1
	if fields&hasRoute != 0 {
		n += uvarintSize(uint32(f.Route))
	}
	if fields&hasID != 0 {
		n += uvarintSize(f.ID)
	}
	if fields&hasSeq != 0 || f.Flags&FlagREL != 0 {
		n += uvarintSize(f.Seq)
	}
	return n
}

// FrameSize is the number of bytes that AppendFrame adds for f.
func FrameSize(f Frame) int {
	n := headSize(f)
	if fieldsOf(f.Type)&hasPayload != 0 {
		n += uvarintSize(uint32(len(f.Payload))) + len(f.Payload)
	}
	return n
}

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func uvarintSize(v uint32) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}
