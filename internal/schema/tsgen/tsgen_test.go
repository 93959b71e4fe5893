package tsgen_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tianxia-mmo/tianxia/internal/schema"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/internal/schema/tsgen"
)

var update = flag.Bool("update", false, "write the golden files anew")

const protos = "../../../proto_define"

// load makes the model of a schema of one file.
func load(t testing.TB, pkg, source string, more ...string) *model.Tree {
	t.Helper()
	tree, err := try(t, pkg, source, more...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// try is load that says why there is no model.
func try(t testing.TB, pkg, source string, more ...string) (*model.Tree, error) {
	t.Helper()
	dir := t.TempDir()
	options, err := os.ReadFile(filepath.Join(protos, "mmo", "options.proto"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module github.com/tianxia-mmo/tianxia\n")
	write("proto_define/mmo/options.proto", string(options))
	head := func(pkg string) string {
		return "syntax = \"proto3\";\npackage " + pkg + ".v1;\nimport \"mmo/options.proto\";\noption go_package = \"github.com/tianxia-mmo/tianxia/proto_define/" + pkg + "/v1;" + pkg + "v1\";\n"
	}
	write("proto_define/"+pkg+"/v1/"+pkg+".proto", head(pkg)+source)
	for i := 0; i+1 < len(more); i += 2 {
		write("proto_define/"+more[i]+"/v1/"+more[i]+".proto", head(more[i])+more[i+1])
	}
	return schema.Load(filepath.Join(dir, "proto_define"))
}

const option = "option (mmo.schema) = {typescript: \"web/gen/%s.ts\", sdk: \"../sdk\"};\n"

func own(pkg string) string { return fmt.Sprintf(option, pkg) }

func TestTheTreeOfThisModuleGivesItsThreeFiles(t *testing.T) {
	tree, err := schema.Load(protos)
	if err != nil {
		t.Fatal(err)
	}
	files, err := tsgen.Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tsgen.Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string][]string{
		"web/sdk/gen/mmo.ts":    {`from "../wire.ts"`, "export interface ErrorMessage {", "export function encodeError(m: ErrorMessage): Bytes", "export async function callLogin(", "  resumedElsewhere: 4512,", "  unavailable: 10,"},
		"web/sdk/gen/plains.ts": {"export function sendMove(to: Channel, m: Move): void", "heroes(): IterableIterator<number>", "get hp(): Uint16Array", "* 0.003125"},
		"web/test/gen/sink.ts":  {`from "../../sdk/views.ts"`, "  GLAD: 1,", "statues(): IterableIterator<number>", "ReadonlyMap<bigint, Gem>"},
	} {
		text := string(files[name])
		if !strings.HasPrefix(text, tsgen.Header+"\n") {
			t.Errorf("%s begins %.60q", name, text)
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q", name, w)
			}
		}
		if text != string(again[name]) {
			t.Errorf("%s is not the same twice", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("unexpected file %s", name)
	}
}

// every holds one field of everything that a message may hold. web/test reads and writes it in TypeScript.
const every = `option (mmo.schema) = {typescript: "web/test/every/every.ts", sdk: "../../sdk"};
// Colour has a value below zero.
enum Colour { COLOUR_NONE = 0; COLOUR_RED = 3; COLOUR_ODD = -2; }
// Every is one of everything. It closes no comment: */
message Every {
  option (mmo.route) = {id: 64, from: BOTH};
  double double = 1; float float = 2; int32 int32 = 3; int64 int64 = 4; uint32 uint32 = 5; uint64 uint64 = 6; sint32 sint32 = 7; sint64 sint64 = 8;
  fixed32 fixed32 = 9; fixed64 fixed64 = 10; sfixed32 sfixed32 = 11; sfixed64 sfixed64 = 12; bool bool = 13; string string = 14; bytes bytes = 15;
  Colour colour = 16; Inner inner = 17; optional int32 maybe = 18; optional Colour maybe_colour = 19;
  repeated double doubles = 20; repeated int32 numbers = 21; repeated sint64 wides = 22; repeated bool flags = 23; repeated string strings = 24;
  repeated Colour colours = 25; repeated Inner inners = 26; repeated int32 loose = 27 [packed = false]; repeated float floats = 28;
  map<string, int32> by_name = 30; map<int64, Inner> by_number = 31; map<bool, Colour> by_flag = 32; map<sfixed32, bytes> by_fixed = 33;
  bool constructor = 39;
  oneof choice { string text = 40; int32 number = 41; Inner nested = 42; }
  message Inner { uint32 depth = 1; Inner inner = 2; }
}
`

// values are messages of type Every, as protojson has them.
var values = []string{
	`{}`,
	`{"double": -1.5, "float": 0.1, "int32": -1, "int64": "-9223372036854775808", "uint32": 4294967295, "uint64": "18446744073709551615", "sint32": -2147483648,
	 "sint64": "9223372036854775807", "fixed32": 4294967295, "fixed64": "18446744073709551615", "sfixed32": -5, "sfixed64": "-6", "bool": true, "string": "天下", "bytes": "AAEC/w==",
	 "colour": -2, "inner": {"depth": 1, "inner": {"depth": 2, "inner": {}}}, "maybe": 0, "maybeColour": 0, "doubles": [0, -0.0, "NaN", "Infinity"], "numbers": [0, 1, -1, 2147483647],
	 "wides": ["0", "-1", "9223372036854775807"], "flags": [true, false], "strings": ["", "a"], "colours": [0, 3, -2], "inners": [{}, {"depth": 300}], "loose": [1, -1], "floats": [1, 2],
	 "byName": {"": 7}, "byNumber": {"-3": {"depth": 9}}, "byFlag": {"true": 3}, "byFixed": {"-1": "AA=="}, "text": "", "constructor": true}`,
	`{"float": -0.0, "double": -0.0, "number": 5}`,
	`{"nested": {}}`,
}

func TestGoAndTypeScriptAgreeOnEveryTypeOfField(t *testing.T) {
	tree := load(t, "every", every)
	files, err := tsgen.Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "web/test/every/every.ts", files["web/test/every/every.ts"])
	desc := tree.Schemas[0].Routes[0].Message.Desc
	var b strings.Builder
	b.WriteString("[\n")
	for i, v := range values {
		m := dynamicpb.NewMessage(desc)
		if err := protojson.Unmarshal([]byte(v), m); err != nil {
			t.Fatal(err)
		}
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		comma := ","
		if i == len(values)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "  %q%s\n", hex.EncodeToString(raw), comma)
	}
	b.WriteString("]\n")
	golden(t, "web/test/every/vectors.json", []byte(b.String()))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("../../..", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(got) {
		t.Errorf("%s is not what the generator writes now (%v): run go test ./internal/schema/tsgen -update", name, err)
	}
}

func TestMessagesOfOtherSchemasAreImported(t *testing.T) {
	tree := load(t, "chat", own("chat")+`import "base/v1/base.proto"; message Say { option (mmo.route) = {id: 64, from: CLIENT}; base.v1.Text text = 1; repeated base.v1.Tone tones = 2; }`,
		"base", own("base")+`message Text { string s = 1; } enum Tone { TONE_PLAIN = 0; }`)
	files, err := tsgen.Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	text := string(files["web/gen/chat.ts"])
	if want := `import { type Text, type Tone, readText, writeText } from "./base.ts";`; !strings.Contains(text, want) {
		t.Errorf("no line %s in\n%s", want, text)
	}
}

func TestWhatTypeScriptCannotHaveIsAnErrorThatSaysWhatToDo(t *testing.T) {
	const route = " option (mmo.route) = {id: 64, from: CLIENT};"
	same := load(t, "one", own("one")+"message M {"+route+" }", "two", own("two")+"message N { }")
	same.Schemas[len(same.Schemas)-1].TypeScript = "web/gen/one.ts"
	cases := map[string]struct {
		tree  *model.Tree
		words []string
	}{
		"a type of a schema without TypeScript": {
			load(t, "far", own("far")+`import "mute/v1/mute.proto"; message M {`+route+` mute.v1.N n = 1; }`, "mute", "message N { }"),
			[]string{"far.v1.M", "mute.v1.N", "option typescript"},
		},
		"one file for two schemas": {
			same, []string{"web/gen/one.ts", "one file for each"},
		},
	}
	for name, c := range cases {
		_, err := tsgen.Generate(c.tree)
		for _, w := range c.words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v lacks %q", name, err, w)
			}
		}
	}
}

func ExampleGenerate() {
	tree, err := schema.Load(protos)
	if err != nil {
		fmt.Println(err)
		return
	}
	files, err := tsgen.Generate(tree)
	fmt.Println(len(files) > 1, err)
	// Output: true <nil>
}
