//go:build !race

package aoi

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A million calls by default; -ops 100000000 takes less than an hour of one core.
// Each call is made in one space per kernel and in one that shares its ticks
// among goroutines, and counted once.
func TestMillionOperations(t *testing.T) {
	limit := *flagOps
	switch {
	case limit > 0:
	case testing.Short():
		limit = 100_000
	default:
		limit = 1_000_000
	}
	all := worlds
	if *flagWorld != "" {
		all = slices.DeleteFunc(slices.Clone(worlds), func(w world) bool { return w.name != *flagWorld })
	}
	if len(all) == 0 {
		t.Fatalf("no world %q", *flagWorld)
	}
	started, told := time.Now(), time.Now()
	done := 0
	for i := 0; done < limit; i++ {
		done += episodeOf(all[i%len(all)], *flagSeed+uint64(i), limit).run(t)
		if *flagOps > 0 && time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Printf("%d of %d operations, %v, no divergence\n", done, limit, time.Since(started).Round(time.Second))
		}
	}
	t.Logf("%d operations over %d worlds in %v, no divergence", done, len(all), time.Since(started).Round(time.Millisecond))
}
