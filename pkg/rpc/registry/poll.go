package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of an instance's files.
const (
	prefix     = "i-"
	lockSuffix = ".lock"
	jsonSuffix = ".json"
	tempSuffix = ".temp" // the next JSON file, written by the owner of the lock
)

// look brings the hub up to date with the folder, and the folder with what this process registered.
func (d *Directory) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	for _, r := range d.owned {
		r.repair()
	}
	err := d.list()
	if d.stats.Err = err; err != nil {
		d.stats.Errors++
	}
	text := fmt.Sprint(err)
	if err != nil && text != d.failed {
		d.cfg.Log.Warn("registry directory unreadable", "dir", d.dir, "err", err)
	}
	d.failed = text
	d.hub.change(func(set map[string]Instance) (changed bool) {
		for name, f := range d.files {
			if d.refresh(name, f, set) {
				changed = true
			}
		}
		return changed
	})
}

// list learns which names are in the folder, if it changed since the last time.
func (d *Directory) list() error {
	info, err := os.Lstat(d.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist): // somebody cleaned up: so nobody is registered
		d.listed, d.settled, d.quiet = time.Time{}, false, false
		for _, f := range d.files {
			f.seen = false
		}
		return nil
	case err != nil:
		return err
	}
	if d.quiet = d.settled && info.ModTime().Equal(d.listed); d.quiet {
		return nil
	}
	settled := old(info)
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, f := range d.files {
		f.seen = false
	}
	for _, entry := range entries {
		name, ok := instanceName(entry.Name())
		if !ok {
			continue
		}
		if d.files[name] == nil {
			d.files[name] = &file{}
		}
		d.files[name].seen = true
	}
	d.listed, d.settled = info.ModTime(), settled
	return nil
}

// old reports whether a later change is sure to give the file another time.
func old(info fs.FileInfo) bool { return time.Since(info.ModTime()) > young }

// instanceName takes the encoded id out of a file's name.
func instanceName(file string) (name string, ok bool) {
	name, ok = strings.CutPrefix(file, prefix)
	if !ok {
		return "", false
	}
	for _, suffix := range []string{jsonSuffix, lockSuffix, tempSuffix} {
		if n, ok := strings.CutSuffix(name, suffix); ok {
			return n, n != ""
		}
	}
	return "", false
}

// encode makes a file name of an id, decode the id of a file name.
func encode(id string) string {
	var b strings.Builder
	for n := range len(id) {
		c := id[n]
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('+')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

func decode(name string) string {
	var b strings.Builder
	for n := 0; n < len(name); n++ {
		c := name[n]
		if c == '+' && n+1 < len(name) && name[n+1] >= 'a' && name[n+1] <= 'z' {
			n++
			c = name[n] - ('a' - 'A')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// refresh brings one name up to date: gone, dead, unchanged or read again.
func (d *Directory) refresh(name string, f *file, set map[string]Instance) (changed bool) {
	id := decode(name)
	withdraw := func() bool {
		_, was := set[id]
		delete(set, id)
		return was
	}
	if !f.seen {
		d.forget(name, f)
		return withdraw()
	}
	if !alive(d.dir, name, f) {
		f.info, f.readable = nil, false
		d.reap(name, f)
		return withdraw()
	}
	if d.quiet && f.settled && f.info != nil { // a new file would have come by a rename
		return false
	}
	path := filepath.Join(d.dir, prefix+name+jsonSuffix)
	info, err := os.Lstat(path)
	if err != nil { // locked but not written yet, or being withdrawn
		f.info, f.readable = nil, false
		return withdraw()
	}
	same := f.info != nil && unchanged(f.info, info)
	if same && f.settled {
		return false
	}
	settled := old(info)
	b, err := readFile(path, info)
	if err != nil && !errors.Is(err, errNoFile) { // replaced meanwhile, or out of descriptors: nobody dies of that
		f.info = nil
		d.stats.Errors++
		return false
	}
	var i Instance
	if err == nil {
		i, err = ParseInstance(b)
	}
	if err == nil && i.ID != id {
		err = fmt.Errorf("it holds instance %q, its name says %s", i.ID, quote(id))
	}
	known := same && !f.readable // as garbage
	f.info, f.settled, f.readable = info, settled, err == nil
	if err != nil {
		if !known {
			d.stats.Garbage++
			d.cfg.Log.Warn("registry file makes no sense", "file", path, "err", err)
		}
		return withdraw()
	}
	if was, ok := set[id]; ok && was.Equal(&i) {
		return false
	}
	set[id] = i
	return true
}

func unchanged(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode() && os.SameFile(a, b)
}

// errNoFile is what a folder or a pipe in place of a file is: opening a pipe would wait for ever.
var errNoFile = errors.New("it is not a file")

func readFile(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxEncoded+1))
}

// alive reports whether somebody holds the lock, as far as can be seen without taking it: a no is for reap to confirm.
func alive(dir, name string, f *file) bool {
	for {
		fresh := f.lock == nil
		if fresh {
			path := filepath.Join(dir, prefix+name+lockSuffix)
			if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
				return false
			}
			lock, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return !errors.Is(err, fs.ErrNotExist) // out of descriptors: nobody dies of that
			}
			f.lock = lock
		}
		if free, err := tryLock(f.lock, false); err != nil || !free {
			return true
		}
		f.lock.Close() // lets go of the lock as well
		f.lock = nil
		if fresh {
			return false
		}
		// The lock may be that of a file which was removed and made again since: look once more.
	}
}

// forget is called with mu held.
func (d *Directory) forget(name string, f *file) {
	if f.lock != nil {
		f.lock.Close()
	}
	delete(d.files, name)
}

// reap removes the files of a name unless somebody holds its lock.
func (d *Directory) reap(name string, f *file) {
	lock, made, err := acquire(d.dir, name)
	if errors.Is(err, ErrTaken) {
		return // alive after all: the next look shows it
	}
	found := false
	if err == nil {
		found, err = removeFiles(d.dir, name, lock)
	}
	if err == nil {
		if found || !made { // else another process has removed it all meanwhile, and counted it
			d.stats.Reaped++
		}
		d.forget(name, f)
	} else if !f.stuck {
		f.stuck = true
		d.cfg.Log.Warn("registry files of a dead instance cannot be removed", "dir", d.dir, "instance", decode(name), "err", err)
	}
}

// acquire takes the lock of a name without waiting, and tells whether it made the lock file. It fails with ErrTaken while somebody else holds it.
func acquire(dir, name string) (lock *os.File, made bool, err error) {
	path := filepath.Join(dir, prefix+name+lockSuffix)
	for range 10 { // each round that fails means that somebody removed the file meanwhile
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return nil, false, fmt.Errorf("lock %s is a %v, not a file: remove it", path, info.Mode().Type())
		}
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		made := errors.Is(err, fs.ErrNotExist)
		if made {
			if lock, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, false, err
		}
		free, err := tryLock(lock, true)
		if err != nil || !free {
			lock.Close()
			if err != nil {
				return nil, false, fmt.Errorf("lock %s: %w", path, err)
			}
			return nil, false, ErrTaken
		}
		if inPlace(lock, path) {
			return lock, made, nil
		}
		lock.Close()
	}
	return nil, false, ErrTaken
}

// inPlace reports whether the folder still holds this file.
func inPlace(lock *os.File, path string) bool {
	mine, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// removeFiles removes what belongs to a name and lets go of its lock, which the caller holds. It tells whether there was more than the lock.
func removeFiles(dir, name string, lock *os.File) (found bool, err error) {
	base := filepath.Join(dir, prefix+name)
	var errs []error
	for _, suffix := range []string{tempSuffix, jsonSuffix} {
		switch err := os.Remove(base + suffix); {
		case err == nil:
			found = true
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	if errs != nil { // the lock goes last: without it nobody may touch the rest
		lock.Close()
		return found, errors.Join(errs...)
	}
	return found, removeLocked(lock, base+lockSuffix)
}
