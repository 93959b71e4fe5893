package accounts

import (
	"context"
	"time"
)

// Store keeps accounts, characters and sessions. It is made for a SQL database: each method is one short transaction, what must be unique is a
// unique constraint whose violation is one of the errors above, and nothing is locked between calls. Methods are called by many goroutines of
// many processes; they return when ctx ends. Rows are values: a caller may change what it got or gave. package storetest holds any store to this.
//
// Times are kept to the microsecond at least.
type Store interface {
	// CreateAccount stores a new account; its Version becomes 1. ErrIDTaken, ErrNameTaken, ErrDeviceTaken, ErrFull.
	CreateAccount(ctx context.Context, a Account) error
	// Account reads one. ErrNotFound.
	Account(ctx context.Context, id ID) (Account, error)
	// AccountByKey reads the account of this name key, which is not "". ErrNotFound.
	AccountByKey(ctx context.Context, key string) (Account, error)
	// AccountByDevice reads the account of this device secret, which is not zero. ErrNotFound.
	AccountByDevice(ctx context.Context, device Hash) (Account, error)
	// UpdateAccount replaces the account if its Version is still a.Version, which goes up by one; ID and Created stay. ErrStale, ErrNotFound,
	// ErrNameTaken, ErrDeviceTaken.
	UpdateAccount(ctx context.Context, a Account) error

	// CreateCharacter stores a new character unless its account has limit of them. Of concurrent calls for one account no more than limit
	// succeed in all (a SQL store locks the account's row for it). ErrNotFound (the account), ErrTooMany, ErrIDTaken, ErrNameTaken, ErrFull.
	CreateCharacter(ctx context.Context, c Character, limit int) error
	// Character reads one. ErrNotFound.
	Character(ctx context.Context, id PlayerID) (Character, error)
	// Characters reads those of an account, the oldest first, then by id. None is no error.
	Characters(ctx context.Context, account ID) ([]Character, error)
	// DeleteCharacter removes one if it is of this account; its name is free from then on, and no session has it selected. ErrNotFound.
	DeleteCharacter(ctx context.Context, account ID, id PlayerID) error

	// CreateSession stores a new session and removes those of the account that were created first where there would be more than keep.
	// ErrIDTaken (the hash), ErrNotFound (the account).
	CreateSession(ctx context.Context, s Session, keep int) error
	// Session reads one, expired or not. ErrNotFound.
	Session(ctx context.Context, hash Hash) (Session, error)
	// SelectCharacter sets the session's character, which is one of its account. ErrNotFound: the session, or such a character.
	SelectCharacter(ctx context.Context, hash Hash, id PlayerID) error
	// DeleteSession removes one; an unknown one is no error.
	DeleteSession(ctx context.Context, hash Hash) error
	// DeleteExpired removes at most limit sessions whose Expires is not after now, and says how many.
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}
