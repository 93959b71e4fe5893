package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Reconnect says what a client does when its connection is lost. The zero value comes back: with the ticket of its session while that may be good, and then, if
// Config.Login is set, by a new login.
type Reconnect struct {
	// Off ends Serve with the connection.
	Off bool
	// First is the most that the first attempt waits; the wait is drawn at random. Default 50 ms.
	First time.Duration
	// Base and Most bound the wait before each further round through the gateways: drawn at random from 0 to min(Most, Base·2^n). Default 500 ms and 10 s.
	Base, Most time.Duration
	// Attempt bounds one attempt, from the dial to the answer. Default 10 s.
	Attempt time.Duration
	// GiveUp ends Serve after so long without a session. Default 5 minutes. Without Config.Login it ends as soon as the ticket cannot be good any more.
	GiveUp time.Duration
}

func (r *Reconnect) validate() error {
	for _, f := range []struct {
		name  string
		field *time.Duration
		def   time.Duration
	}{
		{"First", &r.First, 50 * time.Millisecond}, {"Base", &r.Base, 500 * time.Millisecond}, {"Most", &r.Most, 10 * time.Second},
		{"Attempt", &r.Attempt, 10 * time.Second}, {"GiveUp", &r.GiveUp, 5 * time.Minute},
	} {
		if *f.field < 0 {
			return fmt.Errorf("client: Reconnect.%s %v is negative", f.name, *f.field)
		}
		if *f.field == 0 {
			*f.field = f.def
		}
	}
	return nil
}

// maxBroken is how many connections in a row may end because the server breaks the rules.
const maxBroken = 5

// unknownLinger is for how long a ticket is tried whose server does not say.
const unknownLinger = time.Minute

// verdict is what a failure means for what comes next.
type verdict uint8

const (
	again verdict = iota // the same way, after a wait
	anew                 // the ticket is worth nothing: log in
	over                 // trying again will not help
)

// judge reads a failure: of an attempt, or of a connection that the session lived on.
func judge(err error) verdict {
	var (
		kick   *KickError
		closed *network.CloseError
		reject *security.Reject
		lost   *lostSession
		login  *loginError
		server *Error
	)
	switch {
	case errors.As(err, &kick):
		return byCode(kick.Code)
	case errors.As(err, &login):
		return over
	case errors.As(err, &lost):
		return anew
	case errors.As(err, &reject):
		switch reject.Code {
		case security.RejectTicket, security.RejectSuite:
			return anew
		case security.RejectVersion, security.RejectKeyUnknown: // a new key that can be trusted was tried already
			return over
		}
		return again
	case errors.As(err, &server): // it refuses a login
		switch server.Code {
		case protocol.ErrorRateLimited, protocol.ErrorOverloaded, protocol.ErrorInternal, protocol.ErrorUnavailable:
			return again
		}
		return over
	case errors.Is(err, delta.ErrIncompatible), badCert(err):
		return over
	case errors.As(err, &closed) && !closed.Local && closed.Code >= 4000:
		return byCode(protocol.DisconnectCode(closed.Code))
	}
	return again
}

func byCode(c protocol.DisconnectCode) verdict {
	if c >= 4500 && c <= 4999 {
		return over
	}
	return again
}

// badCert tells whether the certificate of the server's key cannot be used, whichever gateway is tried.
func badCert(err error) bool {
	for _, bad := range []error{security.ErrCertSize, security.ErrCertVersion, security.ErrCertForged, security.ErrCertExpired, security.ErrCertNotYetValid, security.ErrCertSuite} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

// brokenBy tells whether a connection ended because its server broke the rules: coming back at once could go on for ever.
func brokenBy(err error) bool {
	var frame *protocol.FrameError
	return errors.Is(err, ErrBroken) || errors.Is(err, replica.ErrMalformed) || errors.Is(err, security.ErrBadRecord) || errors.As(err, &frame)
}

// comeback is the course of one return: from a lost connection to the next one, or to the end. It is plain arithmetic: time and chance are given.
type comeback struct {
	cfg      Reconnect
	gateways int                 // how many there are to try in turn
	chance   func(n int64) int64 // uniform in 0 … n-1
	since    time.Time           // of the loss
	cause    error               // of the loss
	attempts int                 // made so far
	failure  error               // of the last attempt
	broken   int                 // connections in a row that a broken server ended
}

// next decides what follows failure: how long to wait, and whether to come with the ticket or with a login; or the end. expires is when the ticket is worth nothing any
// more, the zero time without one; login tells whether there can be a login.
func (b *comeback) next(now, expires time.Time, login bool) (wait time.Duration, resume bool, end error) {
	v := judge(b.cause)
	if b.attempts > 0 {
		v = judge(b.failure)
	}
	reason := b.failure
	switch {
	case v == over && b.attempts == 0:
		return 0, false, b.cause
	case v == over:
		return 0, false, notRecovered(reason, b.cause)
	case b.broken >= maxBroken:
		return 0, false, notRecovered(fmt.Errorf("%d connections in a row ended like this", b.broken), b.cause)
	}
	if wait = b.wait(); v == anew {
		wait = b.draw(b.cfg.First) // it was told at once, and a login is another matter
	}
	if server := (*Error)(nil); b.attempts > 0 && errors.As(b.failure, &server) {
		wait = max(wait, server.RetryAfter)
	}
	at := now.Add(wait)
	resume = v == again && at.Before(expires)
	switch {
	case resume:
	case !login && expires.IsZero() && reason == nil:
		return 0, false, notRecovered(errors.New("the server gave no ticket to resume with"), b.cause)
	case !login:
		return 0, false, notRecovered(reason, b.cause)
	}
	if at.Sub(b.since) > b.cfg.GiveUp {
		return 0, false, notRecovered(fmt.Errorf("given up after %v, the last attempt: %w", now.Sub(b.since).Round(time.Second), orCause(reason, b.cause)), b.cause)
	}
	return wait, resume, nil
}

func orCause(err, cause error) error {
	if err == nil {
		return cause
	}
	return err
}

// wait is that before the next attempt. In the first round through the gateways nobody waits but to be apart from the others who lost the same gateway.
func (b *comeback) wait() time.Duration {
	round := b.attempts/max(b.gateways, 1) + b.broken
	if round == 0 || b.attempts%max(b.gateways, 1) != 0 {
		return b.draw(b.cfg.First)
	}
	most := b.cfg.Most
	if shift := round - 1; shift < 32 && b.cfg.Base<<shift > 0 {
		most = min(most, b.cfg.Base<<shift)
	}
	return b.draw(most)
}

func (b *comeback) draw(most time.Duration) time.Duration {
	return time.Duration(b.chance(int64(most) + 1))
}

// movesOn tells whether a connection ended because its gateway goes away, so that another one is the better choice.
func movesOn(cause error) bool {
	var kick *KickError
	return errors.Is(cause, errGoaway) || errors.As(cause, &kick) && kick.Code == protocol.DisconnectServerShutdown
}
