package sock_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/sock"
)

// One frame from a client to a server.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tianxia") // only we may enter
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ln, err := sock.ListenUnix(filepath.Join(dir, "world.sock"), transport.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	client, err := sock.DialUnix(ctx, ln.Addr(), transport.Config{}) // another process, as a rule
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
	_, err = in.Receive() // it is the reader that notices
	fmt.Println(err)
	// Output:
	// sent: <nil>
	// received: 20 bytes, move, <nil>
	// rpc: connection closed
}
