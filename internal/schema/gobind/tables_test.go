package gobind_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rows are tables with keys of every sort.
const rows = `
// Monster is a creature.
message Monster { option (mmo.table) = {name: "monsters", key: "id"}; uint32 id = 1; string drop = 2 [(mmo.column) = {table: "items"}]; }
// Item is a thing.
message Item { option (mmo.table) = {name: "items", key: "name"}; string name = 1; }
// Temper is a mood.
message Temper { option (mmo.table) = {name: "mood_tempers", key: "mood"}; Mood mood = 1; }
enum Mood { MOOD_CALM = 0; }
message A { option (mmo.table) = {name: "a", key: "k"}; sfixed32 k = 1; }
message B { option (mmo.table) = {name: "b", key: "k"}; sint64 k = 1; }
message C { option (mmo.table) = {name: "c", key: "k"}; fixed64 k = 1; }
message D { option (mmo.table) = {name: "d", key: "k"}; int64 k = 1; }
`

// reader is what people write against the tables of rows.
const reader = `package use

import (
	"io/fs"

	"example.test/studio/duel/bind"
	pb "example.test/studio/schema/duel/v1"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

func open(fsys fs.FS, c *game.Config) error {
	t, err := bind.LoadTables(fsys)
	if err != nil {
		return err
	}
	c.Tables = t.Set()
	return nil
}

func look(z *game.Zone) (*pb.Item, bool) {
	t := bind.TablesOf(z)
	m, ok := t.Monsters.Of(7)
	if !ok {
		return nil, false
	}
	for id, m := range t.Monsters.All {
		var _ uint32 = id
		_ = m.Drop
	}
	for mood := range t.MoodTempers.All {
		var _ pb.Mood = mood
	}
	_, _ = t.A.Of(int32(1))
	_, _ = t.B.Of(int64(1))
	_, _ = t.C.Of(uint64(1))
	_ = t.D.At(t.D.Len() - 1)
	return t.Items.Of(m.Drop)
}

func wider() (*tables.Schema, error) { return bind.NewTablesSchema(tables.Config{MaxRows: 1 << 20}) }
`

func TestTablesAreWhatTheyWere(t *testing.T) {
	files := compiles(t, rows)
	have := files["duel/bind/tables_gen.go"]
	at := filepath.Join("testdata", "tables_gen.golden")
	if *update {
		if err := os.WriteFile(at, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("the tables differ from %s: look at the difference, then run go test ./internal/schema/gobind -update\n%s", at, have)
	}
}

func TestTablesCompileWithTheirUsers(t *testing.T) {
	files := compiles(t, rows)
	files["duel/use/use.go"] = []byte(reader)
	typecheck(t, files, "duel/use")
	if !strings.Contains(string(files["duel/bind/game_gen.go"]), "g.Schema.Tables, err = NewTablesSchema") {
		t.Error("a new game does not know its tables")
	}
}

func TestTablesBesideServicesNeedNoGame(t *testing.T) {
	files := compiles(t, rows+"service S { rpc Ask(Item) returns (Item); }\n")
	if text := string(files["duel/bind/tables_gen.go"]); strings.Contains(text, "TablesOf") || strings.Contains(text, `pkg/game"`) {
		t.Error("tables of a package without a game speak of zones")
	}
}
