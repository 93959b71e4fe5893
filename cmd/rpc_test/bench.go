package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// benchOptions say what is measured.
type benchOptions struct {
	json              bool
	procs             int // GOMAXPROCS of measured processes; 0: the default
	runs              int
	duration          time.Duration
	systems           []string
	payloads, callers []int
	codec, api        string
	rivals            string // path of the binary
	conns             int    // of a gRPC client
	link              bool
}

// ours are transports of pkg/rpc; others are rivals. The order is that of the tables.
func ours() []string    { return []string{"shm", "uds", "tcp", "inproc"} }
func rivals() []string  { return []string{"grpc-uds", "grpc-tcp", "raw-uds"} }
func systems() []string { return append(ours(), rivals()...) }

// defaultSystems leaves out what cannot run here, and inproc, which crosses no process.
func defaultSystems() []string {
	return slices.DeleteFunc(systems(), func(s string) bool { return s == "inproc" || s == "shm" && runtime.GOOS != "linux" })
}

func (o *benchOptions) validate() error {
	for _, s := range o.systems {
		if !slices.Contains(systems(), s) {
			return fmt.Errorf("-transports: unknown %q: need some of %s", s, strings.Join(systems(), ", "))
		}
	}
	switch {
	case len(o.systems) == 0:
		return fmt.Errorf("-transports is empty: need some of %s", strings.Join(systems(), ", "))
	case o.procs < 0:
		return fmt.Errorf("-gomaxprocs %d: need 0 or more", o.procs)
	case o.runs < 1:
		return fmt.Errorf("-runs %d: need 1 or more", o.runs)
	case o.duration < time.Millisecond:
		return fmt.Errorf("-duration %v: need a millisecond or more", o.duration)
	case o.codec != "protobuf" && o.codec != "bytes":
		return fmt.Errorf("-codec %q: need protobuf or bytes", o.codec)
	case o.api == "view" && o.codec != "bytes":
		return errors.New("-api view: only bytes can be looked at in place: add -codec bytes")
	case o.api != "reuse" && o.api != "stubs" && o.api != "view":
		return fmt.Errorf("-api %q: need reuse, stubs or view", o.api)
	case o.conns < 1:
		return fmt.Errorf("-grpc-conns %d: need 1 or more", o.conns)
	}
	return nil
}

// env is what measured processes get besides the environment of this one.
func (o *benchOptions) env() []string {
	if o.procs == 0 {
		return nil
	}
	return []string{fmt.Sprintf("GOMAXPROCS=%d", o.procs)}
}

// gomaxprocs is what measured processes have.
func (o *benchOptions) gomaxprocs() int {
	if o.procs == 0 {
		return runtime.NumCPU()
	}
	return o.procs
}

// cell is one kind of measurement.
type cell struct {
	system           string
	payload, callers int
}

// sample is one measurement of a cell.
type sample struct {
	calls    float64 // per second
	p50, p99 float64 // microseconds
	cpu      float64 // microseconds per call, client and server
	client   float64 // allocations per call
	server   float64
}

// bench measures every cell in every run; within a run the systems take turns, so that what else the machine does hurts all alike.
func bench(ctx context.Context, o *options, c console) error {
	b := &o.bench
	dir, err := os.MkdirTemp("", "rpc-test-")
	if err != nil {
		return fmt.Errorf("make a folder for sockets: %w", err)
	}
	defer os.RemoveAll(dir)
	if slices.ContainsFunc(b.systems, func(s string) bool { return slices.Contains(rivals(), s) }) && b.rivals == "" {
		if b.rivals, err = buildRivals(ctx, dir); err != nil {
			return err
		}
	}
	var contenders []*contender
	defer func() {
		for _, s := range contenders {
			s.stop()
		}
	}()
	for _, system := range b.systems {
		s, err := newContender(ctx, b, system, dir)
		if err != nil {
			return fmt.Errorf("system %s: %w", system, err)
		}
		contenders = append(contenders, s)
	}
	took := time.Duration(b.runs*len(b.payloads)*len(b.callers)*len(contenders)) * (b.duration + b.duration/8)
	fmt.Fprintf(c.err, "%d systems, %d runs, about %v\n", len(contenders), b.runs, took.Round(time.Second))

	samples := map[cell][]sample{} // by run
	chance := rand.New(rand.NewPCG(1, 2))
	for run := range b.runs {
		for _, payload := range b.payloads {
			for _, callers := range b.callers {
				for _, turn := range chance.Perm(len(contenders)) {
					s := contenders[turn]
					got, err := s.measure(ctx, measure.Cell{Payload: payload, Callers: callers, Duration: b.duration})
					if err != nil {
						return fmt.Errorf("run %d, system %s, %d bytes, %d callers: %w", run+1, s.system, payload, callers, err)
					}
					at := cell{s.system, payload, callers}
					samples[at] = append(samples[at], got)
				}
			}
		}
		fmt.Fprintf(c.err, "run %d of %d done\n", run+1, b.runs)
	}
	return newReport(b, samples).write(c.out)
}

// contender is a system with its server and client processes.
type contender struct {
	system string
	server *child // nil when the client process has both ends
	client *child
}

func newContender(ctx context.Context, b *benchOptions, system, dir string) (*contender, error) {
	s := &contender{system: system}
	path := filepath.Join(dir, system+".sock")
	var err error
	if slices.Contains(ours(), system) {
		endpoint := map[string]string{"shm": "shm://" + path, "uds": "uds://" + path, "tcp": "tcp://127.0.0.1:0", "inproc": "inproc://bench"}[system]
		common := []string{"-codec=" + b.codec, "-api=" + b.api}
		if system != "inproc" {
			if s.server, err = self(ctx, system+" server", b.env(), append(common, "-role=bench-server", "-endpoint="+endpoint)...); err != nil {
				return nil, err
			}
			endpoint = s.server.ready.Ready
		}
		if s.client, err = self(ctx, system+" client", b.env(), append(common, "-role=bench-client", "-endpoint="+endpoint)...); err != nil {
			s.stop()
			return nil, err
		}
		if s.client.ready.Note != system {
			s.stop()
			return nil, fmt.Errorf("the client reached the server over %s instead", s.client.ready.Note)
		}
		return s, nil
	}
	if system == "grpc-tcp" {
		path = "127.0.0.1:0"
	}
	common := []string{"-system=" + system, "-codec=" + b.codec, "-timeout=" + callTimeout.String()}
	if s.server, err = start(ctx, system+" server", b.rivals, b.env(), append(common, "-role=server", "-endpoint="+path)...); err != nil {
		return nil, err
	}
	common = append(common, "-role=client", "-endpoint="+s.server.ready.Ready, fmt.Sprintf("-conns=%d", b.conns), fmt.Sprintf("-fresh=%t", b.api == "stubs"))
	if s.client, err = start(ctx, system+" client", b.rivals, b.env(), common...); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// stop ends both processes. What they have to say about it no longer matters.
func (s *contender) stop() {
	for _, c := range []*child{s.client, s.server} {
		if c != nil {
			c.stop()
		}
	}
}

// measure runs one cell: collect garbage, warm up for an eighth of the time, measure.
func (s *contender) measure(ctx context.Context, at measure.Cell) (sample, error) {
	for _, c := range []*child{s.server, s.client} {
		if c == nil {
			continue
		}
		if _, err := c.ask(ctx, measure.Request{Do: measure.DoCalm}); err != nil {
			return sample{}, err
		}
	}
	warm := at
	warm.Duration /= 8
	if _, err := s.client.ask(ctx, measure.Request{Do: measure.DoRun, Cell: warm}); err != nil {
		return sample{}, err
	}
	before, err := s.serverUsage(ctx)
	if err != nil {
		return sample{}, err
	}
	reply, err := s.client.ask(ctx, measure.Request{Do: measure.DoRun, Cell: at})
	if err != nil {
		return sample{}, err
	}
	after, err := s.serverUsage(ctx)
	if err != nil {
		return sample{}, err
	}
	r := reply.Result
	switch {
	case r.Errors > 0:
		return sample{}, fmt.Errorf("%d calls failed, the first with: %s", r.Errors, r.Error)
	case r.Calls == 0:
		return sample{}, fmt.Errorf("no call was answered within %v: raise -duration", at.Duration)
	case reply.Values["fallbacks"] > 0:
		return sample{}, fmt.Errorf("%d messages went over the socket instead of shared memory", reply.Values["fallbacks"])
	}
	server, calls := after.Sub(before), float64(r.Calls+r.Late)
	return sample{
		calls: float64(r.Calls) / r.Elapsed.Seconds(),
		p50:   micros(r.P50), p99: micros(r.P99),
		cpu:    micros(server.Add(r.Usage).CPU) / calls,
		client: float64(r.Usage.Mallocs) / calls,
		server: float64(server.Mallocs) / calls,
	}, nil
}

func (s *contender) serverUsage(ctx context.Context) (measure.Usage, error) {
	if s.server == nil {
		return measure.Usage{}, nil
	}
	reply, err := s.server.ask(ctx, measure.Request{Do: measure.DoUsage})
	if err != nil {
		return measure.Usage{}, err
	}
	return *reply.Usage, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// buildRivals builds the binary from the source tree.
func buildRivals(ctx context.Context, dir string) (string, error) {
	const fix = "run rpc_test inside the source tree with Go installed, hand a binary over with -rivals PATH (go build -C tools/rivals), " +
		"or leave rivals out: -transports=shm,uds,tcp"
	source, err := sourceTree()
	if err != nil {
		return "", fmt.Errorf("the rivals are not built: %w\nfix: %s", err, fix)
	}
	binary := filepath.Join(dir, "rivals")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(source, "tools", "rivals"), "-o", binary, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tools/rivals: %w: %s\nfix: %s", err, strings.TrimSpace(string(out)), fix)
	}
	return binary, nil
}

// sourceTree is the root of the repository: the nearest folder upwards that has tools/rivals.
func sourceTree() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "rivals", "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no folder from here upwards holds tools/rivals")
		}
		dir = parent
	}
}
