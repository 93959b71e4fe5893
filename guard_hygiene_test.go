//go:build !race

package tianxia_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// forbiddenBackwards are texts that no file may hold, written backwards so
// that this file may.
var forbiddenBackwards = []struct{ text, what string }{
	{"gro.gnalog.yxorp", "the host of a module proxy"},
	{"gro.gnalog.mus", "the host of a module checksum database"},
	{"gro.sjmpn.yrtsiger", "the host of a package registry"},
	{"moc.gkpnray.yrtsiger", "the host of a package registry"},
	{"gro.ipyp", "the host of a package registry"},
	{"gro.detsohnohtyp", "the host of a package registry"},
	{"oi.setarc", "the host of a package registry"},
	{"gro.naibed.bed", "the host of a package mirror"},
	{"gro.naibed.ptf", "the host of a package mirror"},
	{"gro.naibed.ytiruces", "the host of a package mirror"},
}

// homePaths are folders of a person, root included.
var homePaths = regexp.MustCompile(`(^|[^\w./-])(/home/[a-z]|/Users/[A-Za-z]|/ro{2}t/)`)

// homePath is homePaths.FindSubmatchIndex, but quick where there is none.
func homePath(text []byte) []int {
	for _, start := range []string{"/home/", "/Users/", "/ro" + "ot/"} {
		if bytes.Contains(text, []byte(start)) {
			return homePaths.FindSubmatchIndex(text)
		}
	}
	return nil
}

// hygiene judges the named files of a tree. rootPath, the folder that the
// repository happens to lie in, must not be mentioned either.
func hygiene(tree fs.FS, names []string, rootPath string) (found []violation, err error) {
	words := map[string]string{}
	for _, f := range forbiddenBackwards {
		words[backwards(f.text)] = f.what
	}
	if strings.Count(filepath.ToSlash(rootPath), "/") >= 3 { // "/src" or "/tmp/x" may be meant as an example
		words[rootPath] = "the folder of this working copy"
	}
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		report := func(at int, what, why, fix string) {
			found = append(found, violation{fmt.Sprintf("%s:%d", name, 1+bytes.Count(text[:at], []byte("\n"))), what, why, fix})
		}
		for _, word := range slices.Sorted(maps.Keys(words)) {
			if at := bytes.Index(text, []byte(word)); at >= 0 {
				report(at, "names "+words[word]+": "+word, "a clone must build behind any mirror and on any machine",
					"take it out; tools know their registries, and paths start from the repository")
			}
		}
		if at := homePath(text); at != nil {
			report(at[4], fmt.Sprintf("names a home folder: %s", text[at[4]:at[5]]), "it exists on one machine only", "write a path from the repository, or ~")
		}
		if path.Base(name) == "package-lock.json" {
			if at := bytes.Index(text, []byte(`"resolved"`)); at >= 0 {
				report(at, "the lock file holds resolved addresses", "they bind every clone to the registry of whoever wrote it; the integrity hashes are enough",
					"set omit-lockfile-registry-resolved=true in web/.npmrc and run npm install again")
			}
		}
	}
	return found, nil
}

func backwards(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// allFiles walks the whole tree. Walking opens every folder, so a cached test
// result ends when a file comes or goes.
func allFiles(tree fs.FS) (names []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && skipped(name) {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// gitFiles lists what git keeps or would keep; ok is false where git is
// missing or the tree is no working copy.
func gitFiles() (names map[string]bool, ok bool) {
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return nil, false
	}
	names = map[string]bool{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		names[name] = true
	}
	return names, true
}

func TestFilesNameNoRegistryAndNoMachine(t *testing.T) {
	tree := os.DirFS(".")
	names, err := allFiles(tree)
	if err != nil {
		t.Fatalf("walk the tree: %v", err)
	}
	if kept, ok := gitFiles(); ok {
		names = slices.DeleteFunc(names, func(name string) bool { return !kept[name] })
	} else {
		names = slices.DeleteFunc(names, func(name string) bool {
			return slices.Contains([]string{"test_results.log", "coverage.html", "coverage.out"}, name)
		})
	}
	if len(names) == 0 {
		t.Fatal("no file found: the guard looks at the wrong folder")
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	found, err := hygiene(tree, names, root)
	if err != nil {
		t.Fatalf("read the tree: %v", err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestHygieneGuardCanFail(t *testing.T) {
	const rootPath = "/srv/build/app"
	tests := []struct{ name, file, text, want string }{
		{"clean", "README.md", "See https://go.dev, /rooted/x, " + backwards("b/toor/a") + ", ./home/x and ~/x.\nThe root path is /.", ""},
		{"working copy", "a.txt", "one\ntwo /srv/build/app/a.go", "a.txt:2: names the folder of this working copy"},
		{"home", "a.txt", "\ncd " + backwards("nna/emoh/"), "a.txt:2: names a home folder"},
		{"home of root", "a.bin", "\x00" + backwards("ehcac./toor/"), "names a home folder"},
		{"lock file", "web/package-lock.json", "{\n\"resolved\": \"x\"}", "web/package-lock.json:2: the lock file holds resolved addresses"},
		{"the same word elsewhere", "web/app.json", "{\"resolved\": \"x\"}", ""},
	}
	for _, f := range forbiddenBackwards {
		tests = append(tests, struct{ name, file, text, want string }{backwards(f.text), "a.txt", "x\ny https://" + backwards(f.text) + "/z", "a.txt:2: names " + f.what})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, err := hygiene(fstest.MapFS{test.file: {Data: []byte(test.text)}}, []string{test.file}, rootPath)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{test.want}
			if test.want == "" {
				want = nil
			}
			matchViolations(t, found, want)
		})
	}
}
