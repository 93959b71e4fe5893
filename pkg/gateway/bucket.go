package gateway

import "time"

// bucket is a token bucket: rate per second, up to burst at once. It belongs to one goroutine.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time
	told                time.Time
}

func newBucket(rate, burst int, now time.Time) bucket {
	return bucket{rate: float64(rate), burst: float64(burst), tokens: float64(burst), last: now}
}

// take spends a token. Without one it says no, and with first whether the owner should be told: once a second is enough.
func (b *bucket) take(now time.Time) (ok, first bool) {
	b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return true, false
	}
	if first = now.Sub(b.told) >= time.Second; first {
		b.told = now
	}
	return false, first
}

// wait is the time until a token is there.
func (b *bucket) wait() time.Duration {
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}
