//go:build !race

package main

import (
	"path/filepath"
	"testing"
)

// raced says that the race detector runs, under which brute force takes forty times as long: the tests do less then.
const raced = false

func TestEveryWorkloadEqualsBruteForceForLonger(t *testing.T) {
	if testing.Short() {
		everyWorkloadEqualsBruteForce(t, "400", "20")
	} else {
		everyWorkloadEqualsBruteForce(t, "900", "50")
	}
}

func TestGridEqualsBruteForceForLonger(t *testing.T) { gridEqualsBruteForce(t, 30) }

func TestEveryWorkloadCanBeDrawn(t *testing.T) {
	dir := t.TempDir()
	for i, w := range workloads() {
		if testing.Short() && i != 4 { // a crowd
			continue
		}
		if code, _, faults := command("-png", filepath.Join(dir, "a.png"), "-workload", w.name, "-entities", "300", "-ticks", "3"); code != exitOK {
			t.Errorf("%s: exit code %d: %s", w.name, code, faults)
		}
	}
}
