package tianxia

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// trailBeyond is how many ticks behind the first difference two replays are still compared: what is not deterministic may be alike by chance in one of them.
const trailBeyond = 200

// replay is the command line of a recording's replay. One value serves one run.
type replay struct {
	describe       func(in *game.Input) string
	app            App
	name           string // of the program
	ctx            context.Context
	stdout, stderr io.Writer

	file    string
	at      string // tick; empty: none
	tick    uint32
	entity  uint64
	verbose bool
	force   bool
	set     map[string]bool // flags that were given
	fs      *flag.FlagSet
	zone    *game.Zone // that is replayed
}

// replay replays a recording. It exits with 0 if it came out as recorded, 1 if it did not or the file is damaged, and 2 if there is nothing to be compared: the command line is wrong, or the file is none of this game's.
func (a App) replay(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	r := &replay{app: a, name: a.name() + " replay", ctx: ctx, stdout: stdout, stderr: stderr}
	r.flags()
	switch err := r.parse(args); {
	case errors.Is(err, flag.ErrHelp):
		r.usage(stdout)
		return exitOK
	case err != nil:
		return r.refuse(err)
	}
	f, err := os.Open(r.file)
	if err != nil {
		return r.refuse(err)
	}
	defer f.Close()
	return r.run(f)
}

func (r *replay) refuse(err error) int {
	fmt.Fprintf(r.stderr, "%s: %v\n", r.name, err)
	return exitUsage
}

func (r *replay) flags() {
	r.fs = flag.NewFlagSet(r.name, flag.ContinueOnError)
	r.fs.SetOutput(io.Discard)
	r.fs.StringVar(&r.at, "at", "", "stop after this `tick` and show what the world is then")
	r.fs.Uint64Var(&r.entity, "entity", 0, "show all that the zone keeps of the entity of this `id`, at the tick of -at or at the end")
	r.fs.BoolVar(&r.verbose, "v", false, "print every tick with its inputs")
	r.fs.BoolVar(&r.force, "force", false, "go on although the recording is of another build, schema or configuration")
	if r.app.Flags != nil {
		r.app.gameFlags(r.fs)
	}
}

// parse takes the file's name in front of the flags, behind them or between them.
func (r *replay) parse(args []string) error {
	var files []string
	for len(args) > 0 {
		if err := r.fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return errors.New(explain(r.fs, err))
		}
		if args = r.fs.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	if len(files) != 1 {
		return fmt.Errorf("it takes one file, not %d: %s FILE [-at TICK] [-entity ID] [-v]", len(files), r.name)
	}
	r.file = files[0]
	if r.at != "" {
		n, err := strconv.ParseUint(r.at, 10, 32)
		if err != nil {
			return fmt.Errorf("-at %q: need a tick, 0 to 4294967295", r.at)
		}
		r.tick = uint32(n)
	}
	r.set = map[string]bool{}
	r.fs.Visit(func(f *flag.Flag) { r.set[f.Name] = true })
	return nil
}

func (r *replay) usage(w io.Writer) {
	fmt.Fprintf(w, "%s FILE [flags] steps a fresh zone through a recording and compares it with what was recorded.\n\n"+
		"It exits with 0 if all is as recorded, with 1 at the first tick that is not (then it says which entities differ, and looks for what depends on more than\n"+
		"the inputs), and with 2 if the file cannot be replayed by this program. Flags by which the game was made are taken from the recording.\n\nFlags:\n", r.name)
	r.fs.SetOutput(w)
	r.fs.PrintDefaults()
}

func (r *replay) run(f *os.File) int {
	d, err := record.NewReader(bufio.NewReader(f))
	if err != nil {
		return r.unreadable(err)
	}
	h := d.Header()
	if err := r.setFlags(h.Flags); err != nil {
		return r.refuse(err)
	}
	g, zones, err := r.app.New(0)
	if err != nil {
		return r.refuse(err)
	}
	if r.describe, err = record.DescribeInputs(g); err != nil {
		return r.refuse(err)
	}
	fmt.Fprintf(r.stdout, "recording  %s: game %q, zone %d, from tick %d on, %s, by %s\n", r.file, h.Game, h.Zone.Zone, h.Zone.FirstTick, detail(h.Config), h.Build)
	o := record.Options{Zone: like(zones, h.Zone.Zone), Force: r.force, Each: r.each}
	again := func() (io.Reader, error) {
		_, err := f.Seek(0, io.SeekStart)
		return bufio.NewReader(f), err
	}
	in, err := again()
	if err != nil {
		return r.refuse(err)
	}
	rep, err := record.Replay(in, g, o)
	for _, m := range rep.Mismatches {
		fmt.Fprintf(r.stdout, "warning    %v\n", m)
	}
	if err != nil {
		return r.failed(rep, err)
	}
	if rep.Difference == nil {
		return r.alike(rep)
	}
	fmt.Fprintf(r.stdout, "differs    %v\n", rep.Difference)
	if err := r.show(); err != nil {
		fmt.Fprintf(r.stderr, "%s: %v\n", r.name, err)
	}
	if in, err = again(); err == nil {
		var v record.Verdict
		if v, err = record.Trail(in, g, o, rep.Ticks+trailBeyond); err == nil {
			fmt.Fprintf(r.stdout, "culprit    %v\n", v)
		}
	}
	if err != nil {
		fmt.Fprintf(r.stderr, "%s: look for the culprit: %v\n", r.name, err)
	}
	return exitFailed
}

// like is the configuration of the zone of a number, for what does not travel in a recording. An instance, which has a number of its own, is taken for one of the world's zones.
func like(zones []game.Config, number uint32) game.Config {
	for _, c := range zones {
		if max(c.Zone, 1) == number {
			return c
		}
	}
	if len(zones) == 0 {
		return game.Config{}
	}
	return zones[0]
}

func detail(c record.Config) string {
	what := map[record.Detail]string{record.Entities: "zone and entities compared", record.World: "the zone compared", record.Inputs: "inputs only"}[c.Detail]
	if c.Every > 1 && c.Detail != record.Inputs {
		return fmt.Sprintf("%s every %d ticks", what, c.Every)
	}
	return what
}

// setFlags makes the game as it was made for the recording, as far as the command line says nothing else.
func (r *replay) setFlags(recorded map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		switch f := r.fs.Lookup(name); {
		case r.set[name] || slices.Contains([]string{"at", "entity", "v", "force"}, name):
		case f == nil && r.force:
		case f == nil:
			return fmt.Errorf("%s was recorded with the flag -%s=%s, which this program does not have: replay it with the program that recorded it, or go on with -force", r.file, name, recorded[name])
		default:
			if err := r.fs.Set(name, recorded[name]); err != nil {
				return fmt.Errorf("%s was recorded with -%s=%s: %w", r.file, name, recorded[name], err)
			}
		}
	}
	return nil
}

// unreadable says why a file has nothing to replay.
func (r *replay) unreadable(err error) int {
	if errors.Is(err, record.ErrNotRecording) {
		return r.refuse(fmt.Errorf("%s: %w. Name a file that a server has recorded", r.file, err))
	}
	return r.refuse(fmt.Errorf("%s: %w", r.file, err))
}

// failed is the end of a replay that could not go on.
func (r *replay) failed(rep record.Report, err error) int {
	damage, panicked, mismatch := (*record.Damage)(nil), (*record.PanicError)(nil), (*record.MismatchError)(nil)
	switch {
	case errors.As(err, &mismatch):
		return r.refuse(fmt.Errorf("%s: %w\n-force replays it all the same", r.file, err))
	case errors.As(err, &damage), errors.As(err, &panicked):
		fmt.Fprintf(r.stdout, "replayed   %d ticks, and as far as they were compared (%d) all is as recorded\n", rep.Ticks, rep.Compared)
		fmt.Fprintf(r.stderr, "%s: %s: %v\n", r.name, r.file, err)
		return exitFailed
	}
	return r.refuse(fmt.Errorf("%s: %w", r.file, err))
}

// alike is the end of a replay without a difference.
func (r *replay) alike(rep record.Report) int {
	switch {
	case r.ctx.Err() != nil:
		fmt.Fprintf(r.stdout, "stopped    after %d ticks, at tick %d\n", rep.Ticks, rep.Last)
	case rep.Ticks == 0:
		fmt.Fprintf(r.stdout, "empty      the file has no tick\n")
	case rep.Compared == 0:
		fmt.Fprintf(r.stdout, "replayed   %d ticks, none was compared, the last is tick %d, hash %016x\n", rep.Ticks, rep.Last, rep.Hash)
	default:
		fmt.Fprintf(r.stdout, "equal      %d ticks replayed, %d compared, the last is tick %d, hash %016x\n", rep.Ticks, rep.Compared, rep.Last, rep.Hash)
	}
	if !rep.Stopped {
		fmt.Fprintf(r.stdout, "file       %v\n", rep.End)
	}
	if err := r.show(); err != nil {
		return r.refuse(err)
	}
	return exitOK
}

// each looks at a tick of the replay.
func (r *replay) each(z *game.Zone, t *record.Tick) bool {
	if r.verbose {
		fmt.Fprintf(r.stdout, "tick %d: %d inputs, %d entities, %d players, hash %016x\n", t.Number, len(t.Inputs), z.Len(), z.PlayerCount(), z.Hash())
		for i := range t.Inputs {
			fmt.Fprintf(r.stdout, "  %s\n", r.describe(&t.Inputs[i]))
		}
	}
	r.zone = z
	return r.ctx.Err() == nil && (r.at == "" || t.Number != r.tick)
}

// show prints what -at and -entity ask for.
func (r *replay) show() error {
	z := r.zone
	switch {
	case r.at == "" && r.entity == 0:
		return nil
	case z == nil || r.at != "" && z.Tick() != r.tick:
		return fmt.Errorf("-at %s: that tick was not replayed from %s", r.at, r.file)
	case r.entity == 0:
		fmt.Fprintf(r.stdout, "tick %d    %d entities, %d players, hash %016x\n", z.Tick(), z.Len(), z.PlayerCount(), z.Hash())
		return nil
	}
	text := record.Describe(z, game.EntityID(r.entity))
	if text == "" {
		text = "it does not live"
	}
	fmt.Fprintf(r.stdout, "entity %d at tick %d:\n%s\n", r.entity, z.Tick(), text)
	return nil
}
