package registry_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

func TestClosingADirectoryLeavesNothing(t *testing.T) {
	count := func() (descriptors, goroutines int) {
		return len(names(t, "/proc/self/fd")), runtime.NumGoroutine()
	}
	dir := filepath.Join(t.TempDir(), "run")
	descriptors, goroutines := count()
	for range 3 {
		d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, d)
		var group sync.WaitGroup
		for n := range 10 {
			group.Go(func() {
				if _, err := d.Register(t.Context(), registrytest.Sample("i"+strconv.Itoa(n))); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		until(t, w, "all", func(set []registry.Instance) bool { return len(set) == 10 })
		for range 2 {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Next(t.Context()); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("next of a closed directory: %v", err)
		}
		if _, err := d.Register(t.Context(), registrytest.Sample("x")); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("register with a closed directory: %v", err)
		}
		if _, err := d.Watch(t.Context(), ""); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("watch of a closed directory: %v", err)
		}
	}
	if files := names(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	for limit := time.Now().Add(registrytest.Patience); ; runtime.Gosched() { // a goroutine that was waited for may be on its last instruction
		d, g := count()
		if d <= descriptors && g <= goroutines {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d descriptors and %d goroutines, before %d and %d", d, g, descriptors, goroutines)
		}
	}
}
