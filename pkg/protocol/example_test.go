package protocol_test

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func Example() {
	routes, err := protocol.NewRoutes(append(protocol.FrameworkRoutes(),
		protocol.Route{ID: 64, Name: "plains.move", Kind: protocol.Push, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone},
	)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	plaintext := protocol.AppendPing(nil, 1000)
	plaintext = protocol.AppendPush(plaintext, 64, []byte("north"))

	for len(plaintext) > 0 {
		var f protocol.Frame
		if f, plaintext, err = protocol.Next(plaintext); err != nil {
			fmt.Println(err)
			return
		}
		code := routes.Check(f, protocol.Secured, protocol.ClientToServer)
		fmt.Println(f.Type, f.Route, len(f.Payload), code)
	}
	// Output:
	// control 1 8 none
	// push 64 5 wrong_state
}
