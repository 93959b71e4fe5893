package security

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTicket: a ticket that is forged, cut, expired, or sealed under a key that is gone. Which one is not told to the peer.
var ErrTicket = errors.New("ticket is not valid")

const (
	ticketHeadSize   = 4 + 12
	ticketClaimsSize = 8 + 8 + 8 + 4 + 8
	ticketSize       = ticketHeadSize + ticketClaimsSize + tagSize
	ticketLabel      = "mmo ticket\x01"
)

// TicketClaims say which session a ticket resumes. They prove that the server wrote them, not who shows them: that proof is
// the secret that came with the ticket, and whether the ticket is spent is known at the session's home.
type TicketClaims struct {
	Home       uint64    // the server that keeps the session
	Session    uint64    // never 0
	Player     uint64    // never 0
	Generation uint32    // of the session's tickets: a later one spends the earlier
	Expires    time.Time // UTC, whole ms
}

// TicketKeys seals and opens tickets under keys of its own that exist in memory only: the current one, and the one before
// it so that a rotation spends nobody's ticket. Any goroutine may call it.
//
// A nonce is the number of tickets that its key has sealed, so none is used twice and no bound on tickets per key is
// needed; random nonces would need one (2^32). The price is that a player who compares two tickets learns how many were
// given out in between.
type TicketKeys struct {
	rand io.Reader

	mu                sync.RWMutex
	current, previous *ticketKey // previous nil: not rotated yet
}

type ticketKey struct {
	id     uint32
	aead   cipher.AEAD
	sealed atomic.Uint64 // tickets so far
}

// NewTicketKeys draws the first key from rand (nil: the system's randomness), which later Rotates use too.
func NewTicketKeys(rand io.Reader) (*TicketKeys, error) {
	k := &TicketKeys{rand: randomOr(rand)}
	if err := k.Rotate(); err != nil {
		return nil, err
	}
	return k, nil
}

// Rotate makes a new key for the tickets to come. Those of the key before stay good until the next Rotate, so call it no
// more often than tickets live. After an error the keys are as before.
func (k *TicketKeys) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var seed [4 + keySize]byte
	if _, err := io.ReadFull(k.rand, seed[:]); err != nil {
		return fmt.Errorf("rotate ticket keys: %w", err)
	}
	next := &ticketKey{id: binary.LittleEndian.Uint32(seed[:])} // a random id tells keys of other processes and earlier runs apart
	if k.current != nil && next.id == k.current.id {
		next.id++
	}
	block, err := aes.NewCipher(seed[4:])
	if err != nil {
		return fmt.Errorf("rotate ticket keys: %w", err)
	}
	if next.aead, err = cipher.NewGCM(block); err != nil {
		return fmt.Errorf("rotate ticket keys: %w", err)
	}
	k.current, k.previous = next, k.current
	return nil
}

// Seal makes a ticket of 68 bytes. It refuses claims that name nobody, an expiry outside of the years 1970 to 9999, and
// to go on when a key has sealed 2^64-1 tickets.
//
//	key_id u32 | nonce (12) | AES-256-GCM(key, claims; additional data: "mmo ticket" ‖ 0x01 ‖ key_id) | tag (16)
//	nonce  = 4 zero bytes | count of tickets u64, big-endian
//	claims = home u64 | session u64 | player u64 | generation u32 | expires u64 ms since 1970          little-endian
func (k *TicketKeys) Seal(c TicketClaims) ([]byte, error) {
	if c.Session == 0 || c.Player == 0 {
		return nil, fmt.Errorf("seal ticket of player %d, session %d: 0 is nobody", c.Player, c.Session)
	}
	if year := c.Expires.UTC().Year(); year < 1970 || year > 9999 {
		return nil, fmt.Errorf("seal ticket of player %d: it expires in the year %d", c.Player, year)
	}
	k.mu.RLock()
	key := k.current
	k.mu.RUnlock()
	count := key.sealed.Add(1)
	if count == math.MaxUint64 {
		key.sealed.Add(^uint64(0)) // stay at the end instead of starting over
		return nil, errors.New("seal ticket: the key is used up: Rotate")
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, ticketSize), key.id)
	b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), count)
	var claims [ticketClaimsSize]byte
	binary.LittleEndian.PutUint64(claims[0:], c.Home)
	binary.LittleEndian.PutUint64(claims[8:], c.Session)
	binary.LittleEndian.PutUint64(claims[16:], c.Player)
	binary.LittleEndian.PutUint32(claims[24:], c.Generation)
	binary.LittleEndian.PutUint64(claims[28:], uint64(c.Expires.UnixMilli()))
	return key.aead.Seal(b, b[4:ticketHeadSize], claims[:], ticketAD(key.id)), nil
}

// Open reads the claims of a ticket that this object sealed and that has not expired at now. ticket is not written to. The
// error wraps ErrTicket; its text is for the log, not for the peer.
func (k *TicketKeys) Open(ticket []byte, now time.Time) (TicketClaims, error) {
	c, err := k.open(ticket, now)
	if err != nil {
		return TicketClaims{}, fmt.Errorf("open ticket: %w", err)
	}
	return c, nil
}

func (k *TicketKeys) open(ticket []byte, now time.Time) (c TicketClaims, err error) {
	if len(ticket) != ticketSize {
		return c, fmt.Errorf("%d bytes, want %d: %w", len(ticket), ticketSize, ErrTicket)
	}
	id := binary.LittleEndian.Uint32(ticket)
	k.mu.RLock()
	key := k.current
	if key.id != id {
		key = k.previous
	}
	k.mu.RUnlock()
	if key == nil || key.id != id {
		return c, fmt.Errorf("key %d is not known: %w", id, ErrTicket)
	}
	claims, err := key.aead.Open(make([]byte, 0, ticketClaimsSize), ticket[4:ticketHeadSize], ticket[ticketHeadSize:], ticketAD(id))
	if err != nil {
		return c, fmt.Errorf("forged: %w", ErrTicket)
	}
	c = TicketClaims{
		Home:       binary.LittleEndian.Uint64(claims[0:]),
		Session:    binary.LittleEndian.Uint64(claims[8:]),
		Player:     binary.LittleEndian.Uint64(claims[16:]),
		Generation: binary.LittleEndian.Uint32(claims[24:]),
		Expires:    time.UnixMilli(int64(binary.LittleEndian.Uint64(claims[28:]))).UTC(),
	}
	if !now.Before(c.Expires) {
		return c, fmt.Errorf("expired at %v: %w", c.Expires, ErrTicket)
	}
	return c, nil
}

func ticketAD(id uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(make([]byte, 0, len(ticketLabel)+4), ticketLabel...), id)
}
