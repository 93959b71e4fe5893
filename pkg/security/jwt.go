package security

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the longest JSON Web Token that is looked at, in bytes.
const MaxToken = 4096

// JWTConfig says which tokens a JWT verifier takes.
type JWTConfig struct {
	// Keys are the issuer's: a *JWKS or a *RemoteKeys, say. Required.
	Keys KeySet
	// Issuer must be the token's "iss". Required.
	Issuer string
	// Audience must be among the token's "aud", so that a token for another service is no good here. Required.
	Audience string
	// Leeway is how far the issuer's clock may be off, at "exp" and at "nbf"; 0 means 30 s. At most 10 min.
	Leeway time.Duration
	// MaxLife is the longest time from now to a token's "exp"; 0 means 24 h. Whoever remembers one-time ids has to do so
	// for that long.
	MaxLife time.Duration
	// Reusable takes tokens without a one-time id ("jti"), which are then good for many logins until they expire.
	Reusable bool
}

func (c JWTConfig) validate() (JWTConfig, error) {
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	if c.MaxLife == 0 {
		c.MaxLife = 24 * time.Hour
	}
	switch {
	case c.Keys == nil:
		return c, errors.New("no keys: nothing could verify a token")
	case c.Issuer == "" || c.Audience == "":
		return c, errors.New("issuer or audience is empty: tokens for anybody else would be taken; set both to what the login service writes")
	case c.Leeway < 0 || c.Leeway > 10*time.Minute:
		return c, fmt.Errorf("leeway of %v is not within 0 to 10 min", c.Leeway)
	case c.MaxLife < 0:
		return c, fmt.Errorf("longest life of %v is negative", c.MaxLife)
	}
	return c, nil
}

// JWT verifies JSON Web Tokens (RFC 7519) that a login service signed with EdDSA (Ed25519) or ES256, without asking it.
// What it wants of a token: a "kid" of the key set, "iss", "aud", "exp" and, unless Reusable, "jti"; "nbf" is obeyed if
// present; "sub" is the player's number in decimal, without sign or leading zeros; "name" (a string) and "rights" (an
// array of strings) may be there. A token with critical headers ("crit") is refused, since none is known here.
type JWT struct{ cfg JWTConfig }

var _ Verifier = (*JWT)(nil)

// NewJWT makes a verifier; any goroutine may use it.
func NewJWT(cfg JWTConfig) (*JWT, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("jwt config: %w", err)
	}
	return &JWT{cfg: cfg}, nil
}

// playerClaims are what is read of a token.
type playerClaims struct {
	Name   string   `json:"name,omitempty"`
	Rights []string `json:"rights,omitempty"`
	jwt.RegisteredClaims
}

// Verify implements Verifier. Nothing of a token above MaxToken bytes is looked at.
func (j *JWT) Verify(token string, now time.Time) (Identity, error) {
	id, err := j.verify(token, now)
	if err != nil {
		return Identity{}, fmt.Errorf("verify token: %w", err)
	}
	return id, nil
}

func (j *JWT) verify(token string, now time.Time) (id Identity, err error) {
	invalid := func(format string, a ...any) (Identity, error) {
		return Identity{}, fmt.Errorf("%w: %s", ErrTokenInvalid, fmt.Sprintf(format, a...))
	}
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") { // base64 skips line ends, so one token would have many forms
		return invalid("%d bytes, or line ends inside", len(token))
	}
	var claims playerClaims
	// A parser of its own for each token, because it holds the time.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{algEdDSA, algES256}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
		jwt.WithIssuer(j.cfg.Issuer), jwt.WithAudience(j.cfg.Audience), jwt.WithLeeway(j.cfg.Leeway), jwt.WithTimeFunc(func() time.Time { return now }))
	if _, err := parser.ParseWithClaims(token, &claims, j.key); err != nil {
		if expiredOnly(err) {
			return Identity{}, fmt.Errorf("%w at %v", ErrTokenExpired, claims.ExpiresAt.UTC())
		}
		return invalid("%v", err)
	}
	id = Identity{Name: claims.Name, Rights: claims.Rights, TokenID: claims.ID, Expires: claims.ExpiresAt.Add(j.cfg.Leeway).UTC()}
	if id.Player, err = strconv.ParseUint(claims.Subject, 10, 64); err != nil || strconv.FormatUint(id.Player, 10) != claims.Subject {
		return invalid("sub %.40q is no player's number in decimal", claims.Subject)
	}
	switch {
	case id.Expires.Sub(now) > j.cfg.MaxLife+2*j.cfg.Leeway:
		return invalid("exp is %v, more than %v away", claims.ExpiresAt.UTC(), j.cfg.MaxLife)
	case id.TokenID == "" && !j.cfg.Reusable:
		return invalid("no jti: it could be used again and again")
	}
	if err := id.check(); err != nil {
		return invalid("%v", err)
	}
	return id, nil
}

// key finds what a token's signature is verified with, by the token's own head, which nobody vouches for: so only kid and
// alg are read of it, and keys or addresses of keys in it (jwk, jku, x5c, x5u) mean nothing.
func (j *JWT) key(t *jwt.Token) (any, error) {
	if _, has := t.Header["crit"]; has {
		return nil, errors.New("critical headers, of which none is known")
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" || len(kid) > maxKeyID {
		return nil, fmt.Errorf("kid of %d bytes, want 1 to %d", len(kid), maxKeyID)
	}
	key, ok := j.cfg.Keys.Key(kid, t.Method.Alg())
	if !ok {
		return nil, fmt.Errorf("no key %q for %s", kid, t.Method.Alg())
	}
	return key, nil
}

// expiredOnly says whether a token is good but for its age.
func expiredOnly(err error) bool {
	for _, other := range []error{jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet, jwt.ErrTokenRequiredClaimMissing} {
		if errors.Is(err, other) {
			return false
		}
	}
	return errors.Is(err, jwt.ErrTokenExpired)
}

// SignerConfig says what the tokens of a Signer look like.
type SignerConfig struct {
	// Key signs: an ed25519.PrivateKey (EdDSA) or a *ecdsa.PrivateKey on P-256 (ES256). Required.
	Key crypto.Signer
	// KeyID is the tokens' "kid", at most 128 bytes; "" means the key's thumbprint (RFC 7638).
	KeyID string
	// Issuer and Audience are written into each token and must be what the verifiers expect. Required.
	Issuer, Audience string
}

// Signer issues the tokens that a JWT verifies. Any goroutine may use it. Its String shows nothing secret.
type Signer struct {
	cfg    SignerConfig
	method jwt.SigningMethod
	public *JWKS
}

// NewSigner makes a signer.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	fail := func(err error) (*Signer, error) { return nil, fmt.Errorf("signer config: %w", err) }
	s := &Signer{cfg: cfg}
	switch cfg.Key.(type) {
	case ed25519.PrivateKey:
		s.method = jwt.SigningMethodEdDSA
	case *ecdsa.PrivateKey:
		s.method = jwt.SigningMethodES256
	default:
		return fail(fmt.Errorf("key is a %T, want an ed25519.PrivateKey or a *ecdsa.PrivateKey", cfg.Key))
	}
	if k, ok := cfg.Key.(ed25519.PrivateKey); ok && len(k) != ed25519.PrivateKeySize {
		return fail(fmt.Errorf("key of %d bytes, want %d", len(k), ed25519.PrivateKeySize))
	}
	j, err := jwkOf(cfg.Key.Public())
	switch {
	case err != nil:
		return fail(err)
	case cfg.Issuer == "" || cfg.Audience == "":
		return fail(errors.New("issuer or audience is empty: no verifier would take the tokens"))
	case len(cfg.KeyID) > maxKeyID:
		return fail(fmt.Errorf("key id of %d bytes, want at most %d", len(cfg.KeyID), maxKeyID))
	}
	if s.cfg.KeyID == "" {
		s.cfg.KeyID = j.thumbprint()
	}
	s.public = &JWKS{keys: []publishedKey{{kid: s.cfg.KeyID, alg: s.method.Alg(), public: cfg.Key.Public()}}}
	return s, nil
}

// Issue signs an identity until now + ttl, cut to seconds; id.Expires is not read. A token without id.TokenID gets a random
// one. It refuses what Verify would refuse whatever its config: player 0, names and rights as for DevTokens.Issue.
func (s *Signer) Issue(id Identity, ttl time.Duration, now time.Time) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("issue token for player %d: %w", id.Player, err)
	}
	if id.TokenID == "" {
		id.TokenID = rand.Text()
	}
	if ttl < time.Second {
		return fail(fmt.Errorf("valid for %v, want at least a second", ttl))
	}
	if err := id.check(); err != nil {
		return fail(err)
	}
	t := jwt.NewWithClaims(s.method, playerClaims{Name: id.Name, Rights: id.Rights, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: s.cfg.Issuer, Audience: jwt.ClaimStrings{s.cfg.Audience}, Subject: strconv.FormatUint(id.Player, 10), ID: id.TokenID,
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}})
	t.Header["kid"] = s.cfg.KeyID
	token, err := t.SignedString(s.cfg.Key)
	if err != nil {
		return fail(err)
	}
	if len(token) > MaxToken {
		return fail(fmt.Errorf("token of %d bytes, verifiers take %d: shorten issuer, audience or rights", len(token), MaxToken))
	}
	return token, nil
}

// JWKS is the public half, to be published; MergeJWKS joins it with those of the signers before and after.
func (s *Signer) JWKS() *JWKS { return s.public }

// String hides the key.
func (s *Signer) String() string { return fmt.Sprintf("Signer(%s, secret)", s.cfg.KeyID) }

// GoString hides the key.
func (s *Signer) GoString() string { return s.String() }
