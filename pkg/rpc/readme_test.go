package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

const (
	readmeEnglish = "README.md"
	readmeChinese = "README.zh-CN.md"
)

// goBlocks are the blocks of Go of a file, each with the line that it begins at.
func goBlocks(t *testing.T, name string) (blocks []string, lines []int) {
	t.Helper()
	inside := false
	for i, line := range strings.Split(read(t, name), "\n") {
		switch {
		case !inside && line == "```go":
			inside = true
			blocks, lines = append(blocks, ""), append(lines, i+2)
		case inside && line == "```":
			inside = false
		case inside:
			blocks[len(blocks)-1] += line + "\n"
		}
	}
	return blocks, lines
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// program tells a whole program from a piece of one.
func program(block string) bool { return strings.HasPrefix(block, "package main\n") }

// flat is code without its indentation and without empty lines at its ends: what is quoted stands further left than where it comes from.
func flat(code string) string {
	lines := strings.Split(strings.Trim(code, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// exampleFiles are the sources that the READMEs may quote, without indentation, and their syntax.
func exampleFiles(t *testing.T) (sources []string, files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, name := range names {
		text := read(t, name)
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		sources, files = append(sources, flat(text)), append(files, file)
	}
	return sources, files
}

// TestReadmeShowsCodeThatRuns: every piece of Go in the READMEs stands in an example, and every example is run.
func TestReadmeShowsCodeThatRuns(t *testing.T) {
	sources, files := exampleFiles(t)
	for _, e := range doc.Examples(files...) {
		if e.Output == "" && !e.EmptyOutput {
			t.Errorf("Example%s has no Output\n\twhy: go test compiles it and does not run it\n\tfix: say what it prints", e.Name)
		}
	}
	for _, name := range []string{readmeEnglish, readmeChinese} {
		blocks, lines := goBlocks(t, name)
		if len(blocks) < 20 {
			t.Errorf("%s has only %d blocks of Go: has its form changed?", name, len(blocks))
		}
		for i, block := range blocks {
			quoted := slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, flat(block)) })
			if !program(block) && !quoted {
				t.Errorf("%s:%d: this code is in no example:\n%s\twhy: only what runs is known to work\n\tfix: quote whole lines of an example*_test.go", name, lines[i], block)
			}
		}
	}
}

// readmeElements is the structure of a README: headings, lists, tables with their columns, links, and code as it is.
func readmeElements(text string) (list []string) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := false
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
			list = append(list, line)
			continue
		case code:
			list = append(list, line)
			continue
		case strings.HasPrefix(line, "#"):
			list = append(list, "a heading: "+line[:strings.Index(line+" ", " ")])
		case strings.HasPrefix(line, "- "):
			list = append(list, "an item of a list")
		case strings.HasPrefix(line, "|"):
			list = append(list, fmt.Sprintf("a row of %d columns", strings.Count(line, "|")-1))
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(m[1], "#") {
				m[1] = "a place in this file"
			}
			list = append(list, "a link to "+m[1])
		}
	}
	return list
}

// TestReadmeTwinsAgree: both languages have the same headings, lists, tables, code and links in the same order.
func TestReadmeTwinsAgree(t *testing.T) {
	english, chinese := read(t, readmeEnglish), read(t, readmeChinese)
	if l := strings.Split(english, "\n")[2]; l != "English | [简体中文]("+readmeChinese+")" {
		t.Errorf("%s:3 is %q, want the language switch", readmeEnglish, l)
	}
	if l := strings.Split(chinese, "\n")[2]; l != "[English]("+readmeEnglish+") | 简体中文" {
		t.Errorf("%s:3 is %q, want the language switch", readmeChinese, l)
	}
	swap := strings.NewReplacer(readmeChinese, "the twin", readmeEnglish, "the twin")
	a, b := readmeElements(swap.Replace(english)), readmeElements(swap.Replace(chinese))
	for i := range max(len(a), len(b)) {
		x, y := "nothing", "nothing"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Fatalf("the READMEs part ways at their element %d: %s has %q, %s has %q\n\twhy: readers of either language are promised the same\n\tfix: change both",
				i+1, readmeEnglish, x, readmeChinese, y)
		}
	}
}

// TestReadmePlacesExist: links within a README lead to its headings.
func TestReadmePlacesExist(t *testing.T) {
	place := regexp.MustCompile(`\]\(#([^)]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	for _, name := range []string{readmeEnglish, readmeChinese} {
		text, places := read(t, name), map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			places[strings.Map(func(r rune) rune {
				switch {
				case r == ' ' || r == '-':
					return '-'
				case unicode.IsLetter(r) || unicode.IsDigit(r):
					return unicode.ToLower(r)
				}
				return -1
			}, m[1])] = true
		}
		for _, m := range place.FindAllStringSubmatch(text, -1) {
			if !places[m[1]] {
				t.Errorf("%s: link to #%s leads nowhere\n\twhy: a reader clicks it\n\tfix: name a heading", name, m[1])
			}
		}
	}
}

// TestReadmeProgramsRun builds the READMEs' whole programs, looks them over with vet, and lets each serve itself; under -short vet, which compiles, is
// all. They are a module of their own, outside of the tree, that takes everything else from here.
func TestReadmeProgramsRun(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("the README's programs cannot be built: %v\n\twhy: this test calls the go command\n\tfix: put the bin folder of Go on the PATH", err)
	}
	var programs []string
	for _, name := range []string{readmeEnglish, readmeChinese} {
		blocks, _ := goBlocks(t, name)
		for _, block := range blocks {
			if program(block) && !slices.Contains(programs, block) {
				programs = append(programs, block)
			}
		}
	}
	if len(programs) != 2 {
		t.Fatalf("%d programs, want one without a schema and one with", len(programs))
	}
	dir, err := os.MkdirTemp("", "rpc") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write := func(text string, path ...string) {
		name := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	const module = "module github.com/tianxia-mmo/tianxia\n"
	requirements, ok := strings.CutPrefix(read(t, filepath.Join(root, "go.mod")), module)
	if !ok {
		t.Fatalf("go.mod does not begin with %q", module)
	}
	write(fmt.Sprintf("module readme\n%s\nrequire github.com/tianxia-mmo/tianxia v0.0.0\nreplace github.com/tianxia-mmo/tianxia => %q\n", requirements, root), "go.mod")
	write(read(t, filepath.Join(root, "go.sum")), "go.sum")
	for i, text := range programs {
		if n := strings.Count(text, "\n"); n >= 40 {
			t.Errorf("a program of %d lines: the quick start is short", n)
		}
		write(strings.ReplaceAll(text, "/tmp/", filepath.ToSlash(dir)+"/"), fmt.Sprintf("readme%d", i), "main.go")
	}
	commands := [][]string{{"vet", "./..."}, {"build", "-o", filepath.Join(dir, "bin") + string(filepath.Separator), "./..."}}
	if testing.Short() {
		commands = commands[:1] // linking takes most of the time
	}
	for _, args := range commands {
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if testing.Short() {
		return
	}
	for i, want := range []string{"hello, Ann\n", "you said Ann\n"} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			binary := filepath.Join(dir, "bin", fmt.Sprintf("readme%d", i))
			if runtime.GOOS == "windows" {
				binary += ".exe"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			server := exec.CommandContext(ctx, binary)
			var said bytes.Buffer
			server.Stdout, server.Stderr = &said, &said
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			got, err := exec.CommandContext(ctx, binary, "Ann").CombinedOutput() // it waits for the server
			cancel()
			_ = server.Wait() // it was killed
			if err != nil || string(got) != want {
				t.Errorf("it printed %q, want %q: %v\nthe server: %q", got, want, err, said.String())
			}
		})
	}
}
