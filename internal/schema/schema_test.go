package schema

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCommittedFilesAreFresh(t *testing.T) {
	stale, err := Check(protoRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stale {
		t.Errorf("%s is not what its .proto file gives: run go generate ./... and commit the result", name)
	}
}

func TestGenerateGivesTheSameBytesEveryTime(t *testing.T) {
	root := lay(t, map[string]string{"game/v1/game.proto": fullGame, "docs/manual.md": manualMarks})
	first, err := Generate(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Generate(root, Options{})
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
	root := lay(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A")})
	files, err := Generate(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(files["one/v1/a.pb.go"]), "package onev1")
	if !strings.HasPrefix(header, messagesMark+"\n// source: one/v1/a.proto\n") {
		t.Errorf("header is\n%s", header)
	}
	if found := regexp.MustCompile(`v\d+\.\d+|protoc\s|` + regexp.QuoteMeta(root)).FindString(header); found != "" {
		t.Errorf("header names %q:\n%s", found, header)
	}
}

func TestCommentsOfTheSchemaReachTheMessages(t *testing.T) {
	root := lay(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A")})
	files, err := Generate(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files["one/v1/a.pb.go"]), "// A says a thing.\ntype A struct {") {
		t.Error("the message lost its comment")
	}
}

func TestFilesImportEachOtherAndTheStandardOnesAndOurs(t *testing.T) {
	user := strings.Replace(valid("two.v1", "two/v1;twov1", "B"), "\npackage",
		"\nimport \"one/v1/a.proto\";\nimport \"google/protobuf/duration.proto\";\nimport \"mmo/v1/session.proto\";\npackage", 1)
	user += "message C { one.v1.A a = 1; google.protobuf.Duration d = 2; mmo.v1.Zone z = 3; }\n"
	root := lay(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A"), "two/v1/b.proto": user})
	files, err := Generate(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(name, "one/v1/a") && !strings.HasPrefix(name, "two/v1/b") {
			t.Errorf("generated %s", name)
		}
	}
	for _, path := range []string{`"example.test/game/one/v1"`, `"github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"`} {
		if !strings.Contains(string(files["two/v1/b.pb.go"]), path) {
			t.Errorf("the importing file does not import %s", path)
		}
	}
}

func TestATreeMayLieBelowItsModule(t *testing.T) {
	source := valid("one.v1", "schema/one/v1;onev1", "A")
	root := lay(t, map[string]string{"schema/one/v1/a.proto": source})
	files, err := Generate(filepath.Join(root, "schema"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if files["schema/one/v1/a.pb.go"] == nil {
		t.Errorf("generated %v", slices.Sorted(maps.Keys(files)))
	}
}

func TestMistakesOfTheCompilerNameFileLineAndColumn(t *testing.T) {
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
			[]string{`ROOT/a/v1/a.proto:2:8: .*gone.proto.*imports start from`}},
		{"import of ours that is none", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\nimport \"mmo/option.proto\";\npackage a.v1;\noption go_package = \"example.test/a/v1;av1\";\n"},
			[]string{`ROOT/a/v1/a.proto:2:8: .*there are mmo/options.proto`}},
		{"option without its import", map[string]string{"a/v1/a.proto": valid("a.v1", "a/v1;av1", "A") + "message B { option (mmo.route) = {id: 64}; }\n"},
			[]string{`ROOT/a/v1/a.proto:8:20: .*add import "mmo/options.proto";`}},
		{"no go_package", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\npackage a.v1;\n"},
			[]string{`ROOT/a/v1/a.proto:1:1: option go_package is missing: add option go_package = "example.test/game/a/v1;av1"`}},
		{"go_package leads elsewhere", map[string]string{"a/v1/a.proto": valid("a.v1", "elsewhere;av1", "A")},
			[]string{`ROOT/a/v1/a.proto:4:1: go_package .* make it "example.test/game/a/v1;av1"`}},
		{"two files at once", map[string]string{"a/v1/a.proto": "syntax = \"proto3\";\nmessage {}\n", "b/v1/b.proto": "syntax = \"proto3\";\nmessage B { X x = 1; }\n"},
			[]string{`ROOT/a/v1/a.proto:2:9: `, `ROOT/b/v1/b.proto:2:13: `}},
		{"several in one", map[string]string{"a/v1/a.proto": strings.NewReplacer("game", "a").Replace(strings.Replace(marked1, "example.test/game", "example.test/GAME", 1)) +
			"message C { option (mmo.component) = {id: 1}; float f = 1 [(mmo.sync) = {bits: 4}]; string s = 2 [(mmo.sync) = {quantize: 1}]; }\n"},
			[]string{`ROOT/a/v1/a.proto:4:1: `}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := lay(t, test.files)
			files, err := Generate(root, Options{})
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

func TestAllMistakesComeAtOnceInOrder(t *testing.T) {
	root := lay(t, map[string]string{"game/v1/game.proto": marked1 +
		"message K { option (mmo.kind) = {id: 0, components: [\"C\", \"D\"]}; }\nmessage C { option (mmo.component) = {id: 1};\n  float f = 1 [(mmo.sync) = {bits: 4}];\n  string s = 2 [(mmo.sync) = {quantize: 1}]; }\n"})
	_, err := Load(root)
	if err == nil {
		t.Fatal("accepted")
	}
	var places []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		places = append(places, strings.Join(strings.SplitN(strings.TrimPrefix(filepath.ToSlash(line), filepath.ToSlash(root)+"/game/v1/game.proto:"), ":", 3)[:2], ":"))
	}
	if want := []string{"6:34", "6:59", "8:30", "9:31"}; !slices.Equal(places, want) {
		t.Errorf("mistakes at %v, want %v:\n%v", places, want, err)
	}
}

func TestWhatASchemaSaysOfItself(t *testing.T) {
	tests := []struct{ name, source, says string }{
		{"no package", strings.Replace(marked1, "package game.v1;", "", 1), "package game.v1;"},
		{"bindings outside the module", strings.Replace(marked1, "{}", `{bind: "other.test/bind"}`, 1), `begins with "example.test/game/"`},
		{"bindings with a bad name", strings.Replace(marked1, "{}", `{bind: "example.test/game/bind-it"}`, 1), "must be an identifier"},
		{"TypeScript outside", strings.Replace(marked1, "{}", `{typescript: "../a.ts"}`, 1), "name a .ts file"},
		{"TypeScript that is none", strings.Replace(marked1, "{}", `{typescript: "a.js"}`, 1), "name a .ts file"},
		{"runtime for nothing", strings.Replace(marked1, "{}", `{sdk: "x"}`, 1), "drop sdk"},
		{"manual that is none", strings.Replace(marked1, "{}", `{manual: "m.txt"}`, 1), ".md file"},
		{"manual that is missing", strings.Replace(marked1, "{}", `{manual: "m.md"}`, 1), "create it with two lines"},
		{"ticks", strings.Replace(marked1, "{}", `{tick_hz: 2000}`, 1), "1 to 1000"},
		{"marks without a schema", head + "message M { option (mmo.route) = {id: 64, from: CLIENT}; }", "add option (mmo.schema)"},
	}
	for _, test := range tests {
		root := lay(t, map[string]string{"game/v1/game.proto": test.source})
		if _, err := Generate(root, Options{}); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}

func TestTwoSchemasDoNotShareAnOutput(t *testing.T) {
	schema := strings.Replace(marked1, "{}", `{bind: "example.test/game/bind", typescript: "g.ts"}`, 1)
	root := lay(t, map[string]string{"game/v1/game.proto": schema, "other/v1/game.proto": strings.NewReplacer("game.v1", "other.v1", "game/game/v1", "game/other/v1").Replace(schema)})
	if _, err := Load(root); err == nil || strings.Count(err.Error(), "give each its own") != 2 {
		t.Errorf("two schemas in one place: %v", err)
	}
	root = lay(t, map[string]string{"game/v1/a.proto": marked1, "game/v1/b.proto": marked1})
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "one file of a package carries it") {
		t.Errorf("a schema twice: %v", err)
	}
}

func TestAFolderWithoutSchemaIsRefused(t *testing.T) {
	if _, err := Generate(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "no .proto file below") {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := Generate(filepath.Join(t.TempDir(), "gone"), Options{}); err == nil || !strings.Contains(err.Error(), "gone: name the one that holds the schema") {
		t.Errorf("a folder that does not exist: %v", err)
	}
	root := t.TempDir()
	put(t, root, "a.proto", valid("a.v1", ";a", "A"))
	if _, err := Generate(root, Options{}); err == nil || !strings.Contains(err.Error(), "go mod init") {
		t.Errorf("no module: %v", err)
	}
}

// FuzzGenerate: a schema is written by hand, so whatever it holds must end in files or in a mistake, never in a panic or in both.
func FuzzGenerate(f *testing.F) {
	f.Add(valid("a.v1", "a/v1;av1", "A"))
	f.Add("syntax = \"proto3\";\nmessage {")
	f.Add("edition = \"2023\";\npackage a;\noption go_package = \"x/a/v1\";\nextend A { int32 a = 1; }")
	f.Add(strings.ReplaceAll(fullGame, "game/v1", "a/v1"))
	f.Add(strings.ReplaceAll(head+worldService, "game/v1", "a/v1"))
	for _, body := range []string{"message C { option (mmo.component) = {id: 1}; repeated C c = 1 [(mmo.sync) = {quantize: nan, range: {min: 1}}]; }", placeComponent} {
		f.Add(strings.ReplaceAll(marked1, "game/v1", "a/v1") + body)
	}
	f.Fuzz(func(t *testing.T, source string) {
		root := lay(t, map[string]string{"a/v1/a.proto": source, "docs/manual.md": manualMarks})
		files, err := Generate(root, Options{})
		if (err == nil) != (len(files) > 0) {
			t.Errorf("%d files and error %v", len(files), err)
		}
	})
}

func BenchmarkGenerate(b *testing.B) {
	root := lay(b, map[string]string{"game/v1/game.proto": fullGame, "docs/manual.md": manualMarks})
	for b.Loop() {
		if _, err := Generate(root, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGenerateRepository makes everything of the repository's own tree.
func BenchmarkGenerateRepository(b *testing.B) {
	for b.Loop() {
		if _, err := Generate(protoRoot, Options{}); err != nil {
			b.Skip(err)
		}
	}
}
