// Package password hashes passwords with argon2id so that a storm of logins cannot take the machine's memory: a Hasher computes at most
// Config.Concurrent hashes at once, lets a bounded number of callers wait for a bounded time and refuses the rest.
//
// Any goroutine may call a Hasher. Nothing runs in the background, so nothing stops. A hash that has begun is finished even if its context ends,
// because argon2 cannot be interrupted; it holds its place until then.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Bounds of a password, in bytes of UTF-8. 256 bytes are enough for a passphrase and bound the work of a request.
const (
	MinBytes = 8
	MaxBytes = 256
)

const (
	saltSize = 16 // bytes
	keySize  = 32 // bytes

	defaultMemory  = 19 << 10 // KiB
	defaultPasses  = 2
	defaultQueue   = 256
	defaultPatient = 2 * time.Second
)

var (
	// ErrBusy: as many hashes as allowed are being computed, and the caller may not wait, or waited for Config.Wait.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrEncoding: a stored hash that this package did not write, or whose parameters are out of bounds.
	ErrEncoding = errors.New("not a password hash of this package")
	// ErrTooShort: below MinBytes.
	ErrTooShort = fmt.Errorf("a password has at least %d bytes", MinBytes)
	// ErrTooLong: above MaxBytes.
	ErrTooLong = fmt.Errorf("a password has at most %d bytes", MaxBytes)
	// ErrText: no UTF-8, or with U+FFFD in it.
	ErrText = errors.New("a password is valid UTF-8 without U+FFFD, the character that stands for broken text")
)

// Check says why a password may not be used, or nil. The bytes are taken as they come: no trimming, no normalisation. Two ways to write the same
// character (é as one code point or as two) are two passwords, so clients that offer several keyboards should send one form, best NFC.
func Check(password string) error {
	switch {
	case len(password) < MinBytes:
		return ErrTooShort
	case len(password) > MaxBytes:
		return ErrTooLong
	case !utf8.ValidString(password):
		return ErrText
	}
	for _, r := range password {
		if r == utf8.RuneError { // what decoders put in the place of bytes that they could not read: different passwords would become one
			return ErrText
		}
	}
	return nil
}

// Config says what a hash costs. The zero value works.
type Config struct {
	// Memory that one hash fills, in KiB. Default 19,456 (19 MiB). At least 8 for each of Threads, at most 1 GiB.
	Memory uint32
	// Passes over the memory. Default 2. At most 64.
	Passes uint32
	// Threads that one hash uses. Default 1: logins are parallel anyway. At most 16.
	Threads uint8
	// Concurrent is the number of hashes at once; together they fill Concurrent × Memory, and what finished hashes leave behind
	// may be a few times that until the garbage collector has run. Default: one for each processor that Go uses.
	Concurrent int
	// Queue is how many callers may wait for a place beyond those. Default 256; -1: none.
	Queue int
	// Wait is how long one of them waits at most. Default 2 s.
	Wait time.Duration
	// Rand gives salts; nil means the system's randomness. Anything else must be safe for many goroutines.
	Rand io.Reader
}

// validate fills defaults and refuses contradictions.
func (c *Config) validate() error {
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Passes == 0 {
		c.Passes = defaultPasses
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Concurrent == 0 {
		c.Concurrent = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.Wait == 0 {
		c.Wait = defaultPatient
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	switch {
	case !c.cost().inBounds():
		return fmt.Errorf("password: %d KiB × %d passes × %d threads is out of bounds: give 8 KiB for each thread to %d KiB, 1 to %d passes, 1 to %d threads",
			c.Memory, c.Passes, c.Threads, maxMemory, maxPasses, maxThreads)
	case c.Concurrent < 0:
		return fmt.Errorf("password: Concurrent %d is negative: give the number of hashes at once, 0 for one per processor", c.Concurrent)
	case c.Wait < 0:
		return fmt.Errorf("password: Wait %v is negative: give how long a caller waits, 0 for %v", c.Wait, defaultPatient)
	}
	c.Queue = max(c.Queue, 0)
	return nil
}

func (c *Config) cost() cost { return cost{c.Memory, c.Passes, c.Threads} }

// Hasher computes and checks hashes, few at a time.
type Hasher struct {
	cfg     Config
	places  chan struct{} // one taken by each hash that is being computed
	waiting atomic.Int64

	hashed, refused atomic.Uint64
	running, peak   atomic.Int64
}

// Stats counts what a Hasher did since it was made.
type Stats struct {
	Hashed  uint64 // hashes computed, for whatever reason
	Refused uint64 // callers that were answered ErrBusy, or whose context ended while they waited
	Running int    // hashes being computed now
	Peak    int    // the most at once so far
	Waiting int    // callers that wait now
}

// New returns a Hasher.
func New(cfg Config) (*Hasher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Hasher{cfg: cfg, places: make(chan struct{}, cfg.Concurrent)}, nil
}

// Stats returns the counters.
func (h *Hasher) Stats() Stats {
	return Stats{
		Hashed: h.hashed.Load(), Refused: h.refused.Load(),
		Running: int(h.running.Load()), Peak: int(h.peak.Load()), Waiting: int(h.waiting.Load()),
	}
}

// Wait is how long a caller that was refused should stay away: the time after which those who waited with it are gone.
func (h *Hasher) Wait() time.Duration { return h.cfg.Wait }

// Hash returns the hash of a password in the form that Verify reads, with its parameters and a fresh salt. It fails with what Check says, with
// ErrBusy, or with the error of ctx.
func (h *Hasher) Hash(ctx context.Context, password string) (encoded string, err error) {
	if err := Check(password); err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return h.hash(password)
}

// hash is called by whoever holds a place.
func (h *Hasher) hash(password string) (string, error) {
	var salt [saltSize]byte
	if _, err := io.ReadFull(h.cfg.Rand, salt[:]); err != nil {
		return "", fmt.Errorf("draw salt: %w", err)
	}
	e := encoding{cost: h.cfg.cost(), salt: salt[:]}
	e.key = h.derive(password, e)
	return e.String(), nil
}

// Verify says whether encoded is the hash of password. If it is, and the Config asks for more than encoded was made with, renewed is a new hash
// to store in its place, else "". An empty encoded stands for an account that does not exist: the same work is done with the parameters of
// Config, and the answer is no. It fails with ErrBusy, ErrEncoding, or the error of ctx; what Check refuses is the hash of nothing.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (ok bool, renewed string, err error) {
	stored := h.decoy()
	if encoded != "" {
		if stored, err = parse(encoded); err != nil {
			return false, "", err
		}
	}
	if Check(password) != nil {
		return false, "", nil
	}
	if err := h.enter(ctx); err != nil {
		return false, "", err
	}
	defer h.leave()
	same := subtle.ConstantTimeCompare(h.derive(password, stored), stored.key) == 1
	if !same || encoded == "" {
		return false, "", nil
	}
	if stored.cost.below(h.cfg.cost()) {
		renewed, err = h.hash(password)
	}
	return true, renewed, err
}

// decoy is compared with where there is no hash. That no password leads to it does not matter: Verify answers no in any case.
func (h *Hasher) decoy() encoding {
	return encoding{cost: h.cfg.cost(), salt: make([]byte, saltSize), key: make([]byte, keySize)}
}

func (h *Hasher) derive(password string, e encoding) []byte {
	h.hashed.Add(1)
	return argon2.IDKey([]byte(password), e.salt, e.cost.passes, e.cost.memory, e.cost.threads, keySize)
}

// enter takes a place, or says why there is none.
func (h *Hasher) enter(ctx context.Context) error {
	if err := h.wait(ctx); err != nil {
		h.refused.Add(1)
		return err
	}
	now := h.running.Add(1)
	for {
		if peak := h.peak.Load(); now <= peak || h.peak.CompareAndSwap(peak, now) {
			return nil
		}
	}
}

func (h *Hasher) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.places <- struct{}{}:
		return nil
	default:
	}
	if h.waiting.Add(1) > int64(h.cfg.Queue) {
		h.waiting.Add(-1)
		return ErrBusy
	}
	defer h.waiting.Add(-1)
	patience := time.NewTimer(h.cfg.Wait)
	defer patience.Stop()
	select {
	case h.places <- struct{}{}:
		return nil
	case <-patience.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) leave() {
	h.running.Add(-1)
	<-h.places
}
