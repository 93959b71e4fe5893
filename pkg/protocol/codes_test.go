package protocol

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryCodeIsListedOnceAndExplained(t *testing.T) {
	disconnects := DisconnectCodes()
	for c := DisconnectCode(0); c < 10000; c++ {
		named := !strings.HasPrefix(c.String(), "disconnect(")
		if listed := slices.Contains(disconnects, c); listed != named || listed != (c.Meaning() != "") {
			t.Errorf("%d %v: listed %t, means %q", c, c, listed, c.Meaning())
		}
	}
	if !slices.IsSorted(disconnects) || len(slices.Compact(slices.Clone(disconnects))) != len(disconnects) {
		t.Errorf("disconnect codes are %v", disconnects)
	}
	errors := ErrorCodes()
	for c := ErrorNone + 1; c < FirstGameError; c++ {
		named := !strings.HasPrefix(c.String(), "error(")
		if listed := slices.Contains(errors, c); listed != named || listed != (c.Meaning() != "") {
			t.Errorf("%d %v: listed %t, means %q", c, c, listed, c.Meaning())
		}
	}
	if !slices.IsSorted(errors) || slices.Contains(errors, ErrorNone) || ErrorNone.Meaning() != "" || FirstGameError.Meaning() != "" {
		t.Errorf("error codes are %v", errors)
	}
}
