package registry

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// tryLock locks the first byte of the open file without waiting: exclusive for an owner, shared for those who only ask. The system lets go of it when the process ends.
func tryLock(f *os.File, exclusive bool) (ok bool, err error) {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var result error
	err = raw.Control(func(handle uintptr) {
		result = windows.LockFileEx(windows.Handle(handle), flags, 0, 1, 0, &windows.Overlapped{})
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(result, windows.ERROR_LOCK_VIOLATION), errors.Is(result, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return result == nil, result
}

// removeLocked removes a lock file whose lock the caller holds, and lets go of it. The system removes no file that somebody has open, so whoever opens it in between
// keeps it, and the next look removes it.
func removeLocked(lock *os.File, path string) error {
	if err := lock.Close(); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return err
	}
	return nil
}

// rename tries again while a reader has the old file open: the system refuses to replace it then.
func rename(from, to string) (err error) {
	for range 20 {
		if err = os.Rename(from, to); !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

// checkOwner trusts the access list that the folder inherits: folders of a user are theirs alone by default.
func checkOwner(string, fs.FileInfo) error { return nil }
