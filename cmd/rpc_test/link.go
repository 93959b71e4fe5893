package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// The load of a link between a gateway and a server, each way: 20 batches of 64 KiB a second, as a zone sends them every tick, and 20,000 inputs a second, as they come
// from players: 20 each millisecond, each a message of its own.
const (
	batchEvery = 50 * time.Millisecond
	batchBytes = 64 << 10
	inputEvery = time.Millisecond
	inputs     = 20
	inputBytes = 32
)

// linkMethod is the stream of both kinds; metadata says which.
const linkMethod = "bench.Link"

// Names of a link stream's metadata.
const (
	linkKind = "kind" // batches or inputs
	linkFor  = "for"  // how long the server sends, in Go's notation; "0s": it only listens
	linkDry  = "dry"  // "true": keep time as if there was something to send
)

// linkStream is one end of a stream: either end sends and receives.
type linkStream struct {
	send func(*pb.Chunk) error
	end  func() error
	recv func(*pb.Chunk) error
}

// linkEnd collects what arrived at one process.
type linkEnd struct {
	mu    sync.Mutex
	times map[string]*measure.Histogram // by kind: from Send to Recv
}

// run sends for a while and receives until the other end ends.
func (e *linkEnd) run(ctx context.Context, kind string, sending time.Duration, dry bool, s linkStream) error {
	var arrived measure.Histogram
	received := make(chan error, 1)
	go func() {
		var chunk pb.Chunk
		for {
			if err := s.recv(&chunk); errors.Is(err, io.EOF) {
				received <- nil
				return
			} else if err != nil {
				received <- err
				return
			}
			arrived.Record(time.Duration(time.Now().UnixNano() - chunk.SentNs)) // one machine, one clock
		}
	}()
	err := pace(ctx, kind, sending, dry, s)
	err = errors.Join(err, s.end(), <-received)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times[kind] == nil {
		e.times[kind] = &measure.Histogram{}
	}
	e.times[kind].Merge(&arrived)
	return err
}

// pace sends what is due, at the times that it is due.
func pace(ctx context.Context, kind string, sending time.Duration, dry bool, s linkStream) error {
	every, burst, size := batchEvery, 1, batchBytes
	if kind == "inputs" {
		every, burst, size = inputEvery, inputs, inputBytes
	}
	if sending == 0 {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	chunk := pb.Chunk{Payload: make([]byte, size)}
	due := 0
	for began := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		passed := min(time.Since(began), sending)
		for ; due < burst*int(passed/every); due++ { // also those of ticks that were missed
			if dry {
				continue
			}
			chunk.Number, chunk.SentNs = uint32(due), time.Now().UnixNano()
			if err := s.send(&chunk); err != nil {
				return fmt.Errorf("send %s %d: %w", kind, due, err)
			}
		}
		if passed == sending {
			return nil
		}
	}
}

// values tells and forgets what has arrived.
func (e *linkEnd) values() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]uint64{}
	for kind, h := range e.times {
		all[kind] = h.Count()
		all[kind+"_p50_ns"] = uint64(h.Quantile(0.50))
		all[kind+"_p99_ns"] = uint64(h.Quantile(0.99))
		all[kind+"_max_ns"] = uint64(h.Max())
	}
	e.times = map[string]*measure.Histogram{}
	return all
}

// linkWorker is either end: with -endpoint the server, with -dial the client.
func linkWorker(ctx context.Context, o *options, c console) error {
	end := &linkEnd{times: map[string]*measure.Histogram{}}
	if o.endpoint != "" {
		server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{o.endpoint}})
		if err != nil {
			return err
		}
		rpc.HandleStream(server, linkMethod, func(ctx context.Context, s *rpc.ServerStream[pb.Chunk, pb.Chunk]) error {
			about := rpc.MetadataFrom(ctx)
			sending, err := time.ParseDuration(about.Get(linkFor))
			if err != nil {
				return err
			}
			return end.run(ctx, about.Get(linkKind), sending, about.Get(linkDry) == "true", linkStream{s.Send, func() error { return nil }, s.RecvInto})
		})
		h, err := host(server)
		if err != nil {
			return err
		}
		err = measure.Serve(c.in, c.out, measure.Reply{Ready: h.endpoint()}, func(measure.Request) (measure.Reply, error) {
			return measure.Reply{Values: end.values()}, nil
		})
		return errors.Join(err, h.stop())
	}
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: o.worker.dial})
	if err != nil {
		return err
	}
	defer client.Close()
	patience, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := client.Ready(patience); err != nil {
		return err
	}
	return measure.Serve(c.in, c.out, measure.Reply{Ready: o.worker.dial, Note: transportOf(client)}, func(r measure.Request) (measure.Reply, error) {
		if r.Do != measure.DoRun || len(r.Args) != 2 {
			return measure.Reply{}, fmt.Errorf("unknown command %q %q", r.Do, r.Args)
		}
		back, dry := time.Duration(0), r.Args[0] == "dry"
		if r.Args[1] == "both" {
			back = r.Duration
		}
		before := measure.Used()
		if err := end.drive(ctx, client, r.Duration, back, dry); err != nil {
			return measure.Reply{}, err
		}
		used := measure.Used().Sub(before)
		return measure.Reply{Usage: &used, Values: end.values()}, nil
	})
}

// drive opens both streams, and ends when both have ended.
func (e *linkEnd) drive(ctx context.Context, client *rpc.Client, sending, back time.Duration, dry bool) error {
	errs := make(chan error, 2)
	for _, kind := range []string{"batches", "inputs"} {
		options := []rpc.CallOption{rpc.WithMetadata(linkKind, kind, linkFor, back.String(), linkDry, strconv.FormatBool(dry))}
		if kind == "batches" {
			options = append(options, rpc.Bulk())
		}
		s, err := rpc.OpenStream[pb.Chunk, pb.Chunk](ctx, client, linkMethod, options...)
		if err != nil {
			return err
		}
		go func() { errs <- e.run(ctx, kind, sending, dry, linkStream{s.Send, s.CloseSend, s.RecvInto}) }()
	}
	return errors.Join(<-errs, <-errs)
}

// linkReport is the JSON of -link.
type linkReport struct {
	GOMAXPROCS   int     `json:"gomaxprocs"`
	Transport    string  `json:"transport"`
	Seconds      float64 `json:"seconds"`
	PacerCPU     float64 `json:"pacers_cpu_percent"`        // of a core: both processes keeping time both ways, nothing sent
	OneWayCPU    float64 `json:"one_way_cpu_percent"`       // of a core: both processes, load one way, pacers included
	BothWaysCPU  float64 `json:"both_ways_cpu_percent"`     // the same, load both ways
	PerDirection float64 `json:"cpu_percent_per_direction"` // half of that
	NetDirection float64 `json:"cpu_percent_per_direction_net"`
	InputP50     float64 `json:"input_p50_us"` // the worse end
	InputP99     float64 `json:"input_p99_us"`
	BatchP50     float64 `json:"batch_p50_us"`
	BatchP99     float64 `json:"batch_p99_us"`
	Inputs       uint64  `json:"inputs"`
	Batches      uint64  `json:"batches"`
}

// benchLink is -mode=bench -link.
func benchLink(ctx context.Context, o *options, c console) error {
	dir, err := os.MkdirTemp("", "rpc-test-")
	if err != nil {
		return fmt.Errorf("make a folder for sockets: %w", err)
	}
	defer os.RemoveAll(dir)
	transport, took := "shm", 10*o.bench.duration
	endpoint := "shm://" + filepath.Join(dir, "link.sock")
	if runtime.GOOS != "linux" {
		transport, endpoint = "uds", "uds://"+filepath.Join(dir, "link.sock")
	}
	server, err := self(ctx, "server", o.bench.env(), "-role=link", "-endpoint="+endpoint)
	if err != nil {
		return err
	}
	defer server.stop()
	client, err := self(ctx, "gateway", o.bench.env(), "-role=link", "-dial="+server.ready.Ready)
	if err != nil {
		return err
	}
	defer client.stop()
	if client.ready.Note != transport {
		return fmt.Errorf("the gateway reached the server over %s instead of %s", client.ready.Note, transport)
	}
	r := linkReport{GOMAXPROCS: o.bench.gomaxprocs(), Transport: transport, Seconds: took.Seconds()}
	// run gives the processor time of both ends in percent of a core, and what arrived at either.
	run := func(load, way string, took time.Duration) (percent float64, here, there map[string]uint64, err error) {
		before, err := server.ask(ctx, measure.Request{Do: measure.DoUsage})
		if err != nil {
			return 0, nil, nil, err
		}
		got, err := client.ask(ctx, measure.Request{Do: measure.DoRun, Args: []string{load, way}, Cell: measure.Cell{Duration: took}})
		if err != nil {
			return 0, nil, nil, err
		}
		after, err := server.ask(ctx, measure.Request{Do: measure.DoUsage})
		if err != nil {
			return 0, nil, nil, err
		}
		arrived, err := server.ask(ctx, measure.Request{Do: "values"})
		if err != nil {
			return 0, nil, nil, err
		}
		cpu := after.Usage.Sub(*before.Usage).Add(*got.Usage).CPU
		return 100 * cpu.Seconds() / took.Seconds(), got.Values, arrived.Values, nil
	}
	if _, _, _, err = run("full", "both", took/10); err != nil { // warm
		return err
	}
	if r.PacerCPU, _, _, err = run("dry", "both", took); err != nil {
		return err
	}
	if r.OneWayCPU, _, _, err = run("full", "there", took); err != nil {
		return err
	}
	var here, there map[string]uint64
	if r.BothWaysCPU, here, there, err = run("full", "both", took); err != nil {
		return err
	}
	worse := func(key string) float64 { return micros(time.Duration(max(here[key], there[key]))) }
	r.PerDirection, r.NetDirection = r.BothWaysCPU/2, (r.BothWaysCPU-r.PacerCPU)/2
	r.InputP50, r.InputP99 = worse("inputs_p50_ns"), worse("inputs_p99_ns")
	r.BatchP50, r.BatchP99 = worse("batches_p50_ns"), worse("batches_p99_ns")
	r.Inputs, r.Batches = here["inputs"]+there["inputs"], here["batches"]+there["batches"]
	if due := uint64(2*inputs) * uint64(took/inputEvery); r.Inputs != due {
		return fmt.Errorf("%d of %d inputs arrived", r.Inputs, due)
	}
	r.write(c.out)
	if o.json {
		return json.NewEncoder(c.out).Encode(r)
	}
	return nil
}

func (r *linkReport) write(out io.Writer) {
	fmt.Fprintf(out, "20 batches of 64 KiB and 20,000 inputs a second each way over %s, GOMAXPROCS=%d, %v s\n", r.Transport, r.GOMAXPROCS, r.Seconds)
	fmt.Fprintf(out, "processor of both ends   %5.2f %% of a core per direction (%s)\n", r.PerDirection, wanted("<= 5", r.PerDirection))
	fmt.Fprintf(out, "  without keeping time   %5.2f %% per direction: the senders' clocks alone take %.2f %% for both\n", r.NetDirection, r.PacerCPU)
	fmt.Fprintf(out, "  load one way only      %5.2f %%\n", r.OneWayCPU)
	fmt.Fprintf(out, "inputs  %8d   p50 %7.1f us   p99 %7.1f us (%s)\n", r.Inputs, r.InputP50, r.InputP99, wanted("<= 2000", r.InputP99))
	fmt.Fprintf(out, "batches %8d   p50 %7.1f us   p99 %7.1f us (%s)\n", r.Batches, r.BatchP50, r.BatchP99, wanted("<= 2000", r.BatchP99))
}
