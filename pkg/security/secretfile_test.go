package security

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFailedSaveLeavesNothingBehind: neither a half-written secret nor an empty file that takes the name.
func TestFailedSaveLeavesNothingBehind(t *testing.T) {
	folder := t.TempDir()
	empty := func(want int) {
		t.Helper()
		if names, err := os.ReadDir(folder); err != nil || len(names) != want {
			t.Errorf("%v, %v", names, err)
		}
	}
	if err := writeSecret(filepath.Join(folder, strings.Repeat("n", 250)), []byte("secret"), false); err == nil { // no room for a name beside it
		t.Error("saved")
	}
	empty(0)
	taken := filepath.Join(folder, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := placeFile(taken, []byte("secret"), func(from string) error { return os.Rename(from, taken) }); err == nil {
		t.Error("a folder was replaced")
	}
	empty(1)
	if err := claimFile(filepath.Join(folder, "nothing"), filepath.Join(folder, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	empty(1)
	if err := writeSecret(filepath.Join(folder, "good"), []byte("secret"), false); err != nil {
		t.Error(err)
	}
	empty(2)
}

// TestNewFileWhereThereAreNoLinks tries the way of file systems that cannot link.
func TestNewFileWhereThereAreNoLinks(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "root.key")
	for _, want := range []error{nil, fs.ErrExist} {
		err := placeFile(path, []byte("secret"), func(from string) error { return claimFile(from, path) })
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	b, err := os.ReadFile(path)
	names, _ := os.ReadDir(folder)
	if err != nil || string(b) != "secret" || len(names) != 1 {
		t.Errorf("%q, %v, %v", b, names, err)
	}
}
