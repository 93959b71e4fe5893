package status_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func TestCodesBearTheNamesAndNumbersOfGRPC(t *testing.T) {
	want := []string{"OK", "CANCELED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", "CODE(17)"}
	for c, name := range want {
		if got := status.Code(c).String(); got != name {
			t.Errorf("code %d is %s, want %s", c, got, name)
		}
	}
	if got := status.Code(1<<32 - 1).String(); got != "CODE(4294967295)" {
		t.Error(got)
	}
	if status.Unauthenticated != 16 {
		t.Error("UNAUTHENTICATED must be 16")
	}
}

func TestErrorsMatchByCodeContextAndFate(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("outer: %w", err) }
	detailed, err := status.New(status.NotFound, "").WithDetails(&durationpb.Duration{})
	if err != nil {
		t.Fatal(err)
	}
	same := status.New(status.NotFound, "x")
	tests := []struct {
		name        string
		err, target error
		want        bool
	}{
		{"code", status.New(status.NotFound, "x"), status.NotFound.Err(), true},
		{"code, wrapped", wrap(status.New(status.NotFound, "x")), status.NotFound.Err(), true},
		{"another code", status.New(status.NotFound, "x"), status.Internal.Err(), false},
		{"an Error without a message", status.New(status.NotFound, "x"), status.New(status.NotFound, ""), true},
		{"an Error with a message", status.New(status.NotFound, "x"), status.New(status.NotFound, "x"), false},
		{"an Error with details", status.New(status.NotFound, "x"), detailed, false},
		{"itself", same, same, true},
		{"bare against bare", status.NotFound.Err(), status.NotFound.Err(), true},
		{"bare against Error", wrap(status.NotFound.Err()), status.New(status.NotFound, ""), true},
		{"bare canceled", status.Canceled.Err(), context.Canceled, true},
		{"canceled", wrap(status.New(status.Canceled, "x")), context.Canceled, true},
		{"deadline", status.New(status.DeadlineExceeded, "x"), context.DeadlineExceeded, true},
		{"deadline is not canceled", status.New(status.DeadlineExceeded, "x"), context.Canceled, false},
		{"not sent", wrap(status.NotSentf(status.Unavailable, "x")), status.ErrNotSent, true},
		{"maybe executed", status.MaybeExecutedf(status.Unavailable, "x"), status.ErrMaybeExecuted, true},
		{"not sent is not maybe executed", status.NotSentf(status.Unavailable, "x"), status.ErrMaybeExecuted, false},
		{"answered is neither", status.New(status.Unavailable, "x"), status.ErrNotSent, false},
		{"code and fate", status.NotSentf(status.Unavailable, "x"), status.NotSentf(status.Unavailable, ""), true},
		{"code and another fate", status.NotSentf(status.Unavailable, "x"), status.MaybeExecutedf(status.Unavailable, ""), false},
		{"any fate", status.NotSentf(status.Unavailable, "x"), status.Unavailable.Err(), true},
		{"nil Error", (*status.Error)(nil), status.Unknown.Err(), false},
		{"stranger", status.New(status.NotFound, "x"), io.EOF, false},
	}
	for _, test := range tests {
		if got := errors.Is(test.err, test.target); got != test.want {
			t.Errorf("%s: errors.Is(%v, %v) = %v", test.name, test.err, test.target, got)
		}
	}
	if status.OK.Err() != nil {
		t.Error("OK is an error")
	}
	if status.NotFound.Err() != status.NotFound.Err() || status.NotFound.Err() == status.Internal.Err() {
		t.Error("bare errors do not compare by code")
	}
}

func TestOfMakesAnErrorOfAnything(t *testing.T) {
	mine := status.New(status.Aborted, "lost the race")
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(io.EOF)
	tests := []struct {
		name string
		err  error
		code status.Code
		text string
	}{
		{"itself", mine, status.Aborted, "ABORTED: lost the race"},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", mine)), status.Aborted, "ABORTED: lost the race"},
		{"joined", errors.Join(io.EOF, mine), status.Aborted, "ABORTED: lost the race"},
		{"bare", status.NotFound.Err(), status.NotFound, "NOT_FOUND"},
		{"bare, wrapped", fmt.Errorf("a: %w", status.NotFound.Err()), status.NotFound, "NOT_FOUND"},
		{"canceled", cancelled.Err(), status.Canceled, "CANCELED: context canceled"},
		{"deadline, wrapped", fmt.Errorf("read: %w", context.DeadlineExceeded), status.DeadlineExceeded, "DEADLINE_EXCEEDED: read: context deadline exceeded"},
		{"stranger", io.EOF, status.Unknown, "UNKNOWN: EOF"},
		{"an error with code OK", status.New(status.OK, "x"), status.Unknown, "UNKNOWN: an error with code OK: x"},
		{"fate", status.MaybeExecutedf(status.Unavailable, "lost %d", 1), status.Unavailable, "UNAVAILABLE: lost 1 (maybe executed)"},
	}
	for _, test := range tests {
		if got := status.Of(test.err); got.Code != test.code || got.Error() != test.text {
			t.Errorf("%s: Of is %v, want %s", test.name, got, test.text)
		}
		if got := status.CodeOf(test.err); got != test.code {
			t.Errorf("%s: CodeOf is %v, want %v", test.name, got, test.code)
		}
	}
	if status.Of(mine) != mine {
		t.Error("Of copies an *Error")
	}
	if status.Of(nil) != nil || status.CodeOf(nil) != status.OK {
		t.Error("nil is an error")
	}
	var none *status.Error
	if status.Of(none) != nil || status.CodeOf(none) != status.OK || none.Error() != "OK" || none.Detail(&durationpb.Duration{}) {
		t.Error("a nil *Error is an error")
	}
}

func TestDetailsAreFoundByType(t *testing.T) {
	base := status.New(status.ResourceExhausted, "full")
	e, err := base.WithDetails(wrapperspb.String("one"), wrapperspb.Int64(2))
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.WithDetails(wrapperspb.String("three"))
	if err != nil {
		t.Fatal(err)
	}
	if len(base.Details) != 0 || len(e.Details) != 2 || len(again.Details) != 3 {
		t.Fatalf("WithDetails changes its receiver: %d, %d, %d details", len(base.Details), len(e.Details), len(again.Details))
	}
	var text wrapperspb.StringValue
	var number wrapperspb.Int64Value
	if !again.Detail(&text) || text.Value != "one" || !again.Detail(&number) || number.Value != 2 {
		t.Errorf("details came back as %q and %d", text.Value, number.Value)
	}
	if again.Detail(&durationpb.Duration{}) {
		t.Error("found a detail that is not there")
	}
	damaged := *again
	damaged.Details = append(damaged.Details[:0:0], again.Details...)
	damaged.Details[0] = nil
	damaged.Details[2].Value = []byte{0xff}
	if text.Reset(); damaged.Detail(&text) {
		t.Error("a damaged detail was found")
	}
}

func TestDetailsThatDoNotTravelAreRefused(t *testing.T) {
	e := status.New(status.Internal, "x")
	if _, err := e.WithDetails(wrapperspb.Bytes(make([]byte, status.MaxWire))); err == nil {
		t.Error("a detail larger than the wire was taken")
	}
	if _, err := e.WithDetails(wrapperspb.String("\xff")); err == nil {
		t.Error("a message that cannot be marshalled was taken")
	}
	var err error
	for range status.MaxDetails {
		if e, err = e.WithDetails(wrapperspb.Int64(1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.WithDetails(wrapperspb.Int64(1)); err == nil {
		t.Error("one detail too many was taken")
	}
}

func TestFatesAreInWords(t *testing.T) {
	for f, want := range map[status.Fate]string{status.Answered: "answered", status.NotSent: "not sent", status.MaybeExecuted: "maybe executed", 9: "fate(9)"} {
		if got := f.String(); got != want {
			t.Errorf("fate %d is %q, want %q", f, got, want)
		}
	}
}
