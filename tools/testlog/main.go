// Command testlog turns the stream of `go test -json` on its standard input
// into something to read: one line for each package, the whole output of
// whatever failed, every skipped test by name, and totals. It runs until the
// stream ends. It imports nothing of this repository, so it works while the
// rest does not compile.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: go test -json ... | testlog [-module path] [-totals file]

  -module path   prefix to drop from the names of packages
  -totals file   also write "passed failed skipped" there, three numbers
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process. Exit codes: 0 all passed, 1 something
// failed, 2 a wrong command line.
func run(args []string, in io.Reader, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("testlog", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	module := flags.String("module", "", "")
	totals := flags.String("totals", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(complaints, "testlog: %v\n%s", err, usage)
		return 2
	}

	log := newLog(out, *module)
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			log.line(line)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintf(complaints, "testlog: read the stream: %v\n", err)
				log.total.failed++
			}
			break
		}
	}
	log.close()
	if *totals != "" {
		text := fmt.Sprintf("%d %d %d\n", log.total.passed, log.total.failed, log.total.skipped)
		if err := os.WriteFile(*totals, []byte(text), 0o644); err != nil {
			fmt.Fprintf(complaints, "testlog: write totals: %v\n", err)
			return 1
		}
	}
	if log.total.failed > 0 {
		return 1
	}
	return 0
}
