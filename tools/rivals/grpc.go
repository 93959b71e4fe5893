package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	rpctestv1 "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

const echoMethod = "/rpctest.v1.Echo/Echo"

// raw is a codec without messages: a *[]byte is its bytes.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(b []byte, v any) error {
	p := v.(*[]byte)
	*p = append((*p)[:0], b...)
	return nil
}

// messages is the biggest message that either side takes; gRPC's own bound is 4 MiB for receivers.
const messages = 64 << 20

// serve listens and answers until its input ends.
func (s *setup) serve(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	if s.network() == "unix" {
		if err := os.Remove(s.endpoint); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the socket of an earlier run: %w", err)
		}
	}
	l, err := net.Listen(s.network(), s.endpoint)
	if err != nil {
		return err
	}
	ready := measure.Reply{Ready: l.Addr().String(), AtNS: time.Now().UnixNano()}
	over := make(chan error, 1)
	var stop func()
	if s.system == "raw-uds" {
		go func() { over <- servePings(l) }()
		stop = func() { l.Close() }
	} else {
		server := s.serverGRPC()
		go func() { over <- server.Serve(l) }()
		stop = server.Stop
	}
	err = measure.Serve(stdin, stdout, ready, func(r measure.Request) (measure.Reply, error) {
		return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
	})
	stop()
	return errors.Join(err, <-over, context.Cause(ctx))
}

// serverGRPC has the defaults of gRPC, one interceptor, and the one method, in the shape that the generator of gRPC gives it.
func (s *setup) serverGRPC() *grpc.Server {
	var seen atomic.Uint64
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(messages),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			seen.Add(1)
			return next(ctx, req)
		}),
	}
	method := echo
	if s.codec == "bytes" {
		options = append(options, grpc.ForceServerCodec(raw{}))
		method = echoBytes
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "rpctest.v1.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: method}},
	}, nil)
	return server
}

func echo(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(rpctestv1.EchoRequest)
	if err := decode(in); err != nil {
		return nil, err
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: echoMethod}, func(_ context.Context, req any) (any, error) {
		r := req.(*rpctestv1.EchoRequest)
		return &rpctestv1.EchoResponse{Payload: r.Payload, Number: r.Number}, nil
	})
}

func echoBytes(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new([]byte)
	if err := decode(in); err != nil {
		return nil, err
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: echoMethod}, func(_ context.Context, req any) (any, error) { return req, nil })
}

// clientGRPC spreads callers over its connections in turn.
type clientGRPC struct {
	setup *setup
	conns []*grpc.ClientConn
}

func (s *setup) dialGRPC() (*clientGRPC, error) {
	target := "passthrough:///" + s.endpoint
	if s.network() == "unix" {
		target = "unix://" + s.endpoint
	}
	var made atomic.Uint64
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A timeout by configuration costs gRPC the same as a context with a deadline, and the caller less.
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"methodConfig":[{"name":[{}],"timeout":"%.3fs"}]}`, s.timeout.Seconds())),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			made.Add(1)
			return next(ctx, method, req, reply, conn, opts...)
		}),
	}
	calls := []grpc.CallOption{grpc.MaxCallRecvMsgSize(messages)}
	if s.codec == "bytes" {
		calls = append(calls, grpc.ForceCodec(raw{}))
	}
	options = append(options, grpc.WithDefaultCallOptions(calls...))
	c := &clientGRPC{setup: s}
	for range s.conns {
		conn, err := grpc.NewClient(target, options...)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *clientGRPC) callers(cell measure.Cell) ([]func() error, error) {
	callers := make([]func() error, cell.Callers)
	for i := range callers {
		payload := make([]byte, cell.Payload)
		conn := c.conns[i%len(c.conns)]
		if c.setup.codec == "bytes" {
			callers[i] = callBytes(conn, payload)
		} else {
			callers[i] = callEcho(conn, payload, c.setup.fresh)
		}
		if err := callers[i](); err != nil { // connected, and warm
			return nil, err
		}
	}
	return callers, nil
}

func callEcho(conn *grpc.ClientConn, payload []byte, fresh bool) func() error {
	ctx, req, resp := context.Background(), &rpctestv1.EchoRequest{Payload: payload}, new(rpctestv1.EchoResponse)
	return func() error {
		if fresh {
			resp = new(rpctestv1.EchoResponse)
		}
		req.Number++
		if err := conn.Invoke(ctx, echoMethod, req, resp); err != nil {
			return err
		}
		if len(resp.Payload) != len(payload) || resp.Number != req.Number {
			return fmt.Errorf("answer %d with %d bytes to call %d with %d", resp.Number, len(resp.Payload), req.Number, len(payload))
		}
		return nil
	}
}

func callBytes(conn *grpc.ClientConn, payload []byte) func() error {
	ctx, resp := context.Background(), new([]byte)
	return func() error {
		if err := conn.Invoke(ctx, echoMethod, &payload, resp); err != nil {
			return err
		}
		if len(*resp) != len(payload) {
			return fmt.Errorf("an answer of %d bytes to %d", len(*resp), len(payload))
		}
		return nil
	}
}

func (c *clientGRPC) Close() error {
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}
