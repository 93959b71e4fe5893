// Command aoi_test measures the interest engine of pkg/aoi, and looks whether it is right.
//
//	aoi_test                            every workload, measured beside a plain grid, and a short comparison with brute force
//	aoi_test -verify                    every workload against brute force, tick by tick, with every kernel of the machine
//	aoi_test -kernel all -runs 10       every kernel, taking turns, with medians and ranges
//	aoi_test -workload million          a million entities, ten thousand observers
//	aoi_test -png town.png              a picture of a world and of what one observer sees
//
// The exit code is 0 if everything that was compared was equal, 1 if not, 2 if a flag was wrong. README.md has transcripts.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is where a command writes.
type console struct{ out, err io.Writer }

// options are the command line.
type options struct {
	workloads []workload
	kernels   []aoi.Kernel // to be measured or verified, the fastest first
	verified  []aoi.Kernel // all of the machine, unless one was named
	column    bool         // with the kernel, as there may be several
	workers   int          // 0: what the workload says
	entities  int          // 0: what the workload says
	ticks     int          // 0: what the workload says
	time      time.Duration
	runs      int
	seed      uint64
	verify    bool
	baseline  bool
	list      bool
	json      bool
	png       string
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() { os.Exit(run(os.Args[1:], aoi.Kernels(), console{os.Stdout, os.Stderr})) }

// run is the whole command on a machine that has some kernels, the slowest first: it returns the exit code.
func run(args []string, have []aoi.Kernel, c console) int {
	err := do(args, have, c)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	}
	fmt.Fprintf(c.err, "aoi_test: %v\n", err)
	var mistake usageError
	if errors.As(err, &mistake) {
		fmt.Fprintln(c.err, `Run "aoi_test -h" for the flags.`)
		return exitUsage
	}
	return exitFailed
}

func do(args []string, have []aoi.Kernel, c console) error {
	o, err := parse(args, have, c)
	switch {
	case err != nil:
		return err
	case o.list:
		return list(c)
	case o.png != "":
		return drawTo(o, c)
	case o.verify:
		return verifyAll(o, c)
	}
	return benchmark(o, c)
}

func parse(args []string, have []aoi.Kernel, c console) (*options, error) {
	o := &options{}
	var names, kernel string
	fs := flag.NewFlagSet("aoi_test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&names, "workload", "", "`names` of workloads, separated by commas (default all but million; -png: town-10k)")
	fs.StringVar(&kernel, "kernel", "auto", "`name` of the distance kernel: auto (the fastest of this machine), portable, avx2, avx512, or all (of this machine)")
	fs.IntVar(&o.workers, "workers", 0, "goroutines that share a tick, 1 to 64 (default 2 for walk-100k and million, 1 for all others)")
	fs.IntVar(&o.entities, "entities", 0, "entities of every workload, at the same density (default its own number)")
	fs.IntVar(&o.ticks, "ticks", 0, "measured or verified ticks of every workload (default its own number)")
	fs.DurationVar(&o.time, "time", 0, "measure for so long a `time` instead, such as 2s; flash-5k always tells its whole story")
	fs.IntVar(&o.runs, "runs", 1, "how often everything is measured; kernels take turns")
	fs.Uint64Var(&o.seed, "seed", 1, "of the worlds")
	fs.BoolVar(&o.verify, "verify", false, "compare every workload with brute force, tick by tick; exit code 1 if anything differs")
	fs.BoolVar(&o.baseline, "baseline", true, "measure a plain grid of cells as well; -baseline=false: the engine only")
	fs.BoolVar(&o.list, "list", false, "say what workloads there are")
	fs.BoolVar(&o.json, "json", false, "print nothing but one line of JSON")
	fs.StringVar(&o.png, "png", "", "draw a world into this `file`")
	fs.Usage = func() {} // a mistake is answered with a line, not with a page
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(c.err, fs)
			return nil, err
		}
		return nil, misuse("%v%s", err, flagSuggestion(err, fs))
	}
	if fs.NArg() > 0 {
		return nil, misuse("unexpected argument %q: everything is a flag, such as -workload %s", fs.Arg(0), fs.Arg(0))
	}
	var err error
	if o.kernels, err = kernels(kernel, have); err != nil {
		return nil, err
	}
	o.verified, o.column = o.kernels, kernel == "all"
	if kernel == "auto" {
		o.verified, _ = kernels("all", have)
	}
	if names == "" && o.png != "" {
		names = "town-10k"
	}
	if o.workloads, err = choose(split(names)); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return o, o.validate(given)
}

// kernels that a name stands for, the fastest first.
func kernels(name string, have []aoi.Kernel) ([]aoi.Kernel, error) {
	var all []aoi.Kernel
	var names []string
	for _, k := range have {
		all = append([]aoi.Kernel{k}, all...)
		names = append(names, k.String())
	}
	switch name {
	case "auto":
		return all[:1], nil
	case "all":
		return all, nil
	}
	for _, k := range all {
		if k.String() == name {
			return []aoi.Kernel{k}, nil
		}
	}
	for _, k := range []aoi.Kernel{aoi.Portable, aoi.AVX2, aoi.AVX512} {
		if k.String() == name {
			return nil, misuse("-kernel %s: this machine (%s/%s) has not got it, it has %s", name, runtime.GOOS, runtime.GOARCH, strings.Join(names, ", "))
		}
	}
	known := []string{"auto", "all", "portable", "avx2", "avx512"}
	return nil, misuse("-kernel: there is no %q%s; need one of %s", name, spell.Suggestion(name, known, ""), strings.Join(known, ", "))
}

func (o *options) validate(given map[string]bool) error {
	alone := func(name string, but ...string) error {
		for _, other := range but {
			if given[other] {
				return misuse("-%s and -%s exclude each other", name, other)
			}
		}
		return nil
	}
	switch {
	case given["workers"] && (o.workers < 1 || o.workers > 64):
		return misuse("-workers %d: need 1 to 64", o.workers)
	case given["entities"] && (o.entities < 100 || o.entities > 1_000_000):
		return misuse("-entities %d: need 100 to 1000000", o.entities)
	case given["ticks"] && (o.ticks < 1 || o.ticks > 1_000_000):
		return misuse("-ticks %d: need 1 to 1000000", o.ticks)
	case given["time"] && (o.time < time.Millisecond || o.time > time.Hour):
		return misuse("-time %v: need 1ms to 1h", o.time)
	case o.runs < 1 || o.runs > 1000:
		return misuse("-runs %d: need 1 to 1000", o.runs)
	case o.png != "" && len(o.workloads) != 1:
		return misuse("-png draws one workload, not %d: name it with -workload", len(o.workloads))
	case o.list:
		return alone("list", "verify", "png", "json", "runs")
	case o.png != "":
		return alone("png", "verify", "json", "runs", "time", "baseline")
	case o.verify:
		return alone("verify", "runs", "time", "baseline")
	case given["ticks"]:
		return alone("ticks", "time")
	}
	return nil
}

// split takes a list apart; empty parts vanish.
func split(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// flagSuggestion helps where a flag is unknown.
func flagSuggestion(err error, fs *flag.FlagSet) string {
	_, name, found := strings.Cut(err.Error(), "not defined: -")
	if !found {
		return ""
	}
	var known []string
	fs.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
	return spell.Suggestion(name, known, "-")
}

func usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(w, `usage: aoi_test [flags]

Without flags: measures every workload, the engine beside a plain grid of cells, compares the engine with brute force for a
few ticks, and prints a table. That takes less than a minute.

`)
	fs.SetOutput(w)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
}
