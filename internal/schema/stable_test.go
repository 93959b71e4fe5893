package schema

import (
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// shuffled is fullGame with everything that a schema may declare in another order declared in another order.
func shuffled(t *testing.T) string {
	t.Helper()
	source := fullGame
	swap := func(a, b string) {
		t.Helper()
		if strings.Count(source, a) != 1 || strings.Count(source, b) != 1 {
			t.Fatalf("%q and %q are not there once each", a, b)
		}
		source = strings.NewReplacer(a, b, b, a).Replace(source)
	}
	swap("  bool alive = 1;\n", "  map<string, uint32> items = 16;\n")
	swap("  uint32 level = 3 [(mmo.sync) = {bits: 7, audience: OWNER}];\n", "  Mood mood = 6;\n")
	swap("  uint32 kind = 1 [(mmo.sync) = {range: {max: 9}}];\n", "  float left = 2 [(mmo.sync) = {quantize: 0.5}];\n")
	swap("  double x = 1 [(mmo.sync) = {quantize: 0.003125, interp: LINEAR, predicted: true}];\n", "  double vz = 4 [(mmo.sync) = {quantize: 0.0625}];\n")
	first, rest, _ := strings.Cut(source, "// Stats | of")
	stats, rest, _ := strings.Cut(rest, "\nmessage Buff {")
	before, place, _ := strings.Cut(first, "// Place is where it is.\n")
	return before + "// Stats | of" + stats + "\n// Place is where it is.\n" + place + "\nmessage Buff {" + rest +
		"message Hound { option (mmo.kind) = {id: 1, components: [\"Place\"]}; }\n"
}

func TestTheOrderOfDeclarationsChangesNothing(t *testing.T) {
	a := loaded(t, fullGame+"message Hound { option (mmo.kind) = {id: 1, components: [\"Place\"]}; }\n")
	b := loaded(t, shuffled(t))
	if string(a.Layout.Table()) != string(b.Layout.Table()) {
		t.Errorf("the layouts are\n%+v\nand\n%+v", a.Layout, b.Layout)
	}
	if a.Fingerprint != b.Fingerprint {
		t.Errorf("the fingerprints are %v and %v", a.Fingerprint, b.Fingerprint)
	}
	for i, c := range b.Components {
		if c.Def.Name != string(c.Message.Desc.Name()) || c.Def != &b.Layout.Components[i] {
			t.Errorf("component %d: %s of message %s", i, c.Def.Name, c.Message.Desc.Name())
		}
	}
	for i, k := range b.Kinds {
		if k.Def.Name != string(k.Message.Desc.Name()) || k.Def != &b.Layout.Kinds[i] {
			t.Errorf("kind %d: %s of message %s", i, k.Def.Name, k.Message.Desc.Name())
		}
	}
}

// TestWhateverTheTableSaysIsInTheFingerprint: a client with the same fingerprint reads state with the table that it was built with.
func TestWhateverTheTableSaysIsInTheFingerprint(t *testing.T) {
	table := func(l *delta.Layout) string {
		plain := *l
		plain.Fingerprint = 0
		return string(plain.Table())
	}
	first := loaded(t, fullGame)
	tests := []struct{ name, from, to string }{
		{"a field's name", "bool alive = 1;", "bool living = 1;"},
		{"interpolation", "{quantize: 0.003125, interp: LINEAR, predicted: true}", "{quantize: 0.003125, predicted: true}"},
		{"prediction", "{quantize: 0.003125, interp: LINEAR, predicted: true}", "{quantize: 0.003125, interp: LINEAR}"},
		{"priority", "priority: HIGH", "priority: LOW"},
		{"max", "{max: 20}", "{max: 21}"},
		{"sees", "sees: 50", "sees: 51"},
		{"layer", `layer: "actor"`, `layer: "hero"`},
		{"components of a kind", `["Place", "game.v1.Stats"]`, `["game.v1.Stats", "Place"]`},
		{"room of an enum", "MOOD_WILD = 5;", "MOOD_WILD = 5; MOOD_MAD = 9;"},
		{"range", "min: -5, max: 1000", "min: -5, max: 1001"},
		{"position", ", polar: true", ""},
	}
	for _, test := range tests {
		if !strings.Contains(fullGame, test.from) {
			t.Fatalf("nothing like %q", test.from)
		}
		s := loaded(t, strings.ReplaceAll(fullGame, test.from, test.to))
		if table(s.Layout) == table(first.Layout) {
			t.Errorf("%s: the table is the same", test.name)
		}
		if s.Fingerprint == first.Fingerprint {
			t.Errorf("%s: the fingerprint is the same", test.name)
		}
	}
}

func TestTicksAreInTheFingerprint(t *testing.T) {
	const still = "message C { option (mmo.component) = {id: 1}; bool b = 1; }\n"
	game := func(options string) string { return strings.Replace(marked1, "{}", options, 1) + still }
	if a, b := loaded(t, game("{}")), loaded(t, game("{tick_hz: 30}")); a.Fingerprint == b.Fingerprint {
		t.Error("20 and 30 ticks per second have one fingerprint")
	}
	root := lay(t, map[string]string{"game/v1/game.proto": game("{}")})
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	if text := read(t, root, "game/v1/schema.lock"); !strings.Contains(text, "\ntick_hz 20\n") || !strings.Contains(text, "\nlayout ") {
		t.Errorf("the lock is\n%s", text)
	}
	put(t, root, "game/v1/game.proto", game("{tick_hz: 30}"))
	if _, err := Write(root, Options{}); err != nil {
		t.Errorf("where nothing has a place other ticks break nothing: %v", err)
	}
	root = lay(t, map[string]string{"game/v1/game.proto": marked1 + placeComponent})
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	put(t, root, "game/v1/game.proto", strings.NewReplacer("{};", "{tick_hz: 40};", "0.0625", "0.125").Replace(marked1+placeComponent))
	if _, err := Write(root, Options{}); err == nil || !strings.Contains(err.Error(), "quantum=0.0625 became steps,quantum=0.125") {
		t.Errorf("with places other ticks break: %v", err)
	}
}
