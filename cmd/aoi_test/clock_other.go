//go:build !linux

package main

import "time"

// threadClock is wall time where a thread's CPU time is not to be had.
func threadClock() (now func() time.Duration, name string) { return wallClock() }

// processTime is 0: the CPU time of all threads is not to be had.
func processTime() time.Duration { return 0 }
