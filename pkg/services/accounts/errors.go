package accounts

import (
	"errors"
	"fmt"
	"time"
)

// What a Store answers. Uniqueness is its business alone: it must hold among any number of processes.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrIDTaken: an account, character or session of this id exists; draw another.
	ErrIDTaken = errors.New("id is taken")
	// ErrNameTaken: another account, or another character, has this key.
	ErrNameTaken = errors.New("name is taken")
	// ErrDeviceTaken: another account has this device secret.
	ErrDeviceTaken = errors.New("device secret is taken")
	// ErrStale: the row was changed since it was read; read it again.
	ErrStale = errors.New("changed by someone else meanwhile")
	// ErrTooMany: the account has as many characters as it may.
	ErrTooMany = errors.New("no room for one more character")
	// ErrFull: the store takes no more rows.
	ErrFull = errors.New("the store is full")
)

// What callers did wrong.
var (
	// ErrRefused: wrong name or password. Which one is not told.
	ErrRefused = errors.New("name or password is wrong")
	// ErrNoSession: the session token is unknown, expired, logged out, or the credentials were changed since.
	ErrNoSession = errors.New("no such session")
	// ErrSecret: a device secret that is none: not 32 bytes in base64url, or too regular to have been drawn at random.
	ErrSecret = errors.New("a device secret is 32 random bytes in base64url without padding")
	// ErrGuest: a guest has no password to change.
	ErrGuest = errors.New("a guest has no password")
	// ErrNotGuest: the account has a name already.
	ErrNotGuest = errors.New("the account has a name already")
	// ErrNoCharacters: the game has none; the account is the player.
	ErrNoCharacters = errors.New("this game has no characters")
	// ErrClosed: guests, or new accounts at all, are switched off.
	ErrClosed = errors.New("no new accounts of this sort")
	// ErrNotSelected: a token is for one character, and none is selected.
	ErrNotSelected = errors.New("no character is selected")
	// ErrRevoker: what is stored is stored, but the servers could not be told.
	ErrRevoker = errors.New("the servers could not be told")
	// ErrArgument: an argument of an operator's call is out of bounds.
	ErrArgument = errors.New("bad argument")
)

// NameError says why a name may not be used.
type NameError struct {
	What string // what is wrong
	Fix  string // what a good name is
}

// Error tells both.
func (e *NameError) Error() string { return e.What + ": " + e.Fix }

// BannedError is the answer to the owner of a banned account.
type BannedError struct{ Ban Ban }

// Error tells how long and why.
func (e *BannedError) Error() string {
	return fmt.Sprintf("banned until %s: %s", e.Ban.Until.UTC().Format(time.RFC3339), e.Ban.Reason)
}

// LimitError is the answer to those who come too often.
type LimitError struct {
	What string        // what there was too much of
	Wait time.Duration // until there is room again
}

// Error tells both.
func (e *LimitError) Error() string {
	return fmt.Sprintf("too many %s: wait %v", e.What, e.Wait)
}

// BusyError is the answer when as many passwords are being checked as the machine may check, and the caller waited its turn in vain.
type BusyError struct{ Wait time.Duration }

// Error tells how long to stay away.
func (e *BusyError) Error() string { return fmt.Sprintf("too many logins at once: wait %v", e.Wait) }
