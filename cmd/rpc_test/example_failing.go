package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// wantCode tells whether an error has a code.
func wantCode(err error, code status.Code) error {
	if status.CodeOf(err) != code {
		return fmt.Errorf("wanted %v, got: %w", code, err)
	}
	return nil
}

func failureFeatures() []feature {
	return []feature{
		{"deadlines travel", false, func(ctx context.Context, s *stage) (string, error) {
			a, client, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			var left atomic.Int64
			rpc.Handle(a.server, "example.Left", func(ctx context.Context, _ *pb.EchoRequest) (*pb.EchoResponse, error) {
				if at, ok := ctx.Deadline(); ok {
					left.Store(int64(time.Until(at)))
				}
				return nil, nil
			})
			if _, err := rpc.Call[pb.EchoResponse](ctx, client, "example.Left", &pb.EchoRequest{}, rpc.WithTimeout(3*time.Second)); err != nil {
				return "", err
			}
			if l := time.Duration(left.Load()); l <= 2*time.Second || l > 3*time.Second {
				return "", fmt.Errorf("of 3 s the handler had %v left", l)
			}
			began := time.Now()
			_, err = stub.Slow(ctx, &pb.SlowRequest{WaitMs: 60_000}, rpc.WithTimeout(50*time.Millisecond))
			took := time.Since(began)
			if !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
				return "", fmt.Errorf("after %v: %w", took, err)
			}
			return fmt.Sprintf("the handler knew of its 3 s; 50 ms ended after %v", took.Round(time.Millisecond)),
				soon(ctx, "the handler cancelled", func() bool { return a.cancelled.Load() == 1 })
		}},
		{"cancelling reaches the handler", false, func(ctx context.Context, s *stage) (string, error) {
			a, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			calling, cancel := context.WithCancel(ctx)
			f := stub.SlowAsync(calling, &pb.SlowRequest{WaitMs: 60_000})
			if err := soon(ctx, "the call under way", func() bool { return a.slow.Load() == 1 }); err != nil {
				cancel()
				return "", err
			}
			began := time.Now()
			cancel()
			if _, err := f.Wait(ctx); !errors.Is(err, context.Canceled) {
				return "", fmt.Errorf("wanted CANCELED, got: %w", err)
			}
			if err := soon(ctx, "the handler cancelled", func() bool { return a.cancelled.Load() == 1 }); err != nil {
				return "", err
			}
			return fmt.Sprintf("the handler's context ended %v after the caller's", time.Since(began).Round(10*time.Microsecond)), nil
		}},
		{"errors with details", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			_, err = stub.Fail(ctx, &pb.FailRequest{Code: uint32(status.FailedPrecondition), Message: "the gate is shut", Details: true})
			var failure *rpc.Error
			var detail pb.FailRequest
			if !errors.As(err, &failure) || !errors.Is(err, status.FailedPrecondition.Err()) || failure.Fate != status.Answered ||
				!failure.Detail(&detail) || detail.Message != "the gate is shut" {
				return "", fmt.Errorf("got: %w", err)
			}
			return fmt.Sprintf("%v, with a %s inside", err, failure.Details[0].MessageName()), nil
		}},
		{"a panic is an error", false, func(ctx context.Context, s *stage) (string, error) {
			a, client, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			_, err = stub.Panic(ctx, &pb.EchoRequest{})
			if err := wantCode(err, status.Internal); err != nil {
				return "", err
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			if n := len(client.Peers()); n != 1 {
				return "", fmt.Errorf("the client has %d connections", n)
			}
			return "INTERNAL for one call; the same connection served the next", soon(ctx, "a panic counted", func() bool {
				peers := a.server.Peers()
				return len(peers) == 1 && peers[0].Stats().Panics == 1
			})
		}},
		{"an unknown method", false, func(ctx context.Context, s *stage) (string, error) {
			_, client, _, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			_, err = rpc.Call[pb.EchoResponse](ctx, client, "world.Fly", &pb.EchoRequest{})
			return fmt.Sprint(err), wantCode(err, status.Unimplemented)
		}},
		{"fate: certainly not executed", false, func(ctx context.Context, s *stage) (string, error) {
			client, err := s.client(rpc.ClientConfig{Endpoint: s.path(), Timeout: 200 * time.Millisecond})
			if err != nil {
				return "", err
			}
			_, err = rpctest.NewEchoClient(client).Echo(ctx, &pb.EchoRequest{})
			if !errors.Is(err, status.ErrNotSent) || !errors.Is(err, status.Unavailable.Err()) {
				return "", fmt.Errorf("wanted UNAVAILABLE, not sent; got: %w", err)
			}
			return "nobody listens: UNAVAILABLE, not sent", nil
		}},
		{"fate: maybe executed", false, func(ctx context.Context, s *stage) (string, error) {
			server, err := s.process(ctx, "-endpoint="+s.path())
			if err != nil {
				return "", err
			}
			client, err := s.client(rpc.ClientConfig{Endpoint: server.ready.Ready})
			if err != nil {
				return "", err
			}
			if err := client.Ready(ctx); err != nil {
				return "", err
			}
			f := rpctest.NewEchoClient(client).SlowAsync(ctx, &pb.SlowRequest{WaitMs: 60_000})
			if err := soon(ctx, "the call under way", func() bool { return client.Peers()[0].Stats().InFlight == 1 }); err != nil {
				return "", err
			}
			killed := time.Now()
			server.kill()
			_, err = f.Wait(ctx)
			took := time.Since(killed)
			if !errors.Is(err, status.ErrMaybeExecuted) || took > time.Second {
				return "", fmt.Errorf("wanted maybe executed, at once; got after %v: %w", took, err)
			}
			return fmt.Sprintf("server killed: %v after %v", err, took.Round(time.Millisecond)), nil
		}},
		{"reconnects by itself", false, func(ctx context.Context, s *stage) (string, error) {
			endpoint := s.path()
			server, err := s.process(ctx, "-endpoint="+endpoint)
			if err != nil {
				return "", err
			}
			client, err := s.client(rpc.ClientConfig{Endpoint: endpoint})
			if err != nil {
				return "", err
			}
			stub := rpctest.NewEchoClient(client)
			first, err := stub.Who(ctx, &pb.WhoRequest{})
			if err != nil {
				return "", err
			}
			server.kill()
			if server, err = s.process(ctx, "-endpoint="+endpoint); err != nil {
				return "", err
			}
			second, err := stub.Who(ctx, &pb.WhoRequest{})
			if err != nil {
				return "", err
			}
			took := time.Duration(time.Now().UnixNano() - server.ready.AtNS)
			if first.Instance == second.Instance {
				return "", errors.New("the dead server answers")
			}
			return fmt.Sprintf("%s died, %s answered within %v of listening", first.Instance, second.Instance, took.Round(time.Millisecond)), nil
		}},
		{"retries where they are safe", false, func(ctx context.Context, s *stage) (string, error) {
			known := registry.NewMemory()
			var executed atomic.Int64
			for i := range 2 { // each ends the connection instead of answering, the first time
				var once atomic.Bool
				a, err := s.serve(rpc.ServerConfig{ID: fmt.Sprintf("moody-%d", i+1), Registry: known})
				if err != nil {
					return "", err
				}
				rpc.Handle(a.server, "moody.Work", func(ctx context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
					executed.Add(1)
					if once.CompareAndSwap(false, true) {
						go rpc.PeerFrom(ctx).Close()
						<-ctx.Done()
					}
					return &pb.EchoResponse{Text: "done"}, nil
				})
			}
			client, err := s.client(rpc.ClientConfig{Service: "moody", Registry: known})
			if err != nil {
				return "", err
			}
			if err := client.Ready(ctx); err != nil {
				return "", err
			}
			_, err = rpc.Call[pb.EchoResponse](ctx, client, "moody.Work", &pb.EchoRequest{})
			if !errors.Is(err, status.ErrMaybeExecuted) || executed.Load() != 1 {
				return "", fmt.Errorf("a call that may not be repeated was executed %d times: %w", executed.Load(), err)
			}
			resp, err := rpc.Call[pb.EchoResponse](ctx, client, "moody.Work", &pb.EchoRequest{}, rpc.Idempotent())
			if err != nil || resp.Text != "done" {
				return "", fmt.Errorf("an idempotent call: %v: %w", resp, err)
			}
			return fmt.Sprintf("once without leave, %d times with it; %d repeated", executed.Load()-1, client.Stats().Retries), nil
		}},
		{"retry budget", false, func(ctx context.Context, s *stage) (string, error) {
			a, client, _, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{RetryBudget: -1})
			if err != nil {
				return "", err
			}
			var executed atomic.Int64
			rpc.Handle(a.server, "moody.Never", func(ctx context.Context, _ *pb.EchoRequest) (*pb.EchoResponse, error) {
				executed.Add(1)
				go rpc.PeerFrom(ctx).Close()
				<-ctx.Done()
				return nil, ctx.Err()
			})
			if _, err = rpc.Call[pb.EchoResponse](ctx, client, "moody.Never", &pb.EchoRequest{}, rpc.Idempotent()); err == nil {
				return "", errors.New("a call to a server that never answers was answered")
			}
			if executed.Load() != 1 {
				return "", fmt.Errorf("without a budget it was executed %d times", executed.Load())
			}
			return fmt.Sprintf("no budget, no repetition: %v", err), nil
		}},
	}
}

func limitFeatures() []feature {
	return []feature{
		{"limit of calls in flight", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{Mux: mux.Config{MaxCalls: 8}})
			if err != nil {
				return "", err
			}
			slow, cancel := context.WithCancel(ctx)
			defer cancel()
			for range 8 {
				stub.SlowAsync(slow, &pb.SlowRequest{WaitMs: 60_000})
			}
			began := time.Now()
			_, err = stub.Echo(ctx, &pb.EchoRequest{}, rpc.NoRetry())
			if took := time.Since(began); took > time.Second {
				return "", fmt.Errorf("the ninth call waited %v", took)
			}
			return fmt.Sprintf("the ninth call: %v", err), wantCode(err, status.ResourceExhausted)
		}},
		{"limit of calls served", false, func(ctx context.Context, s *stage) (string, error) {
			a, _, stub, err := s.pair(ctx, rpc.ServerConfig{Mux: mux.Config{MaxServe: 4}}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			slow, cancel := context.WithCancel(ctx)
			defer cancel()
			for range 4 {
				stub.SlowAsync(slow, &pb.SlowRequest{WaitMs: 60_000})
			}
			if err := soon(ctx, "four calls under way", func() bool { return a.slow.Load() == 4 }); err != nil {
				return "", err
			}
			_, err = stub.Slow(ctx, &pb.SlowRequest{}, rpc.NoRetry())
			return fmt.Sprintf("the fifth call: %v", err), wantCode(err, status.ResourceExhausted)
		}},
		{"oversized messages", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			_, err = stub.Echo(ctx, &pb.EchoRequest{Payload: make([]byte, 5<<20)})
			if err := wantCode(err, status.ResourceExhausted); err != nil {
				return "", err
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			return fmt.Sprintf("5 MiB: %v; the connection lives", err), nil
		}},
		{"a wrong token", false, func(ctx context.Context, s *stage) (string, error) {
			a, err := s.serve(rpc.ServerConfig{Token: []byte("ours")})
			if err != nil {
				return "", err
			}
			client, err := s.client(rpc.ClientConfig{Endpoint: a.endpoint, Token: []byte("theirs"), Timeout: 500 * time.Millisecond})
			if err != nil {
				return "", err
			}
			_, err = rpctest.NewEchoClient(client).Echo(ctx, &pb.EchoRequest{})
			if err == nil || a.executed.Load() != 0 {
				return "", errors.New("a client with another token was served")
			}
			if text := err.Error(); strings.Contains(text, "ours") || strings.Contains(text, "theirs") {
				return "", fmt.Errorf("the error shows a token: %w", err)
			}
			return fmt.Sprint(err), nil
		}},
		{"a wrong version, and garbage", false, func(ctx context.Context, s *stage) (string, error) {
			path := s.path()
			a, client, stub, err := s.pair(ctx, rpc.ServerConfig{Endpoints: []string{"uds://" + path}}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			said := [][]byte{[]byte("TXRP\xff\x00\x00\x00"), []byte("GET / HTTP/1.1\r\n\r\n"), binary.LittleEndian.AppendUint32(nil, 1<<32-1), {}}
			for _, b := range said {
				conn, err := net.Dial("unix", path)
				if err != nil {
					return "", err
				}
				s.undo = append(s.undo, func() error { conn.Close(); return nil })
				if _, err := conn.Write(b); err != nil {
					return "", err
				}
			}
			if err := soon(ctx, "strangers turned away", func() bool { return a.server.Stats().Refused >= 2 }); err != nil {
				return "", err
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			return fmt.Sprintf("turned away: %v; a good client is served beside them (%d)", a.server.Stats().LastRefused, len(client.Peers())), nil
		}},
	}
}
