package tables_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// check loads the good files with some replaced and compares the whole error.
func check(t *testing.T, c tables.Config, over map[string]string, want string) {
	t.Helper()
	if _, ok := over["items.csv"]; ok {
		over["items.yaml"] = ""
	}
	if _, ok := over["monsters.csv"]; ok {
		over["monsters.yaml"] = ""
	}
	_, err := tables.Load(good(over), schemaOf(t, c))
	if err == nil {
		t.Errorf("no mistake, want\n%s", want)
	} else if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// row is a monster without mistakes but for what is added; the addition begins at column 31.
func row(more string) string { return "- {id: 1, name: Wolf, hp: 30, " + more + "}" }

func TestMistakesInYAMLAreExplained(t *testing.T) {
	const shown = "what is written here should be what is meant here"
	for _, c := range []struct{ name, text, want string }{
		{"misspelt column", row("sped: 3"), "monsters.yaml:1:31: sped: no such column; did you mean speed?"},
		{"unheard of column", row("wxyz: 3"), "monsters.yaml:1:31: wxyz: no such column; there are id, name, hp, speed, mood, drop, skills, cries, lair, boss, pack, gold …"},
		{"misspelt inner column", row("lair: {x: 1, z: 2, kees: []}"), "monsters.yaml:1:50: lair.kees: no such column; did you mean keys?"},
		{"column twice", "- {id: 1, name: Wolf,\n   hp: 30, name: Bear}", "monsters.yaml:2:12: name: the column is here a second time: it was in line 1; keep one of them"},
		{"missing", "- {id: 1, hp: 3}", "monsters.yaml:1:3: name: missing; give it a value; or let the schema say optional, or a default, for Monster.name"},
		{"missing inside", row("skills: [{name: x}]"), "monsters.yaml:1:40: skills[0].power: missing; give it a value; or let the schema say optional, or a default, for Skill.power"},
		{"missing key", "- {name: x, hp: 3}", "monsters.yaml:1:3: id: missing; give it a value; or let the schema say optional, or a default, for Monster.id"},
		{"no value", "- id: 1\n  name: Wolf\n  hp: 30\n  speed:", "monsters.yaml:4:9: speed: no value; give it one, or take the column out"},
		{"text for a whole number", "- {id: 1, name: x, hp: many}", `monsters.yaml:1:24: hp: want a whole number, got the text "many"; write digits only`},
		{"quotes around a number", `- {id: 1, name: x, hp: "3"}`, `monsters.yaml:1:24: hp: want a whole number, got the text "3": quotes make it text; take them off`},
		{"fraction", "- {id: 1, name: x, hp: 3.5}", "monsters.yaml:1:24: hp: want a whole number, got 3.5: it has a fraction or an exponent; write it out in digits"},
		{"octal", "- {id: 1, name: x, hp: 012}", "monsters.yaml:1:24: hp: want a whole number, got 012: with a 0 in front some read it as octal; write it without"},
		{"too many bits", "- {id: 4294967296, name: x, hp: 1}", "monsters.yaml:1:8: id: want a whole number, got 4294967296: it is out of range; use 0 to 4294967295"},
		{"negative", "- {id: -1, name: x, hp: 1}", "monsters.yaml:1:8: id: want a whole number, got -1: it is out of range; use 0 to 4294967295"},
		{"list for a number", "- {id: 1, name: x, hp: [1]}", "monsters.yaml:1:24: hp: want a whole number, got a list"},
		{"below", "- {id: 1, name: x, hp: 0}", "monsters.yaml:1:24: hp: want 1 to 65535, got 0; use a number in that range, or change (mmo.column) of Monster.hp"},
		{"above", row("speed: 20.5"), "monsters.yaml:1:38: speed: want 0 to 20, got 20.5; use a number in that range, or change (mmo.column) of Monster.speed"},
		{"out of a map's range", row("pack: {1: 10}"), "monsters.yaml:1:41: pack.1: want 1 to 9, got 10; use a number in that range, or change (mmo.column) of Monster.pack"},
		{"not finite", row("speed: .inf"), "monsters.yaml:1:38: speed: want a number, got .inf; write digits, with a point before the fraction"},
		{"beyond floats", row("lair: {x: 1e999, z: 1}"), `monsters.yaml:1:41: lair.x: want a number, got the text "1e999": it is beyond what 64 bits hold; use a number nearer to 0`},
		{"quoted float", row("speed: '3'"), `monsters.yaml:1:38: speed: want a number, got the text "3": quotes make it text; take them off`},
		{"yes", row("boss: yes"), `monsters.yaml:1:37: boss: want true or false, got the text "yes"; write true or false, without quotes`},
		{"number for text", "- {id: 1, name: 7, hp: 3}", "monsters.yaml:1:17: name: want text, got 7: without quotes YAML takes it for something else; put it in quotes"},
		{"misspelt enumerator", row("mood: MOOD_GALD"), `monsters.yaml:1:37: mood: want a name of Mood, got the text "MOOD_GALD"; did you mean GLAD?`},
		{"small letters", row("mood: glad"), `monsters.yaml:1:37: mood: want a name of Mood, got the text "glad"; did you mean GLAD?`},
		{"no enumerator", row("mood: bored"), `monsters.yaml:1:37: mood: want a name of Mood, got the text "bored"; there are CALM, GLAD, ANGRY, SAD`},
		{"enum by number", row("mood: 4"), "monsters.yaml:1:37: mood: want a name of Mood, got 4: numbers of enums are for programs; write SAD"},
		{"text for a list", row("cries: grr"), `monsters.yaml:1:38: cries: want a list, got the text "grr"; write it in brackets: [a, b]`},
		{"section for a list", row("cries: {a: b}"), "monsters.yaml:1:38: cries: want a list, got a section; start each element with a dash"},
		{"nothing in a list", row("cries: [~]"), "monsters.yaml:1:39: cries[0]: want text, got nothing; give it a value, or take it out"},
		{"text for a section", row("lair: home"), `monsters.yaml:1:37: lair: want a section, got the text "home"; write its columns below it, indented: x: …`},
		{"list for a map", row("pack: [1]"), "monsters.yaml:1:37: pack: want a map, got a list; write name: value below it, indented"},
		{"key of a map", row("pack: {x: 1}"), `monsters.yaml:1:38: pack.x: want a whole number, got the text "x"; write digits only`},
		{"map with a key twice", row("pack: {1: 1, 0x1: 2}"), "monsters.yaml:1:44: pack.0x1: the key is here a second time; keep one of them"},
		{"two of a oneof", row("gold: 1, title: x"), "monsters.yaml:1:40: title: a second one of reward: gold is there already; keep one of them"},
		{"duplicate key", "- {id: 1, name: a, hp: 1}\n- {id: 0x1, name: b, hp: 1}", "monsters.yaml:2:8: id: key 1 is here a second time: it was in line 1; give each row a key of its own"},
		{"duplicate key in front", "1: {name: a, hp: 1}\n1: {name: b, hp: 1}", "monsters.yaml:2:1: id: key 1 is here a second time: it was in line 1; give each row a key of its own"},
		{"key in front and inside", "1: {id: 1, name: a, hp: 1}", "monsters.yaml:1:5: id: the key is written twice: it stands in front of the row already; take this line out"},
		{"key in front of nothing", "1:", "monsters.yaml:1:1: name: missing; give it a value; or let the schema say optional, or a default, for Monster.name\n" +
			"monsters.yaml:1:1: hp: missing; give it a value; or let the schema say optional, or a default, for Monster.hp"},
		{"dangling", row("drop: furr"), `monsters.yaml:1:37: drop: no row "furr" in table items; did you mean fur?`},
		{"dangling far off", row("drop: sword"), `monsters.yaml:1:37: drop: no row "sword" in table items; add the row to items.yaml, or name another`},
		{"row that is text", "- wolf", `monsters.yaml:1:3: want a row, got the text "wolf"; write its columns, such as id: …`},
		{"row that is nothing", "-", "monsters.yaml:1:2: want a row, got nothing; write its columns, such as id: …"},
		{"file that is text", "wolf", `monsters.yaml:1:1: the file holds the text "wolf", not rows; start each row with a dash, as in "- id: …"`},
		{"name that is a list", "- {[a]: b}", "monsters.yaml:1:4: a name that is a list; names of columns and keys of rows are words or numbers"},
		{"anchor", row("cries: &c []"), "monsters.yaml:1:38: the anchor &c: " + shown + "; take it out"},
		{"alias", "- &w {id: 1, name: x, hp: 1}\n- *w", "monsters.yaml:1:3: the anchor &w: " + shown + "; take it out\nmonsters.yaml:2:3: the alias *w: " + shown + "; write the value out"},
		{"merge key", row("<<: {boss: true}"), "monsters.yaml:1:31: the merge key <<: " + shown + "; write the columns out"},
		{"tag", row("cries: [!!binary aGk=]"), "monsters.yaml:1:39: the tag !!binary: " + shown + "; take it out; quotes make text of anything"},
		{"nesting", row("cries: " + strings.Repeat("[", 30) + strings.Repeat("]", 30)), "monsters.yaml:1:57: lists and sections lie more than 20 deep here; look for a wrong indentation, or too many brackets"},
		{"two documents", row("") + "\n---\n" + row(""), "monsters.yaml:2:1: a second document starts here: only one is read, and which is easily overlooked; take out the line ---"},
		{"tab", "- id: 1\n\tname: x", "monsters.yaml:2:1: a tab indents this line: YAML allows spaces only, since tabs are of any width; replace it by spaces"},
		{"no YAML", "- {id: 1", "monsters.yaml:1:1: not YAML here or shortly before: did not find expected ',' or '}'; look for a missing colon, quote or bracket, or wrong indentation"},
		{"not UTF-8", "- {id: 1, name: x}\n- {name: W\xf6lf}", "monsters.yaml:2:11: this is not UTF-8 text; save the file as UTF-8"},
		{"U+FFFD is UTF-8, NUL is no text", "# \ufffd\n- \x00", "monsters.yaml:2:3: this is not UTF-8 text; save the file as UTF-8"},
		{"UTF-16", "\xff\xfe-\x00", "monsters.yaml:1:1: this is UTF-16; save the file as UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, tables.Config{}, map[string]string{"monsters.yaml": c.text, "items.yaml": "- {name: fur, price: 1}"}, c.want)
		})
	}
}

func TestMistakesInCSVAreExplained(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"misspelt column", "id,name,hp,sped\n1,x,1,2", "monsters.csv:1:12: sped: no such column; did you mean speed?"},
		{"misspelt inner column", "id,name,hp,lair.x,lair.y\n1,x,1,2,3", "monsters.csv:1:1: lair.z: the header lacks this column; give it a value; or let the schema say optional, or a default, for Lair.z\n" +
			"monsters.csv:1:19: lair.y: no such column; there are x, z, keys"},
		{"column twice", "id,name,hp,name\n", "monsters.csv:1:12: name: the column is here a second time; keep one of them"},
		{"no name", "id,name,hp,\n1,x,1,", "monsters.csv:1:12: a column without a name; name it, or delete it"},
		{"column missing", "id,name\n1,x\n2,x", "monsters.csv:1:1: hp: the header lacks this column; give it a value; or let the schema say optional, or a default, for Monster.hp"},
		{"semicolons", "id;name;hp\n1;x;1", `monsters.csv:1:1: the header is one cell, "id;name;hp"; separate cells by commas: when saving, choose CSV with commas`},
		{"a map", "id,name,hp,pack\n", "monsters.csv:1:12: pack: a map has no form in CSV; write the table as YAML"},
		{"a message", "id,name,hp,lair\n", "monsters.csv:1:12: lair: it holds columns of its own; have one for each: lair.x, lair.z, lair.keys"},
		{"no message", "id,name,hp,mood.x\n", "monsters.csv:1:12: mood.x: mood holds no columns of its own; name it mood"},
		{"too few cells", "id,name,hp\n1,x\n2,x,1", "monsters.csv:2:1: 2 cells where the header has 3; look for a comma too many or too few; text with a comma stands in quotes"},
		{"empty cell", "id,name,hp\n1,,3", "monsters.csv:2:1: name: missing; give it a value; or let the schema say optional, or a default, for Monster.name"},
		{"no number", "id,name,hp\n1,\"a, \"\"b\"\"\",many", `monsters.csv:2:14: hp: want a whole number, got the text "many"; write digits only`},
		{"out of range", "id,name,hp\n1,x, 70000 ", "monsters.csv:2:5: hp: want 1 to 65535, got 70000; use a number in that range, or change (mmo.column) of Monster.hp"},
		{"after a cell of two lines", "id,name,hp\n1,\"a\nb\",x", `monsters.csv:3:4: hp: want a whole number, got the text "x"; write digits only`},
		{"duplicate key", "id,name,hp\n1,x,1\n\n1,y,1", "monsters.csv:4:1: id: key 1 is here a second time: it was in line 2; give each row a key of its own"},
		{"elements that do not match", "id,name,hp,skills.name,skills.power\n1,x,1,a|b,1", "monsters.csv:2:11: skills.power: 1 elements, and 2 in a column before: all columns of skills speak of the same elements; give each as many, separated by |"},
		{"empty element", "id,name,hp,lair.x,lair.z,lair.keys\n1,x,1,1,1,3||4", `monsters.csv:2:11: lair.keys[1]: want a whole number, got the text ""; write digits only`},
		{"dangling", "id,name,hp,drop\n1,x,1,furr", `monsters.csv:2:7: drop: no row "furr" in table items; did you mean fur?`},
		{"bare quote", "id,name,hp\n1,a\"b,1", `monsters.csv:2:4: a quote inside a cell that is not in quotes; put the whole cell in quotes, and double those inside: "a ""b"" c"`},
		{"open quote", "id,name,hp\n1,\"a,1\n2,b,1", `monsters.csv:2:1: a quote in this row is not closed, or text follows it; close it, and double quotes inside: "a ""b"" c"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, tables.Config{}, map[string]string{"monsters.csv": c.text, "items.yaml": "- {name: fur, price: 1}"}, c.want)
		})
	}
	t.Run("a list in a list", func(t *testing.T) {
		check(t, tables.Config{}, map[string]string{"tempers.yaml": "", "tempers.csv": "mood,pulse,lairs\nCALM,1,\n"}, "tempers.csv:1:12: lairs: a map has no form in CSV; write the table as YAML")
	})
	t.Run("a required list", func(t *testing.T) {
		check(t, tables.Config{}, map[string]string{"tempers.yaml": "", "tempers.csv": "mood,pulse\nCALM,\n"}, "tempers.csv:2:1: pulse: missing; give it a value")
		check(t, tables.Config{}, map[string]string{"tempers.yaml": "CALM: {pulse: []}"}, "tempers.yaml:1:15: pulse: it is empty: (mmo.column) says required; give it an element")
	})
}

func TestMistakesAboutFilesAreExplained(t *testing.T) {
	for _, c := range []struct {
		name string
		over map[string]string
		want string
	}{
		{"no file", map[string]string{"tempers.yaml": ""}, "tempers.yaml: there is no such file, nor tempers.csv; make one; for a table without rows it may be empty"},
		{"two files", map[string]string{"tempers.csv": "mood,pulse\n"}, "tempers.yaml: table tempers has two files: the other is tempers.csv; keep one of them"},
		{"misspelt", map[string]string{"tempers.yaml": "", "temprs.csv": ""}, "temprs.csv: no table is called \"temprs\": nothing would come of the file; did you mean tempers?"},
		{"unknown", map[string]string{"zones.yml": "x"}, "zones.yml: no table is called \"zones\": nothing would come of the file; there are items, monsters, tempers"},
		{"another ending", map[string]string{"tempers.yaml": "", "tempers.yml": "x"}, "tempers.yml: the file ends in .yml; rename it to tempers.yaml"},
		{"ending in capitals", map[string]string{"tempers.yaml": "", "tempers.CSV": "x"}, "tempers.CSV: the file ends in .CSV; rename it to tempers.csv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := good(c.over)
			if c.name == "misspelt" {
				files["temprs.csv"] = &fstest.MapFile{}
			}
			_, err := tables.Load(files, schemaOf(t, tables.Config{}))
			if fmt.Sprint(err) != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		_, err := tables.Load(broken{}, schemaOf(t, tables.Config{}))
		if fmt.Sprint(err) != ".: it burnt; name a folder that exists and may be read" {
			t.Error(err)
		}
	})
	t.Run("a file that cannot be read", func(t *testing.T) {
		files := good(nil)
		files["tempers.yaml"] = &fstest.MapFile{Mode: fs.ModeDir}
		delete(files, "tempers.yaml")
		files["tempers.yaml/x"] = &fstest.MapFile{}
		_, err := tables.Load(files, schemaOf(t, tables.Config{}))
		if fmt.Sprint(err) != "tempers.yaml: there is no such file, nor tempers.csv; make one; for a table without rows it may be empty" {
			t.Error(err)
		}
	})
}

type broken struct{}

func (broken) Open(string) (fs.File, error) { return nil, errors.New("it burnt") }

func TestBoundsAreKept(t *testing.T) {
	for _, c := range []struct {
		name   string
		config tables.Config
		over   map[string]string
		want   string
	}{
		{"file", tables.Config{MaxFile: 60}, nil, "monsters.yaml: the file has more than 60 bytes; split the table, or raise Config.MaxFile"},
		{"rows", tables.Config{MaxRows: 1}, nil, "monsters.yaml:2:3: this is row 2, more than a table may have; split the table, or raise Config.MaxRows"},
		{"row", tables.Config{MaxRow: 40}, map[string]string{"items.yaml": "- {name: fur, price: 12, against: [1, 1]}\n- {name: " + strings.Repeat("x", 40) + ", price: 1}"}, "items.yaml:2:3: the row takes 51 bytes, more than 40; shorten it, or raise Config.MaxRow"},
		{"elements", tables.Config{MaxElements: 2}, map[string]string{"items.yaml": "- {name: fur, price: 12, against: [1, 1, 1]}"}, "items.yaml:1:35: against: 3 elements, more than 2; split the row, or raise Config.MaxElements"},
		{"elements of CSV", tables.Config{MaxElements: 2}, map[string]string{"items.csv": "name,price,against\nfur,1,1|1|1|1"}, "items.csv:2:7: against: 3 elements, more than 2; split the row, or raise Config.MaxElements"},
		{"bytes", tables.Config{MaxBytes: 50}, nil, ".: the tables take more than 50 bytes (Config.MaxBytes), which is reached in monsters: raise the bound"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.config, c.over, c.want) })
	}
	if _, err := tables.NewSchema(tables.Config{MaxRow: -1}, nil); fmt.Sprint(err) != "tables: Config.MaxRow is -1: it is a bound, use 1 to 1073741824, or 0 for 65536" {
		t.Error(err)
	}
}

func TestASmallFileCannotBecomeALargeOne(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n")
	for i := range 30 {
		fmt.Fprintf(&laughs, "a%d: &a%[1]d [%s*a%d]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	_, err := tables.Load(good(map[string]string{"monsters.yaml": laughs.String()}), schemaOf(t, tables.Config{}))
	if err == nil || !strings.HasPrefix(err.Error(), "monsters.yaml:1:5: the anchor &a0: ") || len(err.Error()) > 10_000 {
		t.Errorf("got %d bytes: %.200v", len(fmt.Sprint(err)), err)
	}
}

func TestMistakesAreShortHoweverLongAFileIs(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, over := range map[string]map[string]string{
		"a column":        {"monsters.yaml": "- {" + long + ": 1}"},
		"a value":         {"monsters.yaml": "- {id: " + long + "}"},
		"a key of a map":  {"monsters.yaml": row("pack: {" + long + ": 1}")},
		"an anchor":       {"monsters.yaml": "- &" + long + " 1"},
		"a header":        {"monsters.yaml": "", "monsters.csv": long},
		"a key":           {"items.yaml": "- {name: " + long + ", price: 1}\n- {name: " + long + ", price: 1}"},
		"a reference":     {"monsters.yaml": row("drop: " + long)},
		"an enumerator":   {"tempers.yaml": long + ": {pulse: [1]}"},
		"a name of a row": {"monsters.yaml": long},
	} {
		if _, err := tables.Load(good(over), schemaOf(t, tables.Config{MaxRow: 1 << 20})); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %d bytes: %.300v", name, len(fmt.Sprint(err)), err)
		}
	}
}
