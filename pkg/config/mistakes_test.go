package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMistakesAreExplained(t *testing.T) {
	tests := []struct{ name, text, want string }{ // want: the whole error
		{"misspelt", "listen_adr: x", "c.yaml:1:1: listen_adr: no such key; did you mean listen_addr?"},
		{"with a dash", "listen-addr: x", "c.yaml:1:1: listen-addr: no such key; did you mean listen_addr?"},
		{"go name", "limits:\n  MaxPlayers: 5", "c.yaml:2:3: limits.MaxPlayers: no such key; did you mean max_players?"},
		{"letters swapped", "debgu: true", "c.yaml:1:1: debgu: no such key; did you mean debug?"},
		{"at the wrong level", "max_players: 5", "c.yaml:1:1: max_players: no such key; there is limits.max_players: is the indentation right?"},
		{"section inside a section", "limits:\n  tls:\n    cert: x", "c.yaml:2:3: limits.tls: no such key; there is tls: is the indentation right?"},
		{"unheard of", "limits:\n  wxyz: 5", "c.yaml:2:3: limits.wxyz: no such key; known here: idle, max_players"},
		{"twice", "debug: true\ndebug: false", "c.yaml:2:1: debug: the key is here a second time: it was set in line 1; keep one of them"},
		{"twice below", "limits: {idle: 1s, idle: 2s}", "c.yaml:1:20: limits.idle: the key is here a second time: it was set in line 1; keep one of them"},
		{"key that is a list", "? [a]\n: b", "c.yaml:1:3: a key that is a list; keys are words"},
		{"two documents", "debug: true\n---\ndebug: false", "c.yaml:2:1: a second document starts here: only one is read, and which is easily overlooked; put all keys into one, and take out the line ---"},
		{"list", "- a", "c.yaml:1:1: the file holds a list, not keys; write lines such as listen_addr: :7000"},
		{"text", "hello", `c.yaml:1:1: the file holds the text "hello", not keys; write lines such as listen_addr: :7000`},
		{"tab", "limits:\n\tidle: 1s", "c.yaml:2:1: a tab indents this line: YAML allows spaces only, since tabs are of any width; replace it by spaces"},
		{"tab behind spaces", "limits:\n  idle: 1s\n \tmax_players: 1", "c.yaml:3:2: a tab indents this line: YAML allows spaces only, since tabs are of any width; replace it by spaces"},
		{"not utf-8", "debug: true\nlisten_addr: \"\xff\"", "c.yaml:2:15: this is not UTF-8; save the file as UTF-8"},

		{"anchor", "names: &x [a]", "c.yaml:1:8: the anchor &x: what is written here should be what is meant here; take it out"},
		{"alias", "listen_addr: &x a\ntoken: *x", "c.yaml:1:14: the anchor &x: what is written here should be what is meant here; take it out\n" +
			"c.yaml:2:8: the alias *x: what is written here should be what is meant here; write the value out"},
		{"merge", "limits:\n  <<: {idle: 1s}", "c.yaml:2:3: the merge key <<: what is written here should be what is meant here; write the keys out"},
		{"tag", "listen_addr: !!binary aGk=", "c.yaml:1:14: the tag !!binary: what is written here should be what is meant here; take it out; quotes make text of anything"},

		{"number for text", "listen_addr: 7000", "c.yaml:1:14: listen_addr: want text, got 7000: without quotes YAML takes it for something else; put it in quotes"},
		{"bool for text", "listen_addr: true", "c.yaml:1:14: listen_addr: want text, got true: without quotes YAML takes it for something else; put it in quotes"},
		{"list for text", "listen_addr: [a]", "c.yaml:1:14: listen_addr: want text, got a list"},
		{"no text", "listen_addr:", "c.yaml:1:13: listen_addr: no value; give it one, or take the key out"},
		{"no list", "names:", "c.yaml:1:7: names: no value; write [] for an empty list, {} for an empty map, or take the key out"},
		{"yes", "debug: yes", `c.yaml:1:8: debug: want true or false, got the text "yes"; write true or false, without quotes`},
		{"quoted bool", `debug: "true"`, `c.yaml:1:8: debug: want true or false, got the text "true"; write true or false, without quotes`},
		{"too small", "small: -129", "c.yaml:1:8: small: want a whole number, got -129: it is out of range; use -128 to 127"},
		{"too large", "count: 65536", "c.yaml:1:8: count: want a whole number, got 65536: it is out of range; use 0 to 65535"},
		{"negative", "count: -1", "c.yaml:1:8: count: want a whole number, got -1: it is out of range; use 0 to 65535"},
		{"far too large", "big: 18446744073709551616", "c.yaml:1:6: big: want a whole number, got 18446744073709551616: it is out of range; use 0 to 18446744073709551615"},
		{"fraction", "count: 1.5", "c.yaml:1:8: count: want a whole number, got 1.5: it has a fraction or an exponent; write it out in digits"},
		{"octal", "count: 010", "c.yaml:1:8: count: want a whole number, got 010: with a 0 in front some read it as octal; write it without, or with 0o if octal is meant"},
		{"quoted number", `count: "5"`, `c.yaml:1:8: count: want a whole number, got the text "5": quotes make it text; take them off`},
		{"word for number", "count: many", `c.yaml:1:8: count: want a whole number, got the text "many"; write digits only`},
		{"infinite", "ratio: .inf", "c.yaml:1:8: ratio: want a number, got .inf: it has to be finite"},
		{"no number", "ratio: .NaN", "c.yaml:1:8: ratio: want a number, got .NaN: it has to be finite"},
		{"huge", "ratio: 1e999", "c.yaml:1:8: ratio: want a number, got the text \"1e999\": it has to be finite"},
		{"comma", "ratio: 1,5", `c.yaml:1:8: ratio: want a number, got the text "1,5"; write digits, with a point before the fraction`},
		{"bare duration", "timeout: 30", "c.yaml:1:10: timeout: want a duration, got 30: a bare number has no unit; write 30s, or with another of ns, us, ms, m, h"},
		{"strange duration", "timeout: 3 days", `c.yaml:1:10: timeout: want a duration, got the text "3 days"; write a number and one of ns, us, ms, s, m, h, such as 1.5s or 1h30m`},
		{"size", "memory: 8M", `c.yaml:1:9: memory: want a size, got the text "8M": size "8M" has the unit "M": use B, KiB, MiB, GiB, TiB (powers of 1,024) or kB, MB, GB, TB (powers of 1,000)`},
		{"reads itself", "address: 1.2.3", `c.yaml:1:10: address: want text, got the text "1.2.3": ParseAddr("1.2.3"): IPv4 address too short`},
		{"text for list", "names: a", `c.yaml:1:8: names: want a list, got the text "a"; write it in brackets: [a, b]`},
		{"map for list", "zones:\n  name: x", "c.yaml:2:3: zones: want a list, got a section; start each element with a dash"},
		{"inside a list", "ports: [1, x]", `c.yaml:1:12: ports[1]: want a whole number, got the text "x"; write digits only`},
		{"list for map", "rates: [1]", "c.yaml:1:8: rates: want a map, got a list; write name: value below it, indented"},
		{"inside a map", "rates: {a: x}", `c.yaml:1:12: rates.a: want a whole number, got the text "x"; write digits only`},
		{"unknown inside a list", "zones:\n  - name: a\n  - nam: b", "c.yaml:3:5: zones[1].nam: no such key; did you mean name?"},
		{"text for section", "limits: 5", "c.yaml:1:9: limits: want a section, got 5; write its keys below it, indented"},
		{"secret", "token: 12345", "c.yaml:1:8: token: want text, got something else: without quotes YAML takes it for something else; put it in quotes"},
		{"long", "count: " + strings.Repeat("x", 100), `c.yaml:1:8: count: want a whole number, got the text "` + strings.Repeat("x", 37) + `"…; write digits only`},
	}
	for _, test := range tests {
		_, _, err := parse(t, test.text, Options{})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
}

func TestBrokenYAMLIsShownWithLineAndColumn(t *testing.T) {
	for text, line := range map[string]int{
		"debug: true\n  x: [": 2, "a: b: c": 1, "names: [a, b\ndebug: true": 1, "debug: true\n  small: 5": 2, `listen_addr: "abc`: 1, "\x00": 1, "limits: {idle: 1s": 1, "%": 1,
	} {
		_, _, err := parse(t, text, Options{})
		var one *Error
		if !errors.As(err, &one) || one.Where.Kind != File || one.Where.Line < 1 || one.Where.Column < 1 || !strings.Contains(one.What, "not YAML") || one.Fix == "" {
			t.Errorf("%q: %v", text, err)
		} else if one.Where.Line < line || one.Where.Line > line+1 { // where the parser stumbles
			t.Errorf("%q: line %d, want %d: %v", text, one.Where.Line, line, err)
		}
	}
}

func TestMistakesOutsideOfTheFile(t *testing.T) {
	tests := []struct{ env, want string }{
		{"MMO_LIMITS_MAXPLAYERS=1", "env MMO_LIMITS_MAXPLAYERS: no key has this variable: names that start with MMO_ are keys; did you mean MMO_LIMITS_MAX_PLAYERS?"},
		{"MMO_QQQQ=1", "env MMO_QQQQ: no key has this variable: names that start with MMO_ are keys; unset it, or tell the program to ignore it"},
		{"MMO_COUNT=x", `env MMO_COUNT: count: want a whole number, got the text "x"; write digits only`},
		{"MMO_DEBUG=1", `env MMO_DEBUG: debug: want true or false, got the text "1"; write true or false, without quotes`},
		{"MMO_TIMEOUT=5", `env MMO_TIMEOUT: timeout: want a duration, got the text "5": a bare number has no unit; write 5s, or with another of ns, us, ms, m, h`},
		{"MMO_PORTS=1,x", `env MMO_PORTS: ports[1]: want a whole number, got the text "x"; write digits only`},
		{"MMO_PORTS=[1", "env MMO_PORTS: ports: not YAML: line 1: did not find expected ',' or ']'; write a list as [a, b], a map as {a: b}"},
		{"MMO_RATES=a", `env MMO_RATES: rates: want a map, got the text "a"; write name: value below it, indented`},
		{"MMO_NAMES=[&x a]", "env MMO_NAMES: names: the anchor &x: what is written here should be what is meant here; take it out"},
		{"MMO_ZONES=[{nam: x}]", "env MMO_ZONES: zones[0].nam: no such key; did you mean name?"},
	}
	for _, test := range tests {
		if _, _, err := parse(t, "", Options{Env: []string{test.env}}); err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.env, err, test.want)
		}
	}
}

func TestTwentyMistakesAreShownAndTheOthersCounted(t *testing.T) {
	var text strings.Builder
	for n := range 25 {
		fmt.Fprintf(&text, "zzz%d: 1\n", n)
	}
	_, _, err := parse(t, text.String(), Options{})
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[20] != "and 5 more mistakes" || !strings.HasPrefix(lines[19], "c.yaml:20:1: ") {
		t.Errorf("got %d lines:\n%v", len(lines), err)
	}
}

func TestSecretsAreInNoError(t *testing.T) {
	const secret = "correct-horse"
	type hidden struct {
		Count   int            `yaml:"count"`
		Memory  Bytes          `yaml:"memory"`
		Names   []int          `yaml:"names"`
		Flag    bool           `yaml:"flag"`
		Rates   map[string]int `yaml:"rates"`
		Timeout Bytes          `yaml:"timeout"`
	}
	type outer struct {
		Hidden hidden `yaml:"hidden" secret:"true"`
	}
	for _, key := range []string{"count", "memory", "names", "flag", "rates", "timeout"} {
		for _, value := range []string{secret, "[" + secret + "]", "{a: " + secret + "}", "[{" + secret + "}"} {
			for _, o := range []Options{{}, {Env: []string{"MMO_HIDDEN_" + strings.ToUpper(key) + "=" + value}}} {
				text := "hidden: {" + key + ": " + value + "}"
				if o.Env != nil {
					text = ""
				}
				if _, err := load(&outer{}, o, []byte(text), nil); err == nil || strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %s: %v", key, value, err)
				}
			}
		}
	}
}

// FuzzLoad: no file breaks the loader, every mistake has a place, and what loads prints as a file that loads to the same.
func FuzzLoad(f *testing.F) {
	f.Add(full)
	for _, text := range []string{"a: &a [*a]", "<<: {a: b}", "a: !!int 5", "\t", "---\n---\n", "a: |\n \tb\n", "{", "? {a: b}\n: c", "listen_addr: >-\n  a\n  b\n",
		"names: [\"\\0\", \"\\uFEFF\", '#']",
		"rates: {\"a.b\": 1, '[': 2}", "limits:\n  max_players: -1", "timeout: -1ns", "ratio: -0.0",
		"zones: [{}, {name: \"a: b\\n\"}]", "peers: {\"\\n\": {}}", "memory: 0.5 KiB", "tls: {}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, origins, err := parse(t, text, Options{})
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("%v is no list of mistakes", err)
			}
			lines := 1
			for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} { // what YAML ends lines with
				lines += strings.Count(text, end)
			}
			for _, e := range all {
				if at := e.Where; at.Kind != File || at.Line < 1 || at.Column < 1 || at.Line > lines {
					t.Fatalf("%v has no place in the file", e)
				}
			}
			return
		}
		printsAsItself(t, c, origins)
	})
}
