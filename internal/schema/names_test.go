package schema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
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
		{"what tells that an optional component is there", component("Buff", "bool b = 1;") + strings.NewReplacer("id: 1", "id: 2").Replace(component("HasBuff", "bool b = 1;")) +
			"message Hero { option (mmo.kind) = {id: 1, components: [\"Buff\"], optional: [\"Buff\"]}; }", "name HasBuff in the kinds' methods"},
		{"capitals", component("NPC", "bool b = 1;") + strings.NewReplacer("id: 1", "id: 2").Replace(component("Npc", "bool b = 1;")), "the TypeScript view of the world"},
		{"joined words", "message A_B { bool b = 1; }\nmessage AB { bool b = 1; }", "the TypeScript output"},
	}
	route := func(name, o string) string {
		return "message " + name + " { option (mmo.route) = {" + o + "}; bool b = 1; }\n"
	}
	const kind = "message %s { option (mmo.kind) = {id: 1, components: [\"C\"]}; }\n"
	hero := component("C", "bool b = 1;") + strings.Replace(kind, "%s", "Hero", 1)
	tests = append(tests, []struct{ name, body, says string }{
		{"a handler that hides that of joining", hero + route("Join", "id: 64, from: CLIENT"), "route message Join gives the name OnJoin in the methods of Game, as does the generated code itself"},
		{"a handler that hides that of leaving", route("LeaveRequest", `id: 64, from: CLIENT, reply: "R"`) + "message R { bool b = 1; }", "name OnLeave"},
		{"a push that hides the dispatcher", route("Dispatch", "id: 64, from: SERVER"), "name Dispatch in the fields of Pushes"},
		{"a request and a push", route("LookRequest", `id: 64, from: CLIENT, reply: "R"`) + route("Look", "id: 65, from: SERVER") + "message R { bool b = 1; }", "name RouteLook"},
		{"plurals", component("C", "bool b = 1;") + strings.Replace(kind, "%s", "Bus", 1) + strings.NewReplacer("%s", "Buse", "id: 1", "id: 2").Replace(kind), "name Buses"},
		{"a message called as a kind's view", hero + "message HeroView { bool b = 1; }", "name HeroView in the TypeScript output"},
		{"a message called as a component's columns", hero + "message CColumns { bool b = 1; }", "name CColumns in the TypeScript output"},
		{"a component's constant", component("Move", "bool b = 1;") + strings.NewReplacer("id: 1", "id: 2").Replace(component("ComponentMove", "bool b = 1;")), "name ComponentMove"},
	}...)
	for _, test := range tests {
		_, err := Load(lay(t, map[string]string{"game/v1/game.proto": open + test.body}))
		if err != nil && !strings.Contains(err.Error(), "/game/v1/game.proto:") {
			t.Errorf("%s: no place: %v", test.name, err)
		}
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "rename one of them") {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}

func TestEveryNameOfTheEngineIsKept(t *testing.T) {
	// Read from the source, since game lies above this package.
	files, err := filepath.Glob("../../pkg/game/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	exported := func(names ...*ast.Ident) {
		for _, n := range names {
			if n.IsExported() {
				want = append(want, n.Name)
			}
		}
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && types.ExprString(n.Recv.List[0].Type) == "*Game" {
					exported(n.Name)
				}
			case *ast.TypeSpec:
				if form, ok := n.Type.(*ast.StructType); ok && n.Name.Name == "Game" {
					for _, f := range form.Fields.List {
						exported(f.Names...)
					}
				}
			}
			return true
		})
	}
	slices.Sort(want)
	if have := gameNames(); !slices.Equal(have, want) {
		t.Errorf("the names of game.Game are %q, kept are %q", want, have)
	}
}

func TestFilesThatGoWouldNotBuildAreRefused(t *testing.T) {
	for name, says := range map[string]string{
		"move_windows": "system or processor", "move_linux": "system or processor", "move_amd64": "system or processor", "move_linux_arm64": "system or processor",
		"move_linux_test": "", "move_test": "ends in _test", "_move": "begins with", "move_fast": "both would give move_fast.pb.go",
		"linux": "ok", "move_things": "ok", "windows_move": "ok",
	} {
		root := lay(t, map[string]string{"game/v1/move.proto": marked1, "game/v1/" + name + ".proto": head})
		_, err := Load(root)
		if says == "ok" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), root+"/game/v1/"+name+".proto:1:1: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v\nwant %q", name, err, says)
		}
	}
}

func TestPackagesOfAFolderAgree(t *testing.T) {
	root := lay(t, map[string]string{"game/v1/a.proto": marked1, "game/v1/b.proto": strings.Replace(head, ";gamev1", ";other", 1)})
	if _, err := Load(root); err == nil || !strings.HasPrefix(err.Error(), root+"/game/v1/b.proto:4:1: ") || !strings.Contains(err.Error(), "a folder holds one package") {
		t.Errorf("two names: %v", err)
	}
	for _, name := range []string{"main", "_", "func", "a-b"} {
		root := lay(t, map[string]string{"game/v1/a.proto": strings.Replace(head, ";gamev1", ";"+name, 1)})
		if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "/game/v1/a.proto:4:1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThePackagesOfTheFrameworkAreItsOwn(t *testing.T) {
	for _, pkg := range []string{"mmo", "mmo.v7"} {
		source := strings.Replace(head, "package game.v1;", "package "+pkg+";", 1)
		root := lay(t, map[string]string{"game/v1/a.proto": source})
		if _, err := Load(root); err == nil || !strings.HasPrefix(err.Error(), root+"/game/v1/a.proto:2:1: ") || !strings.Contains(err.Error(), "the framework's") {
			t.Errorf("%s: %v", pkg, err)
		}
	}
}

func TestBindingsLieWhereTheyCanBeImported(t *testing.T) {
	tests := []struct{ bind, says string }{
		{"_", "must be an identifier"}, {"main", "must be an identifier"}, {"func", "must be an identifier"}, {"1st", "must be an identifier"}, {"bind_test", "must be an identifier"},
		{"game/v1", "a package of their own"}, {"vendor/bind", "does not look into"}, {"a/testdata/bind", "does not look into"}, {"_x/bind", "does not look into"},
		{"a b/bind", "no element of an import path"}, {"other/internal/bind", "internals of example.test/game/other"}, {"nested/bind", "another module"},
		{"internal/bind", ""}, {"game/internal/bind", "internals of"}, {"some-where/bind", ""},
	}
	for _, test := range tests {
		source := strings.Replace(marked1, "{}", fmt.Sprintf("{bind: %q}", "example.test/game/"+test.bind), 1)
		_, err := Load(lay(t, map[string]string{"game/v1/game.proto": source, "nested/go.mod": "module example.test/nested\n"}))
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), "/game/v1/game.proto:5:") || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v\nwant %q", test.bind, err, test.says)
		}
	}
}
