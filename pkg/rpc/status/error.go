package status

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Error is why a call failed. A nil *Error means that it did not.
type Error struct {
	Code    Code         // OK makes no sense here: Of takes it for Unknown
	Message string       // for a person; the first MaxMessage bytes travel
	Details []*anypb.Any // for a program; set them with WithDetails
	Fate    Fate         // set by the caller's side; does not travel
}

// New makes an error that the peer answers with.
func New(c Code, msg string) *Error { return &Error{Code: c, Message: msg} }

// Errorf is New with a format. It wraps nothing, not even with %w: causes do not travel.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// NotSentf makes the error of a call that was certainly never executed.
func NotSentf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...), Fate: NotSent}
}

// MaybeExecutedf makes the error of a call that was sent and never answered.
func MaybeExecutedf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...), Fate: MaybeExecuted}
}

// Error is the code, the message, and the fate unless the peer answered: "UNAVAILABLE: connection lost (maybe executed)".
func (e *Error) Error() string {
	if e == nil {
		return OK.String()
	}
	text := e.Code.String()
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Fate != Answered {
		text += " (" + e.Fate.String() + ")"
	}
	return text
}

// Is makes errors.Is match, besides the error itself: any *Error or Code.Err of the same code that has no message or details of its own, and, if it names a fate, of the same
// fate; context.Canceled and context.DeadlineExceeded by code; ErrNotSent and ErrMaybeExecuted by fate.
func (e *Error) Is(target error) bool { return e != nil && matches(e.Code, e.Fate, target) }

func matches(c Code, f Fate, target error) bool {
	switch t := target.(type) {
	case bare:
		return Code(t) == c
	case *Error:
		return t != nil && t.Code == c && t.Message == "" && len(t.Details) == 0 && (t.Fate == Answered || t.Fate == f)
	}
	switch target {
	case context.Canceled:
		return c == Canceled
	case context.DeadlineExceeded:
		return c == DeadlineExceeded
	case ErrNotSent:
		return f == NotSent
	case ErrMaybeExecuted:
		return f == MaybeExecuted
	}
	return false
}

// WithDetails returns a copy of the error with these messages added, which Detail finds again at the other end. It fails when a message cannot be marshalled, or when
// all of them together are more than travels (MaxDetails, MaxWire).
func (e *Error) WithDetails(ms ...proto.Message) (*Error, error) {
	grown := *e
	grown.Details = slices.Clip(slices.Clone(e.Details))
	for _, m := range ms {
		detail, err := anypb.New(m)
		if err != nil {
			return nil, fmt.Errorf("detail %T of a %v error: %w", m, e.Code, err)
		}
		grown.Details = append(grown.Details, detail)
	}
	if _, carried, _ := grown.parts(); carried < len(grown.Details) {
		return nil, fmt.Errorf("details of a %v error: only %d of %d fit: at most %d details and %d bytes in all travel; send large results in the response instead",
			e.Code, carried, len(grown.Details), MaxDetails, MaxWire)
	}
	return &grown, nil
}

// Detail fills m from the first detail of m's type, and reports whether there was one. Details that do not parse are passed over.
func (e *Error) Detail(m proto.Message) bool {
	if e == nil {
		return false
	}
	for _, detail := range e.Details {
		if detail.MessageIs(m) && detail.UnmarshalTo(m) == nil {
			return true
		}
	}
	return false
}

// Of makes an *Error of any error: nil of nil, the first *Error in the chain as it is, Canceled and DeadlineExceeded of the errors of package context, Unknown of
// everything else. An *Error with code OK is Unknown too: whoever returned it did not mean success.
func Of(err error) *Error {
	switch e := err.(type) {
	case nil:
		return nil
	case *Error: // the common case: no reflection, no allocation
		return notOK(e)
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return notOK(e)
	case errors.Is(err, context.Canceled):
		return New(Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, err.Error())
	}
	return New(Unknown, err.Error())
}

func notOK(e *Error) *Error {
	if e == nil || e.Code != OK {
		return e
	}
	fixed := *e
	fixed.Code, fixed.Message = Unknown, "an error with code OK: "+e.Message
	return &fixed
}

// CodeOf is the code of any error: that of Of, OK for nil. It allocates nothing but for errors that wrap.
func CodeOf(err error) Code {
	switch e := err.(type) {
	case nil:
		return OK
	case bare:
		return Code(e)
	case *Error:
		switch {
		case e == nil:
			return OK
		case e.Code == OK:
			return Unknown
		}
		return e.Code
	}
	switch err {
	case context.Canceled:
		return Canceled
	case context.DeadlineExceeded:
		return DeadlineExceeded
	}
	if e := Of(err); e != nil {
		return e.Code
	}
	return OK
}
