package registry_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

// lazy looks only when it is told to, so that what happens between two looks is certain.
func lazy(t *testing.T, dir string) *registry.Directory {
	t.Helper()
	d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// answer is the next one, whatever it is.
func answer(t *testing.T, w registry.Watcher) []registry.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), registrytest.Patience)
	defer cancel()
	set, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func register(t *testing.T, d *registry.Directory, id string, epoch int) registry.Registration {
	t.Helper()
	i := registrytest.Sample(id, "world")
	i.Epoch = uint64(epoch)
	r, err := d.Register(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestChangeThatTheClockOfTheDiskDoesNotShowIsSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d, owner := lazy(t, dir), lazy(t, dir)
	register(t, owner, "a", 1)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, d)
	if set := answer(t, w); len(set) != 1 {
		t.Fatalf("at first %v", set)
	}
	register(t, owner, "b", 1)
	if err := os.Chtimes(dir, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	d.Report("b", 1)
	if set := answer(t, w); len(set) != 2 {
		t.Errorf("then %v", set)
	}
}

func TestSuccessorBetweenTwoLooksIsSeenAsOneChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d, owner := lazy(t, dir), lazy(t, dir)
	first := register(t, owner, "a", 1)
	w := watch(t, d)
	if set := answer(t, w); !one(1)(set) {
		t.Fatalf("at first %v", set)
	}
	if err := first.Close(); err != nil { // takes the lock's file away
		t.Fatal(err)
	}
	register(t, owner, "a", 2)
	d.Report("a", 1)
	if set := answer(t, w); !one(2)(set) {
		t.Errorf("then %v", set)
	}
}

func TestClosingSparesWhoTookThePlaceMeanwhile(t *testing.T) {
	for _, looked := range []bool{false, true} { // whether the loser knows that it lost
		dir := filepath.Join(t.TempDir(), "run")
		before, after := lazy(t, dir), lazy(t, dir)
		first := register(t, before, "a", 1)
		if err := os.RemoveAll(dir); err != nil { // the folder is cleaned up, and another is faster than the repair
			t.Fatal(err)
		}
		register(t, after, "a", 2)
		if looked {
			if set := answer(t, watch(t, before)); !one(2)(set) {
				t.Errorf("at first %v", set)
			}
		}
		for _, end := range []func() error{first.Close, before.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
		if set := answer(t, watch(t, lazy(t, dir))); !one(2)(set) {
			t.Errorf("in the end %v", set)
		}
		if files := names(t, dir); len(files) != 2 {
			t.Errorf("the folder holds %v", files)
		}
	}
}
