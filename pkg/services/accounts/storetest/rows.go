package storetest

import (
	"reflect"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

func character(id accounts.PlayerID, account accounts.ID, key string) accounts.Character {
	return accounts.Character{ID: id, Account: account, Name: "N-" + key, Key: key, Created: at(int(id))}
}

func ids(list []accounts.Character) (ids []accounts.PlayerID) {
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

func charactersOfAnAccount(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, named(2, "berta")))
	must(t, "create", s.CreateCharacter(ctx, character(30, 1, "c"), 3))
	must(t, "create", s.CreateCharacter(ctx, character(10, 1, "a"), 3))
	must(t, "create", s.CreateCharacter(ctx, character(20, 2, "b"), 3))
	list, err := s.Characters(ctx, 1)
	must(t, "list", err)
	if !reflect.DeepEqual(ids(list), []accounts.PlayerID{10, 30}) {
		t.Errorf("characters of account 1: %v, want 10 and 30: the oldest first", ids(list))
	}
	got, err := s.Character(ctx, 30)
	must(t, "read", err)
	if wanted := character(30, 1, "c"); !got.Created.Equal(wanted.Created) || got.ID != 30 || got.Account != 1 || got.Name != wanted.Name || got.Key != "c" {
		t.Errorf("%+v, want %+v", got, wanted)
	}
}

func characterConstraints(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, named(2, "berta")))
	must(t, "create", s.CreateCharacter(ctx, character(10, 1, "a"), 2))
	want(t, "same name", s.CreateCharacter(ctx, character(11, 2, "a"), 2), accounts.ErrNameTaken)
	want(t, "same id", s.CreateCharacter(ctx, character(10, 2, "b"), 2), accounts.ErrIDTaken)
	must(t, "second", s.CreateCharacter(ctx, character(11, 1, "b"), 2))
	want(t, "third of two", s.CreateCharacter(ctx, character(12, 1, "c"), 2), accounts.ErrTooMany)
	must(t, "a raised limit", s.CreateCharacter(ctx, character(12, 1, "c"), 3))
	want(t, "a name of an account is no name of a character", s.CreateCharacter(ctx, character(13, 2, "anna"), 3), nil)
}

func deletedCharacterFreesItsName(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, named(2, "berta")))
	must(t, "create", s.CreateCharacter(ctx, character(10, 1, "a"), 1))
	want(t, "of someone else", s.DeleteCharacter(ctx, 2, 10), accounts.ErrNotFound)
	must(t, "delete", s.DeleteCharacter(ctx, 1, 10))
	want(t, "again", s.DeleteCharacter(ctx, 1, 10), accounts.ErrNotFound)
	_, err := s.Character(ctx, 10)
	want(t, "read", err, accounts.ErrNotFound)
	must(t, "its place is free", s.CreateCharacter(ctx, character(11, 1, "b"), 1))
	must(t, "its name is free", s.CreateCharacter(ctx, character(12, 2, "a"), 1))
}

func session(n uint32, account accounts.ID) accounts.Session {
	return accounts.Session{Hash: hash(n), Account: account, Epoch: n, Created: at(int(n)), Expires: at(int(n) + 100)}
}

func sessions(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "open", s.CreateSession(ctx, session(1, 1), 8))
	must(t, "open", s.CreateSession(ctx, session(2, 1), 8))
	want(t, "same hash", s.CreateSession(ctx, session(1, 1), 8), accounts.ErrIDTaken)
	got, err := s.Session(ctx, hash(2))
	must(t, "read", err)
	if w := session(2, 1); !got.Created.Equal(w.Created) || !got.Expires.Equal(w.Expires) || got.Hash != w.Hash || got.Account != 1 || got.Epoch != 2 || got.Character != 0 {
		t.Errorf("%+v, want %+v", got, w)
	}
	must(t, "close", s.DeleteSession(ctx, hash(1)))
	must(t, "close again", s.DeleteSession(ctx, hash(1)))
	_, err = s.Session(ctx, hash(1))
	want(t, "closed", err, accounts.ErrNotFound)
	_, err = s.Session(ctx, hash(2))
	want(t, "the other", err, nil)
}

func oldestSessionsGiveWay(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, named(2, "berta")))
	must(t, "open", s.CreateSession(ctx, session(1, 2), 3))
	for n := uint32(2); n <= 6; n++ {
		must(t, "open", s.CreateSession(ctx, session(n, 1), 3))
	}
	for n, sentinel := range []error{1: nil, 2: accounts.ErrNotFound, 3: accounts.ErrNotFound, 4: nil, 5: nil, 6: nil} {
		if n > 0 {
			_, err := s.Session(ctx, hash(uint32(n)))
			want(t, "session "+string(rune('0'+n)), err, sentinel)
		}
	}
	must(t, "a lowered number", s.CreateSession(ctx, session(7, 1), 1))
	_, err := s.Session(ctx, hash(6))
	want(t, "session 6", err, accounts.ErrNotFound)
}

func expiredSessionsAreDeleted(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	for n := uint32(1); n <= 5; n++ {
		must(t, "open", s.CreateSession(ctx, session(n, 1), 8))
	}
	if n, err := s.DeleteExpired(ctx, at(103), 2); n != 2 || err != nil {
		t.Errorf("the first two: %d, %v", n, err)
	}
	if n, err := s.DeleteExpired(ctx, at(103), 2); n != 1 || err != nil {
		t.Errorf("the third, which expires at that very moment: %d, %v", n, err)
	}
	if n, err := s.DeleteExpired(ctx, at(103), 2); n != 0 || err != nil {
		t.Errorf("no more: %d, %v", n, err)
	}
	for n := uint32(4); n <= 5; n++ {
		_, err := s.Session(ctx, hash(n))
		want(t, "a good session", err, nil)
	}
}

func selectionFollowsTheCharacters(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	must(t, "create", s.CreateAccount(ctx, named(2, "berta")))
	must(t, "create", s.CreateCharacter(ctx, character(10, 1, "a"), 2))
	must(t, "create", s.CreateCharacter(ctx, character(20, 2, "b"), 2))
	must(t, "open", s.CreateSession(ctx, session(1, 1), 8))
	want(t, "someone else's character", s.SelectCharacter(ctx, hash(1), 20), accounts.ErrNotFound)
	want(t, "nobody's character", s.SelectCharacter(ctx, hash(1), 30), accounts.ErrNotFound)
	want(t, "nobody's session", s.SelectCharacter(ctx, hash(2), 10), accounts.ErrNotFound)
	must(t, "select", s.SelectCharacter(ctx, hash(1), 10))
	selected := func() accounts.PlayerID {
		got, err := s.Session(ctx, hash(1))
		must(t, "read", err)
		return got.Character
	}
	if id := selected(); id != 10 {
		t.Errorf("character %v is selected, want 10", id)
	}
	must(t, "delete", s.DeleteCharacter(ctx, 1, 10))
	if id := selected(); id != 0 {
		t.Errorf("character %v is selected after it was deleted", id)
	}
}

func raceForACharacterName(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	for i := range racers {
		must(t, "create", s.CreateAccount(ctx, guest(accounts.ID(1+i), uint32(1+i))))
	}
	errs := race(func(i int) error {
		return s.CreateCharacter(ctx, character(accounts.PlayerID(100+i), accounts.ID(1+i), "hero"), 3)
	})
	if n := winners(t, errs, accounts.ErrNameTaken); n != 1 {
		t.Errorf("%d of %d got the name, want exactly 1", n, racers)
	}
}

func raceForTheLastPlace(t *testing.T, s accounts.Store) {
	ctx := t.Context()
	must(t, "create", s.CreateAccount(ctx, named(1, "anna")))
	errs := race(func(i int) error {
		return s.CreateCharacter(ctx, character(accounts.PlayerID(100+i), 1, string(rune('a'+i))), 3)
	})
	if n := winners(t, errs, accounts.ErrTooMany); n != 3 {
		t.Errorf("%d of %d characters were created, want exactly 3", n, racers)
	}
	list, err := s.Characters(ctx, 1)
	must(t, "list", err)
	if len(list) != 3 {
		t.Errorf("%d characters, want 3", len(list))
	}
}
