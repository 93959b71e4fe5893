package registry_test

import (
	"path/filepath"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry/registrytest"
)

func TestMemoryIsARegistry(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) (here, there registry.Registry) {
		m := registry.NewMemory()
		return m, m
	})
}

func TestDirectoryIsARegistry(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) (here, there registry.Registry) {
		dir := filepath.Join(t.TempDir(), "run") // made by us, so that its mode does not depend on the umask
		return open(t, dir), open(t, dir)
	})
}

func open(t testing.TB, dir string) *registry.Directory {
	t.Helper()
	d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
