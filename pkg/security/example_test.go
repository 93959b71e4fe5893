package security_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

func Example() {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	root, err := security.NewRoot(nil) // offline; clients pin root.Public()
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := root.Issue(nil, 1, now, now.AddDate(0, 3, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := security.ServerConfig{Current: key, Realm: "dev"}

	handshake, hs1, err := security.NewClient(security.ClientConfig{Root: root.Public(), Cert: key.Cert(), Realm: "dev", Now: now})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := security.Begin(&server, hs1, now)
	if err != nil {
		fmt.Println(err) // a *security.Reject: send its Bytes and close
		return
	}
	hs2, atServer, err := answer.Finish(nil) // a fresh login has no secret yet
	if err != nil {
		fmt.Println(err)
		return
	}
	atClient, info, err := handshake.Finish(hs2)
	if err != nil {
		fmt.Println(err)
		return
	}

	record := atClient.Sealer.Seal(nil, []byte("frames"))
	frames, err := atServer.Opener.Open(record)
	fmt.Println(len(hs1), len(hs2), len(record), info.Version, string(frames), err)
	// Output: 80 103 23 4 frames <nil>
}

func ExampleDevTokens() {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	tokens := security.DevTokens{Secret: []byte("for development only")}
	token, err := tokens.Issue(security.Identity{Player: 7, Name: "Ann", Rights: []string{"spectate"}}, time.Hour, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := tokens.Verify(token, now)
	fmt.Println(id.Player, id.Name, id.Rights, err)
	_, err = tokens.Verify(token, now.Add(time.Hour))
	fmt.Println(err)
	// Output:
	// 7 Ann [spectate] <nil>
	// verify development token: token has expired
}

// A session that lost its connection comes back: the ticket says which one it is, the secret proves whose.
func Example_resume() {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	root, err := security.NewRoot(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ring, err := security.Keyring{}.Next(root, nil, now, 90*24*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	tickets, err := security.NewTicketKeys(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	secret := [32]byte{1, 2, 3} // drawn at random, kept by the session's home, sent to the client with the ticket
	ticket, err := tickets.Seal(security.TicketClaims{Home: 1, Session: 77, Player: 7, Expires: now.Add(time.Minute)})
	if err != nil {
		fmt.Println(err)
		return
	}

	client, hs1, err := security.NewClient(security.ClientConfig{
		Root: ring.Root, Cert: ring.Current.Cert(), Now: now, Resume: &security.Resumption{Ticket: ticket, Secret: secret},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := security.Begin(&security.ServerConfig{Current: ring.Current, Previous: ring.Previous}, hs1, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := tickets.Open(server.Ticket, now)
	if err != nil {
		fmt.Println(server.Refuse()) // send its Bytes and close
		return
	}
	hs2, _, err := server.Finish(&secret) // the one that belongs to claims.Session
	if err != nil {
		fmt.Println(err)
		return
	}
	_, info, err := client.Finish(hs2)
	fmt.Println(len(ticket), claims.Session, info.Resumes, err)
	// Output: 68 77 true <nil>
}

func ExampleJWT() {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	key := ed25519.NewKeyFromSeed(make([]byte, 32)) // the login service's secret
	signer, err := security.NewSigner(security.SignerConfig{Key: key, KeyID: "2026-11", Issuer: "https://login.example", Audience: "plains"})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := signer.Issue(security.Identity{Player: 7, Name: "Ann", TokenID: "9f2c"}, time.Minute, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	published, err := json.Marshal(signer.JWKS()) // at an address that gateways read with OpenRemoteKeys
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := security.ParseJWKS(published)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := security.NewJWT(security.JWTConfig{Keys: keys, Issuer: "https://login.example", Audience: "plains"})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := verifier.Verify(token, now)
	fmt.Println(id.Player, id.Name, id.TokenID, err)
	_, err = verifier.Verify(token, now.Add(time.Hour))
	fmt.Println(err)
	// Output:
	// 7 Ann 9f2c <nil>
	// verify token: token has expired at 2026-11-22 00:01:00 +0000 UTC
}
