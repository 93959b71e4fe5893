package server_test

import (
	"context"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/server"
)

// Example serves an empty world to a gateway of the same process, until its first batch is there.
func Example() {
	s, err := server.New(server.Config{}, &game.Game{Name: "nothing"})
	if err != nil {
		fmt.Println(err)
		return
	}
	gateway, err := s.Attach(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()

	<-gateway.Ready()
	downs, err := gateway.Receive(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := batch.DecodeHeader(downs[0].Payload)
	fmt.Println(gateway.Hello().Game, h.Kind == batch.KindSnapshot, h.Tick, err)
	cancel()
	fmt.Println(<-done)
	// Output:
	// nothing true 1 <nil>
	// <nil>
}
