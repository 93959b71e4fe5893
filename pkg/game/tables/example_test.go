package tables_test

import (
	"fmt"
	"os"
	"testing/fstest"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// The bindings of a schema write what stands in its first lines: NewTablesSchema, and the struct Tables.
func Example() {
	type Tables struct {
		Items    tables.Table[string, sinkv1.Item]
		Monsters tables.Table[uint32, sinkv1.Monster]
	}
	schema, err := tables.NewSchema(tables.Config{}, func(s *tables.Set) any {
		return &Tables{tables.RowsOf(s, "items", (*sinkv1.Item).GetName), tables.RowsOf(s, "monsters", (*sinkv1.Monster).GetId)}
	}, &sinkv1.Item{}, &sinkv1.Monster{})
	if err != nil {
		fmt.Println(err)
		return
	}
	files := fstest.MapFS{
		"items.csv":     {Data: []byte("name,price\nfur,12\nclaw,5\n")},
		"monsters.yaml": {Data: []byte("- {id: 1, name: Wolf, hp: 30, drop: fur}\n- {id: 7, name: Bear, hp: 80}\n")},
	}
	set, err := tables.Load(files, schema)
	if err != nil {
		fmt.Println(err)
		return
	}
	t := set.Typed().(*Tables)
	if wolf, ok := t.Monsters.Of(1); ok {
		fur, _ := t.Items.Of(*wolf.Drop)
		fmt.Println(wolf.Name, "drops what is worth", fur.Price)
	}
	for id, m := range t.Monsters.All {
		fmt.Println(id, m.Name, m.Hp)
	}
	// Output:
	// Wolf drops what is worth 12
	// 1 Wolf 30
	// 7 Bear 80
}

func ExampleCheck() {
	schema, err := tables.NewSchema(tables.Config{}, nil, &sinkv1.Item{}, &sinkv1.Monster{})
	if err != nil {
		fmt.Println(err)
		return
	}
	files := fstest.MapFS{
		"items.csv":     {Data: []byte("name,prize\nfur,12\n")},
		"monsters.yaml": {Data: []byte("- id: 1\n  name: Wolf\n  hp: 0\n  drop: furr\n")},
	}
	if tables.Check(os.Stdout, files, schema) != nil {
		fmt.Println("refused")
	}
	// Output:
	// items.csv:1:1: price: the header lacks this column; give it a value; or let the schema say optional, or a default, for Item.price
	// items.csv:1:6: prize: no such column; did you mean price?
	// monsters.yaml:3:7: hp: want 1 to 65535, got 0; use a number in that range, or change (mmo.column) of Monster.hp
	// monsters.yaml:4:9: drop: no row "furr" in table items; did you mean fur?
	// 4 mistakes: a server would go on with the tables that it has
	// refused
}
