package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// protoRoot is where the repository's own schema lies, seen from this package.
const protoRoot = "../../proto_define"

// lay puts files into a folder of the test's own, which is a Go module too.
func lay(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	put(t, root, "go.mod", "module example.test/game\n")
	for name, content := range files {
		put(t, root, name, content)
	}
	return root
}

func put(t testing.TB, root, name, content string) {
	t.Helper()
	target := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, root, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// snapshot is every file below a folder.
func snapshot(t testing.TB, root string) map[string]string {
	t.Helper()
	names, err := find(root, "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		all[name] = read(t, root, name)
	}
	return all
}

// valid is a schema file of eight lines that compiles, with one message.
func valid(pkg, goPackage, message string) string {
	return "syntax = \"proto3\";\npackage " + pkg + ";\n\noption go_package = \"example.test/game/" + goPackage +
		"\";\n\n// " + message + " says a thing.\nmessage " + message + " { uint32 x = 1; }\n"
}

// head begins the source of the game of these tests; bodies follow in line 6.
const head = `syntax = "proto3";
package game.v1;
import "mmo/options.proto";
option go_package = "example.test/game/game/v1;gamev1";
`

const marked1 = head + "option (mmo.schema) = {};\n"

// place is a component with a position, of five lines.
const placeComponent = `message Place { option (mmo.component) = {id: 1, position: {x: "x", z: "z", vx: "vx", vz: "vz"}};
  double x = 1 [(mmo.sync) = {quantize: 0.003125}]; double z = 2 [(mmo.sync) = {quantize: 0.003125}];
  double vx = 3 [(mmo.sync) = {quantize: 0.0625}]; double vz = 4 [(mmo.sync) = {quantize: 0.0625}];
}
`

// spotOf takes the marks out of a source and says, as line and column, where they were.
func spotOf(source string) (clean string, line, col int) {
	before, after, _ := strings.Cut(source, "§")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return before + after, 1 + strings.Count(before, "\n"), 1 + len(last)
}
