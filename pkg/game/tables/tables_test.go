package tables_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/config"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

func TestRowsHaveTheirValues(t *testing.T) {
	set := load(t, good(map[string]string{"monsters.yaml": `
- id: 12
  name: Wolf
  hp: 30
  speed: -0
  mood: MOOD_ANGRY
  drop: fur
  skills:
    - {name: bite, power: -5, cooldown: 1.5}
    - {name: howl, power: 0x10}
  cries: [grr, "7"]
  lair: {x: 1.25, z: -3e2, keys: [18446744073709551615]}
  boss: true
  pack: {7: 2, 12: 1}
  gold: 99
- {id: 7, name: "", hp: 80, title: Bear King}
`, "items.yaml": "- {name: fur, price: 12, against: [12, 7]}\n"}))
	g := set.Typed().(*game)
	wolf, ok := g.monsters.Of(12)
	drop, cooldown := "fur", 1.5
	want := &sinkv1.Monster{Id: 12, Name: "Wolf", Hp: 30, Mood: sinkv1.Mood_MOOD_ANGRY, Drop: &drop, Boss: true, Pack: map[uint32]uint32{7: 2, 12: 1},
		Skills: []*sinkv1.Skill{{Name: "bite", Power: -5, Cooldown: &cooldown}, {Name: "howl", Power: 16}}, Cries: []string{"grr", "7"},
		Lair: &sinkv1.Lair{X: 1.25, Z: -300, Keys: []uint64{1<<64 - 1}}, Reward: &sinkv1.Monster_Gold{Gold: 99}}
	if !ok || !proto.Equal(wolf, want) {
		t.Errorf("wolf is %v, want %v", wolf, want)
	}
	bear, _ := g.monsters.Of(7)
	if !proto.Equal(bear, &sinkv1.Monster{Id: 7, Hp: 80, Speed: 2.5, Reward: &sinkv1.Monster_Title{Title: "Bear King"}}) {
		t.Errorf("bear is %v: defaults are speed 2.5, mood CALM", bear)
	}
	if _, ok := g.monsters.Of(8); ok {
		t.Error("there is a monster 8")
	}
	if calm, ok := g.tempers.Of(sinkv1.Mood_MOOD_CALM); !ok || !slices.Equal(calm.Pulse, []int32{60}) {
		t.Errorf("calm is %v", calm)
	}
	if set.Len("monsters") != 2 || set.Len("nobody") != 0 || g.items.Len() != 1 || g.monsters.At(0) != bear {
		t.Error("counts are wrong")
	}
}

func TestRowsComeInTheOrderOfTheirKeys(t *testing.T) {
	set := load(t, good(map[string]string{
		"monsters.yaml": "4000000000: {name: d, hp: 1}\n9: {name: b, hp: 1}\n1: {name: a, hp: 1}\n10: {name: c, hp: 1}\n",
		"items.csv":     "name,price\nZinc,1\napple,2\nfur,3\n天,4\n", "items.yaml": "",
		"tempers.yaml": "- {mood: SAD, pulse: [1]}\n- {mood: CALM, pulse: [1]}\n",
	}))
	g := set.Typed().(*game)
	var ids []uint32
	for id, m := range g.monsters.All {
		if ids = append(ids, id); m.Id != id {
			t.Errorf("row %d has id %d", id, m.Id)
		}
	}
	var names []string
	for name := range g.items.All {
		if names = append(names, name); name == "fur" {
			break
		}
	}
	if !slices.Equal(ids, []uint32{1, 9, 10, 4000000000}) || !slices.Equal(names, []string{"Zinc", "apple", "fur"}) {
		t.Errorf("ids %v, names %v", ids, names)
	}
}

func TestTheSameContentInYAMLAndCSVIsTheSameSet(t *testing.T) {
	yaml := load(t, good(map[string]string{
		"monsters.yaml": `
2: {name: "Bear, \"big\"", hp: 80, speed: 3, mood: GLAD, drop: fur, boss: true, cries: ["a|b", "c\\"], gold: 5,
  skills: [{name: bite, power: -7}, {name: howl, power: 0, cooldown: 0.5}], lair: {x: 1, z: 2, keys: [3, 4]}}
1: {name: Wolf, hp: 30}
`,
		"items.yaml": "- {name: fur, price: 12, against: [1, 2]}\n- {name: \"two\\nlines\", price: 0}\n",
	}))
	csv := "\ufeffid,name,hp,speed,mood,drop,boss,cries,gold,skills.name,skills.power,skills.cooldown,lair.x,lair.z,lair.keys\r\n" +
		"1,Wolf,30,,,,,,,,,,,,\r\n" +
		"2,\"Bear, \"\"big\"\"\",80,3,MOOD_GLAD,fur,TRUE,a\\|b|c\\\\,5,bite|howl,-7|0,|0.5,1.0,2,3|4\r\n" +
		",,,,,,,,,,,,,,\r\n"
	other := load(t, good(map[string]string{"monsters.yaml": "", "monsters.csv": csv, "items.yaml": "", "items.csv": "price,name,against\n0,\"two\nlines\",\n12,fur,1|2\n"}))
	if !bytes.Equal(yaml.Append(nil), other.Append(nil)) || yaml.Fingerprint() != other.Fingerprint() {
		t.Errorf("YAML gives\n%v\nCSV gives\n%v", yaml.Typed(), other.Typed())
	}
	if load(t, good(nil)).Fingerprint() == yaml.Fingerprint() {
		t.Error("other content has the same fingerprint")
	}
}

func TestFilesWithoutRowsAreTablesWithoutRows(t *testing.T) {
	set := load(t, folder(map[string]string{"monsters.yaml": "# none yet\n", "items.csv": "", "tempers.yaml": "---\n", "notes.txt": "x", ".items.yaml": "{", "~$items.csv": "\xff"}))
	empty := set.Schema().Empty()
	if set.Fingerprint() != empty.Fingerprint() || set.Size() != len(empty.Append(nil)) {
		t.Error("a set of empty files is not the empty set")
	}
	if other := load(t, good(map[string]string{"items.yaml": "", "items.csv": "name,price\nfur,1\n"})); other.Len("items") != 1 {
		t.Error("no item")
	}
}

func TestAllMistakesAreCollectedUpToTheBound(t *testing.T) {
	files := good(map[string]string{"monsters.yaml": strings.Repeat("- {}\n", 50), "items.yaml": "x"})
	_, err := tables.Load(files, schemaOf(t, tables.Config{}))
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 100 {
		t.Fatalf("%d mistakes: %v", len(all), err)
	}
	_, err = tables.Load(files, schemaOf(t, tables.Config{MaxMistakes: 3}))
	if !errors.As(err, &all) || len(all) != 3 {
		t.Errorf("%d mistakes, want 3: %v", len(all), err)
	}
}

func TestCheckWritesForAPerson(t *testing.T) {
	s := schemaOf(t, tables.Config{})
	var b strings.Builder
	if err := tables.Check(&b, good(nil), s); err != nil {
		t.Fatal(err)
	}
	want := "items          1 rows of sink.v1.Item, keys \"fur\" to \"fur\"\n" +
		"monsters       2 rows of sink.v1.Monster, keys 1 to 7\n" +
		"tempers        1 rows of sink.v1.Temper, keys MOOD_CALM to MOOD_CALM\n"
	if !strings.HasPrefix(b.String(), want) || !strings.Contains(b.String(), "\n3 tables, 4 rows, ") {
		t.Errorf("it wrote\n%s", b.String())
	}
	b.Reset()
	err := tables.Check(&b, good(map[string]string{"tempers.yaml": "CLAM: {pulse: [60]}\n", "items.yaml": "- {name: fur, price: -1}\n"}), s)
	want = `items.yaml:1:22: price: want 0 or more, got -1; use a number in that range, or change (mmo.column) of Item.price
tempers.yaml:1:1: mood: want a name of Mood, got the text "CLAM"; did you mean CALM?
2 mistakes: a server would go on with the tables that it has
`
	if err == nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
	if err := tables.Check(full{}, good(nil), s); !errors.Is(err, errFull) {
		t.Errorf("a full disk is %v", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
