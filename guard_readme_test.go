//go:build !race

package tianxia_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// outline is the structure of a README: headings by level, tables, code blocks, pictures, and the targets of its links in order.
func outline(text string) []string {
	var list []string
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	code := false
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
			list = append(list, "code")
		case code:
			list = append(list, strings.TrimSpace(strings.SplitN(line, "#", 2)[0]))
		case strings.HasPrefix(line, "#"):
			list = append(list, line[:strings.Index(line+" ", " ")])
		case strings.HasPrefix(line, "- "), strings.HasPrefix(line, "|"):
			list = append(list, line[:1])
		}
		if !code {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				list = append(list, m[1])
			}
		}
	}
	return list
}

// TestReadmesAgree keeps the two READMEs in step: the same headings, lists, tables, code and links in the same order.
func TestReadmesAgree(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	en, zh := read("README.md"), read("README.zh-CN.md")
	if l := strings.Split(en, "\n")[2]; l != "English | [简体中文](README.zh-CN.md)" {
		t.Errorf("README.md:3 is %q, want the language switch", l)
	}
	if l := strings.Split(zh, "\n")[2]; l != "[English](README.md) | 简体中文" {
		t.Errorf("README.zh-CN.md:3 is %q, want the language switch", l)
	}
	example := read("example_test.go")
	for name, text := range map[string]string{"README.md": en, "README.zh-CN.md": zh} {
		_, block, _ := strings.Cut(text, "```go\n")
		block, _, _ = strings.Cut(block, "```")
		indented := strings.ReplaceAll("\t"+strings.TrimRight(block, "\n"), "\n", "\n\t")
		if block == "" || !strings.Contains(example, indented) {
			t.Errorf("%s: its game is not the body of ExampleMain in example_test.go\n\twhy: only what is compiled is known to work\n\tfix: copy the body", name)
		}
	}
	swap := strings.NewReplacer("README.zh-CN.md", "the other", "README.md", "the other")
	a, b := outline(swap.Replace(en)), outline(swap.Replace(zh))
	for i := range max(len(a), len(b)) {
		x, y := "(nothing)", "(nothing)"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Fatalf("the READMEs part ways at their %dth element: README.md has %q, README.zh-CN.md has %q\n\twhy: readers of either language are promised the same\n\tfix: change both", i+1, x, y)
		}
	}
}

// TestLinksLeadSomewhere checks the relative links of every Markdown file.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`") // generics look like links
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(b), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s: link to %s leads nowhere\n\twhy: a reader clicks it\n\tfix: name a file that exists", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStatusNamesTestsThatExist: a row of the status page is worth what its test is worth.
func TestStatusNamesTestsThatExist(t *testing.T) {
	b, err := os.ReadFile("docs/IMPLEMENTATION_STATUS.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(?:([a-z_/]+): )?((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)`")
	found := map[string]bool{} // "folder Name"
	anywhere := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)\(`)
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllStringSubmatch(string(src), -1) {
			found[filepath.ToSlash(filepath.Dir(path))+" "+m[1]], anywhere[m[1]] = true, true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range named.FindAllStringSubmatch(string(b), -1) {
		if m[1] == "package" {
			continue // the page explains its form
		}
		n++
		folder := m[1]
		if folder == "" {
			folder = "."
		}
		if !found[folder+" "+m[2]] && !(strings.HasPrefix(m[2], "Fuzz") && anywhere[m[2]]) {
			t.Errorf("docs/IMPLEMENTATION_STATUS.md names %s in %s, which is not there\n\twhy: the row's promise hangs on it\n\tfix: name the test that shows it", m[2], folder)
		}
	}
	if n < 100 {
		t.Errorf("only %d tests are named: has the page's form changed?", n)
	}
}
