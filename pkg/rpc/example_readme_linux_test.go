//go:build linux && (amd64 || arm64)

package rpc_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
)

func Example_fallback() {
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "world.sock")
	server, err := rpc.NewServer(rpc.ServerConfig{ID: "world-1", Endpoints: []string{"uds://" + path}}) // without shared memory
	if err != nil {
		log.Fatal(err)
	}
	rpc.Handle(server, "world.Enter", harbour)
	defer background(server)()

	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: "unix://" + path, Codec: rpc.JSON{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.Ready(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, i := range client.Stats().Instances {
		fmt.Println(i.ID, "over", i.Transport)
		for _, r := range i.Refused {
			fmt.Println("rather over", r.Transport, "but:", r.Err != nil)
		}
	}
	// Output:
	// world-1 over uds
	// rather over shm but: true
}
