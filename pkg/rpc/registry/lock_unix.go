//go:build unix

package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes an advisory lock on the open file without waiting: exclusive for an owner, shared for those who only ask. The kernel lets go of it when the last copy of the
// descriptor is closed, and Go opens files so that children do not inherit them.
func tryLock(f *os.File, exclusive bool) (ok bool, err error) {
	how := unix.LOCK_SH | unix.LOCK_NB
	if exclusive {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var result error
	err = raw.Control(func(fd uintptr) {
		for {
			if result = unix.Flock(int(fd), how); result != unix.EINTR {
				return
			}
		}
	})
	switch {
	case err != nil:
		return false, err
	case result == unix.EWOULDBLOCK:
		return false, nil
	}
	return result == nil, result
}

// removeLocked removes a lock file whose lock the caller holds, and lets go of it. The file goes first: whoever waits for the lock then gets that of a file without a name.
func removeLocked(lock *os.File, path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, lock.Close())
}

func rename(from, to string) error { return os.Rename(from, to) }

// checkOwner refuses a folder in which another user could put files.
func checkOwner(dir string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("registry directory %s: the system does not tell whose it is", dir)
	}
	if uid := os.Geteuid(); int(stat.Uid) != uid {
		return fmt.Errorf("registry directory %s belongs to user %d, this process runs as user %d: whoever owns it decides whom we call; name a folder of your own", dir, stat.Uid, uid)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("registry directory %s has mode %04o: others may write there and would decide whom we call; run chmod 700 on it", dir, mode)
	}
	return nil
}
