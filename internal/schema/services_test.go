package schema

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

// worldService has every form and option of a method; its messages begin in line 6, the service in line 13.
const worldService = `option (mmo.schema) = {bind: "example.test/game/gamerpc", manual: "docs/manual.md"};
message Ask { uint64 entity = 1; string zone = 2; Mood mood = 3; optional bytes raw = 4; }
enum Mood { MOOD_CALM = 0; MOOD_WILD = 5; }
message Answer { string text = 1; Part part = 2; }
message Part { uint32 a = 1; uint32 b = 2; }
message Nothing {}
// World is a | part of the world.
service World {
  // Look is answered.
  rpc Look(Ask) returns (Answer) { option (mmo.rpc) = {idempotent: true, timeout_ms: 1500, key: "zone", inline: true, pooled: true}; }
  rpc Tell(Ask) returns (Nothing) { option (mmo.rpc) = {one_way: true}; }
  rpc Load(stream Ask) returns (Answer);
  rpc Watch(Ask) returns (stream Answer) { option (mmo.rpc).key = "entity"; }
  rpc Link(stream Ask) returns (stream Answer) { option (mmo.rpc) = {bulk: true}; }
}
`

func worldTree(t testing.TB, service string) string {
	t.Helper()
	return lay(t, map[string]string{"game/v1/game.proto": head + service, "docs/manual.md": manualMarks})
}

func TestMethodsHaveTheirFormsAndOptions(t *testing.T) {
	tree, err := Load(worldTree(t, worldService))
	if err != nil {
		t.Fatal(err)
	}
	s := tree.Schemas[0]
	if len(s.Services) != 1 || s.Services[0].Name != "game.v1.World" || s.Plays() {
		t.Fatalf("services %+v, plays %t", s.Services, s.Plays())
	}
	var got []string
	for _, m := range s.Services[0].Methods {
		key := "-"
		if m.Key != nil {
			key = string(m.Key.Desc.Name())
		}
		got = append(got, fmt.Sprintln(m.Name, m.Form, m.Idempotent, m.Timeout, key, m.Inline, m.Pooled, m.Bulk))
	}
	want := []string{
		"game.v1.World/Look unary true 1.5s zone true true false\n", "game.v1.World/Tell one_way false 0s - false false false\n",
		"game.v1.World/Load client_stream false 0s - false false false\n", "game.v1.World/Watch server_stream false 0s entity false false false\n",
		"game.v1.World/Link both_streams false 0s - false false true\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("methods are\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, ""))
	}
	if s.Services[0].Methods[1].Form != model.OneWay {
		t.Error("Tell is answered")
	}
}

func TestServicesStandInTheManual(t *testing.T) {
	files, err := Generate(worldTree(t, worldService), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`**Service game.v1.World**: World is a \| part of the world.`,
		"| Look | game.v1.Ask | game.v1.Answer | call | inline, pooled | yes | 1.5s | zone | Look is answered. |",
		"| Tell | game.v1.Ask | game.v1.Nothing | one way | | | | | |",
		"| Load | game.v1.Ask | game.v1.Answer | stream of requests |", "| Watch | game.v1.Ask | game.v1.Answer | stream of answers | | | | entity | |",
		"| Link | game.v1.Ask | game.v1.Answer | streams both ways | bulk |",
	} {
		if !strings.Contains(string(files["docs/manual.md"]), "\n"+line) {
			t.Errorf("no line %q in\n%s", line, files["docs/manual.md"])
		}
	}
}

// TestMistakesInServicesAreShownWhereTheyAre: each source holds one mistake, at the mark §.
func TestMistakesInServicesAreShownWhereTheyAre(t *testing.T) {
	const messages = "message A { string s = 1; float f = 2; repeated string l = 3; oneof o { string p = 4; } A a = 5; map<string, string> m = 6; }\nmessage E {}\n"
	const bound = `option (mmo.schema) = {bind: "example.test/game/gamerpc"};` + "\n"
	method := func(m string) string { return bound + messages + "service S {\n  " + m + "\n}\n" }
	with := func(o string) string { return method("rpc M(A) returns (A) { option (mmo.rpc) = {" + o + "}; }") }
	streamed := func(o string) string {
		return method("rpc M(stream A) returns (stream A) { option (mmo.rpc) = {" + o + "}; }")
	}
	tests := []struct{ name, body, says string }{
		{"no schema", messages + "service §S { rpc M(A) returns (A); }", `add option (mmo.schema) = {bind: "example.test/game/gamerpc"};`},
		{"no bindings", "option (mmo.schema) = {};\n" + messages + "service §S { rpc M(A) returns (A); }", `add bind: "example.test/game/gamerpc" to option (mmo.schema) in game/v1/game.proto`},
		{"one way with an answer", method("rpc M(A) returns (§A) { option (mmo.rpc) = {one_way: true}; }"), "return google.protobuf.Empty"},
		{"one way and a stream", method("rpc M(stream A) returns (E) { option (mmo.rpc) = {§one_way: true}; }"), "drop one_way or stream"},
		{"one way and a stream back", method("rpc M(A) returns (stream E) { option (mmo.rpc) = {§one_way: true}; }"), "drop one_way or stream"},
		{"idempotent stream", streamed("§idempotent: true"), "only calls are made again"},
		{"inline stream", streamed("§inline: true"), "nothing may wait"},
		{"pooled stream", streamed("§pooled: true"), "drop it"},
		{"bulk call", with("§bulk: true"), "way that fits its size"},
		{"key of a stream", streamed(`§key: "s"`), "before the first is there"},
		{"key misspelt", method("rpc M(K) returns (A) { option (mmo.rpc) = {§key: \"zon\"}; }") + "message K { string zone = 1; }", "did you mean zone?"},
		{"key of many", with(`§key: "l"`), "is repeated string"},
		{"key of a map", with(`§key: "m"`), "is map<string, string>"},
		{"key of a message", with(`§key: "a"`), "name a field that is"},
		{"key of a float", with(`§key: "f"`), "must look the same"},
		{"key of one of several", with(`§key: "p"`), "part of oneof o"},
		{"a name too long", method("rpc §" + strings.Repeat("M", 250) + "(A) returns (A);"), "has room for 255"},
		{"misspelt option", method("rpc M(A) returns (A) { option (mmo.rpc) = {§idempotnt: true}; }"), "did you mean idempotent?"},
		{"misspelt extension", method("rpc M(A) returns (A) { option §(mmo.rcp) = {}; }"), "did you mean (mmo.rpc)?"},
		{"an option of messages", method("rpc M(A) returns (A) { option §(mmo.route) = {}; }"), "(mmo.route) is for a message"},
		{"an option of methods", method("rpc M(A) returns (A);") + "message B { option §(mmo.rpc) = {}; }", "(mmo.rpc) is for a method"},
		{"an option of a service", method("option §(mmo.scheme) = {};"), "its methods have (mmo.rpc)"},
		{"unknown request", method("rpc M(§Nothing) returns (A);") + "message Nothin {}", "did you mean Nothin?"},
		{"a message called like a method", method("rpc A(§A) returns (E);"), "as in .game.v1.A"},
		{"two methods, one name", method("rpc Look(A) returns (A);\n  rpc §look(A) returns (A);"), "gives the name Look in the stubs of service S"},
		{"a method and another's future", method("rpc Look(A) returns (A);\n  rpc §LookAsync(A) returns (A);"), "gives the name LookAsync"},
		{"a method and another's notice", method("rpc Hear(A) returns (E) { option (mmo.rpc).one_way = true; }\n  rpc §NotifyHear(A) returns (A);"), "gives the name NotifyHear"},
		{"two services, one name", method("rpc M(A) returns (A);") + "service §s { rpc M(A) returns (A); }", "gives the name SClient"},
		{"a service and a component", method("rpc M(A) returns (A);") + "message SClient { option (mmo.component) = {id: 1}; bool b = 1; }", "gives the name SClient"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, line, col := spotOf(head + test.body)
			root := lay(t, map[string]string{"game/v1/game.proto": source})
			_, err := Load(root)
			if err == nil {
				t.Fatal("it was accepted")
			}
			text := filepath.ToSlash(err.Error())
			if strings.Contains(text, "\n") {
				t.Errorf("more than one mistake:\n%s", text)
			}
			if want := fmt.Sprintf("%s/game/v1/game.proto:%d:%d: ", filepath.ToSlash(root), line, col); strings.Contains(test.body, "§") && !strings.HasPrefix(text, want) {
				t.Errorf("it is at\n%s\nwant\n%s", text, want)
			}
			if !strings.Contains(text, test.says) {
				t.Errorf("it says\n%s\nwant %q", text, test.says)
			}
			if strings.Count(strings.TrimPrefix(text, filepath.ToSlash(root)), ": ") < 2 || strings.Contains(text, "%!") {
				t.Errorf("it gives no reason or way out, or is badly worded:\n%s", text)
			}
		})
	}
}

func TestServicesAloneGiveStubsAndNoGame(t *testing.T) {
	root := worldTree(t, worldService)
	done, err := Write(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var bindings []string
	for _, name := range done.Wrote {
		if strings.HasPrefix(name, "gamerpc/") {
			bindings = append(bindings, name)
		}
	}
	if !slices.Equal(bindings, []string{"gamerpc/rpc_gen.go"}) {
		t.Errorf("bindings are %v", bindings)
	}
	// With a route the rest comes, without services the stubs go.
	put(t, root, "game/v1/game.proto", head+worldService+"message R { option (mmo.route) = {id: 64, from: CLIENT}; }\n")
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	if all := snapshot(t, root); all["gamerpc/rpc_gen.go"] == "" || all["gamerpc/game_gen.go"] == "" {
		t.Error("a game with services has not both")
	}
	before, _, _ := strings.Cut(worldService, "// World is")
	put(t, root, "game/v1/game.proto", head+before+"message R { option (mmo.route) = {id: 64, from: CLIENT}; }\n")
	if done, err := Write(root, Options{Break: "it was never used"}); err != nil || !slices.Equal(done.Removed, []string{"gamerpc/rpc_gen.go"}) {
		t.Errorf("removed %v, %v", done.Removed, err)
	}
}

func TestAChangeThatBreaksProcessesIsShownInTheSchema(t *testing.T) {
	tests := []struct{ name, from, to, says string }{
		{"method gone", "  rpc Load(stream Ask) returns (Answer);\n", "", "§World"},
		{"method renamed", "rpc Load(", "rpc Store(", "§World"},
		{"service gone", "service World", "service Globe", "§(mmo.schema)"},
		{"another request", "rpc Load(stream Ask)", "rpc Load(stream Part)", "§Load"},
		{"another answer", "rpc Look(Ask) returns (Answer)", "rpc Look(Ask) returns (Part)", "§Look"},
		{"a stream", "rpc Load(stream Ask)", "rpc Load(Ask)", "§Load"},
		{"an answer after all", "{ option (mmo.rpc) = {one_way: true}; }", "{}", "§Tell"},
		{"a field retyped", "string text = 1;", "bytes text = 1;", "§text"},
		{"a field of a field", "uint32 a = 1; uint32 b = 2;", "uint32 a = 1; string b = 2;", "§b = 2"},
		{"an enum renumbered", "MOOD_WILD = 5", "MOOD_WILD = 6", "§MOOD_WILD"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := worldTree(t, worldService)
			if _, err := Write(root, Options{}); err != nil {
				t.Fatal(err)
			}
			first, err := Load(root)
			if err != nil {
				t.Fatal(err)
			}
			source := head + strings.Replace(worldService, test.from, test.to, 1)
			at := strings.TrimPrefix(test.says, "§")
			marked := source
			for _, before := range []string{"service ", "rpc ", "string ", "bytes ", "option ", "; ", "{ "} {
				marked = strings.Replace(marked, before+at, before+"§"+at, 1)
				if strings.Contains(marked, "§") {
					break
				}
			}
			if at == "(mmo.schema)" {
				marked = strings.Replace(source, "option (mmo.schema)", "§option (mmo.schema)", 1)
			}
			_, line, _ := spotOf(marked)
			put(t, root, "game/v1/game.proto", source)
			_, err = Write(root, Options{})
			if err == nil || !strings.HasPrefix(filepath.ToSlash(err.Error()), fmt.Sprintf("%s/game/v1/game.proto:%d:", filepath.ToSlash(root), line)) {
				t.Fatalf("want a mistake in line %d:\n%v", line, err)
			}
			if _, err := Write(root, Options{Break: "all of them restart at once"}); err != nil {
				t.Fatalf("with a reason: %v", err)
			}
			lock := read(t, root, "game/v1/schema.lock")
			if !strings.Contains(lock, "\ngeneration 1\nrevision 1\n") || !strings.Contains(lock, "\n# rpc break: all of them restart at once\n") {
				t.Errorf("the lock is\n%s", lock)
			}
			second, err := Load(root)
			if err != nil || first.Schemas[0].Fingerprint != second.Schemas[0].Fingerprint {
				t.Errorf("clients see the break: %v", err)
			}
			if stale, err := Check(root); err != nil || len(stale) > 0 {
				t.Errorf("not settled: %v, %v", stale, err)
			}
		})
	}
}

func TestEveryMethodThatIsGoneIsNamed(t *testing.T) {
	root := worldTree(t, worldService)
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	put(t, root, "game/v1/game.proto", head+strings.NewReplacer("rpc Load(", "rpc Load2(", "rpc Look(", "rpc Look2(").Replace(worldService))
	if _, err := Write(root, Options{}); err == nil || !strings.Contains(err.Error(), "World/Load is in") || !strings.Contains(err.Error(), "World/Look is in") {
		t.Errorf("%v", err)
	}
}

func TestChangesThatBreakNoProcessGoOn(t *testing.T) {
	root := worldTree(t, worldService)
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	first, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.NewReplacer("// Look is answered.", "rpc More(Ask) returns (Answer);", "timeout_ms: 1500, ", "", "uint32 a = 1; ", "uint32 c = 3; ", "MOOD_WILD = 5", "MOOD_WILD = 5; MOOD_ODD = 6").
		Replace(worldService) + "service Other { rpc Look(Ask) returns (Answer); }\n"
	put(t, root, "game/v1/game.proto", head+more)
	if _, err := Write(root, Options{Break: "no need"}); err == nil || !strings.Contains(err.Error(), "nothing in the schema breaks") {
		t.Errorf("a break that breaks nothing: %v", err)
	}
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	lock := read(t, root, "game/v1/schema.lock")
	for _, line := range []string{"rpc method game.v1.Other/Look game.v1.Ask game.v1.Answer unary", "rpc method game.v1.World/More ", "rpc retired field game.v1.Part 1 a"} {
		if !strings.Contains(lock, "\n"+line) {
			t.Errorf("no line %q in\n%s", line, lock)
		}
	}
	second, err := Load(root)
	if err != nil || first.Schemas[0].Fingerprint != second.Schemas[0].Fingerprint || !strings.Contains(lock, "\nrevision 1\n") {
		t.Errorf("clients see it: %v and %v, %v", first.Schemas[0].Fingerprint, second.Schemas[0].Fingerprint, err)
	}
	put(t, root, "game/v1/game.proto", head+strings.Replace(more, "uint32 c = 3; ", "uint32 c = 3; uint32 again = 1; ", 1))
	if _, err := Write(root, Options{}); err == nil || !strings.Contains(err.Error(), "take a new one") {
		t.Errorf("a number used again: %v", err)
	}
	put(t, root, "game/v1/game.proto", head+strings.Replace(more, "uint32 c = 3; ", "", 1))
	if _, err := Generate(root, Options{gently: true}); err == nil || !strings.Contains(err.Error(), "removes field game.v1.Part 3 (c)") {
		t.Errorf("a field that goes while watching: %v", err)
	}
}

// TestAMessageOfClientsAndServicesKeepsBothPromises: its fields stand in both halves of the lock, and what breaks them is said once.
func TestAMessageOfClientsAndServicesKeepsBothPromises(t *testing.T) {
	source := strings.Replace(head+worldService, "message Answer {", "message Answer { option (mmo.route) = {id: 64, from: SERVER};", 1)
	root := lay(t, map[string]string{"game/v1/game.proto": source, "docs/manual.md": manualMarks})
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	put(t, root, "game/v1/game.proto", strings.Replace(source, "string text = 1;", "bytes text = 1;", 1))
	if _, err := Write(root, Options{}); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "type string became bytes") {
		t.Errorf("%v", err)
	}
	if _, err := Write(root, Options{Break: "both"}); err != nil {
		t.Fatal(err)
	}
	if lock := read(t, root, "game/v1/schema.lock"); !strings.Contains(lock, "\n# generation 2: both\n") || !strings.Contains(lock, "\n# rpc break: both\n") {
		t.Errorf("the lock is\n%s", lock)
	}
}
