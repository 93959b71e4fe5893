// Package registry is how the processes of a cluster find each other: servers say what they serve and where, clients watch a service by name.
//
// Memory joins the parts of one process. Directory joins the processes of one user on one host, without a daemon. Others implement Registry and prove it with the suite in
// registrytest.
//
// Every method may be called from any goroutine, but for Watcher.Next: one goroutine at a time. Registrations, watchers and directories are stopped by their Close, which waits
// and may be called twice.
package registry

import (
	"context"
	"errors"
)

var (
	// ErrTaken answers Register while a living instance has the same id.
	ErrTaken = errors.New("rpc registry: the instance id is taken")
	// ErrClosed answers calls on what was closed.
	ErrClosed = errors.New("rpc registry: closed")
)

// Registry knows the instances that are alive.
type Registry interface {
	// Register makes an instance visible until the registration is closed or the process dies. While a living instance has the same id it fails with ErrTaken; the place
	// of a dead one is taken over. ctx bounds the attempt alone.
	Register(ctx context.Context, i Instance) (Registration, error)
	// Watch follows the instances of a service, or of all services if the name is empty. ctx bounds the opening alone.
	Watch(ctx context.Context, service string) (Watcher, error)
	// Report says that an instance cannot be reached. The registry looks again and drops it if it is dead; it never takes anybody's word for that. It does not block.
	Report(id string, epoch uint64)
}

// Registration is an instance that the registry shows.
type Registration interface {
	// Update shows other properties of the same instance: ID and Epoch must not change.
	Update(i Instance) error
	// Close withdraws the instance.
	Close() error
}

// Watcher follows a set of instances.
type Watcher interface {
	// Next blocks until the set differs from the last answer; the first answer comes at once, and may be empty. Draining instances are part of the set. The answer is sorted
	// by id and belongs to the caller. Changes that come faster than Next is called are seen together.
	Next(ctx context.Context) ([]Instance, error)
	// Close ends Next with ErrClosed.
	Close() error
}
