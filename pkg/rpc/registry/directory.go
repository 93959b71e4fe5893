package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// DirectoryConfig tunes a Directory. Zero fields take their default.
type DirectoryConfig struct {
	Poll time.Duration // between two looks at the folder; default 100 ms, at least 1 ms
	// Takeover is how long Register waits for an id that is taken: another process may be looking at the lock for a moment, and a predecessor may be on its way
	// out. Default 300 ms.
	Takeover time.Duration
	Log      *slog.Logger // told of files that make no sense and of repairs; default: nobody
}

// Directory is a Registry for the processes of one user on one host: a folder on a local disk, without a daemon. It holds two files per instance:
//
//	i-<id>.lock   locked by the instance's process as long as it lives; the kernel lets go of the lock when the process dies, however it dies
//	i-<id>.json   the Instance, put in place by a rename, so that nobody sees half of it
//
// (Upper case letters of an id become + and the lower case letter, for disks that do not tell them apart.) Whoever meets an unlocked instance removes its files, the lock last and
// while holding it. Whoever got a lock makes sure that the file is still the one in the folder. Between them these rules leave one owner, whatever the order.
//
// Watching means looking: every Poll the folder's time, then one lock call per instance. Only when the folder changed, or did so recently that its time could not show another
// change, the files are looked at, and those that changed are read. One goroutine does all of it; it starts with the first watcher or registration and ends with Close.
type Directory struct {
	dir string
	cfg DirectoryConfig
	hub *hub

	poke chan struct{} // look now; one is enough
	stop context.CancelFunc
	ctx  context.Context
	done sync.WaitGroup

	mu      sync.Mutex // held while looking
	files   map[string]*file
	listed  time.Time // modification time of the folder when it was listed
	settled bool      // that time was old enough to tell any later change
	quiet   bool      // and now it is the same
	owned   map[string]*directoryRegistration
	stats   DirectoryStats
	failed  string // last error, so that it is logged once
	started bool
	closed  bool
}

// DirectoryStats counts since the directory was opened, but for Instances and Unreadable.
type DirectoryStats struct {
	Instances  int    // alive and readable, now
	Unreadable int    // files that make no sense, of living owners, now
	Garbage    uint64 // times that a file made no sense
	Reaped     uint64 // dead instances and leftovers whose files this process removed
	Repaired   uint64 // files of this process's own instances that were gone and put back
	Errors     uint64 // looks that failed; the last set stays
	Err        error  // of the last look
}

// file is what is known about one name in the folder. It belongs to whoever holds Directory.mu.
type file struct {
	lock     *os.File    // open as long as the instance lives, so that asking takes one call
	info     fs.FileInfo // of the JSON file when it was read
	settled  bool        // its time was old enough to tell any later change
	readable bool
	seen     bool // in the listing at hand
	stuck    bool // dead, and cannot be removed; said once
}

// young is the age below which a modification time may hide a second change: the coarsest clock of a disk still in use ticks every 2 s.
const young = 2 * time.Second

// OpenDirectory opens the folder, and makes it (mode 0700) if it is missing. It refuses a folder that belongs to another user or that others may write to, since whoever writes
// there decides whom we call.
func OpenDirectory(dir string, cfg DirectoryConfig) (*Directory, error) {
	if cfg.Poll < 0 || cfg.Takeover < 0 {
		return nil, errors.New("registry directory: Poll and Takeover must not be negative: leave them 0 for the default")
	}
	if cfg.Poll == 0 {
		cfg.Poll = 100 * time.Millisecond
	}
	cfg.Poll = max(cfg.Poll, time.Millisecond)
	if cfg.Takeover == 0 {
		cfg.Takeover = 300 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if dir == "" {
		return nil, errors.New("registry directory: no folder named: use DefaultDirectory")
	}
	dir, err := filepath.Abs(dir) // a later chdir must not move it
	if err != nil {
		return nil, fmt.Errorf("registry directory: %w", err)
	}
	if err := makeDirectory(dir); err != nil {
		return nil, err
	}
	d := &Directory{dir: dir, cfg: cfg, hub: newHub(), poke: make(chan struct{}, 1), files: map[string]*file{}, owned: map[string]*directoryRegistration{}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d, nil
}

func makeDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("registry directory: %w: name a folder that can be made and written", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("registry directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("registry directory %s is a %v, not a folder: somebody else may decide where it leads; name the folder itself", dir, info.Mode().Type())
	}
	return checkOwner(dir, info)
}

// Watch implements Registry. The first answer is what the folder holds now.
func (d *Directory) Watch(ctx context.Context, service string) (Watcher, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("watch service %q: %w", service, err)
	}
	if err := d.start(); err != nil {
		return nil, fmt.Errorf("watch service %q: %w", service, err)
	}
	d.look()
	return d.hub.watch(service), nil
}

// Report implements Registry: the folder is looked at soon, without waiting for the next poll. A process that hangs still holds its lock and is not dropped.
func (d *Directory) Report(id string, epoch uint64) { d.nudge() }

func (d *Directory) nudge() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// Stats tells how it goes.
func (d *Directory) Stats() DirectoryStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	for _, f := range d.files {
		switch {
		case f.readable:
			s.Instances++
		case f.info != nil:
			s.Unreadable++
		}
	}
	return s
}

// Close withdraws what was registered here, ends the watchers, and waits for the goroutine.
func (d *Directory) Close() error {
	d.stop()
	d.mu.Lock()
	d.closed = true // no new goroutine from here on
	owned := make([]*directoryRegistration, 0, len(d.owned))
	for _, r := range d.owned {
		owned = append(owned, r)
	}
	d.mu.Unlock()
	d.done.Wait()
	var errs []error
	for _, r := range owned {
		errs = append(errs, r.Close())
	}
	d.hub.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.files {
		d.forget(name, f)
	}
	return errors.Join(errs...)
}

// start starts the goroutine unless it runs.
func (d *Directory) start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	if !d.started {
		d.started = true
		d.done.Go(d.run)
	}
	return nil
}

func (d *Directory) run() {
	ticker := time.NewTicker(d.cfg.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-ticker.C:
		case <-d.poke:
		}
		d.look()
	}
}
