package services_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// A login service beside a gateway in development: guests in memory, tokens that the gateway's DevTokens take.
func Example() {
	login, err := services.New(services.Config{
		Accounts: accounts.Config{Issuer: security.DevTokens{Secret: []byte("for development only")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", login.Handler())
	server := httptest.NewTLSServer(mux) // in a node: the gateway's listener
	defer server.Close()

	answer, err := server.Client().Post(server.URL+"/v1/guest", "application/json", strings.NewReader(`{}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = answer.Body.Close()
	fmt.Println(answer.Status, login.Stats().Accounts.Guests)
	// Output: 201 Created 1
}

// The login service of a game in production: signed tokens, the gateways' keys, operators, a proxy in front.
func ExampleNew() {
	root, err := security.NewRoot(nil) // made once and kept offline; security.LoadKeyring reads the gateways' keys
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	key, err := root.Issue(nil, 1, now.Add(-time.Minute), now.Add(30*24*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	keys := func() services.Keys {
		return services.Keys{Realm: "plains", Root: root.Public(), Current: key.Cert(), Gateways: []string{"wss://gate-1.example/ws"}}
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := security.NewSigner(security.SignerConfig{Key: private, Issuer: "https://login.example", Audience: "plains"})
	if err != nil {
		fmt.Println(err)
		return
	}
	secret := hex.EncodeToString(private.Seed()) // of one's own, from the configuration
	servers := &servers{}

	login, err := services.New(services.Config{
		Accounts: accounts.Config{
			MaxCharacters: 3,       // 0: the game has none, the account is the player
			Issuer:        signer,  // *security.Signer; its audience is the realm
			Revoker:       servers, // tells the servers of kicks and bans
		},
		Keys:    keys,                                                // func() services.Keys
		JWKS:    signer.JWKS,                                         // for the gateways
		Admin:   services.AdminConfig{Enabled: true, Secret: secret}, // 32 random bytes in hex
		Origins: []string{"https://play.example"},                    // of pages that may call
		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, // of proxies in front
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	players, operators := http.NewServeMux(), http.NewServeMux()
	players.Handle("/v1/", login.Handler())
	operators.Handle("/v1/admin/", login.Admin())
	fmt.Println(login.Accounts().MaxCharacters())
	// Output: 3
}
