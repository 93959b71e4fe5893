package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = "syntax = \"proto3\";\npackage a.v1;\noption go_package = \"example.test/a/v1;av1\";\n"

func TestExitCodesAndMessages(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "a", "v1")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(folder, "a.proto"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name, schema string
		args         []string
		code         int
		says         string
	}{
		{"stale before the first run", source, []string{"-check", "-root", root}, 1, "a/v1/a.pb.go is not what its .proto file gives: run go generate"},
		{"writes", source, []string{"-root", root}, 0, "wrote a/v1/a.pb.go"},
		{"fresh after it", source, []string{"-check", "-root", root}, 0, "fresh"},
		{"broken schema", source + "message {", []string{"-root", root}, 1, "a.proto:4:9: "},
		{"broken schema, checked", source + "message {", []string{"-check", "-root", root}, 1, "a.proto:4:9: "},
		{"help", source, []string{"-h"}, 0, "usage: mmogen"},
		{"unknown flag", source, []string{"-chekc"}, 2, "-chekc"},
		{"stray argument", source, []string{"there"}, 2, `unexpected argument "there"`},
	}
	for _, step := range steps { // a story: each step starts from the one before
		write(step.schema)
		var out strings.Builder
		if code := run(step.args, &out, &out); code != step.code {
			t.Errorf("%s: exit code %d, want %d", step.name, code, step.code)
		}
		if !strings.Contains(out.String(), step.says) {
			t.Errorf("%s: says\n%s\nwant %q", step.name, out.String(), step.says)
		}
	}
}
