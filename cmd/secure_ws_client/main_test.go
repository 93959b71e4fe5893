package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// patience bounds every wait for something that should happen at once.
const patience = 30 * time.Second

// world runs a node with the sample game plains and returns the URL of its page.
func world(t *testing.T) string {
	t.Helper()
	app := tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		return plains.New(plains.Config{Walkers: 5}), []game.Config{{Seed: 1, Width: plains.SideFor(5)}}, nil
	}}
	n, err := tianxia.Open(app, tianxia.NodeConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	end := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		resp, err := http.Get(n.URL() + "readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return strings.TrimSuffix(n.URL(), "/")
			}
		}
		select {
		case <-look.C:
		case <-end:
			t.Fatal("the node does not get ready")
		}
	}
}

// outcome is what a run of the command left.
type outcome struct {
	code     int
	out, err string
}

// modes are the two ways to speak to a gateway, which look the same from here.
func modes(t *testing.T, f func(t *testing.T, with ...string)) {
	t.Run("json", func(t *testing.T) { f(t) })
	if !testing.Short() {
		t.Run("protobuf", func(t *testing.T) { f(t, "-protobuf") })
	}
}

func command(t *testing.T, input string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, args, console{in: strings.NewReader(input), out: &out, err: &err})
	return outcome{code, out.String(), err.String()}
}

func TestMistakesOnTheCommandLineSayTheFix(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"bad.json": "{", "empty.json": "{}"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nowhere := "http://127.0.0.1:1"
	for _, c := range []struct {
		args string
		code int
		say  string
	}{
		{"-cal x", exitUsage, "unknown flag -cal (did you mean -call?)"},
		{"stray", exitUsage, "everything is a flag"},
		{"-call 64 -push 65", exitUsage, "exclude each other"},
		{"-json {}", exitUsage, "(JSON output is -lines)"},
		{"-url ws://x/ws", exitUsage, "-url needs -cert and -root and -token"},
		{"-url ws://x/ws -tcp a:1", exitUsage, "both say where to connect"},
		{"-keys empty.json", exitUsage, "keys by hand need a gateway"},
		{"-keys empty.json -server http://x", exitUsage, "leave it out"},
		{"-tcp nohost", exitUsage, "is not host:port"},
		{"-timeout abc", exitUsage, "not a time like 5s"},
		{"-timeout 0s", exitUsage, "times above 0"},
		{"-script nothing.txt", exitUsage, "nothing.txt"},
		{"-call plains.spectat", exitUsage, "(did you mean plains.spectate?)"},
		{"-call 64 -json {x", exitUsage, "the shell wants it in quotes"},
		{"-url ws://127.0.0.1:1/ws -keys bad.json", exitFailed, "not the JSON that /dev/session answers"},
		{"-url ws://127.0.0.1:1/ws -keys empty.json", exitUsage, "-root is missing"},
		{"-url ws://127.0.0.1:1/ws -token t -root AAAA -cert AAAA", exitUsage, "-root is not 32 bytes"},
		{"-url ws://127.0.0.1:1/ws -token t -cert AAAA -root " + strings.Repeat("A", 43) + "=", exitUsage, "no key certificate"},
		{"-server " + nowhere, exitFailed, "Start a world with \"mmo\""},
	} {
		got := command(t, "", strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.err, c.say) || strings.Count(got.err, "\n") > 3 {
			t.Errorf("%s: exit code %d, %q; want %d and %q", c.args, got.code, got.err, c.code, c.say)
		}
	}
	if got := command(t, "", "-h"); got.code != exitOK || !strings.Contains(got.out, "-resume") || !strings.Contains(got.out, "expect JSON") {
		t.Errorf("-h: %+v", got)
	}
}

func TestScripts(t *testing.T) { modes(t, testScripts) }

func testScripts(t *testing.T, with ...string) {
	url := world(t)
	for _, c := range []struct {
		name, script string
		code         int
		say          string // in what is printed, or in the error
	}{
		{"a session", "# a comment\n\nuntil playing\nuntil avatar 5s\ncall plains.spectate {\"radius\": 640}\nexpect {}\nping\nstatus\n", exitOK, `playing "plains"`},
		{"by number", "until playing\ncall 65 {\"radius\": 640}\n", exitOK, "plains.spectate (65)"},
		{"cut and resumed", "until playing\ncut\nstatus\nresume\nuntil recovered\nuntil playing\ncall plains.spectate {\"radius\": 64}\n", exitOK, "the session goes on, nothing was lost"},
		{"a refusal that is expected", "until playing\ncall 999\nexpect error unknown_route\n", exitOK, "unknown_route"},
		{"a refusal that is not", "until playing\ncall 999\nstatus\n", exitFailed, "line 3: status: the call before it was refused"},
		{"a refusal at the end", "until playing\ncall 999\n", exitFailed, "unknown_route"},
		{"another refusal", "until playing\ncall 999\nexpect error malformed\n", exitFailed, "refused with unknown_route"},
		{"no refusal", "until playing\ncall plains.spectate {\"radius\": 64}\nexpect error\n", exitFailed, "was not refused"},
		{"another answer", "until playing\ncall plains.spectate {\"radius\": 64}\nexpect {\"radius\": 1}\n", exitFailed, "line 3"},
		{"a field that is none", "until playing\ncall plains.spectate {\"radios\": 64}\nexpect error malformed\n", exitOK, "radios"},
		{"nothing comes", "wait 4711 10ms\n", exitFailed, "waiting for a push on route 4711: it did not come in time"},
		{"quit", "quit\nnonsense\n", exitOK, "session"},
		{"a word that is none", "resum\n", exitUsage, "(did you mean resume?)"},
		{"a condition that is none", "until avatr\n", exitUsage, "(did you mean avatar?)"},
		{"a resume of nothing", "resume\n", exitFailed, "was not cut"},
		{"two cuts", "cut\ncut\n", exitFailed, "cut already"},
		{"a call without a connection", "until playing\ncut\ncall 65\n", exitFailed, "there is no connection at the moment"},
		{"a time that is none", "sleep long\n", exitUsage, "not a time like 500ms"},
		{"watching", "until playing\nwatch on\nuntil frames 3\nwatch off\nsleep 1ms\n", exitOK, "Hero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := "10s"
			if strings.Contains(c.name, "without a connection") {
				timeout = "5s" // of the way to there as well
			}
			got := command(t, c.script, append(with, "-server", url, "-script", "-", "-timeout", timeout)...)
			if got.code != c.code || !strings.Contains(got.out+got.err, c.say) {
				t.Errorf("exit code %d, want %d and %q; printed\n%s%s", got.code, c.code, c.say, got.out, got.err)
			}
		})
	}
}

func TestLinesAreOneObjectEach(t *testing.T) { modes(t, testLines) }

func testLines(t *testing.T, with ...string) {
	got := command(t, "until playing\nwatch on\nuntil frames 2\nping\nstatus\ncut\nresume\nhelp\ncall 999\nexpect error\n", append(with, "-server", world(t), "-lines")...)
	events := map[string]int{}
	for line := range strings.Lines(got.out) {
		var o struct {
			Event string
			Time  time.Time
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Event == "" || o.Time.IsZero() {
			t.Fatalf("%q: %v", line, err)
		}
		events[o.Event]++
	}
	for _, want := range []string{"step", "connected", "enter", "pong", "status", "lost", "resumed", "refused"} {
		if events[want] == 0 {
			t.Errorf("no event %q: %v; %s", want, events, got.err)
		}
	}
}

func TestPromptForgivesMistakes(t *testing.T) { modes(t, testPrompt) }

func testPrompt(t *testing.T, with ...string) {
	var out, err bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code := run(ctx, append(with, "-server", world(t)), console{in: strings.NewReader("nonsense\nuntil playing\ncall 999\nstatus\n"), out: &out, err: &err, prompt: true})
	if code != exitOK || !strings.Contains(err.String(), "unknown command") || !strings.Contains(err.String(), "unknown_route") || !strings.Contains(out.String(), "playing") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), err.String())
	}
}

func TestKeysByHand(t *testing.T) { modes(t, testKeys) }

func testKeys(t *testing.T, with ...string) {
	url := world(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	resp, err := http.Get(url + "/dev/session?name=Ann")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ws := "ws" + strings.TrimPrefix(url, "http") + "/ws"
	if got := command(t, "until playing\n", append(with, "-url", ws, "-keys", file)...); got.code != exitOK || !strings.Contains(got.out, `"Ann"`) {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct{ args, say string }{
		{"-token nonsense", "get a new one"},
		{"-realm elsewhere", "compare -root, -cert and -realm"},
		{"-root " + strings.Repeat("A", 43) + "=", "-root is not the root that signed -cert"},
	} {
		if got := command(t, "", append(append(with, "-url", ws, "-keys", file), strings.Fields(c.args)...)...); got.code != exitFailed || !strings.Contains(got.err, c.say) {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
	if got := command(t, "", "-url", strings.TrimSuffix(ws, "/ws")+"/wss", "-keys", file); got.code != exitFailed || !strings.Contains(got.err, "most often /ws") {
		t.Errorf("another path: %+v", got)
	}
}

// TestTranscriptsOfTheReadmeAreTrue runs what the README shows against a world, and compares what is printed. Times, ids and the like differ each time.
func TestTranscriptsOfTheReadmeAreTrue(t *testing.T) { modes(t, testTranscripts) }

func testTranscripts(t *testing.T, with ...string) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	url := world(t)
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d transcripts, want more", len(blocks))
	}
	for _, block := range blocks {
		line, shown, _ := strings.Cut(block[1], "\n")
		line, shown, input := script(line, shown)
		args := words(strings.TrimPrefix(line, "$ secure_ws_client"))
		got := command(t, input, append(append(with, "-server", url), args...)...)
		printed := strings.ReplaceAll(got.out+got.err, strings.TrimPrefix(url, "http://"), "127.0.0.1:8080")
		if !regexp.MustCompile("^" + pattern(shown) + "$").MatchString(vague(printed)) {
			t.Errorf("%s\nshown\n%s\nprinted\n%s", line, vague(shown), vague(printed))
		}
	}
}

// script takes what a shell would feed to a command from the lines behind it, if it ends in << 'END'.
func script(line, shown string) (command, rest, input string) {
	command, here := strings.CutSuffix(line, " << 'END'")
	if !here {
		return line, shown, ""
	}
	input, rest, _ = strings.Cut(shown, "END\n")
	return command, rest, input
}

// words splits a command line with single quotes.
func words(line string) (args []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2])
	}
	return args
}

// vague replaces what differs each time.
func vague(s string) string {
	for _, r := range []struct{ from, to string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`, "DATE"},
		{`\b\d+(\.\d+)?(µs|ms|s)\b`, "TIME"},
		{`TIME (behind|ahead of) ours`, "TIME off"},
		{`-?\b\d+\b`, "N"},
		{`\b[0-9a-f]{16}\b`, "HEX"},
		{`server \S+\n`, "server VERSION\n"},
	} {
		s = regexp.MustCompile(r.from).ReplaceAllString(s, r.to)
	}
	return s
}

// pattern is a transcript as a regular expression: a line of … stands for any number of lines.
func pattern(shown string) string {
	var b strings.Builder
	for line := range strings.Lines(vague(shown)) {
		if strings.TrimSpace(line) == "…" {
			b.WriteString(`(.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	return b.String()
}

func TestVagueKeepsWhatMatters(t *testing.T) {
	if got := vague(fmt.Sprintf("clock of the server 3ms behind ours, id %d, good from 2026-01-02 03:04:05Z", 7)); got != "clock of the server TIME off, id N, good from DATE" {
		t.Error(got)
	}
	if got := pattern("a\n…\nb (c)\n"); got != "a\n(.*\\n)*b \\(c\\)\n" {
		t.Errorf("%q", got)
	}
}
