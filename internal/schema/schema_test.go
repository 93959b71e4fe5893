package schema

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// protoRoot is where the repository's own schema lies, seen from this package.
const protoRoot = "../../proto_define"

func TestCommittedMessagesAreFresh(t *testing.T) {
	stale, err := Check(protoRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stale {
		t.Errorf("proto_define/%s is not what its .proto file gives: run go generate ./... and commit the result", name)
	}
}

func TestGenerateGivesTheSameBytesEveryTime(t *testing.T) {
	first, err := Generate(protoRoot)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Generate(protoRoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range first {
		if string(content) != string(again[name]) {
			t.Errorf("%s differs between two runs over the same schema", name)
		}
	}
	if len(first) == 0 || len(first) != len(again) {
		t.Errorf("%d files, then %d", len(first), len(again))
	}
}

func TestGeneratedHeaderNamesNoVersionAndNoPlace(t *testing.T) {
	root := tree(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A")})
	files, err := Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(files["one/v1/a.pb.go"]), "package onev1")
	if !strings.HasPrefix(header, generatedMark+"// source: one/v1/a.proto\n") {
		t.Errorf("header is\n%s", header)
	}
	if found := regexp.MustCompile(`v\d+\.\d+|protoc\s|` + regexp.QuoteMeta(root)).FindString(header); found != "" {
		t.Errorf("header names %q:\n%s", found, header)
	}
}

func TestCommentsOfTheSchemaReachTheMessages(t *testing.T) {
	root := tree(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A")})
	files, err := Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files["one/v1/a.pb.go"]), "// A says a thing.\ntype A struct {") {
		t.Error("the message lost its comment")
	}
}

func TestFilesImportEachOtherAndTheStandardOnes(t *testing.T) {
	user := strings.Replace(valid("two.v1", "two/v1;twov1", "B"), "\npackage",
		"\nimport \"one/v1/a.proto\";\nimport \"google/protobuf/duration.proto\";\npackage", 1)
	user += "message C { one.v1.A a = 1; google.protobuf.Duration d = 2; }\n"
	root := tree(t, map[string]string{
		"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A"),
		"two/v1/b.proto": user,
	})
	files, err := Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, []string{"one/v1/a.pb.go", "two/v1/b.pb.go"}) {
		t.Fatalf("generated %v", got)
	}
	if !strings.Contains(string(files["two/v1/b.pb.go"]), `"example.test/game/one/v1"`) {
		t.Error("the importing file does not import the other package")
	}
}

func TestMistakesNameFileLineAndColumn(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string // one pattern for each mistake, in order; ROOT is the folder
	}{
		{"syntax", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\npackage a.v1;\nmessage A {\n  uint32 = 1;\n}\n"},
			[]string{`ROOT/a/v1/a.proto:4:10: syntax error`}},
		{"unknown type", map[string]string{"a/v1/a.proto": valid("a.v1", "a/v1;av1", "A") + "message B {\n  Nothing n = 1;\n}\n"},
			[]string{`ROOT/a/v1/a.proto:9:3: .*Nothing`}},
		{"number taken twice", map[string]string{"a/v1/a.proto": valid("a.v1", "a/v1;av1", "A") + "message B {\n  uint32 x = 1;\n  uint32 y = 1;\n}\n"},
			[]string{`ROOT/a/v1/a.proto:10:14: .*`}},
		{"import of nothing", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\nimport \"gone.proto\";\npackage a.v1;\noption go_package = \"example.test/a/v1;av1\";\n"},
			[]string{`ROOT/a/v1/a.proto:2:8: .*gone.proto`}},
		{"no go_package", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\npackage a.v1;\n"},
			[]string{`ROOT/a/v1/a.proto:1:1: option go_package is missing: add `}},
		{"go_package leads elsewhere", map[string]string{"a/v1/a.proto": valid("a.v1", "elsewhere;av1", "A")},
			[]string{`ROOT/a/v1/a.proto:4:1: go_package .* make it end in "/a/v1"`}},
		{"two files at once", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\nmessage {}\n", "b/v1/b.proto": "syntax = \"proto3\";\nmessage B { X x = 1; }\n"},
			[]string{`ROOT/a/v1/a.proto:2:9: `, `ROOT/b/v1/b.proto:2:13: `}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, test.files)
			files, err := Generate(root)
			if err == nil || files != nil {
				t.Fatalf("Generate gave %d files and error %v; want no file and a mistake", len(files), err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("want %d mistakes, got:\n%v", len(test.want), err)
			}
			for i, want := range test.want {
				pattern := "^" + strings.Replace(want, "ROOT", regexp.QuoteMeta(root), 1)
				if !regexp.MustCompile(pattern).MatchString(filepath.ToSlash(lines[i])) {
					t.Errorf("mistake %d is\n%s\nwant\n%s", i, lines[i], pattern)
				}
			}
		})
	}
}

func TestAFolderWithoutSchemaIsRefused(t *testing.T) {
	if _, err := Generate(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no .proto file below") {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := Generate(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a folder that does not exist was accepted")
	}
}

func TestWriteTouchesOnlyWhatIsStale(t *testing.T) {
	root := tree(t, map[string]string{
		"one/v1/a.proto":    valid("one.v1", "one/v1;onev1", "A"),
		"two/v1/b.proto":    valid("two.v1", "two/v1;twov1", "B"),
		"old/v1/old.pb.go":  generatedMark + "package oldv1\n",
		"old/v1/mine.pb.go": "package oldv1\n",
	})
	all := []string{"old/v1/old.pb.go", "one/v1/a.pb.go", "two/v1/b.pb.go"}
	if stale, err := Check(root); err != nil || !slices.Equal(stale, all) {
		t.Errorf("Check before: %v, %v", stale, err)
	}
	if touched, err := Write(root); err != nil || !slices.Equal(touched, all) {
		t.Errorf("first Write touched %v, %v", touched, err)
	}
	if touched, err := Write(root); err != nil || len(touched) != 0 {
		t.Errorf("second Write touched %v, %v", touched, err)
	}
	put(t, root, "one/v1/a.pb.go", "edited by hand")
	if touched, err := Write(root); err != nil || !slices.Equal(touched, []string{"one/v1/a.pb.go"}) {
		t.Errorf("Write after an edit touched %v, %v", touched, err)
	}
	want := []string{"old/v1/mine.pb.go", "one/v1/a.pb.go", "one/v1/a.proto", "two/v1/b.pb.go", "two/v1/b.proto"}
	if names, err := find(root, ""); err != nil || !slices.Equal(names, want) {
		t.Errorf("the tree holds %v, %v", names, err)
	}
}

func TestOneMistakeLeavesEveryFileAsItWas(t *testing.T) {
	root := tree(t, map[string]string{
		"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A"),
		"two/v1/b.proto": "syntax = \"proto3\";\nmessage B {",
		"one/v1/a.pb.go": "as it was",
	})
	if touched, err := Write(root); err == nil || len(touched) != 0 {
		t.Errorf("Write touched %v, %v", touched, err)
	}
	names, err := find(root, goSuffix)
	if err != nil || !slices.Equal(names, []string{"one/v1/a.pb.go"}) {
		t.Errorf("generated files are %v, %v", names, err)
	}
	if content, err := os.ReadFile(filepath.Join(root, "one/v1/a.pb.go")); err != nil || string(content) != "as it was" {
		t.Errorf("file became %q, %v", content, err)
	}
}

// FuzzGenerate: a schema is written by hand, so whatever it holds must end in
// files or in a mistake, never in a panic or in both.
func FuzzGenerate(f *testing.F) {
	f.Add(valid("a.v1", "a/v1;av1", "A"))
	f.Add("syntax = \"proto3\";\nmessage {")
	f.Add("edition = \"2023\";\npackage a;\noption go_package = \"x/a/v1\";\nextend A { int32 a = 1; }")
	f.Fuzz(func(t *testing.T, source string) {
		root := tree(t, map[string]string{"a/v1/a.proto": source})
		files, err := Generate(root)
		if (err == nil) != (len(files) == 1) {
			t.Errorf("%d files and error %v", len(files), err)
		}
	})
}

// valid is a schema file of eight lines that compiles, with one message.
func valid(pkg, goPackage, message string) string {
	return "syntax = \"proto3\";\npackage " + pkg + ";\n\noption go_package = \"example.test/game/" + goPackage +
		"\";\n\n// " + message + " says a thing.\nmessage " + message + " { uint32 x = 1; }\n"
}

// tree lays files out in a folder of the test's own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, root, name, content)
	}
	return root
}

func put(t *testing.T, root, name, content string) {
	t.Helper()
	target := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
