package accounts

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

const (
	defaultSessionTTL  = 7 * 24 * time.Hour
	defaultMaxSessions = 16
	defaultTokenTTL    = 90 * time.Second
	minTokenTTL        = 60 * time.Second
	maxTokenTTL        = 120 * time.Second
	defaultLimitKeys   = 1 << 16
)

// Issuer signs the tokens that gateways take: a *security.Signer, or security.DevTokens for development. Called by many goroutines.
type Issuer interface {
	// Issue signs id, valid for ttl from now on, for the realm that the issuer was made for.
	Issue(id security.Identity, ttl time.Duration, now time.Time) (token string, err error)
}

// Revoker tells the servers what an operator decided. Its methods are called by many goroutines, return when every server that is up has been
// told, and may be repeated: each says what shall be, not what shall change.
type Revoker interface {
	// Kick ends the live session of a player and its tickets, if there is one.
	Kick(ctx context.Context, player uint64, code protocol.DisconnectCode, reason string) error
	// Bar refuses the player's tokens, those already issued too, until the given time. It comes before the Kick, so that nobody slips in between.
	Bar(ctx context.Context, player uint64, until time.Time) error
	// Unbar ends a Bar.
	Unbar(ctx context.Context, player uint64) error
}

// Limit lets something happen Burst times at once, then once each Every.
type Limit struct {
	// Every is the time after which one more is allowed. 0: the default of the limit.
	Every time.Duration
	// Burst is how many are allowed at once. 0: the default of the limit; -1: no limit at all.
	Burst int
}

// Limits bound what one source may do, in this process. An address is an IPv4 address or a /64 of IPv6. Logins with the right password do not
// count. Each table remembers Keys sources and forgets those that were silent longest.
type Limits struct {
	// Pair bounds wrong passwords for one name from one address. Default 10, then one each 10 s.
	Pair Limit
	// Name bounds wrong passwords for one name from everywhere. Who attacks a name from many addresses can keep its owner from logging in anew
	// meanwhile, but not from playing on. Default 50, then one each 5 s.
	Name Limit
	// Address bounds wrong passwords from one address, which may stand for a whole provider. Default 100, then one each second.
	Address Limit
	// Signups bounds new accounts, guests included, and names tried for them, from one address. Default 30, then one each 20 s.
	Signups Limit
	// Keys is the size of each table. Default 65,536; some 200 bytes each.
	Keys int
}

// Config describes the accounts of a game. The zero value works: guests and named accounts in memory, no characters, and no tokens.
type Config struct {
	// Store keeps everything. nil: a Memory of its own.
	Store Store
	// Passwords says what hashing costs. Its Rand is ignored in favour of the one below.
	Passwords password.Config
	// AccountNames is the rule of names to log in with. nil: AccountName.
	AccountNames NameRule
	// CharacterNames is the rule of characters' names. nil: CharacterName.
	CharacterNames NameRule
	// MaxCharacters is how many an account may have. 0: the game has none, and the account itself is the player. Do not change between 0 and
	// another number in a game that is running: its players would be others.
	MaxCharacters int
	// NoGuests refuses new guests; those that exist still log in.
	NoGuests bool
	// NoSignups refuses new accounts with name and password; guests can still be upgraded.
	NoSignups bool
	// SessionTTL is how long a session token is good for after the login. Default 7 days.
	SessionTTL time.Duration
	// MaxSessions is how many an account may have; a further login ends the oldest. Default 16.
	MaxSessions int
	// Issuer signs tokens. nil: there are none to be had.
	Issuer Issuer
	// TokenTTL is how long a token for a gateway is good for: 60 to 120 s. Default 90 s.
	TokenTTL time.Duration
	// Revoker tells the servers of kicks and bans. nil: they are not told; a deleted character plays on until it leaves.
	Revoker Revoker
	// Limits bound what one source may do.
	Limits Limits
	// Now is the clock. nil: the system's.
	Now func() time.Time
	// Rand gives ids, secrets and salts. nil: the system's randomness. Anything else must be safe for many goroutines.
	Rand io.Reader
}

// validate fills defaults and refuses contradictions.
func (c *Config) validate() error {
	if c.Store == nil {
		store, err := NewMemory(MemoryConfig{})
		if err != nil {
			return err
		}
		c.Store = store
	}
	if c.AccountNames == nil {
		c.AccountNames = AccountName
	}
	if c.CharacterNames == nil {
		c.CharacterNames = CharacterName
	}
	if c.SessionTTL == 0 {
		c.SessionTTL = defaultSessionTTL
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = defaultMaxSessions
	}
	if c.TokenTTL == 0 {
		c.TokenTTL = defaultTokenTTL
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.Passwords.Rand = c.Rand
	switch {
	case c.MaxCharacters < 0 || c.MaxCharacters > 1000:
		return fmt.Errorf("accounts: MaxCharacters %d: give 1 to 1000, or 0 for a game without characters", c.MaxCharacters)
	case c.SessionTTL < time.Minute:
		return fmt.Errorf("accounts: SessionTTL %v: give at least a minute, or 0 for %v", c.SessionTTL, defaultSessionTTL)
	case c.MaxSessions < 0:
		return fmt.Errorf("accounts: MaxSessions %d: give at least 1, or 0 for %d", c.MaxSessions, defaultMaxSessions)
	case c.TokenTTL < minTokenTTL || c.TokenTTL > maxTokenTTL:
		return fmt.Errorf("accounts: TokenTTL %v: a token that is stolen must die soon, one that waits in a queue not too soon: give %v to %v, or 0 for %v",
			c.TokenTTL, minTokenTTL, maxTokenTTL, defaultTokenTTL)
	}
	return c.Limits.validate()
}

func (l *Limits) validate() error {
	if l.Keys == 0 {
		l.Keys = defaultLimitKeys
	}
	if l.Keys < 0 {
		return fmt.Errorf("accounts: Limits.Keys %d: give how many sources are remembered, or 0 for %d", l.Keys, defaultLimitKeys)
	}
	for _, each := range []struct {
		name  string
		limit *Limit
		usual Limit
	}{
		{"Pair", &l.Pair, Limit{10 * time.Second, 10}},
		{"Name", &l.Name, Limit{5 * time.Second, 50}},
		{"Address", &l.Address, Limit{time.Second, 100}},
		{"Signups", &l.Signups, Limit{20 * time.Second, 30}},
	} {
		if err := each.limit.Fill(each.usual); err != nil {
			return fmt.Errorf("accounts: Limits.%s: %w", each.name, err)
		}
	}
	return nil
}

// Fill puts the values of usual where there are none, and refuses what makes no sense. A limit without limit becomes zero.
func (l *Limit) Fill(usual Limit) error {
	if l.Burst == -1 {
		*l = Limit{}
		return nil
	}
	if l.Every == 0 {
		l.Every = usual.Every
	}
	if l.Burst == 0 {
		l.Burst = usual.Burst
	}
	if l.Every < 0 || l.Every > 24*time.Hour || l.Burst < 1 || l.Burst > 100_000 {
		return fmt.Errorf("%d, then one each %v: give a Burst of 1 to 100,000 and an Every of at most a day, or Burst -1 for no limit", l.Burst, l.Every)
	}
	return nil
}
