package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	defaultMaxMessage   = 64 << 10
	defaultMaxFragments = 256
	defaultMaxControls  = 1000
	defaultSendBuffer   = 64 << 10
	defaultNotSentLowat = 16 << 10
	defaultWriteTimeout = 5 * time.Second
	defaultDialTimeout  = 10 * time.Second

	// maxMaxMessage keeps every sum of lengths far from the end of a 32-bit int.
	maxMaxMessage = 1 << 28
)

// Config describes the connections of a server. The zero value works.
type Config struct {
	// MaxMessage is the largest message accepted from the peer, in bytes. Default 64 KiB.
	MaxMessage int
	// MaxFragments is the largest number of fragments in one message from the peer. Default 256.
	MaxFragments int
	// MaxControls is the largest number of control frames from the peer without a message between them. Default 1,000.
	MaxControls int
	// SendBuffer is the kernel's send buffer (SO_SNDBUF), in bytes: what a peer that stopped reading can hold in the kernel.
	// Default 64 KiB.
	SendBuffer int
	// NotSentLowat bounds the bytes in the kernel that are not on the wire yet (TCP_NOTSENT_LOWAT), in bytes, so that a state frame is
	// not encoded seconds before it leaves. Linux and macOS only. Default 16 KiB.
	NotSentLowat int
	// WriteTimeout ends a connection whose peer takes not one byte for so long. Default 5 s.
	WriteTimeout time.Duration
	// Text allows text messages besides binary ones; Conn.Text tells them apart. Without it a text is a violation. WebSocket only.
	Text bool
	// Subprotocol is the WebSocket subprotocol that the client must offer (server) or that is offered and must be chosen (client).
	// Empty: none is asked for. WebSocket only.
	Subprotocol string
	// Trusted are the addresses of proxies whose X-Forwarded-For is believed; from anyone else it is ignored. Upgrade only.
	Trusted []netip.Prefix
	// Origins lists the web origins allowed besides the server's own, as in "https://play.example". Upgrade only.
	Origins []string
	// CheckOrigin replaces the check of the Origin header: nil accepts a request without Origin (no browser), one whose Origin has the
	// host of the Host header, and those of Origins. Upgrade only.
	CheckOrigin func(r *http.Request) bool
	// CloseCode chooses the close code and reason sent to a peer that broke the rules; nil sends those of RFC 6455 (see Violation.Code).
	CloseCode func(v Violation) (code uint16, reason string)
	// OnDrain is called by the transient writer each time when Busy has turned false again, and when the connection has ended while
	// busy. It wakes the flusher: it must neither block nor call Close, which waits for it.
	OnDrain func(c *Conn)
	// Pool lends buffers to readers and transient writers; share one among the connections of a server, and those that are quiet hold none. nil: each
	// connection keeps a read buffer of its own, of 512 bytes or more.
	Pool *Pool
}

// validate fills defaults and refuses contradictions.
func (c *Config) validate() error {
	if err := fill("MaxMessage", &c.MaxMessage, defaultMaxMessage); err != nil {
		return err
	}
	if c.MaxMessage > maxMaxMessage {
		return fmt.Errorf("network: MaxMessage %d is above %d", c.MaxMessage, maxMaxMessage)
	}
	if err := fill("MaxFragments", &c.MaxFragments, defaultMaxFragments); err != nil {
		return err
	}
	if err := fill("MaxControls", &c.MaxControls, defaultMaxControls); err != nil {
		return err
	}
	if err := fill("SendBuffer", &c.SendBuffer, defaultSendBuffer); err != nil {
		return err
	}
	if err := fill("NotSentLowat", &c.NotSentLowat, defaultNotSentLowat); err != nil {
		return err
	}
	if err := validPrefixes(c.Trusted); err != nil {
		return err
	}
	return fill("WriteTimeout", &c.WriteTimeout, defaultWriteTimeout)
}

// DialConfig describes a client's connection. The zero value works.
type DialConfig struct {
	// Config is as for Upgrade; the Origin fields and Trusted mean nothing here.
	Config
	// Header is sent with the upgrade request, for example an Origin. WebSocket only.
	Header http.Header
	// TLS is used for wss and tls URLs; nil means the defaults of crypto/tls.
	TLS *tls.Config
	// NetDial opens the TCP connection; nil means a net.Dialer.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout bounds connecting, TLS and upgrading together. Default 10 s.
	Timeout time.Duration
	// Mask gives the masking key of each frame; nil draws from math/rand/v2.
	Mask func() uint32
}

func (c *DialConfig) validate() error {
	if c.Mask == nil {
		c.Mask = rand.Uint32
	}
	if err := fill("Timeout", &c.Timeout, defaultDialTimeout); err != nil {
		return err
	}
	return c.Config.validate()
}

// fill gives an unset field its default and refuses a negative one.
func fill[T int | time.Duration](name string, field *T, def T) error {
	if *field < 0 {
		return fmt.Errorf("network: %s %v is negative", name, *field)
	}
	if *field == 0 {
		*field = def
	}
	return nil
}
