package storetest

import (
	"errors"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

func accountIsReadAsWritten(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	a := named(1<<63-1, "anna")
	a.Name, a.Device, a.Rights, a.Epoch = "Anna 安娜", hash(7), []string{"gm", "构建"}, 1<<32-1
	a.Ban = accounts.Ban{Until: at(99), Reason: "说明"}
	must(t, "create", s.CreateAccount(ctx, a))
	a.Rights[0] = "changed by the caller"
	stored := a
	stored.Rights, stored.Version = []string{"gm", "构建"}, 1

	got, err := s.Account(ctx, a.ID)
	must(t, "by id", err)
	sameAccount(t, "by id", got, stored)
	got.Rights[1] = "changed by a reader"
	got, err = s.AccountByKey(ctx, "anna")
	must(t, "by key", err)
	sameAccount(t, "by key", got, stored)
	got, err = s.AccountByDevice(ctx, hash(7))
	must(t, "by device", err)
	sameAccount(t, "by device", got, stored)
}

func unknownRowsAreNotFound(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	_, err := s.Account(ctx, 1)
	want(t, "Account", err, accounts.ErrNotFound)
	_, err = s.AccountByKey(ctx, "anna")
	want(t, "AccountByKey", err, accounts.ErrNotFound)
	_, err = s.AccountByDevice(ctx, hash(1))
	want(t, "AccountByDevice", err, accounts.ErrNotFound)
	want(t, "UpdateAccount", s.UpdateAccount(ctx, named(1, "anna")), accounts.ErrNotFound)
	_, err = s.Character(ctx, 1)
	want(t, "Character", err, accounts.ErrNotFound)
	list, err := s.Characters(ctx, 1)
	if len(list) != 0 || err != nil {
		t.Errorf("Characters of nobody: %v, %v", list, err)
	}
	want(t, "CreateCharacter", s.CreateCharacter(ctx, accounts.Character{ID: 5, Account: 1, Key: "x", Created: at(0)}, 3), accounts.ErrNotFound)
	want(t, "DeleteCharacter", s.DeleteCharacter(ctx, 1, 1), accounts.ErrNotFound)
	want(t, "CreateSession", s.CreateSession(ctx, accounts.Session{Hash: hash(1), Account: 1, Created: at(0), Expires: at(1)}, 3), accounts.ErrNotFound)
	_, err = s.Session(ctx, hash(1))
	want(t, "Session", err, accounts.ErrNotFound)
	want(t, "SelectCharacter", s.SelectCharacter(ctx, hash(1), 1), accounts.ErrNotFound)
	want(t, "DeleteSession", s.DeleteSession(ctx, hash(1)), nil)
}

func accountConstraints(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, guest(2, 2)))
	want(t, "same id", s.CreateAccount(ctx, named(1, "berta")), accounts.ErrIDTaken)
	want(t, "same key", s.CreateAccount(ctx, named(3, "anna")), accounts.ErrNameTaken)
	want(t, "same device", s.CreateAccount(ctx, guest(3, 2)), accounts.ErrDeviceTaken)
	_, err := s.AccountByKey(ctx, "berta")
	want(t, "what was refused", err, accounts.ErrNotFound)

	two, err := s.Account(ctx, 2)
	must(t, "read", err)
	two.Key = "anna"
	want(t, "update to a taken key", s.UpdateAccount(ctx, two), accounts.ErrNameTaken)
	two.Key, two.Name = "ANNA", "ANNA"
	must(t, "keys that differ in case are two: folding is the rule's business", s.UpdateAccount(ctx, two))
	one, err := s.Account(ctx, 1)
	must(t, "read", err)
	one.Device = hash(2)
	want(t, "update to a taken device", s.UpdateAccount(ctx, one), accounts.ErrDeviceTaken)
}

func guestsShareNoConstraint(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	for i := range uint32(3) {
		must(t, "a guest without name", s.CreateAccount(ctx, guest(accounts.ID(1+i), 1+i)))
	}
	must(t, "an account without device", s.CreateAccount(ctx, named(10, "anna")))
	must(t, "another without device", s.CreateAccount(ctx, named(11, "berta")))
}

func updateNeedsTheVersion(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	first, err := s.Account(ctx, 1)
	must(t, "read", err)
	second := first
	first.Password, first.Epoch, first.Rights, first.Created = "new", 5, []string{"gm"}, at(50)
	must(t, "first update", s.UpdateAccount(ctx, first))
	second.Password = "lost update"
	want(t, "second update", s.UpdateAccount(ctx, second), accounts.ErrStale)
	got, err := s.Account(ctx, 1)
	must(t, "read", err)
	first.Version++
	first.Created = at(0) // stays
	sameAccount(t, "after both", got, first)
	must(t, "update of what was read", s.UpdateAccount(ctx, got))
}

func updateMovesKeyAndDevice(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, guest(1, 1)))
	a, err := s.Account(ctx, 1)
	must(t, "read", err)
	a.Name, a.Key, a.Device = "Anna", "anna", accounts.Hash{}
	must(t, "upgrade", s.UpdateAccount(ctx, a))
	_, err = s.AccountByDevice(ctx, hash(1))
	want(t, "the old device", err, accounts.ErrNotFound)
	got, err := s.AccountByKey(ctx, "anna")
	must(t, "the new key", err)
	got.Key, got.Name = "anne", "Anne"
	must(t, "rename", s.UpdateAccount(ctx, got))
	must(t, "the old key is free", s.CreateAccount(ctx, named(2, "anna")))
	must(t, "the old device is free", s.CreateAccount(ctx, guest(3, 1)))
}

func raceForAName(t *testing.T, s accounts.Store) {
	errs := race(func(i int) error { return s.CreateAccount(t.Context(), named(accounts.ID(1+i), "anna")) })
	if n := winners(t, errs, accounts.ErrNameTaken); n != 1 {
		t.Fatalf("%d of %d got the name, want exactly 1", n, racers)
	}
	a, err := s.AccountByKey(t.Context(), "anna")
	must(t, "the winner", err)
	if errs[a.ID-1] != nil {
		t.Errorf("the name belongs to account %v, which was told %v", a.ID, errs[a.ID-1])
	}
	for i := range racers {
		_, err := s.Account(t.Context(), accounts.ID(1+i))
		if (err == nil) != (errs[i] == nil) {
			t.Errorf("account %d: created: %v, read: %v", 1+i, errs[i], err)
		}
	}
}

func raceForADevice(t *testing.T, s accounts.Store) {
	errs := race(func(i int) error { return s.CreateAccount(t.Context(), guest(accounts.ID(1+i), 7)) })
	if n := winners(t, errs, accounts.ErrDeviceTaken); n != 1 {
		t.Errorf("%d of %d got the device, want exactly 1", n, racers)
	}
}

func raceOfUpdates(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	errs := race(func(int) error {
		for {
			a, err := s.Account(ctx, 1)
			if err != nil {
				return err
			}
			a.Epoch++
			if err := s.UpdateAccount(ctx, a); !errors.Is(err, accounts.ErrStale) {
				return err
			}
		}
	})
	if n := winners(t, errs, nil); n != racers {
		t.Errorf("%d of %d updates", n, racers)
	}
	a, err := s.Account(ctx, 1)
	must(t, "read", err)
	if a.Epoch != racers || a.Version != 1+racers {
		t.Errorf("epoch %d, version %d after %d increments: updates were lost", a.Epoch, a.Version, racers)
	}
}
