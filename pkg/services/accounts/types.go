package accounts

import (
	"crypto/sha256"
	"strconv"
	"time"
)

// ID is the number of an account, drawn at random, never 0, below 2^63.
type ID uint64

// String is the number in decimal, as on the wire: too great for the numbers of JavaScript.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// PlayerID is the number by which the game knows a player: that of a character or, in a game without characters, that of the account. Drawn at
// random like an ID and from the same range, so that the two do not meet. It is the Player of a security.Identity.
type PlayerID uint64

// String is the number in decimal.
func (id PlayerID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Hash is what a store keeps of a secret of 256 random bits: enough to recognise it, not to use it. Such secrets need no slow hash.
type Hash [sha256.Size]byte

// Account is one row of a store.
type Account struct {
	ID       ID
	Name     string   // as its owner writes it; "" is a guest
	Key      string   // what NameRule made of Name; unique among accounts, "" apart
	Password string   // what pkg/services/password made of the password; "" where Name is
	Device   Hash     // of the device secret of a guest; unique among accounts, zero apart: an upgraded account has none
	Rights   []string // for the tokens of its players
	Created  time.Time
	Ban      Ban
	// Epoch goes up when name, password or device secret change. A session that was opened in another epoch is over.
	Epoch uint32
	// Version is the store's: it goes up by one with each update.
	Version uint64
}

// Guest says that the account has no name and no password yet.
func (a Account) Guest() bool { return a.Key == "" }

// Ban shuts an account out. The zero value does not.
type Ban struct {
	Until  time.Time // it is over at this time
	Reason string    // told to the owner
}

// In says whether the ban holds at now.
func (b Ban) In(now time.Time) bool { return b.Until.After(now) }

// Character is one row of a store.
type Character struct {
	ID      PlayerID
	Account ID
	Name    string // as its owner writes it
	Key     string // what NameRule made of Name; unique among characters
	Created time.Time
}

// Session is one row of a store: someone who proved to own an account.
type Session struct {
	Hash      Hash // of the token; unique
	Account   ID
	Epoch     uint32   // of the account when it was opened
	Character PlayerID // selected; 0: none yet
	Created   time.Time
	Expires   time.Time
}
