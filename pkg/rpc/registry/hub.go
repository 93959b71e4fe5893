package registry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
)

// hub is a set of instances and those who watch it. Instances inside are never changed, only replaced.
type hub struct {
	mu      sync.Mutex
	set     map[string]Instance
	changed chan struct{} // closed and replaced with every change
	closed  bool
}

func newHub() *hub { return &hub{set: map[string]Instance{}, changed: make(chan struct{})} }

// change runs f, which reports whether it changed the set.
func (h *hub) change(f func(set map[string]Instance) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f(h.set) {
		h.wake()
	}
}

// wake is called with mu held.
func (h *hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// close ends all watchers.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

func (h *hub) watch(service string) *watcher {
	return &watcher{hub: h, service: service, done: make(chan struct{})}
}

// watcher implements Watcher over a hub.
type watcher struct {
	hub     *hub
	service string
	once    sync.Once
	done    chan struct{} // closed by Close

	answered bool // these two belong to the goroutine that calls Next
	last     []Instance
}

// Next implements Watcher.
func (w *watcher) Next(ctx context.Context) ([]Instance, error) {
	for {
		select {
		case <-w.done:
			return nil, ErrClosed
		default:
		}
		now, changed, closed := w.look()
		if closed {
			return nil, ErrClosed
		}
		if !w.answered || !slices.EqualFunc(now, w.last, func(a, b Instance) bool { return a.Equal(&b) }) {
			w.answered, w.last = true, now
			answer := make([]Instance, len(now))
			for n := range now {
				answer[n] = now[n].Clone()
			}
			return answer, nil
		}
		select {
		case <-changed:
		case <-w.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (w *watcher) look() (now []Instance, changed <-chan struct{}, closed bool) {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range maps.Values(h.set) {
		if i.Serves(w.service) {
			now = append(now, i)
		}
	}
	slices.SortFunc(now, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return now, h.changed, h.closed
}

// Close implements Watcher.
func (w *watcher) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}
