package security

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// readSecret reads a file of at most maxKeyFile bytes, if nobody but its owner and its group may read it, and nobody but
// its owner may write it. The group may read because containers are given secrets that way.
func readSecret(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // before Open, which waits at a pipe
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o027 != 0 && runtime.GOOS != "windows": // permissions say nothing there
		return nil, fmt.Errorf("%s holds secrets, and with mode %04o others may read or change it: run \"chmod 600 %s\", and make new keys if it lay open for long",
			path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s has more than %d bytes: it is something else", path, maxKeyFile)
	}
	return b, nil
}

// writeSecret writes a file of mode 0600, whole or not at all, even if the machine stops. Without replace the name must
// be free: of two that write at once one succeeds, and nobody ever reads a part.
func writeSecret(path string, b []byte, replace bool) (err error) {
	if !replace {
		return placeFile(path, b, func(from string) error {
			err := os.Link(from, path) // unlike a rename it replaces nothing
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already: %w", path, fs.ErrExist)
			}
			if err != nil { // there are file systems without links
				return claimFile(from, path)
			}
			return os.Remove(from)
		})
	}
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil { // the file is replaced, not a link to it
			return err
		}
	}
	return placeFile(path, b, func(from string) error { return os.Rename(from, path) })
}

// claimFile takes the name with an empty file first, which no two can do at once; who reads in between finds it empty.
func claimFile(from, path string) error {
	claim, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: %w", path, fs.ErrExist)
	}
	if err != nil {
		return err
	}
	claim.Close()
	if err = os.Rename(from, path); err != nil {
		_ = os.Remove(path) // the empty one
	}
	return err
}

// placeFile writes a file beside path and has place give it that name.
func placeFile(path string, b []byte, place func(from string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = place(f.Name()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename last; not every system can, and then it is no failure.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && runtime.GOOS == "linux" {
		return fmt.Errorf("make %s last: %w", path, err)
	}
	return nil
}
