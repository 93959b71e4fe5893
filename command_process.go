package tianxia

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
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
	fromFile   []string // of them, those that the file has set
	origins    *config.Origins
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
		return p.mistake(), true
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
	p.origins = origins
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
	var errs config.Errors
	for _, name := range slices.Sorted(maps.Keys(f.Game)) {
		wrong := func(what, why, fix string) {
			errs = append(errs, &config.Error{Where: p.origins.Of("game." + name), Key: "game." + name, What: what, Why: why, Fix: fix})
		}
		if !slices.Contains(p.game, name) {
			fix := "this game has no settings: take it out"
			if len(p.game) > 0 {
				fix = "it has: " + strings.Join(p.game, ", ")
			}
			wrong("the game has no such setting"+spell.Suggestion(name, p.game, ""), "", fix)
			continue
		}
		if given[name] {
			continue
		}
		if err := p.flags.Set(name, string(f.Game[name])); err != nil {
			kind, fix := kindOf(p.flags.Lookup(name))
			wrong(fmt.Sprintf("want %s, got %q", kind, f.Game[name]), reason(err), fix)
			continue
		}
		p.fromFile = append(p.fromFile, name)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// kindOf says in words what a flag takes, and how to mend a value that it does not.
func kindOf(f *flag.Flag) (kind, fix string) {
	g, _ := f.Value.(flag.Getter)
	if g == nil {
		return "a value of -" + f.Name, f.Usage
	}
	switch g.Get().(type) {
	case bool:
		return "true or false", "write true or false"
	case int, int64:
		return "a whole number", "write digits only"
	case uint, uint64:
		return "a whole number from 0 on", "write digits only"
	case float64:
		return "a number", "write digits, with a point before the fraction"
	case time.Duration:
		return "a duration", "write a number and one of ns, us, ms, s, m, h, such as 1.5s or 1h30m"
	}
	return "a value of -" + f.Name, f.Usage
}

// reason is what a flag says of a value besides that it does not parse.
func reason(err error) string {
	switch text := err.Error(); text {
	case "parse error":
		return ""
	case "value out of range":
		return "it is out of range"
	default:
		return text
	}
}

// placed gives what the game says about one of its flags the place in the file that the value came from.
func (p *process) placed(err error) error {
	u := (*UsageError)(nil)
	if !errors.As(err, &u) {
		return err
	}
	for _, name := range p.fromFile {
		rest, ok := strings.CutPrefix(u.Message, "-"+name)
		if ok && (strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, ":")) {
			return &UsageError{(&config.Error{Where: p.origins.Of("game." + name), Key: "game." + name, What: strings.TrimLeft(rest, ": ")}).Error()}
		}
	}
	return err
}

// mistake is the exit code for what a person has to mend.
func (p *process) mistake() int {
	if p.supervised {
		return exitMistake
	}
	return exitUsage
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

// run opens a node, announces it when it can be found, and serves until it is told to stop.
func (p *process) run(ctx context.Context, open func(context.Context) (node, error), stdout, stderr io.Writer) int {
	if p.supervised {
		var cancel context.CancelFunc
		ctx, cancel = withParent(ctx, os.Stdin)
		defer cancel()
	}
	f := flags{stop: p.stop}
	ctx, cancel := f.deadline(ctx)
	defer cancel()
	n, err := open(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) { // told to stop before it served
		if !p.supervised {
			fmt.Fprintln(stdout, "stopped")
		}
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.app.name(), p.placed(err))
		if u := (*UsageError)(nil); errors.As(err, &u) {
			return p.mistake()
		}
		return exitFailed
	}
	ended := make(chan struct{})
	var announcing sync.WaitGroup
	if !p.supervised {
		announcing.Go(func() {
			select {
			case <-n.findable():
				n.announce(stdout)
			case <-ended:
			}
		})
	}
	err = n.Serve(ctx)
	close(ended)
	announcing.Wait()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.app.name(), err)
		return exitFailed
	}
	if p.supervised { // whoever made the directory may have died, and this be the last that used it: an empty one is put away
		_ = os.Remove(filepath.Join(p.registry(), devKeysFile))
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
	findable() <-chan struct{} // closed when others can find it
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
	return p.run(ctx, func(ctx context.Context) (node, error) { return OpenServer(ctx, a, f, f.Log.logger(stderr)) }, stdout, stderr)
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
	return p.run(ctx, func(ctx context.Context) (node, error) { return OpenGateway(ctx, a, f, f.Log.logger(stderr)) }, stdout, stderr)
}
