package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// monsterTables are tables with every option of theirs; they begin in line 6.
const monsterTables = `message Monster { option (mmo.table) = {name: "monsters", key: "id"};
  uint32 id = 1; Mood mood = 2 [(mmo.column) = {default: "WILD"}]; optional string drop = 3 [(mmo.column) = {table: "items"}];
  repeated Skill skills = 4 [(mmo.column) = {required: true}]; double speed = 5 [(mmo.column) = {min: 0.5, max: 20, default: "2.5"}]; }
message Skill { sint32 power = 1 [(mmo.column) = {min: -5}]; map<string, Part> parts = 2; }
message Part { repeated uint32 of = 1 [(mmo.column) = {table: "monsters"}]; }
message Item { option (mmo.table) = {name: "items", key: "name"}; string name = 1; }
enum Mood { MOOD_CALM = 0; MOOD_WILD = 5; }
`

func TestTablesHaveTheirNamesAndKeys(t *testing.T) {
	tree, err := Load(lay(t, map[string]string{"game/v1/game.proto": marked1 + monsterTables}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, table := range tree.Schemas[0].Tables {
		got = append(got, fmt.Sprint(table.Name, " ", table.Message.Desc.Name(), " ", table.Key.Desc.Name()))
	}
	if want := []string{"items Item name", "monsters Monster id"}; !slices.Equal(got, want) {
		t.Errorf("tables are %q, want %q", got, want)
	}
}

func TestTablesAreNeitherLockedNorInTypeScript(t *testing.T) {
	bare := head + `option (mmo.schema) = {bind: "example.test/game/bind", typescript: "web/game.ts"};` + "\n" + `message Ping { option (mmo.route) = {id: 64, from: CLIENT}; }` + "\n"
	generated := func(source string) map[string][]byte {
		files, err := Generate(lay(t, map[string]string{"game/v1/game.proto": source}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	without, with := generated(bare), generated(bare+strings.Replace(monsterTables, "enum Mood {", "enum Mood { option deprecated = true;", 1))
	if have, want := string(with["game/v1/schema.lock"]), string(without["game/v1/schema.lock"]); have != want {
		t.Errorf("the lock with tables is\n%s\nwithout it was\n%s", have, want)
	}
	for _, name := range []string{"Monster", "Skill", "Part", "Item"} {
		if strings.Contains(string(with["web/game.ts"]), name) {
			t.Errorf("%s is in the TypeScript output", name)
		}
	}
	if len(with["bind/tables_gen.go"]) == 0 || len(without["bind/tables_gen.go"]) > 0 {
		t.Error("bindings have tables where there are none, or none where there are some")
	}
}

// TestMistakesInTablesAreShownWhereTheyAre: each source holds one mistake, at the mark §.
func TestMistakesInTablesAreShownWhereTheyAre(t *testing.T) {
	const items = "message Item { option (mmo.table) = {name: \"items\", key: \"name\"}; string name = 1; }\nenum Mood { MOOD_CALM = 0; MOOD_WILD = 5; }\n"
	row := func(field string) string {
		return "message Row { option (mmo.table) = {name: \"rows\", key: \"id\"}; uint32 id = 1;\n  " + field + "\n}\n" + items
	}
	table := func(option, fields string) string {
		return "message Row { option (mmo.table) = {" + option + "}; " + fields + " }\n" + items
	}
	with := func(of, column string) string { return row(of + " x = 2 [(mmo.column) = {" + column + "}];") }
	deep := "message Row { option (mmo.table) = {name: \"rows\", key: \"id\"}; uint32 id = 1; A1 a = 2; }\n"
	for i := 1; i < 7; i++ {
		deep += fmt.Sprintf("message A%d { A%d a = 1; }\n", i, i+1)
	}
	tests := []struct{ name, body, says string }{
		{"no name", strings.Replace(table(`key: "id"`, "uint32 id = 1;"), "option (mmo", "§option (mmo", 1), `write name: "rows" for rows.yaml or rows.csv`},
		{"name of no file", table(`§name: "my rows", key: "id"`, "uint32 id = 1;"), "at most 64 lower case letters"},
		{"a name twice", "message Row { option (mmo.table) = {name: \"rows\", key: \"id\"}; uint32 id = 1; }\nmessage Raw { option (mmo.table) = {§name: \"rows\", key: \"id\"}; uint32 id = 1; }", `"rows" is there twice, as Row and Raw`},
		{"one field in Go", "message Row { option (mmo.table) = {§name: \"my_rows\", key: \"id\"}; uint32 id = 1; }\nmessage Raw { option (mmo.table) = {name: \"my__rows\", key: \"id\"}; uint32 id = 1; }", "gives the name MyRows in the fields of Tables"},
		{"a table called like a method", table(`§name: "set", key: "id"`, "uint32 id = 1;"), "gives the name Set in the fields of Tables"},
		{"no key", strings.Replace(table(`name: "rows"`, "uint32 id = 1;"), "option (mmo", "§option (mmo", 1), "table Row has no key"},
		{"unknown key", table(`name: "rows", §key: "di"`, "uint32 id = 1;"), "did you mean id?"},
		{"key that is none", table(`name: "rows", §key: "id"`, "double id = 1;"), "is double: name a field that is a whole number"},
		{"many keys", table(`name: "rows", §key: "id"`, "repeated uint32 id = 1;"), "is repeated uint32"},
		{"optional key", table(`name: "rows", §key: "id"`, "optional uint32 id = 1;"), "every row has one"},
		{"key with a default", table(`name: "rows", key: "id"`, "uint32 id = 1 [(mmo.column) = {§default: \"1\"}];"), "every row has its own"},
		{"a table and a component", "message Row { option (mmo.component) = {id: 1}; §option (mmo.table) = {name: \"rows\", key: \"id\"}; uint32 id = 1; }", "is a component and a table"},
		{"nested", "message Outer { message Row { §option (mmo.table) = {name: \"rows\", key: \"id\"}; uint32 id = 1; } }", "table Row stands inside another message"},
		{"bytes", row("§bytes x = 2;"), "make it a string"},
		{"itself", row("§Row x = 2;"), "message game.v1.Row holds itself"},
		{"itself in a map", row("§map<string, Row> x = 2;"), "message game.v1.Row holds itself"},
		{"too deep", deep + "message A7 { §A8 a = 1; }\nmessage A8 { bool b = 1; }", "more than 8 deep"},
		{"range of text", with("string", `§min: 1`), "min on string: only numbers have it"},
		{"range that is no value", with("uint32", `§min: -1`), "min -1 is no value of uint32"},
		{"fraction of a whole number", with("int32", `§max: 1.5`), "max 1.5 is no value of int32"},
		{"not finite", with("double", `§max: inf`), "it has to be finite"},
		{"beyond what options hold", with("int64", `§max: 9223372036854774784`), "beyond 2^53"},
		{"upside down", with("int32", `min: 2, §max: 1`), "swap them"},
		{"unknown table", with("string", `§table: "itmes"`), "did you mean items?"},
		{"another type of key", with("uint32", `§table: "items"`), "x is uint32, and the keys of table items are string: make them alike"},
		{"default of many", with("repeated int32", `§default: "1"`), "only single values have one"},
		{"default of what may be missing", with("optional int32", `§default: "1"`), "with a default it never is"},
		{"default that is no number", with("int32", `§default: "x"`), "write a number that int32 can hold"},
		{"default in octal", with("int32", `§default: "-07"`), "write a number that int32 can hold"},
		{"default that is not finite", with("float", `§default: "inf"`), "write a number that float can hold"},
		{"default too low", with("int32", `min: 3, §default: "2"`), "less than min 3"},
		{"default too high", with("float", `max: 3, §default: "3.5"`), "more than max 3"},
		{"default that is no bool", with("bool", `§default: "yes"`), "write true or false"},
		{"default that is no name", with("Mood", `§default: "MOOD_WLID"`), "did you mean MOOD_WILD?"},
		{"required and optional", with("optional int32", `§required: true`), "drop it, or optional and default"},
		{"stray", items + "message Else { int32 x = 1 [§(mmo.column) = {min: 1}]; }", "which is no table and in none"},
		{"misspelt option", with("int32", `§mim: 1`), "did you mean min?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, line, col := spotOf(head + `option (mmo.schema) = {bind: "example.test/game/bind"};` + "\n" + tt.body)
			_, err := Load(lay(t, map[string]string{"game/v1/game.proto": source}))
			if err == nil {
				t.Fatal("accepted")
			}
			if at := fmt.Sprintf("game.proto:%d:%d: ", line, col); strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), at) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v\nwant one mistake at %s with %q", err, at, tt.says)
			}
		})
	}
}

func TestTheSchemaOfThePageAboutTablesCompiles(t *testing.T) {
	for _, name := range []string{"tables.md", "tables.zh-CN.md"} {
		_, rest, _ := strings.Cut(read(t, "../../docs", name), "```proto\n")
		block, _, _ := strings.Cut(rest, "```")
		tree, err := Load(lay(t, map[string]string{"game/v1/game.proto": marked1 + block}))
		if err != nil {
			t.Fatal(err)
		}
		if len(tree.Schemas[0].Tables) != 2 {
			t.Errorf("%s has %d tables", name, len(tree.Schemas[0].Tables))
		}
	}
}
