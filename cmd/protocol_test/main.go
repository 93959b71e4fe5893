// Command protocol_test makes frames, takes them apart, and looks whether every route can be spoken.
//
//	protocol_test encode plains.move '{"seq":7}'      a frame, hexadecimal
//	protocol_test decode 00400208 07                  frames in words
//	protocol_test convert plains.move '{"seq":7}'     a payload: JSON to protobuf, or back
//	protocol_test tree 0040020807                     frames field by field, with offsets, known or not
//	protocol_test -check                              every route of the framework and of the sample games, both ways
//
// It knows the sample games; -proto shows it the .proto files of any other. README.md has transcripts.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// options are the command line behind the verb.
type options struct {
	check   bool
	game    string
	proto   string // folder of .proto files, "": the sample games
	from    string
	kind    string
	id, seq uint
	inJSON  bool
	input   string
	output  string
	payload string // full name of a message: tree takes a payload of it
	rounds  int
	quiet   bool
	seed    uint64
	args    []string
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() { os.Exit(run(os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})) }

// verbs that a person may use; without one, routes are checked.
func verbs() []string { return []string{"encode", "decode", "convert", "tree", "check"} }

// run is the whole command: it returns the exit code.
func run(args []string, c console) int {
	err := do(args, c)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	}
	fmt.Fprintf(c.err, "protocol_test: %v\n", err)
	var mistake usageError
	if errors.As(err, &mistake) {
		fmt.Fprintln(c.err, `Run "protocol_test -h" for the flags.`)
		return exitUsage
	}
	return exitFailed
}

func do(args []string, c console) error {
	o, err := parse(args, c)
	if err != nil {
		return err
	}
	verb := "check"
	if len(o.args) > 0 {
		if verb, o.args = o.args[0], o.args[1:]; !slices.Contains(verbs(), verb) {
			return misuse("there is no command %q: need one of %s", verb, strings.Join(verbs(), ", "))
		}
	}
	if err := o.validate(verb); err != nil {
		return err
	}
	all, err := loadGames(o.proto)
	if err != nil {
		return err
	}
	if verb == "check" {
		return check(all, o, c)
	}
	g, err := pick(all, o.game)
	if err != nil {
		return err
	}
	switch verb {
	case "encode":
		return encode(g, o, c)
	case "decode":
		return decode(g, o, c)
	case "convert":
		return convert(g, o, c)
	}
	return tree(g, o, c)
}

// parse reads flags, the command and its arguments, in any order.
func parse(args []string, c console) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("protocol_test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&o.check, "check", false, "check every route, both ways; exit code 1 if one fails")
	fs.StringVar(&o.game, "game", "", "`name` of the game whose routes count; check: only this one (default plains, or the only one of -proto)")
	fs.StringVar(&o.proto, "proto", "", "`folder` of .proto files: games from there instead of the sample games")
	fs.StringVar(&o.from, "from", "", "who sends: client or server (default whoever may)")
	fs.StringVar(&o.kind, "type", "", "frame `type`: push, req, resp, err or ctrl (default what the route is for)")
	fs.UintVar(&o.id, "id", 1, "encode: of the request")
	fs.UintVar(&o.seq, "seq", 0, "encode: makes it a numbered message")
	fs.BoolVar(&o.inJSON, "json", false, "encode: the payload stays JSON")
	fs.StringVar(&o.input, "in", "auto", "`form` of frames and payloads that are read: hex, base64, raw, json, or auto")
	fs.StringVar(&o.output, "out", "hex", "`form` of frames and payloads that are written: hex, base64 or raw")
	fs.StringVar(&o.payload, "payload", "", "tree: not frames but the payload of a route, or of a message by its full `name`; \"?\" if it is not known")
	fs.IntVar(&o.rounds, "rounds", 200, "check: messages of each kind")
	fs.BoolVar(&o.quiet, "quiet", false, "check: print failures and the sum only")
	fs.Uint64Var(&o.seed, "seed", 1, "check: of their content")
	fs.Usage = func() { usage(c.err, fs) }
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		args = fs.Args()
		if len(args) > 0 {
			o.args, args = append(o.args, args[0]), args[1:]
		}
	}
	return o, nil
}

func (o *options) validate(verb string) error {
	one := func(name, value string, of ...string) error {
		if !slices.Contains(of, value) {
			return misuse("-%s %q: need %s", name, value, strings.TrimPrefix(strings.Join(of, ", "), ", "))
		}
		return nil
	}
	switch {
	case o.check && verb != "check":
		return misuse("-check stands alone: drop %s", verb)
	case verb == "check" && len(o.args) > 0:
		return misuse("unexpected argument %q: check takes flags only", o.args[0])
	case o.rounds < 1 || o.rounds > 1_000_000:
		return misuse("-rounds %d: need 1 to 1000000", o.rounds)
	case o.id > 1<<32-1:
		return misuse("-id %d: need at most %d", o.id, uint32(1<<32-1))
	case o.seq > 1<<32-1:
		return misuse("-seq %d: need at most %d", o.seq, uint32(1<<32-1))
	case o.payload != "" && verb != "tree":
		return misuse("-payload is for tree: give %s the route as an argument", verb)
	}
	return errors.Join(one("from", o.from, "", "client", "server"), one("type", o.kind, "", "push", "req", "resp", "err", "ctrl"),
		one("in", o.input, "auto", "hex", "base64", "raw", "json"), one("out", o.output, "hex", "base64", "raw"))
}

// directions are those that -from allows, the client's first.
func (o *options) directions() []protocol.Direction {
	switch o.from {
	case "client":
		return []protocol.Direction{protocol.ClientToServer}
	case "server":
		return []protocol.Direction{protocol.ServerToClient}
	}
	return []protocol.Direction{protocol.ClientToServer, protocol.ServerToClient}
}

func usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(w, `usage: protocol_test [command] [flags] [arguments]

  encode ROUTE [JSON]     prints a frame; JSON comes from the input if it is missing or "-"
  encode [OBJECT ...]     the same of whole frames as text, {"t":"push","r":"plains.move","d":{}}; one a line of the input if there are none
  decode [BYTES ...]      prints frames in words; the arguments, or the input, are frames one after the other
  convert ROUTE [PAYLOAD] turns a payload from JSON to protobuf, or from protobuf to JSON
  tree [BYTES ...]        prints frames, or with -payload a payload, field by field with offsets
  check                   sends random messages through every route, both ways (the default)

BYTES are hexadecimal, base64, or raw; ROUTE is a name or a number.

`)
	fs.SetOutput(w)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
}
