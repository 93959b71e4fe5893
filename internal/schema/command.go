package schema

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

const usage = `usage: mmo gen [-check] [-watch] [-break reason] [folder]

Generates everything that comes of the .proto files below the folder, which imports start from (default "."): Go messages, bindings, TypeScript, the tables of
manuals, and schema.lock.

  -check          write nothing; fail when a generated file is out of date
  -watch          go on, and generate again after every change
  -break reason   accept a change that deployed programs cannot live with, and begin a new generation; the reason is kept in schema.lock
  -root folder    the same as naming the folder

Exit codes: 0 done, 1 the schema is wrong or a file stale, 2 the command line is wrong.
`

// Command is mmo gen without the process: it obeys args, which do not hold the command's name, until it is done or ctx ends, and returns the exit code:
// 0 for done, 1 for a schema that is wrong or stale, 2 for a command line that is wrong.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mmo gen", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var o Options
	root := flags.String("root", "", "")
	check := flags.Bool("check", false, "")
	watch := flags.Bool("watch", false, "")
	flags.StringVar(&o.Break, "break", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	reasonless := false
	flags.Visit(func(f *flag.Flag) { reasonless = reasonless || f.Name == "break" && strings.TrimSpace(o.Break) == "" })
	switch {
	case err != nil:
		err = suggest(err)
	case flags.NArg() > 1:
		err = fmt.Errorf("unexpected argument %q: name one folder, and flags before it", flags.Arg(1))
	case flags.NArg() == 1 && *root != "":
		err = fmt.Errorf("two folders, %q and -root %q: name one", flags.Arg(0), *root)
	case *check && (*watch || o.Break != ""):
		err = errors.New("-check writes nothing, so neither -watch nor -break goes with it")
	case *watch && o.Break != "":
		err = errors.New("-watch with -break: a break is one decision, run once with -break and then watch")
	case o.Break != "" && isFolder(o.Break):
		err = fmt.Errorf("-break %q: that is a folder, not a reason: say why, and then the folder: mmo gen -break \"why\" %s", o.Break, o.Break)
	case reasonless:
		err = errors.New("-break without a reason: say in a line why deployed programs have to be replaced")
	}
	if err != nil {
		fmt.Fprintf(stderr, "mmo gen: %v\n\n%s", err, usage)
		return 2
	}
	if *root == "" {
		*root = "."
		if flags.NArg() == 1 {
			*root = flags.Arg(0)
		}
	}
	*root = path.Clean(*root)
	o.Note = func(text string) { fmt.Fprintln(stderr, "note:", text) }
	switch {
	case *check:
		return checkTree(*root, o, stdout, stderr)
	case *watch:
		return watchTree(ctx, *root, o, stdout, stderr)
	}
	began := time.Now()
	done, err := Write(*root, o)
	if err != nil {
		tell(stderr, err)
		return 1
	}
	list(stdout, done)
	if took := time.Since(began).Round(time.Millisecond); done.Touched() == 0 {
		fmt.Fprintf(stdout, "everything is fresh (%v)\n", took)
	} else {
		fmt.Fprintf(stdout, "%d files in %v\n", done.Touched(), took)
	}
	return 0
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// tell prints what went wrong, and the ways out of what the lock forbids.
func tell(w io.Writer, err error) {
	fmt.Fprintln(w, err)
	if strings.Contains(err.Error(), "schema.lock") {
		fmt.Fprintln(w, `note: a draft that was never released? git restore schema.lock takes the promise back, or delete it if it was never committed; then generate again. On purpose? mmo gen -break "why" begins a new generation.`)
	}
}

// suggest adds the flag that was meant.
func suggest(err error) error {
	if _, name, ok := strings.Cut(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("no flag -%s: %s", name, didYouMean("-"+name, []string{"-check", "-watch", "-break", "-root"}))
	}
	return err
}

// list says what a run changed.
func list(w io.Writer, done Result) {
	for _, name := range done.Wrote {
		fmt.Fprintln(w, "wrote", name)
	}
	for _, name := range done.Removed {
		fmt.Fprintln(w, "removed", name)
	}
}

// checkTree reports what is out of date without touching it.
func checkTree(root string, o Options, stdout, stderr io.Writer) int {
	stale, err := check(root, o)
	if err != nil {
		tell(stderr, err)
		return 1
	}
	for _, name := range stale {
		fmt.Fprintf(stderr, "%s is not what the schema gives: run mmo gen %s and commit the result\n", name, root)
	}
	if len(stale) > 0 {
		return 1
	}
	fmt.Fprintln(stdout, "generated files are fresh")
	return 0
}

// watchTree generates until ctx ends.
func watchTree(ctx context.Context, root string, o Options, stdout, stderr io.Writer) int {
	fmt.Fprintf(stdout, "watching %s; Ctrl-C ends it\n", root)
	err := Watch(ctx, root, o, func(done Result, err error) {
		if err != nil {
			fmt.Fprintf(stderr, "%v\n", err)
			return
		}
		list(stdout, done)
	})
	if err != nil {
		tell(stderr, err)
		return 1
	}
	return 0
}
