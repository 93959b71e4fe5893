package gateway

import (
	"testing"
	"time"
)

func TestBucketHoldsItsBurstAndRefillsAtItsRate(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	b := newBucket(10, 5, at)
	take := func(after time.Duration, want int) {
		t.Helper()
		at = at.Add(after)
		n := 0
		for range 100 {
			if ok, _ := b.take(at); ok {
				n++
			}
		}
		if n != want {
			t.Errorf("%v later: %d of 100 passed, want %d", after, n, want)
		}
	}
	take(0, 5)
	take(50*time.Millisecond, 0)
	if w := b.wait(); w < 49*time.Millisecond || w > 51*time.Millisecond {
		t.Errorf("the next token is %v away, want 50 ms", w)
	}
	take(50*time.Millisecond, 1)
	take(time.Hour, 5)
}

func TestBucketSpeaksOncePerSecond(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	b := newBucket(1, 1, at)
	b.take(at)
	told := 0
	for range 300 { // 3 s of 100 frames each
		at = at.Add(10 * time.Millisecond)
		if ok, first := b.take(at); first {
			told++
			if ok {
				t.Error("told of a frame that passed")
			}
		}
	}
	if told != 3 {
		t.Errorf("told %d times in 3 s, want 3", told)
	}
}
