package security

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	// ErrTokenInvalid: malformed, or not signed by the verifier's issuer. Which one is not told.
	ErrTokenInvalid = errors.New("token is not valid")
	// ErrTokenExpired: it was good once.
	ErrTokenExpired = errors.New("token has expired")
)

// Identity is who a token says that a player is.
type Identity struct {
	Player uint64   // never 0
	Name   string   // shown to others; valid UTF-8
	Rights []string // what the session may do beyond playing, in the issuer's order
	// TokenID is the token's one-time id, printable, at most MaxTokenID bytes: whoever keeps the sessions must refuse it
	// the second time. "" means that the token may be used again until it expires.
	TokenID string
	// Expires is when every verifier refuses the token, leeway included, UTC; a remembered TokenID may be forgotten then.
	// Zero means that it is not known.
	Expires time.Time
}

// check refuses an identity that no token may carry.
func (id *Identity) check() error {
	switch {
	case id.Player == 0:
		return errors.New("player 0 is nobody")
	case len(id.Name) > MaxTokenName || !utf8.ValidString(id.Name):
		return fmt.Errorf("name of %d bytes is no UTF-8 or above %d bytes", len(id.Name), MaxTokenName)
	case len(id.Rights) > MaxTokenRights:
		return fmt.Errorf("%d rights, want at most %d", len(id.Rights), MaxTokenRights)
	case len(id.TokenID) > MaxTokenID || strings.ContainsFunc(id.TokenID, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("one-time id of %d bytes is not printable ASCII or above %d bytes", len(id.TokenID), MaxTokenID)
	}
	for _, right := range id.Rights {
		if right == "" || len(right) > MaxTokenRight || !utf8.ValidString(right) {
			return fmt.Errorf("right %q is empty, no UTF-8 or above %d bytes", right, MaxTokenRight)
		}
	}
	return nil
}

// Verifier is the seam between a gateway and a login system: it says whose token this is. Verify is called by many
// goroutines, must bound its work by the token's length, and must not block for long. Errors wrap ErrTokenInvalid or
// ErrTokenExpired; what else they say is for the log. That a token is used once only is not the Verifier's business: it
// hands out Identity.TokenID for that.
type Verifier interface {
	Verify(token string, now time.Time) (Identity, error)
}

// Bounds of what a token says, in bytes and pieces.
const (
	MaxTokenName   = 64
	MaxTokenRights = 16
	MaxTokenRight  = 32
	MaxTokenID     = 128

	minTokenSecret = 16
	tokenVersion   = "dev2"
	tokenLabel     = "tianxia development token\x00"
	maxTokenBody   = 8 + 8 + 1 + MaxTokenName + 1 + MaxTokenRights*(1+MaxTokenRight) + 1 + MaxTokenID
)

// DevTokens issues and verifies tokens FOR DEVELOPMENT ONLY: whoever verifies can also issue, a token cannot be revoked, and
// nothing binds it to a gateway. Production puts another Verifier in its place.
type DevTokens struct {
	// Secret is shared by issuer and verifier, at least 16 bytes.
	Secret []byte
	// Reusable lets Issue leave out the one-time id, so that a token is good for many logins until it expires.
	Reusable bool
}

var _ Verifier = DevTokens{}

// Issue signs an identity until now + ttl, cut to seconds; id.Expires is not read. A token without id.TokenID gets a random
// one, unless d is Reusable. It refuses what Verify would refuse: player 0, a name above MaxTokenName bytes or no UTF-8,
// more than MaxTokenRights rights, a right that is empty or above MaxTokenRight bytes, an id above MaxTokenID bytes.
//
//	token = "dev2." ‖ base64url(body) ‖ "." ‖ base64url(HMAC-SHA256(secret, label ‖ all before the last point))
//	body  = expires u64 s | player u64 | len u8 | name | count u8 | count × (len u8 | right)
//	      | len u8 | one-time id                                                                      little-endian
func (d DevTokens) Issue(id Identity, ttl time.Duration, now time.Time) (string, error) {
	if id.TokenID == "" && !d.Reusable {
		id.TokenID = rand.Text()
	}
	if err := d.check(id, ttl); err != nil {
		return "", fmt.Errorf("issue development token for player %d: %w", id.Player, err)
	}
	body := binary.LittleEndian.AppendUint64(make([]byte, 0, maxTokenBody), uint64(now.Add(ttl).Unix()))
	body = binary.LittleEndian.AppendUint64(body, id.Player)
	body = append(append(body, byte(len(id.Name))), id.Name...)
	body = append(body, byte(len(id.Rights)))
	for _, right := range id.Rights {
		body = append(append(body, byte(len(right))), right...)
	}
	body = append(append(body, byte(len(id.TokenID))), id.TokenID...)
	signed := tokenVersion + "." + tokenEncoding().EncodeToString(body)
	return signed + "." + tokenEncoding().EncodeToString(d.mac(signed)), nil
}

func (d DevTokens) check(id Identity, ttl time.Duration) error {
	switch {
	case len(d.Secret) < minTokenSecret:
		return fmt.Errorf("secret of %d bytes, want at least %d", len(d.Secret), minTokenSecret)
	case ttl < time.Second:
		return fmt.Errorf("valid for %v, want at least a second", ttl)
	}
	return id.check()
}

// Verify implements Verifier. The signature is compared in constant time and before anything inside is read.
func (d DevTokens) Verify(token string, now time.Time) (Identity, error) {
	id, err := d.verify(token, now)
	if err != nil {
		return Identity{}, fmt.Errorf("verify development token: %w", err)
	}
	return id, nil
}

func (d DevTokens) verify(token string, now time.Time) (Identity, error) {
	encoding := tokenEncoding()
	limit := len(tokenVersion) + 2 + encoding.EncodedLen(maxTokenBody) + encoding.EncodedLen(sha256.Size)
	if len(d.Secret) < minTokenSecret || len(token) > limit || strings.ContainsAny(token, "\r\n") { // base64 skips line ends
		return Identity{}, ErrTokenInvalid
	}
	point := strings.LastIndexByte(token, '.')
	if point < 0 {
		return Identity{}, ErrTokenInvalid
	}
	signed := token[:point]
	mac, err := encoding.DecodeString(token[point+1:])
	if err != nil || !hmac.Equal(mac, d.mac(signed)) {
		return Identity{}, ErrTokenInvalid
	}
	encoded, ok := strings.CutPrefix(signed, tokenVersion+".")
	if !ok {
		return Identity{}, ErrTokenInvalid
	}
	body, err := encoding.DecodeString(encoded)
	if err != nil {
		return Identity{}, ErrTokenInvalid
	}
	id, ok := parseTokenBody(body)
	if !ok || id.check() != nil {
		return Identity{}, ErrTokenInvalid
	}
	if !now.Before(id.Expires) {
		return Identity{}, ErrTokenExpired
	}
	return id, nil
}

// parseTokenBody reads the body that Issue draws; it is called for signed bytes only and trusts them no more than others.
func parseTokenBody(b []byte) (id Identity, ok bool) {
	if len(b) < 8+8+1+1+1 {
		return id, false
	}
	id.Expires = second(binary.LittleEndian.Uint64(b))
	id.Player = binary.LittleEndian.Uint64(b[8:])
	id.Name, b, ok = cutString(b[16:])
	if !ok || len(b) == 0 || b[0] > MaxTokenRights {
		return id, false
	}
	count, b := int(b[0]), b[1:]
	for range count {
		var right string
		if right, b, ok = cutString(b); !ok {
			return id, false
		}
		id.Rights = append(id.Rights, right)
	}
	id.TokenID, b, ok = cutString(b)
	return id, ok && len(b) == 0
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	end := 1 + int(b[0])
	return string(b[1:end]), b[end:], true
}

func (d DevTokens) mac(signed string) []byte {
	h := hmac.New(sha256.New, d.Secret)
	h.Write([]byte(tokenLabel))
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// tokenEncoding has one form for each token: no padding, no loose bits at the end.
func tokenEncoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// String hides the secret.
func (d DevTokens) String() string { return "DevTokens(secret)" }

// GoString hides the secret.
func (d DevTokens) GoString() string { return d.String() }
