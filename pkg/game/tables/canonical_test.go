package tables_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// someFiles writes valid tables by chance: monsters, and items that point at each other.
func someFiles(r *rand.Rand) map[string]string {
	n := 1 + r.IntN(20)
	item := func() string { return fmt.Sprintf("thing %d", r.IntN(n)) }
	var monsters, items strings.Builder
	for i := range n {
		fmt.Fprintf(&items, "- {name: thing %d, price: %d, against: [%d, %d]}\n", i, r.Int64N(1<<62), r.IntN(n), r.IntN(n))
		fmt.Fprintf(&monsters, "%d: {name: %q, hp: %d", i, string(rune('a'+r.IntN(2000))), 1+r.IntN(65535))
		for _, more := range []string{
			fmt.Sprintf("speed: %g", r.Float64()*20), "mood: SAD", "drop: " + item(), fmt.Sprintf("skills: [{name: x, power: %d}, {name: '', power: 0, cooldown: 0}]", r.IntN(200)-100),
			"cries: ['', \"\\n\"]", fmt.Sprintf("lair: {x: %g, z: %g, keys: [%d, 0]}", r.NormFloat64(), r.NormFloat64(), r.Uint64()), "boss: true",
			"pack: {4294967295: 1, 0: 2, 7: 3}", "gold: 0",
		} {
			if r.IntN(2) == 0 {
				monsters.WriteString(", " + more)
			}
		}
		monsters.WriteString("}\n")
	}
	return map[string]string{"monsters.yaml": monsters.String(), "items.yaml": items.String(), "tempers.yaml": "SAD: {pulse: [0, 2147483647], lairs: {b: {x: 1, z: 0}, '': {x: 0, z: 0}}}\n"}
}

func TestWhatAppendWroteParseReads(t *testing.T) {
	s, theirOwn := schemaOf(t, tables.Config{}), schemaOf(t, tables.Config{}) // which has never seen the set
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		set, err := tables.Load(folder(someFiles(r)), s)
		if err != nil {
			t.Fatal(err)
		}
		b := set.Append([]byte("before"))[6:]
		again, err := tables.Parse(theirOwn, b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Append(nil), b) || again.Fingerprint() != set.Fingerprint() || again.Size() != len(b) {
			t.Fatal("what was read writes other bytes")
		}
		mine, theirs := set.Typed().(*game), again.Typed().(*game)
		for id, m := range mine.monsters.All {
			if other, ok := theirs.monsters.Of(id); !ok || !proto.Equal(m, other) {
				t.Fatalf("%v became %v", m, other)
			}
		}
		clear(b) // nothing of it is kept
		if again.Fingerprint() != set.Fingerprint() || bytes.Equal(again.Append(nil), b) {
			t.Fatal("the set shares the bytes that it was read from")
		}
	}
}

func TestTheSetThatWasJustLoadedIsNotParsedAgain(t *testing.T) {
	s := schemaOf(t, tables.Config{})
	set, err := tables.Load(good(nil), s)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := tables.Parse(s, set.Append(nil)); again != set || err != nil {
		t.Errorf("it is another set, or failed: %v", err)
	}
	s.Empty()
	if again, err := tables.Parse(s, set.Append(nil)); again == set || err != nil || again.Fingerprint() != set.Fingerprint() {
		t.Errorf("it is the set from long before, or failed: %v", err)
	}
}

// TestTheFormIsWhatRecordingsHold pins the bytes: recordings outlive programs.
func TestTheFormIsWhatRecordingsHold(t *testing.T) {
	set := load(t, folder(map[string]string{
		"items.yaml": "- {name: fur, price: 12, against: [1, 300]}", "tempers.yaml": "SAD: {pulse: [5], lairs: {z: {x: 0, z: 0}, a: {x: 0.5, z: 0}}}",
		"monsters.yaml": "- {id: 300, name: B, hp: 3, skills: [{name: x, power: -1}], pack: {9: 1, 2: 1}, gold: 0}\n- {id: 1, name: A, hp: 2, speed: 0, drop: fur, boss: true}",
	}))
	const want = "01" + "03" +
		"056974656d73" + "01" + "13" + "0a03667572" + "110c00000000000000" + "1a0301ac02" + // items: fur
		"086d6f6e7374657273" + "02" + "0e" + "0801" + "120141" + "1802" + "3203667572" + "5001" + // monsters: 1
		"22" + "08ac02" + "120142" + "1803" + "2500002040" + "3a05" + "0a0178" + "1001" + "5a04" + "08021001" + "5a04" + "08091001" + "6000" + // 300
		"0774656d70657273" + "01" + "1f" + "0804" + "120405000000" + "1a0e" + "0a0161" + "1209" + "09000000000000e03f" + "1a05" + "0a017a" + "1200" // tempers: SAD
	if got := fmt.Sprintf("%x", set.Append(nil)); got != want {
		t.Errorf("the form is\n%s\nwant\n%s", got, want)
	}
	if set.Fingerprint() != 0x3fc7587e06d3281 {
		t.Errorf("fingerprint %#x", set.Fingerprint())
	}
}

// form puts rows together as the canonical form does, whatever they are.
func form(monsters, items, tempers [][]byte) []byte {
	b := []byte{1, 3}
	for _, t := range []struct {
		name string
		rows [][]byte
	}{{"items", items}, {"monsters", monsters}, {"tempers", tempers}} {
		b = protowire.AppendVarint(protowire.AppendString(b, t.name), uint64(len(t.rows)))
		for _, r := range t.rows {
			b = protowire.AppendBytes(b, r)
		}
	}
	return b
}

func bytesOf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRefusesWhatAppendDoesNotWrite(t *testing.T) {
	s := schemaOf(t, tables.Config{MaxRows: 3, MaxRow: 100, MaxElements: 3, MaxBytes: 1000})
	monster := func(m *sinkv1.Monster) []byte { return bytesOf(t, m) }
	wolf := monster(&sinkv1.Monster{Id: 1, Name: "Wolf", Hp: 3})
	bear := monster(&sinkv1.Monster{Id: 2, Hp: 3})
	negative := []byte{0x21, 0, 0, 0, 0, 0, 0, 0, 0x80}
	sword := "sword"
	whole := form([][]byte{wolf, bear}, nil, nil)
	if _, err := tables.Parse(s, whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := tables.Parse(s, whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are a set", n, len(whole))
		}
	}
	if _, err := tables.Parse(nil, whole); err == nil || !strings.Contains(err.Error(), "the game's schema has none") {
		t.Errorf("without a schema: %v", err)
	}
	one := func(m []byte) []byte { return form([][]byte{m}, nil, nil) }
	for _, c := range []struct {
		name string
		b    []byte
		says string
	}{
		{"nothing", nil, "no tables in form 1"},
		{"another form", append([]byte{2}, whole[1:]...), "no tables in form 1"},
		{"too long", make([]byte, 1001), "more than 1000"},
		{"more behind", append(bytes.Clone(whole), 0), "1 bytes behind the last table"},
		{"fewer tables", []byte{1, 0}, "0 tables where the schema has 3"},
		{"other tables", bytes.Replace(whole, []byte("items"), []byte("itemz"), 1), `table "itemz" is in its place`},
		{"a long count", append([]byte{1, 0x83, 0}, whole[2:]...), "it ends too early"},
		{"a count beyond all", bytes.Replace(whole, []byte("monsters\x02"), []byte("monsters\xff\xff\xff\xff\x0f"), 1), "it ends too early"},
		{"more rows than may be", form([][]byte{wolf, bear, bear, bear}, nil, nil), "4 where 3 are the most"},
		{"a row that is too long", one(monster(&sinkv1.Monster{Name: strings.Repeat("x", 200), Hp: 1})), "where 100 are the most"},
		{"no message", one([]byte{0xff}), "row 0"},
		{"an unknown field", one(append(bytes.Clone(wolf), 0xf8, 0x01, 1)), "has fields that this schema does not"},
		{"fields in another order", one(append([]byte{0x50, 1}, wolf...)), "not in its canonical form"},
		{"a zero written out", one(append(bytes.Clone(wolf), 0x50, 0)), "not in its canonical form"},
		{"a row twice", form([][]byte{wolf, wolf}, nil, nil), "row 1, of key 1, does not come after the one before"},
		{"rows out of order", form([][]byte{bear, wolf}, nil, nil), "row 1, of key 1, does not come after the one before"},
		{"out of range", one(monster(&sinkv1.Monster{Hp: 70000})), "hp is 70000: want 1 to 65535"},
		{"out of range by being left out", one(monster(&sinkv1.Monster{})), "hp is 0: want 1 to 65535"},
		{"out of range in a list", one(monster(&sinkv1.Monster{Hp: 1, Skills: []*sinkv1.Skill{{Power: 101}}})), "power is 101: want -100 to 100"},
		{"out of range in a map", one(monster(&sinkv1.Monster{Hp: 1, Pack: map[uint32]uint32{1: 10}})), "pack is 10: want 1 to 9"},
		{"no number", one(monster(&sinkv1.Monster{Hp: 1, Lair: &sinkv1.Lair{X: nan()}})), "x is NaN"},
		{"minus zero", one(append(monster(&sinkv1.Monster{Hp: 1}), append([]byte{0x4a, 9, 0x09}, negative[1:]...)...)), "x is -0"},
		{"unnamed enumerator", one(monster(&sinkv1.Monster{Hp: 1, Mood: 3})), "mood is 3, which sink.v1.Mood has no name for"},
		{"many elements", one(monster(&sinkv1.Monster{Hp: 1, Cries: make([]string, 4)})), "cries holds 4 elements, more than 3"},
		{"many entries", one(monster(&sinkv1.Monster{Hp: 1, Pack: map[uint32]uint32{1: 1, 2: 1, 3: 1, 4: 1}})), "pack holds 4 elements, more than 3"},
		{"a dangling text", one(monster(&sinkv1.Monster{Hp: 1, Drop: &sword})), `no row "sword" in items`},
		{"a dangling element", form(nil, [][]byte{bytesOf(t, &sinkv1.Item{Against: []uint32{0}})}, nil), "no row 0 in monsters"},
		{"a required list that is not there", form(nil, nil, [][]byte{{}}), "pulse is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := tables.Parse(s, c.b); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}
