package rpc_test

// The examples of README.md and its twin, which quote from here; TestReadmeShowsCodeThatRuns holds them to it.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// Messages of these examples; they go as JSON.
type (
	Enter struct{ Player uint64 }
	Place struct{ Zone string }
	Line  struct{ Text string }
	Size  struct{ Bytes int }
)

// together is a server, a client of it, and what ends both.
func together(scfg rpc.ServerConfig, ccfg rpc.ClientConfig) (server *rpc.Server, client *rpc.Client, stop func()) {
	network := inproc.NewNetwork()
	scfg.ID, scfg.Endpoints, scfg.InProc, scfg.Codec = "world-1", []string{"inproc://world"}, network, rpc.JSON{}
	ccfg.ID, ccfg.Endpoint, ccfg.InProc = "gateway-1", "inproc://world", network
	if ccfg.Codec == nil {
		ccfg.Codec = rpc.JSON{}
	}
	server, err := rpc.NewServer(scfg)
	if err != nil {
		log.Fatal(err)
	}
	if client, err = rpc.NewClient(ccfg); err != nil {
		log.Fatal(err)
	}
	end := background(server)
	return server, client, func() {
		if err := client.Close(); err != nil {
			log.Fatal(err)
		}
		end()
	}
}

func harbour(_ context.Context, _ *Enter) (*Place, error) { return &Place{Zone: "harbour"}, nil }

func Example_calls() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.Handle(server, "world.Enter", func(ctx context.Context, m *Enter) (*Place, error) {
		if m.Player == 0 {
			return nil, status.New(status.InvalidArgument, "which player?")
		}
		return &Place{Zone: "harbour"}, nil
	})

	place, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.WithTimeout(10*time.Second))
	fmt.Println(place, err)
	_, err = rpc.Call[Place](ctx, client, "world.Enter", &Enter{})
	fmt.Println(err)
	// Output:
	// &{harbour} <nil>
	// INVALID_ARGUMENT: which player?
}

func Example_fast() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.Handle(server, "world.Where", harbour, rpc.Inline(), rpc.Pooled())

	var place Place // used again and again
	for player := range uint64(3) {
		if err := rpc.CallInto(ctx, client, "world.Where", &Enter{player}, &place); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(place.Zone)
	// Output: harbour
}

func Example_borrowed() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{Codec: rpc.Bytes{}})
	defer stop()
	ctx := context.Background()
	chunk := make([]byte, 100<<10)

	rpc.Handle(server, "world.Store", func(_ context.Context, chunk *[]byte) (*[]byte, error) {
		sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(*chunk)) // nothing of chunk is kept
		return &sum, nil
	}, rpc.Borrowed())

	err := rpc.CallInto(ctx, client, "world.Store", &chunk, rpc.View(func(sum []byte) error {
		fmt.Println("stored:", binary.LittleEndian.Uint32(sum) == crc32.ChecksumIEEE(chunk))
		return nil
	}))

	if err != nil {
		log.Fatal(err)
	}
	// Output: stored: true
}

func Example_futures() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()
	rpc.Handle(server, "world.Enter", harbour)

	one := rpc.Go[Place](ctx, client, "world.Enter", &Enter{Player: 7})
	two := rpc.Go[Place](ctx, client, "world.Enter", &Enter{Player: 8})
	for _, f := range []rpc.Future[Place]{one, two} {
		place, err := f.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(place.Zone)
	}
	// Output:
	// harbour
	// harbour
}

func Example_oneWay() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	gone := make(chan uint64)
	rpc.Handle(server, "world.Left", func(_ context.Context, m *Enter) (*struct{}, error) {
		gone <- m.Player
		return nil, nil
	})

	if err := rpc.Notify(ctx, client, "world.Left", &Enter{Player: 7}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("left:", <-gone)
	// Output: left: 7
}

func Example_deadlines() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()
	over, ended, began := make(chan error, 1), make(chan error, 1), make(chan struct{})
	if err := client.Ready(ctx); err != nil { // else a busy machine may spend the whole timeout on connecting, which is another error
		log.Fatal(err)
	}

	rpc.Handle(server, "world.Search", func(ctx context.Context, m *Enter) (*Place, error) {
		<-ctx.Done() // the caller's time is over, it gave up, or its connection is gone
		over <- ctx.Err()
		return nil, ctx.Err()
	})

	_, err := rpc.Call[Place](ctx, client, "world.Search", &Enter{}, rpc.WithTimeout(20*time.Millisecond))
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	// On a busy machine that handler has not even begun. This one has when the caller gives up.
	rpc.Handle(server, "world.Wait", func(ctx context.Context, m *Enter) (*Place, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(ctx)
	f := rpc.Go[Place](ctx, client, "world.Wait", &Enter{})
	<-began
	cancel()
	_, err = f.Wait(context.Background())
	fmt.Println(errors.Is(err, context.Canceled))
	fmt.Println("handler:", <-ended)
	// Output:
	// true
	// true
	// handler: context canceled
}

func Example_bothWays() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.Handle(client, "gateway.Tell", func(_ context.Context, m *Line) (*struct{}, error) { // before the first connection, or at any time
		fmt.Println("told:", m.Text)
		return nil, nil
	})

	rpc.Handle(server, "world.Enter", func(ctx context.Context, m *Enter) (*Place, error) {
		caller := rpc.PeerFrom(ctx) // may be kept until its Done is closed
		if _, err := rpc.Call[struct{}](ctx, caller, "gateway.Tell", &Line{"welcome"}); err != nil {
			return nil, err
		}
		return &Place{Zone: "harbour"}, nil
	})

	place, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(place.Zone)
	for _, gateway := range server.Peers() {
		if _, err := rpc.Call[struct{}](ctx, gateway, "gateway.Tell", &Line{"to all: rain"}); err != nil {
			log.Print(gateway.ID(), ": ", err)
		}
	}
	// Output:
	// told: welcome
	// harbour
	// told: to all: rain
}

func Example_interceptors() {
	onlyGateways := func(ctx context.Context, info *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
		if info.Metadata.Get("role") != "gateway" {
			return nil, status.Errorf(status.PermissionDenied, "%s is not for %s", info.Method, info.Peer.ID())
		}
		return next(ctx, req)
	}
	sayRole := func(ctx context.Context, info *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
		rpc.WithMetadata("role", "gateway")(info.Options)
		return next(ctx, req, resp)
	}

	for _, around := range [][]rpc.ClientInterceptor{nil, {sayRole}} {
		server, client, stop := together(rpc.ServerConfig{Interceptors: []rpc.ServerInterceptor{onlyGateways}}, rpc.ClientConfig{Interceptors: around})
		rpc.Handle(server, "world.Enter", func(ctx context.Context, m *Enter) (*Place, error) {
			return &Place{Zone: rpc.MetadataFrom(ctx).Get("zone")}, nil
		})
		ctx := context.Background()
		place, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.WithMetadata("zone", "harbour"))
		fmt.Println(place, err)
		stop()
	}
	// Output:
	// <nil> PERMISSION_DENIED: world.Enter is not for gateway-1
	// &{harbour} <nil>
}

func Example_errors() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()

	rpc.Handle(server, "world.Enter", func(context.Context, *Enter) (*Place, error) {
		full, err := status.New(status.ResourceExhausted, "the zone is full").WithDetails(durationpb.New(30 * time.Second))
		if err != nil {
			return nil, err
		}
		return nil, full
	})

	_, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7})
	var failure *rpc.Error
	var wait durationpb.Duration
	if errors.As(err, &failure) && failure.Detail(&wait) {
		fmt.Println(failure.Code, failure.Fate, wait.AsDuration())
	}
	switch {
	case errors.Is(err, status.ErrNotSent):
		fmt.Println("it never ran: repeat it as you like")
	case errors.Is(err, status.ErrMaybeExecuted):
		fmt.Println("nobody knows: repeat it if doing it twice does no harm")
	case errors.Is(err, status.ResourceExhausted.Err()):
		fmt.Println("the other end said no")
	}
	// Output:
	// RESOURCE_EXHAUSTED answered 30s
	// the other end said no
}

// fixed is a codec for structures of numbers: their bytes, one after the other.
type fixed struct{}

func (fixed) Name() string { return "fixed" }

func (fixed) Size(v any) (int, error) {
	if n := binary.Size(v); n >= 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%T has no fixed size", v)
}

func (fixed) MarshalAppend(dst []byte, v any) ([]byte, error) { // exactly Size bytes; dst may be memory that the peer shares
	return binary.Append(dst, binary.LittleEndian, v)
}

func (fixed) Unmarshal(b []byte, v any) error { // keep nothing of b
	_, err := binary.Decode(b, binary.LittleEndian, v)
	return err
}

func Example_ownCodec() {
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{})
	defer stop()
	ctx := context.Background()
	type Step struct{ X, Z float32 }

	rpc.Handle(server, "world.Step", func(_ context.Context, m *Step) (*Step, error) {
		return &Step{m.X + 1, m.Z + 1}, nil
	}, rpc.WithCodec(fixed{})) // or in ServerConfig.Mux.Codecs, for all methods

	at, err := rpc.Call[Step](ctx, client, "world.Step", &Step{1, 2}, rpc.WithCallCodec(fixed{})) // or in ClientConfig.Codec
	fmt.Println(at, err)
	// Output: &{2 3} <nil>
}

func Example_limits() {
	limits := mux.Config{MaxCalls: 1, MaxMessage: 1 << 10}
	server, client, stop := together(rpc.ServerConfig{Mux: limits}, rpc.ClientConfig{Mux: limits})
	defer stop()
	ctx := context.Background()
	hold, held := make(chan struct{}), make(chan struct{})
	rpc.Handle(server, "world.Enter", func(context.Context, *Enter) (*Place, error) {
		close(held)
		<-hold
		return nil, nil
	})
	rpc.Handle(server, "world.Say", func(context.Context, *Line) (*Line, error) { return nil, nil })

	first := rpc.Go[Place](ctx, client, "world.Enter", &Enter{})
	<-held
	_, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{})
	fmt.Println(status.CodeOf(err), errors.Is(err, status.ErrNotSent)) // at once: nothing queues behind a limit
	close(hold)
	if _, err := first.Wait(ctx); err != nil {
		log.Fatal(err)
	}

	_, err = rpc.Call[Line](ctx, client, "world.Say", &Line{string(make([]byte, 2<<10))})
	fmt.Println(status.CodeOf(err), errors.Is(err, status.ErrNotSent))
	// Output:
	// RESOURCE_EXHAUSTED true
	// RESOURCE_EXHAUSTED true
}
