package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// directory is the link.Directory of a server that has no other: in memory, and so for the sessions of this server alone. It forgets with the process, which
// ends its sessions too; that tokens are used once holds for as long as it lives.
type directory struct {
	mu     sync.Mutex
	epoch  uint64
	used   map[string]time.Time // tokens, until when they could be used again
	barred map[uint64]time.Time
	swept  time.Time
}

func newDirectory(now time.Time) *directory {
	// Above every epoch of an earlier process, unless that one made more than a thousand logins per ms of its life.
	return &directory{epoch: uint64(now.UnixMilli()) * 1000, used: map[string]time.Time{}, barred: map[uint64]time.Time{}}
}

// tokenMemory is for how long a token is remembered whose end is not known.
const tokenMemory = 24 * time.Hour

// Claim mints an epoch.
func (d *directory) Claim(_ context.Context, c link.Claim) (uint64, error) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	if until, ok := d.barred[c.Player]; ok && until.After(now) {
		return 0, link.ErrBarred
	}
	if c.Token != "" {
		if until, ok := d.used[c.Token]; ok && until.After(now) {
			return 0, link.ErrTokenUsed
		}
		if c.Ends.IsZero() {
			c.Ends = now.Add(tokenMemory)
		}
		d.used[c.Token] = c.Ends.Add(time.Minute) // verifiers allow for clocks that differ
	}
	d.epoch++
	return d.epoch, nil
}

// sweep forgets what is over, once a minute.
func (d *directory) sweep(now time.Time) {
	if now.Sub(d.swept) < time.Minute {
		return
	}
	d.swept = now
	for k, until := range d.used {
		if !until.After(now) {
			delete(d.used, k)
		}
	}
	for k, until := range d.barred {
		if !until.After(now) {
			delete(d.barred, k)
		}
	}
}

// Bar shuts a player out.
func (d *directory) Bar(_ context.Context, player uint64, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.barred[player] = until
	return nil
}

// ticket is one that a session's client may hold.
type ticket struct {
	generation uint32 // 0: there is none
	secret     [32]byte
	seq        uint32 // number of the message that carried it
}

// tickets is what gateways may ask at any moment: the secrets of the tickets that are good. The zone's goroutine writes it.
type tickets struct {
	home uint64
	keys *security.TicketKeys

	mu   sync.Mutex
	good map[uint64][2]ticket // by session: the one that it was resumed with last, or the one before the latest, and the latest
}

func newTickets(home uint64) (*tickets, error) {
	keys, err := security.NewTicketKeys(nil)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &tickets{home: home, keys: keys, good: map[uint64][2]ticket{}}, nil
}

// set says which tickets of a session are good; none ends all.
func (t *tickets) set(session uint64, good [2]ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if good == ([2]ticket{}) {
		delete(t.good, session)
	} else {
		t.good[session] = good
	}
}

// Secret implements link.Tickets.
func (t *tickets) Secret(_ context.Context, sealed []byte) (link.Grant, error) {
	c, err := t.keys.Open(sealed, time.Now())
	if err != nil || c.Home != t.home {
		return link.Grant{}, link.ErrNoTicket
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.good[c.Session] {
		if k.generation == c.Generation && c.Generation != 0 {
			return link.Grant{Session: c.Session, Generation: c.Generation, Secret: k.secret}, nil
		}
	}
	return link.Grant{}, link.ErrNoTicket
}
