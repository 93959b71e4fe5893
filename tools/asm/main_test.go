package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var aoi = filepath.Join("..", "..", "pkg", "aoi")

func TestCommittedAssemblyIsFresh(t *testing.T) {
	if err := run(aoi, true); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesTheStaleFileAndTheFix(t *testing.T) {
	dir := t.TempDir()
	copyKernel(t, dir, "", "")
	if err := run(dir, true); err == nil {
		t.Error("check is content with no generated files at all")
	}
	if err := run(dir, false); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true); err != nil {
		t.Errorf("check after writing: %v", err)
	}
	stale := filepath.Join(dir, "kernel_amd64.s")
	if err := os.WriteFile(stale, []byte("// stale\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(dir, true)
	if err == nil || !strings.Contains(err.Error(), stale) || !strings.Contains(err.Error(), fix) {
		t.Errorf("check says %v, want the name of %s and the fix", err, stale)
	}
}

func TestGeneratorRefusesAnotherLayout(t *testing.T) {
	for name, change := range map[string][2]string{
		"field order":  {"minX, minZ, maxX, maxZ float32", "minX, maxX, minZ, maxZ, more float32"},
		"field size":   {"old, new uint16", "old, new uint32"},
		"eyes":         {"far2, near2 [lanes]float32", "far2, x2, near2 [lanes]float32"},
		"verdict":      {"possible, sure uint16 // slots", "sure uint32"},
		"missing type": {"type row [lanes]uint16", "type line [lanes]uint16\ntype row2 = line"},
	} {
		dir := t.TempDir()
		copyKernel(t, dir, change[0], change[1])
		if err := run(dir, false); err == nil {
			t.Errorf("%s: code was generated for types that it does not fit", name)
		}
	}
}

// copyKernel puts kernel.go into a folder, with one change.
func copyKernel(t *testing.T, dir, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(aoi, "kernel.go"))
	if err != nil {
		t.Fatal(err)
	}
	if from != "" && !strings.Contains(string(text), from) {
		t.Fatalf("kernel.go has no %q", from)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if err := os.WriteFile(filepath.Join(dir, "kernel.go"), []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
