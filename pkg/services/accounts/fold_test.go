package accounts

import (
	"testing"
	"unicode"
)

// TestEveryLetterFoldsIntoItsCircle goes through all of Unicode: letters that differ by case alone have one key, and that is a letter itself.
func TestEveryLetterFoldsIntoItsCircle(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		in := scriptsOf(r)
		if in == 0 {
			continue
		}
		key := fold(r)
		if scriptsOf(key) != in || fold(key) != key {
			t.Errorf("%U folds to %U", r, key)
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if scriptsOf(other) != 0 && fold(other) != key {
				t.Errorf("%U folds to %U, and %U to %U", r, key, other, fold(other))
			}
		}
	}
}
