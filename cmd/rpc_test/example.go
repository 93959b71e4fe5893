package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// feature is something that pkg/rpc can do, with the proof.
type feature struct {
	name  string
	linux bool // needs shared memory
	// show does it and says in a few words what was seen; an error says what was not.
	show func(ctx context.Context, s *stage) (string, error)
}

// features in the order of the tour.
func features() []feature {
	var all []feature
	for _, part := range [][]feature{transportFeatures(), callFeatures(), streamFeatures(), findingFeatures(), failureFeatures(), limitFeatures()} {
		all = append(all, part...)
	}
	return all
}

// Limits of the tour: no feature takes longer, and all together take a fraction of it.
const featureLimit = 10 * time.Second

// exampleReport is the JSON of -mode=example.
type exampleReport struct {
	Passed  int             `json:"passed"`
	Failed  int             `json:"failed"`
	Skipped int             `json:"skipped"`
	Seconds float64         `json:"seconds"`
	Results []featureResult `json:"features"`
}

type featureResult struct {
	Name   string  `json:"name"`
	Result string  `json:"result"` // PASS, FAIL or SKIP
	Shown  string  `json:"shown"`
	MS     float64 `json:"ms"`
}

// examples is -mode=example.
func examples(ctx context.Context, o *options, c console) error {
	began := time.Now()
	var report exampleReport
	for _, f := range features() {
		r := perform(ctx, f)
		report.Results = append(report.Results, r)
		switch r.Result {
		case "PASS":
			report.Passed++
		case "SKIP":
			report.Skipped++
		default:
			report.Failed++
		}
		fmt.Fprintf(c.out, "%s  %-36s %7.1f ms  %s\n", r.Result, r.Name, r.MS, r.Shown)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	report.Seconds = time.Since(began).Seconds()
	fmt.Fprintf(c.out, "\n%d passed, %d failed, %d skipped in %.1f s\n", report.Passed, report.Failed, report.Skipped, report.Seconds)
	if o.json {
		if err := json.NewEncoder(c.out).Encode(&report); err != nil {
			return err
		}
	}
	if report.Failed > 0 {
		return fmt.Errorf("%s failed, see above", plural(report.Failed, "feature"))
	}
	return nil
}

// perform shows one feature on a stage of its own.
func perform(ctx context.Context, f feature) featureResult {
	if f.linux && runtime.GOOS != "linux" {
		return featureResult{Name: f.name, Result: "SKIP", Shown: "shared memory needs Linux"}
	}
	ctx, cancel := context.WithTimeout(ctx, featureLimit)
	defer cancel()
	began := time.Now()
	s, err := newStage()
	var shown string
	if err == nil {
		shown, err = f.show(ctx, s)
		err = errors.Join(err, s.clear())
	}
	r := featureResult{Name: f.name, Result: "PASS", Shown: shown, MS: float64(time.Since(began).Microseconds()) / 1000}
	if err != nil {
		r.Result, r.Shown = "FAIL", err.Error()
	}
	return r
}

// stage is where a feature is shown: a folder for sockets, a network within the process, and whatever was built up on it.
type stage struct {
	dir     string
	network *inproc.Network
	props   int
	undo    []func() error // the last first
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "rpc-test-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for sockets: %w", err)
	}
	return &stage{dir: dir, network: inproc.NewNetwork(), undo: []func() error{func() error { return os.RemoveAll(dir) }}}, nil
}

// clear takes everything down.
func (s *stage) clear() error {
	var err error
	for i := len(s.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, s.undo[i]())
	}
	return err
}

// path of a new socket.
func (s *stage) path() string {
	s.props++
	return filepath.Join(s.dir, strconv.Itoa(s.props)+".sock")
}

// actor is a server with the Echo service in this process.
type actor struct {
	*hosting
	*echo
	endpoint string
}

// serve lets a server appear. Without an endpoint of its own it is reached within the process.
func (s *stage) serve(cfg rpc.ServerConfig) (*actor, error) {
	s.props++
	if len(cfg.Endpoints) == 0 {
		cfg.Endpoints = []string{"inproc://" + strconv.Itoa(s.props)}
	}
	if cfg.ID == "" {
		cfg.ID = "server-" + strconv.Itoa(s.props)
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = time.Second
	}
	cfg.InProc = s.network
	server, err := rpc.NewServer(cfg)
	if err != nil {
		return nil, err
	}
	service := &echo{instance: cfg.ID, notified: make(chan string, 16)}
	register(server, service, &holder{release: make(chan struct{})})
	h, err := host(server)
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, h.stop)
	return &actor{h, service, h.server.Addrs()[0]}, nil
}

// client lets a client appear.
func (s *stage) client(cfg rpc.ClientConfig) (*rpc.Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = featureLimit
	}
	cfg.InProc = s.network
	client, err := rpc.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, client.Close)
	return client, nil
}

// pair is a server and a client of it, which is connected, within this process.
func (s *stage) pair(ctx context.Context, server rpc.ServerConfig, client rpc.ClientConfig) (*actor, *rpc.Client, rpctest.EchoClient, error) {
	a, err := s.serve(server)
	if err != nil {
		return nil, nil, rpctest.EchoClient{}, err
	}
	client.Endpoint = a.endpoint
	c, err := s.client(client)
	if err != nil {
		return nil, nil, rpctest.EchoClient{}, err
	}
	return a, c, rpctest.NewEchoClient(c), c.Ready(ctx)
}

// process lets a server appear that is a process of its own.
func (s *stage) process(ctx context.Context, args ...string) (*child, error) {
	c, err := self(ctx, "server", nil, append(args, "-role=peer")...)
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() error { c.kill(); return nil })
	return c, nil
}

// soon waits for something that is about to be true.
func soon(ctx context.Context, what string, is func() bool) error {
	for !is() {
		if !pause(ctx, time.Millisecond) {
			return fmt.Errorf("%s: not within %v", what, featureLimit)
		}
	}
	return nil
}
