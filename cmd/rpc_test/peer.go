package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// holdMethod is a stream whose handler reads nothing until it is told to: a slow consumer. Then it answers as Upload does.
const holdMethod = "chaos.Hold"

// Commands of a peer process.
const (
	doStats   = "stats"   // Values: what its loads and its service have counted
	doRelease = "release" // let held streams read
	doStorm   = "storm"   // Args: endpoint, number; so many clients connect at once, call, and go
)

// slowCallers wait for an answer all the time, besides the load: their handlers have to notice when the peer dies.
const slowCallers = 2

// holder keeps streams waiting.
type holder struct {
	mu      sync.Mutex
	release chan struct{}
}

// gate is what a stream that comes now waits for.
func (h *holder) gate() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.release
}

func (h *holder) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.release)
	h.release = make(chan struct{})
}

// register serves everything that the modes call.
func register(r rpc.Registrar, service *echo, hold *holder) {
	rpctest.RegisterEchoServer(r, service)
	rpc.HandleStream(r, holdMethod, func(ctx context.Context, s *rpc.ServerStream[pb.Chunk, pb.UploadResponse]) error {
		select {
		case <-hold.gate():
		case <-ctx.Done():
			return ctx.Err()
		}
		return service.Upload(ctx, s)
	})
}

// peerWorker is a process that serves on -endpoint, calls -dial, or both, until its input ends or somebody kills it.
func peerWorker(ctx context.Context, o *options, c console) error {
	id := fmt.Sprintf("peer-%d", os.Getpid())
	service, hold := &echo{instance: id}, &holder{release: make(chan struct{})}
	ready := measure.Reply{Ready: o.endpoint}
	if o.endpoint != "" {
		cfg := rpc.ServerConfig{ID: id, Endpoints: []string{o.endpoint}, DrainTimeout: time.Second}
		if o.worker.registry != "" {
			directory, err := registry.OpenDirectory(o.worker.registry, registry.DirectoryConfig{})
			if err != nil {
				return err
			}
			defer directory.Close()
			cfg.Registry = directory
		}
		server, err := rpc.NewServer(cfg)
		if err != nil {
			return err
		}
		register(server, service, hold)
		h, err := host(server)
		if err != nil {
			return err
		}
		defer h.stop()
		ready.Ready = h.endpoint()
		ready.Note = id
	}
	var loads []*load
	for _, endpoint := range list(o.worker.dial) {
		client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: endpoint, ID: id})
		if err != nil {
			return err
		}
		defer client.Close()
		register(client, service, hold)
		if o.worker.load > 0 {
			l := startLoad(ctx, client, o.worker.load, 5*time.Second)
			defer l.stop()
			loads = append(loads, l)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for range slowCallers {
				go func() { // ends with the process, or with the context
					for ctx.Err() == nil {
						if _, err := rpctest.NewEchoClient(client).Slow(ctx, &pb.SlowRequest{WaitMs: 60_000}); err != nil {
							pause(ctx, 10*time.Millisecond)
						}
					}
				}()
			}
		}
	}
	ready.AtNS = time.Now().UnixNano()
	return measure.Serve(c.in, c.out, ready, func(r measure.Request) (measure.Reply, error) {
		switch r.Do {
		case doStats:
			values := map[string]uint64{"executed": service.executed.Load(), "cancelled": service.cancelled.Load(), "corrupt": service.corrupt.Load()}
			for _, l := range loads {
				values["good"] += l.good.Load()
				values["failed"] += l.failed.Load()
				values["corrupt"] += l.corrupt.Load()
			}
			return measure.Reply{Values: values}, nil
		case doRelease:
			hold.open()
			return measure.Reply{}, nil
		case doStorm:
			if len(r.Args) != 2 {
				return measure.Reply{}, errors.New("storm needs an endpoint and a number")
			}
			n, err := strconv.Atoi(r.Args[1])
			if err != nil {
				return measure.Reply{}, err
			}
			return measure.Reply{}, storm(ctx, r.Args[0], n)
		}
		return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
	})
}

// storm connects so many clients at once; each makes a small and a large call and goes.
func storm(ctx context.Context, endpoint string, clients int) error {
	errs := make([]error, clients)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { errs[i] = visit(ctx, endpoint, uint64(i)) })
	}
	done.Wait()
	return errors.Join(errs...)
}

func visit(ctx context.Context, endpoint string, seed uint64) error {
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: endpoint})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, size := range []int{smallBytes, largeBytes} {
		payload := randomPayload(size, seed)
		resp, err := rpctest.NewEchoClient(client).Echo(ctx, &pb.EchoRequest{Payload: payload, Sum: sumOf(payload)}, rpc.WithTimeout(20*time.Second))
		if err != nil {
			return err
		}
		if sumOf(resp.Payload) != sumOf(payload) {
			return status.Errorf(status.DataLoss, "%d bytes came back changed", size)
		}
	}
	return nil
}
