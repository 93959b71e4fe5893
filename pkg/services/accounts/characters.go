package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// Characters lists those of the account, the oldest first. It fails with ErrNoCharacters, or what the store says.
func (a *Accounts) Characters(ctx context.Context, v Visit) ([]Character, error) {
	if a.cfg.MaxCharacters == 0 {
		return nil, ErrNoCharacters
	}
	return a.cfg.Store.Characters(ctx, v.Account.ID)
}

// CreateCharacter makes one. It fails with ErrNoCharacters, a *NameError, ErrNameTaken, ErrTooMany, ErrFull, or what the store says.
func (a *Accounts) CreateCharacter(ctx context.Context, v Visit, name string) (Character, error) {
	if a.cfg.MaxCharacters == 0 {
		return Character{}, ErrNoCharacters
	}
	key, err := a.cfg.CharacterNames.key(name)
	if err != nil {
		return Character{}, err
	}
	for range attempts {
		id, err := a.drawID()
		if err != nil {
			return Character{}, err
		}
		c := Character{ID: PlayerID(id), Account: v.Account.ID, Name: name, Key: key, Created: a.cfg.Now()}
		err = a.cfg.Store.CreateCharacter(ctx, c, a.cfg.MaxCharacters)
		if err == nil {
			a.count.charactersCreated.Add(1)
			return c, nil
		}
		if !errors.Is(err, ErrIDTaken) {
			return Character{}, err
		}
	}
	return Character{}, fmt.Errorf("create character: %w", ErrIDTaken)
}

// SelectCharacter chooses who further tokens of this session are for. It fails with ErrNoCharacters, ErrNotFound, or what the store says.
func (a *Accounts) SelectCharacter(ctx context.Context, v Visit, id PlayerID) error {
	if a.cfg.MaxCharacters == 0 {
		return ErrNoCharacters
	}
	return a.cfg.Store.SelectCharacter(ctx, v.Session.Hash, id)
}

// DeleteCharacter removes one for good. If it plays, it is kicked first, and tokens that were issued for it are refused; its name is free at once.
// What the game stored under its number is the game's to remove.
//
// It fails with ErrNoCharacters, ErrNotFound, ErrRevoker (nothing is deleted then), or what the store says.
func (a *Accounts) DeleteCharacter(ctx context.Context, v Visit, id PlayerID) error {
	if a.cfg.MaxCharacters == 0 {
		return ErrNoCharacters
	}
	c, err := a.cfg.Store.Character(ctx, id)
	if err != nil {
		return err
	}
	if c.Account != v.Account.ID {
		return ErrNotFound
	}
	outlived := a.cfg.Now().Add(2 * a.cfg.TokenTTL) // of its tokens, whatever the clocks of two machines say
	if err := a.revoke(ctx, []PlayerID{id}, protocol.DisconnectKicked, "character deleted", outlived); err != nil {
		return err
	}
	if err := a.cfg.Store.DeleteCharacter(ctx, v.Account.ID, id); err != nil {
		return err
	}
	a.count.charactersDeleted.Add(1)
	return nil
}

// Token is what a client takes to a gateway.
type Token struct {
	Token   string
	Expires time.Time
	Player  PlayerID
	Name    string // that others see
}

// Token issues a token for the selected character or, in a game without characters, for the account. Each has an id of its own, by which the servers
// see that it is used once.
//
// It fails with ErrNotSelected, with ErrClosed where there is no Issuer, or with what the store or the issuer says.
func (a *Accounts) Token(ctx context.Context, v Visit) (Token, error) {
	if a.cfg.Issuer == nil {
		return Token{}, ErrClosed
	}
	player, name, err := a.player(ctx, v)
	if err != nil {
		return Token{}, err
	}
	once, err := a.drawOnce()
	if err != nil {
		return Token{}, err
	}
	now := a.cfg.Now()
	token, err := a.cfg.Issuer.Issue(security.Identity{Player: uint64(player), Name: name, Rights: v.Account.Rights, TokenID: once}, a.cfg.TokenTTL, now)
	if err != nil {
		return Token{}, fmt.Errorf("issue a token for player %v: %w", player, err)
	}
	a.count.tokens.Add(1)
	return Token{Token: token, Expires: now.Add(a.cfg.TokenTTL).Truncate(time.Second), Player: player, Name: name}, nil
}

// player is who plays in this session.
func (a *Accounts) player(ctx context.Context, v Visit) (PlayerID, string, error) {
	if a.cfg.MaxCharacters == 0 {
		if v.Account.Guest() {
			return PlayerID(v.Account.ID), "guest", nil
		}
		return PlayerID(v.Account.ID), v.Account.Name, nil
	}
	if v.Session.Character == 0 {
		return 0, "", ErrNotSelected
	}
	c, err := a.cfg.Store.Character(ctx, v.Session.Character)
	if errors.Is(err, ErrNotFound) || err == nil && c.Account != v.Account.ID { // deleted meanwhile
		return 0, "", ErrNotSelected
	}
	return c.ID, c.Name, err
}

// drawOnce returns 128 random bits in text.
func (a *Accounts) drawOnce() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(a.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("draw a token id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
