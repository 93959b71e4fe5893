//go:build !race

package main

import "testing"

// TestMovementDoesNotAllocate: what a world allocates would be counted as the engine's.
func TestMovementDoesNotAllocate(t *testing.T) {
	for _, w := range workloads() {
		world := w.build(small(100))
		if n := testing.AllocsPerRun(60, world.step); n > 0 {
			t.Errorf("%s: %v allocations per tick", w.name, n)
		}
	}
}
