// Command rpc_test shows, measures and torments the calls between processes of pkg/rpc.
//
//	rpc_test                                  every feature, shown and checked; exit code 0 when all pass
//	rpc_test -mode=server -endpoint=PATH      serves the Echo service until Ctrl-C
//	rpc_test -mode=client -endpoint=PATH      a short conversation with that server, with timings
//	rpc_test -mode=bench                      calls per second and latencies, all transports and gRPC side by side
//	rpc_test -mode=bench -link                the load of a gateway's link: what it costs and how late it gets
//	rpc_test -mode=chaos                      kills, freezes and deceives peers, and looks what the survivor makes of it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is where a mode reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// options are the command line.
type options struct {
	mode     string
	endpoint string
	json     bool
	bench    benchOptions
	chaos    chaosOptions
	worker   workerOptions
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr}))
}

// run is the whole command: it returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	o, err := parse(args, c.err)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(c.err, "rpc_test: %v\nRun \"rpc_test -h\" for the flags.\n", err)
		return exitUsage
	}
	switch o.mode {
	case "server":
		err = serve(ctx, o, c)
	case "client":
		err = converse(ctx, o, c)
	case "bench":
		if o.bench.link {
			err = benchLink(ctx, o, c)
		} else {
			err = bench(ctx, o, c)
		}
	case "chaos":
		err = chaos(ctx, o, c)
	case "worker":
		err = work(ctx, o, c)
	default:
		err = examples(ctx, o, c)
	}
	if err != nil {
		fmt.Fprintf(c.err, "rpc_test: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// modes that a person may ask for; worker is for processes that the others start.
func modes() []string { return []string{"example", "server", "client", "bench", "chaos"} }

// defaultEndpoint is where server and client meet when nothing else is said.
const defaultEndpoint = "/tmp/tianxia-rpc-test.sock"

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	payloads, callers, transports := "64,1024,65536", "1,64", ""
	fs := flag.NewFlagSet("rpc_test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.mode, "mode", "example", "`mode`: "+strings.Join(modes(), ", "))
	fs.StringVar(&o.endpoint, "endpoint", "", "server, client: the socket's `path`, or tcp://host:port; with a path, shared memory is tried first (default "+defaultEndpoint+")")
	fs.BoolVar(&o.json, "json", false, "bench, chaos: the last line of the output is JSON")

	fs.IntVar(&o.bench.procs, "gomaxprocs", 0, "bench: GOMAXPROCS of every measured process, 0: the default")
	fs.IntVar(&o.bench.runs, "runs", 10, "bench: how often every cell is measured; systems take turns")
	fs.DurationVar(&o.bench.duration, "duration", 500*time.Millisecond, "bench: `time` for one cell; with -link: a tenth of the time for one measurement")
	fs.StringVar(&transports, "transports", strings.Join(defaultSystems(), ","), "bench: `list` of "+strings.Join(systems(), ", "))
	fs.StringVar(&payloads, "payloads", payloads, "bench: `list` of sizes in bytes")
	fs.StringVar(&callers, "callers", callers, "bench: `list` of numbers of callers, each with one call in flight")
	fs.StringVar(&o.bench.codec, "codec", "protobuf", "bench: protobuf or bytes")
	fs.StringVar(&o.bench.api, "api", "reuse", "bench: reuse (responses are used again where the system can), stubs (a new one for every call) or view (with -codec bytes: messages are looked at where they arrived, uncopied)")
	fs.StringVar(&o.bench.rivals, "rivals", "", "bench: `path` of the rivals binary; without it, it is built from tools/rivals")
	fs.IntVar(&o.bench.conns, "grpc-conns", 1, "bench: connections of a gRPC client")
	fs.BoolVar(&o.bench.link, "link", false, "bench: instead of calls, the streams between a gateway and a server: 20 batches of 64 KiB and 20,000 inputs a second, each way")

	fs.IntVar(&o.chaos.rounds, "rounds", 20, "chaos: how many")
	fs.Uint64Var(&o.chaos.seed, "seed", 0, "chaos: of the order of things; 0: a new one")
	fs.BoolVar(&o.chaos.freeze, "freeze", false, "chaos: every round freezes a peer; without it, every 50th does")
	fs.StringVar(&o.chaos.kinds, "kinds", "", "chaos: `list` of "+strings.Join(chaosKinds(), ", ")+"; empty: a mixture of all")

	fs.StringVar(&o.worker.role, "role", "", "for processes that rpc_test starts itself")
	fs.StringVar(&o.worker.dial, "dial", "", "for processes that rpc_test starts itself")
	fs.StringVar(&o.worker.registry, "registry", "", "for processes that rpc_test starts itself")
	fs.IntVar(&o.worker.load, "load", 0, "for processes that rpc_test starts itself")

	fs.Usage = func() { usage(stderr, fs) }
	if err := fs.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fs.Usage()
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: flags only, such as -mode=%s", fs.Arg(0), fs.Arg(0))
	}
	if o.mode != "worker" && !slices.Contains(modes(), o.mode) {
		fs.Usage()
		return nil, fmt.Errorf("unknown mode %q: need one of %s", o.mode, strings.Join(modes(), ", "))
	}
	var err error
	if o.bench.payloads, err = numbers("-payloads", payloads, 0, 4<<20-64); err != nil {
		return nil, err
	}
	if o.bench.callers, err = numbers("-callers", callers, 1, 4096); err != nil {
		return nil, err
	}
	o.bench.systems = list(transports)
	o.bench.json = o.json
	o.chaos.json = o.json
	if err := o.bench.validate(); err != nil {
		return nil, err
	}
	return o, o.chaos.validate()
}

// usage prints the flags that a person may use.
func usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(w, `usage: rpc_test [-mode=MODE] [flags]

  example   shows every feature of pkg/rpc and checks it (the default)
  server    serves the Echo service on -endpoint until Ctrl-C
  client    a short conversation with that server, with timings
  bench     calls per second and latencies: our transports, gRPC, and a bare socket, each in processes of their own
  chaos     kills, freezes and deceives peers under load; exit code 1 if anything crashed, leaked or was corrupted

`)
	shown := flag.NewFlagSet("", flag.ContinueOnError)
	shown.SetOutput(w)
	fs.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Usage, "for processes") {
			shown.Var(f.Value, f.Name, f.Usage)
		}
	})
	shown.PrintDefaults()
}

// list splits at commas; empty parts vanish.
func list(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func numbers(name, text string, least, most int) (all []int, err error) {
	for _, part := range list(text) {
		n, err := strconv.Atoi(part)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%s %s: %q is no number from %d to %d", name, text, part, least, most)
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s is empty: need numbers from %d to %d, separated by commas", name, least, most)
	}
	return all, nil
}
