//go:build !race

// The guard tests read the source tree itself and hold it to the rules that no
// compiler knows: floors, comments, no global state, no secrets of a machine.
// They parse rather than build, so they also speak about files of other
// platforms, and they open every file they judge, so a cached result is never
// older than the tree. One goroutine does all of it: race builds, in which it
// takes ten times as long, go without.
package tianxia_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// modulePath starts the import path of every package of this repository.
const modulePath = "github.com/tianxia-mmo/tianxia"

// violation is one broken rule, worded for the person who has to mend it.
type violation struct {
	where string // file, or file:line
	what  string
	why   string
	fix   string
}

func (v violation) String() string {
	return fmt.Sprintf("%s: %s\n\twhy: %s\n\tfix: %s", v.where, v.what, v.why, v.fix)
}

// goFile is one parsed Go file.
type goFile struct {
	name   string // from the root, forward slashes
	text   []byte
	set    *token.FileSet
	syntax *ast.File
	nested bool // belongs to a module of its own below the root
}

func (f *goFile) folder() string  { return path.Dir(f.name) }
func (f *goFile) test() bool      { return strings.HasSuffix(f.name, "_test.go") }
func (f *goFile) generated() bool { return ast.IsGenerated(f.syntax) }

// at names the place of a node.
func (f *goFile) at(node ast.Node) string {
	return f.name + ":" + strconv.Itoa(f.set.Position(node.Pos()).Line)
}

// ours returns the folder that an import of this module leads to.
func ours(spec *ast.ImportSpec) (folder string, ok bool) {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "", false
	}
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// skipped says which folders hold nothing that is ours to judge.
func skipped(name string) bool {
	base := path.Base(name)
	return name == "bin" || base == "node_modules" || base == ".git"
}

// readGo parses every Go file of a tree. What does not parse is a violation.
func readGo(tree fs.FS) (files []*goFile, broken []violation, err error) {
	set := token.NewFileSet()
	var modules []string
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if skipped(name) || path.Base(name) == "testdata" || (name != "." && strings.HasPrefix(path.Base(name), ".")) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil && name != "." {
				modules = append(modules, name+"/")
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			broken = append(broken, violation{name, "does not parse: " + err.Error(), "no rule can be checked in it", "mend the syntax"})
			return nil
		}
		file := &goFile{name: name, text: text, set: set, syntax: syntax}
		for _, module := range modules {
			file.nested = file.nested || strings.HasPrefix(name, module)
		}
		files = append(files, file)
		return nil
	})
	return files, broken, err
}

// guard is a rule over all Go files of a tree.
type guard func(files []*goFile) []violation

// holdTree fails the test for every violation in the repository.
func holdTree(t *testing.T, rule guard) {
	t.Helper()
	files, broken, err := readGo(os.DirFS("."))
	if err != nil {
		t.Fatalf("read the source tree: %v", err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found: the guard looks at the wrong folder")
	}
	for _, v := range append(broken, rule(files)...) {
		t.Error(v)
	}
}

// guardCase is a small tree and what a guard must say about it.
type guardCase struct {
	name  string
	files map[string]string
	want  []string // a piece of each violation, in order; none for a clean tree
}

// provesGuard shows that a guard fails where it must and is silent elsewhere.
func provesGuard(t *testing.T, rule guard, cases []guardCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range c.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			files, broken, err := readGo(tree)
			if err != nil || len(broken) > 0 {
				t.Fatalf("the case itself is broken: %v %v", err, broken)
			}
			matchViolations(t, rule(files), c.want)
		})
	}
}

func matchViolations(t *testing.T, got []violation, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d violations, want %d: %v", len(got), len(want), got)
	}
	for i, v := range got {
		if !strings.Contains(v.String(), want[i]) {
			t.Errorf("violation %d is\n%s\nwant %q", i, v, want[i])
		}
		if v.where == "" || v.what == "" || v.why == "" || v.fix == "" {
			t.Errorf("violation %d does not say where, what, why and fix: %+v", i, v)
		}
	}
}

func TestGuardSeesFilesThatDoNotParse(t *testing.T) {
	_, broken, err := readGo(fstest.MapFS{"pkg/aoi/a.go": {Data: []byte("package aoi\nfunc {")}})
	if err != nil {
		t.Fatal(err)
	}
	matchViolations(t, broken, []string{"pkg/aoi/a.go: does not parse"})
}
