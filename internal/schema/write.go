package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
)

// goSuffix ends the name of every file of Go messages; the rest is the name of its .proto file.
const goSuffix = ".pb.go"

// fastSuffix ends the name of the file with their fast path.
const fastSuffix = "_fast.pb.go"

// Result is what a run of Write changed; names are relative to the folder of go.mod with forward slashes, sorted.
type Result struct {
	Wrote   []string
	Removed []string // generated files whose source is gone
}

// Touched tells how many files changed.
func (r Result) Touched() int { return len(r.Wrote) + len(r.Removed) }

// Write brings every generated file up to date: it writes those that differ and removes those whose source is gone. It never removes what is not its own: see
// orphans. All is made in memory first; a mistake in the schema, or a file that cannot be written, leaves every file as it was.
func Write(root string, o Options) (Result, error) {
	return write(root, o, os.Rename)
}

func write(root string, o Options, rename func(from, to string) error) (done Result, err error) {
	r, err := generate(root, o)
	if err != nil {
		return done, err
	}
	stale, err := r.differing()
	if err != nil {
		return done, err
	}
	if err := r.sweep(stale); err != nil {
		return done, err
	}
	change := &change{rename: rename}
	for _, name := range stale {
		content, wanted := r.files[name]
		if err := change.prepare(filepath.Join(r.folder, filepath.FromSlash(name)), content, wanted); err != nil {
			return done, errors.Join(err, change.undo())
		}
	}
	if err := change.apply(); err != nil {
		return done, errors.Join(err, change.undo())
	}
	for _, name := range stale {
		if _, wanted := r.files[name]; wanted {
			done.Wrote = append(done.Wrote, name)
		} else {
			done.Removed = append(done.Removed, name)
		}
	}
	return done, change.clean()
}

// differing compares the disk with what it should hold.
func (r *result) differing() (stale []string, err error) {
	for name, content := range r.files {
		have, err := os.ReadFile(filepath.Join(r.folder, filepath.FromSlash(name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("check generated file: %w", err)
		}
		if err != nil || !bytes.Equal(have, content) {
			stale = append(stale, name)
		}
	}
	orphans, err := r.orphans()
	if err != nil {
		return nil, err
	}
	stale = append(stale, orphans...)
	slices.Sort(stale)
	return slices.Compact(stale), nil
}

// change replaces files all or none: new content and a copy of the old lie beside each file before the first rename.
type change struct {
	rename func(from, to string) error
	steps  []step
	made   []string // folders
}

type step struct {
	target, fresh, old string // fresh "": it goes; old "": it was not there
	done               bool
}

// prepare makes the new content and the copy of the old.
func (c *change) prepare(target string, content []byte, wanted bool) error {
	s := step{target: target}
	defer func() { c.steps = append(c.steps, s) }()
	if err := c.folder(filepath.Dir(target)); err != nil {
		return fmt.Errorf("write generated file: %w", err)
	}
	mode := fs.FileMode(0o644)
	have, err := os.ReadFile(target)
	if err == nil {
		if info, err := os.Stat(target); err == nil {
			mode = info.Mode().Perm()
		}
		s.old, err = beside(target, have, mode)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep generated file %s: %w", target, err)
	}
	if wanted {
		if s.fresh, err = beside(target, content, mode); err != nil {
			return fmt.Errorf("write generated file %s: %w", target, err)
		}
	}
	return nil
}

// folder makes a folder with those above it, and remembers which.
func (c *change) folder(name string) error {
	if _, err := os.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.folder(filepath.Dir(name)); err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o755); err != nil {
		return err
	}
	c.made = append(c.made, name)
	return nil
}

// besideMark is what the names of new contents and copies have, before digits, so that a later run knows what a killed one left.
const besideMark = ".mmogen"

// sweep removes what a run that was killed left beside the files.
func (r *result) sweep(stale []string) error {
	left := regexp.MustCompile(`^\..+` + regexp.QuoteMeta(besideMark) + `[0-9]+$`)
	seen := map[string]bool{}
	for _, name := range slices.Concat(stale, slices.Collect(maps.Keys(r.files))) {
		folder := filepath.Join(r.folder, filepath.FromSlash(path.Dir(name)))
		if seen[folder] {
			continue
		}
		seen[folder] = true
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // it is not there yet, or writing will say why not
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() && left.MatchString(entry.Name()) {
				if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
					return fmt.Errorf("remove what an earlier run left: %w", err)
				}
			}
		}
	}
	return nil
}

// beside writes content to a file of its own in the folder of target and returns its name.
func beside(target string, content []byte, mode fs.FileMode) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+besideMark+"*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// apply puts the prepared files in place, each by one rename, so that nobody ever sees half of one.
func (c *change) apply() error {
	for i := range c.steps {
		s := &c.steps[i]
		var err error
		if s.fresh == "" {
			err = os.Remove(s.target)
		} else {
			err = c.rename(s.fresh, s.target)
		}
		if err != nil {
			return fmt.Errorf("replace generated file %s: %w", s.target, err)
		}
		s.done = true
	}
	return nil
}

// undo puts everything back as it was.
func (c *change) undo() (err error) {
	for i := len(c.steps) - 1; i >= 0; i-- {
		s := &c.steps[i]
		switch {
		case s.done && s.old == "":
			err = errors.Join(err, os.Remove(s.target))
		case s.done:
			if bad := os.Rename(s.old, s.target); bad != nil {
				err = errors.Join(err, fmt.Errorf("put %s back (its content is in %s): %w", s.target, s.old, bad))
			}
			s.old = ""
		}
		s.done = false
	}
	err = errors.Join(err, c.clean())
	for i := len(c.made) - 1; i >= 0; i-- {
		err = errors.Join(err, os.Remove(c.made[i]))
	}
	return err
}

// clean removes what lies beside.
func (c *change) clean() (err error) {
	for _, s := range c.steps {
		if s.old != "" {
			err = errors.Join(err, os.Remove(s.old))
		}
		if s.fresh != "" && !s.done {
			if bad := os.Remove(s.fresh); bad != nil && !errors.Is(bad, fs.ErrNotExist) {
				err = errors.Join(err, bad)
			}
		}
	}
	return err
}
