package sock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	// socketBuffer is asked for on unix sockets, either way, in bytes: the systems' defaults hold between none and three of the largest frames. More than this
	// was slower again where it was measured: what waits leaves the processor's caches.
	socketBuffer = 256 << 10
	probeTimeout = time.Second
	lockPatience = time.Second
	lockPause    = 5 * time.Millisecond
)

// DialUnix connects to the socket at path and waits until the server has introduced itself: at most 3 s, or until ctx ends. The server's user must be one that
// cfg allows. A server that does not want us, or that we do not want, gives an error that wraps transport.ErrPeerRefused.
func DialUnix(ctx context.Context, path string, cfg transport.Config) (transport.Conn, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	var d net.Dialer
	sock, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w%s", err, dialHint(err))
	}
	peer, err := unixPeer(sock, path)
	if err == nil && !allowed(&cfg, peer.UID) {
		err = fmt.Errorf("%w: its user, %d, is not one that we trust: is another user's server in this place?", transport.ErrPeerRefused, peer.UID)
	}
	if err == nil {
		tune(sock)
		err = introduce(ctx, sock, sock)
	}
	if err != nil {
		_ = sock.Close()
		return nil, fmt.Errorf("rpc: dial unix %s: %w", path, err)
	}
	return newConn(kindUnix, sock, sock, peer, &cfg), nil
}

func dialHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ": nothing listens there: is the server started, and is the path the same?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": the process that made this socket is gone: start the server again"
	case errors.Is(err, fs.ErrPermission):
		return ": the socket belongs to another user: run both as the same one"
	}
	return ""
}

// ListenUnix listens on a socket that it makes at path, for this user only; Close removes it. A socket that a dead process left there is replaced; that of a
// living one is an error. The directory must exist, and should be one that no other user can write to.
func ListenUnix(path string, cfg transport.Config) (transport.Listener, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if dir := filepath.Dir(path); !isDir(dir) {
		return nil, fmt.Errorf("rpc: listen on %s: there is no directory %s: make it first (mkdir -m 700)", path, dir)
	}
	var (
		nl   *net.UnixListener
		made fs.FileInfo
	)
	err := exclusively(path, func() (err error) {
		if err := clearAway(path); err != nil {
			return err
		}
		lc := net.ListenConfig{Control: private}
		l, err := lc.Listen(context.Background(), "unix", path)
		if err != nil {
			return err
		}
		nl = l.(*net.UnixListener)
		nl.SetUnlinkOnClose(false) // the file may be another's by then
		if err = os.Chmod(path, 0o600); err == nil {
			made, err = os.Lstat(path)
		}
		if err != nil {
			_ = nl.Close()
			_ = os.Remove(path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rpc: listen on %s: %w", path, err)
	}
	return newListener(nl, kindUnix, path, nil, cfg, func() error { return withdraw(path, made) }), nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// clearAway removes the socket of a dead process. Nobody else does so meanwhile: see exclusively.
func clearAway(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSocket == 0 && fi.Mode()&fs.ModeIrregular == 0: // Windows knows sockets as irregular files
		return errors.New("a file that is not a socket is in this place: remove it, or choose another path")
	}
	nc, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		_ = nc.Close()
		return errors.New("a living process listens there: stop it first, or choose another path")
	}
	if !dead(err) { // full, frozen, or not ours to know
		return fmt.Errorf("whether the process that made the socket lives is not to be told: %w; if it does not, remove the file", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a dead process: %w", err)
	}
	return nil
}

// withdraw removes our socket, unless the file is another's by now.
func withdraw(path string, made fs.FileInfo) error {
	if !isDir(filepath.Dir(path)) {
		return nil // removed with all it held, as tests do
	}
	return exclusively(path, func() error {
		fi, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(fi, made) {
			return nil
		}
		if err == nil {
			err = os.Remove(path)
		}
		return err
	})
}

// exclusively keeps other processes that would listen on path, or cease to, out while fn runs, by means of a lock file beside it. The kernel frees the lock of
// a process that dies.
func exclusively(path string, fn func() error) error {
	lock := path + ".lock"
	for until := time.Now().Add(lockPatience); ; {
		unlock, err := tryLock(lock)
		if err != nil {
			return fmt.Errorf("lock %s: %w", lock, err)
		}
		if unlock != nil {
			defer unlock()
			return fn()
		}
		if time.Now().After(until) {
			return fmt.Errorf("another process is starting or stopping there and keeps %s locked; if that is not so, remove that file", lock)
		}
		<-time.After(lockPause)
	}
}

// allowed tells whether a peer of this user may be one.
func allowed(cfg *transport.Config, uid int) bool {
	if cfg.AllowUID != nil {
		return cfg.AllowUID(uid)
	}
	return uid == os.Geteuid() || uid == 0 || uid == -1 // where the system does not tell, the permissions of the socket have to do
}
