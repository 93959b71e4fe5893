//go:build unix

package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is what a socket's address holds, with the zero byte at its end.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("rpc: the path of the socket is empty")
	case path[0] == '@':
		return fmt.Errorf("rpc: %q: a name without a file has no permissions: use a path; for a file of this name, ./%s", path, path)
	case len(path) > maxPath:
		return fmt.Errorf("rpc: the path of the socket has %d bytes, the system allows %d: choose a shorter one, or one relative to the working directory: %s",
			len(path), maxPath, path)
	}
	return nil
}

// private makes a socket for this user only before it has a name, where the system minds (Linux); elsewhere the permissions follow at once, and the peer's user
// is checked anyway.
func private(_, _ string, rc syscall.RawConn) error {
	return rc.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
}

// dead tells whether this is the failure to connect to a socket whose process is gone.
func dead(err error) bool { return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) }

// tune sets socket options. One that the system refuses costs speed, not correctness.
func tune(nc net.Conn) {
	switch s := nc.(type) {
	case *net.UnixConn:
		_ = s.SetWriteBuffer(socketBuffer)
		_ = s.SetReadBuffer(socketBuffer)
	case *net.TCPConn:
		_ = s.SetNoDelay(true)
	}
}

// tryLock locks a file, or answers nil when somebody else has it. Unlocking removes the file, so whoever gets a lock must see whether its file is still in place.
func tryLock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return nil, nil
		}
		return nil, err
	}
	ours, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(name); err == nil && os.SameFile(ours, there) {
			return func() {
				_ = os.Remove(name)
				_ = f.Close()
			}, nil
		}
	}
	_ = f.Close()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return nil, nil
}
