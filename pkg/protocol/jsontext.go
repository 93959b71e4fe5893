package protocol

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// This file reads JSON as text: enough to refuse what is no JSON or nests too deep before anything is built from it, and to take an object of a few members
// apart. What the members of a message mean is protojson's business.

// checkJSON refuses b if it is not exactly one JSON value, or nests deeper than maxDepth.
func checkJSON(b []byte) error {
	end, err := skipValue(b, skipSpace(b, 0))
	if err != nil {
		return err
	}
	if end = skipSpace(b, end); end < len(b) {
		return jsonFault(b, end, "there is more after the value")
	}
	return nil
}

// skipValue returns the offset behind the value that begins at b[at]. It keeps one bit per open object or array, and never calls itself.
func skipValue(b []byte, at int) (int, error) {
	var objects [maxDepth]bool   // whether what is open at a depth is an object
	var names [maxDepth + 1]span // of the member that a value at a depth belongs to, for errors
	depth := 0
	for {
		at = skipSpace(b, at)
		if at >= len(b) {
			return 0, jsonFault(b, at, "the text ends where a value is expected")
		}
		opened := false
		switch c := b[at]; c {
		case '{', '[':
			if depth == maxDepth {
				return 0, jsonFault(b, at, fmt.Sprintf("more than %d objects and arrays within each other", maxDepth))
			}
			objects[depth] = c == '{'
			depth++
			names[depth] = names[depth-1]
			at = skipSpace(b, at+1)
			opened = at >= len(b) || b[at] != '}' && b[at] != ']' // else it is empty, and closed below
		case '"':
			end, err := skipString(b, at)
			if err != nil {
				return 0, err
			}
			at = end
		default:
			end, says := skipLiteral(b, at)
			if says != "" {
				return 0, jsonFault(b, at, names[depth].of(b)+says)
			}
			at = end
		}
		for !opened { // behind a value, or in an empty object or array
			if depth == 0 {
				return at, nil
			}
			at = skipSpace(b, at)
			closing := byte(']')
			if objects[depth-1] {
				closing = '}'
			}
			switch {
			case at < len(b) && b[at] == closing:
				depth--
				at++
			case at < len(b) && b[at] == ',':
				at++
				opened = true
			default:
				return 0, jsonFault(b, at, fmt.Sprintf("a comma or %c is expected", closing))
			}
		}
		if objects[depth-1] {
			at = skipSpace(b, at)
			end, err := skipKey(b, at)
			if err != nil {
				return 0, err
			}
			names[depth] = span{at, end}
			at = end
		}
	}
}

// span is where a member's name and colon stand; zero: there is none.
type span struct{ from, to int }

// of words the name: `"seq": `.
func (s span) of(b []byte) string {
	if s.to == 0 {
		return ""
	}
	end, err := skipString(b, s.from)
	if err != nil || end-s.from > 64 { // no field has such a name
		return ""
	}
	return string(b[s.from:end]) + ": "
}

// skipKey returns the offset behind a member's name and colon.
func skipKey(b []byte, at int) (int, error) {
	if at >= len(b) || b[at] != '"' {
		return 0, jsonFault(b, at, "a name in quotes is expected")
	}
	end, err := skipString(b, at)
	if err != nil {
		return 0, err
	}
	if end = skipSpace(b, end); end >= len(b) || b[end] != ':' {
		return 0, jsonFault(b, end, "a colon is expected")
	}
	return end + 1, nil
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r') {
		at++
	}
	return at
}

// skipString returns the offset behind a string. Whether it is UTF-8 is left to protojson.
func skipString(b []byte, at int) (int, error) {
	for i := at + 1; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return 0, jsonFault(b, i, "an escape that is none of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX, or half a surrogate pair")
			}
			i += n
		case c < ' ':
			return 0, jsonFault(b, i, "a control character in a string: write it as \\u00XX")
		default:
			i++
		}
	}
	return 0, jsonFault(b, at, "a string without end")
}

// escape is the length of the escape that b begins with; 0: it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	first := codeUnit(b)
	switch {
	case first < 0 || first >= 0xdc00 && first < 0xe000:
		return 0
	case first < 0xd800 || first >= 0xe000:
		return 6
	}
	if second := codeUnit(b[6:]); second < 0xdc00 || second >= 0xe000 {
		return 0
	}
	return 12
}

// codeUnit is what \uXXXX at the beginning of b says, or -1.
func codeUnit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n := 0
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}

// skipLiteral returns the offset behind a number, true, false or null, or what is wrong with it.
func skipLiteral(b []byte, at int) (end int, says string) {
	end = at
	for end < len(b) && !isDelimiter(b[end]) {
		end++
	}
	word := b[at:end]
	switch {
	case string(word) == "true" || string(word) == "false" || string(word) == "null":
		return end, ""
	case string(word) == "NaN" || string(word) == "Infinity" || string(word) == "-Infinity":
		return end, fmt.Sprintf("%s is no JSON: write %q, in quotes", word, word)
	case !isNumber(word):
		return end, "a value is expected"
	case len(word) > maxNumber:
		return end, fmt.Sprintf("a number of %d digits, at most %d are read", len(word), maxNumber)
	}
	return end, ""
}

func isDelimiter(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', ':', '[', ']', '{', '}', '"':
		return true
	}
	return false
}

// maxNumber is how many bytes a number may have: the longest that any field needs has 24.
const maxNumber = 64

// isNumber tells whether word is a number by JSON's grammar: -? (0|[1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?
func isNumber(word []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(word) && word[n] >= '0' && word[n] <= '9' {
			n++
		}
		word = word[n:]
		return n > 0
	}
	if len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	if len(word) > 0 && word[0] == '0' {
		word = word[1:]
	} else if !digits() {
		return false
	}
	if len(word) > 0 && word[0] == '.' {
		if word = word[1:]; !digits() {
			return false
		}
	}
	if len(word) > 0 && (word[0] == 'e' || word[0] == 'E') {
		word = word[1:]
		if len(word) > 0 && (word[0] == '+' || word[0] == '-') {
			word = word[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(word) == 0
}

// members calls do for each member of the object that b is, with its name as it stands there and the text of its value. A name that comes twice is an error.
func members(b []byte, do func(name string, value []byte) error) error {
	at := skipSpace(b, 0)
	if at >= len(b) || b[at] != '{' {
		return jsonFault(b, at, "an object is expected")
	}
	if err := checkJSON(b); err != nil {
		return err
	}
	seen := map[string]bool{}
	for at = skipSpace(b, at+1); b[at] != '}'; at = skipSpace(b, at) {
		if b[at] == ',' {
			at = skipSpace(b, at+1)
		}
		start := at
		quoted, _ := skipString(b, at)
		name := string(b[at+1 : quoted-1])
		at, _ = skipKey(b, at)
		at = skipSpace(b, at)
		end, _ := skipValue(b, at)
		if seen[name] {
			return jsonFault(b, start, fmt.Sprintf("member %q is there twice", name))
		}
		seen[name] = true
		if err := do(name, b[at:end:end]); err != nil {
			return jsonFault(b, at, err.Error())
		}
		at = end
	}
	return nil
}

// jsonFault says where in a text something is wrong, as protojson does: line and column, both from 1, columns in characters.
func jsonFault(b []byte, at int, says string) error {
	at = min(at, len(b))
	line := 1 + bytes.Count(b[:at], []byte("\n"))
	column := 1 + utf8.RuneCount(b[1+bytes.LastIndexByte(b[:at], '\n'):at])
	return fmt.Errorf("line %d:%d: %s", line, column, says)
}

// compact takes the space between the tokens of valid JSON out of b, in place, and returns the length that is left.
func compact(b []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			b[n] = c
			n, i = n+1, i+1
			c = b[i]
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		b[n] = c
		n++
	}
	return n
}
