package registry

import (
	"context"
	"fmt"
	"sync"
)

// Memory is a Registry inside one process: what the all-in-one binary and tests use. It starts no goroutine and needs no closing.
type Memory struct{ hub *hub }

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{newHub()} }

// Register implements Registry.
func (m *Memory) Register(ctx context.Context, i Instance) (Registration, error) {
	if err := i.Validate(); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("register instance %q: %w", i.ID, err)
	}
	taken := false
	m.hub.change(func(set map[string]Instance) bool {
		if _, taken = set[i.ID]; !taken {
			set[i.ID] = i.Clone()
		}
		return !taken
	})
	if taken {
		return nil, fmt.Errorf("register instance %q: %w: close its registration first, or use another id", i.ID, ErrTaken)
	}
	return &memoryRegistration{hub: m.hub, id: i.ID, epoch: i.Epoch}, nil
}

// Watch implements Registry.
func (m *Memory) Watch(ctx context.Context, service string) (Watcher, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("watch service %q: %w", service, err)
	}
	return m.hub.watch(service), nil
}

// Report implements Registry. What lives in this process cannot have died, so it does nothing.
func (m *Memory) Report(id string, epoch uint64) {}

type memoryRegistration struct {
	hub   *hub
	id    string
	epoch uint64

	mu     sync.Mutex // held while the hub changes, so that nothing is shown after Close
	closed bool
}

// Update implements Registration.
func (r *memoryRegistration) Update(i Instance) error {
	if err := checkUpdate(&i, r.id, r.epoch); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("update instance %q: %w", r.id, ErrClosed)
	}
	r.hub.change(func(set map[string]Instance) bool {
		set[r.id] = i.Clone()
		return true
	})
	return nil
}

// Close implements Registration.
func (r *memoryRegistration) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.hub.change(func(set map[string]Instance) bool {
		delete(set, r.id)
		return true
	})
	return nil
}

// checkUpdate refuses to turn one instance into another.
func checkUpdate(i *Instance, id string, epoch uint64) error {
	if i.ID != id || i.Epoch != epoch {
		return fmt.Errorf("update instance %q of epoch %d: the new one is %s of epoch %d: an update keeps id and epoch; register another instance instead",
			id, epoch, quote(i.ID), i.Epoch)
	}
	return i.Validate()
}
