package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadClock is the CPU time of the calling thread, which must be locked to its goroutine: what other programs do with the processors in between does not count.
func threadClock() (now func() time.Duration, name string) {
	return func() time.Duration { return readClock(unix.CLOCK_THREAD_CPUTIME_ID) }, "CPU time"
}

// processTime is the CPU time of all threads, 0 where it is not to be had.
func processTime() time.Duration { return readClock(unix.CLOCK_PROCESS_CPUTIME_ID) }

func readClock(id int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t) // every Linux that Go runs on has both clocks
	return time.Duration(t.Nano())
}
