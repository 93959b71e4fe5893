package rpc

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sides, as Metrics are told them.
const (
	SideClient = "client" // calls made
	SideServer = "server" // calls served
)

// Metrics is told what happens, on the goroutine that it happens on: it must be quick, and safe for concurrent use.
type Metrics interface {
	// Call is one call that ended, all its attempts together. A client tells of a stream when it was opened, a server when it ended. transport is "" when there was
	// no connection.
	Call(side, method, transport string, code Code, d time.Duration)
	// Retry is a call that is made once more.
	Retry(method string)
	// Connected and Disconnected are connections of this side.
	Connected(side, transport string)
	Disconnected(side, transport string)
	// Refused is a transport that would have been better but did not work, each time that one is dialled.
	Refused(transport string)
}

// Tracer follows calls through processes. traceparent is carried as metadata of that name, in whatever form the tracer likes.
type Tracer interface {
	ClientCall(ctx context.Context, method string) (_ context.Context, traceparent []byte, end func(error))
	ServerCall(ctx context.Context, method string, traceparent []byte) (_ context.Context, end func(error))
}

// Counters is a Metrics that counts in memory. The zero value works; any goroutine may use it.
type Counters struct {
	mu     sync.RWMutex
	series map[seriesKey]*series
	conns  map[connKey]*connCounts

	retries atomic.Uint64
}

type seriesKey struct{ side, method, transport string }
type connKey struct{ side, transport string }

type series struct {
	codes [17]atomic.Uint64 // by code; others count as Unknown
	sum   atomic.Uint64     // ns
	times [buckets]atomic.Uint64
}

type connCounts struct{ connected, disconnected, refused atomic.Uint64 }

// Four buckets for each power of two of nanoseconds: a quantile is at most a quarter too high.
const buckets = 4 * 64

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 4 {
		return int(v)
	}
	e := bits.Len64(v) - 1
	return e<<2 | int(v>>(e-2)&3)
}

// bucketEnd is the largest duration of a bucket.
func bucketEnd(i int) time.Duration {
	if i < 8 {
		return time.Duration(min(i, 3))
	}
	e := i >> 2
	end := (uint64(i&3)+5)<<(e-2) - 1
	return time.Duration(min(end, math.MaxInt64))
}

func (c *Counters) of(k seriesKey) *series {
	c.mu.RLock()
	s := c.series[k]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = c.series[k]; s == nil {
		if c.series == nil {
			c.series = map[seriesKey]*series{}
		}
		s = &series{}
		c.series[k] = s
	}
	return s
}

func (c *Counters) conn(side, transport string) *connCounts {
	k := connKey{side, transport}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.conns[k]
	if n == nil {
		if c.conns == nil {
			c.conns = map[connKey]*connCounts{}
		}
		n = &connCounts{}
		c.conns[k] = n
	}
	return n
}

// Call implements Metrics.
func (c *Counters) Call(side, method, transport string, code Code, d time.Duration) {
	s := c.of(seriesKey{side, method, transport})
	if int64(code) >= int64(len(s.codes)) {
		code = 2 // Unknown
	}
	s.codes[code].Add(1)
	s.sum.Add(uint64(max(d, 0)))
	s.times[bucketOf(d)].Add(1)
}

// Retry implements Metrics.
func (c *Counters) Retry(string) { c.retries.Add(1) }

// Connected implements Metrics.
func (c *Counters) Connected(side, transport string) { c.conn(side, transport).connected.Add(1) }

// Disconnected implements Metrics.
func (c *Counters) Disconnected(side, transport string) { c.conn(side, transport).disconnected.Add(1) }

// Refused implements Metrics.
func (c *Counters) Refused(transport string) { c.conn(SideClient, transport).refused.Add(1) }

// CallCounts is what Counters know of one method on one transport.
type CallCounts struct {
	Side, Method, Transport string
	Calls                   uint64
	Codes                   map[Code]uint64 // calls by result
	Total                   time.Duration   // of all calls
	Times                   []TimeBucket    // from short to long; empty buckets are left out
}

// TimeBucket counts the calls that took at most UpTo, and longer than those of the bucket before.
type TimeBucket struct {
	UpTo  time.Duration
	Calls uint64
}

// Quantile is the time that the share q (0 to 1) of the calls stayed within, at most a quarter too high; 0 without calls.
func (c *CallCounts) Quantile(q float64) time.Duration {
	want := uint64(math.Ceil(q * float64(c.Calls)))
	var seen uint64
	for _, b := range c.Times {
		if seen += b.Calls; seen >= want {
			return b.UpTo
		}
	}
	return 0
}

// ConnCounts is what Counters know of the connections of one side over one transport.
type ConnCounts struct {
	Side, Transport                  string
	Connected, Disconnected, Refused uint64
}

// CounterStats is what Counters had counted at one time.
type CounterStats struct {
	Calls   []CallCounts // by side, method, transport
	Conns   []ConnCounts // by side, transport
	Retries uint64
}

// Stats is a copy of the counts. Calls that end meanwhile may be in one number and not yet in another.
func (c *Counters) Stats() CounterStats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	st := CounterStats{Retries: c.retries.Load()}
	for k, s := range c.series {
		one := CallCounts{Side: k.side, Method: k.method, Transport: k.transport, Codes: map[Code]uint64{}, Total: time.Duration(s.sum.Load())}
		for code := range s.codes {
			if n := s.codes[code].Load(); n > 0 {
				one.Codes[Code(code)] = n
				one.Calls += n
			}
		}
		for i := range s.times {
			if n := s.times[i].Load(); n > 0 {
				one.Times = append(one.Times, TimeBucket{bucketEnd(i), n})
			}
		}
		st.Calls = append(st.Calls, one)
	}
	for k, n := range c.conns {
		st.Conns = append(st.Conns, ConnCounts{k.side, k.transport, n.connected.Load(), n.disconnected.Load(), n.refused.Load()})
	}
	slices.SortFunc(st.Calls, func(a, b CallCounts) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Transport, b.Transport))
	})
	slices.SortFunc(st.Conns, func(a, b ConnCounts) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Transport, b.Transport))
	})
	return st
}
