package spell

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNearest(t *testing.T) {
	names := []string{"max_health", "max_players", "speed", "respawn_after", "zone", "id", "on", "Überfall", "天下"}
	for word, want := range map[string]string{
		"maxHealth":      "max_health",
		"MAX-HEALTH":     "max_health",
		"max_heatlh":     "max_health", // swapped
		"max_halth":      "max_health",
		"max_player":     "max_players",
		"sped":           "speed",
		"spede":          "speed",
		"zoen":           "zone",
		"ID":             "id",
		"ib":             "id",
		"respawn":        "respawn_after", // begins it
		"s":              "speed",
		"uberfall":       "Überfall",
		"天":              "天下",
		"":               "",
		"-":              "",
		"x":              "",
		"qqq":            "",
		"temperature":    "",
		"xyzzy":          "",
		"max_healthiest": "max_health",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Nearest("bool", nil); got != "" {
		t.Errorf("%q of nothing", got)
	}
	if got := Nearest("ac", []string{"ab", "ad"}); got != "ab" {
		t.Errorf("%q of two equally near ones, want the first", got)
	}
	long := strings.Repeat("a", 1000)
	if got := Nearest(long+"b", []string{long}); got != "" {
		t.Errorf("a name of %d letters is compared", len(got))
	}
	if got := Nearest(long[:900], []string{long}); got != long {
		t.Errorf("%q: the beginning of a long name", got)
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("sped", "speed", "zone")
	f.Add("\xff_", "天", "")
	f.Fuzz(func(t *testing.T, word, a, b string) {
		got := Nearest(word, []string{a, b})
		if got != "" && got != a && got != b {
			t.Fatalf("Nearest(%q, %q, %q) = %q", word, a, b, got)
		}
		if p := plain(word); p != "" && p == plain(b) && plain(a) != p && got != b {
			t.Fatalf("Nearest(%q, %q, %q) = %q, want the equal one", word, a, b, got)
		}
		if utf8.RuneCountInString(word) <= longest && distance([]rune(word), []rune(word), 3) != 0 {
			t.Fatalf("%q is away from itself", word)
		}
		if x, y := []rune(a), []rune(b); distance(x, y, 9) != distance(y, x, 9) {
			t.Fatalf("the ways from %q to %q and back differ", a, b)
		}
	})
}
