package inproc_test

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// One frame from one part of a process to another.
func Example() {
	ctx := context.Background()
	network := inproc.NewNetwork()
	ln, err := network.Listen("world", transport.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	client, err := network.Dial(ctx, "world", transport.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := ln.Accept(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}

	out := client.Lanes()[0]
	out.Lock()
	frame, err := out.Reserve(20)
	if err == nil {
		binary.LittleEndian.PutUint32(frame, 20) // a frame begins with its length
		copy(frame[16:], "move")
		err = out.Flush()
	}
	out.Unlock()
	fmt.Println("sent:", err)

	in := server.Lanes()[0]
	got, err := in.Receive()
	fmt.Printf("received: %d bytes, %s, %v\n", len(got), got[16:], err)
	in.Release()

	_ = client.Close()
	_, err = in.Receive()
	fmt.Println(err)
	// Output:
	// sent: <nil>
	// received: 20 bytes, move, <nil>
	// rpc: connection closed
}
