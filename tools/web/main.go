// Command web bundles the folder web/ into web/dist, which is committed and embedded, so that users of the framework need neither Node
// nor this tool:
//
//	go run -C tools/web .          build
//	go run -C tools/web . -check   compare with the committed output, write nothing; exit 1 names the stale file and the fix
//
// Both print the gzip size of every script and fail above the budgets: of what every page loads, and of the rest, which browsers without cryptography of their own load besides.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Budgets in gzip bytes: of the scripts that every page loads, and of those that are loaded only where the browser offers no cryptography, which is on insecure origins.
const (
	budget         = 50 * 1024
	fallbackBudget = 20 * 1024
)

// fix is the command that a person runs when the committed output is stale.
const fix = "go run -C tools/web ."

func main() {
	check := flag.Bool("check", false, "compare with the committed output instead of writing it")
	dir := flag.String("web", filepath.Join("..", "..", "web"), "the folder web/")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	web, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find %s: %w", dir, err)
	}
	files, err := bundle(web)
	if err != nil {
		return err
	}
	if err := report(files); err != nil {
		return err
	}
	dist := filepath.Join(web, "dist")
	if check {
		return compare(dist, files)
	}
	return write(dist, files)
}

// bundle returns the content of web/dist by file name. The same sources give the same bytes on every machine: esbuild sees paths
// relative to web/ only, and hashes contents.
func bundle(web string) (map[string][]byte, error) {
	if _, err := os.Stat(filepath.Join(web, "node_modules", "@noble", "curves", "package.json")); err != nil {
		return nil, errors.New("web/node_modules is missing or incomplete: run npm ci in web/")
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     web,
		EntryPoints:       []string{"demo/main.ts", "demo/style.css"},
		Outdir:            "dist",
		EntryNames:        "[name]-[hash]",
		ChunkNames:        "chunk-[hash]",
		Bundle:            true,
		Splitting:         true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		MinifySyntax:      true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		LegalComments:     api.LegalCommentsNone,
		LogLevel:          api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("esbuild: %d errors, first: %s", len(result.Errors), result.Errors[0].Text)
	}
	files := map[string][]byte{}
	for _, f := range result.OutputFiles {
		files[filepath.Base(f.Path)] = f.Contents
	}
	page, err := os.ReadFile(filepath.Join(web, "demo", "index.html"))
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	index, err := link(string(page), files)
	if err != nil {
		return nil, err
	}
	files["index.html"] = []byte(index)
	return files, nil
}

// link replaces the page's references to its sources by the names of the built files.
func link(page string, files map[string][]byte) (string, error) {
	for source, pattern := range map[string]string{"./main.ts": "main-*.js", "./style.css": "style-*.css"} {
		built := ""
		for name := range files {
			if ok, _ := filepath.Match(pattern, name); ok {
				built = name
			}
		}
		if built == "" || strings.Count(page, `"`+source+`"`) != 1 {
			return "", fmt.Errorf("index.html must name %q once and esbuild must make %s", source, pattern)
		}
		page = strings.Replace(page, `"`+source+`"`, `"./`+built+`"`, 1)
	}
	return page, nil
}

// report prints sizes and holds scripts to the budgets.
func report(files map[string][]byte) error {
	page, rest := 0, 0
	loaded := static(files)
	for _, name := range names(files) {
		n, err := gzipped(files[name])
		if err != nil {
			return fmt.Errorf("compress %s: %w", name, err)
		}
		switch {
		case !strings.HasSuffix(name, ".js"):
		case loaded[name]:
			page += n
		default:
			rest += n
		}
		fmt.Printf("%-24s %7d bytes %7d gzip\n", name, len(files[name]), n)
	}
	fmt.Printf("%-24s %21d gzip of %d\n%-24s %21d gzip of %d\n", "scripts of every page", page, budget, "without cryptography", rest, fallbackBudget)
	if page > budget {
		return fmt.Errorf("scripts of every page are %d bytes over the budget of %d gzip bytes", page-budget, budget)
	}
	if rest > fallbackBudget {
		return fmt.Errorf("scripts for browsers without cryptography are %d bytes over the budget of %d gzip bytes", rest-fallbackBudget, fallbackBudget)
	}
	return nil
}

// static names the scripts that are loaded with the page: the main one, and what it imports.
func static(files map[string][]byte) map[string]bool {
	loaded := map[string]bool{}
	imported := regexp.MustCompile(`(?:from|import)\s*"\./([^"]+\.js)"`) // at its start; import(…), later, is another thing
	var load func(name string)
	load = func(name string) {
		if loaded[name] {
			return
		}
		loaded[name] = true
		for _, m := range imported.FindAllSubmatch(files[name], -1) {
			load(string(m[1]))
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "main-") && strings.HasSuffix(name, ".js") {
			load(name)
		}
	}
	return loaded
}

func gzipped(data []byte) (int, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := z.Write(data); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	return b.Len(), nil
}

// compare fails on the first difference between dist and files, in order of names.
func compare(dist string, files map[string][]byte) error {
	for _, name := range names(files) {
		have, err := os.ReadFile(filepath.Join(dist, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("web/dist/%s is missing: run %s and commit web/dist", name, fix)
		case err != nil:
			return fmt.Errorf("read the committed output: %w", err)
		case !bytes.Equal(have, files[name]):
			return fmt.Errorf("web/dist/%s is stale: run %s and commit web/dist", name, fix)
		}
	}
	have, err := os.ReadDir(dist)
	if err != nil {
		return fmt.Errorf("list the committed output: %w", err)
	}
	for _, e := range have {
		if _, ok := files[e.Name()]; !ok {
			return fmt.Errorf("web/dist/%s is left over: run %s and commit web/dist", e.Name(), fix)
		}
	}
	return nil
}

// write replaces dist.
func write(dist string, files map[string][]byte) error {
	if err := os.RemoveAll(dist); err != nil {
		return fmt.Errorf("clear the old output: %w", err)
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	for _, name := range names(files) {
		if err := os.WriteFile(filepath.Join(dist, name), files[name], 0o644); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	return nil
}

func names(files map[string][]byte) []string {
	out := make([]string, 0, len(files))
	for name := range files {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
