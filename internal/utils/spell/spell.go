// Package spell finds what somebody most likely meant by a name that does not exist.
package spell

import "strings"

// longest is the length in runes above which names are not compared: nobody mistypes that much.
const longest = 64

// Nearest is the name that word most likely stands for; "": none is near. Case, spaces and the marks _ - . do not count.
// Otherwise a third of the letters may be wrong, two in short words and one in words of less than four letters; or else
// the word may be the beginning of a name. Of equally near names it is the first.
func Nearest(word string, names []string) string {
	if word = plain(word); word == "" {
		return ""
	}
	w := []rune(word)
	best, least := "", max(2, len(w)/3)+1
	if len(w) < 4 {
		least = 2
	}
	begun := ""
	for _, name := range names {
		p := plain(name)
		if p == word {
			return name
		}
		if begun == "" && strings.HasPrefix(p, word) {
			begun = name
		}
		n := []rune(p)
		if d := distance(w, n, least); d < least && d < max(len(w), len(n)) { // at least one letter is right
			best, least = name, d
		}
	}
	if best == "" {
		return begun
	}
	return best
}

// Suggestion is Nearest for the end of a message, as in ` (did you mean -verify?)` with "-" before the name; "": none is
// near.
func Suggestion(word string, names []string, before string) string {
	near := Nearest(word, names)
	if near == "" {
		return ""
	}
	return " (did you mean " + before + near + "?)"
}

// plain is a name without what people do not agree on.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '_', '-', '.', ' ':
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// distance is the number of letters to insert, delete, change or swap with the next that turn a into b (optimal string
// alignment), or most if it is at least that.
func distance(a, b []rune, most int) int {
	if len(a) > longest || len(b) > longest || len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	var rows [3][longest + 1]int
	before, row, next := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(next[j-1]+1, row[j]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return min(row[len(b)], most)
}
