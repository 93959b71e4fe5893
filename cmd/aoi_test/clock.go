package main

import (
	"bytes"
	"cmp"
	"os"
	"runtime"
	"strings"
	"time"
)

// wallClock counts from now on.
func wallClock() (now func() time.Duration, name string) {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }, "wall time"
}

// clockFor is what work by so many threads is measured with: the time of one thread says nothing about several.
func clockFor(workers int) (now func() time.Duration, name string) {
	if workers > 1 {
		return wallClock()
	}
	return threadClock()
}

// processor is the name of the machine's, or at least of its architecture.
func processor() string {
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range bytes.Lines(text) {
			if key, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return cmp.Or(strings.TrimSpace(os.Getenv("PROCESSOR_IDENTIFIER")), runtime.GOARCH) // Windows says it there
}
