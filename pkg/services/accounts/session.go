package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

// Visit is a request of someone whose session is good.
type Visit struct {
	Account Account
	Session Session
}

// open makes a session of an account that someone proved to own, and completes entry.
func (a *Accounts) open(ctx context.Context, account Account, selected PlayerID, entry Entry) (Entry, error) {
	now := a.cfg.Now()
	if account.Ban.In(now) {
		return Entry{}, a.banned(account)
	}
	token, err := a.draw()
	if err != nil {
		return Entry{}, err
	}
	raw, _ := decodeSecret(token)
	session := Session{
		Hash: hashSecret(labelSession, raw), Account: account.ID, Epoch: account.Epoch, Character: selected,
		Created: now, Expires: now.Add(a.cfg.SessionTTL),
	}
	if err := a.cfg.Store.CreateSession(ctx, session, a.cfg.MaxSessions); err != nil {
		return Entry{}, fmt.Errorf("open a session of account %v: %w", account.ID, err)
	}
	a.count.logins.Add(1)
	entry.Account, entry.Session, entry.Expires = account, token, session.Expires
	return entry, nil
}

func (a *Accounts) banned(account Account) error {
	a.count.banned.Add(1)
	return &BannedError{Ban: account.Ban}
}

// Visit says whose session a token is of. The store is asked each time, so that a ban, a logout and a changed password hold at once.
//
// It fails with ErrNoSession, *BannedError, or what the store says.
func (a *Accounts) Visit(ctx context.Context, token string) (Visit, error) {
	raw, ok := decodeSecret(token)
	if !ok {
		return Visit{}, ErrNoSession
	}
	session, err := a.cfg.Store.Session(ctx, hashSecret(labelSession, raw))
	if errors.Is(err, ErrNotFound) {
		return Visit{}, ErrNoSession
	}
	if err != nil {
		return Visit{}, err
	}
	now := a.cfg.Now()
	if !session.Expires.After(now) {
		return Visit{}, ErrNoSession
	}
	account, err := a.cfg.Store.Account(ctx, session.Account)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && account.Epoch != session.Epoch:
		return Visit{}, ErrNoSession
	case err != nil:
		return Visit{}, err
	case account.Ban.In(now):
		return Visit{}, a.banned(account)
	}
	return Visit{Account: account, Session: session}, nil
}

// Logout ends the session of a token, also of a banned account. Unknown tokens are no error.
func (a *Accounts) Logout(ctx context.Context, token string) error {
	raw, ok := decodeSecret(token)
	if !ok {
		return nil
	}
	if err := a.cfg.Store.DeleteSession(ctx, hashSecret(labelSession, raw)); err != nil {
		return err
	}
	a.count.logouts.Add(1)
	return nil
}

// Upgrade gives a guest name and password. The device secret is good no longer and every session of the account is over: the Entry holds a new
// one, with the same character selected. Characters and the player's number stay.
//
// It fails with ErrNotGuest and as Register does.
func (a *Accounts) Upgrade(ctx context.Context, from netip.Addr, v Visit, name, secret string) (Entry, error) {
	if !v.Account.Guest() {
		return Entry{}, ErrNotGuest
	}
	key, hash, err := a.credentials(ctx, from, name, secret)
	if err != nil {
		return Entry{}, err
	}
	account, err := a.update(ctx, v.Account.ID, func(account *Account) error {
		if account.Epoch != v.Account.Epoch { // upgraded by another session meanwhile
			return ErrNoSession
		}
		account.Name, account.Key, account.Password, account.Device = name, key, hash, Hash{}
		account.Epoch++
		return nil
	})
	if err != nil {
		return Entry{}, err
	}
	a.count.upgrades.Add(1)
	return a.open(ctx, account, v.Session.Character, Entry{})
}

// ChangePassword replaces the password by who knows the old one. Every session of the account is over; the Entry holds a new one, with the same
// character selected.
//
// It fails with ErrGuest, ErrRefused (the old password is wrong), what password.Check says of the new one, *LimitError, *BusyError, ErrNoSession
// where it was changed meanwhile, or what the store says.
func (a *Accounts) ChangePassword(ctx context.Context, from netip.Addr, v Visit, old, secret string) (Entry, error) {
	if v.Account.Guest() {
		return Entry{}, ErrGuest
	}
	if err := password.Check(secret); err != nil {
		return Entry{}, err
	}
	if password.Check(old) != nil {
		return Entry{}, ErrRefused
	}
	if _, err := a.prove(ctx, from, v.Account.Key, old); err != nil {
		return Entry{}, err
	}
	hash, err := a.hasher.Hash(ctx, secret)
	if err != nil {
		return Entry{}, a.busy(err)
	}
	account, err := a.update(ctx, v.Account.ID, func(account *Account) error {
		if account.Epoch != v.Account.Epoch {
			return ErrNoSession
		}
		account.Password = hash
		account.Epoch++
		return nil
	})
	if err != nil {
		return Entry{}, err
	}
	a.count.passwordChanges.Add(1)
	return a.open(ctx, account, v.Session.Character, Entry{})
}
