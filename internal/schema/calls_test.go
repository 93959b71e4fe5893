package schema

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

const bound = head + "option (mmo.schema) = {bind: \"example.test/game/bind\"};\n"

const callKinds = placeComponent + `message Wolf { option (mmo.kind) = {id: 1, components: ["Place"]}; }
message Walrus { option (mmo.kind) = {id: 2, components: ["Place"]}; }
message Struck { int32 left = 1; }
`

// TestMistakesInCommandsAndCallsAreShownWhereTheyAre: each source holds one mistake, at the mark §.
func TestMistakesInCommandsAndCallsAreShownWhereTheyAre(t *testing.T) {
	call := func(o string) string {
		return callKinds + "message Strike { option (mmo.call) = {" + o + "}; int32 damage = 1; }\n"
	}
	route := func(o string) string {
		return "message M { option (mmo.route) = {id: 64, " + o + "}; uint32 seq = 1; }\n"
	}
	for _, test := range []struct{ name, body, says string }{
		{"no id", callKinds + `message Strike { §option (mmo.call) = {reply: "Struck"}; }`, "such as id: 1"},
		{"id of 0", call(`§id: 0`), "such as id: 1"},
		{"id too high", call(`§id: 65536`), "need 1 to 65535"},
		{"id twice", callKinds + "message A { option (mmo.call) = {id: 3}; }\nmessage B { option (mmo.call) = {§id: 3}; }", "is taken by A at"},
		{"unknown reply", call(`id: 1, §reply: "Stuck"`), "did you mean Struck?"},
		{"a kind as reply", call(`id: 1, §reply: "Wolf"`), "name a message with fields"},
		{"unknown kind", call(`id: 1, §kind: "Wulf"`), "did you mean Wolf?"},
		{"a kind that is none", call(`id: 1, §kind: "Struck"`), "give it option (mmo.kind) here, or drop kind"},
		{"unknown part", call(`id: 1, §replay: "Struck"`), "did you mean reply?"},
		{"a misspelt option", callKinds + `message Strike { option §(mmo.cal) = {id: 1}; }`, "did you mean (mmo.call)?"},
		{"call and route", `message M { option (mmo.route) = {id: 64, from: CLIENT}; §option (mmo.call) = {id: 1}; }`, "it can be one of them"},
		{"call and kind", placeComponent + `message Wolf { option (mmo.kind) = {id: 1, components: ["Place"]}; §option (mmo.call) = {id: 1}; }`, "it can be one of them"},
		{"inside another", `message M { message Strike { §option (mmo.call) = {id: 1}; } }`, "move it to the top of the file"},
		{"the name of a handler", "message Look { option (mmo.route) = {id: 64, from: CLIENT, reply: \"Look\"}; }\nmessage §LookLater { option (mmo.call) = {id: 1}; }", "gives the name OnLookLater"},
		{"the name of a hook", "message §Join { option (mmo.call) = {id: 1}; }", "gives the name OnJoin"},
		{"the name of a sender", "message Chat { option (mmo.route) = {id: 64, from: SERVER}; }\nmessage §ChatToGroup { option (mmo.route) = {id: 65, from: SERVER}; }", "gives the name PushChatToGroup"},

		{"right of the server", route(`from: SERVER, §right: "gm"`), "drop it"},
		{"record of the server", route(`from: SERVER, §audit: true`), "drop it"},
		{"right at the gateway", route(`from: CLIENT, affinity: GATEWAY, §right: "gm"`), "say affinity: ZONE or drop it"},
		{"right at a service", route(`from: CLIENT, affinity: SERVICE, §right: "gm"`), "look at the rights in the service"},
		{"record at a service", route(`from: CLIENT, affinity: SERVICE, §audit: true`), "look at the rights in the service"},
		{"right with spaces", route(`from: CLIENT, §right: "game master"`), `as in right: "gm"`},
		{"right of an input", route(`from: CLIENT, input: {seq: "seq"}, §right: "gm"`), "drop input or right"},
		{"an unquoted right", route(`from: CLIENT, right: §gm`), "write it in quotes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, line, col := spotOf(bound + test.body)
			root := lay(t, map[string]string{"game/v1/game.proto": source})
			_, err := Load(root)
			if err == nil {
				t.Fatal("it was accepted")
			}
			text := filepath.ToSlash(err.Error())
			if strings.Contains(text, "\n") {
				t.Errorf("more than one mistake:\n%s", text)
			}
			if want := fmt.Sprintf("%s/game/v1/game.proto:%d:%d: ", filepath.ToSlash(root), line, col); !strings.HasPrefix(text, want) {
				t.Errorf("it is at\n%s\nwant\n%s", text, want)
			}
			if !strings.Contains(text, test.says) || strings.Contains(text, "%!") {
				t.Errorf("it says\n%s\nwant %q", text, test.says)
			}
		})
	}
}

func TestCallsNeedBindings(t *testing.T) {
	_, err := Load(lay(t, map[string]string{"game/v1/game.proto": marked1 + "message Strike { option (mmo.call) = {id: 1}; }\n"}))
	if err == nil || !strings.Contains(err.Error(), `game.proto:6:18: call Strike in a schema without bindings`) || !strings.Contains(err.Error(), "add bind: ") {
		t.Error(err)
	}
}

func TestCallsAndCommandsAreInTheModelTheLockAndTheManual(t *testing.T) {
	source := strings.Replace(bound, "bind:", "manual: \"docs/manual.md\", bind:", 1) + callKinds + `
message Far { option (mmo.call) = {id: 9}; }
// Strike hurts.
message Strike { option (mmo.call) = {id: 1, reply: "Struck", kind: "game.v1.Wolf"}; int32 damage = 1; }
message Grant { option (mmo.route) = {id: 64, from: CLIENT, right: "gm", audit: true}; }
message Look { option (mmo.route) = {id: 65, from: CLIENT, audit: true}; }
`
	root := lay(t, map[string]string{"game/v1/game.proto": source, "docs/manual.md": manualMarks})
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	s := tree.Schemas[0]
	if len(s.Calls) != 2 || s.Calls[0].Name != "game.strike" || s.Calls[0].Kind != s.Kinds[0] || s.Calls[0].Reply.GoIdent.GoName != "Struck" || s.Calls[1].ID != 9 || s.Calls[1].Reply != nil || s.Calls[1].Kind != nil {
		t.Errorf("%+v", s.Calls)
	}
	if s.Routes[0].Right != "gm" || !s.Routes[0].Audit || s.Routes[1].Right != "" || !s.Routes[1].Audit {
		t.Errorf("%+v", s.Routes)
	}
	files, err := Generate(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"game/v1/schema.lock": {"\nrpc call 1 game.v1.Strike game.v1.Struck\nrpc call 9 game.v1.Far -\n", "\nrpc field game.v1.Strike 1 damage int32 one\n"},
		"docs/manual.md":      {"| 1 | game.strike | game.v1.Strike | Wolf | game.v1.Struck | Strike hurts. |\n| 9 | game.far | game.v1.Far | any |", "| gm, audited |", "| audited |"},
	} {
		for _, w := range want {
			if !strings.Contains(string(files[name]), w) {
				t.Errorf("%s lacks %q:\n%s", name, w, files[name])
			}
		}
	}
}

func TestCallsDoNotChangeTheFingerprint(t *testing.T) {
	of := func(more string) any {
		tree, err := Load(lay(t, map[string]string{"game/v1/game.proto": bound + callKinds + more}))
		if err != nil {
			t.Fatal(err)
		}
		return tree.Schemas[0].Fingerprint
	}
	if of("") != of("message Strike { option (mmo.call) = {id: 1}; int32 damage = 1; }\n") {
		t.Error("a call between entities makes clients of before strangers")
	}
}

// TestTheManualOfCommandsIsTheSameInBothLanguages: its example compiles, and the blocks of the twins are equal.
func TestTheManualOfCommandsIsTheSameInBothLanguages(t *testing.T) {
	blocks := func(name string) [][]string {
		return regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(read(t, "../../docs", name), -1)
	}
	english, chinese := blocks("commands.md"), blocks("commands.zh-CN.md")
	if len(english) < 5 || !slices.EqualFunc(english, chinese, func(a, b []string) bool { return a[0] == b[0] }) {
		t.Errorf("%d blocks and %d, or they differ", len(english), len(chinese))
	}
	for _, block := range english {
		if block[1] != "proto" {
			continue
		}
		if _, err := Generate(lay(t, map[string]string{"duel/v1/x.proto": block[2], "go.mod": "module example.com/game\n"}), Options{}); err != nil {
			t.Error(err)
		}
	}
}

// TestRoutesOfTheFrameworkAreThoseOfItsSchema: package protocol has them by hand, as it lies below everything that is generated.
func TestRoutesOfTheFrameworkAreThoseOfItsSchema(t *testing.T) {
	tree, err := Load(protoRoot)
	if err != nil {
		t.Fatal(err)
	}
	have, n := protocol.FrameworkRoutes(), 0
	for _, s := range tree.Schemas {
		for i := range s.Routes {
			if s.Package != "mmo.v1" {
				break
			}
			want := s.Routes[i].Route
			want.Message = string(s.Routes[i].Message.Desc.FullName())
			if s.Routes[i].Reply != nil {
				want.Reply = string(s.Routes[i].Reply.Desc.FullName())
			}
			if n++; i >= len(have) || have[i] != want {
				t.Errorf("the schema has\n%+v\nthe protocol has\n%+v", want, have[min(i, len(have)-1)])
			}
		}
	}
	if n != len(have) {
		t.Errorf("%d routes in the schema, %d in the protocol", n, len(have))
	}
}
