package tianxia

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// A keyring that was rotated reaches the gateways first: they take it within keysLook. Whoever tells clients of keys waits until the file has been the same for keysSettle, so
// that no client comes with a key that its gateway does not know yet.
const (
	keysLook   = 10 * time.Second
	keysSettle = 30 * time.Second
)

// keyFile is the file of a keyring that is read again when it has changed. One goroutine uses it.
type keyFile struct {
	path   string
	settle time.Duration // age of a change before it counts
	seen   time.Time     // modification of what was read last
	size   int64
}

// openKeyFile reads the file for the first time.
func openKeyFile(path string, settle time.Duration) (*keyFile, security.Keyring, error) {
	k := &keyFile{path: path, settle: settle}
	if info, err := os.Stat(path); err == nil { // before it is read: a change in between is read again
		k.seen, k.size = info.ModTime(), info.Size()
	}
	ring, err := loadKeys(path)
	return k, ring, err
}

// look reads the file again if it has changed; ok is false if it has not, or cannot be used, which is an error once for each change.
func (k *keyFile) look(now time.Time) (ring security.Keyring, ok bool, err error) {
	info, err := os.Stat(k.path)
	if err != nil || info.ModTime().Equal(k.seen) && info.Size() == k.size || now.Sub(info.ModTime()) < k.settle {
		return ring, false, nil // a file that is not there for a moment is being replaced; the keys that were read stay good
	}
	k.seen, k.size = info.ModTime(), info.Size()
	ring, err = loadKeys(k.path)
	return ring, err == nil, err
}

// watch gives use each keyring that the file comes to hold, until ctx ends.
func (k *keyFile) watch(ctx context.Context, log *slog.Logger, use func(security.Keyring) error) {
	t := time.NewTicker(keysLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			ring, ok, err := k.look(now)
			if ok {
				err = use(ring)
			}
			switch {
			case err != nil:
				log.Error("the keys that changed cannot be used; those from before stay", "error", err)
			case ok:
				log.Info("the keys have changed", "file", k.path, "current", ring.Current.Cert().KeyID)
			}
		}
	}
}
