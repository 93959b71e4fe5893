//go:build !unix

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// maxPath is what a socket's address holds, with the zero byte at its end.
const maxPath = 107

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("rpc: the path of the socket is empty")
	case len(path) > maxPath:
		return fmt.Errorf("rpc: the path of the socket has %d bytes, the system allows %d: choose a shorter one: %s", len(path), maxPath, path)
	}
	return nil
}

// private does nothing: the permissions of the directory decide.
func private(_, _ string, _ syscall.RawConn) error { return nil }

// wsaeconnrefused is what Windows says of a socket that nobody listens on.
const wsaeconnrefused = syscall.Errno(10061)

// dead tells whether this is the failure to connect to a socket whose process is gone.
func dead(err error) bool { return errors.Is(err, wsaeconnrefused) || errors.Is(err, fs.ErrNotExist) }

// tune sets socket options. One that the system refuses costs speed, not correctness.
func tune(nc net.Conn) {
	if s, ok := nc.(*net.TCPConn); ok {
		_ = s.SetNoDelay(true)
	}
}

// tryLock makes a file that must not exist, or answers nil when it does. The file of a process that died with it in hand must be removed by hand.
func tryLock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) { // the latter of a file that is being removed
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func() {
		_ = f.Close()
		_ = os.Remove(name)
	}, nil
}
