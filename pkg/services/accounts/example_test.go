package accounts_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// A guest logs in, makes a character and gets a token for a gateway.
func Example() {
	ctx, from := context.Background(), netip.MustParseAddr("192.0.2.1")
	a, err := accounts.New(accounts.Config{MaxCharacters: 3, Issuer: security.DevTokens{Secret: []byte("for development only")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, err := a.Guest(ctx, from, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	visit, _ := a.Visit(ctx, entry.Session)
	hero, err := a.CreateCharacter(ctx, visit, "Hero")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = a.SelectCharacter(ctx, visit, hero.ID)
	visit, _ = a.Visit(ctx, entry.Session) // a visit is as of its moment
	token, err := a.Token(ctx, visit)
	fmt.Println(token.Name, token.Player == hero.ID, err)
	// Output: Hero true <nil>
}
