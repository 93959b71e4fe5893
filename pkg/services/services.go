// Package services is the login that a studio has on day one, as HTTP handlers with JSON: accounts and characters, tokens for the gateways, the keys
// that a client needs before it connects, kick and ban. docs/services.md is its manual; pkg/services/accounts holds the rules.
//
// New returns a Services, whose Handler faces the players and whose Admin faces operators on a listener of its own. Both may be called by any
// goroutine, as http.Server does, which must have timeouts for headers and bodies. Run blocks; nothing else goes on in the background.
package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/internal/rate"
)

const (
	defaultMaxBody    = 4 << 10 // bytes
	defaultTimeout    = 10 * time.Second
	defaultKeysMaxAge = time.Minute
	minAdminSecret    = 16 // bytes
	sweepEvery        = time.Minute
	requestSources    = 1 << 16 // addresses that are limited
)

// Config describes a login service. The zero value works for development: accounts in memory, no tokens, no keys, no operators.
type Config struct {
	// Accounts holds the rules of accounts, characters, tokens and bans. Its Now and Rand are the clock and the randomness of everything here.
	Accounts accounts.Config
	// Keys returns what a client needs before it connects; called at each request for it, by many goroutines. nil: no such path.
	Keys func() Keys
	// KeysMaxAge is how long clients and caches may keep the answer of Keys. Default 1 min. Give new keys out that much before gateways use them.
	KeysMaxAge time.Duration
	// JWKS returns the public keys of Accounts.Issuer for the gateways, best joined with the next one's and the last one's (security.MergeJWKS);
	// called as Keys is. nil: no such path.
	JWKS func() *security.JWKS
	// Admin is the operators' interface.
	Admin AdminConfig
	// Origins lists the web origins whose pages may call, besides the service's own, as in "https://play.example". "*" lets all: there are no
	// cookies that a page could abuse.
	Origins []string
	// Trusted lists the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Of anyone else they are ignored.
	Trusted []netip.Prefix
	// AllowPlain answers requests without TLS. For development: passwords travel in the clear.
	AllowPlain bool
	// MaxBody is the largest body of a request, in bytes. Default 4 KiB.
	MaxBody int
	// Timeout bounds a request, the waiting for a place to hash included. Default 10 s.
	Timeout time.Duration
	// Requests bounds the requests of one address (one /64 of IPv6), whatever they ask for. Default 200, then 20 a second.
	Requests accounts.Limit
	// Log gets one line for each act of an operator and each fault of ours, never a secret. nil: none.
	Log *slog.Logger
}

// AdminConfig describes the operators' interface.
type AdminConfig struct {
	// Enabled switches it on.
	Enabled bool
	// Secret is what operators send as their bearer token: at least 16 bytes, best 32 random ones in hex. It must be given where Enabled is.
	Secret string
}

// validate fills defaults and refuses contradictions.
func (c *Config) validate() error {
	if c.KeysMaxAge == 0 {
		c.KeysMaxAge = defaultKeysMaxAge
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Accounts.Now == nil {
		c.Accounts.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Requests.Fill(accounts.Limit{Every: 50 * time.Millisecond, Burst: 200}); err != nil {
		return fmt.Errorf("services: Requests: %w", err)
	}
	switch {
	case c.KeysMaxAge < 0:
		return fmt.Errorf("services: KeysMaxAge %v is negative: give how long keys may be cached, or 0 for %v", c.KeysMaxAge, defaultKeysMaxAge)
	case c.MaxBody < 1024 || c.MaxBody > 1<<20:
		return fmt.Errorf("services: MaxBody %d: give 1,024 to 1,048,576 bytes, or 0 for %d", c.MaxBody, defaultMaxBody)
	case c.Timeout < 0:
		return fmt.Errorf("services: Timeout %v is negative: give how long a request may take, or 0 for %v", c.Timeout, defaultTimeout)
	}
	for _, origin := range c.Origins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("services: origin %q: give scheme and host alone, as browsers send it: \"https://play.example\"", origin)
		}
	}
	return c.validateAdmin()
}

func (c *Config) validateAdmin() error {
	switch {
	case !c.Admin.Enabled && c.Admin.Secret != "":
		return errors.New("services: Admin.Secret is given, but Admin.Enabled is not: set it, or take the secret out")
	case !c.Admin.Enabled:
		return nil
	case len(c.Admin.Secret) < minAdminSecret:
		return fmt.Errorf("services: Admin.Secret has %d bytes: whoever knows it can ban everyone: give at least %d, best 32 random ones in hex", len(c.Admin.Secret), minAdminSecret)
	case c.Accounts.Revoker == nil:
		return errors.New("services: Admin is enabled, but there is no Accounts.Revoker: a ban would not end the session that plays: give one that tells the servers")
	}
	return nil
}

// Services is the login service of one game.
type Services struct {
	cfg      Config
	accounts *accounts.Accounts
	requests *rate.Limiter[netip.Prefix]
	admin    [sha256.Size]byte // of the bearer secret: comparing hashes takes the same time for every length
	count    counters
}

// Stats counts what happened since New.
type Stats struct {
	Requests uint64 // at both handlers
	Limited  uint64 // answered 429 because of Config.Requests
	Faults   uint64 // answered 500: each has its line in the log
	Accounts accounts.Stats
}

type counters struct{ requests, limited, faults atomic.Uint64 }

// New returns the service that cfg describes. Its first mistake is the error.
func New(cfg Config) (*Services, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Keys != nil {
		if err := cfg.Keys().check(cfg.Accounts.Now()); err != nil {
			return nil, fmt.Errorf("services: Keys: %w", err)
		}
	}
	book, err := accounts.New(cfg.Accounts)
	if err != nil {
		return nil, err
	}
	return &Services{
		cfg: cfg, accounts: book, admin: sha256.Sum256([]byte(cfg.Admin.Secret)),
		requests: rate.New[netip.Prefix](rate.Limit(cfg.Requests), requestSources),
	}, nil
}

// Accounts returns the rules behind the paths, for a program that bans or kicks by itself.
func (s *Services) Accounts() *accounts.Accounts { return s.accounts }

// Stats returns the counters.
func (s *Services) Stats() Stats {
	return Stats{Requests: s.count.requests.Load(), Limited: s.count.limited.Load(), Faults: s.count.faults.Load(), Accounts: s.accounts.Stats()}
}

// Run removes expired sessions from the store every minute until ctx ends, and returns its error. A store that fails is tried again a minute later.
func (s *Services) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := s.accounts.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("expired sessions stay in the store", "error", err)
			}
		}
	}
}

// Handler serves the players. Every path begins with /v1/, so that it can share a listener: mount it at "/v1/".
func (s *Services) Handler() http.Handler { return &face{s, s.playerRoutes()} }

// Admin serves the operators, every path under /v1/admin/. Keep it on a listener that the internet does not reach. Where Config.Admin is not enabled
// everything is 404.
func (s *Services) Admin() http.Handler {
	if !s.cfg.Admin.Enabled {
		return &face{s, nil}
	}
	return &face{s, s.adminRoutes()}
}
