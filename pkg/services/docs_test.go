package services_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/services"
)

const (
	manualEnglish = "../../docs/services.md"
	manualChinese = "../../docs/services.zh-CN.md"
)

func manual(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks are the code blocks of a text that begin with ```kind.
func blocks(text, kind string) (found []string) {
	for _, piece := range strings.Split(text, "\n```"+kind+"\n")[1:] {
		block, _, _ := strings.Cut(piece, "\n```")
		found = append(found, block)
	}
	return found
}

// terminal plays the commands of the manual.
type terminal struct {
	w         *world
	variables map[string]string
}

// words splits a command as a shell does that knows quotes, backslashes in double quotes, and variables.
func (c *terminal) words(line string) (words []string) {
	word, quote, inside := strings.Builder{}, byte(0), false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case quote == 0 && b == ' ':
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
			continue
		case quote == 0 && (b == '\'' || b == '"'):
			quote = b
		case quote != 0 && b == quote:
			quote = 0
		case quote == '"' && b == '\\':
			i++
			word.WriteByte(line[i])
		case quote != '\'' && b == '$':
			end := i + 1
			for end < len(line) && line[end] >= 'A' && line[end] <= 'Z' {
				end++
			}
			value, ok := c.variables[line[i+1:end]]
			if !ok {
				c.w.t.Errorf("%s: variable %s holds nothing yet", line, line[i:end])
			}
			word.WriteString(value)
			i = end - 1
		default:
			word.WriteByte(b)
		}
		inside = true
	}
	return append(words, word.String())
}

// run does what a command asks for and returns what a terminal would show, long texts cut.
func (c *terminal) run(line string) string {
	words := c.words(line)
	method, body, header := "GET", "", []string{}
	for i := 2; i+1 < len(words); i += 2 {
		switch words[i] {
		case "-H":
			header = append(header, words[i+1])
		case "-X":
			method = words[i+1]
		case "--json":
			method, body = "POST", words[i+1]
		default:
			c.w.t.Fatalf("%s: %s is not known here", line, words[i])
		}
	}
	host, path, ok := strings.Cut(strings.TrimPrefix(words[1], "https://"), "/")
	doors := map[string]http.Handler{"login.example": c.w.Handler(), "login.internal": c.w.Admin()}
	if words[0] != "curl" || !ok || doors[host] == nil {
		c.w.t.Fatalf("%s: not a call of this service", line)
	}
	r := ask(doors[host], method, "/"+path, body, header...)
	c.learn(r.text)
	return cut(r.text) + strconv.Itoa(r.status)
}

// learn keeps what an answer said in variables.
func (c *terminal) learn(text string) {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) != nil {
		return
	}
	for member, variable := range map[string]string{"session": "SESSION", "secret": "SECRET", "id": "CHARACTER"} {
		if value, ok := object[member].(string); ok {
			c.variables[variable] = value
		}
	}
}

// cut shortens keys and tokens.
func cut(text string) string {
	return regexp.MustCompile(`"([A-Za-z0-9+/_-]{6})[A-Za-z0-9+/_.=-]{34,}"`).ReplaceAllString(text, `"$1…"`)
}

// TestTranscriptOfTheManualIsTrue plays every command of the manual, in order, and compares what comes back.
func TestTranscriptOfTheManualIsTrue(t *testing.T) {
	w := newWorld(t, func(c *services.Config) { c.Accounts.Limits.Pair.Burst = 10 })
	c := &terminal{w: w, variables: map[string]string{"OPERATOR": adminSecret}}
	n := 0
	for _, block := range blocks(manual(t, manualEnglish), "console") {
		for _, piece := range strings.Split("\n"+block, "\n$ ")[1:] {
			line, shown, _ := strings.Cut(piece, "\n")
			if got := c.run(line); got != shown {
				t.Errorf("$ %s\nanswers\n%s\nthe manual says\n%s", line, got, shown)
			}
			n++
		}
	}
	if n < 25 {
		t.Errorf("%d commands were found: the manual has more", n)
	}
}

// TestManualsAgree: the same code in both languages, and code that compiles.
func TestManualsAgree(t *testing.T) {
	english, chinese := manual(t, manualEnglish), manual(t, manualChinese)
	for _, kind := range []string{"console", "go"} {
		if !slices.Equal(blocks(english, kind), blocks(chinese, kind)) {
			t.Errorf("the %s blocks of the two manuals differ: copy those of the English one", kind)
		}
	}
	headings := regexp.MustCompile(`(?m)^#+ `)
	if a, b := headings.FindAllString(english, -1), headings.FindAllString(chinese, -1); !slices.Equal(a, b) {
		t.Errorf("the headings of the two manuals differ: %q and %q", a, b)
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, block := range blocks(english, "go") {
		if !strings.Contains(flat(manual(t, "example_test.go")), flat(block)) {
			t.Errorf("this code of the manual is not in example_test.go, so nobody knows that it compiles:\n%s", block)
		}
	}
}

// TestManualListsEveryErrorCode reads the codes from the source.
func TestManualListsEveryErrorCode(t *testing.T) {
	written := map[string]bool{}
	code := regexp.MustCompile(`(?:code: |badRequest\()"([a-z_]+)"`)
	files, _ := filepath.Glob("*.go")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(manual(t, file), -1) {
			written[m[1]] = true
		}
	}
	if len(written) < 30 {
		t.Errorf("%d codes were found in the source: there are more", len(written))
	}
	for _, name := range []string{manualEnglish, manualChinese} {
		_, table, _ := strings.Cut(manual(t, name), "\n|---|---|\n")
		table, _, _ = strings.Cut(table, "\n\n")
		listed := map[string]bool{}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(table, -1) {
			listed[m[1]] = true
			if !written[m[1]] {
				t.Errorf("%s lists %s, which the source does not have", name, m[1])
			}
		}
		for code := range written {
			if !listed[code] {
				t.Errorf("%s does not list %s", name, code)
			}
		}
	}
}
