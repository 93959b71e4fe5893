package security

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/flynn/noise"
)

// ServerConfig is what a server's handshakes have in common. It is read only, so that all connections share one.
type ServerConfig struct {
	// Current is the key that clients shall use; its certificate is sent to those that use an unknown one.
	Current ServerKey
	// Previous is accepted until its certificate expires; the zero value accepts no other key.
	Previous ServerKey
	// Realm separates installations that share a root: both sides must name the same. At most 255 bytes, may be empty.
	Realm string
	// Subprotocol of the WebSocket; "" means DefaultSubprotocol. At most 255 bytes.
	Subprotocol string
	// SchemaHash is the server's; clients learn it in the handshake.
	SchemaHash [8]byte
	// VersionMin and VersionMax are the protocol versions that the server speaks; both 0 means 1 to 1.
	VersionMin, VersionMax uint8
	// RecordMax is the largest record either side may send, in bytes; 0 means 64 KiB. 1 KiB to 16 MiB.
	RecordMax uint32
	// IdleTimeout is the silence after which the server closes a connection; 0 means 30 s. 1 ms to 49 days.
	IdleTimeout time.Duration
	// RekeyRecords is the number of records after which a direction changes its key; 0 means 2^16.
	RekeyRecords uint32
	// RekeyBytes is the number of plaintext bytes after which a direction changes its key; 0 means 2^26.
	RekeyBytes uint32
	// Rand gives ephemeral keys and connection ids; nil means the system's randomness. Anything else must be safe for
	// all goroutines that accept.
	Rand io.Reader
}

// Validate reports contradictions; Accept refuses every client under a config that has one. Call it at start.
func (c ServerConfig) Validate() error {
	_, err := c.validate()
	return err
}

func (c ServerConfig) validate() (ServerConfig, error) {
	if c.Subprotocol == "" {
		c.Subprotocol = DefaultSubprotocol
	}
	if c.VersionMin == 0 && c.VersionMax == 0 {
		c.VersionMin, c.VersionMax = protocolVersion, protocolVersion
	}
	if c.RecordMax == 0 {
		c.RecordMax = 64 << 10
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 30 * time.Second
	}
	if c.RekeyRecords == 0 {
		c.RekeyRecords = 1 << 16
	}
	if c.RekeyBytes == 0 {
		c.RekeyBytes = 1 << 26
	}
	c.Rand = randomOr(c.Rand)
	switch {
	case c.Current.IsZero():
		return c, errors.New("security config: no current server key")
	case !c.Previous.IsZero() && c.Previous.cert.KeyID == c.Current.cert.KeyID:
		return c, fmt.Errorf("security config: current and previous server key have the same id %d", c.Current.cert.KeyID)
	case len(c.Realm) > 255 || len(c.Subprotocol) > 255:
		return c, errors.New("security config: realm or subprotocol above 255 bytes")
	case c.VersionMin == 0 || c.VersionMin > c.VersionMax:
		return c, fmt.Errorf("security config: versions %d to %d", c.VersionMin, c.VersionMax)
	case c.RecordMax < 1<<10 || c.RecordMax > 16<<20:
		return c, fmt.Errorf("security config: record maximum of %d bytes is not within 1 KiB to 16 MiB", c.RecordMax)
	case c.IdleTimeout < time.Millisecond || c.IdleTimeout > math.MaxUint32*time.Millisecond:
		return c, fmt.Errorf("security config: idle timeout of %v is not within 1 ms to 49 days", c.IdleTimeout)
	}
	return c, nil
}

// ClientInfo is what a server knows of a client after the handshake. The client is not authenticated: anyone can send an
// HS1, or send one again, so nothing durable may follow from it before the first sealed record opens.
type ClientInfo struct {
	KeyID                  uint32 // the server key that it used
	VersionMin, VersionMax uint8
	Version                uint8 // chosen
	SchemaHash             [8]byte
	SchemaMatches          bool     // false: another schema, which may be compatible
	ConnectionID           [16]byte // drawn by the server
}

// Accept answers the first record of a client with the record to send back and the session that follows. The error is
// always a *Reject: send its Bytes and close. hs1 is not kept. Nothing is computed for records of a wrong size.
func Accept(cfg *ServerConfig, hs1 []byte, now time.Time) (hs2 []byte, s *Session, info ClientInfo, err error) {
	c, err := cfg.validate()
	if err != nil {
		return nil, nil, ClientInfo{}, newReject(RejectBusy, err)
	}
	info, key, reject := c.judge(hs1, now)
	if reject != nil {
		return nil, nil, ClientInfo{}, reject
	}
	if hs2, s, err = c.respond(hs1, key, &info, now); err != nil {
		var r *Reject
		if !errors.As(err, &r) {
			r = newReject(RejectBusy, err)
		}
		return nil, nil, ClientInfo{}, r
	}
	return hs2, s, info, nil
}

// judge reads the clear head of an HS1 and refuses whatever can be refused without a scalar multiplication.
//
//	0x40 | suite u8 | key_id u32 | version_min u8 | version_max u8 | noise message 1 (72)      80 bytes
func (c *ServerConfig) judge(hs1 []byte, now time.Time) (info ClientInfo, key ServerKey, reject *Reject) {
	if len(hs1) < 2 || len(hs1) > MaxHandshake || hs1[0] != RecordHS1 {
		return info, key, newReject(RejectMalformed, fmt.Errorf("first record of %d bytes: %w", len(hs1), ErrHandshake))
	}
	if hs1[1] != SuiteNK {
		return info, key, newReject(RejectSuite, fmt.Errorf("suite %d: %w", hs1[1], ErrHandshake))
	}
	if len(hs1) != HS1Size {
		return info, key, newReject(RejectMalformed, fmt.Errorf("first record of %d bytes, want %d: %w", len(hs1), HS1Size, ErrHandshake))
	}
	info.KeyID = binary.LittleEndian.Uint32(hs1[2:])
	info.VersionMin, info.VersionMax = hs1[6], hs1[7]
	if info.VersionMin > info.VersionMax {
		return info, key, newReject(RejectMalformed, fmt.Errorf("versions %d to %d: %w", hs1[6], hs1[7], ErrHandshake))
	}
	info.Version = min(info.VersionMax, c.VersionMax)
	if info.Version < info.VersionMin || info.Version < c.VersionMin {
		err := fmt.Errorf("client speaks versions %d to %d, server %d to %d: %w", hs1[6], hs1[7], c.VersionMin, c.VersionMax, ErrHandshake)
		return info, key, newReject(RejectVersion, err, c.VersionMin, c.VersionMax)
	}
	switch {
	case info.KeyID == c.Current.cert.KeyID:
		return info, c.Current, nil
	case !c.Previous.IsZero() && info.KeyID == c.Previous.cert.KeyID && now.Unix() >= 0 && uint64(now.Unix()) <= c.Previous.cert.NotAfter:
		return info, c.Previous, nil
	}
	return info, key, newReject(RejectKeyUnknown, fmt.Errorf("key id %d: %w", info.KeyID, ErrHandshake), c.Current.cert.Marshal()...)
}

// respond does the Noise part: reads message 1, writes message 2, splits the keys.
func (c *ServerConfig) respond(hs1 []byte, key ServerKey, info *ClientInfo, now time.Time) ([]byte, *Session, error) {
	hs, err := newNoise(noise.Config{
		StaticKeypair: noise.DHKey{Private: key.private.raw, Public: key.cert.Public[:]},
		Prologue:      prologue(info.VersionMin, info.VersionMax, info.KeyID, c.Subprotocol, c.Realm),
		Random:        c.Rand,
	}, key.private)
	if err != nil {
		return nil, nil, fmt.Errorf("start handshake: %w", err)
	}
	payload1, _, _, err := hs.ReadMessage(nil, hs1[hs1HeadSize:])
	if err != nil {
		return nil, nil, newReject(RejectMalformed, fmt.Errorf("%w: %w", ErrHandshake, err))
	}
	info.SchemaHash = [8]byte(payload1[16:])
	info.SchemaMatches = info.SchemaHash == c.SchemaHash
	if _, err := io.ReadFull(c.Rand, info.ConnectionID[:]); err != nil {
		return nil, nil, fmt.Errorf("draw connection id: %w", err)
	}
	hs2 := append(make([]byte, 0, HS2Size), RecordHS2)
	hs2, c2s, s2c, err := hs.WriteMessage(hs2, c.payload2(info, now))
	if err != nil {
		return nil, nil, fmt.Errorf("answer handshake: %w", err)
	}
	s, err := newSession(s2c.UnsafeKey(), c2s.UnsafeKey(), limits{records: c.RekeyRecords, bytes: c.RekeyBytes})
	return hs2, s, err
}

// payload2 is what the server says under the handshake's key; numbers are little-endian.
//
//	version u8 | flags u8 =0 | schema hash (8) | server time u64 µs since 1970 | connection id (16)
//	| record_max u32 | idle_timeout_ms u32 | rekey_records u32 | rekey_bytes u32                          50 bytes
func (c *ServerConfig) payload2(info *ClientInfo, now time.Time) []byte {
	b := append(make([]byte, 0, payload2Size), info.Version, 0)
	b = append(b, c.SchemaHash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(now.UnixMicro()))
	b = append(b, info.ConnectionID[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.RecordMax)
	b = binary.LittleEndian.AppendUint32(b, uint32(c.IdleTimeout/time.Millisecond))
	b = binary.LittleEndian.AppendUint32(b, c.RekeyRecords)
	return binary.LittleEndian.AppendUint32(b, c.RekeyBytes)
}
