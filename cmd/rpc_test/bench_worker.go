package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// workerOptions are those of processes that rpc_test starts itself.
type workerOptions struct {
	role     string
	dial     string // endpoints to call, separated by commas
	registry string // folder of a directory registry
	load     int    // callers on each endpoint
}

// work is what a started process does until its standard input ends.
func work(ctx context.Context, o *options, c console) error {
	switch o.worker.role {
	case "bench-server":
		return benchServer(ctx, o, c)
	case "bench-client":
		return benchClient(ctx, o, c)
	case "link":
		return linkWorker(ctx, o, c)
	case "peer":
		return peerWorker(ctx, o, c)
	case "survivor":
		return survivorWorker(ctx, o, c)
	}
	return fmt.Errorf("unknown role %q: -mode=worker is for processes that rpc_test starts itself", o.worker.role)
}

// callTimeout is the deadline of every measured call. Nothing comes near it; that there is one is what is measured.
const callTimeout = 10 * time.Second

// bytesMethod is the echo of -codec=bytes.
const bytesMethod = "bench.Bytes"

// hosting is a server that runs beside something else.
type hosting struct {
	server *rpc.Server
	cancel context.CancelFunc
	over   chan error

	once sync.Once
	err  error
}

// host starts serving; the endpoints are bound when it returns.
func host(server *rpc.Server) (*hosting, error) {
	if err := server.Listen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &hosting{server: server, cancel: cancel, over: make(chan error, 1)}
	go func() { h.over <- server.Serve(ctx) }()
	return h, nil
}

// endpoint to dial, the first one.
func (h *hosting) endpoint() string {
	if all := h.server.Instance().Endpoints; len(all) > 0 {
		return all[0]
	}
	return ""
}

// stop drains and ends the server. It may be called twice.
func (h *hosting) stop() error {
	h.once.Do(func() {
		h.cancel()
		h.err = errors.Join(<-h.over, h.server.Close())
	})
	return h.err
}

// newBenchServer answers with one interceptor before every call, as most servers have one.
func newBenchServer(o *options, network *inproc.Network) (*rpc.Server, error) {
	var seen atomic.Uint64
	server, err := rpc.NewServer(rpc.ServerConfig{
		Endpoints: []string{o.endpoint},
		InProc:    network,
		Interceptors: []rpc.ServerInterceptor{func(ctx context.Context, _ *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
			seen.Add(1)
			return next(ctx, req)
		}},
	})
	if err != nil {
		return nil, err
	}
	how := []rpc.HandleOption{rpc.Inline(), rpc.Pooled(), rpc.WithCodec(rpc.Bytes{})}
	if o.bench.api == "view" {
		how = []rpc.HandleOption{rpc.Borrowed(), rpc.WithCodec(rpc.Bytes{})}
	}
	rpc.Handle(server, bytesMethod, func(_ context.Context, req *[]byte) (*[]byte, error) { return req, nil }, how...)
	if o.bench.api == "stubs" {
		rpctest.RegisterEchoServer(server, &echo{})
		return server, nil
	}
	rpc.Handle(server, rpctest.EchoMethodEcho, func(_ context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
		return &pb.EchoResponse{Payload: req.Payload, Number: req.Number}, nil
	}, rpc.Inline(), rpc.Pooled())
	return server, nil
}

func benchServer(_ context.Context, o *options, c console) error {
	server, err := newBenchServer(o, nil)
	if err != nil {
		return err
	}
	h, err := host(server)
	if err != nil {
		return err
	}
	ready := measure.Reply{Ready: h.endpoint(), AtNS: time.Now().UnixNano()}
	err = measure.Serve(c.in, c.out, ready, func(r measure.Request) (measure.Reply, error) {
		return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
	})
	return errors.Join(err, h.stop())
}

func benchClient(ctx context.Context, o *options, c console) error {
	var network *inproc.Network
	if strings.HasPrefix(o.endpoint, "inproc:") { // both ends are here
		network = inproc.NewNetwork()
		server, err := newBenchServer(o, network)
		if err != nil {
			return err
		}
		h, err := host(server)
		if err != nil {
			return err
		}
		defer h.stop()
	}
	var made atomic.Uint64
	cfg := rpc.ClientConfig{
		Endpoint: o.endpoint,
		Timeout:  callTimeout,
		InProc:   network,
		Interceptors: []rpc.ClientInterceptor{func(ctx context.Context, _ *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
			made.Add(1)
			return next(ctx, req, resp)
		}},
	}
	if o.bench.codec == "bytes" {
		cfg.Codec = rpc.Bytes{}
	}
	client, err := rpc.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	patience, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := client.Ready(patience); err != nil {
		return err
	}
	return measure.Serve(c.in, c.out, measure.Reply{Ready: o.endpoint, Note: transportOf(client)}, func(r measure.Request) (measure.Reply, error) {
		if r.Do != measure.DoRun {
			return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
		}
		callers := make([]func() error, r.Callers)
		for i := range callers {
			payload := make([]byte, r.Payload)
			switch {
			case o.bench.api == "view":
				callers[i] = callView(client, payload)
			case o.bench.codec == "bytes":
				callers[i] = callBytes(client, payload)
			case o.bench.api == "stubs":
				callers[i] = callStub(client, payload)
			default:
				callers[i] = callEcho(client, payload)
			}
		}
		result := measure.Closed(r.Cell, callers)
		reply := measure.Reply{Result: &result, Values: map[string]uint64{}}
		for _, peer := range client.Peers() {
			reply.Values["fallbacks"] += peer.Stats().Fallbacks
		}
		return reply, nil
	})
}

// transportOf is that of the first connection.
func transportOf(client *rpc.Client) string {
	for _, peer := range client.Peers() {
		return peer.Transport()
	}
	return "nothing"
}

func callEcho(c rpc.Caller, payload []byte) func() error {
	ctx, req, resp := context.Background(), &pb.EchoRequest{Payload: payload}, &pb.EchoResponse{}
	return func() error {
		req.Number++
		if err := rpc.CallInto(ctx, c, rpctest.EchoMethodEcho, req, resp); err != nil {
			return err
		}
		return answers(req, resp)
	}
}

func callStub(c rpc.Caller, payload []byte) func() error {
	ctx, stub, req := context.Background(), rpctest.NewEchoClient(c), &pb.EchoRequest{Payload: payload}
	return func() error {
		req.Number++
		resp, err := stub.Echo(ctx, req)
		if err != nil {
			return err
		}
		return answers(req, resp)
	}
}

func answers(req *pb.EchoRequest, resp *pb.EchoResponse) error {
	if len(resp.Payload) != len(req.Payload) || resp.Number != req.Number {
		return fmt.Errorf("answer %d with %d bytes to call %d with %d", resp.Number, len(resp.Payload), req.Number, len(req.Payload))
	}
	return nil
}

func callBytes(c rpc.Caller, payload []byte) func() error {
	ctx, resp := context.Background(), new([]byte)
	return func() error {
		if err := rpc.CallInto(ctx, c, bytesMethod, &payload, resp); err != nil {
			return err
		}
		if len(*resp) != len(payload) {
			return fmt.Errorf("an answer of %d bytes to %d", len(*resp), len(payload))
		}
		return nil
	}
}

// callView looks at the answer where it arrived.
func callView(c rpc.Caller, payload []byte) func() error {
	ctx, got := context.Background(), 0
	view := rpc.View(func(b []byte) error { got = len(b); return nil })
	return func() error {
		if err := rpc.CallInto(ctx, c, bytesMethod, &payload, view); err != nil {
			return err
		}
		if got != len(payload) {
			return fmt.Errorf("an answer of %d bytes to %d", got, len(payload))
		}
		return nil
	}
}
