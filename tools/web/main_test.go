package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareNamesTheStaleFileAndTheFix(t *testing.T) {
	dist := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dist, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{"a.js": []byte("1"), "index.html": []byte("2")}
	fails := func(words ...string) {
		t.Helper()
		err := compare(dist, files)
		if err == nil {
			t.Fatal("no error")
		}
		for _, w := range append(words, "go run -C tools/web .") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q lacks %q", err, w)
			}
		}
	}
	fails("a.js", "missing")
	put("a.js", "1")
	put("index.html", "old")
	fails("index.html", "stale")
	put("index.html", "2")
	if err := compare(dist, files); err != nil {
		t.Fatal(err)
	}
	put("older.js", "0")
	fails("older.js", "left over")
	if err := write(dist, files); err != nil {
		t.Fatal(err)
	}
	if err := compare(dist, files); err != nil {
		t.Fatalf("after write: %v", err)
	}
}

func TestReportHoldsTheBudget(t *testing.T) {
	noise := make([]byte, budget+1000)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(noise) // it never fails
	if err := report(map[string][]byte{"a.css": noise}); err != nil {
		t.Errorf("styles are not scripts: %v", err)
	}
	if err := report(map[string][]byte{"main-X.js": noise}); err == nil || !strings.Contains(err.Error(), "of every page") {
		t.Errorf("got %v", err)
	}
	page := []byte(`import{a}from"./chunk-A.js";import"./chunk-B.js";import("./chunk-C.js")`)
	if err := report(map[string][]byte{"main-X.js": page, "chunk-B.js": noise}); err == nil || !strings.Contains(err.Error(), "of every page") {
		t.Errorf("a chunk of the page: %v", err)
	}
	if err := report(map[string][]byte{"main-X.js": page, "chunk-C.js": noise}); err == nil || !strings.Contains(err.Error(), "without cryptography") {
		t.Errorf("a chunk that is loaded later: %v", err)
	}
}

func TestLinkWantsBothSources(t *testing.T) {
	files := map[string][]byte{"main-X.js": nil, "style-Y.css": nil}
	got, err := link(`<a "./main.ts" "./style.css">`, files)
	if want := `<a "./main-X.js" "./style-Y.css">`; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := link(`<a "./main.ts">`, files); err == nil {
		t.Error("a page without its style was linked")
	}
}

func TestMissingModulesSayWhatToDo(t *testing.T) {
	if _, err := bundle(t.TempDir()); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("got %v", err)
	}
}
