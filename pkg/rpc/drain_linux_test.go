package rpc_test

import (
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
)

func TestListeningThatFailsMeetsPeersThatAreBeingRefused(t *testing.T) {
	leakless(t)
	first, second := socket(t), socket(t)
	taken, err := net.Listen("unix", second+".shm")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	refused, over := make(chan struct{}, 9), make(chan struct{}, 9)
	var s *rpc.Server
	cfg := rpc.ServerConfig{Endpoints: []string{"uds://" + first, "unix://" + second, "tls://127.0.0.1:0"}} // no certificate
	cfg.Transport.Refused = func(string, error) {
		refused <- struct{}{}
		s.Stats()
		over <- struct{}{}
	}
	var binding atomic.Bool
	cfg.Log = slog.New(hook(func() {
		if binding.CompareAndSwap(false, true) { // the first endpoint is bound, the last one is to come
			stranger(t, "unix", first)
			<-refused
		}
	}))
	if s, err = rpc.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	if err := soon(t, "Listen", s.Listen); err == nil || !strings.Contains(err.Error(), "tls://") {
		t.Error(err)
	}
	<-over
	if a, st := s.Addrs(), s.Stats(); len(a) > 0 || len(st.Without) > 0 || st.Refused != 1 {
		t.Errorf("after listening failed: %v, %+v", a, st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
