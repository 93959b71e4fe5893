package network

import (
	"errors"
	"fmt"
)

// Errors of Send and of the end of a connection.
var (
	// ErrBusy answers Send while the transient writer still has a message in hand; nothing was taken from the caller.
	ErrBusy = errors.New("network: connection busy")
	// ErrWriteTimeout is the cause of a connection whose peer took nothing for WriteTimeout.
	ErrWriteTimeout = errors.New("network: peer takes no data")
	// ErrRoused answers a Next that Rouse has ended. The connection lives on.
	ErrRoused = errors.New("network: roused")
	// ErrNoRoom answers a Send whose buffer is shorter than HeaderRoom.
	ErrNoRoom = errors.New("network: no room for the header")
	// ErrBadCode answers a Close with a code that may not be sent; the connection is closed without a close frame.
	ErrBadCode = errors.New("network: close code may not be sent")
	// ErrNoCode is the cause of a length-prefixed connection whose peer closed it between two messages. That framing has no close frame, so
	// why it did so never travels: the layer above says so in a message, or the connection counts as lost.
	ErrNoCode = errors.New("network: closed by peer; length-prefixed TCP carries no close code")
)

// WebSocket close codes that this package sends by itself (RFC 6455, section 7.4.1).
const (
	CodeProtocolError = 1002
	CodeUnsupported   = 1003
	CodeNoStatus      = 1005 // never on the wire: a close frame without a code
	CodeInvalidData   = 1007
	CodePolicy        = 1008
	CodeTooBig        = 1009
)

// CloseError is the cause of a connection that ended with a close frame or by Close.
type CloseError struct {
	Code   uint16 // CodeNoStatus when the frame had none
	Reason string
	Local  bool // we closed, not the peer
}

// Error implements error.
func (e *CloseError) Error() string {
	who := "peer"
	if e.Local {
		who = "us"
	}
	return fmt.Sprintf("network: closed by %s: %d %q", who, e.Code, e.Reason)
}

// RefusedError tells that an upgrade was refused, by Upgrade or by the server that Dial asked.
type RefusedError struct {
	Status int // of the HTTP response
	Reason string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("network: upgrade refused: %d %s", e.Status, e.Reason)
}

// Violation is a way in which the peer broke the rules of RFC 6455, of the length prefix, or of this package. Each is a constant to compare with errors.Is.
type Violation uint8

// The violations.
const (
	_                    Violation = iota
	ErrText                        // a text message without Config.Text
	ErrTooLarge                    // a message above MaxMessage
	ErrUnmasked                    // a frame from a client without mask
	ErrMasked                      // a frame from a server with mask
	ErrReservedBits                // a reserved header bit set
	ErrReservedOpcode              // opcode 3-7 or 11-15
	ErrFragmentedControl           // a control frame without FIN
	ErrLongControl                 // a control frame above 125 bytes
	ErrLength                      // a 64-bit length with its highest bit set, a length prefix above 32 bits
	ErrLengthForm                  // a length in more bytes than it needs
	ErrContinuation                // a continuation of nothing
	ErrInterleaved                 // a new message inside a fragmented one
	ErrFragments                   // a message of more than MaxFragments fragments
	ErrControls                    // more than MaxControls control frames without a message
	ErrClosePayload                // a close frame with one byte
	ErrCloseCode                   // a close code that may not be on the wire
	ErrCloseReason                 // a close reason that is not UTF-8
	ErrInvalidText                 // a text message that is not UTF-8
	ErrEmpty                       // a length prefix of 0
)

// Error implements error.
func (v Violation) Error() string { return "network: " + v.text() }

func (v Violation) text() string {
	switch v {
	case ErrText:
		return "text message"
	case ErrTooLarge:
		return "message too large"
	case ErrUnmasked:
		return "unmasked frame from client"
	case ErrMasked:
		return "masked frame from server"
	case ErrReservedBits:
		return "reserved bits set"
	case ErrReservedOpcode:
		return "reserved opcode"
	case ErrFragmentedControl:
		return "fragmented control frame"
	case ErrLongControl:
		return "control frame too long"
	case ErrLength:
		return "length out of range"
	case ErrLengthForm:
		return "length not minimal"
	case ErrContinuation:
		return "continuation without start"
	case ErrInterleaved:
		return "interleaved messages"
	case ErrFragments:
		return "too many fragments"
	case ErrControls:
		return "too many control frames"
	case ErrClosePayload:
		return "close frame of one byte"
	case ErrCloseCode:
		return "bad close code"
	case ErrCloseReason:
		return "close reason is not UTF-8"
	case ErrInvalidText:
		return "text is not UTF-8"
	case ErrEmpty:
		return "empty message"
	}
	return "violation"
}

// Code is the close code that RFC 6455 gives to the violation.
func (v Violation) Code() uint16 {
	switch v {
	case ErrText:
		return CodeUnsupported
	case ErrTooLarge:
		return CodeTooBig
	case ErrCloseReason, ErrInvalidText:
		return CodeInvalidData
	case ErrFragments, ErrControls:
		return CodePolicy
	}
	return CodeProtocolError
}
