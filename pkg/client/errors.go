package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// The errors of a client, to compare with errors.Is.
var (
	// ErrFull is returned for a message that finds no room: a megabyte waits for a connection that takes nothing or for answers, or it fits no record.
	ErrFull = errors.New("client: no room for the message")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("client: closed")
	// ErrAway is returned by Push while there is no connection: pushes are lost with one. What has to arrive is a request.
	ErrAway = errors.New("client: there is no connection at the moment, and pushes do not wait for one")
	// ErrNotRecovered is wrapped by what Serve returns when a session was lost and no new one could be had, with the reason of the loss; and by what a request
	// returns whose session was lost.
	ErrNotRecovered = errors.New("client: the session could not be recovered")
	// ErrNotExecuted is wrapped by the error of a request that never left this client: nobody has acted on it.
	ErrNotExecuted = errors.New("client: the request was not executed")
	// ErrUnknownOutcome is wrapped by the error of a request that was sent and whose answer will not come: the server may have acted on it.
	ErrUnknownOutcome = errors.New("client: whether the request was executed is not known")
	// ErrBroken is wrapped by the end of a connection whose server broke the rules of the session.
	ErrBroken = errors.New("client: the server breaks the rules of the session")
	// ErrSilent is the end of a connection on which nothing was heard for as long as the server itself would wait.
	ErrSilent = errors.New("client: nothing was heard from the server")
)

// errGoaway: the connection was left because its gateway asked for it.
var errGoaway = errors.New("client: left as the gateway asked")

// Error is an error that the server sent.
type Error struct {
	Code       protocol.ErrorCode
	Message    string
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("server says %s: %s", e.Code, e.Message) }

// KickError is what Serve returns after the server ended the session and said why.
type KickError struct {
	Code   protocol.DisconnectCode
	Reason string
}

// Error implements error.
func (e *KickError) Error() string { return fmt.Sprintf("kicked: %s: %s", e.Code, e.Reason) }

// lostSession is the server's answer that it does not know the session any more.
type lostSession struct{ reason string }

func (e *lostSession) Error() string {
	if e.reason == "" {
		return "the server does not know the session any more"
	}
	return "the server does not know the session any more: " + e.reason
}

// loginError is a failure of Config.Login.
type loginError struct{ err error }

func (e *loginError) Error() string { return fmt.Sprintf("no token for a new login: %v", e.err) }
func (e *loginError) Unwrap() error { return e.err }

// notRecovered is the end of a client that lost its session: why it cannot come back, and what ended the last connection that it had.
func notRecovered(why, cause error) error {
	if why == nil || errors.Is(cause, why) {
		return fmt.Errorf("%w: %w", ErrNotRecovered, cause)
	}
	return fmt.Errorf("%w: %w (the connection ended with: %w)", ErrNotRecovered, why, cause)
}
