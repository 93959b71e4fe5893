package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

func TestBorrowedRequestsAndViewsAreNotCopied(t *testing.T) {
	leakless(t)
	n := inproc.NewNetwork()
	for _, endpoint := range []string{"inproc://b", "uds://" + socket(t)} {
		scfg := rpc.ServerConfig{ID: "b", Endpoints: []string{endpoint}, InProc: n}
		scfg.Mux.Heartbeat = -1 // or a machine so busy that an end is silent for three seconds fails a call
		s := serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Borrow", func(_ context.Context, b *[]byte) (*[]byte, error) { return b, nil }, rpc.Borrowed(), rpc.Pooled())
			rpc.Handle(s, "test.Panic", func(_ context.Context, b *[]byte) (*[]byte, error) { panic((*b)[0]) }, rpc.Borrowed())
		})
		ccfg := rpc.ClientConfig{Endpoint: s.Addrs()[0], InProc: n, Codec: rpc.Bytes{}}
		ccfg.Mux.Heartbeat = -1
		c := dial(t, ccfg)
		ctx := within(t, 20*time.Second)
		for i, size := range []int{0, 1, 100, 20_000, 60_000, 300_000} {
			req := bytes.Repeat([]byte{byte(i + 1)}, size)
			seen := false
			err := rpc.CallInto(ctx, c, "test.Borrow", &req, rpc.View(func(b []byte) error {
				seen = bytes.Equal(b, req)
				return nil
			}))
			if err != nil || !seen {
				t.Errorf("%d bytes over %s: %v, equal %v", size, endpoint, err, seen)
			}
			var copied []byte
			if err := rpc.CallInto(ctx, c, "test.Borrow", &req, &copied); err != nil || !bytes.Equal(copied, req) {
				t.Errorf("%d bytes into a slice: %v", size, err)
			}
			if _, err := rpc.Call[string](ctx, c, "test.Borrow", &req, rpc.WithCallCodec(rpc.JSON{})); err != nil { // a codec that cannot lend
				t.Errorf("%d bytes as JSON: %v", size, err)
			}
		}
		one := []byte{1}
		err := rpc.CallInto(ctx, c, "test.Borrow", &one, rpc.View(func([]byte) error { return errors.New("not this") }))
		if status.CodeOf(err) != status.Internal {
			t.Errorf("a view's error: %v", err)
		}
		if err := rpc.CallInto(ctx, c, "test.Panic", &one, nil); status.CodeOf(err) != status.Internal {
			t.Errorf("a panic: %v", err)
		}
	}
}

func ExampleView() {
	network := inproc.NewNetwork()
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://chunks"}, InProc: network})
	if err != nil {
		log.Fatal(err)
	}
	rpc.Handle(server, "chunks.Load", func(_ context.Context, name *[]byte) (*[]byte, error) { // name is valid until this returns
		b := append([]byte("content of "), *name...)
		return &b, nil
	}, rpc.Borrowed())
	defer background(server)()

	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://chunks", InProc: network, Codec: rpc.Bytes{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	name := []byte("chunk 7")
	err = rpc.CallInto(context.Background(), client, "chunks.Load", &name, rpc.View(func(b []byte) error {
		fmt.Printf("%s\n", b) // b is valid until this returns
		return nil
	}))
	fmt.Println(err)
	// Output:
	// content of chunk 7
	// <nil>
}
