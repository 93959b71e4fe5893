package security

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// okp and ec are members of a key set of other implementers' making: RFC 8037 A.2 and RFC 7517 A.1.
const (
	okpX = `11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo`
	ecX  = `MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4`
	ecY  = `4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM`
	okp  = `"kty":"OKP","crv":"Ed25519","x":"` + okpX + `"`
	ec   = `"kty":"EC","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"`
)

func TestParseJWKSOfOtherImplementers(t *testing.T) {
	set, err := ParseJWKS([]byte(`{"keys":[
		{` + okp + `,"kid":"a"},
		{` + ec + `,"kid":"b","use":"sig","alg":"ES256","key_ops":["verify"],"x5t":"unknown member"},
		{"kty":"RSA","kid":"c","n":"AQAB","e":"AQAB"},
		{"kty":"oct","kid":"d2","k":"c2VjcmV0"},
		{` + ec + `,"kid":"e","use":"enc"},
		{` + okp + `,"kid":"f","alg":"HS256"},
		{` + okp + `,"kid":"g","key_ops":["sign"]},
		{"kty":"EC","crv":"P-384","kid":"h","x":"AA","y":"AA"},
		{` + okp + `},
		{"kty":"future"}
	],"more":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.IDs(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("keys %q", got)
	}
	if key, ok := set.Key("a", "EdDSA"); !ok || len(key.(ed25519.PublicKey)) != 32 {
		t.Errorf("%v, %v", key, ok)
	}
	if key, ok := set.Key("b", "ES256"); !ok || key.(*ecdsa.PublicKey).Curve != elliptic.P256() {
		t.Errorf("%v, %v", key, ok)
	}
	for _, wrong := range [][2]string{{"a", "ES256"}, {"b", "EdDSA"}, {"a", "HS256"}, {"a", "none"}, {"a", ""}, {"", "EdDSA"}, {"c", "RS256"}, {"d2", "HS256"}, {"A", "EdDSA"}} {
		if key, ok := set.Key(wrong[0], wrong[1]); ok || key != nil {
			t.Errorf("%q has a key", wrong)
		}
	}
}

func TestThumbprintIsTheStandards(t *testing.T) {
	k := jwk{Kty: "OKP", Crv: "Ed25519", X: okpX}
	if got := k.thumbprint(); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" { // RFC 8037 A.3
		t.Error(got)
	}
}

func TestJWKSFaults(t *testing.T) {
	one := func(members string) string { return `{"keys":[{` + members + `}]}` }
	many := strings.Repeat(`{`+okp+`,"kid":"%d"},`, maxKeys+1)
	ids := make([]any, maxKeys+1)
	for i := range ids {
		ids[i] = i
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":                 {"", "no JSON"},
		"null":                  {"null", "none of its 0 keys"},
		"no keys":               {`{"keys":[]}`, "none of its 0 keys"},
		"cut":                   {one(okp + `,"kid":"a"`)[:40], "no JSON"},
		"no object":             {`[]`, "no JSON"},
		"keys are no list":      {`{"keys":{}}`, "no JSON"},
		"kid is a number":       {one(okp + `,"kid":7`), "no JSON"},
		"only RSA":              {one(`"kty":"RSA","kid":"a"`), `kty "RSA"`},
		"no kid":                {one(okp), "kid of 0 bytes"},
		"long kid":              {one(okp + `,"kid":"` + strings.Repeat("k", 129) + `"`), "kid of 129 bytes"},
		"private Ed25519 key":   {one(okp + `,"kid":"a","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`), "private part"},
		"private RSA key":       {one(`"kty":"RSA","kid":"a","d":"AA"`), "private part"},
		"short x":               {one(`"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"`), "x of 4 characters"},
		"x with padding":        {one(`"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + okpX[:42] + `="`), "x is not base64url"},
		"x of the other base64": {one(`"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + strings.ReplaceAll(okpX, "_", "/") + `"`), "x is not base64url"},
		"no y":                  {one(`"kty":"EC","crv":"P-256","kid":"a","x":"` + ecX + `"`), "y of 0 characters"},
		"not on the curve":      {one(`"kty":"EC","crv":"P-256","kid":"a","x":"` + ecX + `","y":"` + ecX + `"`), "x and y"},
		"one id twice":          {`{"keys":[{` + okp + `,"kid":"a"},{` + ec + `,"kid":"a"}]}`, `two keys have the id "a"`},
		"too many":              {`{"keys":[` + strings.TrimSuffix(fmt.Sprintf(many, ids...), ",") + `]}`, "more than 64"},
		"too long":              {one(okp+`,"kid":"a"`) + strings.Repeat(" ", MaxJWKS), "at most 65536"},
		"deep":                  {strings.Repeat("[", 30_000), "no JSON"},
		"something behind":      {one(okp+`,"kid":"a"`) + "x", "no JSON"},
	} {
		if set, err := ParseJWKS([]byte(test.text)); err == nil || set != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "parse key set") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestJWKSIsReadAsItIsWritten(t *testing.T) {
	a, b := newSigner(t, "EdDSA", "a"), newSigner(t, "ES256", "")
	set, err := MergeJWKS(a.JWKS(), b.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseJWKS(text)
	if err != nil || len(again.keys) != 2 {
		t.Fatal(again, err)
	}
	for i, k := range again.keys {
		if k.kid != set.keys[i].kid || k.alg != set.keys[i].alg || !k.public.(interface{ Equal(x crypto.PublicKey) bool }).Equal(set.keys[i].public) {
			t.Errorf("key %d became %+v", i, k)
		}
	}
	if _, err := MergeJWKS(a.JWKS(), b.JWKS(), a.JWKS()); err == nil {
		t.Error("merged one id twice")
	}
}

func TestOnlyKeysThatCanVerifyArePublished(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []any{nil, p384.Public(), x.PublicKey(), ed25519.PublicKey{1}, []byte("secret")} {
		if k, err := jwkOf(key); err == nil {
			t.Errorf("%T published as %+v", key, k)
		}
	}
}

func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{` + okp + `,"kid":"a"},{` + ec + `,"kid":"b"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA"},{` + ec + `,"kid":"b","d":"AA"}]}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := ParseJWKS(b)
		if err != nil {
			if set != nil || len(err.Error()) > 4096 {
				t.Fatalf("%v, error of %d bytes", set, len(err.Error()))
			}
			return
		}
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseJWKS(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		second, err := json.Marshal(again)
		if err != nil || !bytes.Equal(text, second) {
			t.Fatalf("%s became %s, %v", text, second, err)
		}
	})
}
