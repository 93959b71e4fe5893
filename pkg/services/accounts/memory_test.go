package accounts_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts/storetest"
)

func newMemory(t testing.TB, cfg accounts.MemoryConfig) *accounts.Memory {
	t.Helper()
	m, err := accounts.NewMemory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) accounts.Store { return newMemory(t, accounts.MemoryConfig{}) })
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(t, accounts.MemoryConfig{MaxAccounts: 2, MaxCharacters: 1})
	ctx := t.Context()
	for id, want := range []error{nil, nil, accounts.ErrFull} {
		if err := m.CreateAccount(ctx, accounts.Account{ID: accounts.ID(1 + id), Device: accounts.Hash{byte(1 + id)}}); !errors.Is(err, want) {
			t.Errorf("account %d: %v, want %v", 1+id, err, want)
		}
	}
	for i, want := range []error{nil, accounts.ErrFull} {
		c := accounts.Character{ID: accounts.PlayerID(1 + i), Account: 1, Key: string(rune('a' + i)), Created: time.Unix(0, 0)}
		if err := m.CreateCharacter(ctx, c, 10); !errors.Is(err, want) {
			t.Errorf("character %d: %v, want %v", i, err, want)
		}
	}
	for _, cfg := range []accounts.MemoryConfig{{MaxAccounts: -1}, {MaxCharacters: -1}} {
		if _, err := accounts.NewMemory(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
