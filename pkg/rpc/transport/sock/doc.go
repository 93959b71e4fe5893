// Package sock carries frames over stream sockets: unix sockets of this machine, TCP, and TCP with TLS 1.3.
//
// A connection has one lane. Dial and Listen answer when the other end has proved to be one of ours and of our version: see the preamble in preamble.go. Over a
// unix socket the user of the other end is checked as well, from both ends.
//
// # Goroutines
//
// Writers may be any goroutines, under the lane's lock; a Flush makes one write system call that never waits. What the socket does not take is left to the
// writer goroutine of the connection, one for its whole life, and later batches pile up behind it in order. Over TLS and on Windows, where a write cannot be
// kept from waiting, that goroutine writes everything. So a peer that is frozen costs a writer nothing but memory, up to transport.Config.MaxBacklog. One
// goroutine reads: the caller of Receive. The end of the peer is noticed by that reader, so a connection needs one.
//
// A listener has a goroutine that accepts and, for at most 3 s, one for each peer that has not introduced itself yet, up to 1,024 of these.
//
// # Stopping
//
// Close says goodbye to the peer: what was reserved before it arrives there first, and both ends have transport.ErrClosed for a reason. It has a second for that;
// what the peer has not taken by then is lost. At our end Receive fails at once, whatever had arrived. A connection that ends without a goodbye, because the
// process at the other end died or the network broke, has the reason ErrVanished; the frames that arrived before that are still received. Everything stops by
// itself then; Close may be called, but need not be. It must not be called with the lane locked.
package sock

import (
	"errors"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// MaxFrame is the size of the largest frame of a lane, in bytes.
const MaxFrame = 64<<10 + 1<<10

const (
	defaultMaxBacklog = 16 << 20
	maxMaxBacklog     = 1 << 30 // sums of lengths stay within 32 bits
)

// Reasons for the end of a connection, besides transport.ErrClosed; they come wrapped, with what happened.
var (
	// ErrVanished is the reason of a connection whose peer went without a goodbye: its process died, or the network between did.
	ErrVanished = errors.New("rpc: peer vanished")
	// ErrFrameTooLarge is the reason of a connection whose peer announced a frame above MaxFrame.
	ErrFrameTooLarge = errors.New("rpc: frame too large")
	// ErrFrameTooSmall is the reason of a connection whose peer announced a frame below transport.MinFrame.
	ErrFrameTooSmall = errors.New("rpc: frame too small")
	// ErrAborted is the reason of a connection that the peer ended because it did not like what we sent.
	ErrAborted = errors.New("rpc: peer gave up")
)

// errNotReleased answers a Receive between a Receive and its Release: the bytes of the former would be overwritten.
var errNotReleased = errors.New("rpc: Receive before Release of what the last one returned")

// validate fills the defaults that concern sockets and refuses contradictions.
func validate(cfg *transport.Config) error {
	if cfg.MaxBacklog < 0 || cfg.MaxBacklog > maxMaxBacklog {
		return fmt.Errorf("rpc: MaxBacklog of %d bytes: it must be between 0, for the default, and %d", cfg.MaxBacklog, maxMaxBacklog)
	}
	if cfg.MaxBacklog == 0 {
		cfg.MaxBacklog = defaultMaxBacklog
	}
	return nil
}
