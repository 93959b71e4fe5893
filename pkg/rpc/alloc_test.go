//go:build !race

package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
	rpctestv1 "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

func fastEcho(r rpc.Registrar) {
	resp := &rpctestv1.EchoResponse{Number: 1} // shared: it does not change
	rpc.Handle(r, "test.Echo", func(context.Context, *rpctestv1.EchoRequest) (*rpctestv1.EchoResponse, error) { return resp, nil }, rpc.Inline(), rpc.Pooled())
}

func passClient(ctx context.Context, _ *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
	return next(ctx, req, resp)
}

func passServer(ctx context.Context, _ *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
	return next(ctx, req)
}

// Both ends run in this process, so the figures are sums: the handler's context, which mux allocates, is the one that is left.
func TestCallsAllocateNothingOfTheirOwn(t *testing.T) {
	for _, tc := range []struct {
		name string
		scfg rpc.ServerConfig
		ccfg rpc.ClientConfig
		opts []rpc.CallOption
	}{
		{name: "plain"},
		{name: "timeout", ccfg: rpc.ClientConfig{Timeout: time.Minute}},
		{name: "options", opts: []rpc.CallOption{rpc.WithTimeout(time.Minute), rpc.Idempotent(), rpc.WithKey("k")}},
		{name: "interceptors", scfg: rpc.ServerConfig{Interceptors: []rpc.ServerInterceptor{passServer, passServer}},
			ccfg: rpc.ClientConfig{Interceptors: []rpc.ClientInterceptor{passClient, passClient}}},
		{name: "metrics", ccfg: rpc.ClientConfig{Metrics: &rpc.Counters{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := inproc.NewNetwork()
			tc.scfg.Endpoints, tc.scfg.InProc, tc.ccfg.Endpoint, tc.ccfg.InProc = []string{"inproc://s"}, n, "inproc://s", n
			serve(t, tc.scfg, func(s *rpc.Server) { fastEcho(s) })
			c := dial(t, tc.ccfg)
			ctx := context.Background()
			req, resp := &rpctestv1.EchoRequest{Payload: make([]byte, 64)}, &rpctestv1.EchoResponse{}
			call := func() {
				if err := rpc.CallInto(ctx, c, "test.Echo", req, resp, tc.opts...); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				call()
			}
			if got := testing.AllocsPerRun(1000, call); got > 1 {
				t.Errorf("CallInto: %v allocations on both sides together, want 1", got)
			}
			if got := testing.AllocsPerRun(1000, func() {
				if _, err := rpc.Call[rpctestv1.EchoResponse](ctx, c, "test.Echo", req, tc.opts...); err != nil {
					t.Fatal(err)
				}
			}); got > 2 {
				t.Errorf("Call: %v allocations on both sides together, want 2", got)
			}
		})
	}
}

// The cost of this package alone: the same calls on the connection itself are the measure.
func BenchmarkCall(b *testing.B) {
	n := inproc.NewNetwork()
	s, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://s"}, InProc: n})
	if err != nil {
		b.Fatal(err)
	}
	fastEcho(s)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = s.Serve(ctx) }()
	req := &rpctestv1.EchoRequest{Payload: make([]byte, 64)}
	for name, cfg := range map[string]rpc.ClientConfig{
		"client":              {},
		"client, timeout":     {Timeout: time.Minute},
		"client, interceptor": {Interceptors: []rpc.ClientInterceptor{passClient}},
		"peer":                {},
		"mux":                 {},
	} {
		b.Run(name, func(b *testing.B) {
			cfg.Endpoint, cfg.InProc = "inproc://s", n
			var conn *mux.Conn
			cfg.OnConnect = func(p *rpc.Peer) { conn = rpc.ConnOf(p) }
			c, err := rpc.NewClient(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err := c.Ready(ctx); err != nil {
				b.Fatal(err)
			}
			var caller rpc.Caller = c
			if name == "peer" {
				caller = c.Peers()[0]
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				resp := &rpctestv1.EchoResponse{}
				info := &mux.CallInfo{Codec: rpc.Protobuf{}}
				for pb.Next() {
					var err error
					if name == "mux" {
						err = conn.Call(ctx, "test.Echo", req, resp, info)
					} else {
						err = rpc.CallInto(ctx, caller, "test.Echo", req, resp)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
