package web_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/web"
)

func Example() {
	page, err := fs.ReadFile(web.Assets(), "index.html")
	fmt.Println(strings.HasPrefix(string(page), "<!doctype html>"), err)
	// Output: true <nil>
}

// TestPageIsWhole: the page names only files that are embedded, and no script or style is left over from an older build.
func TestPageIsWhole(t *testing.T) {
	page, err := fs.ReadFile(web.Assets(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"index.html": true}
	todo := []string{string(page)}
	reference := regexp.MustCompile(`"\./([\w-]+\.(?:js|css))"`)
	for len(todo) > 0 {
		text := todo[0]
		todo = todo[1:]
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if named[m[1]] {
				continue
			}
			named[m[1]] = true
			file, err := fs.ReadFile(web.Assets(), m[1])
			if err != nil {
				t.Fatalf("%s is named but not embedded: %v", m[1], err)
			}
			todo = append(todo, string(file))
		}
	}
	if len(named) < 3 {
		t.Fatalf("the page names only %d files", len(named))
	}
	err = fs.WalkDir(web.Assets(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !named[path] {
			t.Errorf("%s is embedded but nothing names it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoOtherOrigin: the page and its scripts ask nobody but the server they came from. Namespaces of SVG and links in prose are not requests.
func TestNoOtherOrigin(t *testing.T) {
	request := regexp.MustCompile(`(?:src|href|url\(|fetch\(|import\(|WebSocket\()\s*=?\s*["'` + "`" + `(]*(?:https?:)?//[a-z]`)
	err := fs.WalkDir(web.Assets(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(web.Assets(), path)
		if at := request.FindIndex(text); at != nil {
			t.Errorf("%s asks another origin: %.60s", path, text[at[0]:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
