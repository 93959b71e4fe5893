package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// retry is how often a lock that is held is tried again.
const retry = 10 * time.Millisecond

// Register implements Registry.
func (d *Directory) Register(ctx context.Context, i Instance) (Registration, error) {
	if err := i.Validate(); err != nil {
		return nil, err
	}
	wrap := func(err error) error { return fmt.Errorf("register instance %q in %s: %w", i.ID, d.dir, err) }
	if err := context.Cause(ctx); err != nil {
		return nil, wrap(err)
	}
	if err := d.start(); err != nil {
		return nil, wrap(err)
	}
	name := encode(i.ID)
	lock, err := d.wait(ctx, name)
	if errors.Is(err, ErrTaken) {
		return nil, wrap(fmt.Errorf("%w by a living process: stop that one, or use another id", err))
	}
	if err != nil {
		return nil, wrap(err)
	}
	r := &directoryRegistration{d: d, id: i.ID, epoch: i.Epoch, name: name, lock: lock, instance: i.Clone()}
	d.mu.Lock()
	if d.closed {
		err = ErrClosed
	} else {
		err = r.write()
	}
	if err != nil {
		d.mu.Unlock()
		_, failed := removeFiles(d.dir, name, lock)
		return nil, wrap(errors.Join(err, failed))
	}
	d.owned[name] = r
	d.mu.Unlock()
	d.look()
	return r, nil
}

// wait takes the lock of a name, waiting for a holder that is about to let go.
func (d *Directory) wait(ctx context.Context, name string) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.Takeover, ErrTaken)
	defer cancel()
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for {
		if err := makeDirectory(d.dir); err != nil { // may have been cleaned up
			return nil, err
		}
		lock, _, err := acquire(d.dir, name)
		if !errors.Is(err, ErrTaken) {
			return lock, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-d.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// directoryRegistration is an instance of this process.
type directoryRegistration struct {
	// These never change:
	d     *Directory
	id    string
	epoch uint64
	name  string // id as file names have it

	// Directory.mu guards these:
	lock     *os.File // nil once closed, or while a repair waits for it
	instance Instance
	closed   bool
	lost     bool // somebody else has the id since the folder was cleaned up; said once
}

// Update implements Registration.
func (r *directoryRegistration) Update(i Instance) error {
	if err := checkUpdate(&i, r.id, r.epoch); err != nil {
		return err
	}
	if err := r.update(i); err != nil {
		return fmt.Errorf("update instance %q in %s: %w", i.ID, r.d.dir, err)
	}
	r.d.look()
	return nil
}

func (r *directoryRegistration) update(i Instance) error {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.instance = i.Clone()
	if r.lock == nil {
		return nil // the repair writes it
	}
	return r.write()
}

// Close implements Registration.
func (r *directoryRegistration) Close() error {
	err := r.withdraw()
	if err != nil {
		err = fmt.Errorf("withdraw instance %q from %s: %w", r.id, r.d.dir, err)
	}
	r.d.look()
	return err
}

func (r *directoryRegistration) withdraw() error {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	delete(r.d.owned, r.name)
	if r.lock == nil {
		return nil
	}
	if !inPlace(r.lock, r.path(lockSuffix)) { // the files, if any, are another's
		return r.lock.Close()
	}
	_, err := removeFiles(r.d.dir, r.name, r.lock)
	return err
}

func (r *directoryRegistration) path(suffix string) string {
	return filepath.Join(r.d.dir, prefix+r.name+suffix)
}

// write puts the JSON file in place. Only the holder of the lock may.
func (r *directoryRegistration) write() error {
	b, err := json.Marshal(&r.instance)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path(tempSuffix), b, 0o600); err != nil {
		return err
	}
	return rename(r.path(tempSuffix), r.path(jsonSuffix))
}

// repair puts back what a cleaner of temporary files, or a hand, took away.
func (r *directoryRegistration) repair() {
	held := r.lock != nil && inPlace(r.lock, r.path(lockSuffix))
	if _, err := os.Lstat(r.path(jsonSuffix)); held && err == nil {
		return
	}
	err := makeDirectory(r.d.dir)
	if err == nil && !held {
		if r.lock != nil {
			r.lock.Close()
		}
		r.lock, _, err = acquire(r.d.dir, r.name)
	}
	if err == nil {
		err = r.write()
	}
	if err == nil {
		r.lost = false
		r.d.stats.Repaired++
		r.d.cfg.Log.Warn("registry files were gone and are back", "dir", r.d.dir, "instance", r.id)
	} else if !r.lost {
		r.lost = true
		r.d.cfg.Log.Error("registry files are gone and cannot be put back: others do not see this instance", "dir", r.d.dir, "instance", r.id, "err", err)
	}
}
