package security

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func devTokens() DevTokens { return DevTokens{Secret: []byte("sixteen bytes or more")} }

func TestDevTokenRoundTrip(t *testing.T) {
	now := time.Unix(1_800_000_000, 999)
	rights := make([]string, MaxTokenRights)
	for i := range rights {
		rights[i] = strings.Repeat("r", MaxTokenRight)
	}
	for _, id := range []Identity{
		{Player: 1},
		{Player: 1<<64 - 1, Name: "天下第一", Rights: []string{"gm", "spectate"}},
		{Player: 42, Name: strings.Repeat("n", MaxTokenName), Rights: rights, TokenID: strings.Repeat("~", MaxTokenID)},
	} {
		tokens := DevTokens{Secret: devTokens().Secret, Reusable: true}
		token, err := tokens.Issue(id, time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		id.Expires = time.Unix(1_800_000_060, 0).UTC()
		for _, at := range []time.Duration{0, 59 * time.Second} {
			if got, err := devTokens().Verify(token, now.Add(at)); err != nil || !reflect.DeepEqual(got, id) {
				t.Errorf("after %v: %+v, %v", at, got, err)
			}
		}
		if _, err := devTokens().Verify(token, now.Add(time.Minute)); !errors.Is(err, ErrTokenExpired) {
			t.Errorf("after its time: %v", err)
		}
	}
}

func TestDevTokenIsForOneUseUnlessToldOtherwise(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	seen := map[string]bool{}
	for range 4 {
		token, err := devTokens().Issue(Identity{Player: 7}, time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		id, err := devTokens().Verify(token, now)
		if err != nil || len(id.TokenID) < 20 || seen[id.TokenID] {
			t.Errorf("%+v, %v", id, err)
		}
		seen[id.TokenID] = true
	}
}

func TestDevTokenChangedAnywhereIsRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	token, err := devTokens().Issue(Identity{Player: 7, Name: "ann", Rights: []string{"gm"}}, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		for _, c := range []byte{token[i] ^ 1, 'A', 'z', '.', '\n', 0xFF} {
			changed := []byte(token)
			if changed[i] == c {
				continue
			}
			changed[i] = c
			if _, err := devTokens().Verify(string(changed), now); !errors.Is(err, ErrTokenInvalid) {
				t.Fatalf("byte %d set to %q: %v", i, c, err)
			}
		}
		if _, err := devTokens().Verify(token[:i], now); !errors.Is(err, ErrTokenInvalid) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
	for c := range byte(128) { // the last character holds two bits that say nothing
		changed := token[:len(token)-1] + string(rune(c))
		if _, err := devTokens().Verify(changed, now); changed != token && !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("last character %q: %v", c, err)
		}
	}
	for name, changed := range map[string]string{
		"newline": token + "\n", "padding": token + "=", "too long": token + strings.Repeat("A", 1<<20), "two points": strings.Replace(token, ".", "..", 1),
		"other version": "dev1" + token[4:],
	} {
		if _, err := devTokens().Verify(changed, now); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, other := range []DevTokens{{}, {Secret: []byte("another secret of some bytes")}} {
		if _, err := other.Verify(token, now); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("another secret: %v", err)
		}
	}
}

func TestDevTokenIssueRefusesWhatVerifyWould(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	good := Identity{Player: 1, Name: "n", Rights: []string{"r"}}
	tests := map[string]struct {
		tokens DevTokens
		id     Identity
		ttl    time.Duration
	}{
		"short secret":    {DevTokens{Secret: []byte("short")}, good, time.Minute},
		"no time":         {devTokens(), good, 0},
		"player 0":        {devTokens(), Identity{}, time.Minute},
		"long name":       {devTokens(), Identity{Player: 1, Name: strings.Repeat("n", MaxTokenName+1)}, time.Minute},
		"broken name":     {devTokens(), Identity{Player: 1, Name: "\xff"}, time.Minute},
		"too many rights": {devTokens(), Identity{Player: 1, Rights: make([]string, MaxTokenRights+1)}, time.Minute},
		"empty right":     {devTokens(), Identity{Player: 1, Rights: []string{""}}, time.Minute},
		"long id":         {devTokens(), Identity{Player: 1, TokenID: strings.Repeat("i", MaxTokenID+1)}, time.Minute},
		"broken id":       {devTokens(), Identity{Player: 1, TokenID: "a\nb"}, time.Minute},
		"long right":      {devTokens(), Identity{Player: 1, Rights: []string{strings.Repeat("r", MaxTokenRight+1)}}, time.Minute},
	}
	for name, test := range tests {
		if token, err := test.tokens.Issue(test.id, test.ttl, now); err == nil {
			t.Errorf("%s: issued %q", name, token)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	root, server := vectorServer(t)
	secret := fmt.Sprintf("%v %+v %#v %v %+v %#v", root, root, root, server, server, server)
	if strings.Contains(secret, "64 65 66 67") || strings.Contains(secret, "0x40, 0x41") {
		t.Errorf("a private key is printed: %s", secret)
	}
	if s := fmt.Sprintf("%v %+v %#v", devTokens(), devTokens(), devTokens()); strings.Contains(s, "sixteen") {
		t.Errorf("the secret is printed: %s", s)
	}
}

func FuzzVerifyToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	token, err := devTokens().Issue(Identity{Player: 7, Name: "ann", Rights: []string{"gm"}, TokenID: "one"}, time.Minute, now) // fuzzing processes must agree on the seed
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token, []byte{})
	f.Add("", make([]byte, 18))
	f.Add("dev2..", []byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'n', 1, 1, 'r', 1, 'i'})
	f.Fuzz(func(t *testing.T, other string, body []byte) {
		if _, err := devTokens().Verify(other, now); err == nil && other != token {
			t.Fatalf("forged: %q", other)
		}
		// The parser behind the signature must stand arbitrary bytes too.
		if id, ok := parseTokenBody(body); ok && id.TokenID != "" && id.check() == nil {
			again, err := devTokens().Issue(id, time.Minute, now)
			if err != nil {
				t.Fatal(err)
			}
			id.Expires = now.Add(time.Minute).UTC()
			if got, err := devTokens().Verify(again, now); err != nil || !reflect.DeepEqual(got, id) {
				t.Fatalf("%+v became %+v, %v", id, got, err)
			}
		}
	})
}
