package security

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a key set that is read.
const (
	MaxJWKS  = 64 << 10 // bytes of JSON
	maxKeys  = 64       // that can be used
	maxKeyID = 128      // bytes of a kid

	algEdDSA = "EdDSA"
	algES256 = "ES256"
)

// KeySet is where a JWT verifier finds the issuer's public keys. Any goroutine may call Key, which must not block for long.
type KeySet interface {
	// Key returns the key of that id for the algorithm "EdDSA" (an ed25519.PublicKey) or "ES256" (a *ecdsa.PublicKey on
	// P-256); ok is false if there is none. Both arguments come from a token that nobody has verified yet.
	Key(kid, alg string) (key crypto.PublicKey, ok bool)
}

// JWKS is a fixed set of public keys, as an issuer publishes them. It never changes.
type JWKS struct{ keys []publishedKey }

var _ KeySet = (*JWKS)(nil)

type publishedKey struct {
	kid, alg string
	public   crypto.PublicKey
}

// Key implements KeySet.
func (s *JWKS) Key(kid, alg string) (crypto.PublicKey, bool) {
	for _, k := range s.keys {
		if k.kid == kid && k.alg == alg {
			return k.public, true
		}
	}
	return nil, false
}

// IDs are the ids of the keys, in the set's order.
func (s *JWKS) IDs() []string {
	ids := make([]string, len(s.keys))
	for i, k := range s.keys {
		ids[i] = k.kid
	}
	return ids
}

// MergeJWKS joins sets, so that an issuer can publish its next key before it signs with it, and its last one until the
// tokens of it have expired. It refuses two keys of one id.
func MergeJWKS(sets ...*JWKS) (*JWKS, error) {
	all := &JWKS{}
	for _, s := range sets {
		for _, k := range s.keys {
			if err := all.add(k); err != nil {
				return nil, fmt.Errorf("merge key sets: %w", err)
			}
		}
	}
	return all, nil
}

func (s *JWKS) add(k publishedKey) error {
	if slices.ContainsFunc(s.keys, func(other publishedKey) bool { return other.kid == k.kid }) {
		return fmt.Errorf("two keys have the id %q", k.kid)
	}
	if len(s.keys) == maxKeys {
		return fmt.Errorf("more than %d keys", maxKeys)
	}
	s.keys = append(s.keys, k)
	return nil
}

// jwk is RFC 7517's form of a key. Member names are matched without regard to case by the decoder, which does no harm here.
type jwk struct {
	Kty    string   `json:"kty"`
	Crv    string   `json:"crv"`
	Kid    string   `json:"kid"`
	Alg    string   `json:"alg,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	X      string   `json:"x"`
	Y      string   `json:"y,omitempty"`
	D      string   `json:"d,omitempty"` // a private key; must not be there
}

// ParseJWKS reads a JSON Web Key Set (RFC 7517, RFC 8037). Of its keys those for verifying EdDSA with Ed25519 and ES256
// are taken, which must have an id (kid); others are passed over, since issuers publish keys for other purposes too. It
// refuses a set of more than MaxJWKS bytes, one with a key that is broken, or that should be secret, and one without any
// key that can be used.
func ParseJWKS(b []byte) (*JWKS, error) {
	s, err := parseJWKS(b)
	if err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	return s, nil
}

func parseJWKS(b []byte) (*JWKS, error) {
	if len(b) > MaxJWKS {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(b), MaxJWKS)
	}
	var list struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("no JSON of a key set: %w", err)
	}
	set, passed := &JWKS{}, []string{}
	for i, k := range list.Keys {
		if k.D != "" {
			return nil, fmt.Errorf("key %d (%.40q) holds its private part \"d\": whoever can read the set can issue tokens; publish the public part only, and change the key", i, k.Kid)
		}
		if why := k.unusable(); why != "" {
			passed = append(passed, fmt.Sprintf("key %d: %s", i, why))
			continue
		}
		public, err := k.public()
		if err == nil {
			err = set.add(publishedKey{kid: k.Kid, alg: k.algorithm(), public: public})
		}
		if err != nil {
			return nil, fmt.Errorf("key %d (%.40q): %w", i, k.Kid, err)
		}
	}
	if len(set.keys) == 0 {
		passed = passed[:min(len(passed), 8)]
		return nil, fmt.Errorf("none of its %d keys can be used: want kty OKP with crv Ed25519, or kty EC with crv P-256, and a kid; %s",
			len(list.Keys), strings.Join(passed, "; "))
	}
	return set, nil
}

// algorithm is what a key of this kind verifies; "": nothing that is known here.
func (k *jwk) algorithm() string {
	switch {
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		return algEdDSA
	case k.Kty == "EC" && k.Crv == "P-256":
		return algES256
	}
	return ""
}

// unusable says why a key is passed over; "": it is not.
func (k *jwk) unusable() string {
	alg := k.algorithm()
	switch {
	case alg == "":
		return fmt.Sprintf("kty %.20q, crv %.20q", k.Kty, k.Crv)
	case k.Kid == "" || len(k.Kid) > maxKeyID:
		return fmt.Sprintf("kid of %d bytes, want 1 to %d", len(k.Kid), maxKeyID)
	case k.Use != "" && k.Use != "sig":
		return fmt.Sprintf("use %.20q", k.Use)
	case k.Alg != "" && k.Alg != alg:
		return fmt.Sprintf("alg %.20q", k.Alg)
	case k.KeyOps != nil && !slices.Contains(k.KeyOps, "verify"):
		return "key_ops without verify"
	}
	return ""
}

func (k *jwk) public() (crypto.PublicKey, error) {
	x, err := coordinate("x", k.X)
	if err != nil || k.Kty == "OKP" {
		return ed25519.PublicKey(x), err
	}
	y, err := coordinate("y", k.Y)
	if err != nil {
		return nil, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, fmt.Errorf("x and y: %w", err)
	}
	return public, nil
}

// coordinate decodes 32 bytes of base64url: of both kinds of key, all numbers have that size.
func coordinate(name, text string) ([]byte, error) {
	if len(text) != tokenEncoding().EncodedLen(32) {
		return nil, fmt.Errorf("%s of %d characters, want 43 of base64url for 32 bytes", name, len(text))
	}
	b, err := tokenEncoding().DecodeString(text)
	if err != nil || len(b) != 32 {
		return nil, fmt.Errorf("%s is not base64url of 32 bytes", name)
	}
	return b, nil
}

// MarshalJSON writes the set as ParseJWKS reads it.
func (s *JWKS) MarshalJSON() ([]byte, error) {
	list := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, 0, len(s.keys))}
	for _, k := range s.keys {
		j, err := jwkOf(k.public)
		if err != nil {
			return nil, fmt.Errorf("publish key %q: %w", k.kid, err)
		}
		j.Kid = k.kid
		list.Keys = append(list.Keys, j)
	}
	return json.Marshal(list)
}

func jwkOf(public crypto.PublicKey) (jwk, error) {
	switch p := public.(type) {
	case ed25519.PublicKey:
		if len(p) == ed25519.PublicKeySize {
			return jwk{Kty: "OKP", Crv: "Ed25519", Alg: algEdDSA, Use: "sig", X: tokenEncoding().EncodeToString(p)}, nil
		}
	case *ecdsa.PublicKey:
		b, err := p.Bytes()
		if err == nil && len(b) == 1+2*32 && p.Curve == elliptic.P256() {
			return jwk{Kty: "EC", Crv: "P-256", Alg: algES256, Use: "sig",
				X: tokenEncoding().EncodeToString(b[1:33]), Y: tokenEncoding().EncodeToString(b[33:])}, nil
		}
	}
	return jwk{}, errors.New("want an Ed25519 or an ECDSA P-256 key")
}

// thumbprint is RFC 7638's id of a key, the same wherever it is computed.
func (k *jwk) thumbprint() string {
	text := fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q}`, k.Crv, k.Kty, k.X)
	if k.Kty == "EC" {
		text = fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Crv, k.Kty, k.X, k.Y)
	}
	sum := sha256.Sum256([]byte(text))
	return tokenEncoding().EncodeToString(sum[:])
}
