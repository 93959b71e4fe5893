package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestJSONIsReadAsTheLibraryReadsIt(t *testing.T) {
	for _, text := range []string{
		"{}", "[]", " { } ", "null", "true", "false", "0", "-0", "12.5e-7", `"a\"b"`, `{"a":[1,2,{"b":null}],"c":{}}`, "[[],[[]],{}]", "\t[\n1 ,\r2 ]", `"天下"`, `"\u00e9\uD83D\uDE00\/\b\f\n\r\t\\"`,
		"", " ", "{", "}", "[", "]", "{]", "[}", "{,}", "[,]", "[1,]", `{"a":1,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, "[1 2]", "1 2", "{}{}", `"a`, `"\`, "tru", "nul",
		"01", "1.", ".5", "+1", "-", "1e", "1e+", "--1", "0x1", "NaN", "Infinity", "-Infinity", "\"\n\"", "'a'", "[1}", `{"a":1]`, "//", "1//", "\ufeff{}", "\x00", `"\x"`, `"\u12"`, `"\u12g4"`, `"\u`,
	} {
		if err, want := checkJSON([]byte(text)), json.Valid([]byte(text)); (err == nil) != want {
			t.Errorf("%q: %v, want valid %t", text, err, want)
		}
	}
}

func TestFaultsInJSONAreShownWhereTheyAre(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": NaN}`:                           `line 1:7: "a": NaN is no JSON: write "NaN", in quotes`,
		"{\n \"天\": 1,\n \"天下\": , }":          `line 3:8: "天下": a value is expected`,
		`{"a":1`:                               "line 1:7: a comma or } is expected",
		`{"a":"b`:                              "line 1:6: a string without end",
		`["a\ud800b"]`:                         "line 1:4: an escape that is none of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX, or half a surrogate pair",
		`["\udc00\ud800"]`:                     "line 1:3: an escape that is none of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX, or half a surrogate pair",
		`["\ud800\u0041"]`:                     "line 1:3: an escape that is none of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX, or half a surrogate pair",
		`{"a":[{"b":1},NaN]}`:                  `line 1:15: "a": NaN is no JSON: write "NaN", in quotes`,
		`{"a":{"b":[[x]]}}`:                    `line 1:13: "b": a value is expected`,
		`{"a":{"b":1},"c":x}`:                  `line 1:18: "c": a value is expected`,
		`[x]`:                                  `line 1:2: a value is expected`,
		`[1}`:                                  "line 1:3: a comma or ] is expected",
		`{} x`:                                 "line 1:4: there is more after the value",
		``:                                     "line 1:1: the text ends where a value is expected",
		strings.Repeat("9", 65):                "line 1:1: a number of 65 digits, at most 64 are read",
		strings.Repeat("[", 10_000):            "line 1:65: more than 64 objects and arrays within each other",
		strings.Repeat(`{"a":`, 10_000) + "{}": "line 1:321: more than 64 objects and arrays within each other",
	} {
		if err := checkJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v\nwant %s", text, err, want)
		}
	}
	if err := checkJSON([]byte(strings.Repeat("[", 64) + strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestMembersComeInOrderAndOnce(t *testing.T) {
	var got []string
	err := members([]byte(` { "a" : 1 ,"b":{"a":[]} , "":"" } `), func(name string, value []byte) error {
		got = append(got, name+"="+string(value))
		return nil
	})
	if err != nil || strings.Join(got, " ") != `a=1 b={"a":[]} =""` {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"a":1, "a":2}`: `line 1:9: member "a" is there twice`,
		`[]`:             "line 1:1: an object is expected",
		`{"bad":1}`:      "line 1:8: no",
		`{"a":1`:         "line 1:7: a comma or } is expected",
	} {
		err := members([]byte(text), func(name string, _ []byte) error {
			if name == "bad" {
				return errors.New("no")
			}
			return nil
		})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e3,{"b":null}],"c":"\"d"}`, "[[[]]]", " -0 ", `{"a":1,}`, `"\u12"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := checkJSON(b)
		// The library knows no bounds of depth and length, and takes half a surrogate pair.
		if err != nil && json.Valid(b) && !strings.Contains(err.Error(), "more than") && !strings.Contains(err.Error(), "at most") && !strings.Contains(err.Error(), "surrogate") {
			t.Fatalf("%q is valid: %v", b, err)
		}
		if err == nil && !json.Valid(b) {
			t.Fatalf("%q is not valid", b)
		}
		if err == nil {
			var want bytes.Buffer
			if json.Compact(&want, b) == nil {
				if got := b[:compact(b)]; !bytes.Equal(got, want.Bytes()) {
					t.Fatalf("compact gives %q, want %q", got, want.Bytes())
				}
			}
		}
	})
}
