package tianxia

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/config"
)

// process is the command line of a server or gateway process: a file, and a flag for each key of it.
type process struct {
	app        App
	command    string
	file       any      // *ServerFile or *GatewayFile, with its defaults
	other      []string // variables of the other kind of process, which may stand in the same environment
	config     string
	supervised bool
	print      bool
	stop       time.Duration
	flags      *flag.FlagSet
	game       []string // flags that are the game's
}

func (a App) process(command string, file, other any) (*process, error) {
	p := &process{app: a, command: command, file: file, flags: flag.NewFlagSet(a.name(), flag.ContinueOnError)}
	p.flags.SetOutput(io.Discard)
	p.flags.StringVar(&p.config, "config", "", "read this `file`; every key has a default, so it is not needed")
	p.flags.BoolVar(&p.print, "print-config", false, "print the configuration that counts, with where each value comes from, and end")
	p.flags.BoolVar(&p.supervised, "supervised", false, "stop when standard input ends, for programs that start this one")
	p.flags.DurationVar(&p.stop, "for", 0, "end by itself after this `time`, as in 60s; 0 runs until Ctrl-C")
	if err := config.AddFlags(p.flags, file); err != nil {
		return nil, err
	}
	if command == "server" && a.Flags != nil {
		p.game = a.gameFlags(p.flags)
	}
	keys, err := config.Keys(other)
	for _, k := range keys {
		p.other = append(p.other, k.Env)
	}
	return p, err
}

// load reads the command line, the file, the environment and the flags into p.file. done means that there is nothing left to do but to exit with the code.
func (p *process) load(args []string, stdout, stderr io.Writer) (code int, done bool) {
	fail := func(format string, a ...any) (int, bool) {
		fmt.Fprintf(stderr, "%s: %s\n", p.app.name(), fmt.Sprintf(format, a...))
		return exitUsage, true
	}
	switch err := p.flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		p.usage(stdout)
		return exitOK, true
	case err != nil:
		return fail("%s", explain(p.flags, err))
	case p.flags.NArg() > 0:
		return fail("%q is not expected here: everything behind the command is a flag, as in -config=file", p.flags.Arg(0))
	case p.stop < 0:
		return fail("-for %v: a time must not be negative", p.stop)
	}
	origins, err := config.Load(p.file, config.Options{File: p.config, Env: os.Environ(), Ignore: p.other, Flags: p.flags})
	if err != nil {
		return fail("%v", err)
	}
	if err := p.setGame(); err != nil {
		return fail("%v", err)
	}
	if p.print {
		if err := config.Print(stdout, p.file, origins); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", p.app.name(), err)
			return exitFailed, true
		}
		return exitOK, true
	}
	return exitOK, false
}

// setGame gives the game's own settings of the file to its flags; those of the command line win.
func (p *process) setGame() error {
	f, ok := p.file.(*ServerFile)
	if !ok {
		return nil
	}
	given := map[string]bool{}
	p.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range slices.Sorted(maps.Keys(f.Game)) {
		if !slices.Contains(p.game, name) {
			return fmt.Errorf("game.%s: the game has no such setting%s; it has: %s", name, suggestion(name, p.game), strings.Join(p.game, ", "))
		}
		if given[name] {
			continue
		}
		if err := p.flags.Set(name, string(f.Game[name])); err != nil {
			return fmt.Errorf("game.%s: %q: %w", name, f.Game[name], err)
		}
	}
	return nil
}

func (p *process) usage(w io.Writer) {
	what := "runs a gateway: clients connect to it, and it finds the world server by itself, whichever of the two starts first"
	if p.command == "server" {
		what = "runs the world server: gateways find it by themselves, whichever starts first"
	}
	name := p.app.name()
	if p.app.Only == "" {
		name += " " + p.command
	}
	fmt.Fprintf(w, "%s %s.\n\n  %s [-config file] [flags]\n\nEvery key of the file is a flag too, and a variable of the environment: %s.\nA flag goes before the environment, that before the file, that before the default.\n\n",
		name, what, name, "-rpc.token is rpc: {token: …} and MMO_RPC_TOKEN")
	p.flags.SetOutput(w)
	p.flags.PrintDefaults()
	p.flags.SetOutput(io.Discard)
}

// run opens a node, announces it and serves until it is told to stop.
func (p *process) run(ctx context.Context, open func() (node, error), stdout, stderr io.Writer) int {
	if p.supervised {
		var cancel context.CancelFunc
		ctx, cancel = withParent(ctx, os.Stdin)
		defer cancel()
	}
	f := flags{stop: p.stop}
	ctx, cancel := f.deadline(ctx)
	defer cancel()
	n, err := open()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.app.name(), err)
		if u := (*UsageError)(nil); errors.As(err, &u) {
			return exitUsage
		}
		return exitFailed
	}
	if !p.supervised {
		n.announce(stdout)
	}
	if err := n.Serve(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.app.name(), err)
		return exitFailed
	}
	if p.supervised { // whoever made the directory may have died, and this be the last that used it: an empty one is put away
		_ = os.Remove(p.registry())
	} else {
		fmt.Fprintln(stdout, "stopped")
	}
	return exitOK
}

// registry is the directory that the process was given; empty: it uses the user's own.
func (p *process) registry() string {
	switch f := p.file.(type) {
	case *ServerFile:
		return f.RPC.Registry
	case *GatewayFile:
		return f.RPC.Registry
	}
	return ""
}

// node is a process's part of a world.
type node interface {
	announce(w io.Writer)
	Serve(ctx context.Context) error
}

func (a App) server(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, other := DefaultServerFile(), DefaultGatewayFile()
	p, err := a.process("server", &f, &other)
	if err != nil {
		panic(err) // the file's struct is wrong
	}
	if code, done := p.load(args, stdout, stderr); done {
		return code
	}
	return p.run(ctx, func() (node, error) { return OpenServer(a, f, f.Log.logger(stderr)) }, stdout, stderr)
}

func (a App) gateway(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, other := DefaultGatewayFile(), DefaultServerFile()
	p, err := a.process("gateway", &f, &other)
	if err != nil {
		panic(err) // the file's struct is wrong
	}
	if code, done := p.load(args, stdout, stderr); done {
		return code
	}
	return p.run(ctx, func() (node, error) { return OpenGateway(a, f, f.Log.logger(stderr)) }, stdout, stderr)
}
