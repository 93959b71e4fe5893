package schema

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// watchEvery is how often Watch looks at the tree: soon enough for whoever waits for it, rarely enough to cost nothing.
const watchEvery = 200 * time.Millisecond

// stamp tells whether a file changed.
type stamp struct {
	modified time.Time
	size     int64
}

// Watch runs Write at once and after every change of a .proto file below root, until ctx ends; then it returns nil. After each run that touched something or
// failed it calls report, on the caller's goroutine. A mistake in the schema is reported and ends nothing. A change that removes a route, kind, component or
// field from the lock is reported as a mistake too, since that retires an id for good and may be half an edit: a run of Write confirms it. A reason for a break
// is for the first run.
func Watch(ctx context.Context, root string, o Options, report func(done Result, err error)) error {
	o.gently = true
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var last map[string]stamp
	for {
		now, err := stamps(root)
		switch {
		case err != nil && last == nil || err == nil && (last == nil || !maps.Equal(last, now)):
			done, err := Write(root, o)
			if done.Touched() > 0 || err != nil {
				report(done, err)
			}
			o.Break = "" // it is for the change that was there at the start
			last = now
			if last == nil {
				last = map[string]stamp{}
			}
		case err != nil && len(last) > 0:
			report(Result{}, err)
			last = map[string]stamp{}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// stamps looks at every .proto file below root.
func stamps(root string) (map[string]stamp, error) {
	names, err := find(root, ".proto")
	if err != nil {
		return nil, err
	}
	seen := make(map[string]stamp, len(names))
	for _, name := range names {
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			if os.IsNotExist(err) { // an editor is replacing it: the next look finds it
				seen[name] = stamp{}
				continue
			}
			return nil, err
		}
		if info.Mode()&fs.ModeType == 0 {
			seen[name] = stamp{info.ModTime(), info.Size()}
		}
	}
	return seen, nil
}
