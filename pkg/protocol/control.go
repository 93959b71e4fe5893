package protocol

import (
	"encoding/binary"
	"fmt"
)

// The control routes. They are part of the protocol version and not of the schema.
const (
	RoutePing   uint16 = 1 // client → server
	RoutePong   uint16 = 2 // server → client
	RouteEcho   uint16 = 3 // client → server
	RouteGoaway uint16 = 4 // server → client, mmo.v1.Goaway
	RouteKick   uint16 = 5 // server → client, mmo.v1.Kick; the connection closes next
	RouteBye    uint16 = 6 // client → server, empty: the session ends now, nothing lingers

	RouteResume  uint16 = 7  // client → server, mmo.v1.Resume: the first frame after a handshake of suite 2
	RouteResumed uint16 = 8  // server → client, mmo.v1.Resumed: the answer
	RouteQueue   uint16 = 9  // server → client, mmo.v1.Queue: place in the login queue, now and then
	RouteWarning uint16 = 10 // server → client, mmo.v1.Warning: what goes on like this ends in a KICK
)

// controlName is the word for a control route in logs and in text; "" for those that do not exist.
func controlName(route uint16) string {
	switch route {
	case RoutePing:
		return "ping"
	case RoutePong:
		return "pong"
	case RouteEcho:
		return "echo"
	case RouteGoaway:
		return "goaway"
	case RouteKick:
		return "kick"
	case RouteBye:
		return "bye"
	case RouteResume:
		return "resume"
	case RouteResumed:
		return "resumed"
	case RouteQueue:
		return "queue"
	case RouteWarning:
		return "warning"
	}
	return ""
}

// Sizes of the control payloads of fixed layout, in bytes; numbers are little-endian.
//
//	ping = client time u64, µs of any clock
//	pong = the client time back u64 | server time u64, µs since 1970
//	echo = u16, state frames processed on this connection, mod 65,536
const (
	PingSize = 8
	PongSize = 16
	EchoSize = 2
)

// AppendPing appends a whole PING frame; clientTime is in µs of any clock.
func AppendPing(dst []byte, clientTime uint64) []byte {
	dst = append(dst, byte(TypeControl), byte(RoutePing), PingSize)
	return binary.LittleEndian.AppendUint64(dst, clientTime)
}

// ParsePing reads the payload of a PING: the client's time in µs.
func ParsePing(payload []byte) (clientTime uint64, err error) {
	if len(payload) != PingSize {
		return 0, sizeError("ping", len(payload), PingSize)
	}
	return binary.LittleEndian.Uint64(payload), nil
}

// AppendPong appends a whole PONG frame; clientTime is the PING's, serverTime is in µs since 1970.
func AppendPong(dst []byte, clientTime, serverTime uint64) []byte {
	dst = append(dst, byte(TypeControl), byte(RoutePong), PongSize)
	dst = binary.LittleEndian.AppendUint64(dst, clientTime)
	return binary.LittleEndian.AppendUint64(dst, serverTime)
}

// ParsePong reads the payload of a PONG, both times in µs.
func ParsePong(payload []byte) (clientTime, serverTime uint64, err error) {
	if len(payload) != PongSize {
		return 0, 0, sizeError("pong", len(payload), PongSize)
	}
	return binary.LittleEndian.Uint64(payload), binary.LittleEndian.Uint64(payload[8:]), nil
}

// AppendEcho appends a whole ECHO frame; processed counts state frames of this connection and wraps at 65,536.
func AppendEcho(dst []byte, processed uint16) []byte {
	dst = append(dst, byte(TypeControl), byte(RouteEcho), EchoSize)
	return binary.LittleEndian.AppendUint16(dst, processed)
}

// ParseEcho reads the payload of an ECHO.
func ParseEcho(payload []byte) (processed uint16, err error) {
	if len(payload) != EchoSize {
		return 0, sizeError("echo", len(payload), EchoSize)
	}
	return binary.LittleEndian.Uint16(payload), nil
}

func sizeError(name string, have, want int) error {
	return fmt.Errorf("decode %s: %d bytes, want %d: %w", name, have, want, ErrSize)
}
