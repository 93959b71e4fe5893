package main

import (
	"bytes"
	"testing"
)

func TestSomeChaosIsSurvived(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 6
	}
	var out bytes.Buffer
	report, err := campaignOf(t.Context(), &chaosOptions{rounds: rounds, seed: 7}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := report.broken(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if report.Rounds != rounds || report.PendingFails == 0 || report.Reconnects == 0 {
		t.Errorf("nothing much happened: %+v\n%s", report, out.String())
	}
}
