// Package status is the errors that travel with a call: the codes of gRPC, a message, details, and whether the call may have been executed.
//
// An *Error is a value: whoever made it may fill it, and from then on nobody changes it, so any goroutine may read it. Nothing here runs, so nothing has to be stopped.
//
// Callers ask with the standard library:
//
//	errors.Is(err, status.NotFound.Err())  // by code
//	errors.Is(err, status.ErrNotSent)      // by fate: a retry is safe whatever the call does
//	errors.Is(err, context.Canceled)       // Canceled and DeadlineExceeded are those of package context too
//	status.CodeOf(err)
package status

import (
	"errors"
	"strconv"
)

// Code says what kind of error it is. Numbers and meanings are those of gRPC; other numbers may arrive from a newer peer and are kept.
type Code uint32

// The codes.
const (
	OK                 Code = 0  // no error
	Canceled           Code = 1  // the caller gave up
	Unknown            Code = 2  // an error without a code
	InvalidArgument    Code = 3  // the request is wrong, whatever the state of the world
	DeadlineExceeded   Code = 4  // too late; it may have been executed all the same
	NotFound           Code = 5  // what was asked for does not exist
	AlreadyExists      Code = 6  // what should be made exists
	PermissionDenied   Code = 7  // the caller is known and may not
	ResourceExhausted  Code = 8  // a quota or queue is full
	FailedPrecondition Code = 9  // the state of the world is wrong; do not repeat before it was put right
	Aborted            Code = 10 // lost against another; repeat the whole
	OutOfRange         Code = 11 // beyond the end
	Unimplemented      Code = 12 // no such method here
	Internal           Code = 13 // a broken invariant
	Unavailable        Code = 14 // not now; repeat later
	DataLoss           Code = 15 // data is gone or damaged
	Unauthenticated    Code = 16 // the caller is not known
)

// names are indexed by code and never change.
var names = [...]string{"OK", "CANCELED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// String is the name that gRPC documents, such as RESOURCE_EXHAUSTED, or CODE(42) for a number without a name.
func (c Code) String() string {
	if int64(c) < int64(len(names)) {
		return names[c]
	}
	return "CODE(" + strconv.FormatUint(uint64(c), 10) + ")"
}

// Err is the bare error of this code, nil for OK. It is a target for errors.Is, compares with ==, and does for a handler that has nothing to add.
// It allocates nothing for the codes above.
func (c Code) Err() error {
	if c == OK {
		return nil
	}
	return bare(c)
}

// bare is a code as an error. Unlike an *Error it is comparable and fits into an interface without an allocation.
type bare Code

func (b bare) Error() string { return Code(b).String() }

func (b bare) Is(target error) bool { return matches(Code(b), Answered, target) }

// As lets errors.As find an *Error whether or not the handler had something to add.
func (b bare) As(target any) bool {
	if p, ok := target.(**Error); ok {
		*p = &Error{Code: Code(b)}
		return true
	}
	return false
}

// Fate says what became of a call that failed. It is known on the caller's side only and does not travel.
type Fate uint8

// The fates.
const (
	Answered      Fate = iota // the peer answered: it was executed
	NotSent                   // certainly never executed: a retry is safe whatever the call does
	MaybeExecuted             // sent, but no answer came: only what is idempotent may be repeated
)

// String is the fate in words.
func (f Fate) String() string {
	switch f {
	case Answered:
		return "answered"
	case NotSent:
		return "not sent"
	case MaybeExecuted:
		return "maybe executed"
	}
	return "fate(" + strconv.Itoa(int(f)) + ")"
}

// ErrNotSent and ErrMaybeExecuted are targets for errors.Is: they match every *Error of that Fate.
var (
	ErrNotSent       = errors.New("rpc: not sent")
	ErrMaybeExecuted = errors.New("rpc: maybe executed")
)
