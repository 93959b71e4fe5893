package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// crew is some instances of the Echo service and a client that finds them by its name.
type crew struct {
	actors []*actor
	client *rpc.Client
	stub   rpctest.EchoClient
}

func (s *stage) crew(ctx context.Context, size int, cfg rpc.ClientConfig) (*crew, error) {
	c, known := &crew{}, registry.NewMemory()
	for i := range size {
		a, err := s.serve(rpc.ServerConfig{ID: fmt.Sprintf("echo-%d", i+1), Registry: known})
		if err != nil {
			return nil, err
		}
		c.actors = append(c.actors, a)
	}
	cfg.Service, cfg.Registry = rpctest.EchoService, known
	var err error
	if c.client, err = s.client(cfg); err != nil {
		return nil, err
	}
	c.stub = rpctest.NewEchoClient(c.client)
	return c, soon(ctx, fmt.Sprintf("connections to all %d instances", size), func() bool { return c.connected() == size })
}

// connected counts instances that get calls.
func (c *crew) connected() (n int) {
	for _, i := range c.client.Stats().Instances {
		if i.Connected {
			n++
		}
	}
	return n
}

// ask counts who answers.
func (c *crew) ask(ctx context.Context, calls int, opts ...rpc.CallOption) (map[string]int, error) {
	answers := map[string]int{}
	for range calls {
		who, err := c.stub.Who(ctx, &pb.WhoRequest{}, opts...)
		if err != nil {
			return nil, err
		}
		answers[who.Instance]++
	}
	return answers, nil
}

func findingFeatures() []feature {
	return []feature{
		{"discovery in one process", false, func(ctx context.Context, s *stage) (string, error) {
			known := registry.NewMemory()
			client, err := s.client(rpc.ClientConfig{Service: rpctest.EchoService, Registry: known})
			if err != nil {
				return "", err
			}
			waiting := rpctest.NewEchoClient(client).EchoAsync(ctx, &pb.EchoRequest{Text: "anybody?"})
			if _, err := s.serve(rpc.ServerConfig{ID: "late", Registry: known}); err != nil {
				return "", err
			}
			if resp, err := waiting.Wait(ctx); err != nil || resp.Text != "anybody?" {
				return "", fmt.Errorf("got %v: %w", resp, err)
			}
			return "a call by the service's name waited for a server that came later", nil
		}},
		{"discovery between processes", false, func(ctx context.Context, s *stage) (string, error) {
			folder := filepath.Join(s.dir, "registry")
			known, err := registry.OpenDirectory(folder, registry.DirectoryConfig{})
			if err != nil {
				return "", err
			}
			s.undo = append(s.undo, known.Close)
			var servers []*child
			for range 2 {
				server, err := s.process(ctx, "-registry="+folder, "-endpoint="+s.path())
				if err != nil {
					return "", err
				}
				servers = append(servers, server)
			}
			client, err := s.client(rpc.ClientConfig{Service: rpctest.EchoService, Registry: known})
			if err != nil {
				return "", err
			}
			c := &crew{client: client, stub: rpctest.NewEchoClient(client)}
			if err := soon(ctx, "two processes found", func() bool { return c.connected() == 2 }); err != nil {
				return "", err
			}
			killed := time.Now()
			servers[0].kill()
			if err := soon(ctx, "the dead process forgotten", func() bool { return len(client.Stats().Instances) == 1 }); err != nil {
				return "", err
			}
			gone := time.Since(killed)
			answers, err := c.ask(ctx, 20)
			if err != nil || answers[servers[1].ready.Note] != 20 {
				return "", fmt.Errorf("got %v: %w", answers, err)
			}
			return fmt.Sprintf("two found in a folder; one killed, forgotten after %v; the other answers", gone.Round(time.Millisecond)), nil
		}},
		{"balancing: the less loaded of two", false, func(ctx context.Context, s *stage) (string, error) {
			c, err := s.crew(ctx, 3, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			futures := make([]rpc.Future[pb.WhoResponse], 300)
			for i := range futures {
				futures[i] = rpc.Go[pb.WhoResponse](ctx, c.client, rpctest.EchoMethodWho, &pb.WhoRequest{})
			}
			answers := map[string]int{}
			for _, f := range futures {
				who, err := f.Wait(ctx)
				if err != nil {
					return "", err
				}
				answers[who.Instance]++
			}
			for _, a := range c.actors {
				if answers[a.instance] == 0 {
					return "", fmt.Errorf("%s got none of 300 calls: %v", a.instance, answers)
				}
			}
			return fmt.Sprintf("300 calls at once: %v", answers), nil
		}},
		{"balancing: by key", false, func(ctx context.Context, s *stage) (string, error) {
			c, err := s.crew(ctx, 3, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			homes := map[string]string{}
			for range 3 {
				for i := range 60 {
					key := fmt.Sprintf("player-%d", i)
					who, err := c.stub.Who(ctx, &pb.WhoRequest{Key: key}) // the schema says that this field is the key
					if err != nil {
						return "", err
					}
					if home := homes[key]; home != "" && home != who.Instance {
						return "", fmt.Errorf("%s was at %s and is at %s", key, home, who.Instance)
					}
					homes[key] = who.Instance
				}
			}
			if err := c.actors[1].stop(); err != nil {
				return "", err
			}
			if err := soon(ctx, "an instance gone", func() bool { return c.connected() == 2 }); err != nil {
				return "", err
			}
			moved := 0
			for key, home := range homes {
				who, err := c.stub.Who(ctx, &pb.WhoRequest{Key: key})
				if err != nil {
					return "", err
				}
				if who.Instance != home {
					moved++
					if home != "echo-2" {
						return "", fmt.Errorf("%s moved from %s, which still lives", key, home)
					}
				}
			}
			return fmt.Sprintf("60 players stay at their instance; one goes, only its %d move", moved), nil
		}},
		{"balancing: one instance by its id", false, func(ctx context.Context, s *stage) (string, error) {
			c, err := s.crew(ctx, 3, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			answers, err := c.ask(ctx, 20, rpc.ToInstance("echo-2"))
			if err != nil || answers["echo-2"] != 20 {
				return "", fmt.Errorf("got %v: %w", answers, err)
			}
			if _, err := c.stub.Who(ctx, &pb.WhoRequest{}, rpc.ToInstance("echo-9"), rpc.WithTimeout(100*time.Millisecond)); !errors.Is(err, status.ErrNotSent) {
				return "", fmt.Errorf("an instance that is not there should give NotSent: %w", err)
			}
			return "20 calls to echo-2 by name; echo-9, which is not there, is an error", nil
		}},
		{"drain without a failed call", false, func(ctx context.Context, s *stage) (string, error) {
			c, err := s.crew(ctx, 2, rpc.ClientConfig{})
			if err != nil {
				return "", err
			}
			underway := c.stub.SlowAsync(ctx, &pb.SlowRequest{WaitMs: 200, Text: "finished"}, rpc.ToInstance("echo-1"))
			if err := soon(ctx, "the slow call under way", func() bool { return c.actors[0].slow.Load() == 1 }); err != nil {
				return "", err
			}
			drained := make(chan error, 1)
			go func() { drained <- c.actors[0].server.Drain(ctx) }()
			for calls := 0; ; calls++ {
				if _, err := c.stub.Echo(ctx, &pb.EchoRequest{}); err != nil {
					return "", fmt.Errorf("call %d while one of two instances drained: %w", calls, err)
				}
				select {
				case err := <-drained:
					if err != nil {
						return "", err
					}
					resp, err := underway.Wait(ctx)
					if err != nil || resp.Text != "finished" {
						return "", fmt.Errorf("the call that was under way: %v: %w", resp, err)
					}
					return fmt.Sprintf("GOAWAY: what was under way finished, %d calls meanwhile went to the other instance", calls+1), nil
				default:
				}
			}
		}},
	}
}
