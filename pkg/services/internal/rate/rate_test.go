package rate

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func start() time.Time { return time.Unix(1_800_000_000, 0) }

func TestBurstThenOneTokenForEachInterval(t *testing.T) {
	l := New[string](Limit{Every: time.Second, Burst: 3}, 8)
	now := start()
	for i := range 3 {
		if w := l.Take("a", now); w != 0 {
			t.Fatalf("token %d of the burst: wait %v", i, w)
		}
	}
	if w := l.Take("a", now); w != time.Second {
		t.Errorf("empty bucket says wait %v, want 1s", w)
	}
	if w := l.Take("b", now); w != 0 {
		t.Errorf("another key waits %v", w)
	}
	now = now.Add(400 * time.Millisecond)
	if w := l.Take("a", now); w != 600*time.Millisecond {
		t.Errorf("wait %v, want 600ms", w)
	}
	now = now.Add(600 * time.Millisecond)
	if w := l.Take("a", now); w != 0 {
		t.Errorf("a second later still wait %v", w)
	}
	if w := l.Take("a", now); w == 0 {
		t.Error("two tokens after one interval")
	}
}

func TestGivenBackTokenCanBeTakenAgain(t *testing.T) {
	l := New[int](Limit{Every: time.Minute, Burst: 1}, 8)
	for range 100 {
		if w := l.Take(1, start()); w != 0 {
			t.Fatal(w)
		}
		l.Give(1)
	}
	l.Give(2) // never taken: nothing to put it into
	if w := l.Take(1, start()); w != 0 {
		t.Fatal(w)
	}
	if w := l.Take(1, start()); w == 0 {
		t.Error("the bucket grew")
	}
}

func TestGivingBackLateDoesNotRaiseTheBurst(t *testing.T) {
	l := New[int](Limit{Every: time.Second, Burst: 2}, 8)
	now := start()
	l.Take(1, now)
	now = now.Add(time.Hour) // the bucket is full again
	l.Give(1)
	for range 2 {
		if w := l.Take(1, now); w != 0 {
			t.Fatal(w)
		}
	}
	if w := l.Take(1, now); w == 0 {
		t.Error("more than the burst")
	}
}

func TestMemoryIsBoundedAndOldestKeyIsForgottenFirst(t *testing.T) {
	l := New[int](Limit{Every: time.Hour, Burst: 1}, 4)
	now := start()
	for key := range 4 {
		l.Take(key, now)
	}
	l.Take(0, now) // used last: stays, although it was refused
	l.Take(100, now)
	if n := l.Len(); n != 4 {
		t.Errorf("%d keys, want 4", n)
	}
	if w := l.Take(0, now); w == 0 {
		t.Error("the key used last was forgotten")
	}
	if w := l.Take(1, now); w != 0 {
		t.Error("the oldest key was kept")
	}
}

func TestKeysThatAreFullAgainAreForgotten(t *testing.T) {
	l := New[int](Limit{Every: time.Second, Burst: 1}, 1000)
	now := start()
	for key := range 500 {
		l.Take(key, now)
	}
	l.Take(1000, now.Add(time.Minute))
	if n := l.Len(); n != 1 {
		t.Errorf("%d keys are remembered, want 1", n)
	}
}

func TestNoLimit(t *testing.T) {
	l := New[int](Limit{}, 1)
	for range 1000 {
		if w := l.Take(1, start()); w != 0 {
			t.Fatal(w)
		}
	}
	l.Give(1)
	if l.Len() != 0 {
		t.Error("a limiter without a limit remembers keys")
	}
}

func TestManyGoroutinesGetExactlyTheBurst(t *testing.T) {
	l := New[string](Limit{Every: time.Hour, Burst: 10}, 100)
	var got atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				if l.Take("shared", start()) == 0 {
					got.Add(1)
				}
				l.Take(fmt.Sprint(i, j%3), start())
			}
		})
	}
	wg.Wait()
	if n := got.Load(); n != 10 {
		t.Errorf("%d tokens, want 10", n)
	}
}
