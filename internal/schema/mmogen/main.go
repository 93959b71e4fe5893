// Command mmogen writes the Go messages of every .proto file below a folder
// beside their sources. It is what `go generate` runs; it imports nothing that
// is generated, so it compiles while generated code is broken. It runs once
// and ends.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

const usage = `usage: mmogen [-check] [-root folder]

Generates Go messages beside every .proto file below the folder.

  -root folder   where the schema lies and imports start (default ".")
  -check         write nothing; fail when a generated file is out of date
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code, 0 for done, 1 for
// a schema that is wrong or stale, 2 for a command line that is wrong.
func run(args []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("mmogen", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	root := flags.String("root", ".", "")
	check := flags.Bool("check", false, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(complaints, "mmogen: %v\n%s", err, usage)
		return 2
	}
	if *check {
		return checkTree(*root, out, complaints)
	}
	touched, err := schema.Write(*root)
	for _, name := range touched {
		fmt.Fprintln(out, "wrote", name)
	}
	if err != nil {
		fmt.Fprintln(complaints, err)
		return 1
	}
	return 0
}

// checkTree reports what is out of date without touching it.
func checkTree(root string, out, complaints io.Writer) int {
	stale, err := schema.Check(root)
	if err != nil {
		fmt.Fprintln(complaints, err)
		return 1
	}
	for _, name := range stale {
		fmt.Fprintf(complaints, "%s/%s is not what its .proto file gives: run go generate ./...\n", root, name)
	}
	if len(stale) > 0 {
		return 1
	}
	fmt.Fprintln(out, "generated files are fresh")
	return 0
}
