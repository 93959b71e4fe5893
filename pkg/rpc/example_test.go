package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
	rpctestv1 "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// greet answers with what it was sent, or not at all.
func greet(_ context.Context, m *rpctestv1.EchoRequest) (*rpctestv1.EchoResponse, error) {
	if m.Text == "" {
		return nil, status.New(status.InvalidArgument, "nobody to greet")
	}
	return &rpctestv1.EchoResponse{Text: "hello, " + m.Text}, nil
}

// background runs a server until stop is called.
func background(s *rpc.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	network := inproc.NewNetwork() // real processes use endpoints such as unix:///run/greeter.sock and need none
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://greeter"}, InProc: network})
	if err != nil {
		log.Fatal(err)
	}
	rpc.Handle(server, "greeter.Greet", greet)
	stop := background(server)
	defer stop()

	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://greeter", InProc: network})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	resp, err := rpc.Call[rpctestv1.EchoResponse](ctx, client, "greeter.Greet", &rpctestv1.EchoRequest{Text: "Ann"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text)
	_, err = rpc.Call[rpctestv1.EchoResponse](ctx, client, "greeter.Greet", &rpctestv1.EchoRequest{})
	fmt.Println(err, errors.Is(err, status.InvalidArgument.Err()))
	// Output:
	// hello, Ann
	// INVALID_ARGUMENT: nobody to greet true
}

// A future is the result of a call that nobody waits for yet.
func ExampleGo() {
	network := inproc.NewNetwork()
	server, _ := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://greeter"}, InProc: network})
	rpc.Handle(server, "greeter.Greet", greet)
	defer background(server)()
	client, _ := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://greeter", InProc: network})
	defer client.Close()

	ctx := context.Background()
	ann := rpc.Go[rpctestv1.EchoResponse](ctx, client, "greeter.Greet", &rpctestv1.EchoRequest{Text: "Ann"})
	bob := rpc.Go[rpctestv1.EchoResponse](ctx, client, "greeter.Greet", &rpctestv1.EchoRequest{Text: "Bob"})
	for _, f := range []rpc.Future[rpctestv1.EchoResponse]{ann, bob} {
		resp, err := f.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Text)
	}
	// Output:
	// hello, Ann
	// hello, Bob
}

// Both ends of a stream send and receive as they like.
func ExampleOpenStream() {
	network := inproc.NewNetwork()
	server, _ := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://chat"}, InProc: network})
	rpc.HandleStream(server, "chat.Talk", func(_ context.Context, s *rpc.ServerStream[rpctestv1.ChatLine, rpctestv1.ChatLine]) error {
		for {
			line, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.Send(&rpctestv1.ChatLine{Text: line.Text + ", you say?"}); err != nil {
				return err
			}
		}
	})
	defer background(server)()
	client, _ := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://chat", InProc: network})
	defer client.Close()

	s, err := rpc.OpenStream[rpctestv1.ChatLine, rpctestv1.ChatLine](context.Background(), client, "chat.Talk")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"rain", "sun"} {
		if err := s.Send(&rpctestv1.ChatLine{Text: text}); err != nil {
			log.Fatal(err)
		}
		line, err := s.Recv()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(line.Text)
	}
	if err := s.CloseSend(); err != nil {
		log.Fatal(err)
	}
	_, err = s.Recv()
	fmt.Println(err)
	// Output:
	// rain, you say?
	// sun, you say?
	// EOF
}

// A handler calls its caller back, over the same connection.
func ExamplePeerFrom() {
	network := inproc.NewNetwork()
	server, _ := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://door"}, InProc: network})
	rpc.Handle(server, "door.Knock", func(ctx context.Context, m *rpctestv1.EchoRequest) (*rpctestv1.EchoResponse, error) {
		who, err := rpc.Call[rpctestv1.EchoResponse](ctx, rpc.PeerFrom(ctx), "guest.Name", m)
		if err != nil {
			return nil, err
		}
		return &rpctestv1.EchoResponse{Text: "come in, " + who.Text}, nil
	})
	defer background(server)()
	client, _ := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://door", InProc: network})
	defer client.Close()
	rpc.Handle(client, "guest.Name", func(context.Context, *rpctestv1.EchoRequest) (*rpctestv1.EchoResponse, error) {
		return &rpctestv1.EchoResponse{Text: "Cid"}, nil
	})
	resp, err := rpc.Call[rpctestv1.EchoResponse](context.Background(), client, "door.Knock", &rpctestv1.EchoRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text)
	// Output: come in, Cid
}

// A new process takes over from an old one; no call is lost.
func ExampleServer_Serve_hotRestart() {
	network, reg := inproc.NewNetwork(), registry.NewMemory()
	start := func(id string) (stop func()) {
		server, err := rpc.NewServer(rpc.ServerConfig{ID: id, Endpoints: []string{"inproc://" + id}, InProc: network, Registry: reg}) // as in unix:///run/greeter-<id>.sock
		if err != nil {
			log.Fatal(err)
		}
		rpc.Handle(server, "greeter.Who", func(context.Context, *rpctestv1.WhoRequest) (*rpctestv1.WhoResponse, error) {
			return &rpctestv1.WhoResponse{Instance: id}, nil
		})
		return background(server)
	}
	client, err := rpc.NewClient(rpc.ClientConfig{Service: "greeter", Registry: reg, InProc: network})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ask := func() {
		resp, err := rpc.Call[rpctestv1.WhoResponse](context.Background(), client, "greeter.Who", &rpctestv1.WhoRequest{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Instance)
	}
	stopOld := start("old")
	ask()
	stopNew := start("new") // beside the old one, which then lets its callers finish and goes
	stopOld()
	ask()
	stopNew()
	// Output:
	// old
	// new
}

// Retries, metadata, keys and so on are said call by call.
func ExampleCallOption() {
	network := inproc.NewNetwork()
	server, _ := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://greeter"}, InProc: network,
		Interceptors: []rpc.ServerInterceptor{func(ctx context.Context, info *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
			if info.Metadata.Get("role") != "host" {
				return nil, status.New(status.PermissionDenied, "only hosts greet")
			}
			return next(ctx, req)
		}}})
	rpc.Handle(server, "greeter.Greet", greet)
	defer background(server)()
	client, _ := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://greeter", InProc: network})
	defer client.Close()
	req := &rpctestv1.EchoRequest{Text: "Dan"}
	_, err := rpc.Call[rpctestv1.EchoResponse](context.Background(), client, "greeter.Greet", req)
	fmt.Println(err)
	resp, err := rpc.Call[rpctestv1.EchoResponse](context.Background(), client, "greeter.Greet", req, rpc.WithMetadata("role", "host"), rpc.WithKey("Dan"), rpc.Idempotent())
	fmt.Println(resp.GetText(), err)
	// Output:
	// PERMISSION_DENIED: only hosts greet
	// hello, Dan <nil>
}
