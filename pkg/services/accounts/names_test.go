package accounts_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

func TestAccountNames(t *testing.T) {
	for name, key := range map[string]string{
		"anna": "anna", "Anna": "anna", "a-b_c.D": "a-b_c.d", "007": "007", strings.Repeat("x", 32): strings.Repeat("x", 32),
		"": "", "ab": "", strings.Repeat("x", 33): "", ".anna": "", "-anna": "", "anna b": "", "anna@b": "", "änna": "", "安娜安": "", "anna\x00": "", "anna\u212a": "", "@@@@": "", "[[[[": "", "````": "",
	} {
		got, err := accounts.AccountName(name)
		if got != key || (err == nil) != (key != "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, key)
		}
	}
}

func TestCharacterNames(t *testing.T) {
	for name, key := range map[string]string{
		"Hero": "hero", "Hero7": "hero7", "ÉCLAIR": "éclair", "Ñandú": "ñandú", "天下": "天下", "東京タワー": "東京タワー", "佐々木": "佐々木", "ひらがなとカタカナ": "ひらがなとカタカナ",
		"영웅": "영웅", "영웅王": "영웅王", "Дракон": "дракон", "Οδυσσεύς": "οδυσσεύσ", "ΟΔΥΣΣΕΎΣ": "οδυσσεύσ", "שלום": "שלום", "سلام": "سلام", "Straße": "straße", "王7": "王7",
		"Aa1234567890123456"[:16]: "aa12345678901234",
		"":                        "", "a": "", "天": "", strings.Repeat("天", 17): "", "7Hero": "", "He ro": "", "He-ro": "", "He\u0301ro": "", "e\u0301e\u0301": "", // decomposed é
		"Hеro": "", "Herо": "", "αb": "", "カタa": "", "Ｈｅｒｏ": "", "ﬁsh": "", "\u212ang": "", "ſun": "", "ｱｲｳ": "", "\u1112\u1161\u11ab": "", "\uf900\uf901": "", "\u200bHero": "",
		"Hero\u202e": "", "H\u00adero": "", "①②": "", "١٢": "", "Hero١": "", "😀😀": "", "He\xffro": "", "Hero\ufffd": "", "ªº": "", "\u2126\u2126": "", "ДЖabc": "",
	} {
		got, err := accounts.CharacterName(name)
		if got != key || (err == nil) != (key != "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, key)
		}
	}
}

func TestRuleOfTheStudioIsHeldToBounds(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) {
		c.CharacterNames = func(name string) (string, error) {
			if strings.Contains(name, "admin") {
				return "", &accounts.NameError{What: "reserved", Fix: "choose another"}
			}
			return strings.TrimPrefix(name, "no key "), nil
		}
	})
	_, v := w.guest()
	c, err := w.CreateCharacter(t.Context(), v, "Sir Hero, the 3rd")
	w.must(err)
	if c.Name != "Sir Hero, the 3rd" || c.Key != c.Name {
		t.Errorf("%+v", c)
	}
	_, err = w.CreateCharacter(t.Context(), v, "admin7")
	is[*accounts.NameError](t, "reserved", err)
	_, err = w.CreateCharacter(t.Context(), v, strings.Repeat("x", 65))
	is[*accounts.NameError](t, "longer than a token takes", err)
	if _, err = w.CreateCharacter(t.Context(), v, "no key "); err == nil {
		t.Error("an empty key is stored")
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"Hero", "天下", "Οδυσσεύς", "a-b_c", "\xff", "ǅ", "ι0", "μ0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, rule := range []accounts.NameRule{accounts.AccountName, accounts.CharacterName} {
			key, err := rule(name)
			if err != nil {
				continue
			}
			if again, err := rule(key); err != nil || again != key {
				t.Errorf("%q has key %q, whose key is %q, %v", name, key, again, err)
			}
			for _, other := range []string{strings.ToUpper(name), strings.ToLower(name)} {
				if k, err := rule(other); err == nil && utf8.RuneCountInString(other) == utf8.RuneCountInString(name) && k != key && !strings.ContainsAny(name, "İıẞßΐΰ") {
					t.Errorf("%q has key %q, and %q has %q", name, key, other, k)
				}
			}
		}
	})
}
