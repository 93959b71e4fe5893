package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// Example looks at a world until it has seen a hundred state frames, and says something on the game's route 64 now and then. Root, certificate, schema and
// token come from the login service; a development node hands them out.
func Example() {
	var fromLogin struct {
		security.ClientConfig
		token string
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Config{URL: "ws://127.0.0.1:8080/ws", Security: fromLogin.ClientConfig, Token: fromLogin.token})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Serve(client.Handler{Resumed: func(bool) {
		fmt.Println("the connection was lost, and is there again")
	}, State: func() {
		if own, ok := c.Own(); ok {
			x, z, _ := own.Position(c.Mirror.Rows[0].Tick)
			fmt.Println("I stand at", x, z, "and see", c.Mirror.Live)
		}
		if c.Mirror.Frames%20 == 0 {
			_ = c.Push(64, &emptypb.Empty{}) // Serve flushes, and reports the end if this was it
		}
		if c.Mirror.Frames == 100 {
			_ = c.Close()
		}
	}})
	var kicked *client.KickError
	switch {
	case errors.As(err, &kicked):
		fmt.Println("the server wants no more of this player:", kicked.Reason)
	case errors.Is(err, client.ErrNotRecovered): // with Config.Login, the client would have begun a new session by itself
		fmt.Println("log in again:", err)
	case !errors.Is(err, client.ErrClosed):
		fmt.Println(err)
	}
}
