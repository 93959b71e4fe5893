package security

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	jwtIssuer   = "https://login.example"
	jwtAudience = "mmo"
)

func jwtNow() time.Time { return time.Unix(1_800_000_000, 0).UTC() }

func newSigner(t testing.TB, alg, kid string) *Signer {
	t.Helper()
	var key crypto.Signer = ed25519.NewKeyFromSeed(pattern(7, 32))
	if alg == algES256 {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewSigner(SignerConfig{Key: key, KeyID: kid, Issuer: jwtIssuer, Audience: jwtAudience})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newJWT(t testing.TB, keys KeySet, change func(*JWTConfig)) *JWT {
	t.Helper()
	cfg := JWTConfig{Keys: keys, Issuer: jwtIssuer, Audience: jwtAudience}
	if change != nil {
		change(&cfg)
	}
	j, err := NewJWT(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// handmade is a token of nobody's library: a head and claims, signed as sign says.
func handmade(t testing.TB, head, claims map[string]any, sign func(signed string) []byte) string {
	t.Helper()
	part := func(m map[string]any) string {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return tokenEncoding().EncodeToString(b)
	}
	signed := part(head) + "." + part(claims)
	return signed + "." + tokenEncoding().EncodeToString(sign(signed))
}

func goodHead() map[string]any { return map[string]any{"alg": "EdDSA", "kid": "a", "typ": "JWT"} }

func goodClaims() map[string]any {
	return map[string]any{"iss": jwtIssuer, "aud": jwtAudience, "sub": "42", "jti": "one", "name": "天", "rights": []string{"gm"}, "exp": jwtNow().Add(time.Minute).Unix()}
}

func edSign(s *Signer) func(string) []byte {
	return func(signed string) []byte { return ed25519.Sign(s.cfg.Key.(ed25519.PrivateKey), []byte(signed)) }
}

// with changes one member; nil takes it away.
func with(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	if m[name] = value; value == nil {
		delete(m, name)
	}
	return m
}

func TestJWTRoundTripOfBothAlgorithms(t *testing.T) {
	for _, alg := range []string{algEdDSA, algES256} {
		s := newSigner(t, alg, "")
		j := newJWT(t, s.JWKS(), nil)
		for _, id := range []Identity{{Player: 1, TokenID: "x"}, {Player: 1<<64 - 1, Name: "天下第一", Rights: []string{"gm", "spectate"}, TokenID: "y"}} {
			token, err := s.Issue(id, time.Minute, jwtNow())
			if err != nil {
				t.Fatal(err)
			}
			id.Expires = jwtNow().Add(time.Minute + 30*time.Second)
			if got, err := j.Verify(token, jwtNow()); err != nil || !reflect.DeepEqual(got, id) {
				t.Errorf("%s: %+v, %v", alg, got, err)
			}
			if _, err := j.Verify(token, id.Expires.Add(-time.Nanosecond)); err != nil {
				t.Errorf("%s, just before it expires: %v", alg, err)
			}
			if _, err := j.Verify(token, id.Expires); !errors.Is(err, ErrTokenExpired) {
				t.Errorf("%s, after its time: %v", alg, err)
			}
		}
	}
}

func TestJWTsHaveOneTimeIDs(t *testing.T) {
	s := newSigner(t, algEdDSA, "")
	seen := map[string]bool{}
	for range 4 {
		token, err := s.Issue(Identity{Player: 7}, time.Minute, jwtNow())
		if err != nil {
			t.Fatal(err)
		}
		id, err := newJWT(t, s.JWKS(), nil).Verify(token, jwtNow())
		if err != nil || len(id.TokenID) < 20 || seen[id.TokenID] {
			t.Errorf("%+v, %v", id, err)
		}
		seen[id.TokenID] = true
	}
	token := handmade(t, with(goodHead(), "kid", s.cfg.KeyID), with(goodClaims(), "jti", nil), edSign(s))
	reusable := newJWT(t, s.JWKS(), func(c *JWTConfig) { c.Reusable = true })
	if id, err := reusable.Verify(token, jwtNow()); err != nil || id.TokenID != "" || id.Player != 42 {
		t.Errorf("%+v, %v", id, err)
	}
}

// TestJWTMistakesOfOthers are the ways in which verifiers have been fooled, and issuers have been wrong.
func TestJWTMistakesOfOthers(t *testing.T) {
	s := newSigner(t, algEdDSA, "a")
	es := newSigner(t, algES256, "es")
	set, err := MergeJWKS(s.JWKS(), es.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	j := newJWT(t, set, nil)
	ed, now := edSign(s), jwtNow()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	public := s.cfg.Key.Public().(ed25519.PublicKey)
	hmacWith := func(secret []byte) func(string) []byte {
		return func(signed string) []byte {
			h := hmac.New(sha256.New, secret)
			h.Write([]byte(signed))
			return h.Sum(nil)
		}
	}
	nothing := func(string) []byte { return nil }
	stranger := ed25519.NewKeyFromSeed(pattern(9, 32))
	strangerSigns := func(signed string) []byte { return ed25519.Sign(stranger, []byte(signed)) }
	strangersKey := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": tokenEncoding().EncodeToString(stranger.Public().(ed25519.PublicKey))}

	good := handmade(t, goodHead(), goodClaims(), ed)
	if id, err := j.Verify(good, now); err != nil || id.Player != 42 || id.Name != "天" || id.TokenID != "one" {
		t.Fatalf("the good one: %+v, %v", id, err)
	}
	for name, token := range map[string]string{
		"empty":                            "",
		"alg none":                         handmade(t, with(goodHead(), "alg", "none"), goodClaims(), nothing),
		"alg None":                         handmade(t, with(goodHead(), "alg", "None"), goodClaims(), nothing),
		"alg none with the signature":      handmade(t, with(goodHead(), "alg", "none"), goodClaims(), ed),
		"no alg":                           handmade(t, with(goodHead(), "alg", nil), goodClaims(), ed),
		"alg is a number":                  handmade(t, with(goodHead(), "alg", 1), goodClaims(), ed),
		"HS256 with the public key":        handmade(t, with(goodHead(), "alg", "HS256"), goodClaims(), hmacWith(public)),
		"HS256 with the key set":           handmade(t, with(goodHead(), "alg", "HS256"), goodClaims(), hmacWith([]byte(okp))),
		"ES256 with the kid of EdDSA":      handmade(t, with(goodHead(), "alg", "ES256"), goodClaims(), ed),
		"EdDSA with the kid of ES256":      handmade(t, with(goodHead(), "kid", "es"), goodClaims(), ed),
		"RS256":                            handmade(t, with(goodHead(), "alg", "RS256"), goodClaims(), ed),
		"another key's signature":          handmade(t, goodHead(), goodClaims(), strangerSigns),
		"its own key as jwk":               handmade(t, with(goodHead(), "jwk", strangersKey), goodClaims(), strangerSigns),
		"its own key and no kid":           handmade(t, with(with(goodHead(), "jwk", strangersKey), "kid", nil), goodClaims(), strangerSigns),
		"address of its own key":           handmade(t, with(goodHead(), "jku", "https://attacker.example/keys"), goodClaims(), strangerSigns),
		"no kid":                           handmade(t, with(goodHead(), "kid", nil), goodClaims(), ed),
		"kid of a file":                    handmade(t, with(goodHead(), "kid", "../../../../dev/null"), goodClaims(), hmacWith(nil)),
		"kid of a query":                   handmade(t, with(goodHead(), "kid", "a' OR '1'='1"), goodClaims(), ed),
		"kid with a zero":                  handmade(t, with(goodHead(), "kid", "a\x00"), goodClaims(), ed),
		"kid is a list":                    handmade(t, with(goodHead(), "kid", []string{"a"}), goodClaims(), ed),
		"long kid":                         handmade(t, with(goodHead(), "kid", strings.Repeat("a", 129)), goodClaims(), ed),
		"unknown critical header":          handmade(t, with(with(goodHead(), "crit", []string{"exp2"}), "exp2", 1), goodClaims(), ed),
		"unencoded payload":                handmade(t, with(with(goodHead(), "crit", []string{"b64"}), "b64", false), goodClaims(), ed),
		"empty crit":                       handmade(t, with(goodHead(), "crit", []string{}), goodClaims(), ed),
		"nbf in the future":                handmade(t, goodHead(), with(goodClaims(), "nbf", at(31*time.Second)), ed),
		"no exp":                           handmade(t, goodHead(), with(goodClaims(), "exp", nil), ed),
		"exp is a text":                    handmade(t, goodHead(), with(goodClaims(), "exp", "1900000000"), ed),
		"exp in milliseconds":              handmade(t, goodHead(), with(goodClaims(), "exp", at(time.Minute)*1000), ed),
		"exp too far away":                 handmade(t, goodHead(), with(goodClaims(), "exp", at(24*time.Hour+31*time.Second)), ed),
		"no aud":                           handmade(t, goodHead(), with(goodClaims(), "aud", nil), ed),
		"empty aud":                        handmade(t, goodHead(), with(goodClaims(), "aud", []string{}), ed),
		"another aud":                      handmade(t, goodHead(), with(goodClaims(), "aud", "mmo2"), ed),
		"aud with another case":            handmade(t, goodHead(), with(goodClaims(), "aud", "MMO"), ed),
		"no iss":                           handmade(t, goodHead(), with(goodClaims(), "iss", nil), ed),
		"another iss":                      handmade(t, goodHead(), with(goodClaims(), "iss", jwtIssuer+"/"), ed),
		"expired and for another audience": handmade(t, goodHead(), with(with(goodClaims(), "aud", "x"), "exp", at(-time.Hour)), ed),
		"expired and not yet valid":        handmade(t, goodHead(), with(with(goodClaims(), "nbf", at(time.Hour)), "exp", at(-time.Hour)), ed),
		"no jti":                           handmade(t, goodHead(), with(goodClaims(), "jti", nil), ed),
		"long jti":                         handmade(t, goodHead(), with(goodClaims(), "jti", strings.Repeat("j", 129)), ed),
		"jti with a line end":              handmade(t, goodHead(), with(goodClaims(), "jti", "a\nb"), ed),
		"no sub":                           handmade(t, goodHead(), with(goodClaims(), "sub", nil), ed),
		"sub 0":                            handmade(t, goodHead(), with(goodClaims(), "sub", "0"), ed),
		"sub with zeros":                   handmade(t, goodHead(), with(goodClaims(), "sub", "042"), ed),
		"sub with a sign":                  handmade(t, goodHead(), with(goodClaims(), "sub", "+42"), ed),
		"negative sub":                     handmade(t, goodHead(), with(goodClaims(), "sub", "-1"), ed),
		"sub above 64 bits":                handmade(t, goodHead(), with(goodClaims(), "sub", "18446744073709551616"), ed),
		"sub in hexadecimal":               handmade(t, goodHead(), with(goodClaims(), "sub", "0x2a"), ed),
		"sub is a number":                  handmade(t, goodHead(), with(goodClaims(), "sub", 42), ed),
		"sub is a name":                    handmade(t, goodHead(), with(goodClaims(), "sub", "ann"), ed),
		"long name":                        handmade(t, goodHead(), with(goodClaims(), "name", strings.Repeat("n", MaxTokenName+1)), ed),
		"rights are a text":                handmade(t, goodHead(), with(goodClaims(), "rights", "gm"), ed),
		"too many rights":                  handmade(t, goodHead(), with(goodClaims(), "rights", strings.Split(strings.Repeat("r", MaxTokenRights+1), "")), ed),
		"empty right":                      handmade(t, goodHead(), with(goodClaims(), "rights", []string{""}), ed),
		"very long":                        handmade(t, goodHead(), with(goodClaims(), "pad", strings.Repeat("x", MaxToken)), ed),
		"a MiB of points":                  strings.Repeat(".", 1<<20),
		"two parts":                        good[:strings.LastIndexByte(good, '.')],
		"four parts":                       good + ".",
		"no signature":                     good[:strings.LastIndexByte(good, '.')+1],
		"padding":                          good + "==",
		"line end":                         good + "\n",
		"line end inside":                  good[:20] + "\r\n" + good[20:],
		"space":                            " " + good,
		"claims null":                      handmadeRaw(ed, `{"alg":"EdDSA","kid":"a"}`, `null`),
		"claims are a list":                handmadeRaw(ed, `{"alg":"EdDSA","kid":"a"}`, `[]`),
		"head null":                        handmadeRaw(ed, `null`, `{}`),
		"head is a list":                   handmadeRaw(ed, `[]`, `{}`),
		"something behind the claims":      handmadeRaw(ed, `{"alg":"EdDSA","kid":"a"}`, `{}{}`),
		"a development token":              "dev2.AAAA.AAAA",
	} {
		if id, err := j.Verify(token, now); !errors.Is(err, ErrTokenInvalid) || errors.Is(err, ErrTokenExpired) || !reflect.DeepEqual(id, Identity{}) || len(err.Error()) > 400 {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if _, err := j.Verify(handmade(t, goodHead(), with(goodClaims(), "exp", at(-31*time.Second)), ed), now); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("expired: %v", err)
	}
	for _, exp := range []string{"1e300", "-1e300", "9223372036854775807", "9223372036854775808"} { // beyond what a time can hold
		if _, err := j.Verify(handmade(t, goodHead(), with(goodClaims(), "exp", json.Number(exp)), ed), now); err == nil {
			t.Errorf("exp %s was taken", exp)
		}
	}
}

func handmadeRaw(sign func(string) []byte, head, claims string) string {
	signed := tokenEncoding().EncodeToString([]byte(head)) + "." + tokenEncoding().EncodeToString([]byte(claims))
	return signed + "." + tokenEncoding().EncodeToString(sign(signed))
}

// anyID is a key set that is careless about ids.
type anyID struct{ key crypto.PublicKey }

func (a anyID) Key(string, string) (crypto.PublicKey, bool) { return a.key, true }

func TestKeySetIsAskedForUsableIDsOnly(t *testing.T) {
	s := newSigner(t, algEdDSA, "a")
	j := newJWT(t, anyID{s.cfg.Key.Public()}, nil)
	for kid, good := range map[string]bool{"": false, "a": true, strings.Repeat("k", 128): true, strings.Repeat("k", 129): false} {
		if _, err := j.Verify(handmade(t, with(goodHead(), "kid", kid), goodClaims(), edSign(s)), jwtNow()); (err == nil) != good {
			t.Errorf("kid of %d bytes: %v", len(kid), err)
		}
	}
	if _, err := j.Verify(handmade(t, with(goodHead(), "alg", "ES256"), goodClaims(), edSign(s)), jwtNow()); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("a key of another kind than the algorithm's: %v", err)
	}
}

func TestWhatAJWTMayHold(t *testing.T) {
	s := newSigner(t, algEdDSA, "a")
	for name, claims := range map[string]map[string]any{
		"many audiences":      with(goodClaims(), "aud", []string{"other", jwtAudience}),
		"unknown claims":      with(goodClaims(), "scope", map[string]any{"deep": []int{1}}),
		"no name":             with(goodClaims(), "name", nil),
		"no rights":           with(goodClaims(), "rights", nil),
		"nbf now":             with(goodClaims(), "nbf", jwtNow().Unix()),
		"times with fraction": with(with(goodClaims(), "nbf", float64(jwtNow().Unix())-0.25), "exp", float64(jwtNow().Unix())+59.75),
		"iat in the future":   with(goodClaims(), "iat", jwtNow().Add(time.Hour).Unix()), // says nothing of validity
	} {
		if id, err := newJWT(t, s.JWKS(), nil).Verify(handmade(t, goodHead(), claims, edSign(s)), jwtNow()); err != nil || id.Player != 42 {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

func TestEveryByteOfAJWTCounts(t *testing.T) {
	for _, alg := range []string{algEdDSA, algES256} {
		s := newSigner(t, alg, "a")
		j := newJWT(t, s.JWKS(), nil)
		token, err := s.Issue(Identity{Player: 7, Name: "ann"}, time.Minute, jwtNow())
		if err != nil {
			t.Fatal(err)
		}
		for i := range token {
			for _, c := range []byte{token[i] ^ 1, 'A', '.', '\n', 0xFF} {
				changed := []byte(token)
				changed[i] = c
				if _, err := j.Verify(string(changed), jwtNow()); string(changed) != token && !errors.Is(err, ErrTokenInvalid) {
					t.Fatalf("%s: byte %d set to %q: %v", alg, i, c, err)
				}
			}
			if _, err := j.Verify(token[:i], jwtNow()); !errors.Is(err, ErrTokenInvalid) {
				t.Fatalf("%s: cut to %d bytes: %v", alg, i, err)
			}
		}
		for c := range byte(128) { // the last character holds bits that say nothing
			changed := token[:len(token)-1] + string(rune(c))
			if _, err := j.Verify(changed, jwtNow()); changed != token && !errors.Is(err, ErrTokenInvalid) {
				t.Errorf("%s: last character %q: %v", alg, c, err)
			}
		}
	}
}

// TestClockSkew: the issuer's clock and ours are five minutes apart, either way.
func TestClockSkew(t *testing.T) {
	s := newSigner(t, algEdDSA, "a")
	const skew = 5 * time.Minute
	for _, test := range []struct {
		leeway, ours time.Duration // our clock against the issuer's, at the moment of issue
		want         error
	}{
		{0, 0, nil}, {0, -30 * time.Second, nil}, {0, -31 * time.Second, ErrTokenInvalid},
		{0, 89 * time.Second, nil}, {0, 90 * time.Second, ErrTokenExpired},
		{0, -skew, ErrTokenInvalid}, {0, skew, ErrTokenExpired},
		{skew, -skew, nil}, {skew, -skew - time.Second, ErrTokenInvalid},
		{skew, skew, nil}, {skew, skew + time.Minute - time.Second, nil}, {skew, skew + time.Minute, ErrTokenExpired},
		{1, 0, nil}, {1, time.Minute, nil}, {1, time.Minute + time.Second, ErrTokenExpired},
	} {
		j := newJWT(t, s.JWKS(), func(c *JWTConfig) { c.Leeway = test.leeway })
		token, err := s.Issue(Identity{Player: 1}, time.Minute, jwtNow())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Verify(token, jwtNow().Add(test.ours)); !errors.Is(err, test.want) {
			t.Errorf("leeway %v, our clock %v ahead: %v, want %v", test.leeway, test.ours, err, test.want)
		}
	}
}

func TestKeysAreRotatedWithoutAGap(t *testing.T) {
	before, after := newSigner(t, algEdDSA, "old"), newSigner(t, algES256, "new")
	both, err := MergeJWKS(before.JWKS(), after.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		set  KeySet
		good []*Signer
		bad  []*Signer
	}{{before.JWKS(), []*Signer{before}, []*Signer{after}}, {both, []*Signer{before, after}, nil}, {after.JWKS(), []*Signer{after}, []*Signer{before}}} {
		j := newJWT(t, test.set, nil)
		for _, s := range append(test.good, test.bad...) {
			token, err := s.Issue(Identity{Player: 1}, time.Minute, jwtNow())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.Verify(token, jwtNow()); (err == nil) != (s == test.good[0] || len(test.bad) == 0) {
				t.Errorf("%v: %v", s, err)
			}
		}
	}
}

func FuzzVerifyJWT(f *testing.F) {
	s := newSigner(f, algEdDSA, "a")
	j := newJWT(f, s.JWKS(), nil)
	token := handmade(f, goodHead(), goodClaims(), edSign(s))
	f.Add(token, "{}", "{}")
	f.Add("", `{"alg":"EdDSA","kid":"a"}`, `{"iss":"https://login.example","aud":["mmo"],"sub":"1","jti":"j","exp":1800000001}`)
	f.Add("..", `{"alg":"none"}`, `null`)
	f.Fuzz(func(t *testing.T, other, head, claims string) {
		if _, err := j.Verify(other, jwtNow()); err == nil && other != token {
			t.Fatalf("forged: %q", other)
		}
		// What a signed token says must be judged as well.
		id, err := j.Verify(handmadeRaw(edSign(s), head, claims), jwtNow())
		if err != nil {
			if !errors.Is(err, ErrTokenInvalid) && !errors.Is(err, ErrTokenExpired) {
				t.Fatal(err)
			}
			return
		}
		if id.check() != nil || id.TokenID == "" || !id.Expires.After(jwtNow()) || id.Expires.Sub(jwtNow()) > 25*time.Hour {
			t.Fatalf("%+v", id)
		}
	})
}
