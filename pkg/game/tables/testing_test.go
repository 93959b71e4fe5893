package tables_test

import (
	"testing"
	"testing/fstest"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// game is the typed view that bindings would make of these tests' tables.
type game struct {
	monsters tables.Table[uint32, sinkv1.Monster]
	items    tables.Table[string, sinkv1.Item]
	tempers  tables.Table[sinkv1.Mood, sinkv1.Temper]
}

func schemaOf(t testing.TB, c tables.Config) *tables.Schema {
	t.Helper()
	s, err := tables.NewSchema(c, func(s *tables.Set) any {
		return &game{
			monsters: tables.RowsOf(s, "monsters", (*sinkv1.Monster).GetId),
			items:    tables.RowsOf(s, "items", (*sinkv1.Item).GetName),
			tempers:  tables.RowsOf(s, "tempers", (*sinkv1.Temper).GetMood),
		}
	}, &sinkv1.Monster{}, &sinkv1.Item{}, &sinkv1.Temper{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is a file system with files in its top folder.
func folder(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// good is a set of files without mistakes, with the given ones over them; an empty text takes a file away.
func good(over map[string]string) fstest.MapFS {
	files := map[string]string{
		"monsters.yaml": "- {id: 1, name: Wolf, hp: 30}\n- {id: 7, name: Bear, hp: 80, drop: fur}\n",
		"items.yaml":    "- {name: fur, price: 12, against: [1]}\n",
		"tempers.yaml":  "CALM: {pulse: [60]}\n",
	}
	for name, text := range over {
		if text == "" {
			delete(files, name)
			continue
		}
		files[name] = text
	}
	return folder(files)
}

func load(t testing.TB, files fstest.MapFS) *tables.Set {
	t.Helper()
	set, err := tables.Load(files, schemaOf(t, tables.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	return set
}
