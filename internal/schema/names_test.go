package schema

import (
	"strings"
	"testing"
)

func TestNamesThatWouldCollideAreRefused(t *testing.T) {
	open := strings.Replace(marked1, "{}", `{bind: "example.test/game/bind", typescript: "web/game.ts"}`, 1)
	component := func(name, fields string) string {
		return "message " + name + " { option (mmo.component) = {id: 1};\n  " + fields + "\n}\n"
	}
	tests := []struct{ name, body, says string }{
		{"a component called Game", component("Game", "bool b = 1;"), "gives the name Game in the bindings of package game.v1, as does the generated code itself"},
		{"a component called as a kind's constant", component("KindHero", "bool b = 1;") + "message Hero { option (mmo.kind) = {id: 1, components: [\"KindHero\"]}; }", "name KindHero"},
		{"a component that hides a method of entities", component("Zone", "bool b = 1;"), "the kinds' methods"},
		{"a getter and a setter", component("C", "int32 x = 1; int32 set_x = 2;"), "field set_x gives the name SetX in component C, as does field x"},
		{"raw steps", component("C", "float x = 1 [(mmo.sync) = {quantize: 1}]; int32 q_x = 2;"), "name QX"},
		{"presence", component("C", "optional int32 x = 1; bool has_x = 2;"), "name HasX"},
		{"a list", component("C", "repeated int32 x = 1; int32 x_len = 2;"), "name XLen"},
		{"a map", component("C", "map<int32, int32> x = 1; int32 x_get = 2;"), "name XGet"},
		{"the debug text", component("C", "string string = 1;"), "name String"},
		{"the place", strings.Replace(placeComponent, "double x = 1", "int32 pos = 9; double x = 1", 1), "name Pos"},
		{"capitals", component("NPC", "bool b = 1;") + strings.NewReplacer("id: 1", "id: 2").Replace(component("Npc", "bool b = 1;")), "the TypeScript view of the world"},
		{"joined words", "message A_B { bool b = 1; }\nmessage AB { bool b = 1; }", "the TypeScript output"},
	}
	for _, test := range tests {
		_, err := Load(lay(t, map[string]string{"game/v1/game.proto": open + test.body}))
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "rename one of them") {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}
