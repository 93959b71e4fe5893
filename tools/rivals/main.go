// Command rivals runs what cmd/rpc_test compares this project's calls with, as processes of their own: gRPC over a Unix socket and over TCP, and the cheapest exchange
// that a socket can do at all, a bare ping-pong over a Unix socket without messages, deadlines or interceptors.
//
// It is started by rpc_test -mode=bench, one process as the server and one as the client, and ordered about over its standard input; see package measure. It lives in a
// module of its own so that nobody who uses the framework has gRPC among their dependencies.
//
// With -mode=ws it compares pkg/network, with and without the records of pkg/security, with two WebSocket libraries, and starts the processes for that itself:
//
//	go run -C tools/rivals . -mode=ws -runs 10
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// setup of one rival process.
type setup struct {
	system   string        // grpc-uds, grpc-tcp or raw-uds
	endpoint string        // path of the socket, or host:port
	codec    string        // protobuf or bytes
	timeout  time.Duration // of every call
	conns    int           // that the client spreads its callers over
	fresh    bool          // a new response for every call, as generated stubs make it
	cert     string        // of the server of a sealed WebSocket system, as it told
}

// client makes the calls of a cell.
type client interface {
	// callers returns one function per caller.
	callers(cell measure.Cell) ([]func() error, error)
	io.Closer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var s setup
	flags := flag.NewFlagSet("rivals", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.system, "system", "", "`name`: grpc-uds, grpc-tcp or raw-uds; of -mode=ws tianxia-sealed, tianxia-plain, gws or gobwas")
	role := flags.String("role", "", "server or client")
	flags.StringVar(&s.endpoint, "endpoint", "", "`path` of the socket, or host:port for TCP")
	flags.StringVar(&s.codec, "codec", "protobuf", "protobuf or bytes; the ping-pong knows bytes only")
	flags.DurationVar(&s.timeout, "timeout", 10*time.Second, "deadline of every call")
	flags.IntVar(&s.conns, "conns", 1, "`connections` that a gRPC client spreads its callers over")
	flags.BoolVar(&s.fresh, "fresh", false, "make a new response for every call, as generated stubs do")
	flags.StringVar(&s.cert, "cert", "", "root and certificate of a tianxia-sealed server, as it told when it was ready")
	mode := flags.String("mode", "", "ws: compare the connection layer with WebSocket libraries and print figures; no role, system or endpoint is needed")
	var b wsBench
	flags.IntVar(&b.runs, "runs", 10, "interleaved `runs` of -mode=ws")
	flags.DurationVar(&b.duration, "duration", 2*time.Second, "`time` of one echo measurement of -mode=ws")
	flags.IntVar(&b.receivers, "receivers", 5000, "`connections` of the broadcast of -mode=ws; 0 leaves it out")
	flags.IntVar(&b.idle, "idle", 10_000, "`connections` whose memory -mode=ws counts; 0 leaves it out")
	flags.BoolVar(&b.json, "json", false, "print the samples of -mode=ws as JSON")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *mode != "" {
		return runWS(ctx, *mode, &b, s.conns, stdout, stderr)
	}
	if err := s.check(*role); err != nil {
		fmt.Fprintf(stderr, "rivals: %v\n", err)
		return 2
	}
	act := s.serve
	switch {
	case isWS(s.system) && *role == "client":
		act = s.callWS
	case isWS(s.system):
		act = s.serveWS
	case *role == "client":
		act = s.call
	}
	if err := act(ctx, stdin, stdout); err != nil {
		fmt.Fprintf(stderr, "rivals: %s as %s: %v\n", s.system, *role, err)
		return 1
	}
	return 0
}

// runWS is -mode=ws, from its flags on.
func runWS(ctx context.Context, mode string, b *wsBench, conns int, stdout, stderr io.Writer) int {
	if b.conns = conns; conns == 1 { // the default is that of gRPC
		b.conns = 200
	}
	err := b.check()
	if mode != "ws" {
		err = fmt.Errorf("-mode %q: need ws, or none and a -role", mode)
	}
	if err != nil {
		fmt.Fprintf(stderr, "rivals: %v\n", err)
		return 2
	}
	if err := b.run(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "rivals: -mode=ws: %v\n", err)
		return 1
	}
	return 0
}

func (s *setup) check(role string) error {
	switch {
	case s.system != "grpc-uds" && s.system != "grpc-tcp" && s.system != "raw-uds" && !isWS(s.system):
		return fmt.Errorf("-system %q: need grpc-uds, grpc-tcp or raw-uds, or one of %v", s.system, wsSystems)
	case role != "server" && role != "client":
		return fmt.Errorf("-role %q: need server or client; rpc_test -mode=bench starts both", role)
	case s.endpoint == "":
		return errors.New("-endpoint is missing: the path of a socket, or host:port")
	case s.codec != "protobuf" && s.codec != "bytes":
		return fmt.Errorf("-codec %q: need protobuf or bytes", s.codec)
	case s.conns < 1 || s.timeout <= 0:
		return fmt.Errorf("-conns %d -timeout %v: need 1 or more, and a time above 0", s.conns, s.timeout)
	}
	return nil
}

// network is the one to listen on.
func (s *setup) network() string {
	if strings.HasSuffix(s.system, "-tcp") {
		return "tcp"
	}
	return "unix"
}

// call connects and runs the cells that it is told to.
func (s *setup) call(_ context.Context, stdin io.Reader, stdout io.Writer) error {
	var c client
	var err error
	if s.system == "raw-uds" {
		c = &pingPong{path: s.endpoint}
	} else if c, err = s.dialGRPC(); err != nil {
		return err
	}
	defer c.Close()
	return measure.Serve(stdin, stdout, measure.Reply{Ready: s.endpoint, AtNS: time.Now().UnixNano()}, func(r measure.Request) (measure.Reply, error) {
		if r.Do != measure.DoRun {
			return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
		}
		callers, err := c.callers(r.Cell)
		if err != nil {
			return measure.Reply{}, err
		}
		result := measure.Closed(r.Cell, callers)
		return measure.Reply{Result: &result}, nil
	})
}
