// Package storetest holds implementations of accounts.Store to what the interface promises: errors of constraints, versions, and what concurrent
// calls may lead to. Call Run from a test of the implementation; it calls into the testing package from the test's goroutine.
package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// racers is how many goroutines compete in the tests of races.
const racers = 16

// Run tests the stores that open returns. Each call must return an empty one; whatever has to be closed belongs into t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) accounts.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s accounts.Store)
	}{
		{"AccountIsReadAsWritten", accountIsReadAsWritten},
		{"UnknownRowsAreNotFound", unknownRowsAreNotFound},
		{"AccountConstraints", accountConstraints},
		{"GuestsShareNoConstraint", guestsShareNoConstraint},
		{"UpdateNeedsTheVersion", updateNeedsTheVersion},
		{"UpdateMovesKeyAndDevice", updateMovesKeyAndDevice},
		{"CharactersOfAnAccount", charactersOfAnAccount},
		{"CharacterConstraints", characterConstraints},
		{"DeletedCharacterFreesItsName", deletedCharacterFreesItsName},
		{"Sessions", sessions},
		{"OldestSessionsGiveWay", oldestSessionsGiveWay},
		{"ExpiredSessionsAreDeleted", expiredSessionsAreDeleted},
		{"SelectionFollowsTheCharacters", selectionFollowsTheCharacters},
		{"EndedContext", endedContext},
		{"RaceForAName", raceForAName},
		{"RaceForADevice", raceForADevice},
		{"RaceForACharacterName", raceForACharacterName},
		{"RaceForTheLastPlace", raceForTheLastPlace},
		{"RaceOfUpdates", raceOfUpdates},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func at(seconds int) time.Time {
	return time.Unix(1_800_000_000+int64(seconds), 123_456_000).UTC()
}

func hash(n uint32) (h accounts.Hash) {
	binary.LittleEndian.PutUint32(h[:], n)
	h[31] = 1
	return h
}

func named(id accounts.ID, key string) accounts.Account {
	return accounts.Account{ID: id, Name: key, Key: key, Password: "$argon2id$of " + key, Created: at(0)}
}

func guest(id accounts.ID, device uint32) accounts.Account {
	return accounts.Account{ID: id, Device: hash(device), Created: at(0)}
}

// want fails unless err is the sentinel, nil included.
func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// sameAccount compares times as times: a database may answer in another location.
func sameAccount(t *testing.T, what string, got, wanted accounts.Account) {
	t.Helper()
	if !got.Created.Equal(wanted.Created) || !got.Ban.Until.Equal(wanted.Ban.Until) {
		t.Errorf("%s: times %v and %v, want %v and %v", what, got.Created, got.Ban.Until, wanted.Created, wanted.Ban.Until)
	}
	got.Created, got.Ban.Until = wanted.Created, wanted.Ban.Until
	if len(got.Rights) == 0 && len(wanted.Rights) == 0 {
		got.Rights = wanted.Rights
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: %+v, want %+v", what, got, wanted)
	}
}

// race calls try from many goroutines at once and returns their errors.
func race(try func(i int) error) []error {
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = try(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// winners wants every error to be nil or the sentinel, and counts the nil ones.
func winners(t *testing.T, errs []error, sentinel error) (n int) {
	t.Helper()
	for i, err := range errs {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, sentinel):
			t.Errorf("racer %d: %v, want %v", i, err, sentinel)
		}
	}
	return n
}

func endedContext(t *testing.T, s accounts.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.CreateAccount(ctx, named(1, "anna")); err == nil {
		t.Error("CreateAccount works under a context that has ended")
	}
	if _, err := s.Account(ctx, 1); err == nil || errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("Account under a context that has ended: %v: that is no answer about the row", err)
	}
}
