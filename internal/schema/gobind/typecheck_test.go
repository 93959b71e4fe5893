package gobind_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

// imported has what generated code imports, compiled, from the build cache. Nothing changes it but the importer, and tests of this package run one by one.
var imported = sync.OnceValues(func() (types.Importer, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./pkg/game", "./pkg/protocol", "./pkg/sync/delta", "./pkg/rpc", "./proto_define/mmo", "google.golang.org/protobuf/types/known/emptypb")
	cmd.Dir = module
	out, err := cmd.Output()
	if bad := (*exec.ExitError)(nil); errors.As(err, &bad) {
		return nil, fmt.Errorf("go list: %w: %s", err, bad.Stderr)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		of, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		found[of] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(of string) (io.ReadCloser, error) {
		if found[of] == "" {
			return nil, fmt.Errorf("generated code imports %s, which the packages of this module do not", of)
		}
		return os.Open(found[of])
	}), err
})

// checker type-checks packages from memory; what they import of other modules comes compiled.
type checker struct {
	t     *testing.T
	fset  *token.FileSet
	files map[string][]byte // relative to the module's folder
	done  map[string]*types.Package
	other types.Importer
}

const studio = "example.test/studio"

func (c *checker) Import(of string) (*types.Package, error) {
	if p := c.done[of]; p != nil {
		return p, nil
	}
	folder, own := strings.CutPrefix(of, studio+"/")
	if !own {
		return c.other.Import(of)
	}
	var list []*ast.File
	for name, content := range c.files {
		if path.Dir(name) == folder && strings.HasSuffix(name, ".go") {
			file, err := parser.ParseFile(c.fset, name, content, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			list = append(list, file)
		}
	}
	config := types.Config{Importer: c, Error: func(err error) { c.t.Errorf("the generated code does not compile: %v", err) }}
	p, err := config.Check(of, c.fset, list, nil)
	c.done[of] = p
	return p, err
}

// typecheck compiles generated packages as far as their types go, and reports what is wrong with them.
func typecheck(t *testing.T, files map[string][]byte, packages ...string) {
	t.Helper()
	other, err := imported()
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, fset: token.NewFileSet(), files: files, done: map[string]*types.Package{}, other: other}
	for _, p := range packages {
		if _, err := c.Import(studio + "/" + p); err != nil {
			t.Errorf("package %s: %v", p, err)
		}
	}
}

// compiles generates everything of a schema in one file and type-checks the bindings with the messages.
func compiles(t *testing.T, body string) map[string][]byte {
	t.Helper()
	files, err := schema.Generate(write(t, map[string]string{"duel/v1/duel.proto": prelude + body}), schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	typecheck(t, files, "duel/bind")
	return files
}

// ends are ranges by type: below 0, astride of it, above it, and as far out as ranges go.
func ends(of string) []string {
	const edge = "9007199254740992" // 2^53
	below := []string{"min: -100, max: -50", "min: -2147483648, max: -2147483647", "min: -2147483648, max: -1"}
	astride := []string{"min: -1, max: 0", "min: -5, max: 4", "min: -2147483648, max: 2147483647"}
	above := []string{"max: 1", "min: 10, max: 20", "max: 2147483647", "min: 2147483646, max: 2147483647"}
	switch of {
	case "uint32", "fixed32":
		return append(above, "max: 4294967295", "min: 4294967294, max: 4294967295")
	case "uint64", "fixed64":
		return append(above, "max: 4294967296", "max: 9007199254740991", "min: 9007199254740990, max: "+edge)
	case "int64", "sint64", "sfixed64":
		below = append(below, "min: -"+edge+", max: -9007199254740990", "min: -"+edge+", max: -1")
		astride = append(astride, "min: -4503599627370496, max: 4503599627370495")
		above = append(above, "max: 9007199254740991", "min: 9007199254740990, max: "+edge)
	}
	return append(append(below, astride...), above...)
}

func TestEveryNumberWithEveryRangeCompiles(t *testing.T) {
	for _, of := range []string{"int32", "uint32", "int64", "uint64", "sint32", "sfixed32", "fixed32", "sint64", "sfixed64", "fixed64"} {
		t.Run(of, func(t *testing.T) {
			var b bytes.Buffer
			ranges := append([]string{""}, ends(of)...)
			if !strings.HasPrefix(of, "int") && !strings.HasPrefix(of, "uint") {
				ranges = ranges[:2] // the bindings do not tell them from the others
			}
			for i, r := range ranges {
				sync := ""
				if r != "" {
					sync = "range: {" + r + "}, "
				}
				component(&b, i+1, of, sync)
			}
			compiles(t, b.String())
		})
	}
}

// component writes a component with a type in every place that a value may have.
func component(b *bytes.Buffer, id int, of, sync string) {
	only := "" // of a single value
	if sync != "" {
		only = " [(mmo.sync) = {" + sync + "}]"
	}
	table := sync
	if of == "float" || of == "double" {
		table = "" // the schema has no steps in maps, but in their messages
	}
	fmt.Fprintf(b, "message In%d { %s one = 1%s; optional %s may = 2%s; repeated %s list = 3 [(mmo.sync) = {%smax: 4}]; }\n", id, of, only, of, only, of, sync)
	fmt.Fprintf(b, `message Part%d { option (mmo.component) = {id: %d, persist: true}; %s one = 1%s; optional %s may = 2%s;
  repeated %s list = 3 [(mmo.sync) = {%smax: 4}]; map<string, %s> table = 4 [(mmo.sync) = {%smax: 4}]; In%d deep = 5; map<int64, In%d> deeper = 7 [(mmo.sync) = {max: 2}]; %s own = 8 [(mmo.sync) = {%saudience: OWNER}]; }
`, id, id, of, only, of, only, of, sync, of, table, id, id, of, sync)
}

func TestEveryFloatWithEveryRangeCompiles(t *testing.T) {
	for _, of := range []string{"float", "double"} {
		t.Run(of, func(t *testing.T) {
			var b bytes.Buffer
			all := []string{
				"", "quantize: 0.25, ", "quantize: 3, ", "quantize: 1e-9, ", "quantize: 1e9, ", "bits: 1, interp: ANGLE, ", "bits: 16, interp: ANGLE, ",
				"quantize: 0.5, range: {min: -100, max: -50}, ", "quantize: 0.5, range: {min: -100, max: 50}, ", "quantize: 0.5, range: {min: 50, max: 100}, ",
				"bits: 8, range: {min: -100, max: -50}, ", "bits: 8, range: {min: -100, max: 50}, ", "bits: 8, range: {min: 50, max: 100}, ", "bits: 1, range: {max: 1}, ",
				"quantize: 0.125, range: {min: -1048576, max: 1048576}, ", "bits: 20, range: {min: -1e14, max: 1e14}, ", "bits: 20, range: {max: 2e-3}, ",
			}
			if of == "double" {
				all = all[:10] // it is another type of the message, no more
			}
			for i, sync := range all {
				component(&b, i+1, of, sync)
			}
			compiles(t, b.String())
		})
	}
	t.Run("steps of 32 bits", func(t *testing.T) {
		var b bytes.Buffer
		for i, sync := range []string{
			"quantize: 1, range: {min: -2147483648, max: 2147483647}, ", "quantize: 1, range: {min: -2147483648, max: -2147483000}, ",
			"quantize: 1, range: {min: 2147483000, max: 2147483647}, ", "bits: 31, range: {min: -2, max: 2}, ",
		} {
			component(&b, i+1, "double", sync)
		}
		compiles(t, b.String())
	})
}

func TestEveryOtherTypeCompiles(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("enum Mood { MOOD_NONE = 0; MOOD_GLAD = 3; } enum Far { FAR_NONE = 0; FAR_END = 2147483647; }\n")
	for i, of := range []string{"bool", "string", "bytes", "Mood", "Far"} {
		component(&b, i+1, of, "")
	}
	component(&b, 6, "uint64", "entity: true, ")
	compiles(t, strings.Replace(b.String(), "{id: 6, persist: true}", "{id: 6}", 1))
}

func TestPlacesWithEveryRangeCompile(t *testing.T) {
	for i, c := range []struct{ x, y string }{
		{"", "-"}, {"", ""}, {"range: {max: 400}", "range: {min: -50, max: 10}"}, {"range: {max: 400}", "range: {min: -50, max: -10}"}, {"", "range: {min: 10, max: 20}"},
		{"range: {min: 5, max: 10}", "range: {min: -2147483648, max: 2147483647}"}, {"range: {min: -2147483648, max: 2147483647}", "range: {min: -2147483648, max: -5}"},
	} {
		for _, heading := range []string{"", `heading: "yaw", `, `heading: "yaw", polar: true, `} {
			t.Run(fmt.Sprint(i, heading), func(t *testing.T) {
				var b bytes.Buffer
				field := func(n int, name, sync string) {
					fmt.Fprintf(&b, "double %s = %d [(mmo.sync) = {quantize: 1, %s}];\n", name, n, sync)
				}
				y := `y: "y", vy: "vy", `
				if c.y == "-" {
					y = ""
				}
				fmt.Fprintf(&b, "message Place { option (mmo.component) = {id: 1, persist: true, position: {%s%sx: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n", y, heading)
				field(1, "x", c.x)
				field(2, "z", c.x)
				if y != "" {
					field(3, "y", c.y)
					b.WriteString("double vy = 6 [(mmo.sync) = {quantize: 20}];\n")
				}
				b.WriteString("double vx = 4 [(mmo.sync) = {quantize: 20}]; double vz = 5 [(mmo.sync) = {quantize: 20}];\n")
				if heading != "" {
					b.WriteString("float yaw = 7 [(mmo.sync) = {bits: 10, interp: ANGLE}];\n")
				}
				b.WriteString("}\nmessage Hero { option (mmo.kind) = {id: 1, components: [\"Place\"], avatar: true}; }\n")
				compiles(t, b.String())
			})
		}
	}
}
