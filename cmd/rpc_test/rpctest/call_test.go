package rpctest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// parrot serves each form of a method once; the rest is not implemented.
type parrot struct {
	UnimplementedEchoServer
	told chan string
}

func (*parrot) Echo(_ context.Context, req *pb.EchoRequest) (*pb.EchoResponse, error) {
	return &pb.EchoResponse{Payload: req.Payload, Text: req.Text}, nil
}

func (p *parrot) Notify(_ context.Context, req *pb.EchoRequest) error {
	p.told <- req.Text
	return errors.New("nobody hears of this")
}

func (*parrot) Upload(_ context.Context, s *rpc.ServerStream[pb.Chunk, pb.UploadResponse]) error {
	for answer := (&pb.UploadResponse{}); ; {
		c, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.Send(answer)
		} else if err != nil {
			return err
		}
		answer.Chunks++
		answer.Bytes += uint64(len(c.Payload))
	}
}

func (*parrot) Count(_ context.Context, s *rpc.ServerStream[pb.CountRequest, pb.CountResponse]) error {
	req, err := s.Recv()
	if err != nil {
		return err
	}
	for n := req.From; n < req.To; n++ {
		if err := s.Send(&pb.CountResponse{Number: n}); err != nil {
			return err
		}
	}
	return nil
}

func (*parrot) Blob(_ context.Context, s *rpc.ServerStream[pb.Chunk, pb.Chunk]) error {
	for {
		c, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.Send(c); err != nil {
			return err
		}
	}
}

// connect serves p and gives a client of it, until the test ends.
func connect(t *testing.T, p *parrot) EchoClient {
	t.Helper()
	network := inproc.NewNetwork()
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"inproc://echo"}, InProc: network})
	if err != nil {
		t.Fatal(err)
	}
	RegisterEchoServer(server, p)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- server.Serve(ctx) }()
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: "inproc://echo", InProc: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return NewEchoClient(client)
}

func TestEveryFormComesThrough(t *testing.T) {
	p := &parrot{told: make(chan string, 1)}
	c, ctx := connect(t, p), t.Context()

	if got, err := c.Echo(ctx, &pb.EchoRequest{Text: "a", Payload: []byte{1}}); err != nil || got.Text != "a" || len(got.Payload) != 1 {
		t.Errorf("call: %v, %v", got, err)
	}
	answer := &pb.EchoResponse{Text: "old", Number: 9}
	if err := c.EchoInto(ctx, &pb.EchoRequest{Text: "b"}, answer); err != nil || answer.Text != "b" || answer.Number != 0 {
		t.Errorf("into: %v, %v", answer, err)
	}
	if got, err := c.EchoAsync(ctx, &pb.EchoRequest{Text: "c"}).Wait(ctx); err != nil || got.Text != "c" {
		t.Errorf("async: %v, %v", got, err)
	}
	if err := c.Notify(ctx, &pb.EchoRequest{Text: "d"}); err != nil || <-p.told != "d" {
		t.Errorf("one way: %v", err)
	}
	if _, err := c.Slow(ctx, &pb.SlowRequest{}); status.CodeOf(err) != status.Unimplemented {
		t.Errorf("not implemented: %v", err)
	}

	up, err := c.Upload(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := up.Send(&pb.Chunk{Payload: make([]byte, 10)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := up.CloseAndRecv(); err != nil || got.Chunks != 3 || got.Bytes != 30 {
		t.Errorf("stream of requests: %v, %v", got, err)
	}

	count, err := c.Count(ctx, &pb.CountRequest{From: 5, To: 8})
	if err != nil {
		t.Fatal(err)
	}
	for n := int32(5); n < 8; n++ {
		if got, err := count.Recv(); err != nil || got.Number != n {
			t.Errorf("stream of answers: %v, %v, want %d", got, err, n)
		}
	}
	if _, err := count.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("its end: %v", err)
	}

	blob, err := c.Blob(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(3) {
		if err := blob.Send(&pb.Chunk{Number: n, Payload: make([]byte, 40<<10)}); err != nil {
			t.Fatal(err)
		}
		if got, err := blob.Recv(); err != nil || got.Number != n || len(got.Payload) != 40<<10 {
			t.Errorf("streams both ways: %v, %v", got.GetNumber(), err)
		}
	}
	if err := blob.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := blob.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("its end: %v", err)
	}

	chat, err := c.Chat(ctx)
	if err == nil {
		_, err = chat.Recv()
	}
	if status.CodeOf(err) != status.Unimplemented {
		t.Errorf("stream that is not implemented: %v", err)
	}
}
