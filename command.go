package tianxia

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// devPorts is how many ports dev tries, upwards, when one is busy.
const devPorts = 20

// Exit codes of a program made by Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs the app as a program: it reads the command line, obeys Ctrl-C and exits.
func (a App) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the process at once
	}()
	os.Exit(a.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs one command of the app until it is done or ctx ends, and returns the exit code: 0 done, 1 failed, 2 the command line is wrong.
func (a App) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "dev"
	if a.Only != "" {
		command = a.Only
	}
	if len(args) > 0 && strings.TrimLeft(args[0], "-") == "version" {
		args[0] = "version"
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	if slices.Contains(a.played(), command) {
		switch command {
		case "dev":
			return a.dev(ctx, args, stdout, stderr)
		case "server":
			return a.server(ctx, args, stdout, stderr)
		case "gateway":
			return a.gateway(ctx, args, stdout, stderr)
		case "bots":
			return a.bots(ctx, args, stdout, stderr)
		}
	}
	switch command {
	case "version":
		fmt.Fprintf(stdout, "%s %s\n", a.name(), Version())
		return exitOK
	case "keys":
		return a.keys(args, stdout, stderr)
	case "tables":
		if a.New != nil {
			return a.checkTables(args, stdout, stderr)
		}
	case "replay":
		if a.New != nil {
			return a.replay(ctx, args, stdout, stderr)
		}
	case "help":
		switch {
		case len(args) > 0 && args[0] == "replay" && a.New != nil:
			return a.replay(ctx, []string{"-h"}, stdout, stderr)
		case len(args) > 0 && args[0] == "keys":
			return a.keys([]string{"help"}, stdout, stderr)
		case len(args) > 0 && a.command(args[0]) != nil:
			return a.command(args[0]).Run(ctx, []string{"-h"}, stdout, stderr)
		case len(args) > 0 && (args[0] == "server" || args[0] == "gateway") && slices.Contains(a.played(), args[0]):
			return a.Run(ctx, []string{args[0], "-h"}, stdout, stderr)
		case a.Only != "":
			return a.Run(ctx, []string{a.Only, "-h"}, stdout, stderr)
		}
		a.usage(stdout)
		return exitOK
	}
	if c := a.command(command); c != nil {
		return c.Run(ctx, args, stdout, stderr)
	}
	fmt.Fprintf(stderr, "%s: unknown command %q%s\nRun \"%s help\" for the list.\n", a.name(), command, spell.Suggestion(command, a.commands(), ""), a.name())
	return exitUsage
}

// command finds one of the app's own commands; nil: there is none.
func (a App) command(name string) *Command {
	for i := range a.Commands {
		if a.Commands[i].Name == name {
			return &a.Commands[i]
		}
	}
	return nil
}

func (a App) name() string {
	if a.Name == "" {
		return "mmo"
	}
	return a.Name
}

func (a App) usage(w io.Writer) {
	parts := "gateway and server"
	if a.Web != nil {
		parts = "gateway, server and page"
	}
	fmt.Fprintf(w, "%s runs a world: %s in one process or in several.\n\n", a.name(), parts)
	line := func(what, help string) { fmt.Fprintf(w, "  %s %-15s %s\n", a.name(), what, help) }
	line("[dev] [flags]", "run it (the default); Ctrl-C ends it")
	line("server [flags]", "run the world server alone; "+a.name()+" server -h tells more")
	line("gateway [flags]", "run a gateway alone, which finds the server by itself; "+a.name()+" gateway -h tells more")
	if a.Bot != nil {
		line("bots [flags]", "let bot clients play in a world that another process runs")
	}
	line("keys", "make and show the keys that clients know a gateway by; "+a.name()+" keys help tells more")
	if a.New != nil {
		line("replay FILE", "do again what a recording says, and compare; "+a.name()+" replay -h tells more")
	}
	if a.New != nil {
		line("tables check DIR", "say what is in a folder of data tables, or what is wrong with them")
	}
	line("version", "print the version")
	line("help", "print this")
	for _, c := range a.Commands {
		line(c.Name, c.Help)
	}
	for _, c := range a.played() {
		if c == "server" || c == "gateway" { // theirs are many
			continue
		}
		fmt.Fprintf(w, "\nFlags of %s:\n", c)
		fs, _ := a.flags(c)
		fs.SetOutput(w)
		fs.PrintDefaults()
	}
}

// played are the commands that run something of the world.
func (a App) played() []string {
	switch {
	case a.Only != "":
		return []string{a.Only}
	case a.New == nil: // there is no game
		return []string{"gateway"}
	case a.Bot == nil:
		return []string{"dev", "server", "gateway"}
	}
	return []string{"dev", "server", "gateway", "bots"}
}

func (a App) commands() []string {
	names := append(a.played(), "keys", "version", "help")
	if a.New != nil {
		names = append(names, "replay", "tables")
	}
	for _, c := range a.Commands {
		names = append(names, c.Name)
	}
	return names
}

type flags struct {
	addr, url  string
	tcp, plain string
	bots, rate int
	json       bool
	processes  bool
	tables     string
	record     string
	rights     string
	game       []string // flags that are the game's
	verbose    bool
	stop       time.Duration
}

// check refuses numbers that mean nothing; least is the smallest number of bots.
func (f *flags) check(bots string, least int) error {
	switch {
	case f.bots < least:
		return fmt.Errorf("%s %d: need %d or more", bots, f.bots, least)
	case f.rate < 1 || f.rate > maxBotRate:
		return fmt.Errorf("-rate %d: need 1 to %d", f.rate, maxBotRate)
	case f.stop < 0:
		return fmt.Errorf("-for %v: a time must not be negative", f.stop)
	}
	return nil
}

func (f *flags) logger(w io.Writer) *slog.Logger {
	if !f.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// deadline ends ctx by itself if -for says so.
func (f *flags) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.stop > 0 {
		return context.WithTimeout(ctx, f.stop)
	}
	return context.WithCancel(ctx)
}

func (a App) flags(command string) (*flag.FlagSet, *flags) {
	f := flags{rate: 250}
	fs := flag.NewFlagSet(a.name(), flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&f.verbose, "v", false, "log what happens to standard error")
	fs.DurationVar(&f.stop, "for", 0, "end by itself after this `time`, as in 60s; 0 runs until Ctrl-C")
	if a.Bot != nil {
		fs.IntVar(&f.rate, "rate", f.rate, "let this many `bots` join per second")
	}
	if command == "bots" {
		fs.StringVar(&f.url, "url", "http://127.0.0.1:8080/", "`page` of the world to play in")
		fs.IntVar(&f.bots, "n", 100, "`number` of bots")
		return fs, &f
	}
	fs.StringVar(&f.addr, "addr", "127.0.0.1:8080", "listen on `host:port`; a busy port means the next free one; \":8080\" is open to the local network")
	fs.StringVar(&f.tcp, "tcp", "", "let clients in over TCP without WebSocket, too, at this `host:port`")
	fs.StringVar(&f.plain, "plain", "", "let tools that speak JSON without encryption in, at this `host:port`")
	if a.Bot != nil {
		fs.IntVar(&f.bots, "bots", 0, "let `N` real clients play over loopback")
	}
	fs.StringVar(&f.tables, "tables", "", "read the game's data tables from this `folder`, and again whenever it changes")
	fs.StringVar(&f.record, "record", "", "record every zone's inputs in this `folder`, which is made if it is not there, for \"replay\"")
	fs.StringVar(&f.rights, "rights", "spectate", "`rights` of everybody who logs in, with commas between; gm is that of the commands for operators")
	fs.BoolVar(&f.json, "json-status", false, "print one JSON object a second instead of the status line")
	fs.BoolVar(&f.processes, "processes", false, "run gateway and server as processes of their own, joined by shared memory where there is some")
	if a.Flags != nil {
		f.game = a.gameFlags(fs)
	}
	return fs, &f
}

// gameFlags adds the game's own flags, once, and names them. One that is taken by the program is a mistake of the game's, of which the flag package speaks loudly.
func (a App) gameFlags(fs *flag.FlagSet) (names []string) {
	taken := map[string]bool{}
	fs.VisitAll(func(f *flag.Flag) { taken[f.Name] = true })
	a.Flags(fs)
	fs.VisitAll(func(f *flag.Flag) {
		if !taken[f.Name] {
			names = append(names, f.Name)
		}
	})
	return names
}

// parse reads a command's flags; done means that there is nothing left to do but to exit with the code.
func (a App) parse(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, done bool) {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		a.usage(stdout)
		return exitOK, true
	case err != nil:
		fmt.Fprintf(stderr, "%s: %s\n", a.name(), explain(fs, err))
		return exitUsage, true
	case fs.NArg() > 0:
		fmt.Fprintf(stderr, "%s: %q is not expected here: everything behind the command is a flag, as in -v\n", a.name(), fs.Arg(0))
		return exitUsage, true
	}
	return exitOK, false
}

func (a App) dev(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, f := a.flags("dev")
	if code, done := a.parse(fs, args, stdout, stderr); done {
		return code
	}
	if err := f.check("-bots", 0); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitUsage
	}
	if f.processes {
		if f.json {
			fmt.Fprintf(stderr, "%s: -json-status and -processes exclude each other: the numbers are those of one process\n", a.name())
			return exitUsage
		}
		return a.devProcesses(ctx, fs, f, stdout, stderr)
	}
	ctx, cancel := f.deadline(ctx)
	defer cancel()
	cfg := NodeConfig{Addr: f.addr, TCP: f.tcp, Plain: f.plain, Ports: devPorts, Bots: f.bots, BotRate: f.rate, Log: f.logger(stderr), Tables: f.tables, Rights: strings.FieldsFunc(f.rights, func(r rune) bool { return r == ',' || r == ' ' })}
	cfg.Server.RecordDir, cfg.Server.Flags = f.record, map[string]string{}
	for _, name := range f.game {
		cfg.Server.Flags[name] = fs.Lookup(name).Value.String()
	}
	n, err := unlessEnded(ctx, func() (*Node, error) { return Open(a, cfg) }, func(n *Node) error { return n.doors.Close() })
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) { // told to stop before it served
		if !f.json {
			fmt.Fprintln(stdout, "stopped")
		}
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		if u := (*UsageError)(nil); errors.As(err, &u) {
			return exitUsage
		}
		return exitFailed
	}
	out := &status{node: n, w: stdout, terminal: isTerminal(stdout)}
	if f.json {
		out.json = json.NewEncoder(stdout)
		announceDev(stderr, n.game.Name, n.whereabouts(), a.Web != nil)
	} else {
		announceDev(stdout, n.game.Name, n.whereabouts(), a.Web != nil)
	}
	reporting, stopReport := context.WithCancel(ctx)
	defer stopReport()
	done := make(chan struct{})
	go func() { defer close(done); out.run(reporting) }()
	err = n.Serve(ctx)
	stopReport()
	<-done
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitFailed
	}
	if !f.json {
		fmt.Fprintln(stdout, "stopped")
	}
	return exitOK
}

// explain turns a mistake on the command line into what, why and the fix.
func explain(fs *flag.FlagSet, err error) string {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Sprintf("unknown flag -%s%s\nRun \"%s help\" for the list.", name, spell.Suggestion(name, names, "-"), fs.Name())
	}
	msg = strings.Replace(msg, ": parse error", ", which is not a number (or a time like 60s) of the kind it takes", 1)
	return fmt.Sprintf("%s\nRun \"%s help\" for what each flag takes.", msg, fs.Name())
}
