package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

var update = flag.Bool("update", false, "write the transcripts of README.md anew, which takes minutes")

// TestTheTranscriptsOfTheReadmeAreTrue runs what the README shows, on small worlds, and compares what is printed. Figures differ each time.
func TestTheTranscriptsOfTheReadmeAreTrue(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```console\n.*?```").FindAllString(string(page), -1)
	if len(blocks) < 7 {
		t.Fatalf("%d transcripts, want more", len(blocks))
	}
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // pictures are drawn here
	text := string(page)
	for _, block := range blocks {
		have, shown := "```console\n", strings.Split(block, "\n$ ")
		last := 0
		for i, part := range shown[1:] {
			line, printed, _ := strings.Cut(part, "\n")
			if i == len(shown)-2 {
				printed = strings.TrimSuffix(printed, "```")
			} else if printed != "" {
				printed += "\n"
			}
			var now string
			now, last = transcript(t, line, last)
			if !*update && vague(now) != vague(printed) {
				t.Errorf("%s\nshown\n%s\nprinted\n%s\nif that is right: go test ./cmd/aoi_test -run Transcripts -update -timeout 30m", line, vague(printed), vague(now))
			}
			have += "$ " + line + "\n" + now
		}
		text = strings.Replace(text, block, have+"```", 1)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(folder, "README.md"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// transcript runs a line; last is the exit code of the line before it. Signs of progress are left out.
func transcript(t *testing.T, line string, last int) (text string, code int) {
	t.Helper()
	args := strings.Fields(line)
	switch {
	case line == "echo $?":
		return fmt.Sprintln(last), 0
	case args[0] != "aoi_test":
		t.Fatalf("README.md runs %q", line)
	}
	args = args[1:]
	if !*update && !slices.Contains(args, "-list") {
		args = append(args, "-entities", "200")
		if !slices.Contains(args, "-time") {
			args = append(args, "-ticks", "3")
		}
		if i := slices.Index(args, "-time"); i >= 0 {
			args[i+1] = "1ms"
		}
	}
	code, out, faults := command(args...)
	for line := range strings.Lines(faults) {
		if !strings.HasSuffix(line, " done\n") {
			text += line
		}
	}
	return text + out, code
}

// vague replaces what differs each time or on each machine.
func vague(s string) string {
	for _, r := range []struct{ from, to string }{
		{`(?m)^.*, (kernels? .*seed)`, "CPU, $1"},
		{`"cpu":"[^"]*"`, `"cpu":"CPU"`},
		{`\b(avx512|avx2|portable)\b`, "KERNEL"},
		{`KERNEL(, KERNEL)+`, "KERNEL"},
		{`kernels KERNEL`, "kernel KERNEL"},
		{` +KERNEL`, " KERNEL"},
		{`CPU time|wall time`, "TIME"},
		{` instead of \d+(,\d{3})*`, ""},
		{`-?\b\d+(,\d{3})*(\.\d+)?(e[+-]\d+)?\b`, "N"},
		{` +`, " "},
	} {
		s = regexp.MustCompile(r.from).ReplaceAllString(s, r.to)
	}
	return strings.Join(slices.Compact(strings.Split(s, "\n")), "\n") // lines of several kernels
}

func TestVagueKeepsWhatMatters(t *testing.T) {
	if got, want := vague("AMD EPYC, kernels avx2, portable, seed 1\n\n  walk-10k  avx512  1,234.5 (9.99 to 1e+06)\n  walk-10k  portable  2 (0 to 3)\n"),
		"CPU, kernel KERNEL, seed N\n\n walk-10k KERNEL N (N to N)\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(aoi.Kernels()) == 0 {
		t.Error("no kernel")
	}
}
