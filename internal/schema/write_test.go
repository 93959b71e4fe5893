package schema

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteTouchesOnlyWhatIsStale(t *testing.T) {
	root := lay(t, map[string]string{
		"one/v1/a.proto":        valid("one.v1", "one/v1;onev1", "A"),
		"old/v1/old.pb.go":      messagesMark + "\n// source: old/v1/old.proto\n\npackage oldv1\n",
		"old/v1/old_fast.pb.go": ownMark + "\n// source: old/v1/old.proto\n\npackage oldv1\n",
		"old/v1/mine.pb.go":     "package oldv1\n",
	})
	all := []string{"old/v1/old.pb.go", "old/v1/old_fast.pb.go", "one/v1/a.pb.go", "one/v1/a_fast.pb.go"}
	if stale, err := Check(root); err != nil || !slices.Equal(stale, all) {
		t.Errorf("Check before: %v, %v", stale, err)
	}
	if done, err := Write(root, Options{}); err != nil || !slices.Equal(done.Removed, all[:2]) || !slices.Equal(done.Wrote, all[2:]) {
		t.Errorf("first Write did %+v, %v", done, err)
	}
	if touched, err := Write(root, Options{}); err != nil || touched.Touched() != 0 {
		t.Errorf("second Write touched %v, %v", touched, err)
	}
	put(t, root, "one/v1/a.pb.go", "edited by hand")
	if touched, err := Write(root, Options{}); err != nil || !slices.Equal(touched.Wrote, []string{"one/v1/a.pb.go"}) {
		t.Errorf("Write after an edit touched %v, %v", touched, err)
	}
	want := []string{"go.mod", "old/v1/mine.pb.go", "one/v1/a.pb.go", "one/v1/a.proto", "one/v1/a_fast.pb.go"}
	if names := slices.Sorted(maps.Keys(snapshot(t, root))); !slices.Equal(names, want) {
		t.Errorf("the tree holds %v", names)
	}
}

func TestLeftOversOfBindingsAndTypeScriptGo(t *testing.T) {
	root := lay(t, map[string]string{
		"game/v1/game.proto": strings.Replace(fullGame, `manual: "docs/manual.md"`, `bind: "example.test/game/bind", typescript: "web/game.ts"`, 1),
		"bind/old_gen.go":    ownMark + "\n\npackage bind\n",
		"bind/mine.go":       "package bind\n",
		"web/old.ts":         ownMark + "\n// source: game/v1/game.proto\n",
		"web/theirs.ts":      ownMark + "\n",
		"web/mine.ts":        "// mine\n",
	})
	touched, err := Write(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	left := snapshot(t, root)
	for _, name := range []string{"bind/old_gen.go", "web/old.ts"} {
		if _, still := left[name]; still || !slices.Contains(touched.Removed, name) {
			t.Errorf("%s was not removed: %v", name, touched)
		}
	}
	for _, name := range []string{"bind/mine.go", "web/mine.ts", "web/theirs.ts", "web/game.ts", "bind/game_gen.go", "game/v1/game.pb.go", "game/v1/schema.lock"} {
		if _, there := left[name]; !there {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestOneMistakeLeavesEveryFileAsItWas(t *testing.T) {
	root := lay(t, map[string]string{
		"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A"),
		"two/v1/b.proto": "syntax = \"proto3\";\nmessage B {",
		"one/v1/a.pb.go": "as it was",
	})
	before := snapshot(t, root)
	if touched, err := Write(root, Options{}); err == nil || touched.Touched() != 0 {
		t.Errorf("Write touched %v, %v", touched, err)
	}
	if after := snapshot(t, root); !maps.Equal(before, after) {
		t.Errorf("the tree holds %v", after)
	}
}

// TestARenameThatFailsPutsEverythingBack fails each rename in turn.
func TestARenameThatFailsPutsEverythingBack(t *testing.T) {
	root := lay(t, map[string]string{
		"game/v1/game.proto": strings.Replace(fullGame, `tick_hz: 20`, `bind: "example.test/game/some/where/bind"`, 1), "docs/manual.md": manualMarks,
		"game/v1/game.pb.go": "as it was", "game/v1/old.pb.go": messagesMark + "\n// source: game/v1/old.proto\n\npackage gamev1\n",
	})
	if err := os.Chmod(filepath.Join(root, "docs/manual.md"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, root)
	for fail := 1; ; fail++ {
		calls := 0
		touched, err := write(root, Options{}, func(from, to string) error {
			if calls++; calls == fail {
				return errors.New("the disk is gone")
			}
			return os.Rename(from, to)
		})
		if err == nil {
			if fail < 5 || touched.Touched() == 0 {
				t.Errorf("only %d renames, touched %v", calls, touched)
			}
			break
		}
		if !strings.Contains(err.Error(), "the disk is gone") || touched.Touched() > 0 {
			t.Fatalf("touched %v, %v", touched, err)
		}
		if after := snapshot(t, root); !maps.Equal(before, after) {
			t.Fatalf("after rename %d failed the tree holds %v", fail, slices.Sorted(maps.Keys(after)))
		}
		if _, err := os.Stat(filepath.Join(root, "some")); err == nil {
			t.Fatalf("after rename %d failed a new folder is left", fail)
		}
	}
	for name := range snapshot(t, root) {
		if strings.HasPrefix(filepath.Base(name), ".") {
			t.Errorf("%s is left", name)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "docs/manual.md")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the manual's mode is %v, %v", info.Mode(), err)
	}
}

func TestAFileThatCannotBePreparedLeavesEverythingAsItWas(t *testing.T) {
	root := lay(t, map[string]string{
		"game/v1/game.proto": strings.Replace(fullGame, `manual: "docs/manual.md"`, `bind: "example.test/game/x/bind"`, 1), "x": "a file where a folder should be",
	})
	before := snapshot(t, root)
	if touched, err := Write(root, Options{}); err == nil || touched.Touched() > 0 {
		t.Errorf("touched %v, %v", touched, err)
	}
	if after := snapshot(t, root); !maps.Equal(before, after) {
		t.Errorf("the tree holds %v", slices.Sorted(maps.Keys(after)))
	}
}

func TestTheManualKeepsWhatPeopleWrote(t *testing.T) {
	root := lay(t, map[string]string{"game/v1/game.proto": fullGame, "docs/manual.md": manualMarks})
	if _, err := Write(root, Options{}); err != nil {
		t.Fatal(err)
	}
	text := read(t, root, "docs/manual.md")
	for _, want := range []string{
		"# Manual\n<!-- mmo gen game.v1: begin -->\n\n**Routes of game.v1**",
		"| 64 | game.move | game.v1.Move | push | client → server | playing | zone | | 64 | 30.5/s, burst 31 | reliable | | |\n",
		"| 66 | ask | game.v1.Ask | request | client → server | secured | gateway | game.v1.Answer | 4096 | | reliable | yes | |\n",
		"| 65 | game.hit_by | game.v1.HitBy | push | server → client | | | | 4096 | | AOI event | | |\n",
		"**game.v1.Answer**\n\n| number | name | type | meaning |\n|---|---|---|---|\n| 1 | text | string | |\n",
		"**Component 7 Stats**: Stats \\| of everything.\n",
		"| 5 | yaw | float | 1/1024 turn | | 10 | everyone who sees it | the short way round | | |\n",
		"| 10 | heat | float | 0.1 | -0.3 … 0.3 | 3 | everyone who sees it | | yes | |\n",
		"| 15 | buffs | list of Buff | | at most 8 elements | | everyone who sees it | | yes | |\n",
		"Place and velocity: x, z with vx, vz; heading yaw; the velocity travels as heading and speed.\n",
		"| 2 | Hero | Place, Stats | 50 | actor | yes | Hero is a player. |\n",
		"<!-- mmo gen game.v1: end -->\nby hand\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not found: %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
