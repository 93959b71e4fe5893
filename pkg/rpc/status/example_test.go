package status_test

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func Example() {
	// A handler answers with a code, words for a person and details for a program.
	refusal, err := status.New(status.ResourceExhausted, "the zone is full").WithDetails(&durationpb.Duration{Seconds: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	wire := refusal.AppendWire(nil)

	// Its caller gets all of that back.
	arrived, err := status.ParseWire(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = fmt.Errorf("move player 7: %w", arrived)
	fmt.Println(err)
	fmt.Println(errors.Is(err, status.ResourceExhausted.Err()), status.CodeOf(err))
	var retryAfter durationpb.Duration
	fmt.Println(status.Of(err).Detail(&retryAfter), retryAfter.AsDuration())
	// Output:
	// move player 7: RESOURCE_EXHAUSTED: the zone is full
	// true RESOURCE_EXHAUSTED
	// true 3s
}

func Example_retry() {
	err := error(status.NotSentf(status.Unavailable, "no instance of world is ready"))
	fmt.Println(err)
	fmt.Println("safe to repeat:", errors.Is(err, status.ErrNotSent))
	// Output:
	// UNAVAILABLE: no instance of world is ready (not sent)
	// safe to repeat: true
}
