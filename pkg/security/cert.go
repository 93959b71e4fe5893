package security

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// What can be wrong with a key certificate.
var (
	// ErrCertSize: not exactly KeyCertSize bytes.
	ErrCertSize = errors.New("wrong size")
	// ErrCertVersion: a layout that this code does not know.
	ErrCertVersion = errors.New("unknown version")
	// ErrCertForged: the signature is not the root's.
	ErrCertForged = errors.New("not signed by the root")
	// ErrCertExpired: its time is over.
	ErrCertExpired = errors.New("expired")
	// ErrCertNotYetValid: its time has not come; most often a wrong clock.
	ErrCertNotYetValid = errors.New("not yet valid")
	// ErrCertSuite: the key may not be used with the suite.
	ErrCertSuite = errors.New("not for this suite")
)

// KeyCertSize is the size of an encoded KeyCert, in bytes.
const KeyCertSize = certBodySize + ed25519.SignatureSize

const (
	certVersion  = 1
	certBodySize = 1 + 4 + keySize + 8 + 8 + 2
	certLabel    = "GW1-keycert"
)

// Root is the offline Ed25519 key that certifies server keys; clients pin its public half. Production keeps it away from
// gateways. Its String shows nothing secret.
type Root struct {
	private ed25519.PrivateKey
}

// NewRoot draws a root from rand (nil: the system's randomness).
func NewRoot(rand io.Reader) (Root, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(randomOr(rand), seed); err != nil {
		return Root{}, fmt.Errorf("draw root key: %w", err)
	}
	return RootFromSeed(seed)
}

// RootFromSeed restores the root whose Seed was stored.
func RootFromSeed(seed []byte) (Root, error) {
	if len(seed) != ed25519.SeedSize {
		return Root{}, fmt.Errorf("restore root key: seed of %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	return Root{private: ed25519.NewKeyFromSeed(seed)}, nil
}

// Seed is the secret of the root, 32 bytes, for storage.
func (r Root) Seed() []byte { return r.private.Seed() }

// Public is what clients pin.
func (r Root) Public() ed25519.PublicKey { return r.private.Public().(ed25519.PublicKey) }

// String hides the key.
func (r Root) String() string { return "Root(secret)" }

// GoString hides the key.
func (r Root) GoString() string { return r.String() }

// Issue draws a server key from rand (nil: the system's randomness) and certifies it for both suites within the given
// times, which are cut to seconds; both ends belong to the validity.
func (r Root) Issue(rand io.Reader, keyID uint32, notBefore, notAfter time.Time) (ServerKey, error) {
	fail := func(err error) (ServerKey, error) {
		return ServerKey{}, fmt.Errorf("issue server key %d: %w", keyID, err)
	}
	if len(r.private) != ed25519.PrivateKeySize {
		return fail(errors.New("the root is empty"))
	}
	if notBefore.Unix() < 0 || !notAfter.After(notBefore) {
		return fail(fmt.Errorf("validity from %v to %v", notBefore, notAfter))
	}
	private := make([]byte, keySize)
	if _, err := io.ReadFull(randomOr(rand), private); err != nil {
		return fail(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return fail(err)
	}
	cert := KeyCert{
		KeyID: keyID, Public: [keySize]byte(key.PublicKey().Bytes()),
		NotBefore: uint64(notBefore.Unix()), NotAfter: uint64(notAfter.Unix()),
		Suites: 1<<(SuiteNK-1) | 1<<(SuiteNKpsk2-1),
	}
	cert.Signature = [ed25519.SignatureSize]byte(ed25519.Sign(r.private, cert.signed()))
	return NewServerKey(cert, private)
}

// KeyCert says that the root vouches for a server's static key. Compare two with ==.
type KeyCert struct {
	KeyID     uint32
	Public    [keySize]byte // X25519
	NotBefore uint64        // s since 1970, inclusive
	NotAfter  uint64        // s since 1970, inclusive
	Suites    uint16        // bit n-1: suite n
	Signature [ed25519.SignatureSize]byte
}

// Marshal encodes the certificate; numbers are little-endian.
//
//	version u8 =1 | key_id u32 | public (32) | not_before u64 | not_after u64 | suites u16 | signature (64)      119 bytes
//	signature = Ed25519(root, "GW1-keycert" ‖ all bytes before the signature)
func (c KeyCert) Marshal() []byte {
	return append(c.appendBody(make([]byte, 0, KeyCertSize)), c.Signature[:]...)
}

func (c KeyCert) appendBody(b []byte) []byte {
	b = append(b, certVersion)
	b = binary.LittleEndian.AppendUint32(b, c.KeyID)
	b = append(b, c.Public[:]...)
	b = binary.LittleEndian.AppendUint64(b, c.NotBefore)
	b = binary.LittleEndian.AppendUint64(b, c.NotAfter)
	return binary.LittleEndian.AppendUint16(b, c.Suites)
}

func (c KeyCert) signed() []byte { return c.appendBody([]byte(certLabel)) }

// ParseKeyCert decodes a certificate. It proves nothing: Verify does.
func ParseKeyCert(b []byte) (KeyCert, error) {
	if len(b) != KeyCertSize {
		return KeyCert{}, fmt.Errorf("parse key certificate of %d bytes: %w", len(b), ErrCertSize)
	}
	if b[0] != certVersion {
		return KeyCert{}, fmt.Errorf("parse key certificate of version %d: %w", b[0], ErrCertVersion)
	}
	return KeyCert{
		KeyID:     binary.LittleEndian.Uint32(b[1:]),
		Public:    [keySize]byte(b[5:]),
		NotBefore: binary.LittleEndian.Uint64(b[37:]),
		NotAfter:  binary.LittleEndian.Uint64(b[45:]),
		Suites:    binary.LittleEndian.Uint16(b[53:]),
		Signature: [ed25519.SignatureSize]byte(b[certBodySize:]),
	}, nil
}

// Verify reports why the certificate must not be used at now: one of the ErrCert sentinels, or nil.
func (c KeyCert) Verify(root ed25519.PublicKey, now time.Time) error {
	switch {
	case len(root) != ed25519.PublicKeySize:
		return fmt.Errorf("verify key certificate %d: root key of %d bytes, want %d", c.KeyID, len(root), ed25519.PublicKeySize)
	case !ed25519.Verify(root, c.signed(), c.Signature[:]):
		return fmt.Errorf("verify key certificate %d: %w", c.KeyID, ErrCertForged)
	case !c.Allows(SuiteNK):
		return fmt.Errorf("verify key certificate %d: suites %#x: %w", c.KeyID, c.Suites, ErrCertSuite)
	case now.Unix() < 0 || uint64(now.Unix()) < c.NotBefore:
		return fmt.Errorf("verify key certificate %d: %w: from %v, now %v", c.KeyID, ErrCertNotYetValid, second(c.NotBefore), now.UTC())
	case uint64(now.Unix()) > c.NotAfter:
		return fmt.Errorf("verify key certificate %d: %w: until %v, now %v", c.KeyID, ErrCertExpired, second(c.NotAfter), now.UTC())
	}
	return nil
}

// Allows says whether the root let the key be used with a suite. A client resumes only under a certificate that allows
// SuiteNKpsk2.
func (c KeyCert) Allows(suite uint8) bool {
	return suite >= 1 && suite <= 16 && c.Suites&(1<<(suite-1)) != 0
}

func second(s uint64) time.Time { return time.Unix(int64(min(s, math.MaxInt64)), 0).UTC() }

// ServerKey is a static key of a server with its certificate. Its String shows nothing secret.
type ServerKey struct {
	cert    KeyCert
	private parsedKey // empty in the zero value, which stands for "no key"
}

// NewServerKey joins a stored private key (32 bytes) with its certificate and refuses a pair that does not match.
func NewServerKey(cert KeyCert, private []byte) (ServerKey, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return ServerKey{}, fmt.Errorf("load server key %d: %w", cert.KeyID, err)
	}
	if [keySize]byte(key.PublicKey().Bytes()) != cert.Public {
		return ServerKey{}, fmt.Errorf("load server key %d: private key is not the certificate's", cert.KeyID)
	}
	return ServerKey{cert: cert, private: parsedKey{raw: key.Bytes(), key: key}}, nil
}

// Cert is the public part.
func (k ServerKey) Cert() KeyCert { return k.cert }

// Private returns a copy of the secret, 32 bytes, for storage.
func (k ServerKey) Private() []byte { return append([]byte(nil), k.private.raw...) }

// IsZero says that there is no key.
func (k ServerKey) IsZero() bool { return len(k.private.raw) == 0 }

// String hides the key.
func (k ServerKey) String() string { return fmt.Sprintf("ServerKey(%d, secret)", k.cert.KeyID) }

// GoString hides the key.
func (k ServerKey) GoString() string { return k.String() }
