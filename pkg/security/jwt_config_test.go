package security

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestJWTConfigContradictions(t *testing.T) {
	for name, change := range map[string]func(*JWTConfig){
		"no keys":         func(c *JWTConfig) { c.Keys = nil },
		"no issuer":       func(c *JWTConfig) { c.Issuer = "" },
		"no audience":     func(c *JWTConfig) { c.Audience = "" },
		"negative leeway": func(c *JWTConfig) { c.Leeway = -1 },
		"an hour leeway":  func(c *JWTConfig) { c.Leeway = time.Hour },
		"negative life":   func(c *JWTConfig) { c.MaxLife = -1 },
	} {
		cfg := JWTConfig{Keys: newSigner(t, algEdDSA, "").JWKS(), Issuer: "i", Audience: "a"}
		change(&cfg)
		if j, err := NewJWT(cfg); err == nil || j != nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSignerRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := SignerConfig{Key: ed25519.NewKeyFromSeed(pattern(7, 32)), Issuer: "i", Audience: "a"}
	for name, change := range map[string]func(*SignerConfig){
		"no key":       func(c *SignerConfig) { c.Key = nil },
		"half a key":   func(c *SignerConfig) { c.Key = ed25519.PrivateKey(pattern(1, 32)) },
		"P-384":        func(c *SignerConfig) { c.Key = p384 },
		"no issuer":    func(c *SignerConfig) { c.Issuer = "" },
		"no audience":  func(c *SignerConfig) { c.Audience = "" },
		"long kid":     func(c *SignerConfig) { c.KeyID = strings.Repeat("k", 129) },
		"another kind": func(c *SignerConfig) { c.Key = nil },
	} {
		cfg := good
		change(&cfg)
		if s, err := NewSigner(cfg); err == nil || s != nil {
			t.Errorf("%s: taken", name)
		}
	}
	s, err := NewSigner(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]Identity{"nobody": {}, "long name": {Player: 1, Name: strings.Repeat("n", 65)}, "broken id": {Player: 1, TokenID: "\n"}, "empty right": {Player: 1, Rights: []string{""}}} {
		if token, err := s.Issue(id, time.Minute, jwtNow()); err == nil {
			t.Errorf("%s: issued %q", name, token)
		}
	}
	if _, err := s.Issue(Identity{Player: 1}, time.Millisecond, jwtNow()); err == nil {
		t.Error("issued for a millisecond")
	}
	good.Issuer = strings.Repeat("i", MaxToken)
	if s, err = NewSigner(good); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Issue(Identity{Player: 1}, time.Minute, jwtNow()); err == nil || !strings.Contains(err.Error(), "verifiers take 4096") {
		t.Errorf("a token that no verifier reads: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", s, s, s); len(text) > 250 {
		t.Errorf("the key is printed: %s", text)
	}
}
