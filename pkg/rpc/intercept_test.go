package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// notes are what happened, in order.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	n.all = append(n.all, s)
	n.mu.Unlock()
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

func (n *notes) client(name string) rpc.ClientInterceptor {
	return func(ctx context.Context, info *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
		n.add(name + " before " + info.Method)
		err := next(ctx, req, resp)
		n.add(name + " after")
		return err
	}
}

func (n *notes) server(name string) rpc.ServerInterceptor {
	return func(ctx context.Context, info *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
		if info.Peer != rpc.PeerFrom(ctx) || info.Peer == nil {
			n.add("wrong peer")
		}
		n.add(name + " before " + info.Method + info.Metadata.Get("k"))
		resp, err := next(ctx, req)
		n.add(name + " after")
		return resp, err
	}
}

func TestInterceptorsStandAroundCallsInOrder(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		var n notes
		scfg.Interceptors = []rpc.ServerInterceptor{n.server("s1"), n.server("s2")}
		meta := func(ctx context.Context, info *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
			info.Options.Metadata = []string{"k", "+meta"}
			return next(ctx, req, resp)
		}
		ccfg.Interceptors = []rpc.ClientInterceptor{n.client("c1"), n.client("c2"), meta}
		told := make(chan struct{}, 1)
		serve(t, scfg, func(s *rpc.Server) {
			echo(s)
			rpc.Handle(s, "test.Tell", func(context.Context, *say) (*heard, error) { told <- struct{}{}; return nil, nil })
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		want := []string{"c1 before test.Echo", "c2 before test.Echo", "s1 before test.Echo+meta", "s2 before test.Echo+meta", "s2 after", "s1 after", "c2 after", "c1 after"}
		for range 3 {
			if got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"x"}); err != nil || got.Text != "x" {
				t.Fatalf("%v, %v", got, err)
			}
			if got := n.take(); !slices.Equal(got, want) {
				t.Fatalf("got %q\nwant %q", got, want)
			}
		}
		if got, err := rpc.Go[heard](ctx, c, "test.Echo", &say{"x"}, rpc.WithTimeout(time.Minute)).Wait(ctx); err != nil || got.Text != "x" {
			t.Fatalf("%v, %v", got, err)
		}
		if got := n.take(); !slices.Equal(got, want) {
			t.Fatalf("asynchronous: got %q\nwant %q", got, want)
		}
		if err := rpc.Notify(ctx, c, "test.Tell", &say{}); err != nil {
			t.Fatal(err)
		}
		<-told
		if got := n.take(); !slices.Contains(got, "c1 before test.Tell") || !slices.Contains(got, "s2 before test.Tell+meta") {
			t.Fatalf("one-way: got %q", got)
		}
	})
}

func TestInterceptorsMayAnswerRefuseAndRepeat(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		scfg.Interceptors = []rpc.ServerInterceptor{func(ctx context.Context, _ *rpc.ServerInfo, req any, next func(context.Context, any) (any, error)) (any, error) {
			switch m := req.(*say); m.Text {
			case "guest":
				return nil, status.New(status.PermissionDenied, "members only")
			case "cached":
				return &heard{"from the cache"}, nil
			case "odd":
				return next(ctx, &number{})
			}
			return next(ctx, req)
		}}
		var n notes
		ccfg.Interceptors = []rpc.ClientInterceptor{func(ctx context.Context, _ *rpc.ClientInfo, req, resp any, next func(context.Context, any, any) error) error {
			err := next(ctx, req, resp)
			if status.CodeOf(err) == status.PermissionDenied {
				err = next(ctx, &say{"member"}, resp)
			}
			return err
		}, n.client("inner")}
		serve(t, scfg, func(s *rpc.Server) { echo(s) })
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		if got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"guest"}); err != nil || got.Text != "member" {
			t.Fatalf("%v, %v", got, err)
		}
		if got := n.take(); len(got) != 4 {
			t.Fatalf("repeating passed the inner interceptor not twice: %q", got)
		}
		if got, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"cached"}); err != nil || got.Text != "from the cache" {
			t.Fatalf("%v, %v", got, err)
		}
		if _, err := rpc.Call[heard](ctx, c, "test.Echo", &say{"odd"}); err == nil || !strings.Contains(err.Error(), "interceptor") {
			t.Fatal(err)
		}
	})
}

func TestStreamInterceptorsStandAroundStreams(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		var n notes
		side := func(name string) rpc.ServerStreamInterceptor {
			return func(ctx context.Context, info *rpc.ServerInfo, s *mux.Stream, next func(context.Context, *mux.Stream) error) error {
				n.add(name + " " + info.Method)
				return next(ctx, s)
			}
		}
		scfg.StreamInterceptors = []rpc.ServerStreamInterceptor{side("s1"), side("s2")}
		for _, name := range []string{"c1", "c2"} {
			around := func(ctx context.Context, info *rpc.ClientInfo, next func(context.Context) (*mux.Stream, error)) (*mux.Stream, error) {
				n.add(name + " " + info.Method)
				return next(ctx)
			}
			ccfg.StreamInterceptors = append(ccfg.StreamInterceptors, around)
		}
		serve(t, scfg, streams)
		c := dial(t, ccfg)
		s, err := rpc.OpenStream[number, number](within(t, 10*time.Second), c, "test.Sum")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CloseAndRecv(); err != nil {
			t.Fatal(err)
		}
		if got, want := n.take(), []string{"c1 test.Sum", "c2 test.Sum", "s1 test.Sum", "s2 test.Sum"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// tracer notes begin and end of calls and numbers them.
type tracer struct {
	notes
	number string
}

func (r *tracer) ClientCall(ctx context.Context, method string) (context.Context, []byte, func(error)) {
	r.add("client " + method)
	return ctx, []byte(r.number), func(err error) { r.add("client end " + status.CodeOf(err).String()) }
}

func (r *tracer) ServerCall(ctx context.Context, method string, parent []byte) (context.Context, func(error)) {
	r.add("server " + method + " " + string(parent))
	return ctx, func(err error) { r.add("server end " + status.CodeOf(err).String()) }
}

func TestTracesTravelAndMetricsCount(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		r := &tracer{number: "00-1234"}
		var counts rpc.Counters
		scfg.Trace, ccfg.Trace, scfg.Metrics, ccfg.Metrics = r, r, &counts, &counts
		serve(t, scfg, func(s *rpc.Server) {
			echo(s)
			streams(s)
			rpc.Handle(s, "test.Fail", func(context.Context, *say) (*heard, error) { return nil, status.NotFound.Err() })
			rpc.Handle(s, "test.Panic", func(context.Context, *say) (*heard, error) { panic("ouch") })
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		for _, tc := range []struct{ method, code string }{{"test.Echo", "OK"}, {"test.Fail", "NOT_FOUND"}, {"test.Panic", "INTERNAL"}} {
			_, err := rpc.Call[heard](ctx, c, tc.method, &say{})
			if status.CodeOf(err).String() != tc.code {
				t.Fatal(err)
			}
			want := []string{"client " + tc.method, "server " + tc.method + " 00-1234", "server end " + tc.code, "client end " + tc.code}
			if got := r.take(); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		if _, err := rpc.Go[heard](ctx, c, "test.Echo", &say{}).Wait(ctx); err != nil {
			t.Fatal(err)
		}
		s, err := rpc.OpenStream[number, number](ctx, c, "test.Sum")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CloseAndRecv(); err != nil {
			t.Fatal(err)
		}
		r.take()
		var got []string
		eventually(t, func() error {
			got = nil
			for _, k := range counts.Stats().Calls {
				if k.Total <= 0 || k.Quantile(1) <= 0 || k.Quantile(0.5) > k.Quantile(1) {
					return errors.New("times are missing")
				}
				for code, n := range k.Codes {
					got = append(got, strings.Join([]string{k.Side, k.Method, code.String(), string(rune('0' + n))}, " "))
				}
			}
			if len(got) != 8 {
				return errors.New(strings.Join(got, ", "))
			}
			return nil
		})
		want := []string{"client test.Echo OK 2", "client test.Fail NOT_FOUND 1", "client test.Panic INTERNAL 1", "client test.Sum OK 1",
			"server test.Echo OK 2", "server test.Fail NOT_FOUND 1", "server test.Panic INTERNAL 1", "server test.Sum OK 1"}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		eventually(t, func() error { // the server may notice its connection after its first call
			if conns := counts.Stats().Conns; len(conns) != 2 || conns[0].Connected != 1 || conns[1].Connected != 1 || conns[0].Transport == "" {
				return fmt.Errorf("%+v", conns)
			}
			return nil
		})
	})
}

func TestQuantilesAreAtMostAQuarterTooHigh(t *testing.T) {
	for d := time.Duration(1); d < time.Hour; d = d*5/4 + 1 {
		var c rpc.Counters
		c.Call(rpc.SideClient, "m", "", status.OK, d)
		if got := c.Stats().Calls[0].Quantile(0.99); got < d || got > d+d/4 {
			t.Fatalf("%s is counted as %s", d, got)
		}
	}
}
