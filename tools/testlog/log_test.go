package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStreamsBecomeReadable(t *testing.T) {
	tests := []struct {
		name, stream string
		code         int
		totals       string
		says, silent []string
	}{
		{"all passed", `
{"Action":"start","Package":"m/pkg/aoi"}
{"Action":"run","Package":"m/pkg/aoi","Test":"TestA"}
{"Action":"output","Package":"m/pkg/aoi","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"m/pkg/aoi","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"m/pkg/aoi","Output":"coverage: 81.2% of statements\n"}
{"Action":"output","Package":"m/pkg/aoi","Output":"ok  \tm/pkg/aoi\t(cached)\n"}
{"Action":"pass","Package":"m/pkg/aoi","Elapsed":0.4}`, 0, "1 0 0",
			[]string{"ok    pkg/aoi", "1 passed", "cached", "covers 81.2%"}, []string{"chatter"}},
		{"a test with subtests counts as those", `
{"Action":"run","Package":"m","Test":"TestA"}
{"Action":"run","Package":"m","Test":"TestA/x"}
{"Action":"run","Package":"m","Test":"TestA/y"}
{"Action":"output","Package":"m","Test":"TestA/y","Output":"    a_test.go:3: wrong\n"}
{"Action":"pass","Package":"m","Test":"TestA/x"}
{"Action":"fail","Package":"m","Test":"TestA/y"}
{"Action":"fail","Package":"m","Test":"TestA"}
{"Action":"fail","Package":"m","Elapsed":2}`, 1, "1 1 0",
			[]string{"FAIL  .", "1 passed, 1 failed", "a_test.go:3: wrong"}, nil},
		{"a parent that fails by itself", `
{"Action":"run","Package":"m","Test":"TestA"}
{"Action":"run","Package":"m","Test":"TestA/x"}
{"Action":"pass","Package":"m","Test":"TestA/x"}
{"Action":"fail","Package":"m","Test":"TestA"}
{"Action":"fail","Package":"m"}`, 1, "1 1 0", []string{"1 passed, 1 failed"}, nil},
		{"skipped, with the reason", `
{"Action":"run","Package":"m","Test":"TestA"}
{"Action":"output","Package":"m","Test":"TestA","Output":"    a_test.go:9: needs Linux\n"}
{"Action":"output","Package":"m","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"m","Test":"TestA"}
{"Action":"pass","Package":"m"}`, 0, "0 0 1", []string{"1 skipped", "skipped TestA: needs Linux"}, nil},
		{"no tests", `
{"Action":"output","Package":"m/server","Output":"?   \tm/server\t[no test files]\n"}
{"Action":"skip","Package":"m/server"}`, 0, "0 0 0", []string{"--    server", "no tests"}, nil},
		{"does not build", `
{"ImportPath":"m/server [m/server.test]","Action":"build-output","Output":"server/a.go:1:1: expected package\n"}
{"ImportPath":"m/server [m/server.test]","Action":"build-fail"}
{"Action":"start","Package":"m/server"}
{"Action":"output","Package":"m/server","Output":"FAIL\tm/server [build failed]\n"}
{"Action":"fail","Package":"m/server","FailedBuild":"m/server [m/server.test]"}`, 1, "0 1 0",
			[]string{"FAIL  server", "server/a.go:1:1: expected package"}, nil},
		{"an import does not build", `
{"ImportPath":"m/pkg/aoi","Action":"build-output","Output":"aoi.go:7:1: undefined\n"}
{"Action":"fail","Package":"m/server","FailedBuild":"m/pkg/aoi"}`, 1, "0 1 0", []string{"aoi.go:7:1: undefined"}, nil},
		{"a test killed the process", `
{"Action":"run","Package":"m","Test":"TestA"}
{"Action":"run","Package":"m","Test":"TestA/x"}
{"Action":"output","Package":"m","Test":"TestA/x","Output":"panic: oh\n"}
{"Action":"output","Package":"m","Output":"FAIL\tm\t0.1s\n"}
{"Action":"fail","Package":"m"}`, 1, "0 1 0", []string{"1 failed", "panic: oh"}, nil},
		{"died outside any test", `
{"Action":"run","Package":"m","Test":"TestA"}
{"Action":"output","Package":"m","Test":"TestA","Output":"goroutine left behind\n"}
{"Action":"pass","Package":"m","Test":"TestA"}
{"Action":"output","Package":"m","Output":"exit status 3\n"}
{"Action":"fail","Package":"m"}`, 1, "1 1 0", []string{"goroutine left behind", "exit status 3"}, nil},
		{"the stream breaks off", `
{"Action":"run","Package":"m","Test":"TestA"}
go: signal: killed`, 1, "0 1 0", []string{"FAIL  .", "go: signal: killed"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			totals := filepath.Join(t.TempDir(), "totals")
			var out strings.Builder
			stream := strings.NewReader(strings.TrimPrefix(test.stream, "\n"))
			if code := run([]string{"-module", "m", "-totals", totals}, stream, &out, &out); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got, err := os.ReadFile(totals); err != nil || string(got) != test.totals+"\n" {
				t.Errorf("totals %q, %v; want %q", got, err, test.totals)
			}
			for _, want := range test.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not say %q:\n%s", want, out.String())
				}
			}
			for _, unwanted := range test.silent {
				if strings.Contains(out.String(), unwanted) {
					t.Errorf("says %q:\n%s", unwanted, out.String())
				}
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		arg  string
		code int
		says string
	}{
		{"-h", 0, "usage:"},
		{"-totlas", 2, "-totlas"},
		{"stray", 2, `unexpected argument "stray"`},
	} {
		var out strings.Builder
		if code := run([]string{test.arg}, strings.NewReader(""), &out, &out); code != test.code || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s: exit code %d, want %d; says\n%s", test.arg, code, test.code, out.String())
		}
	}
}

// FuzzLine: whatever the go command prints, the counts stay sane.
func FuzzLine(f *testing.F) {
	f.Add(`{"Action":"run","Package":"m","Test":"TestA/x"}` + "\n" + `{"Action":"fail","Package":"m"}` + "\nplain text")
	f.Fuzz(func(t *testing.T, stream string) {
		var out strings.Builder
		if code := run(nil, strings.NewReader(stream), &out, &out); code != 0 && code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
}
