package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

func streamFeatures() []feature {
	return []feature{
		{"stream to the server", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			up, err := stub.Upload(ctx)
			if err != nil {
				return "", err
			}
			for i := range 100 {
				payload := randomPayload(1000, uint64(i))
				if err := up.Send(&pb.Chunk{Payload: payload, Sum: sumOf(payload)}); err != nil {
					return "", err
				}
			}
			answer, err := up.CloseAndRecv()
			if err != nil || answer.Chunks != 100 || answer.Bytes != 100_000 {
				return "", fmt.Errorf("got %v: %w", answer, err)
			}
			return "100 messages up, one answer", nil
		}},
		{"stream from the server", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			down, err := stub.Count(ctx, &pb.CountRequest{From: 5, To: 5005})
			if err != nil {
				return "", err
			}
			for want := int32(5); ; want++ {
				answer, err := down.Recv()
				switch {
				case errors.Is(err, io.EOF) && want == 5005:
					return "5 to 5004 came in order", nil
				case err != nil:
					return "", fmt.Errorf("at %d: %w", want, err)
				case answer.Number != want:
					return "", fmt.Errorf("%d came where %d was due", answer.Number, want)
				}
			}
		}},
		{"stream both ways", false, func(ctx context.Context, s *stage) (string, error) {
			_, _, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			chat, err := stub.Chat(ctx)
			if err != nil {
				return "", err
			}
			for _, text := range []string{"hello", "how are you", "bye"} {
				if err := chat.Send(&pb.ChatLine{From: "client", Text: text}); err != nil {
					return "", err
				}
				if line, err := chat.Recv(); err != nil || line.From != "server" || line.Text != text {
					return "", fmt.Errorf("got %v: %w", line, err)
				}
			}
			if err := chat.CloseSend(); err != nil {
				return "", err
			}
			if _, err := chat.Recv(); !errors.Is(err, io.EOF) {
				return "", fmt.Errorf("the stream should have ended: %w", err)
			}
			return "three lines, each answered before the next", nil
		}},
		{"bulk stream", true, func(ctx context.Context, s *stage) (string, error) {
			endpoint := "shm://" + s.path()
			if _, err := s.process(ctx, "-endpoint="+endpoint); err != nil {
				return "", err
			}
			client, err := s.client(rpc.ClientConfig{Endpoint: endpoint})
			if err != nil {
				return "", err
			}
			blob, err := rpctest.NewEchoClient(client).Blob(ctx)
			if err != nil {
				return "", err
			}
			failed := make(chan error, 1)
			go func() {
				for i := range 64 {
					payload := randomPayload(256<<10, uint64(i))
					if err := blob.Send(&pb.Chunk{Payload: payload, Number: uint32(i), Sum: sumOf(payload)}); err != nil {
						failed <- err
						return
					}
				}
				failed <- blob.CloseSend()
			}()
			began := time.Now()
			for i := range 64 {
				chunk, err := blob.Recv()
				if err != nil || chunk.Number != uint32(i) || sumOf(chunk.Payload) != chunk.Sum {
					return "", fmt.Errorf("chunk %d: %w", i, err)
				}
			}
			if err := <-failed; err != nil {
				return "", err
			}
			return fmt.Sprintf("16 MiB there and back through shared memory in %v, in order", time.Since(began).Round(time.Millisecond)), nil
		}},
		{"credits: a slow consumer holds up nobody", false, func(ctx context.Context, s *stage) (string, error) {
			_, client, stub, err := s.pair(ctx, rpc.ServerConfig{}, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			held, err := rpc.OpenStream[pb.Chunk, pb.UploadResponse](ctx, client, holdMethod)
			if err != nil {
				return "", err
			}
			defer held.Cancel()
			sent := 0
			for ; ; sent++ {
				if err := held.TrySend(&pb.Chunk{Payload: make([]byte, 4096)}); errors.Is(err, mux.ErrWouldBlock) {
					break
				} else if err != nil {
					return "", err
				} else if sent > 10_000 {
					return "", errors.New("10,000 messages were taken that nobody reads")
				}
			}
			if _, err := stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
				return "", err
			}
			return fmt.Sprintf("after %d KiB that nobody read, TrySend said no; calls went on", sent*4), nil
		}},
	}
}
