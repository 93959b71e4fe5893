package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// marked is a codec of the user's own: text with a mark around it.
type marked struct{}

func (marked) Name() string            { return "mark" }
func (marked) Size(v any) (int, error) { return len(*v.(*string)) + 2, nil }
func (marked) Unmarshal(b []byte, v any) error {
	if len(b) < 2 || b[0] != '<' || b[len(b)-1] != '>' {
		return fmt.Errorf("%q has no marks around it", b)
	}
	*v.(*string) = string(b[1 : len(b)-1])
	return nil
}

func (marked) MarshalAppend(dst []byte, v any) ([]byte, error) {
	return append(append(append(dst, '<'), *v.(*string)...), '>'), nil
}

func callFeatures() []feature {
	return []feature{
		{"call without a schema", false, func(ctx context.Context, s *stage) (string, error) {
			type move struct{ X, Y int }
			a, client, _, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{Codec: rpc.JSON{}})
			if err != nil {
				return "", err
			}
			rpc.Handle(a.server, "world.Move", func(_ context.Context, m *move) (*move, error) { return &move{m.X + 1, m.Y + 1}, nil })
			got, err := rpc.Call[move](ctx, client, "world.Move", &move{1, 2})
			if err != nil {
				return "", err
			}
			if *got != (move{2, 3}) {
				return "", fmt.Errorf("got %v", *got)
			}
			return "world.Move with a Go struct, as JSON", nil
		}},
		{"typed stubs", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			resp, err := stub.Echo(ctx, &pb.EchoRequest{Text: "天下", Number: 7})
			if err != nil || resp.Text != "天下" || resp.Number != 7 {
				return "", fmt.Errorf("got %v: %w", resp, err)
			}
			return "Echo(*EchoRequest) (*EchoResponse, error), generated", nil
		}},
		{"asynchronous calls", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			began := time.Now()
			futures := make([]rpc.Future[pb.EchoResponse], 100)
			for i := range futures {
				futures[i] = stub.SlowAsync(ctx, &pb.SlowRequest{WaitMs: 50, Text: fmt.Sprint(i)})
			}
			for i, f := range futures {
				if resp, err := f.Wait(ctx); err != nil || resp.Text != fmt.Sprint(i) {
					return "", fmt.Errorf("call %d: got %v: %w", i, resp, err)
				}
			}
			took := time.Since(began)
			if took > 2*time.Second {
				return "", fmt.Errorf("100 calls of 50 ms at once took %v", took)
			}
			return fmt.Sprintf("100 futures of 50 ms each done in %v", took.Round(time.Millisecond)), nil
		}},
		{"one-way messages", false, func(ctx context.Context, s *stage) (string, error) {
			a, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			if err := stub.Notify(ctx, &pb.EchoRequest{Text: "by the way"}); err != nil {
				return "", err
			}
			select {
			case text := <-a.notified:
				return fmt.Sprintf("the server was told %q, nobody waited", text), nil
			case <-ctx.Done():
				return "", errors.New("the server was told nothing")
			}
		}},
		{"both directions", false, func(ctx context.Context, s *stage) (string, error) {
			a, err := s.serve(rpc.ServerConfig{})
			if err != nil {
				return "", err
			}
			// The handler asks its caller back before it answers, with the same kind of stub.
			rpc.Handle(a.server, "example.AskBack", func(ctx context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
				return rpctest.NewEchoClient(rpc.PeerFrom(ctx)).Echo(ctx, &pb.EchoRequest{Text: req.Text + " and back"})
			})
			client, err := s.client(rpc.ClientConfig{Endpoint: a.endpoint})
			if err != nil {
				return "", err
			}
			here := &echo{instance: "client"}
			register(client, here, &holder{release: make(chan struct{})})
			resp, err := rpc.Call[pb.EchoResponse](ctx, client, "example.AskBack", &pb.EchoRequest{Text: "there"})
			if err != nil {
				return "", err
			}
			if resp.Text != "there and back" || here.executed.Load() != 1 {
				return "", fmt.Errorf("got %q, %d calls came back", resp.Text, here.executed.Load())
			}
			return "the server called the client while it served it: " + resp.Text, nil
		}},
		{"metadata", false, func(ctx context.Context, s *stage) (string, error) {
			a, client, _, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			rpc.Handle(a.server, "example.Locale", func(ctx context.Context, _ *pb.EchoRequest) (*pb.EchoResponse, error) {
				about := rpc.MetadataFrom(ctx)
				return &pb.EchoResponse{Text: about.Get("locale") + " " + about.Get("zone")}, nil
			})
			resp, err := rpc.Call[pb.EchoResponse](ctx, client, "example.Locale", &pb.EchoRequest{}, rpc.WithMetadata("locale", "zh-CN"), rpc.WithMetadata("zone", "7"))
			if err != nil || resp.Text != "zh-CN 7" {
				return "", fmt.Errorf("got %v: %w", resp, err)
			}
			return "locale=zh-CN, zone=7 came along", nil
		}},
		{"interceptors", false, func(ctx context.Context, s *stage) (string, error) {
			var order []string
			server := func(name string) rpc.ServerInterceptor {
				return func(ctx context.Context, info *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
					order = append(order, name+" in")
					resp, err := next(ctx, req)
					order = append(order, name+" out")
					return resp, err
				}
			}
			client := func(name string) rpc.ClientInterceptor {
				return func(ctx context.Context, info *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
					order = append(order, name+" in")
					err := next(ctx, req, resp)
					order = append(order, name+" out")
					return err
				}
			}
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{Interceptors: []rpc.ServerInterceptor{server("c"), server("d")}},
				rpc.ClientConfig{Interceptors: []rpc.ClientInterceptor{client("a"), client("b")}})
			if err != nil {
				return "", err
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			got, want := strings.Join(order, ", "), "a in, b in, c in, d in, d out, c out, b out, a out"
			if got != want {
				return "", fmt.Errorf("order %s, want %s", got, want)
			}
			return got, nil
		}},
		{"codecs: protobuf, JSON, bytes, own", false, func(ctx context.Context, s *stage) (string, error) {
			a, client, stub, err := s.pair(ctx, rpc.ServerConfig{Mux: mux.Config{Codecs: []rpc.Codec{marked{}}}}, rpc.ClientConfig{Mux: mux.Config{Codecs: []rpc.Codec{marked{}}}})
			if err != nil {
				return "", err
			}
			for _, codec := range []rpc.Codec{rpc.Protobuf{}, rpc.JSON{}} {
				if resp, err := stub.Echo(ctx, &pb.EchoRequest{Text: codec.Name()}, rpc.WithCallCodec(codec)); err != nil || resp.Text != codec.Name() {
					return "", fmt.Errorf("%s: got %v: %w", codec.Name(), resp, err)
				}
			}
			rpc.Handle(a.server, "example.Bytes", func(_ context.Context, b *[]byte) (*[]byte, error) { return b, nil }, rpc.WithCodec(rpc.Bytes{}))
			sent := []byte{0, 1, 255}
			if got, err := rpc.Call[[]byte](ctx, client, "example.Bytes", &sent, rpc.WithCallCodec(rpc.Bytes{})); err != nil || !bytes.Equal(*got, sent) {
				return "", fmt.Errorf("bytes: got %v: %w", got, err)
			}
			rpc.Handle(a.server, "example.Mark", func(_ context.Context, text *string) (*string, error) { return text, nil }, rpc.WithCodec(marked{}))
			text := "mine"
			if got, err := rpc.Call[string](ctx, client, "example.Mark", &text, rpc.WithCallCodec(marked{})); err != nil || *got != text {
				return "", fmt.Errorf("own codec: %w", err)
			}
			return "one server, four codecs", nil
		}},
		{"metrics", false, func(ctx context.Context, s *stage) (string, error) {
			counters := &rpc.Counters{}
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{Metrics: counters})
			if err != nil {
				return "", err
			}
			for range 10 {
				if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
					return "", err
				}
			}
			for _, n := range counters.Stats().Calls {
				if n.Method == rpctest.EchoMethodEcho && n.Calls == 10 {
					return fmt.Sprintf("10 calls over %s, median at most %v", n.Transport, n.Quantile(0.5)), nil
				}
			}
			return "", fmt.Errorf("10 calls are not in %v", counters.Stats().Calls)
		}},
		{"tracing", false, func(ctx context.Context, s *stage) (string, error) {
			spans := make(chan string, 4)
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{Trace: tracer{spans}}, rpc.ClientConfig{Trace: tracer{spans}})
			if err != nil {
				return "", err
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			first, second := <-spans, <-spans
			if first != "server in trace-1" || second != "client" {
				return "", fmt.Errorf("spans %q and %q", first, second)
			}
			return "the server's span is a child of the client's trace-1", nil
		}},
	}
}

// tracer tells of spans that have ended.
type tracer struct{ spans chan string }

func (t tracer) ClientCall(ctx context.Context, _ string) (context.Context, []byte, func(error)) {
	return ctx, []byte("trace-1"), func(error) { t.spans <- "client" }
}

func (t tracer) ServerCall(ctx context.Context, _ string, parent []byte) (context.Context, func(error)) {
	return ctx, func(error) { t.spans <- "server in " + string(parent) }
}
