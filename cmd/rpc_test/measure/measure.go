// Package measure is what rpc_test and the rivals of tools/rivals have in common, so that all systems are measured by the same code: a closed loop of callers, a histogram
// of latencies, the processor time and the allocations of a process, and the lines that a measured process exchanges with the one that orders the measurements.
//
// Closed starts its callers and returns when all have stopped. A Histogram belongs to one goroutine. Serve answers until its input ends. Nothing else runs here.
package measure

import (
	"runtime"
	"sync"
	"time"
)

// Cell is one measurement: so many callers, each with one call after the other in flight, for so long.
type Cell struct {
	Payload  int           `json:"payload"` // bytes
	Callers  int           `json:"callers"`
	Duration time.Duration `json:"duration_ns"`
}

// Result of a cell, as the calling process sees it.
type Result struct {
	Calls   uint64        `json:"calls"` // answered, and rightly, within the time
	Late    uint64        `json:"late"`  // begun within the time and answered after it; Usage holds their cost too
	Errors  uint64        `json:"errors"`
	Error   string        `json:"error,omitempty"` // the first one
	Elapsed time.Duration `json:"elapsed_ns"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Usage   Usage         `json:"usage"` // of the calling process, meanwhile
}

// Usage is what a process has used since it began, or between two such moments.
type Usage struct {
	CPU     time.Duration `json:"cpu_ns"` // of user and system; 0 where the system does not tell
	Mallocs uint64        `json:"mallocs"`
}

// Sub is what was used since then.
func (u Usage) Sub(then Usage) Usage { return Usage{u.CPU - then.CPU, u.Mallocs - then.Mallocs} }

// Add is what two processes used.
func (u Usage) Add(other Usage) Usage {
	return Usage{u.CPU + other.CPU, u.Mallocs + other.Mallocs}
}

// Used is what this process has used since it began. It stops the world for a moment.
func Used() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{CPU: cpuTime(), Mallocs: m.Mallocs}
}

// Closed runs a cell. Each of the functions is a caller and makes one call each time; it is called by one goroutine. Callers stop by themselves when the time is over; a
// call that has begun by then is waited for and not counted.
func Closed(cell Cell, callers []func() error) Result {
	type caller struct {
		hist   Histogram
		late   uint64
		errors uint64
		err    error
		_      [64]byte // the next caller's fields are on another cache line
	}
	var (
		state = make([]caller, len(callers))
		ready sync.WaitGroup
		done  sync.WaitGroup
		start = make(chan struct{})
		end   time.Time // set before start is closed
	)
	ready.Add(len(callers))
	for i, call := range callers {
		done.Go(func() {
			me := &state[i]
			ready.Done()
			<-start
			for before := time.Now(); before.Before(end); {
				err := call()
				after := time.Now()
				switch {
				case err != nil:
					me.errors++
					if me.err == nil {
						me.err = err
					}
				case after.Before(end):
					me.hist.Record(after.Sub(before))
				default:
					me.late++
				}
				before = after
			}
		})
	}
	ready.Wait()
	used := Used()
	began := time.Now()
	end = began.Add(cell.Duration)
	close(start)
	done.Wait()
	result := Result{Elapsed: cell.Duration, Usage: Used().Sub(used)}

	var all Histogram
	for i := range state {
		all.Merge(&state[i].hist)
		result.Late += state[i].late
		result.Errors += state[i].errors
		if err := state[i].err; err != nil && result.Error == "" {
			result.Error = err.Error()
		}
	}
	result.Calls, result.P50, result.P99 = all.Count(), all.Quantile(0.50), all.Quantile(0.99)
	return result
}
