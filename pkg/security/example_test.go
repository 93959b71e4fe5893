package security_test

import (
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
	hs2, atServer, _, err := security.Accept(&server, hs1, now)
	if err != nil {
		fmt.Println(err) // a *security.Reject: send its Bytes and close
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
	// Output: 80 99 23 2 frames <nil>
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
