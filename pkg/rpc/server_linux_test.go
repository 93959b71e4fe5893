package rpc_test

import (
	"net"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
)

func TestASilentServerOverSharedMemoryIsPassedOver(t *testing.T) {
	leakless(t)
	path := socket(t)
	serve(t, rpc.ServerConfig{Endpoints: []string{"uds://" + path}}, func(s *rpc.Server) { echo(s) })
	silent, err := net.Listen("unix", path+".shm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c := dial(t, rpc.ClientConfig{Endpoint: path, Codec: rpc.JSON{}, DialTimeout: 200 * time.Millisecond})
	if _, err := rpc.Call[heard](within(t, 20*time.Second), c, "test.Echo", &say{}); err != nil {
		t.Fatal(err)
	}
	if st := c.Stats().Instances[0]; st.Transport != "uds" || len(st.Refused) != 1 {
		t.Fatalf("%+v", st)
	}
}
