//go:build linux && (amd64 || arm64)

package rpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

// warm makes a connection over shared memory: the library's dispatcher, one goroutine per process, begins with the first and stays.
func warm(t *testing.T) {
	t.Helper()
	path := "shm://" + socket(t)
	s := serve(t, rpc.ServerConfig{Endpoints: []string{path}}, nil)
	c := dial(t, rpc.ClientConfig{Endpoint: path})
	if err := c.Ready(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s.stop()
}

func TestSharedMemoryIsPreferredOnOneMachine(t *testing.T) {
	warm(t)
	leakless(t)
	path := socket(t)
	reg := registry.NewMemory()
	s := serve(t, rpc.ServerConfig{ID: "a", Endpoints: []string{"unix://" + path, "tcp://127.0.0.1:0"}, Registry: reg}, func(s *rpc.Server) { who("a", s) })
	if st := s.Stats(); len(st.Without) != 0 {
		t.Fatalf("%+v", st.Without)
	}
	for endpoint, want := range map[string]string{path: "shm", "unix://" + path: "shm", "shm://" + path: "shm", "uds://" + path: "uds", s.Addrs()[1]: "tcp"} {
		c := dial(t, rpc.ClientConfig{Endpoint: endpoint, Codec: rpc.JSON{}})
		ask(t, c)
		if st := c.Stats().Instances[0]; st.Transport != want || len(st.Refused) != 0 {
			t.Errorf("%s: %+v", endpoint, st)
		}
	}
	for host, want := range map[string]string{"": "shm", "another-machine": "tcp"} {
		c := dial(t, rpc.ClientConfig{Service: "test", Registry: reg, Host: host, Codec: rpc.JSON{}})
		ask(t, c)
		if st := c.Stats().Instances[0]; st.Transport != want {
			t.Errorf("from host %q: %+v", host, st)
		}
	}
}

func TestCallsStreamsAndDrainingOverSharedMemory(t *testing.T) {
	warm(t)
	leakless(t)
	path := socket(t)
	s := serve(t, rpc.ServerConfig{Endpoints: []string{"unix://" + path}, Codec: rpc.JSON{}}, func(s *rpc.Server) {
		echo(s)
		streams(s)
	})
	c := dial(t, rpc.ClientConfig{Endpoint: path, Codec: rpc.JSON{}})
	ctx := within(t, 20*time.Second)
	for n := range 200 {
		text := fmt.Sprint(n)
		if n%50 == 0 {
			text = string(make([]byte, 100<<10)) // over a lane for large ones, in parts
		}
		if got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{text}); err != nil || got.Text != text {
			t.Fatalf("%d: %v", n, err)
		}
	}
	sum, err := rpc.OpenStream[number, number](ctx, c, "test.Sum", rpc.Bulk())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		if err := sum.Send(&number{n}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := sum.CloseAndRecv(); err != nil || got.N != 499500 {
		t.Fatalf("%v, %v", got, err)
	}
	s.stop()
	serve(t, rpc.ServerConfig{Endpoints: []string{"unix://" + path}, Codec: rpc.JSON{}}, func(s *rpc.Server) { echo(s) })
	if _, err := rpc.Call[heard](context.Background(), c, "test.Echo", &say{}, rpc.WithTimeout(10*time.Second)); err != nil {
		t.Fatal(err)
	}
}
