package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// cluster is some instances of a service in one process.
type cluster struct {
	reg *registry.Memory
	net *inproc.Network
	all map[string]*serving
}

// instances starts them; their ids are a, b, c …
func instances(t *testing.T, n int, cfg rpc.ServerConfig, register func(id string, s *rpc.Server)) *cluster {
	t.Helper()
	c := &cluster{reg: registry.NewMemory(), net: inproc.NewNetwork(), all: map[string]*serving{}}
	for i := range n {
		c.start(t, string(rune('a'+i)), cfg, register)
	}
	return c
}

func (c *cluster) start(t *testing.T, id string, cfg rpc.ServerConfig, register func(id string, s *rpc.Server)) {
	t.Helper()
	cfg.ID, cfg.Registry, cfg.InProc, cfg.Endpoints, cfg.Codec = id, c.reg, c.net, []string{"inproc://" + id}, rpc.JSON{}
	c.all[id] = serve(t, cfg, func(s *rpc.Server) { register(id, s) })
}

// client makes a client and waits until it is connected to n instances.
func (c *cluster) client(t *testing.T, n int, cfg rpc.ClientConfig) *rpc.Client {
	t.Helper()
	cfg.Service, cfg.Registry, cfg.InProc, cfg.Codec = "test", c.reg, c.net, rpc.JSON{}
	client := dial(t, cfg)
	connected(t, client, n)
	return client
}

func connected(t *testing.T, c *rpc.Client, n int) {
	t.Helper()
	eventually(t, func() error {
		got := 0
		st := c.Stats()
		for _, i := range st.Instances {
			if i.Connected {
				got++
			}
		}
		if got != n || len(st.Instances) != n {
			return fmt.Errorf("connected to %d instances, want %d: %+v", got, n, st)
		}
		return nil
	})
}

// tried waits until the client has found out why it cannot connect to the one instance that it knows.
func tried(t *testing.T, c *rpc.Client) {
	t.Helper()
	eventually(t, func() error {
		if st := c.Stats(); len(st.Instances) != 1 || st.Instances[0].Err == nil {
			return fmt.Errorf("it has not tried yet: %+v", st)
		}
		return nil
	})
}

// vanish ends the connection of a call from within its handler, and waits until the caller must have noticed.
func vanish(ctx context.Context) {
	p := rpc.PeerFrom(ctx)
	go func() { _ = p.Close() }()
	<-ctx.Done()
}

func TestCallsAreRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	for _, tc := range []struct {
		name       string
		opts       []rpc.CallOption
		cfg        rpc.ClientConfig
		vanish     int32 // the first so many executions end with the connection
		answer     error // of the others
		executions int32
		code       rpc.Code
		fate       status.Fate
	}{
		{name: "good", executions: 1},
		{name: "maybe executed", vanish: 1, executions: 1, code: status.Unavailable, fate: status.MaybeExecuted},
		{name: "maybe executed, idempotent", opts: []rpc.CallOption{rpc.Idempotent()}, vanish: 1, executions: 2},
		{name: "twice", opts: []rpc.CallOption{rpc.Idempotent()}, vanish: 2, executions: 3},
		{name: "too often", opts: []rpc.CallOption{rpc.Idempotent()}, vanish: 9, executions: 3, code: status.Unavailable, fate: status.MaybeExecuted},
		{name: "more attempts", opts: []rpc.CallOption{rpc.Idempotent()}, cfg: rpc.ClientConfig{MaxAttempts: 5}, vanish: 4, executions: 5},
		{name: "one attempt", opts: []rpc.CallOption{rpc.Idempotent()}, cfg: rpc.ClientConfig{MaxAttempts: 1}, vanish: 1,
			executions: 1, code: status.Unavailable, fate: status.MaybeExecuted},
		{name: "forbidden", opts: []rpc.CallOption{rpc.Idempotent(), rpc.NoRetry()}, vanish: 1,
			executions: 1, code: status.Unavailable, fate: status.MaybeExecuted},
		{name: "no budget", opts: []rpc.CallOption{rpc.Idempotent()}, cfg: rpc.ClientConfig{RetryBudget: -1}, vanish: 1,
			executions: 1, code: status.Unavailable, fate: status.MaybeExecuted},
		{name: "answered", opts: []rpc.CallOption{rpc.Idempotent()}, answer: status.Unavailable.Err(), executions: 1, code: status.Unavailable},
		{name: "answered after a repetition", opts: []rpc.CallOption{rpc.Idempotent()}, vanish: 1, answer: status.NotFound.Err(), executions: 2, code: status.NotFound},
	} {
		for _, how := range []string{"Call", "Go"} {
			t.Run(tc.name+"/"+how, func(t *testing.T) {
				leakless(t)
				var executions atomic.Int32
				cl := instances(t, 2, rpc.ServerConfig{}, func(id string, s *rpc.Server) {
					rpc.Handle(s, "test.Do", func(ctx context.Context, _ *say) (*heard, error) {
						if executions.Add(1) <= tc.vanish {
							vanish(ctx)
							return nil, ctx.Err()
						}
						return &heard{id}, tc.answer
					})
				})
				c := cl.client(t, 2, tc.cfg)
				ctx := within(t, 10*time.Second)
				var err error
				if how == "Call" {
					_, err = rpc.Call[heard](ctx, c, "test.Do", &say{}, tc.opts...)
				} else {
					_, err = rpc.Go[heard](ctx, c, "test.Do", &say{}, tc.opts...).Wait(ctx)
				}
				if got := executions.Load(); got != tc.executions {
					t.Errorf("executed %d times, want %d", got, tc.executions)
				}
				if got := c.Stats().Retries; got != uint64(tc.executions-1) {
					t.Errorf("%d retries counted", got)
				}
				if tc.code == status.OK {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				wants(t, err, tc.code, tc.fate)
			})
		}
	}
}

func TestARepetitionPrefersAnotherInstance(t *testing.T) {
	leakless(t)
	var first atomic.Pointer[string]
	cl := instances(t, 3, rpc.ServerConfig{}, func(id string, s *rpc.Server) {
		rpc.Handle(s, "test.Do", func(ctx context.Context, _ *say) (*heard, error) {
			if first.CompareAndSwap(nil, &id) {
				vanish(ctx)
			}
			return &heard{id}, nil
		})
	})
	c := cl.client(t, 3, rpc.ClientConfig{MaxAttempts: 9})
	for range 8 { // no more than the budget has from the start
		connected(t, c, 3)
		first.Store(nil)
		got, err := rpc.Call[heard](within(t, 10*time.Second), c, "test.Do", &say{}, rpc.Idempotent())
		if err != nil || got.Text == *first.Load() {
			t.Fatalf("%v, %v after %s", got, err, *first.Load())
		}
	}
}

func TestAFullInstancePassesCallsToAnother(t *testing.T) {
	leakless(t)
	hold := make(chan struct{})
	var executions atomic.Int32
	cl := instances(t, 2, rpc.ServerConfig{}, func(id string, s *rpc.Server) {
		rpc.Handle(s, "test.Hold", func(context.Context, *say) (*heard, error) {
			executions.Add(1)
			<-hold
			return &heard{id}, nil
		})
	})
	cfg := rpc.ClientConfig{Balance: rpc.RoundRobin}
	cfg.Mux.MaxCalls = 3
	c := cl.client(t, 2, cfg)
	ctx := within(t, 10*time.Second)
	var held []rpc.Future[heard]
	for range 3 {
		held = append(held, rpc.Go[heard](ctx, c, "test.Hold", &say{}, rpc.ToInstance("a")))
	}
	for range 3 { // round robin asks a for every other of them
		held = append(held, rpc.Go[heard](ctx, c, "test.Hold", &say{}))
	}
	eventually(t, func() error {
		if n := executions.Load(); n != 6 {
			return fmt.Errorf("%d are executed", n)
		}
		return nil
	})
	_, err := rpc.Call[heard](ctx, c, "test.Hold", &say{})
	wants(t, err, status.ResourceExhausted, status.NotSent)
	_, err = rpc.Call[heard](ctx, c, "test.Hold", &say{}, rpc.ToInstance("a"))
	wants(t, err, status.ResourceExhausted, status.NotSent)
	close(hold)
	for i, f := range held {
		if got, err := f.Wait(ctx); err != nil || i < 3 && got.Text != "a" || i >= 3 && got.Text != "b" {
			t.Fatalf("%d: %v, %v", i, got, err)
		}
	}
}

func TestRepeatingKeepsTheDeadline(t *testing.T) {
	leakless(t)
	var left atomic.Int64
	var executions atomic.Int32
	cl := instances(t, 2, rpc.ServerConfig{}, func(_ string, s *rpc.Server) {
		rpc.Handle(s, "test.Do", func(ctx context.Context, _ *say) (*heard, error) {
			d, _ := ctx.Deadline()
			left.Store(int64(time.Until(d)))
			if executions.Add(1) == 1 {
				for time.Until(d) > time.Hour-20*time.Millisecond { // use up some of it
				}
				vanish(ctx)
			}
			return nil, nil
		})
	})
	c := cl.client(t, 2, rpc.ClientConfig{})
	if _, err := rpc.Call[heard](context.Background(), c, "test.Do", &say{}, rpc.WithTimeout(time.Hour), rpc.Idempotent()); err != nil {
		t.Fatal(err)
	}
	if d := time.Duration(left.Load()); executions.Load() != 2 || d > time.Hour-20*time.Millisecond {
		t.Fatalf("after %d executions %s are left", executions.Load(), d)
	}
}

func TestCallsWithHardlyAnyTimeEndWithoutAConnection(t *testing.T) {
	over(t, func(t *testing.T, _ rpc.ServerConfig, ccfg rpc.ClientConfig) {
		c := dial(t, ccfg)
		least := rpc.WithTimeout(time.Nanosecond)
		for what, call := range map[string]func(ctx context.Context) error{
			"Call": func(ctx context.Context) error { return rpc.CallInto(ctx, c, "test.Echo", &say{}, &heard{}, least) },
			"Go": func(ctx context.Context) error {
				_, err := rpc.Go[heard](ctx, c, "test.Echo", &say{}, least).Wait(ctx)
				return err
			},
			"Notify": func(ctx context.Context) error { return rpc.Notify(ctx, c, "test.Echo", &say{}, least) },
			"Stream": func(ctx context.Context) error {
				_, err := rpc.OpenStream[say, heard](ctx, c, "test.Echo", least)
				return err
			},
			"Call to an instance": func(ctx context.Context) error {
				return rpc.CallInto(ctx, c, "test.Echo", &say{}, &heard{}, least, rpc.ToInstance("nobody"))
			},
		} {
			ctx, cancel := context.WithCancel(context.Background()) // without a deadline: there is no other limit
			hangs := time.AfterFunc(10*time.Second, cancel)
			err := call(ctx)
			if !hangs.Stop() {
				t.Errorf("%s: a nanosecond took 10 s", what)
			}
			cancel()
			wants(t, err, status.Unavailable, status.NotSent)
		}
	})
}

func TestCallsWhoseTimeIsOverWhenTheServerDiesEnd(t *testing.T) {
	for range 5 { // sometimes the caller notices its time first, sometimes the server's death
		over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
			dead := make(chan struct{})
			s := serve(t, scfg, func(s *rpc.Server) {
				rpc.Handle(s, "test.Do", func(ctx context.Context, _ *say) (*heard, error) {
					<-ctx.Done() // its time is over
					go func() {
						_ = s.Close()
						close(dead)
					}()
					<-dead
					return nil, nil
				})
			})
			c := dial(t, ccfg)
			if err := c.Ready(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			hangs := time.AfterFunc(10*time.Second, cancel)
			err := rpc.CallInto(ctx, c, "test.Do", &say{}, &heard{}, rpc.WithTimeout(2*time.Millisecond), rpc.Idempotent())
			if !hangs.Stop() {
				t.Fatalf("2 ms took 10 s: %v", err)
			}
			if code := status.CodeOf(err); code != status.DeadlineExceeded && code != status.Unavailable {
				t.Error(err)
			}
			s.stop() // on a busy machine the time was over before the handler began, which does not close the server then
		})
	}
}

func TestWithoutAConnectionCallsWaitAndFailUnsent(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		ccfg.ConnectTimeout = 30 * time.Millisecond
		c := dial(t, ccfg)
		_, err := rpc.Call[heard](context.Background(), c, "test.Echo", &say{})
		e := wants(t, err, status.Unavailable, status.NotSent)
		t.Log(e)
		if !errors.Is(err, status.ErrNotSent) {
			t.Error("not ErrNotSent")
		}
		_, err = rpc.Call[heard](context.Background(), c, "test.Echo", &say{}, rpc.WithTimeout(time.Millisecond))
		wants(t, err, status.Unavailable, status.NotSent)
		_, err = rpc.Call[heard](within(t, 5*time.Millisecond), c, "test.Echo", &say{})
		wants(t, err, status.Unavailable, status.NotSent)
		_, err = rpc.Go[heard](within(t, 5*time.Millisecond), c, "test.Echo", &say{}).Wait(context.Background())
		wants(t, err, status.Unavailable, status.NotSent)
		_, err = rpc.OpenStream[say, heard](within(t, 5*time.Millisecond), c, "test.Echo")
		wants(t, err, status.Unavailable, status.NotSent)
		wants(t, rpc.Notify(within(t, 5*time.Millisecond), c, "test.Echo", &say{}), status.Unavailable, status.NotSent)
		wants(t, c.Ready(within(t, 5*time.Millisecond)), status.Unavailable, status.NotSent)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = rpc.Call[heard](gone, c, "test.Echo", &say{})
		wants(t, err, status.Canceled, status.NotSent)
		// A call that waits goes through as soon as there is a server.
		waiting := rpc.Go[heard](within(t, 10*time.Second), c, "test.Echo", &say{"patience"})
		serve(t, scfg, func(s *rpc.Server) { echo(s) })
		if got, err := waiting.Wait(context.Background()); err != nil || got.Text != "patience" {
			t.Fatalf("%v, %v", got, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = rpc.Call[heard](context.Background(), c, "test.Echo", &say{})
		wants(t, err, status.Unavailable, status.NotSent)
	})
}
