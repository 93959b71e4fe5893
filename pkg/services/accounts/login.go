package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/password"
)

// Entry is the answer to a login of any sort.
type Entry struct {
	Account Account
	Session string    // the token of the session: whoever has it has the account
	Expires time.Time // of the session
	Created bool      // the account is new
	Secret  string    // the device secret, if it was drawn here; "" else
}

// Guest logs in by a device secret: 32 random bytes in base64url without padding, which the device keeps. An account that does not exist is made,
// so that a client may repeat a call whose answer it missed. With secret "" one is drawn, and the account is new.
//
// It fails with ErrSecret, ErrClosed, ErrFull, *BannedError, *LimitError, or what the store says.
func (a *Accounts) Guest(ctx context.Context, from netip.Addr, secret string) (Entry, error) {
	entry := Entry{}
	if secret == "" {
		drawn, err := a.draw()
		if err != nil {
			return Entry{}, err
		}
		secret, entry.Secret = drawn, drawn
	}
	raw, ok := decodeSecret(secret)
	if !ok || regular(raw) {
		return Entry{}, ErrSecret
	}
	device := hashSecret(labelDevice, raw)
	account, err := a.cfg.Store.AccountByDevice(ctx, device)
	if errors.Is(err, ErrNotFound) {
		account, entry.Created, err = a.newGuest(ctx, from, device)
	}
	if err != nil {
		return Entry{}, err
	}
	return a.open(ctx, account, 0, entry)
}

// regular finds "secrets" that nobody drew: of 32 random bytes hardly ever less than 24 differ from each other.
func regular(secret [secretSize]byte) bool {
	var seen [256]bool
	different := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			different++
		}
	}
	return different < secretSize/2
}

func (a *Accounts) newGuest(ctx context.Context, from netip.Addr, device Hash) (account Account, created bool, err error) {
	if a.cfg.NoGuests {
		return Account{}, false, ErrClosed
	}
	if err := a.takeSignup(from); err != nil {
		return Account{}, false, err
	}
	account, err = a.create(ctx, Account{Device: device})
	if errors.Is(err, ErrDeviceTaken) { // the same device called twice at once
		a.signups.Give(source(from))
		account, err = a.cfg.Store.AccountByDevice(ctx, device)
		return account, false, err
	}
	if err != nil {
		a.signups.Give(source(from))
		return Account{}, false, err
	}
	a.count.guests.Add(1)
	return account, true, nil
}

// create stores a new account under a free id.
func (a *Accounts) create(ctx context.Context, account Account) (Account, error) {
	for range attempts {
		id, err := a.drawID()
		if err != nil {
			return Account{}, err
		}
		account.ID, account.Created, account.Version = ID(id), a.cfg.Now(), 1
		if err = a.cfg.Store.CreateAccount(ctx, account); !errors.Is(err, ErrIDTaken) {
			return account, err
		}
	}
	return Account{}, fmt.Errorf("create account: %w", ErrIDTaken)
}

// Register makes an account with name and password and logs it in.
//
// It fails with a *NameError, what password.Check says, ErrNameTaken, ErrClosed, ErrFull, *LimitError, *BusyError, or what the store says.
func (a *Accounts) Register(ctx context.Context, from netip.Addr, name, secret string) (Entry, error) {
	if a.cfg.NoSignups {
		return Entry{}, ErrClosed
	}
	key, hash, err := a.credentials(ctx, from, name, secret)
	if err != nil {
		return Entry{}, err
	}
	account, err := a.create(ctx, Account{Name: name, Key: key, Password: hash})
	if err != nil {
		return Entry{}, err
	}
	a.count.signups.Add(1)
	return a.open(ctx, account, 0, Entry{Created: true})
}

// credentials checks a name and a password that someone wants to have, and hashes the password. A name that is taken costs no hash; that it is
// taken cannot be hidden from someone who wants it, only asked for a limited number of times.
func (a *Accounts) credentials(ctx context.Context, from netip.Addr, name, secret string) (key, hash string, err error) {
	if key, err = a.cfg.AccountNames.key(name); err != nil {
		return "", "", err
	}
	if err := password.Check(secret); err != nil {
		return "", "", err
	}
	if err := a.takeSignup(from); err != nil {
		return "", "", err
	}
	switch _, err := a.cfg.Store.AccountByKey(ctx, key); {
	case err == nil:
		return "", "", ErrNameTaken
	case !errors.Is(err, ErrNotFound):
		a.signups.Give(source(from))
		return "", "", err
	}
	if hash, err = a.hasher.Hash(ctx, secret); err != nil {
		a.signups.Give(source(from))
		return "", "", a.busy(err)
	}
	return key, hash, nil
}

// Login logs in by name and password. An unknown name, a wrong password and the name of a guest are one answer, and cost the same work.
//
// It fails with ErrRefused, a *NameError (no account can have such a name), what password.Check says, *BannedError (to who knows the password
// alone), *LimitError, *BusyError, or what the store says.
func (a *Accounts) Login(ctx context.Context, from netip.Addr, name, secret string) (Entry, error) {
	key, err := a.cfg.AccountNames.key(name)
	if err != nil {
		return Entry{}, err
	}
	if err := password.Check(secret); err != nil {
		return Entry{}, err
	}
	account, err := a.prove(ctx, from, key, secret)
	if err != nil {
		return Entry{}, err
	}
	return a.open(ctx, account, 0, Entry{})
}

// prove returns the account of a key if the password is its own. The attempt is counted before the work, so that many at once do not pass
// together, and is not counted in the end if it was right.
func (a *Accounts) prove(ctx context.Context, from netip.Addr, key, secret string) (Account, error) {
	giveBack, err := a.takeLogin(from, key)
	if err != nil {
		return Account{}, err
	}
	account, err := a.cfg.Store.AccountByKey(ctx, key)
	if errors.Is(err, ErrNotFound) {
		account, err = Account{}, nil // its empty hash makes Verify do the same work for nothing
	}
	if err != nil {
		giveBack()
		return Account{}, err
	}
	ok, renewed, err := a.hasher.Verify(ctx, account.Password, secret)
	if err != nil {
		giveBack()
		return Account{}, a.busy(err)
	}
	if !ok {
		a.count.refused.Add(1)
		return Account{}, ErrRefused
	}
	giveBack()
	if renewed != "" {
		account = a.renew(ctx, account, renewed)
	}
	return account, nil
}

// renew stores a stronger hash of the same password. Where that fails the old one stays good, and the next login tries again.
func (a *Accounts) renew(ctx context.Context, account Account, hash string) Account {
	stronger := account
	stronger.Password = hash
	if err := a.cfg.Store.UpdateAccount(ctx, stronger); err != nil {
		return account
	}
	a.count.rehashes.Add(1)
	stronger.Version++
	return stronger
}

// takeLogin counts an attempt against the three limits. The answer must not depend on whether the name exists.
func (a *Accounts) takeLogin(from netip.Addr, key string) (giveBack func(), err error) {
	now, address := a.cfg.Now(), source(from)
	if wait := a.pairs.Take(pair{key, address}, now); wait > 0 {
		return nil, a.limited("wrong passwords for this name", wait)
	}
	if wait := a.names.Take(key, now); wait > 0 {
		a.pairs.Give(pair{key, address})
		return nil, a.limited("wrong passwords for this name", wait)
	}
	if wait := a.sources.Take(address, now); wait > 0 {
		a.pairs.Give(pair{key, address})
		a.names.Give(key)
		return nil, a.limited("wrong passwords from this address", wait)
	}
	return func() {
		a.pairs.Give(pair{key, address})
		a.names.Give(key)
		a.sources.Give(address)
	}, nil
}

func (a *Accounts) takeSignup(from netip.Addr) error {
	if wait := a.signups.Take(source(from), a.cfg.Now()); wait > 0 {
		return a.limited("new accounts from this address", wait)
	}
	return nil
}

func (a *Accounts) limited(what string, wait time.Duration) error {
	a.count.limited.Add(1)
	return &LimitError{What: what, Wait: wait}
}

// busy words the refusal of the hasher.
func (a *Accounts) busy(err error) error {
	if !errors.Is(err, password.ErrBusy) {
		return err
	}
	a.count.busy.Add(1)
	return &BusyError{Wait: a.hasher.Wait()}
}
