package measure

import (
	"math"
	"math/bits"
	"time"
)

// Buckets of a Histogram: below 2^fine nanoseconds one each, above 2^fine for every power of two, so that a bucket is never wider than 1/64 of what it counts. What
// takes longer than 2^exponents nanoseconds, over four minutes, is in the last one.
const (
	fine      = 6
	exponents = 38
	buckets   = (exponents - fine + 1) << fine
)

// Histogram counts durations. Its size is fixed and recording allocates nothing. The zero value is empty; one goroutine may use it at a time.
type Histogram struct {
	counts [buckets]uint32
	n      uint64
	max    time.Duration
}

// Record counts one duration; a negative one counts as 0.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.max = max(h.max, other.max)
}

// Count is the number of durations recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest duration recorded, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that the share q (0 to 1) of all does not exceed: the middle of its bucket, at most 1/128 off. 0 when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); n > 0 && seen >= rank {
			return min(middleOf(i), h.max)
		}
	}
	return 0
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<fine {
		return int(v)
	}
	shift := bits.Len64(v) - fine - 1 // v>>shift has fine+1 bits
	return min((shift<<fine)+int(v>>shift), buckets-1)
}

func middleOf(bucket int) time.Duration {
	if bucket < 2<<fine {
		return time.Duration(bucket)
	}
	shift := bucket>>fine - 1
	low := uint64(bucket-shift<<fine) << shift
	return time.Duration(low + 1<<shift/2)
}
