//go:build linux && (amd64 || arm64)

package shm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/shm"
)

// One frame from a dialler to a listener; usually they are two processes.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "zone.shm")
	listener, err := shm.Listen(path, transport.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()

	received := make(chan string)
	go func() {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		lane := conn.Lanes()[0]
		frames, err := lane.Receive()
		if err != nil {
			log.Fatal(err)
		}
		text := string(frames[transport.MinFrame:])
		lane.Release()
		received <- text
	}()

	conn, err := shm.Dial(context.Background(), path, transport.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	lane := conn.Lanes()[0]
	lane.Lock()
	frame, err := lane.Reserve(transport.MinFrame + 5)
	if err == nil {
		binary.LittleEndian.PutUint32(frame, uint32(len(frame)))
		copy(frame[transport.MinFrame:], "hello")
		err = lane.Flush()
	}
	lane.Unlock()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-received)
	// Output: hello
}
