package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noted runs a command that writes and returns what it says on stderr.
func noted(t *testing.T, root string) string {
	t.Helper()
	var out, notes strings.Builder
	if code := Command(t.Context(), []string{root}, &out, &notes); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, &out, &notes)
	}
	return notes.String()
}

func TestALockThatWasEditedOrLostIsNoted(t *testing.T) {
	root := released(t)
	lock := filepath.Join(root, "game/v1/schema.lock")
	text := read(t, root, "game/v1/schema.lock")
	if notes := noted(t, root); notes != "" {
		t.Errorf("nothing is wrong: %s", notes)
	}
	put(t, root, "game/v1/schema.lock", strings.Replace(text, "layout ", "retired route 99 x\nlayout ", 1))
	if notes := noted(t, root); !strings.HasPrefix(notes, "note: ") || !strings.Contains(notes, "schema.lock: its sum is not that of its lines") {
		t.Errorf("edited: %q", notes)
	}
	put(t, root, "game/v1/schema.lock", text+"sum 01020304\n")
	if notes := noted(t, root); notes != "" {
		t.Errorf("a merge: %q", notes)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if notes := noted(t, root); !strings.Contains(notes, "schema.lock is missing though ") || !strings.Contains(notes, "knows of no deployed client") {
		t.Errorf("lost: %q", notes)
	}
	if notes := noted(t, lay(t, map[string]string{"game/v1/game.proto": marked1})); notes != "" {
		t.Errorf("a new schema: %q", notes)
	}
}

func TestTheCommandTellsRemovedFromWritten(t *testing.T) {
	root := lay(t, map[string]string{"one/v1/a.proto": valid("one.v1", "one/v1;onev1", "A"), "one/v1/b.proto": valid("one.v1", "one/v1;onev1", "B")})
	noted(t, root)
	if err := os.Remove(filepath.Join(root, "one/v1/b.proto")); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := Command(t.Context(), []string{root}, &out, &out); code != 0 || !strings.HasPrefix(out.String(), "removed one/v1/b.pb.go\nremoved one/v1/b_fast.pb.go\n2 files in ") {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
}
