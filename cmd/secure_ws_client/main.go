// Command secure_ws_client is a player without a game: it connects to a gateway, prints what the handshake agreed on and how long each step took, logs in, calls any
// route with JSON and shows what comes. It plays scripts, watches the state of the world, and cuts its own connection to see the session resumed.
//
//	secure_ws_client                                   ask the development server at http://127.0.0.1:8080 for keys, log in, and take commands
//	secure_ws_client -call plains.spectate -json '{"radius": 64000}'
//	secure_ws_client -watch -for 5s                    what comes into view, changes and goes
//	secure_ws_client -resume                           cut the connection on purpose and take the session up again
//	secure_ws_client -script FILE                      one command per line; the exit code tells how it went
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is where the command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
	prompt   bool // in is a person at a terminal
}

// options are the command line.
type options struct {
	server, name, tcp              string
	url, root, cert, realm, token  string
	keys                           string
	call, push, payload, script    string
	watch, resume, lines, protobuf bool
	timeout, stop                  time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr, isTerminal(os.Stdin)}))
}

// isTerminal guesses whether a person types.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && (nullErr != nil || !os.SameFile(info, null))
}

// run is the whole command: it returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	o, err := parse(args, c.out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(c.err, "secure_ws_client: %v\nRun \"secure_ws_client -h\" for the flags.\n", err)
		return exitUsage
	}
	if o.stop > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.stop)
		defer cancel()
	}
	if err := play(ctx, o, c); err != nil {
		var usage *usageError
		fmt.Fprintf(c.err, "secure_ws_client: %v\n", err)
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

// usageError is a mistake of whoever typed the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func parse(args []string, help io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("secure_ws_client", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.server, "server", "http://127.0.0.1:8080", "`URL` of a development server's page; it gives keys and a token")
	fs.StringVar(&o.name, "name", "guest", "`name` of the player at a development server")
	fs.StringVar(&o.tcp, "tcp", "", "connect to this `host:port` with length-prefixed TCP instead of WebSocket")
	fs.StringVar(&o.url, "url", "", "`URL` of a gateway without a development server: ws://host/ws, wss://, tcp://host:port or tls://; needs -root, -cert and -token, or -keys")
	fs.StringVar(&o.root, "root", "", "pinned root key of the gateway, 32 bytes in `base64`")
	fs.StringVar(&o.cert, "cert", "", "certificate of the gateway's key in `base64`")
	fs.StringVar(&o.realm, "realm", "", "`realm` of the gateway")
	fs.StringVar(&o.token, "token", "", "login `token`")
	fs.StringVar(&o.keys, "keys", "", "`file` with root, cert, realm and token, in the JSON that a development server's /dev/session answers")
	fs.StringVar(&o.call, "call", "", "send a request on this `route`, by number or name, print the answer and leave")
	fs.StringVar(&o.push, "push", "", "send a push on this `route` and leave")
	fs.StringVar(&o.payload, "json", "{}", "the message of -call or -push in `JSON`")
	fs.StringVar(&o.script, "script", "", "play the commands of this `file`, - for standard input")
	fs.BoolVar(&o.watch, "watch", false, "print what comes into view, changes and goes")
	fs.BoolVar(&o.resume, "resume", false, "cut the connection on purpose, take the session up again, and print what came back")
	fs.BoolVar(&o.lines, "lines", false, "print one JSON object per line, for programs")
	fs.BoolVar(&o.protobuf, "protobuf", false, "speak protobuf to a gateway that takes no JSON, for the routes of the framework and of the sample games")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Second, "`time` for each step and each command that waits")
	fs.DurationVar(&o.stop, "for", 0, "leave after this `time`, as in 5s")
	err := fs.Parse(args)
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(help, "secure_ws_client is a player without a game: it logs in at a gateway and calls any route with JSON.\n\nFlags:\n")
		fs.SetOutput(help)
		fs.PrintDefaults()
		fmt.Fprintf(help, "\nCommands at the prompt and in scripts:\n%s", commandHelp)
		return nil, err
	case err != nil:
		return nil, errors.New(explain(fs, err))
	case fs.NArg() > 0:
		return nil, fmt.Errorf("%q is not expected here: everything is a flag, as in -call plains.spectate -json '{\"radius\": 64000}'", fs.Arg(0))
	}
	return o, o.check(given)
}

// check refuses what contradicts itself.
func (o *options) check(given map[string]bool) error {
	actions := 0
	for _, name := range []string{"call", "push", "script"} {
		if given[name] {
			actions++
		}
	}
	byHand := o.url != "" || o.keys != "" || o.root != "" || o.cert != ""
	switch {
	case actions > 1:
		return errors.New("-call, -push and -script exclude each other: write a script for more than one step")
	case given["json"] && !given["call"] && !given["push"]:
		return errors.New("-json is the message of -call or -push, and neither is given (JSON output is -lines)")
	case byHand && given["server"]:
		return errors.New("-server asks a development server for keys; leave it out, or leave out -url, -keys, -root and -cert")
	case o.url != "" && o.tcp != "":
		return errors.New("-url and -tcp both say where to connect: -tcp host:port is -url tcp://host:port")
	case byHand && o.url == "" && o.tcp == "":
		return errors.New("keys by hand need a gateway: -url ws://host/ws, or -tcp host:port")
	case o.url != "" && o.keys == "" && (o.root == "" || o.cert == "" || o.token == ""):
		return fmt.Errorf("-url needs %s, or -keys with a file that has them; a development server gives them by itself with -server", o.missing())
	case o.tcp != "" && !hasPort(o.tcp):
		return fmt.Errorf("-tcp %q is not host:port, as in 127.0.0.1:8081", o.tcp)
	case o.timeout <= 0 || o.stop < 0:
		return errors.New("-timeout and -for are times above 0, as in 5s")
	}
	return nil
}

func hasPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

func (o *options) missing() string {
	var list []string
	for name, value := range map[string]string{"-root": o.root, "-cert": o.cert, "-token": o.token} {
		if value == "" {
			list = append(list, name)
		}
	}
	return strings.Join(sorted(list), " and ")
}

// explain turns a mistake on the command line into what, why and the fix.
func explain(fs *flag.FlagSet, err error) string {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return "unknown flag -" + name + spell.Suggestion(name, names, "-")
	}
	return strings.Replace(msg, ": parse error", ", which is not a time like 5s", 1)
}
