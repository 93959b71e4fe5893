package rpc_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

type number struct{ N int }

func streams(s *rpc.Server) {
	rpc.HandleStream(s, "test.Sum", func(_ context.Context, s *rpc.ServerStream[number, number]) error {
		sum := 0
		for {
			n, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return s.Send(&number{sum})
			} else if err != nil {
				return err
			}
			sum += n.N
		}
	})
	rpc.HandleStream(s, "test.Count", func(_ context.Context, s *rpc.ServerStream[number, number]) error {
		to, err := s.Recv()
		if err != nil {
			return err
		}
		for n := range to.N {
			if err := s.Send(&number{n}); err != nil {
				return err
			}
		}
		return status.New(status.OutOfRange, "that was all")
	})
	rpc.HandleStream(s, "test.Chat", func(_ context.Context, s *rpc.ServerStream[number, number]) error {
		var n number
		for {
			if err := s.RecvInto(&n); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			n.N *= 2
			if err := s.Send(&n); err != nil {
				return err
			}
		}
	})
}

func TestStreamsOfAllKinds(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		serve(t, scfg, streams)
		ccfg.Timeout = time.Nanosecond // counts for calls, not for streams
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		t.Run("client's", func(t *testing.T) {
			s, err := rpc.OpenStream[number, number](ctx, c, "test.Sum")
			if err != nil {
				t.Fatal(err)
			}
			for n := range 100 {
				if err := s.Send(&number{n}); err != nil {
					t.Fatal(err)
				}
			}
			if sum, err := s.CloseAndRecv(); err != nil || sum.N != 4950 {
				t.Fatalf("%v, %v", sum, err)
			}
			<-s.Context().Done()
		})
		t.Run("server's", func(t *testing.T) {
			s, err := rpc.OpenStream[number, number](ctx, c, "test.Count", rpc.Bulk())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(&number{1000}); err != nil {
				t.Fatal(err)
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			for n := range 1000 {
				if got, err := s.Recv(); err != nil || got.N != n {
					t.Fatalf("%v, %v; want %d", got, err, n)
				}
			}
			_, err = s.Recv()
			wants(t, err, status.OutOfRange, status.Answered)
		})
		t.Run("both", func(t *testing.T) {
			s, err := rpc.OpenStream[number, number](ctx, c, "test.Chat")
			if err != nil {
				t.Fatal(err)
			}
			var got number
			for n := range 100 {
				if err := s.Send(&number{n}); err != nil {
					t.Fatal(err)
				}
				if err := s.RecvInto(&got); err != nil || got.N != 2*n {
					t.Fatalf("%v, %v", got, err)
				}
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		})
		t.Run("one answer too many, and none", func(t *testing.T) {
			s, err := rpc.OpenStream[number, number](ctx, c, "test.Chat")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Send(&number{1}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.CloseAndRecv(); status.CodeOf(err) != status.Internal {
				t.Fatal(err)
			}
			if s, err = rpc.OpenStream[number, number](ctx, c, "test.Chat"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CloseAndRecv(); status.CodeOf(err) != status.Internal {
				t.Fatal(err)
			}
		})
	})
}

func TestCancellingAStreamEndsItsHandler(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		ended := make(chan error, 1)
		serve(t, scfg, func(s *rpc.Server) {
			rpc.HandleStream(s, "test.Wait", func(ctx context.Context, s *rpc.ServerStream[number, number]) error {
				if err := s.Send(&number{}); err != nil {
					return err
				}
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			})
		})
		c := dial(t, ccfg)
		for name, cancel := range map[string]func(s *rpc.ClientStream[number, number], stop func()){
			"Cancel":  func(s *rpc.ClientStream[number, number], _ func()) { s.Cancel() },
			"context": func(_ *rpc.ClientStream[number, number], stop func()) { stop() },
		} {
			ctx, stop := context.WithCancel(within(t, 10*time.Second))
			s, err := rpc.OpenStream[number, number](ctx, c, "test.Wait")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); err != nil {
				t.Fatal(err)
			}
			cancel(s, stop)
			if _, err := s.Recv(); status.CodeOf(err) != status.Canceled {
				t.Fatalf("%s: %v", name, err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: %v", name, err)
			}
			stop()
		}
	})
}

func TestStreamsGiveCredit(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		read := make(chan struct{})
		serve(t, scfg, func(s *rpc.Server) {
			rpc.HandleStream(s, "test.Lazy", func(_ context.Context, s *rpc.ServerStream[number, number]) error {
				<-read
				for {
					if _, err := s.Recv(); errors.Is(err, io.EOF) {
						return nil
					} else if err != nil {
						return err
					}
				}
			})
		})
		c := dial(t, ccfg)
		s, err := rpc.OpenStream[number, number](within(t, 10*time.Second), c, "test.Lazy")
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for ; err == nil; sent++ {
			err = s.TrySend(&number{sent})
		}
		if !errors.Is(err, mux.ErrWouldBlock) || sent < 100 {
			t.Fatalf("TrySend: %v after %d", err, sent)
		}
		close(read)
		if err := s.Send(&number{}); err != nil { // waits for the reader
			t.Fatal(err)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}
