package security

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"
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
	// VersionMin and VersionMax are the protocol versions that the server speaks; both 0 means the one of this package.
	VersionMin, VersionMax uint8
	// RecordMax is the largest record either side may send, in bytes; 0 means 64 KiB. 1 KiB to 16 MiB.
	RecordMax uint32
	// IdleTimeout is the silence after which the server closes a connection; 0 means 30 s. 1 ms to 49 days.
	IdleTimeout time.Duration
	// RekeyRecords is the number of records after which a direction changes its key; 0 means 2^16.
	RekeyRecords uint32
	// RekeyBytes is the number of plaintext bytes after which a direction changes its key; 0 means 2^26.
	RekeyBytes uint32
	// AckEvery is the number of numbered messages after which a client acknowledges; 0 means 16.
	AckEvery uint16
	// AckAfter is the time after the first unacknowledged message when a client acknowledges at the latest; 0 means
	// 100 ms. 1 ms to 65.535 s, cut to ms.
	AckAfter time.Duration
	// Rand gives ephemeral keys and connection ids; nil means the system's randomness. Anything else must be safe for
	// all goroutines that begin handshakes.
	Rand io.Reader
}

// Validate reports contradictions; Begin refuses every client under a config that has one. Call it at start.
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
	if c.AckEvery == 0 {
		c.AckEvery = 16
	}
	if c.AckAfter == 0 {
		c.AckAfter = 100 * time.Millisecond
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
	case c.AckAfter < time.Millisecond || c.AckAfter > math.MaxUint16*time.Millisecond:
		return c, fmt.Errorf("security config: acknowledgement time of %v is not within 1 ms to 65.535 s", c.AckAfter)
	}
	return c, nil
}
