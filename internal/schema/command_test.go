package schema

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestExitCodesAndMessages(t *testing.T) {
	source := valid("a.v1", "a/v1;av1", "A")
	root := lay(t, map[string]string{"a/v1/a.proto": source})
	steps := []struct {
		name, schema string
		args         []string
		code         int
		says         string
	}{
		{"stale before the first run", source, []string{"-check", "-root", root}, 1, "a/v1/a.pb.go is not what the schema gives: run mmo gen"},
		{"writes", source, []string{root}, 0, "wrote a/v1/a.pb.go\nwrote a/v1/a_fast.pb.go\n2 files in "},
		{"again", source, []string{root}, 0, "everything is fresh ("},
		{"fresh after it", source, []string{"-check", root}, 0, "fresh"},
		{"a break of nothing", source, []string{"-break", "why not", root}, 1, "nothing in the schema breaks"},
		{"broken schema", source + "message {", []string{"-root", root}, 1, "a.proto:8:9: "},
		{"broken schema, checked", source + "message {", []string{"-check", root}, 1, "a.proto:8:9: "},
		{"help", source, []string{"-h"}, 0, "usage: mmo gen"},
		{"unknown flag", source, []string{"-chekc"}, 2, "no flag -chekc: did you mean -check?"},
		{"unknown flag like none", source, []string{"-zzzzzzzzz"}, 2, "there are -check, -watch"},
		{"two folders", source, []string{root, root}, 2, "name one folder"},
		{"a folder twice", source, []string{"-root", root, root}, 2, "name one"},
		{"check and watch", source, []string{"-check", "-watch", root}, 2, "neither -watch nor -break"},
		{"watch and break", source, []string{"-watch", "-break", "x", root}, 2, "one decision"},
		{"no reason", source, []string{"-break", " ", root}, 2, "say in a line"},
		{"a folder for a reason", source, []string{"-break", root}, 2, "that is a folder, not a reason"},
	}
	for _, step := range steps { // a story: each step starts from the one before
		put(t, root, "a/v1/a.proto", step.schema)
		var out strings.Builder
		if code := Command(t.Context(), step.args, &out, &out); code != step.code {
			t.Errorf("%s: exit code %d, want %d", step.name, code, step.code)
		}
		if !strings.Contains(out.String(), step.says) {
			t.Errorf("%s: says\n%s\nwant %q", step.name, out.String(), step.says)
		}
	}
}

func TestWatchGeneratesAgainAfterEveryChange(t *testing.T) {
	root := lay(t, map[string]string{"game/v1/game.proto": fullGame, "docs/manual.md": manualMarks})
	source := filepath.Join(root, "game/v1/game.proto")
	edit := func(content string, age time.Duration) {
		put(t, root, "game/v1/game.proto", content)
		when := time.Unix(2_000_000_000, 0).Add(age) // whatever the clock of the disk can tell apart
		if err := os.Chtimes(source, when, when); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var reports []string
		done := make(chan error)
		go func() {
			done <- Watch(ctx, root, Options{}, func(changed Result, err error) {
				if err != nil {
					reports = append(reports, err.Error())
				} else {
					reports = append(reports, strings.Join(changed.Wrote, " "))
				}
			})
		}()
		step := func(says string) {
			t.Helper()
			time.Sleep(watchEvery + time.Millisecond)
			synctest.Wait()
			switch {
			case says == "" && len(reports) > 0:
				t.Errorf("reported %q, want nothing", reports)
			case says != "" && (len(reports) != 1 || !strings.Contains(reports[0], says)):
				t.Errorf("reported %q, want %q", reports, says)
			}
			reports = nil
		}
		step("game/v1/schema.lock")
		step("")
		edit(fullGame+"message {", 1*time.Second)
		step("syntax error")
		step("")
		edit(fullGame+"message More { bool b = 1; }\n", 2*time.Second)
		step("game/v1/game.pb.go")
		edit(strings.Replace(fullGame, "message HitBy { option (mmo.route) = {id: 65, from: SERVER, delivery: AOI_EVENT}; uint64 who = 1; }", "", 1), 3*time.Second)
		step("removes route 65 (game.hit_by), which retires the id for good")
		edit(fullGame, 4*time.Second)
		step("game/v1/game.pb.go")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchOutlivesAFolderThatGoes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "gone")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reports, done := 0, make(chan int)
		go func() {
			done <- Command(ctx, []string{"-watch", root}, writerFunc(func(b []byte) {}), writerFunc(func([]byte) { reports++ }))
		}()
		time.Sleep(10 * watchEvery)
		synctest.Wait()
		if reports != 1 {
			t.Errorf("%d reports", reports)
		}
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }
