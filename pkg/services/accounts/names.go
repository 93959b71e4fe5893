package accounts

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// NameRule says what names look like: key is what two spellings of one name have in common, and is unique in the store. An error is best a
// *NameError: its text is told to the player. A rule is called by many goroutines, and must not make another key of a name later: what is stored
// stays. Names longer than security.MaxTokenName bytes never reach it.
type NameRule func(name string) (key string, err error)

// Lengths of names under the rules below, in letters.
const (
	minAccountName, maxAccountName     = 3, 32
	minCharacterName, maxCharacterName = 2, 16
)

// AccountName is the rule for names that one logs in with: 3 to 32 ASCII letters, digits, points, underscores and hyphens, the first one a letter
// or a digit; upper and lower case are the same. Such a name can be typed on every keyboard and looks like no other.
func AccountName(name string) (key string, err error) {
	fix := fmt.Sprintf("%d to %d of a-z, 0-9, point, underscore and hyphen, a letter or digit first", minAccountName, maxAccountName)
	if len(name) < minAccountName || len(name) > maxAccountName {
		return "", &NameError{fmt.Sprintf("a name of %d bytes", len(name)), fix}
	}
	for i := range len(name) {
		c := name[i] | 0x20 // lower case, where it is a letter
		switch {
		case c >= 'a' && c <= 'z', name[i] >= '0' && name[i] <= '9':
		case i > 0 && strings.IndexByte("._-", name[i]) >= 0:
		default:
			return "", &NameError{fmt.Sprintf("byte %d of the name is not allowed there", i+1), fix}
		}
	}
	return strings.ToLower(name), nil
}

// CharacterName is the rule for names that others see: 2 to 16 letters and, not at the beginning, the digits 0-9. All letters are of one script:
// Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew or Arabic; Han, Hiragana, Katakana and Bopomofo count as one, and so do Hangul and Han. That
// keeps a Cyrillic а from passing for a Latin a. Upper and lower case are the same.
//
// Combining marks, letters with a compatibility decomposition (full width, ligatures) and single Hangul jamo are refused, so that every name that
// passes is in the normal form NFKC already and has one spelling: é is one code point here, and a client that sends two is told so.
func CharacterName(name string) (key string, err error) {
	fix := fmt.Sprintf("%d to %d letters of one script, digits 0-9 after the first, composed (Unicode form NFC)", minCharacterName, maxCharacterName)
	if !utf8.ValidString(name) {
		return "", &NameError{"the name is no UTF-8", fix}
	}
	if n := utf8.RuneCountInString(name); n < minCharacterName || n > maxCharacterName {
		return "", &NameError{fmt.Sprintf("a name of %d letters", n), fix}
	}
	possible := ^script(0)
	var folded strings.Builder
	for i, r := range name {
		if r >= '0' && r <= '9' && i > 0 {
			folded.WriteRune(r)
			continue
		}
		scripts := scriptsOf(r)
		if scripts == 0 {
			return "", &NameError{fmt.Sprintf("%q is not allowed there", r), fix}
		}
		if possible &= scripts; possible == 0 {
			return "", &NameError{fmt.Sprintf("%q is of another script than the letters before it", r), fix}
		}
		folded.WriteRune(fold(r))
	}
	return folded.String(), nil
}

// fold returns one letter for all that differ by case alone; r is one that may stand in a name, and so is what returns.
func fold(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if scriptsOf(next) != 0 { // the circle of μ, for one, has a symbol in it, which is no letter of a name
			first = min(first, next)
		}
	}
	return unicode.ToLower(first)
}

// script is a set of scripts that may stand together in a name.
type script uint16

// scriptsOf returns the sets that a letter belongs to; 0: it may stand in no name.
func scriptsOf(r rune) (in script) {
	if r == 'ー' || r == '々' { // letters of Japanese and Chinese that Unicode counts among the modifiers
		return 1 << eastAsian
	}
	if !unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lo) || ambiguous(r) {
		return 0
	}
	for bit, tables := range scripts() {
		if unicode.In(r, tables...) {
			in |= 1 << bit
		}
	}
	return in
}

// eastAsian is the place of its set in scripts.
const eastAsian = 7

func scripts() [9][]*unicode.RangeTable {
	return [...][]*unicode.RangeTable{
		{unicode.Latin}, {unicode.Greek}, {unicode.Cyrillic}, {unicode.Armenian}, {unicode.Georgian}, {unicode.Hebrew}, {unicode.Arabic},
		eastAsian: {unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo}, {unicode.Hangul, unicode.Han},
	}
}

// ambiguous says that a letter has, or lies among letters that have, a decomposition in Unicode's form NFKC other than itself, or that it would
// melt with its neighbour there: there would be two spellings of one name.
func ambiguous(r rune) bool {
	for _, block := range [...][2]rune{
		{0x00aa, 0x00ba}, {0x0132, 0x0133}, {0x013f, 0x0140}, {0x0149, 0x0149}, {0x017f, 0x017f}, {0x01c4, 0x01cc}, {0x01f1, 0x01f3}, // ordinals, Latin digraphs, long s
		{0x037f, 0x037f}, {0x03d0, 0x03d6}, {0x03f0, 0x03f9}, {0x0587, 0x0587}, {0x0675, 0x0678}, // Greek yot and symbols, an Armenian ligature, high hamza
		{0x1100, 0x11ff}, {0x1e9a, 0x1e9b}, {0x1f00, 0x1fff}, {0x2100, 0x214f}, // jamo, polytonic Greek, letterlike symbols
		{0x309f, 0x309f}, {0x30ff, 0x30ff}, {0x3130, 0x318f}, {0xa960, 0xa97f}, {0xd7b0, 0xd7ff}, // digraphs of Japanese, more jamo
		{0xf900, 0xfdff}, {0xfe70, 0xffef}, {0x1ee00, 0x1eeff}, {0x2f800, 0x2fa1f}, // compatibility and presentation forms, full and half width
	} {
		if r >= block[0] && r <= block[1] {
			return true
		}
	}
	return false
}

// key applies a rule and holds the rule itself to what stores and tokens can take.
func (rule NameRule) key(name string) (string, error) {
	if len(name) > security.MaxTokenName || !utf8.ValidString(name) {
		return "", &NameError{fmt.Sprintf("a name of %d bytes that is too long or no UTF-8", len(name)), fmt.Sprintf("at most %d bytes of UTF-8", security.MaxTokenName)}
	}
	key, err := rule(name)
	if err != nil {
		return "", err
	}
	if key == "" || len(key) > 4*security.MaxTokenName || !utf8.ValidString(key) {
		return "", fmt.Errorf("the rule of names made key %q of %q: a key is 1 to %d bytes of UTF-8", key, name, 4*security.MaxTokenName)
	}
	return key, nil
}
