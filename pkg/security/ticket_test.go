package security

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

func ticketNow() time.Time { return time.Unix(1_795_000_000, 500_000_000).UTC() }

func ticketClaims() TicketClaims {
	return TicketClaims{Home: 0x0102030405060708, Session: 0x1112131415161718, Player: math.MaxUint64, Generation: 0x21222324, Expires: ticketNow().Add(time.Minute)}
}

// newTickets has keys of known bytes: id 04030201, then the key 05 06 …
func newTickets(t testing.TB) *TicketKeys {
	t.Helper()
	k, err := NewTicketKeys(bytes.NewReader(pattern(1, 5*36)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealTicket(t testing.TB, k *TicketKeys) []byte {
	t.Helper()
	ticket, err := k.Seal(ticketClaims())
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestTicketRoundTrip(t *testing.T) {
	k := newTickets(t)
	for _, c := range []TicketClaims{ticketClaims(), {Session: 1, Player: 1, Expires: ticketNow().Add(time.Millisecond)}} {
		ticket, err := k.Seal(c)
		if err != nil || len(ticket) != ticketSize || len(ticket) > MaxTicket {
			t.Fatalf("%d bytes, %v", len(ticket), err)
		}
		kept := bytes.Clone(ticket)
		if got, err := k.Open(ticket, ticketNow()); err != nil || got != c {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
		if !bytes.Equal(ticket, kept) {
			t.Error("the ticket was written to")
		}
	}
}

// TestTicketLayout opens a ticket with nothing but the standard library and the drawing at Seal.
func TestTicketLayout(t *testing.T) {
	ticket := sealTicket(t, newTickets(t))
	if got := hex.EncodeToString(ticket[:16]); got != "01020304"+"00000000"+"0000000000000001" {
		t.Fatalf("head %s", got)
	}
	block, err := aes.NewCipher(pattern(5, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := aead.Open(nil, ticket[4:16], ticket[16:], []byte("mmo ticket\x01\x01\x02\x03\x04"))
	want := "0807060504030201" + "1817161514131211" + "ffffffffffffffff" + "24232221" + "544a57eea1010000"
	if err != nil || hex.EncodeToString(claims) != want {
		t.Errorf("claims %x, %v, want %s", claims, err, want)
	}
}

func TestForgedOrTruncatedTicketIsRefused(t *testing.T) {
	k := newTickets(t)
	ticket := sealTicket(t, k)
	refuse := func(what string, b []byte) {
		t.Helper()
		if c, err := k.Open(b, ticketNow()); !errors.Is(err, ErrTicket) || c != (TicketClaims{}) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	for i := range ticket {
		for bit := range 8 {
			changed := bytes.Clone(ticket)
			changed[i] ^= 1 << bit
			refuse("flipped", changed)
		}
		refuse("truncated", ticket[:i])
		refuse("cut at the front", ticket[i+1:])
	}
	for n := 1; n <= 2*MaxTicket; n++ {
		refuse("extended", append(bytes.Clone(ticket), make([]byte, n)...))
	}
	refuse("zeros", make([]byte, ticketSize))
	refuse("two halves", append(bytes.Clone(ticket[:ticketSize/2]), sealTicket(t, k)[ticketSize/2:]...))
	other, err := NewTicketKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	other.current.id = k.current.id
	refuse("of another key with the same id", sealTicket(t, other))
	if _, err := k.Open(ticket, ticketNow()); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestTicketExpires(t *testing.T) {
	k := newTickets(t)
	ticket := sealTicket(t, k)
	end := ticketClaims().Expires
	for _, test := range []struct {
		now  time.Time
		good bool
	}{
		{end.Add(-time.Millisecond), true}, {end.Add(-time.Nanosecond), true}, {end, false}, {end.Add(time.Hour), false},
		{end.Add(-24 * time.Hour), true}, {time.Unix(0, 0), true},
	} {
		if _, err := k.Open(ticket, test.now); (err == nil) != test.good || err != nil && (!errors.Is(err, ErrTicket) || !strings.Contains(err.Error(), "expired")) {
			t.Errorf("%v before the end: %v", end.Sub(test.now), err)
		}
	}
}

func TestTicketKeysRotate(t *testing.T) {
	k := newTickets(t)
	first := sealTicket(t, k)
	for round := range 3 {
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
		second := sealTicket(t, k)
		if bytes.Equal(first[:4], second[:4]) {
			t.Errorf("round %d: two keys have the id %x", round, first[:4])
		}
		for name, ticket := range map[string][]byte{"current": second, "previous": first} {
			if c, err := k.Open(ticket, ticketNow()); err != nil || c != ticketClaims() {
				t.Errorf("round %d, %s key: %v", round, name, err)
			}
		}
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Open(first, ticketNow()); !errors.Is(err, ErrTicket) || !strings.Contains(err.Error(), "not known") {
			t.Errorf("round %d: a ticket from before two rotations: %v", round, err)
		}
		if round == 1 { // four keys were drawn from the pattern, then a fifth: the randomness ends
			break
		}
		first = sealTicket(t, k)
	}
	current := sealTicket(t, k)
	if err := k.Rotate(); err == nil {
		t.Error("rotated without randomness")
	}
	if _, err := k.Open(current, ticketNow()); err != nil {
		t.Errorf("after a failed rotation: %v", err)
	}
	if _, err := NewTicketKeys(bytes.NewReader(make([]byte, 35))); err == nil {
		t.Error("keys of 35 random bytes")
	}
}

func TestRotatedKeyGetsAnotherID(t *testing.T) {
	k, err := NewTicketKeys(bytes.NewReader(make([]byte, 2*36)))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(); err != nil || k.current.id == k.previous.id {
		t.Errorf("ids %d and %d, %v", k.current.id, k.previous.id, err)
	}
}

func TestSealRefusesClaimsOfNobody(t *testing.T) {
	for name, change := range map[string]func(*TicketClaims){
		"session 0": func(c *TicketClaims) { c.Session = 0 },
		"player 0":  func(c *TicketClaims) { c.Player = 0 },
		"no expiry": func(c *TicketClaims) { c.Expires = time.Time{} },
		"year 9999": func(c *TicketClaims) { c.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := ticketClaims()
		change(&c)
		if ticket, err := newTickets(t).Seal(c); err == nil || ticket != nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func TestTicketKeyEndsBeforeItsNoncesDo(t *testing.T) {
	k := newTickets(t)
	k.current.sealed.Store(math.MaxUint64 - 2)
	sealTicket(t, k)
	for range 3 {
		if ticket, err := k.Seal(ticketClaims()); err == nil {
			t.Fatalf("sealed %x", ticket)
		}
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	sealTicket(t, k)
}

// TestNoTicketNonceIsUsedTwice seals from many goroutines while keys rotate.
func TestNoTicketNonceIsUsedTwice(t *testing.T) {
	k, err := NewTicketKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	const goroutines, each = 8, 200
	tickets := make([][][]byte, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				ticket, err := k.Seal(ticketClaims())
				if err != nil {
					t.Error(err)
					return
				}
				tickets[g] = append(tickets[g], ticket)
				if g == 0 && i%50 == 49 {
					if err := k.Rotate(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, ticket := range slicesOf(tickets) {
		head := string(ticket[:ticketHeadSize])
		if seen[head] {
			t.Errorf("key and nonce %x twice", head)
		}
		seen[head] = true
	}
	if len(seen) != goroutines*each {
		t.Errorf("%d tickets", len(seen))
	}
}

func slicesOf(all [][][]byte) (flat [][]byte) {
	for _, some := range all {
		flat = append(flat, some...)
	}
	return flat
}

func FuzzOpenTicket(f *testing.F) {
	good := sealTicket(f, newTickets(f))
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:ticketSize-1])
	f.Add(make([]byte, ticketSize))
	k := newTickets(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := k.Open(b, ticketNow())
		if bytes.Equal(b, good) {
			if err != nil || c != ticketClaims() {
				t.Fatalf("%+v, %v", c, err)
			}
		} else if !errors.Is(err, ErrTicket) || c != (TicketClaims{}) {
			t.Fatalf("forged: %x", b)
		}
	})
}
