package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

// until reads answers until one is as wanted.
func until(t testing.TB, w registry.Watcher, what string, wanted func(set []registry.Instance) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), registrytest.Patience)
	defer cancel()
	for {
		set, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if wanted(set) {
			return
		}
	}
}

func watch(t testing.TB, r registry.Registry) registry.Watcher {
	t.Helper()
	w, err := r.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func none(set []registry.Instance) bool { return len(set) == 0 }

func one(epoch int) func(set []registry.Instance) bool {
	return func(set []registry.Instance) bool { return len(set) == 1 && set[0].Epoch == uint64(epoch) }
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestManyFollowersRemoveTheDeadOnceAndSpareTheLiving(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var watchers []registry.Watcher
	for range 6 {
		d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{Poll: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		watchers = append(watchers, watch(t, d))
	}
	owner := open(t, dir)
	for epoch := range 100 { // the same id comes and goes while six remove whatever is dead
		i := registrytest.Sample("Coming.Going", "world")
		i.Epoch = uint64(epoch)
		r, err := owner.Register(t.Context(), i)
		if err != nil {
			t.Fatalf("round %d: %v", epoch, err)
		}
		until(t, watchers[epoch%len(watchers)], "it comes", one(epoch))
		if epoch%2 == 0 { // leaves what a killed process leaves
			p := filepath.Join(dir, "i-+coming.+going.json")
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, watchers[epoch%len(watchers)], "it goes", none)
	}
	if s := owner.Stats(); s.Repaired != 0 {
		t.Errorf("files of a living instance were removed: %+v", s)
	}
}

func TestGarbageBreaksNoWatcher(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d := open(t, dir)
	other := lazy(t, dir) // whoever looks holds the lock of a leftover for a moment, which then seems to live
	if _, err := other.Register(t.Context(), registrytest.Sample("living", "world")); err != nil {
		t.Fatal(err)
	}
	valid, err := json.Marshal(registrytest.Sample("half", "world"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("i-half.json", valid[:len(valid)/2])
	put("i-half.temp", valid[:3])
	put("i-empty.json", nil)
	put("i-only.lock", nil)
	put("i-whole-but-dead.json", valid)
	put("i-big.json", make([]byte, registry.MaxEncoded+2))
	put("i-x+.json", valid)
	put("notes.txt", []byte("not ours"))
	put("i-.json", []byte("not ours either"))
	if err := os.MkdirAll(filepath.Join(dir, "i-folder.json", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}

	w := watch(t, d)
	until(t, w, "only the living", func(set []registry.Instance) bool { return len(set) == 1 && set[0].ID == "living" })
	want := "i-.json i-folder.json i-folder.lock i-living.json i-living.lock notes.txt"
	if got := strings.Join(names(t, dir), " "); got != want {
		t.Errorf("the folder holds %s, want %s", got, want)
	}
	if s := d.Stats(); s.Instances != 1 || s.Reaped+other.Stats().Reaped != 6 {
		t.Errorf("stats %+v, %+v", s, other.Stats())
	}

	// The living one's own file is damaged: it is skipped and counted, and an update heals it.
	owner := lazy(t, dir)
	r, err := owner.Register(t.Context(), registrytest.Sample("damaged", "world"))
	if err != nil {
		t.Fatal(err)
	}
	both := func(set []registry.Instance) bool { return len(set) == 2 }
	until(t, w, "both", both)
	for _, text := range []string{"{", string(valid), `{"id":"damaged"}`} {
		put("i-damaged.json", []byte(text))
		until(t, w, "the damaged one is skipped", func(set []registry.Instance) bool { return len(set) == 1 && set[0].ID == "living" })
		if s := d.Stats(); s.Unreadable != 1 || s.Garbage == 0 {
			t.Errorf("stats with a damaged file: %+v", s)
		}
		if err := r.Update(registrytest.Sample("damaged", "world")); err != nil {
			t.Fatal(err)
		}
		until(t, w, "the damaged one is back", both)
	}
}

func TestFolderThatWasCleanedUpIsPutBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	owner, d := open(t, dir), open(t, dir)
	i := registrytest.Sample("a", "world")
	r, err := owner.Register(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, d)
	there := func(set []registry.Instance) bool { return len(set) == 1 && set[0].Equal(&i) }
	until(t, w, "it is there", there)
	for n, remove := range []string{dir, filepath.Join(dir, "i-a.lock"), filepath.Join(dir, "i-a.json")} {
		if err := os.RemoveAll(remove); err != nil {
			t.Fatal(err)
		}
		// Only a change of the instance tells that the repair is over, whether or not the watcher saw it go.
		i.Weight = n + 1
		if err := r.Update(i); err != nil && n > 0 {
			t.Fatal(err)
		}
		until(t, w, "it is back after "+remove, there)
	}
	if s := owner.Stats(); s.Repaired == 0 {
		t.Errorf("stats %+v", s)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	until(t, w, "it is gone", none)
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	base := t.TempDir()
	mode := func(name string, mode os.FileMode) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	refused := func(what, dir, want string) {
		t.Helper()
		d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
		if err == nil {
			d.Close()
			t.Errorf("%s was opened", what)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", what, err, want)
		}
	}
	open(t, mode("readable", 0o755)) // others may look
	if runtime.GOOS != "windows" {
		refused("writable by the group", mode("group", 0o770), "chmod 700")
		refused("writable by all", mode("all", 0o777|os.ModeSticky), "chmod 700")
		if os.Geteuid() == 0 {
			dir := mode("chowned", 0o700)
			if err := os.Chown(dir, 1, 1); err != nil {
				t.Fatal(err)
			}
			refused("of another user", dir, "belongs to user 1")
		} else if os.Geteuid() != 0 {
			refused("of root", "/", "belongs to user 0")
		}
		link := filepath.Join(base, "link")
		if err := os.Symlink(mode("target", 0o700), link); err != nil {
			t.Fatal(err)
		}
		refused("a link", link, "not a folder")
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a file", file, "folder")
	refused("nothing", "", "DefaultDirectory")
	if _, err := registry.OpenDirectory(base, registry.DirectoryConfig{Poll: -1}); err == nil {
		t.Error("a negative poll was taken")
	}
}

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{10, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "run")
			owner, d := open(b, dir), open(b, dir)
			for i := range n {
				if _, err := owner.Register(b.Context(), registrytest.Sample("i"+strconv.Itoa(i), "world")); err != nil {
					b.Fatal(err)
				}
			}
			long := time.Now().Add(-time.Hour)
			for _, name := range append(names(b, dir), ".") {
				if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				w, err := d.Watch(b.Context(), "none") // looks once
				if err != nil {
					b.Fatal(err)
				}
				w.Close()
			}
		})
	}
}

func TestUpdatesOfOneRegistrationMayComeAllAtOnce(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	i := registrytest.Sample("busy", "world")
	r, err := d.Register(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for k := range 20 {
				j := i.Clone()
				j.Weight = 1 + 100*n + k
				if err := r.Update(j); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() { // another instance is refused meanwhile, too
		j := i.Clone()
		j.Epoch++
		for range 20 {
			if r.Update(j) == nil {
				t.Error("the epoch was changed")
			}
		}
	})
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Update(i); !errors.Is(err, registry.ErrClosed) {
		t.Error(err)
	}
}
