package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// at is the endpoint that server and client meet at.
func (o *options) at() string {
	if o.endpoint == "" {
		return defaultEndpoint
	}
	return o.endpoint
}

// serve is -mode=server: the Echo service until ctx ends, and then until the calls under way are answered.
func serve(ctx context.Context, o *options, c console) error {
	server, err := rpc.NewServer(rpc.ServerConfig{
		ID:        fmt.Sprintf("echo-%d", os.Getpid()),
		Endpoints: []string{o.at()},
		Log:       slog.New(slog.NewTextHandler(c.err, nil)),
	})
	if err != nil {
		return err
	}
	service := &echo{instance: fmt.Sprintf("echo-%d", os.Getpid())}
	rpctest.RegisterEchoServer(server, service)
	if err := server.Listen(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "serving %s at %s\n", rpctest.EchoService, strings.Join(server.Instance().Endpoints, ", "))
	fmt.Fprintf(c.out, "try: rpc_test -mode=client -endpoint=%s    Ctrl-C ends it\n", o.at())
	if err := errors.Join(server.Serve(ctx), server.Close()); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "drained and closed; %s served\n", plural(int(service.executed.Load()), "echo"))
	return nil
}

// converse is -mode=client: a short conversation with timings.
func converse(ctx context.Context, o *options, c console) error {
	began := time.Now()
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: o.at(), Timeout: 2 * time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	patience, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := client.Ready(patience); err != nil {
		return fmt.Errorf("no conversation with %s: %w\nstart a server: rpc_test -mode=server -endpoint=%s", o.at(), err, o.at())
	}
	fmt.Fprintf(c.out, "%-34s %10v  over %s\n", "connected", time.Since(began).Round(time.Microsecond), transportOf(client))
	stub := rpctest.NewEchoClient(client)
	for _, turn := range turns(stub) {
		began := time.Now()
		said, err := turn.take(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", turn.name, err)
		}
		fmt.Fprintf(c.out, "%-34s %10v  %s\n", turn.name, time.Since(began).Round(time.Microsecond), said)
	}
	return nil
}

// turn is one exchange of the conversation.
type turn struct {
	name string
	take func(ctx context.Context) (said string, err error)
}

func turns(stub rpctest.EchoClient) []turn {
	return []turn{
		{"one call", func(ctx context.Context) (string, error) {
			resp, err := stub.Echo(ctx, &pb.EchoRequest{Text: "hello"})
			return fmt.Sprintf("the server says %q", resp.GetText()), err
		}},
		{"1,000 calls, one after the other", func(ctx context.Context) (string, error) {
			began := time.Now()
			for i := range 1000 {
				if _, err := stub.Echo(ctx, &pb.EchoRequest{Number: uint32(i)}); err != nil {
					return "", err
				}
			}
			return fmt.Sprintf("%.1f us each", micros(time.Since(began))/1000), nil
		}},
		{"1,000 calls at once", func(ctx context.Context) (string, error) {
			began := time.Now()
			futures := make([]rpc.Future[pb.EchoResponse], 1000)
			for i := range futures {
				futures[i] = stub.EchoAsync(ctx, &pb.EchoRequest{Number: uint32(i)})
			}
			for i, f := range futures {
				if resp, err := f.Wait(ctx); err != nil {
					return "", err
				} else if resp.Number != uint32(i) {
					return "", fmt.Errorf("answer %d to call %d", resp.Number, i)
				}
			}
			return fmt.Sprintf("%.1f us each", micros(time.Since(began))/1000), nil
		}},
		{"a call with 1 MiB", func(ctx context.Context) (string, error) {
			payload := make([]byte, 1<<20)
			resp, err := stub.Echo(ctx, &pb.EchoRequest{Payload: payload, Sum: sumOf(payload)})
			return fmt.Sprintf("%d bytes came back", len(resp.GetPayload())), err
		}},
		{"a stream of 10,000 numbers", func(ctx context.Context) (string, error) {
			s, err := stub.Count(ctx, &pb.CountRequest{To: 10_000})
			if err != nil {
				return "", err
			}
			var n int32
			var answer pb.CountResponse
			for {
				switch err := s.RecvInto(&answer); {
				case errors.Is(err, io.EOF):
					return fmt.Sprintf("%d came", n), nil
				case err != nil:
					return "", err
				case answer.Number != n:
					return "", fmt.Errorf("number %d where %d was due", answer.Number, n)
				}
				n++
			}
		}},
		{"a call that is refused", func(ctx context.Context) (string, error) {
			_, err := stub.Fail(ctx, &pb.FailRequest{Code: uint32(status.PermissionDenied), Message: "not for you"})
			if status.CodeOf(err) != status.PermissionDenied {
				return "", fmt.Errorf("wanted PERMISSION_DENIED: %w", err)
			}
			return err.Error(), nil
		}},
		{"a call with a deadline of 20 ms", func(ctx context.Context) (string, error) {
			_, err := stub.Slow(ctx, &pb.SlowRequest{WaitMs: 5000}, rpc.WithTimeout(20*time.Millisecond))
			if !errors.Is(err, context.DeadlineExceeded) {
				return "", fmt.Errorf("wanted DEADLINE_EXCEEDED: %w", err)
			}
			return err.Error(), nil
		}},
	}
}
