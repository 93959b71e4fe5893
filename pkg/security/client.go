package security

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/flynn/noise"
)

// ErrHandshake: a handshake record that is malformed, forged, or not meant for this handshake.
var ErrHandshake = errors.New("bad handshake record")

// ClientConfig is what a client needs to know of a server before it connects.
type ClientConfig struct {
	// Root is the pinned public key that Cert must be signed with.
	Root ed25519.PublicKey
	// Cert is the server's key, from a login service or built in.
	Cert KeyCert
	// Realm and Subprotocol must be the server's; Subprotocol "" means DefaultSubprotocol.
	Realm, Subprotocol string
	// SchemaHash is the client's.
	SchemaHash [8]byte
	// VersionMin and VersionMax are the protocol versions that the client speaks; both 0 means the one of this package.
	VersionMin, VersionMax uint8
	// Resume is the ticket of a session to take up again; nil starts a new one. Cert must allow SuiteNKpsk2 for it.
	Resume *Resumption
	// Now is the client's time, for the certificate's validity.
	Now time.Time
	// Rand gives the ephemeral key; nil means the system's randomness.
	Rand io.Reader
}

// Resumption is what a server gave a session to come back with.
type Resumption struct {
	Ticket []byte   // opaque, 1 to MaxTicket bytes
	Secret [32]byte // came with the ticket; never sent
}

// String hides the secret.
func (r Resumption) String() string {
	return fmt.Sprintf("Resumption(%d bytes, secret)", len(r.Ticket))
}

// GoString hides the secret.
func (r Resumption) GoString() string { return r.String() }

func (r *Resumption) check(cert KeyCert) error {
	switch {
	case len(r.Ticket) == 0 || len(r.Ticket) > MaxTicket:
		return fmt.Errorf("ticket of %d bytes, want 1 to %d", len(r.Ticket), MaxTicket)
	case r.Secret == [32]byte{}:
		return errors.New("the ticket's secret is missing: it came in the message with the ticket")
	case !cert.Allows(SuiteNKpsk2):
		return fmt.Errorf("resume with key certificate %d: suites %#x: %w", cert.KeyID, cert.Suites, ErrCertSuite)
	}
	return nil
}

func (c ClientConfig) validate() (ClientConfig, error) {
	if c.Subprotocol == "" {
		c.Subprotocol = DefaultSubprotocol
	}
	if c.VersionMin == 0 && c.VersionMax == 0 {
		c.VersionMin, c.VersionMax = protocolVersion, protocolVersion
	}
	c.Rand = randomOr(c.Rand)
	switch {
	case len(c.Realm) > 255 || len(c.Subprotocol) > 255:
		return c, errors.New("realm or subprotocol above 255 bytes")
	case c.VersionMin == 0 || c.VersionMin > c.VersionMax:
		return c, fmt.Errorf("versions %d to %d", c.VersionMin, c.VersionMax)
	}
	if err := c.Cert.Verify(c.Root, c.Now); err != nil || c.Resume == nil {
		return c, err
	}
	return c, c.Resume.check(c.Cert)
}

// suite is what the handshake will use, and the secret and ticket that belong to it.
func (c *ClientConfig) suite() (suite uint8, secret, ticket []byte) {
	if c.Resume == nil {
		return SuiteNK, nil, nil
	}
	return SuiteNKpsk2, c.Resume.Secret[:], c.Resume.Ticket
}

// ServerInfo is what a client knows of the server after the handshake.
type ServerInfo struct {
	Version       uint8 // chosen by the server
	SchemaHash    [8]byte
	SchemaMatches bool      // false: another schema; the server closes with code 4505, or tells its layout if they are compatible
	Time          time.Time // the server's clock when it read the first record, UTC, whole µs
	ConnectionID  [16]byte
	RecordMax     uint32 // bytes of a record, both ways
	IdleTimeout   time.Duration
	RekeyRecords  uint32
	RekeyBytes    uint32 // of plaintext
	// AckEvery is the number of numbered messages after which the client acknowledges; AckAfter is the time after the
	// first unacknowledged one. Whichever is first counts.
	AckEvery uint16
	AckAfter time.Duration
	// Resumes says that the handshake took up a session again: the first frame must be the control frame RESUME.
	Resumes bool
}

// ClientHandshake waits for the server's answer. One goroutine uses it, once.
type ClientHandshake struct {
	cfg   ClientConfig
	noise *noise.HandshakeState // nil: finished
}

// NewClient verifies the server's certificate and returns the record to send first. The error is one of the ErrCert
// sentinels wrapped, or a fault of the config.
func NewClient(cfg ClientConfig) (h *ClientHandshake, hs1 []byte, err error) {
	fail := func(err error) (*ClientHandshake, []byte, error) {
		return nil, nil, fmt.Errorf("start handshake: %w", err)
	}
	if cfg, err = cfg.validate(); err != nil {
		return fail(err)
	}
	suite, secret, ticket := cfg.suite()
	hs, err := newNoise(suite, noise.Config{
		Initiator:    true,
		PeerStatic:   cfg.Cert.Public[:],
		Prologue:     prologue(suite, cfg.VersionMin, cfg.VersionMax, cfg.Cert.KeyID, cfg.Subprotocol, cfg.Realm),
		Random:       cfg.Rand,
		PresharedKey: secret,
	}, parsedKey{})
	if err != nil {
		return fail(err)
	}
	payload1 := make([]byte, 16, payload1Size+MaxTicket) // 16 random bytes | schema hash (8) | ticket
	if _, err := io.ReadFull(cfg.Rand, payload1); err != nil {
		return fail(err)
	}
	payload1 = append(append(payload1, cfg.SchemaHash[:]...), ticket...)
	hs1 = append(make([]byte, 0, HS1Size+len(ticket)), RecordHS1, suite)
	hs1 = binary.LittleEndian.AppendUint32(hs1, cfg.Cert.KeyID)
	hs1 = append(hs1, cfg.VersionMin, cfg.VersionMax)
	if hs1, _, _, err = hs.WriteMessage(hs1, payload1); err != nil {
		return fail(err)
	}
	return &ClientHandshake{cfg: cfg, noise: hs}, hs1, nil
}

// Finish reads the server's answer. A refusal is a *Reject, anything that is no valid answer wraps ErrHandshake; either
// way the handshake is over and a new one is needed. record is not kept.
func (h *ClientHandshake) Finish(record []byte) (*Session, ServerInfo, error) {
	s, info, err := h.finish(record)
	if err != nil {
		return nil, ServerInfo{}, fmt.Errorf("finish handshake: %w", err)
	}
	return s, info, nil
}

func (h *ClientHandshake) finish(record []byte) (*Session, ServerInfo, error) {
	hs := h.noise
	h.noise = nil
	switch {
	case hs == nil:
		return nil, ServerInfo{}, fmt.Errorf("already finished: %w", ErrHandshake)
	case len(record) > 0 && record[0] == RecordReject:
		return nil, ServerInfo{}, h.rejected(record)
	case len(record) != HS2Size || record[0] != RecordHS2:
		return nil, ServerInfo{}, fmt.Errorf("answer of %d bytes, want %d: %w", len(record), HS2Size, ErrHandshake)
	}
	payload2, c2s, s2c, err := hs.ReadMessage(nil, record[1:])
	if err != nil {
		return nil, ServerInfo{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	info, err := h.cfg.parsePayload2(payload2)
	if err != nil {
		return nil, ServerInfo{}, err
	}
	s, err := newSession(c2s.UnsafeKey(), s2c.UnsafeKey(), limits{records: info.RekeyRecords, bytes: info.RekeyBytes})
	return s, info, err
}

// parsePayload2 reads what (*ServerConfig).payload2 draws.
func (c *ClientConfig) parsePayload2(b []byte) (ServerInfo, error) {
	if len(b) != payload2Size {
		return ServerInfo{}, fmt.Errorf("server parameters of %d bytes: %w", len(b), ErrHandshake)
	}
	le := binary.LittleEndian
	info := ServerInfo{
		Version:      b[0],
		SchemaHash:   [8]byte(b[2:]),
		Time:         time.UnixMicro(int64(le.Uint64(b[10:]))).UTC(),
		ConnectionID: [16]byte(b[18:]),
		RecordMax:    le.Uint32(b[34:]),
		IdleTimeout:  time.Duration(le.Uint32(b[38:])) * time.Millisecond,
		RekeyRecords: le.Uint32(b[42:]),
		RekeyBytes:   le.Uint32(b[46:]),
		AckEvery:     le.Uint16(b[50:]),
		AckAfter:     time.Duration(le.Uint16(b[52:])) * time.Millisecond,
		Resumes:      c.Resume != nil,
	}
	info.SchemaMatches = info.SchemaHash == c.SchemaHash
	switch {
	case info.Version < c.VersionMin || info.Version > c.VersionMax:
		return info, fmt.Errorf("server chose version %d of %d to %d: %w", info.Version, c.VersionMin, c.VersionMax, ErrHandshake)
	case b[1] != 0:
		return info, fmt.Errorf("server flags %#x: %w", b[1], ErrHandshake)
	case info.RecordMax <= Overhead || info.IdleTimeout == 0 || info.RekeyRecords == 0 || info.RekeyBytes == 0 ||
		info.AckEvery == 0 || info.AckAfter == 0:
		return info, fmt.Errorf("server parameters of 0: %w", ErrHandshake)
	}
	return info, nil
}

// rejected judges a refusal. A certificate in it is worth nothing until the pinned root says otherwise, and an older key
// than the one that the client has is not taken, or a stolen retired key would come back.
func (h *ClientHandshake) rejected(record []byte) error {
	r, err := parseReject(record)
	if err != nil {
		return err
	}
	if r.Code != RejectKeyUnknown {
		return r
	}
	cert, err := ParseKeyCert(record[3:])
	if err == nil {
		err = cert.Verify(h.cfg.Root, h.cfg.Now)
	}
	switch {
	case err != nil:
		r.Err = err
	case cert.KeyID == h.cfg.Cert.KeyID:
		r.Err = fmt.Errorf("the server offers the key %d that it refused: %w", cert.KeyID, ErrHandshake)
	case cert.NotBefore < h.cfg.Cert.NotBefore:
		r.Err = fmt.Errorf("the server offers the older key %d: %w", cert.KeyID, ErrHandshake)
	default:
		r.Cert = &cert
	}
	return r
}
