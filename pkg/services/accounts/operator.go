package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// MaxReason bounds the reason of a kick or a ban, in bytes: it must fit into the frame that closes a WebSocket.
const MaxReason = 120

// Target names an account in one of three ways; exactly one is set.
type Target struct {
	Account ID
	Name    string   // to log in with
	Player  PlayerID // a character of it or, in a game without characters, the account
}

// Find reads the account that an operator means. It fails with ErrArgument, ErrNotFound, or what the store says.
func (a *Accounts) Find(ctx context.Context, t Target) (Account, error) {
	set := 0
	for _, is := range []bool{t.Account != 0, t.Name != "", t.Player != 0} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return Account{}, fmt.Errorf("%w: name the account by exactly one of its number, its name, and a player of it", ErrArgument)
	case t.Name != "":
		key, err := a.cfg.AccountNames.key(t.Name)
		if err != nil {
			return Account{}, ErrNotFound
		}
		return a.cfg.Store.AccountByKey(ctx, key)
	case t.Player != 0 && a.cfg.MaxCharacters == 0:
		return a.cfg.Store.Account(ctx, ID(t.Player))
	case t.Player != 0:
		c, err := a.cfg.Store.Character(ctx, t.Player)
		if err != nil {
			return Account{}, err
		}
		return a.cfg.Store.Account(ctx, c.Account)
	}
	return a.cfg.Store.Account(ctx, t.Account)
}

// Players lists the numbers under which an account plays.
func (a *Accounts) Players(ctx context.Context, account ID) ([]PlayerID, error) {
	if a.cfg.MaxCharacters == 0 {
		return []PlayerID{PlayerID(account)}, nil
	}
	characters, err := a.cfg.Store.Characters(ctx, account)
	if err != nil {
		return nil, err
	}
	players := make([]PlayerID, 0, len(characters))
	for _, c := range characters {
		players = append(players, c.ID)
	}
	return players, nil
}

// Kick ends the live session of a player, who may log in again. Whether there is such a player, the servers alone know. It fails with ErrArgument or
// ErrRevoker.
func (a *Accounts) Kick(ctx context.Context, player PlayerID, reason string) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	if player == 0 {
		return fmt.Errorf("%w: player 0 is nobody", ErrArgument)
	}
	if a.cfg.Revoker == nil {
		return fmt.Errorf("%w: no Revoker is configured", ErrRevoker)
	}
	if err := a.cfg.Revoker.Kick(ctx, uint64(player), protocol.DisconnectKicked, reason); err != nil {
		a.count.revokerErrors.Add(1)
		return fmt.Errorf("%w: kick player %v: %w", ErrRevoker, player, err)
	}
	a.count.kicks.Add(1)
	return nil
}

// Ban shuts an account out until the given time, in place of any ban before. From the moment that the store has it no login, no session and no token
// is to be had; then the servers refuse the tokens already issued and end the live sessions of all its players.
//
// It fails with ErrArgument, ErrNotFound, ErrRevoker, or what the store says. After ErrRevoker the ban is stored; banning again tells the servers
// again.
func (a *Accounts) Ban(ctx context.Context, t Target, until time.Time, reason string) (Account, error) {
	if err := checkReason(reason); err != nil {
		return Account{}, err
	}
	if !until.After(a.cfg.Now()) || until.UTC().Year() > 9999 {
		return Account{}, fmt.Errorf("%w: a ban ends in the future, at 9999-12-31T23:59:59Z the latest", ErrArgument)
	}
	account, err := a.Find(ctx, t)
	if err != nil {
		return Account{}, err
	}
	account, err = a.update(ctx, account.ID, func(account *Account) error {
		account.Ban = Ban{Until: until.UTC(), Reason: reason}
		return nil
	})
	if err != nil {
		return Account{}, err
	}
	a.count.bans.Add(1)
	players, err := a.Players(ctx, account.ID) // after the ban is stored: no character comes to play after this
	if err != nil {
		return account, err
	}
	return account, a.revoke(ctx, players, protocol.DisconnectBanned, reason, until)
}

// Unban lifts the ban of an account, if there is one. It fails as Ban does.
func (a *Accounts) Unban(ctx context.Context, t Target) (Account, error) {
	account, err := a.Find(ctx, t)
	if err != nil {
		return Account{}, err
	}
	account, err = a.update(ctx, account.ID, func(account *Account) error {
		account.Ban = Ban{}
		return nil
	})
	if err != nil {
		return Account{}, err
	}
	a.count.unbans.Add(1)
	players, err := a.Players(ctx, account.ID)
	if err != nil || a.cfg.Revoker == nil {
		return account, err
	}
	var failed error
	for _, player := range players {
		failed = errors.Join(failed, a.cfg.Revoker.Unbar(ctx, uint64(player)))
	}
	return account, a.untold(failed)
}

// SetRights replaces what the players of an account may do beyond playing. It counts from the next token on; kick the player to have it at once.
// It fails with ErrArgument, ErrNotFound, or what the store says.
func (a *Accounts) SetRights(ctx context.Context, t Target, rights []string) (Account, error) {
	if len(rights) > security.MaxTokenRights {
		return Account{}, fmt.Errorf("%w: %d rights, a token has room for %d", ErrArgument, len(rights), security.MaxTokenRights)
	}
	for _, right := range rights {
		if right == "" || len(right) > security.MaxTokenRight || !utf8.ValidString(right) {
			return Account{}, fmt.Errorf("%w: a right is 1 to %d bytes of UTF-8", ErrArgument, security.MaxTokenRight)
		}
	}
	account, err := a.Find(ctx, t)
	if err != nil {
		return Account{}, err
	}
	return a.update(ctx, account.ID, func(account *Account) error {
		account.Rights = slices.Clone(rights)
		return nil
	})
}

// revoke bars players, then ends their sessions: in this order nobody comes in between. All are tried.
func (a *Accounts) revoke(ctx context.Context, players []PlayerID, code protocol.DisconnectCode, reason string, until time.Time) error {
	if a.cfg.Revoker == nil {
		return nil
	}
	var failed error
	for _, player := range players {
		failed = errors.Join(failed, a.cfg.Revoker.Bar(ctx, uint64(player), until))
	}
	for _, player := range players {
		failed = errors.Join(failed, a.cfg.Revoker.Kick(ctx, uint64(player), code, reason))
	}
	return a.untold(failed)
}

func (a *Accounts) untold(failed error) error {
	if failed == nil {
		return nil
	}
	a.count.revokerErrors.Add(1)
	return fmt.Errorf("%w: %w", ErrRevoker, failed)
}

func checkReason(reason string) error {
	if reason == "" || len(reason) > MaxReason || !utf8.ValidString(reason) {
		return fmt.Errorf("%w: a reason is 1 to %d bytes of UTF-8", ErrArgument, MaxReason)
	}
	return nil
}
