package schema

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// released is a game whose lock is written.
func released(t *testing.T) (root string) {
	t.Helper()
	root = lay(t, map[string]string{"game/v1/game.proto": fullGame, "docs/manual.md": manualMarks})
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestAChangeThatBreaksIsShownInTheSchema(t *testing.T) {
	tests := []struct{ name, from, to, says string }{
		{"field retyped", "  bool alive = 1;", "  string §alive = 1;", "type bool became string"},
		{"range moved", "  sint32 hp = 2 [(mmo.sync) = {range: {min: -5, max: 1000}", "  sint32 §hp = 2 [(mmo.sync) = {range: {min: -5, max: 1001}", "max=1000 became int32,bits=10,min=-5,max=1001"},
		{"audience widened", "{bits: 7, audience: OWNER}", "{bits: 7}", "add a new field"},
		{"nested field requantised", "  float left = 2 [(mmo.sync) = {quantize: 0.5}", "  float §left = 2 [(mmo.sync) = {quantize: 0.25}", "quantum=0.5 became steps,quantum=0.25"},
		{"made optional", "  double exact64 = 8;", "  optional double §exact64 = 8;", "label one became optional"},
		{"route renamed", "{id: 66, name: \"ask\"", "{§id: 66, name: \"ask2\"", "name ask became ask2"},
		{"kind id moved", "message Hero { option (mmo.kind) = {id: 2,", "message Knight { option (mmo.kind) = {§id: 2,", "was Hero"},
		{"component renamed", "message Place {\n  option (mmo.component) = {id: 3,", "message Spot {\n  option (mmo.component) = {§id: 3,", "was Place"},
		{"position changed", ", polar: true}", "}", "reckon by it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := released(t)
			before := snapshot(t, root)
			if !strings.Contains(fullGame, test.from) {
				t.Fatalf("nothing like %q", test.from)
			}
			source, line, col := spotOf(strings.Replace(fullGame, test.from, test.to, 1))
			if strings.Contains(test.to, "Spot") {
				source = strings.Replace(source, `"Place"`, `"Spot"`, 1)
			}
			put(t, root, "game/v1/game.proto", source)
			_, err := Write(root, Options{})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%v\nwant %q", err, test.says)
			}
			if want := fmt.Sprintf("%s/game/v1/game.proto:%d:%d: ", filepath.ToSlash(root), line, col); strings.Contains(test.to, "§") && !strings.HasPrefix(filepath.ToSlash(err.Error()), want) {
				t.Errorf("it is at\n%v\nwant\n%s", err, want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one mistake:\n%v", err)
			}
			before["game/v1/game.proto"] = source
			if !maps.Equal(before, snapshot(t, root)) {
				t.Error("something was written")
			}
			if _, err := Write(root, Options{Break: "the game begins anew"}); err != nil {
				t.Fatalf("with a reason: %v", err)
			}
			lock := read(t, root, "game/v1/schema.lock")
			if !strings.Contains(lock, "\ngeneration 2\nrevision 2\n") || !strings.Contains(lock, "\n# generation 2: the game begins anew\n") {
				t.Errorf("the lock is\n%s", lock)
			}
			if stale, err := Check(root); err != nil || len(stale) > 0 {
				t.Errorf("not settled: %v, %v", stale, err)
			}
		})
	}
}

func TestChangesThatBreakNothingGoOn(t *testing.T) {
	root := released(t)
	first, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	source := strings.NewReplacer("bool alive = 1;", "bool living = 1;\n  uint32 kills = 19;", "message Answer { string text = 1; }", "message Answer { bool ok = 2; }",
		`components: ["Place", "game.v1.Stats"]`, `components: ["Stats", "Place"]`).Replace(fullGame)
	put(t, root, "game/v1/game.proto", source)
	if _, err := Write(root, Options{Break: "no need"}); err == nil || !strings.Contains(err.Error(), "without a reason") {
		t.Errorf("a break that breaks nothing: %v", err)
	}
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	second, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.Schemas[0].Fingerprint, second.Schemas[0].Fingerprint
	if !a.Compatible(b) || a == b || b.Revision() != 2 || b.Generation() != 1 {
		t.Errorf("fingerprints %v and %v", a, b)
	}
	if lock := read(t, root, "game/v1/schema.lock"); !strings.Contains(lock, "\nretired field game.v1.Answer 1 text\n") {
		t.Errorf("the lock is\n%s", lock)
	}
	put(t, root, "game/v1/game.proto", strings.Replace(source, "bool ok = 2;", "bool ok = 2; uint32 again = 1;", 1))
	if _, err := Write(root, Options{}); err == nil || !strings.Contains(err.Error(), "take a new one") {
		t.Errorf("a number used again: %v", err)
	}
}

func TestALockAfterAMergeIsBroughtUpToDate(t *testing.T) {
	root := released(t)
	text := read(t, root, "game/v1/schema.lock")
	put(t, root, "game/v1/schema.lock", strings.Replace(text, "revision 1\nsum ", "<<<<<<< ours\nrevision 2\nsum 01020304\n=======\nrevision 2\nsum ", 1))
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "schema.lock:5: an unresolved merge conflict: keep both sides") {
		t.Errorf("a conflict: %v", err)
	}
	put(t, root, "game/v1/schema.lock", strings.Replace(text, "revision 1\nsum ", "revision 4\nsum 01020304\n# ", 1))
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	if lock := read(t, root, "game/v1/schema.lock"); !strings.Contains(lock, "\nrevision 5\n") {
		t.Errorf("the lock is\n%s", lock)
	}
}

func TestALockWithoutItsSchemaIsRefused(t *testing.T) {
	root := released(t)
	put(t, root, "other/schema.lock", read(t, root, "game/v1/schema.lock"))
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "other/schema.lock:1: no .proto file beside it") {
		t.Errorf("%v", err)
	}
}

func TestReasonsOfBreaksFitALine(t *testing.T) {
	for _, reason := range []string{"two\nlines", " ahead", strings.Repeat("x", 201), "\x00", "\xff"} {
		if _, err := Generate(t.TempDir(), Options{Break: reason}); err == nil || !strings.Contains(err.Error(), "write one line") {
			t.Errorf("%q: %v", reason, err)
		}
	}
}

func TestAMergeThatKeptEverythingGoesOn(t *testing.T) {
	root := released(t)
	text := read(t, root, "game/v1/schema.lock")
	_, body, _ := strings.Cut(text, "\n\n")
	put(t, root, "game/v1/schema.lock", text+"generation 1\nrevision 7\nsum 01020304\n"+body+
		"kind 2 Hero Place\nretired field game.v1.Answer 9 a\nretired field game.v1.Answer 9 b\nretired route 65 game.hit_by\n")
	source := strings.Replace(fullGame, "message HitBy { option (mmo.route) = {id: 65, from: SERVER, delivery: AOI_EVENT}; uint64 who = 1; }", "", 1)
	put(t, root, "game/v1/game.proto", source)
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	text = read(t, root, "game/v1/schema.lock")
	if !strings.Contains(text, "\nrevision 8\n") || strings.Count(text, "retired route 65 ") != 1 || strings.Count(text, "retired field game.v1.Answer 9 ") != 1 {
		t.Errorf("the lock is\n%s", text)
	}
	if stale, err := Check(root); err != nil || len(stale) > 0 {
		t.Errorf("not settled: %v, %v", stale, err)
	}
}

func TestMaxIsNotLowered(t *testing.T) {
	root := released(t)
	put(t, root, "game/v1/game.proto", strings.Replace(fullGame, "{max: 20}", "{max: 19}", 1))
	if _, err := Write(root, Options{}); err == nil || !strings.Contains(err.Error(), "game.proto:34:10: max of field title") || !strings.Contains(err.Error(), "raise it freely") {
		t.Errorf("lowered: %v", err)
	}
	put(t, root, "game/v1/game.proto", strings.Replace(fullGame, "{max: 20}", "{max: 21}", 1))
	if _, err := Write(root, Options{}); err != nil {
		t.Errorf("raised: %v", err)
	}
}

func TestNumbersOfEnumsStay(t *testing.T) {
	tests := []struct{ name, from, to, says string }{
		{"renumbered", "MOOD_WILD = 5;", "MOOD_WILD = 4;", "game.proto:8:28: MOOD_WILD of enum game.v1.Mood was 5"},
		{"renamed", "MOOD_WILD = 5;", "MOOD_MAD = 5;", "game.proto:8:28: 5 of enum game.v1.Mood was MOOD_WILD"},
		{"a new value", "MOOD_WILD = 5;", "MOOD_WILD = 5; MOOD_MAD = 6;", ""},
	}
	for _, test := range tests {
		root := released(t)
		put(t, root, "game/v1/game.proto", strings.Replace(fullGame, test.from, test.to, 1))
		if _, err := Write(root, Options{}); (test.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}
