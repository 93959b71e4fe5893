package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Config describes a gateway. Connect, Security.Current and Verifier are needed; other zero fields take their default.
type Config struct {
	// Connect joins the gateway to a server: Attach of a server of this process, or a dial to one elsewhere. Whenever there is no server it is called, one call at a time, with
	// pauses of up to a second, until it succeeds; it must end with ctx. The gateway closes the link.
	Connect  func(ctx context.Context) (link.Link, error)
	Security security.ServerConfig // SchemaHash is the server's, RecordMax and IdleTimeout count here too
	Verifier security.Verifier     // of login tokens
	Network  network.Config        // Trusted are the proxies; Subprotocol, Text, CloseCode, OnDrain and Pool are set by the gateway
	Replica  replica.Config        // of each client's state frames

	MaxConnections   int           // beyond which an upgrade is answered with 503; default 20,000
	HandshakeTimeout time.Duration // from the upgrade to the client's handshake record; default 5 s
	LoginTimeout     time.Duration // from there to an accepted login; default 10 s
	QueueBytes       int           // frames waiting per connection, beyond which it is a slow consumer; default 256 KiB
	QueueAge         time.Duration // of the frame that has waited longest, at which the connection is one too; default 5 s
	FrameRate        int           // frames per second that a client may send for long; default 200
	FrameBurst       int           // and at once; default twice FrameRate
	Limits           Limits        // on what clients send, besides
	Version          string        // told to clients at login
	Log              *slog.Logger  // default: none
}

func (c *Config) validate() error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = 5 * time.Second
	}
	if c.LoginTimeout == 0 {
		c.LoginTimeout = 10 * time.Second
	}
	if c.Security.IdleTimeout == 0 {
		c.Security.IdleTimeout = 30 * time.Second
	}
	if c.Security.RecordMax == 0 {
		c.Security.RecordMax = 64 << 10
	}
	def(&c.MaxConnections, 20_000)
	def(&c.QueueBytes, 256<<10)
	def(&c.FrameRate, 200)
	def(&c.FrameBurst, 2*c.FrameRate)
	if c.QueueAge == 0 {
		c.QueueAge = 5 * time.Second
	}
	def(&c.Network.MaxMessage, int(c.Security.RecordMax))
	def(&c.Replica.MaxFrame, 32<<10)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Connect == nil:
		return errors.New("gateway: Connect is missing: how to reach a server")
	case c.Verifier == nil:
		return errors.New("gateway: no verifier of login tokens")
	case c.MaxConnections < 1 || c.QueueBytes < 1 || c.FrameRate < 1 || c.FrameBurst < 1:
		return fmt.Errorf("gateway: MaxConnections %d, QueueBytes %d, FrameRate %d and FrameBurst %d must be positive",
			c.MaxConnections, c.QueueBytes, c.FrameRate, c.FrameBurst)
	case c.QueueAge < time.Second:
		return fmt.Errorf("gateway: QueueAge of %v: it is looked at once a second, need at least that", c.QueueAge)
	case c.Replica.MaxFrame+frameSlack > int(c.Security.RecordMax):
		return fmt.Errorf("gateway: state frames of %d bytes do not fit records of %d: need %d more", c.Replica.MaxFrame, c.Security.RecordMax, frameSlack)
	}
	if err := c.Limits.validate(c.FrameRate, c.MaxConnections); err != nil {
		return err
	}
	c.Network.Subprotocol, c.Network.Text = protocol.Subprotocol, false
	c.Network.CloseCode = func(v network.Violation) (uint16, string) {
		code := codeOf(v)
		return uint16(code), code.String()
	}
	c.Network.Pool = &network.Pool{}
	return c.Security.Validate()
}

// codeOf is the disconnect code of a broken WebSocket rule.
func codeOf(v network.Violation) protocol.DisconnectCode {
	switch v {
	case network.ErrText:
		return protocol.DisconnectTextMessage
	case network.ErrTooLarge:
		return protocol.DisconnectRecordTooLarge
	}
	return protocol.DisconnectWebsocketViolation
}
