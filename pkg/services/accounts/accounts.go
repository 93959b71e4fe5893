// Package accounts knows who may play: guests and named accounts, their sessions at the login service, their characters, the tokens that they
// take to a gateway, and who is banned. It holds the rules; pkg/services puts them on HTTP, a Store keeps the rows.
//
// Any goroutine may call an Accounts. Nothing runs in the background, so nothing stops; call Sweep every minute or so. Several processes may share
// one Store: what must be unique or agree is the Store's to guarantee, and only the limits of attempts are each process's own.
package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/services/internal/rate"
	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

const (
	secretSize = 32 // bytes, of session tokens and device secrets
	attempts   = 5  // to find a free id, or to update a row that others update too
)

// Accounts is the login service of one game.
type Accounts struct {
	cfg     Config
	hasher  *password.Hasher
	pairs   *rate.Limiter[pair]
	names   *rate.Limiter[string]
	sources *rate.Limiter[netip.Prefix]
	signups *rate.Limiter[netip.Prefix]
	count   counters
}

// pair is a name tried from an address.
type pair struct {
	key  string
	from netip.Prefix
}

// Stats counts what happened since New.
type Stats struct {
	Guests            uint64 // accounts made for guests
	Signups           uint64 // accounts made with name and password
	Upgrades          uint64 // guests that got name and password
	Logins            uint64 // sessions opened by a login, guests included
	Refused           uint64 // wrong name or password
	Limited           uint64 // answered LimitError
	Busy              uint64 // answered BusyError
	Banned            uint64 // answered BannedError
	PasswordChanges   uint64
	Rehashes          uint64 // passwords hashed anew because Config asks for more
	Logouts           uint64
	CharactersCreated uint64
	CharactersDeleted uint64
	Tokens            uint64 // issued for gateways
	Kicks             uint64 // by operators
	Bans              uint64
	Unbans            uint64
	RevokerErrors     uint64 // servers could not be told
	SessionsSwept     uint64
	Passwords         password.Stats
}

type counters struct {
	guests, signups, upgrades, logins, refused, limited, busy, banned, passwordChanges, rehashes, logouts atomic.Uint64
	charactersCreated, charactersDeleted, tokens, kicks, bans, unbans, revokerErrors, sessionsSwept       atomic.Uint64
}

// New returns the accounts that cfg describes.
func New(cfg Config) (*Accounts, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	hasher, err := password.New(cfg.Passwords)
	if err != nil {
		return nil, err
	}
	l := cfg.Limits
	return &Accounts{
		cfg: cfg, hasher: hasher,
		pairs: rate.New[pair](rate.Limit(l.Pair), l.Keys), names: rate.New[string](rate.Limit(l.Name), l.Keys),
		sources: rate.New[netip.Prefix](rate.Limit(l.Address), l.Keys), signups: rate.New[netip.Prefix](rate.Limit(l.Signups), l.Keys),
	}, nil
}

// Stats returns the counters.
func (a *Accounts) Stats() Stats {
	c := &a.count
	return Stats{
		Guests: c.guests.Load(), Signups: c.signups.Load(), Upgrades: c.upgrades.Load(), Logins: c.logins.Load(), Refused: c.refused.Load(),
		Limited: c.limited.Load(), Busy: c.busy.Load(), Banned: c.banned.Load(), PasswordChanges: c.passwordChanges.Load(), Rehashes: c.rehashes.Load(),
		Logouts: c.logouts.Load(), CharactersCreated: c.charactersCreated.Load(), CharactersDeleted: c.charactersDeleted.Load(), Tokens: c.tokens.Load(),
		Kicks: c.kicks.Load(), Bans: c.bans.Load(), Unbans: c.unbans.Load(), RevokerErrors: c.revokerErrors.Load(), SessionsSwept: c.sessionsSwept.Load(),
		Passwords: a.hasher.Stats(),
	}
}

// MaxCharacters is how many characters an account may have; 0: the game has none.
func (a *Accounts) MaxCharacters() int { return a.cfg.MaxCharacters }

// Sweep removes expired sessions from the store, some thousand at a time, until there are none or ctx ends.
func (a *Accounts) Sweep(ctx context.Context) error {
	const batch = 1000
	for {
		n, err := a.cfg.Store.DeleteExpired(ctx, a.cfg.Now(), batch)
		a.count.sessionsSwept.Add(uint64(n))
		if err != nil {
			return fmt.Errorf("sweep sessions: %w", err)
		}
		if n < batch {
			return nil
		}
	}
}

// draw returns a new secret in text.
func (a *Accounts) draw() (string, error) {
	var b [secretSize]byte
	if _, err := io.ReadFull(a.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return secretText().EncodeToString(b[:]), nil
}

// drawID returns a number from 1 to 2^63-1, so that SQL's signed integers hold it.
func (a *Accounts) drawID() (uint64, error) {
	for {
		var b [8]byte
		if _, err := io.ReadFull(a.cfg.Rand, b[:]); err != nil {
			return 0, fmt.Errorf("draw an id: %w", err)
		}
		if id := binary.LittleEndian.Uint64(b[:]) >> 1; id != 0 {
			return id, nil
		}
	}
}

// secretText has one form for each secret: no padding, no loose bits at the end.
func secretText() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// decodeSecret reads what draw wrote.
func decodeSecret(text string) (b [secretSize]byte, ok bool) {
	if len(text) != secretText().EncodedLen(secretSize) {
		return b, false
	}
	n, err := secretText().Decode(b[:], []byte(text))
	return b, err == nil && n == secretSize
}

// hashSecret is what a store keeps of a secret. The label keeps a session token from being taken for a device secret.
func hashSecret(label string, secret [secretSize]byte) Hash {
	return sha256.Sum256(append([]byte("tianxia "+label+"\x00"), secret[:]...))
}

// Labels of hashSecret.
const (
	labelSession = "session"
	labelDevice  = "device"
)

// source is what limits call an address: whoever has IPv6 has a /64 at least.
func source(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := 32
	if from.Is6() {
		bits = 64
	}
	prefix, _ := from.Prefix(bits) // fails for the zero Addr alone: those of no address share one limit
	return prefix
}

// update changes an account in the store. change sees the row as it is and may be called several times.
func (a *Accounts) update(ctx context.Context, id ID, change func(*Account) error) (Account, error) {
	for range attempts {
		account, err := a.cfg.Store.Account(ctx, id)
		if err != nil {
			return Account{}, err
		}
		if err := change(&account); err != nil {
			return Account{}, err
		}
		err = a.cfg.Store.UpdateAccount(ctx, account)
		if err == nil {
			account.Version++
			return account, nil
		}
		if !errors.Is(err, ErrStale) {
			return Account{}, err
		}
	}
	return Account{}, fmt.Errorf("update account %v: %w", id, ErrStale)
}
