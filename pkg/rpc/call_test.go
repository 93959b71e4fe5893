package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func TestCallsAreAnswered(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		serve(t, scfg, func(s *rpc.Server) { echo(s) })
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"hello"})
		if err != nil || got.Text != "hello" {
			t.Fatalf("Call: %v, %v", got, err)
		}
		into := heard{"old"}
		if err := rpc.CallInto(ctx, c, "test.Echo", &say{"again"}, &into); err != nil || into.Text != "again" {
			t.Fatalf("CallInto: %v, %v", into, err)
		}
		if got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"with options"}, rpc.WithTimeout(time.Minute), rpc.Idempotent()); err != nil || got.Text != "with options" {
			t.Fatalf("Call with options: %v, %v", got, err)
		}
	})
}

func TestFuturesGetTheAnswer(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		hold := make(chan struct{})
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Slow", func(_ context.Context, m *say) (*heard, error) {
				<-hold
				return &heard{m.Text}, nil
			})
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		first := rpc.Go[heard](ctx, c, "test.Slow", &say{"1"}) // before there is a connection
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		second := rpc.Go[heard](ctx, c, "test.Slow", &say{"2"}, rpc.WithTimeout(time.Minute))
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := second.Wait(gone); !errors.Is(err, context.Canceled) {
			t.Fatalf("Wait with a context that ended: %v", err)
		}
		close(hold)
		for i, f := range []rpc.Future[heard]{first, second} {
			if got, err := f.Wait(ctx); err != nil || got.Text != string(rune('1'+i)) {
				t.Fatalf("future %d: %v, %v", i, got, err)
			}
			<-f.Done()
			if _, err := f.Result(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rpc.Go[heard](ctx, c, "test.None", &say{}).Wait(ctx); status.CodeOf(err) != status.Unimplemented {
			t.Fatalf("future of a method that does not exist: %v", err)
		}
	})
}

func TestNotificationsArrive(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		told := make(chan string, 1)
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Tell", func(_ context.Context, m *say) (*heard, error) {
				told <- m.Text
				return nil, nil
			})
		})
		c := dial(t, ccfg)
		if err := rpc.Notify(within(t, 10*time.Second), c, "test.Tell", &say{"news"}); err != nil {
			t.Fatal(err)
		}
		if got := <-told; got != "news" {
			t.Fatal(got)
		}
	})
}

func TestErrorsKeepCodeMessageAndDetails(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Fail", func(_ context.Context, m *say) (*heard, error) {
				switch m.Text {
				case "plain":
					return nil, errors.New("just so")
				case "bare":
					return nil, status.NotFound.Err()
				}
				return nil, must(status.Errorf(status.FailedPrecondition, "the gate is %s", "shut").WithDetails(durationpb.New(time.Hour), wrapperspb.String("key")))
			})
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		_, err := rpc.Call[heard](ctx, c, "test.Fail", &say{"plain"})
		if e := wants(t, err, status.Unknown, status.Answered); e.Message != "just so" {
			t.Fatal(e)
		}
		_, err = rpc.Call[heard](ctx, c, "test.Fail", &say{"bare"})
		if wants(t, err, status.NotFound, status.Answered); !errors.Is(err, status.NotFound.Err()) {
			t.Fatal(err)
		}
		_, err = rpc.Call[heard](ctx, c, "test.Fail", &say{})
		e := wants(t, err, status.FailedPrecondition, status.Answered)
		var after durationpb.Duration
		var key wrapperspb.StringValue
		if e.Message != "the gate is shut" || !e.Detail(&after) || !e.Detail(&key) || after.AsDuration() != time.Hour || key.Value != "key" {
			t.Fatalf("%v, %v, %v", e, &after, &key)
		}
		_, err = rpc.Call[heard](ctx, c, "test.Unheard", &say{})
		wants(t, err, status.Unimplemented, status.NotSent)
	})
}

func must(e *status.Error, err error) *status.Error {
	if err != nil {
		panic(err)
	}
	return e
}

func TestDeadlinesTravel(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		left := make(chan time.Duration, 1)
		ended := make(chan error, 1)
		s := serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Left", func(ctx context.Context, _ *say) (*heard, error) {
				d, ok := ctx.Deadline()
				if !ok {
					left <- 0
				} else {
					left <- time.Until(d)
				}
				return nil, nil
			})
			rpc.Handle(s, "test.Hang", func(ctx context.Context, _ *say) (*heard, error) {
				<-ctx.Done()
				ended <- ctx.Err()
				return nil, ctx.Err()
			})
		})
		ccfg.Timeout = time.Hour
		c := dial(t, ccfg)
		ctx := within(t, 20*time.Second)
		for _, tc := range []struct {
			name      string
			ctx       context.Context
			opts      []rpc.CallOption
			low, high time.Duration
		}{
			{"context", ctx, nil, time.Second, 20 * time.Second},
			{"option", context.Background(), []rpc.CallOption{rpc.WithTimeout(time.Minute)}, 30 * time.Second, time.Minute},
			{"client's default", context.Background(), nil, 50 * time.Minute, time.Hour},
			{"none", context.Background(), []rpc.CallOption{rpc.WithTimeout(-1)}, 0, 0},
		} {
			if _, err := rpc.Call[heard](tc.ctx, c, "test.Left", &say{}, tc.opts...); err != nil {
				t.Fatal(err)
			}
			if d := <-left; d < tc.low || d > tc.high {
				t.Errorf("%s: the handler has %s left", tc.name, d)
			}
		}
		// On a busy machine the time is over before the handler begins, which it does not then: the next call has more.
		for limit, served := 30*time.Millisecond, s.Stats().Peers[0].Conn.Served; ; limit *= 2 {
			began := time.Now()
			_, err := rpc.Call[heard](ctx, c, "test.Hang", &say{}, rpc.WithTimeout(limit))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > limit+5*time.Second { // who notices first, the caller or the handler, is open
				t.Fatalf("%v after %s", err, time.Since(began))
			}
			if errors.Is(err, status.ErrNotSent) {
				continue
			}
			served++
			eventually(t, func() error {
				if n := s.Stats().Peers[0].Conn.Served; n != served {
					return fmt.Errorf("%d calls were served, want %d", n, served)
				}
				return nil
			})
			select {
			case err := <-ended:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("the handler's context ended with %v", err)
				}
				return
			default:
			}
		}
	})
}

func TestCancellingReachesTheHandler(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		began, ended := make(chan struct{}), make(chan error, 1)
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Hang", func(ctx context.Context, _ *say) (*heard, error) {
				close(began)
				<-ctx.Done()
				ended <- ctx.Err()
				return nil, ctx.Err()
			})
		})
		c := dial(t, ccfg)
		ctx, cancel := context.WithCancel(within(t, 10*time.Second))
		go func() {
			<-began
			cancel()
		}()
		_, err := rpc.Call[heard](ctx, c, "test.Hang", &say{}, rpc.Idempotent())
		wants(t, err, status.Canceled, status.MaybeExecuted)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestServersCallBack(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		var kept *rpc.Peer
		connected := make(chan *rpc.Peer, 1)
		scfg.OnConnect = func(p *rpc.Peer) { connected <- p }
		srv := serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Ask", func(ctx context.Context, m *say) (*heard, error) {
				kept = rpc.PeerFrom(ctx)
				if kept != rpc.PeerFrom(ctx) {
					t.Error("PeerFrom gives another peer each time")
				}
				got, err := rpc.Call[heard](ctx, kept, "client.Name", m)
				if err != nil {
					return nil, err
				}
				return &heard{"I am told that you are " + got.Text}, nil
			})
		})
		ccfg.ID = "client-7"
		c := dial(t, ccfg)
		asked := make(chan *rpc.Peer, 2)
		rpc.Handle(c, "client.Name", func(ctx context.Context, m *say) (*heard, error) {
			asked <- rpc.PeerFrom(ctx)
			return &heard{m.Text + "!"}, nil
		})
		ctx := within(t, 10*time.Second)
		got, err := rpc.Call[heard](ctx, c, "test.Ask", &say{"Ann"})
		if err != nil || got.Text != "I am told that you are Ann!" {
			t.Fatalf("%v, %v", got, err)
		}
		if p := <-asked; p != c.Peers()[0] || p.ID() != srv.Instance().ID {
			t.Fatalf("the client was asked by %v", p.ID())
		}
		// The peer is of use after its call.
		if p := <-connected; p != kept || len(srv.Peers()) != 1 || srv.Peers()[0] != kept || kept.ID() != "client-7" {
			t.Fatal("OnConnect, Peers and PeerFrom tell of different peers")
		}
		if got, err := rpc.Call[heard](ctx, kept, "client.Name", &say{"Bob"}, rpc.WithTimeout(time.Minute)); err != nil || got.Text != "Bob!" {
			t.Fatalf("%v, %v", got, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		<-kept.Done()
		_, err = rpc.Call[heard](ctx, kept, "client.Name", &say{"Cid"})
		wants(t, err, status.Unavailable, status.NotSent)
		eventually(t, func() error {
			if n := len(srv.Peers()); n != 0 {
				return errors.New("the server keeps peers that are gone")
			}
			return nil
		})
	})
}

func TestMetadataTravels(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Meta", func(ctx context.Context, _ *say) (*heard, error) {
				var b strings.Builder
				for k, v := range rpc.MetadataFrom(ctx).All() {
					b.WriteString(k + "=" + v + " ")
				}
				return &heard{b.String() + rpc.MetadataFrom(ctx).Get("b") + rpc.MethodFrom(ctx)}, nil
			})
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		got, err := rpc.Call[heard](ctx, c, "test.Meta", &say{}, rpc.WithMetadata("a", "1", "b", "2"), rpc.WithMetadata("b", "3"))
		if err != nil || got.Text != "a=1 b=2 b=3 2test.Meta" {
			t.Fatalf("%v, %v", got, err)
		}
		if got, err := rpc.Call[heard](ctx, c, "test.Meta", &say{}); err != nil || got.Text != "test.Meta" {
			t.Fatalf("without metadata: %v, %v", got, err)
		}
	})
	if rpc.MetadataFrom(context.Background()) != nil || rpc.PeerFrom(context.Background()) != nil || rpc.MethodFrom(context.Background()) != "" {
		t.Error("a context that belongs to no call tells of one")
	}
}

func TestPanicsAreAnsweredAndLoggedOnce(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		log := newRecords()
		scfg.Log = log.logger()
		serve(t, scfg, func(s *rpc.Server) {
			echo(s)
			rpc.Handle(s, "test.Panic", func(context.Context, *say) (*heard, error) { panic("ouch") })
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		_, err := rpc.Call[heard](ctx, c, "test.Panic", &say{})
		wants(t, err, status.Internal, status.Answered)
		if strings.Contains(err.Error(), "ouch") {
			t.Errorf("the peer is told of the inside: %v", err)
		}
		if _, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"still there"}); err != nil {
			t.Fatal(err)
		}
		if n := log.count("rpc: handler panicked"); n != 1 {
			t.Errorf("%d log lines of one panic", n)
		}
		if s := log.text(); !strings.Contains(s, "ouch") || !strings.Contains(s, "call_test.go") {
			t.Errorf("the log does not tell what panicked and where: %s", s)
		}
	})
}

func TestTooManyCallsAreRefusedAtOnce(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		hold := make(chan struct{})
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Hold", func(context.Context, *say) (*heard, error) { <-hold; return nil, nil })
		})
		ccfg.Mux.MaxCalls = 4
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		var held []rpc.Future[heard]
		for range 4 {
			held = append(held, rpc.Go[heard](ctx, c, "test.Hold", &say{}))
		}
		_, err := rpc.Call[heard](ctx, c, "test.Hold", &say{})
		wants(t, err, status.ResourceExhausted, status.NotSent)
		close(hold)
		for _, f := range held {
			if _, err := f.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPooledRequestsAreCleanAndInlineHandlersAnswer(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Pooled", func(ctx context.Context, m *say) (*heard, error) {
				if rpc.PeerFrom(ctx) == nil {
					t.Error("no peer")
				}
				return &heard{m.Text}, nil
			}, rpc.Inline(), rpc.Pooled())
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		for _, text := range []string{"one", "", "three", ""} {
			if got, err := rpc.Call[heard](ctx, c, "test.Pooled", &say{text}); err != nil || got.Text != text {
				t.Fatalf("%v, %v", got, err)
			}
		}
	})
}
