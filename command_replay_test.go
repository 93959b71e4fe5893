package tianxia_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// recordable is plains as a program whose flag decides what is in the world. wrong is added to its systems.
func recordable(wrong func(z *game.Zone)) tianxia.App {
	cfg := plains.Config{Walkers: 5}
	return tianxia.App{
		Flags: func(fs *flag.FlagSet) { fs.IntVar(&cfg.Walkers, "walkers", cfg.Walkers, "number of `walkers`") },
		New: func(int) (*game.Game, []game.Config, error) {
			g := plains.New(cfg)
			setup := g.Setup
			g.Setup = func(z *game.Zone) error {
				if err := setup(z); err != nil {
					return err
				}
				z.System(func() { wrong(z) })
				return nil
			}
			return g, []game.Config{{Seed: 3}}, nil
		},
	}
}

func harmless(*game.Zone) {}

// recordPlains records 40 ticks of plains with 30 walkers.
func recordPlains(t *testing.T, change func(h *record.Header)) (path string) {
	t.Helper()
	g := plains.New(plains.Config{Walkers: 30})
	setup := g.Setup
	g.Setup = func(z *game.Zone) error {
		err := setup(z)
		z.System(func() {})
		return err
	}
	z, err := game.NewZone(g, game.Config{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	h := record.HeaderOf(g, z)
	h.Flags = map[string]string{"walkers": "30"}
	change(&h)
	path = filepath.Join(t.TempDir(), "zone.rec")
	r, err := record.Open(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		in := []game.Input{{Kind: game.AttachGateway, Gateway: 1}, {Kind: game.Join, Gateway: 1, Session: game.SessionID(n + 1), Conn: uint64(n + 1), Player: uint64(n + 1), Name: "someone"}}
		z.Step(in)
		r.Tick(z, in)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func runReplay(t *testing.T, a tianxia.App, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = a.Run(t.Context(), append([]string{"replay"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestReplayCommandSaysWhatItFound(t *testing.T) {
	same := func(*record.Header) {}
	path := recordPlains(t, same)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-60] ^= 1
	for _, c := range []struct {
		name  string
		wrong func(z *game.Zone)
		args  []string
		code  int
		out   []string
		errs  string
	}{
		{"equal", harmless, []string{path}, 0, []string{`game "plains", zone 1, from tick 1 on, zone and entities compared`, "equal      40 ticks replayed, 40 compared, the last is tick 40", "closed in good order"}, ""},
		{"every tick", harmless, []string{"-v", path}, 0, []string{"tick 40: 2 inputs, 70 entities, 40 players"}, ""},
		{"an entity at a tick", harmless, []string{path, "-at", "7", "-entity", "3"}, 0, []string{"entity 3 at tick 7:", `"Vitals":{"hp":100`, "equal      7 ticks"}, ""},
		{"an entity at the end", harmless, []string{"-entity", "3", path}, 0, []string{"entity 3 at tick 40:"}, ""},
		{"an entity that does not live", harmless, []string{"-entity", "9999", path}, 0, []string{"it does not live"}, ""},
		{"a tick that is not there", harmless, []string{"-at", "41", path}, 2, nil, "-at 41: that tick was not replayed"},
		{"another world by a flag", harmless, []string{"-walkers", "31", path}, 1, []string{"tick 1 is the first that differs", "agree with each other"}, ""},
		{"another rule", func(z *game.Zone) {
			if z.Tick() == 9 {
				z.Despawn(first(z))
			}
		}, []string{path}, 1, []string{"tick 9 is the first that differs", "slot 0: recorded entity 1, ", "replayed nobody", "agree with each other"}, ""},
		{"a text", harmless, []string{file("notes.txt", []byte("# Notes"))}, 2, nil, "this is not a recording: it begins with \"# Notes\""},
		{"nothing there", harmless, []string{"nowhere.rec"}, 2, nil, "open nowhere.rec"},
		{"torn", harmless, []string{file("torn.rec", whole[:len(whole)-30])}, 0, []string{"equal      20 ticks", "it has no end"}, ""},
		{"torn in its header", harmless, []string{file("head.rec", whole[:60])}, 2, nil, "ends within its header"},
		{"a flipped bit", harmless, []string{file("flipped.rec", flipped)}, 1, []string{"replayed   20 ticks"}, "damaged in the chunk at byte"},
		{"another game", harmless, []string{recordPlains(t, func(h *record.Header) { h.Game = "hills" })}, 2, nil, `game: recorded "hills", here "plains"`},
		{"another build", harmless, []string{recordPlains(t, func(h *record.Header) { h.Build = "v9" })}, 2, nil, "-force replays it all the same"},
		{"another build, by force", harmless, []string{recordPlains(t, func(h *record.Header) { h.Build = "v9" }), "-force"}, 0, []string{"warning    build: recorded v9", "equal"}, ""},
		{"another schema", harmless, []string{recordPlains(t, func(h *record.Header) { h.Fingerprint[0]++ })}, 2, nil, "schema: recorded "},
		{"a flag of another program", harmless, []string{recordPlains(t, func(h *record.Header) { h.Flags["hills"] = "4" })}, 2, nil, "was recorded with the flag -hills=4"},
		{"no file", harmless, nil, 2, nil, "it takes one file, not 0"},
		{"two files", harmless, []string{path, path}, 2, nil, "it takes one file, not 2"},
		{"a tick that is none", harmless, []string{path, "-at", "x"}, 2, nil, `-at "x": need a tick`},
		{"an unknown flag", harmless, []string{"-vv", path}, 2, nil, "unknown flag -vv"},
		{"help", harmless, []string{"-h"}, 0, []string{"FILE [flags]", "-entity"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := runReplay(t, recordable(c.wrong), c.args...)
			if code != c.code || !strings.Contains(errs, c.errs) || c.errs == "" && errs != "" {
				t.Errorf("code %d, want %d; it said\n%s\n%s\nwant %q", code, c.code, out, errs, c.errs)
			}
			for _, want := range c.out {
				if !strings.Contains(out, want) {
					t.Errorf("it said\n%s\nwant %q", out, want)
				}
			}
		})
	}
}

func first(z *game.Zone) (found game.Entity) {
	for found = range z.Entities {
		break
	}
	return found
}

// TestReplayCommandNamesTheCulprit has a system that counts in a variable of the process: no two zones see the same.
func TestReplayCommandNamesTheCulprit(t *testing.T) {
	count := 0
	path := recordPlains(t, func(*record.Header) {})
	code, out, _ := runReplay(t, recordable(func(z *game.Zone) {
		if count++; z.Tick() > 5 && count%3 == 0 && z.Len() > 10 {
			z.Despawn(first(z))
		}
	}), path)
	if code != 1 || !strings.Contains(out, "Two replays of the same inputs differ") || !strings.Contains(out, "phase systems, after ") || !strings.Contains(out, "recordable.func") {
		t.Errorf("code %d: %s", code, out)
	}
}

func TestHelpKnowsReplayWhereThereIsAGame(t *testing.T) {
	var out bytes.Buffer
	if code := recordable(harmless).Run(t.Context(), []string{"help"}, &out, &out); code != 0 || !strings.Contains(out.String(), "replay FILE") {
		t.Errorf("code %d: %s", code, &out)
	}
	out.Reset()
	if code := (tianxia.App{}).Run(t.Context(), []string{"replay", "x"}, &out, &out); code != 2 || !strings.Contains(out.String(), "unknown command") {
		t.Errorf("code %d: %s", code, &out)
	}
}
