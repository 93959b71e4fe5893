package accounts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

func TestTokenIsOfTheSelectedCharacter(t *testing.T) {
	w := newWorld(t)
	e, v := w.guest()
	_, err := w.Token(t.Context(), v)
	w.wants("nothing selected", err, accounts.ErrNotSelected)
	hero, err := w.CreateCharacter(t.Context(), v, "Hero")
	w.must(err)
	w.must(w.SelectCharacter(t.Context(), v, hero.ID))
	_, err = w.SetRights(t.Context(), accounts.Target{Account: v.Account.ID}, []string{"gm"})
	w.must(err)
	_, v = w.enter(e, nil)

	token, err := w.Token(t.Context(), v)
	w.must(err)
	id, err := security.DevTokens{Secret: []byte("0123456789abcdef")}.Verify(token.Token, w.clock.Now())
	w.must(err)
	if id.Player != uint64(hero.ID) || id.Name != "Hero" || !slices.Equal(id.Rights, []string{"gm"}) || len(id.TokenID) != 22 || token.Player != hero.ID {
		t.Errorf("%+v", id)
	}
	if want := w.clock.Now().Add(90 * time.Second); !token.Expires.Equal(want) || !id.Expires.Equal(want) {
		t.Errorf("expires %v, in the token %v, want %v", token.Expires, id.Expires, want)
	}
	other, err := w.Token(t.Context(), v)
	w.must(err)
	if second, _ := (security.DevTokens{Secret: []byte("0123456789abcdef")}).Verify(other.Token, w.clock.Now()); second.TokenID == id.TokenID {
		t.Error("two tokens of one id")
	}

	w.must(w.DeleteCharacter(t.Context(), v, hero.ID))
	_, err = w.Token(t.Context(), v)
	w.wants("a visit that still has the deleted one selected", err, accounts.ErrNotSelected)
}

func TestGameWithoutCharacters(t *testing.T) {
	w := newWorld(t, func(c *accounts.Config) { c.MaxCharacters = 0 })
	e, v := w.guest()
	token, err := w.Token(t.Context(), v)
	w.must(err)
	if uint64(token.Player) != uint64(e.Account.ID) || token.Name != "guest" {
		t.Errorf("%+v", token)
	}
	_, v = w.register("Anna")
	if token, err = w.Token(t.Context(), v); err != nil || token.Name != "Anna" {
		t.Errorf("%+v, %v", token, err)
	}
	_, err = w.Characters(t.Context(), v)
	w.wants("list", err, accounts.ErrNoCharacters)
	_, err = w.CreateCharacter(t.Context(), v, "Hero")
	w.wants("create", err, accounts.ErrNoCharacters)
	w.wants("select", w.SelectCharacter(t.Context(), v, 1), accounts.ErrNoCharacters)
	w.wants("delete", w.DeleteCharacter(t.Context(), v, 1), accounts.ErrNoCharacters)
	_, err = w.Ban(t.Context(), accounts.Target{Player: accounts.PlayerID(v.Account.ID)}, w.clock.Now().Add(time.Hour), "x")
	w.must(err)
	if want := fmt.Sprintf("kick %d banned x", v.Account.ID); !slices.Contains(w.servers.told, want) {
		t.Errorf("told %q, want %q", w.servers.told, want)
	}
}

func TestCharacters(t *testing.T) {
	w := newWorld(t)
	_, anna := w.register("anna")
	_, berta := w.register("berta")
	var mine []accounts.Character
	for _, name := range []string{"Hero", "英雄", "Дракон"} {
		c, err := w.CreateCharacter(t.Context(), anna, name)
		w.must(err)
		mine = append(mine, c)
		w.clock.pass(time.Second)
	}
	_, err := w.CreateCharacter(t.Context(), anna, "Fourth")
	w.wants("a fourth of three", err, accounts.ErrTooMany)
	_, err = w.CreateCharacter(t.Context(), berta, "hERO")
	w.wants("a name in another case", err, accounts.ErrNameTaken)
	_, err = w.CreateCharacter(t.Context(), berta, "Не ro")
	is[*accounts.NameError](t, "a bad name", err)
	list, err := w.Characters(t.Context(), anna)
	if err != nil || !slices.Equal(list, mine) {
		t.Errorf("%v, %v, want %v", list, err, mine)
	}
	w.wants("delete someone else's", w.DeleteCharacter(t.Context(), berta, mine[0].ID), accounts.ErrNotFound)
	w.wants("select someone else's", w.SelectCharacter(t.Context(), berta, mine[0].ID), accounts.ErrNotFound)
	w.must(w.DeleteCharacter(t.Context(), anna, mine[0].ID))
	_, err = w.CreateCharacter(t.Context(), berta, "HERO")
	w.must(err)
	want := []string{
		fmt.Sprintf("bar %v %s", mine[0].ID, w.clock.Now().Add(3*time.Minute).Format(time.RFC3339)),
		fmt.Sprintf("kick %v kicked character deleted", mine[0].ID),
	}
	if !slices.Equal(w.servers.told, want) {
		t.Errorf("the servers were told %q, want %q", w.servers.told, want)
	}
}

func TestCharacterIsNotDeletedWhereItMightPlayOn(t *testing.T) {
	w := newWorld(t)
	_, v := w.guest()
	c, err := w.CreateCharacter(t.Context(), v, "Hero")
	w.must(err)
	w.servers.fail = errors.New("no route to host")
	w.wants("delete", w.DeleteCharacter(t.Context(), v, c.ID), accounts.ErrRevoker)
	w.servers.fail = nil
	w.must(w.DeleteCharacter(t.Context(), v, c.ID))
}

func TestBanHoldsAtOnceAndIsLifted(t *testing.T) {
	w := newWorld(t)
	e, v := w.register("anna")
	guest, _ := w.guest()
	hero, err := w.CreateCharacter(t.Context(), v, "Hero")
	w.must(err)
	until := w.clock.Now().Add(time.Hour)
	banned, err := w.Ban(t.Context(), accounts.Target{Player: hero.ID}, until, "cheating")
	w.must(err)
	if banned.ID != e.Account.ID || banned.Ban != (accounts.Ban{Until: until, Reason: "cheating"}) {
		t.Errorf("%+v", banned)
	}
	if want := []string{fmt.Sprintf("bar %v %s", hero.ID, until.Format(time.RFC3339)), fmt.Sprintf("kick %v banned cheating", hero.ID)}; !slices.Equal(w.servers.told, want) {
		t.Errorf("the servers were told %q, want %q", w.servers.told, want)
	}
	_, err = w.Visit(t.Context(), e.Session)
	if b := is[*accounts.BannedError](t, "a session", err); b.Ban.Reason != "cheating" {
		t.Error(b)
	}
	_, err = w.Login(t.Context(), here(), "anna", goodPassword)
	is[*accounts.BannedError](t, "a login", err)
	_, err = w.Login(t.Context(), here(), "anna", "wrong horse")
	w.wants("a login by who does not know the password", err, accounts.ErrRefused)
	_, err = w.Ban(t.Context(), accounts.Target{Account: guest.Account.ID}, until, "cheating")
	w.must(err)
	_, err = w.Guest(t.Context(), here(), guest.Secret)
	is[*accounts.BannedError](t, "a banned guest", err)

	w.servers.told = nil
	_, err = w.Unban(t.Context(), accounts.Target{Name: "ANNA"})
	w.must(err)
	if want := []string{fmt.Sprintf("unbar %v", hero.ID)}; !slices.Equal(w.servers.told, want) {
		t.Errorf("the servers were told %q, want %q", w.servers.told, want)
	}
	_, err = w.Visit(t.Context(), e.Session)
	w.must(err)
	w.clock.pass(time.Hour)
	w.enter(w.Guest(t.Context(), here(), guest.Secret))
}

func TestBanIsStoredBeforeTheServersAreTold(t *testing.T) {
	w := newWorld(t)
	e, v := w.register("anna")
	_, err := w.CreateCharacter(t.Context(), v, "Hero")
	w.must(err)
	w.servers.fail = errors.New("no route to host")
	_, err = w.Ban(t.Context(), accounts.Target{Account: e.Account.ID}, w.clock.Now().Add(time.Hour), "cheating")
	w.wants("ban", err, accounts.ErrRevoker)
	_, err = w.Visit(t.Context(), e.Session)
	is[*accounts.BannedError](t, "a session", err)
	_, err = w.Unban(t.Context(), accounts.Target{Account: e.Account.ID})
	w.wants("unban", err, accounts.ErrRevoker)
	w.wants("kick", w.Kick(t.Context(), 1, "x"), accounts.ErrRevoker)
	if s := w.Stats(); s.RevokerErrors != 3 || s.Bans != 1 || s.Kicks != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOperatorsArgumentsAreChecked(t *testing.T) {
	w := newWorld(t)
	e, _ := w.register("anna")
	at := accounts.Target{Account: e.Account.ID}
	later := w.clock.Now().Add(time.Hour)
	for name, do := range map[string]func() error{
		"ban without reason":  func() error { _, err := w.Ban(t.Context(), at, later, ""); return err },
		"ban with a long one": func() error { _, err := w.Ban(t.Context(), at, later, strings.Repeat("x", 121)); return err },
		"ban in the past":     func() error { _, err := w.Ban(t.Context(), at, w.clock.Now(), "x"); return err },
		"ban after the year 9": func() error {
			_, err := w.Ban(t.Context(), at, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "x")
			return err
		},
		"ban of nobody": func() error { _, err := w.Ban(t.Context(), accounts.Target{}, later, "x"); return err },
		"ban of two": func() error {
			_, err := w.Ban(t.Context(), accounts.Target{Account: 1, Name: "anna"}, later, "x")
			return err
		},
		"kick of nobody":      func() error { return w.Kick(t.Context(), 0, "x") },
		"kick without reason": func() error { return w.Kick(t.Context(), 1, "") },
		"empty right":         func() error { _, err := w.SetRights(t.Context(), at, []string{""}); return err },
		"long right":          func() error { _, err := w.SetRights(t.Context(), at, []string{strings.Repeat("x", 33)}); return err },
		"many rights":         func() error { _, err := w.SetRights(t.Context(), at, slices.Repeat([]string{"x"}, 17)); return err },
	} {
		w.wants(name, do(), accounts.ErrArgument)
	}
	for name, to := range map[string]accounts.Target{"number": {Account: 1}, "name": {Name: "berta"}, "impossible name": {Name: "!"}, "player": {Player: 1}} {
		_, err := w.Unban(t.Context(), to)
		w.wants(name, err, accounts.ErrNotFound)
	}
	w.must(w.Kick(t.Context(), 7, "wait outside"))
	if !slices.Equal(w.servers.told, []string{"kick 7 kicked wait outside"}) {
		t.Error(w.servers.told)
	}
}
