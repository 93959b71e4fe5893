package protocol

import "strconv"

// ErrorCode is the code of an mmo.v1.Error. Codes from FirstGameError up belong to the game.
type ErrorCode uint32

// The framework's error codes.
const (
	ErrorNone         ErrorCode = 0  // allowed; never on the wire
	ErrorUnknownRoute ErrorCode = 1  // no such route, or not for this direction or frame type
	ErrorWrongState   ErrorCode = 2  // not allowed in the session's state
	ErrorTooLarge     ErrorCode = 3  // payload above the route's maximum
	ErrorMalformed    ErrorCode = 4  // payload does not parse
	ErrorRateLimited  ErrorCode = 5  // retry_after_ms says how long
	ErrorUnauthorized ErrorCode = 6  // token refused
	ErrorOverloaded   ErrorCode = 7  // a queue is full
	ErrorInternal     ErrorCode = 8  // the message names nothing secret
	ErrorNotAllowed   ErrorCode = 9  // the session lacks the right
	ErrorUnavailable  ErrorCode = 10 // what handles the route is away or did not answer in time

	FirstGameError ErrorCode = 1000
)

// String is the name in the manual; a game's own codes are "game(1000)".
func (c ErrorCode) String() string {
	switch c {
	case ErrorNone:
		return "none"
	case ErrorUnknownRoute:
		return "unknown_route"
	case ErrorWrongState:
		return "wrong_state"
	case ErrorTooLarge:
		return "too_large"
	case ErrorMalformed:
		return "malformed"
	case ErrorRateLimited:
		return "rate_limited"
	case ErrorUnauthorized:
		return "unauthorized"
	case ErrorOverloaded:
		return "overloaded"
	case ErrorInternal:
		return "internal"
	case ErrorNotAllowed:
		return "not_allowed"
	case ErrorUnavailable:
		return "unavailable"
	}
	if c >= FirstGameError {
		return "game(" + strconv.FormatUint(uint64(c), 10) + ")"
	}
	return "error(" + strconv.FormatUint(uint64(c), 10) + ")"
}

// DisconnectCode is a WebSocket close code with a policy: 4000-4499 reconnect with back-off, 4500-4999 terminal.
type DisconnectCode uint16

// The disconnect codes; their names are the close reasons.
const (
	DisconnectServerShutdown   DisconnectCode = 4000
	DisconnectSlowConsumer     DisconnectCode = 4001
	DisconnectIdleTimeout      DisconnectCode = 4002
	DisconnectServerLost       DisconnectCode = 4003
	DisconnectOverloaded       DisconnectCode = 4004
	DisconnectHandshakeTimeout DisconnectCode = 4005
	DisconnectBadRecord        DisconnectCode = 4010
	DisconnectKeyUnknown       DisconnectCode = 4011
	DisconnectTicketRefused    DisconnectCode = 4012

	DisconnectBadHandshake       DisconnectCode = 4500
	DisconnectTextMessage        DisconnectCode = 4501
	DisconnectBadFrame           DisconnectCode = 4502
	DisconnectRecordTooLarge     DisconnectCode = 4503
	DisconnectVersionRefused     DisconnectCode = 4504
	DisconnectSchemaMismatch     DisconnectCode = 4505
	DisconnectBadToken           DisconnectCode = 4506
	DisconnectSuperseded         DisconnectCode = 4507
	DisconnectKicked             DisconnectCode = 4508
	DisconnectWebsocketViolation DisconnectCode = 4509
	DisconnectBanned             DisconnectCode = 4510
	DisconnectFlooding           DisconnectCode = 4511
	DisconnectResumedElsewhere   DisconnectCode = 4512
)

// Reconnect says whether a client may come back by itself after c. Codes outside 4000-4999 are the transport's own
// (1006 and such): the connection was lost without a reason, so the answer is yes, except 1002, 1003, 1007-1010, where
// repeating the same bytes would end the same way.
func (c DisconnectCode) Reconnect() bool {
	switch {
	case c >= 4000 && c <= 4499:
		return true
	case c >= 4500 && c <= 4999:
		return false
	}
	return c != 1002 && c != 1003 && (c < 1007 || c > 1010)
}

// String is the close reason.
func (c DisconnectCode) String() string {
	switch c {
	case DisconnectServerShutdown:
		return "server_shutdown"
	case DisconnectSlowConsumer:
		return "slow_consumer"
	case DisconnectIdleTimeout:
		return "idle_timeout"
	case DisconnectServerLost:
		return "server_lost"
	case DisconnectOverloaded:
		return "overloaded"
	case DisconnectHandshakeTimeout:
		return "handshake_timeout"
	case DisconnectBadRecord:
		return "bad_record"
	case DisconnectKeyUnknown:
		return "key_unknown"
	case DisconnectTicketRefused:
		return "ticket_refused"
	case DisconnectBadHandshake:
		return "bad_handshake"
	case DisconnectTextMessage:
		return "text_message"
	case DisconnectBadFrame:
		return "bad_frame"
	case DisconnectRecordTooLarge:
		return "record_too_large"
	case DisconnectVersionRefused:
		return "version_refused"
	case DisconnectSchemaMismatch:
		return "schema_mismatch"
	case DisconnectBadToken:
		return "bad_token"
	case DisconnectSuperseded:
		return "superseded"
	case DisconnectKicked:
		return "kicked"
	case DisconnectWebsocketViolation:
		return "websocket_violation"
	case DisconnectBanned:
		return "banned"
	case DisconnectFlooding:
		return "flooding"
	case DisconnectResumedElsewhere:
		return "resumed_elsewhere"
	}
	return "disconnect(" + strconv.Itoa(int(c)) + ")"
}

// ErrorCodes lists the framework's error codes, ErrorNone left out.
func ErrorCodes() []ErrorCode {
	return []ErrorCode{ErrorUnknownRoute, ErrorWrongState, ErrorTooLarge, ErrorMalformed, ErrorRateLimited, ErrorUnauthorized, ErrorOverloaded, ErrorInternal, ErrorNotAllowed, ErrorUnavailable}
}

// Meaning says in the manual's words what happened; "" for codes that are not the framework's.
func (c ErrorCode) Meaning() string {
	switch c {
	case ErrorUnknownRoute:
		return "no such route, or it is not for this direction or frame type"
	case ErrorWrongState:
		return "not allowed in the session's state (log in first)"
	case ErrorTooLarge:
		return "payload above the route's maximum"
	case ErrorMalformed:
		return "payload does not parse"
	case ErrorRateLimited:
		return "slow down; `retry_after_ms` says how long"
	case ErrorUnauthorized:
		return "token refused"
	case ErrorOverloaded:
		return "a queue is full; try again"
	case ErrorInternal:
		return "our fault; the message names nothing secret"
	case ErrorNotAllowed:
		return "the session lacks the right"
	case ErrorUnavailable:
		return "what handles the route is away or did not answer in time; whether it acted is not known"
	}
	return ""
}

// DisconnectCodes lists the disconnect codes of our own, ascending.
func DisconnectCodes() []DisconnectCode {
	return []DisconnectCode{
		DisconnectServerShutdown, DisconnectSlowConsumer, DisconnectIdleTimeout, DisconnectServerLost, DisconnectOverloaded, DisconnectHandshakeTimeout,
		DisconnectBadRecord, DisconnectKeyUnknown, DisconnectTicketRefused,
		DisconnectBadHandshake, DisconnectTextMessage, DisconnectBadFrame, DisconnectRecordTooLarge, DisconnectVersionRefused, DisconnectSchemaMismatch,
		DisconnectBadToken, DisconnectSuperseded, DisconnectKicked, DisconnectWebsocketViolation, DisconnectBanned, DisconnectFlooding, DisconnectResumedElsewhere,
	}
}

// Meaning says in the manual's words why the connection ended; "" for codes that are not our own.
func (c DisconnectCode) Meaning() string {
	switch c {
	case DisconnectServerShutdown:
		return "the server stops or restarts"
	case DisconnectSlowConsumer:
		return "the client read more slowly than its messages came"
	case DisconnectIdleTimeout:
		return "nothing came from the client for too long"
	case DisconnectServerLost:
		return "the gateway lost the server that runs the session"
	case DisconnectOverloaded:
		return "there are too many connections or sessions"
	case DisconnectHandshakeTimeout:
		return "handshake or login took too long"
	case DisconnectBadRecord:
		return "a record was lost, repeated, reordered or changed on the way"
	case DisconnectKeyUnknown:
		return "the server no longer has the key that the handshake used"
	case DisconnectTicketRefused:
		return "the ticket opens no session: log in anew"
	case DisconnectBadHandshake:
		return "the handshake does not parse or fails"
	case DisconnectTextMessage:
		return "a text message on a binary connection"
	case DisconnectBadFrame:
		return "a frame does not parse"
	case DisconnectRecordTooLarge:
		return "a record above the server's maximum"
	case DisconnectVersionRefused:
		return "client and server share no version of the protocol"
	case DisconnectSchemaMismatch:
		return "client and server were made from schemas that do not understand each other"
	case DisconnectBadToken:
		return "the login token was refused"
	case DisconnectSuperseded:
		return "a newer login of the same player took over"
	case DisconnectKicked:
		return "an operator or the game ended the session"
	case DisconnectWebsocketViolation:
		return "the client broke the rules of WebSocket, or of length-prefixed TCP"
	case DisconnectBanned:
		return "an operator shut the player out"
	case DisconnectFlooding:
		return "the client went on sending too much after a WARNING"
	case DisconnectResumedElsewhere:
		return "the session goes on over another connection, which used its ticket"
	}
	return ""
}
