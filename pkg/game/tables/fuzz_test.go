package tables_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/config"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// small are bounds that a fuzzer reaches.
func small() tables.Config {
	return tables.Config{MaxFile: 1 << 16, MaxRows: 50, MaxRow: 2000, MaxElements: 20, MaxBytes: 1 << 16, MaxMistakes: 10}
}

// judged checks what Load may do with a file whatever is in it: give a set that comes back from its bytes, or mistakes that say where they are.
func judged(t *testing.T, s *tables.Schema, over map[string]string) {
	t.Helper()
	set, err := tables.Load(good(over), s)
	if err != nil {
		var all config.Errors
		if !errors.As(err, &all) || len(all) == 0 || len(all) > 10 {
			t.Fatalf("%d mistakes: %v", len(all), err)
		}
		for _, e := range all {
			if e.What == "" || e.Where.Name == "" || e.Where.Line < 0 || e.Where.Line > 0 && e.Where.Column < 1 {
				t.Fatalf("a mistake without words or place: %+v", e)
			}
		}
		return
	}
	s.Empty() // so that it is forgotten
	again, err := tables.Parse(s, set.Append(nil))
	if err != nil {
		t.Fatalf("a set that was loaded does not parse: %v", err)
	}
	if again.Fingerprint() != set.Fingerprint() {
		t.Fatal("it parses as another")
	}
}

func FuzzLoadYAML(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	f.Add(someFiles(r)["monsters.yaml"])
	f.Add("- {id: 1, name: Wolf, hp: 30, skills: [{name: bite, power: -5}], lair: {x: 1, z: 2}, pack: {1: 1}}\n- &a *a\n")
	f.Add("1: {name: Wolf, hp: 0x10, gold: 1, title: a}\n1:\n? [a]\n: b\n---\n<<: x")
	f.Add("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")
	s := schemaOf(f, small())
	f.Fuzz(func(t *testing.T, text string) { judged(t, s, map[string]string{"monsters.yaml": text + "\n"}) })
}

func FuzzLoadCSV(f *testing.F) {
	f.Add("\ufeffid,name,hp,speed,mood,drop,boss,cries,gold,skills.name,skills.power,skills.cooldown,lair.x,lair.z,lair.keys\r\n1,\"Wo\"\"lf\",30,,GLAD,fur,TRUE,a\\|b|c,5,x|y,1|2,|0.5,1.0,2,3|4\r\n,,,\n")
	f.Add("id;name\n1;2")
	f.Add("id,name,hp,skills.power,skills.name,lair\n1,\"x\n,1,1|2,a,\n")
	s := schemaOf(f, small())
	f.Fuzz(func(t *testing.T, text string) {
		judged(t, s, map[string]string{"monsters.yaml": "", "monsters.csv": text + "\n"})
	})
}

func FuzzParse(f *testing.F) {
	s := schemaOf(f, small())
	r := rand.New(rand.NewPCG(5, 6))
	for range 4 {
		if set, err := tables.Load(folder(someFiles(r)), s); err == nil {
			f.Add(set.Append(nil))
		}
	}
	f.Add(s.Empty().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s.Empty() // so that the last one is forgotten
		set, err := tables.Parse(s, b)
		if err == nil && !bytes.Equal(set.Append(nil), b) {
			t.Fatal("two forms of one set")
		}
	})
}
