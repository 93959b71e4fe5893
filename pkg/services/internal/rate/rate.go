// Package rate limits how often something may happen for each of many keys, in bounded memory: token buckets in a table that forgets the keys
// that were silent longest.
//
// Any goroutine may call a Limiter. Time is given. Nothing runs in the background, so nothing stops.
package rate

import (
	"container/list"
	"sync"
	"time"
)

// Limit is a bucket of Burst tokens that gains one each Every.
type Limit struct {
	Every time.Duration // 0: no limit
	Burst int
}

// Limiter holds a bucket for each key.
type Limiter[K comparable] struct {
	limit Limit
	size  int // the most keys

	mu      sync.Mutex
	buckets map[K]*list.Element // each holds a *bucket[K]
	order   *list.List          // the key used last in front
}

// bucket knows when it is full again. Before that, each whole limit.Every that is missing is one token taken.
type bucket[K comparable] struct {
	key  K
	full time.Time
}

// New returns a Limiter for at most size keys, each with its own bucket, full at first. When there are more, those that were silent longest
// start anew: someone who commands more keys than size has no limit, and memory has one.
func New[K comparable](limit Limit, size int) *Limiter[K] {
	return &Limiter[K]{limit: limit, size: max(size, 1), buckets: map[K]*list.Element{}, order: list.New()}
}

// Take takes a token of key. If there is none, it returns how long until there is one; 0 says that it was taken.
func (l *Limiter[K]) Take(key K, now time.Time) (wait time.Duration) {
	if l.limit.Every <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key, now)
	if b.full.Before(now) {
		b.full = now
	}
	full := b.full.Add(l.limit.Every)
	if wait := full.Sub(now) - l.limit.Every*time.Duration(l.limit.Burst); wait > 0 {
		return wait
	}
	b.full = full
	return 0
}

// Give puts a token back that Take took: what it was taken for shall not count.
func (l *Limiter[K]) Give(key K) {
	if l.limit.Every <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.buckets[key]; ok {
		b := e.Value.(*bucket[K])
		b.full = b.full.Add(-l.limit.Every)
	}
}

// Len is the number of keys that are remembered.
func (l *Limiter[K]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// bucket finds or makes the bucket of key and moves it to the front.
func (l *Limiter[K]) bucket(key K, now time.Time) *bucket[K] {
	if e, ok := l.buckets[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket[K])
	}
	for oldest := l.order.Back(); oldest != nil; oldest = l.order.Back() {
		b := oldest.Value.(*bucket[K])
		if len(l.buckets) < l.size && b.full.After(now) { // full buckets say nothing: they go first, as far as they are at the end
			break
		}
		l.order.Remove(oldest)
		delete(l.buckets, b.key)
	}
	b := &bucket[K]{key: key, full: now}
	l.buckets[key] = l.order.PushFront(b)
	return b
}
