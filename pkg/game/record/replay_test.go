package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// odd is a system that in one tick, the n-th, does something that the recorded game did not.
func odd(n int, do func(z *game.Zone)) func(z *game.Zone) {
	return func(z *game.Zone) {
		z.System(func() {
			if z.Tick() == z.Config().FirstTick+uint32(n) {
				do(z)
			}
		})
	}
}

func idle(*game.Zone) {}

// entity is the n-th living entity.
func entity(z *game.Zone, n int) game.Entity {
	for e := range z.Entities {
		if n--; n < 0 {
			return e
		}
	}
	return game.Entity{}
}

func TestTheFirstDifferingTickAndItsEntitiesAreNamed(t *testing.T) {
	b := recorded(t, meadow(odd(0, idle)), meadowConfig(), record.Config{}, 60)
	at := meadowConfig().FirstTick + 40
	for _, c := range []struct {
		name string
		do   func(z *game.Zone)
		say  []string // pieces of what is said
		n    int      // entities
	}{
		{"another value", func(z *game.Zone) { setHP(entity(z, 7), 55) }, []string{"slot 7: recorded entity 8, Plain", "replayed entity 8, Plain", `everyone {"tick":`, `"hp":55`}, 1},
		{"one too many", func(z *game.Zone) { _, _ = z.Spawn(9, 5, 5) }, []string{"recorded nobody; replayed entity", "Plain9"}, 1},
		{"one too few", func(z *game.Zone) { z.Despawn(entity(z, 3)) }, []string{"slot 3: recorded entity 4, Plain", "; replayed nobody"}, 1},
		{"two at once", func(z *game.Zone) { setHP(entity(z, 0), 1); setHP(entity(z, 9), 2) }, []string{"slot 0: ", "slot 9: "}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep := replayed(t, b, meadow(odd(40, c.do)), record.Options{})
			d := rep.Difference
			if d == nil || d.Tick != at || d.After != at-1 || rep.Ticks != 41 || len(d.Entities) != c.n || d.Recorded == d.Replayed {
				t.Fatalf("report %+v", rep)
			}
			for _, want := range append(c.say, "tick 19 is the first that differs") {
				if !strings.Contains(d.String(), want) {
					t.Errorf("it says\n%v\nwant %q", d, want)
				}
			}
		})
	}
}

func TestADifferenceIsFoundAtEveryLevelOfDetail(t *testing.T) {
	other := meadow(odd(40, func(z *game.Zone) { setHP(entity(z, 7), 55) }))
	first := meadowConfig().FirstTick
	for _, c := range []struct {
		name    string
		cfg     record.Config
		differs bool
		tick    uint32
		say     string
	}{
		{"entities", record.Config{}, true, first + 40, "slot 7"},
		{"thinned out", record.Config{Every: 16}, true, first + 48, "it arose in one of ticks 12 to 27"},
		{"world", record.Config{Detail: record.World}, true, first + 40, "record with Detail Entities"},
		{"inputs", record.Config{Detail: record.Inputs}, false, 0, ""},
	} {
		rep := replayed(t, recorded(t, meadow(odd(0, idle)), meadowConfig(), c.cfg, 60), other, record.Options{})
		switch d := rep.Difference; {
		case !c.differs && d == nil:
		case d == nil || d.Tick != c.tick || !strings.Contains(d.String(), c.say):
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// TestEntitiesAreComparedBesideTheZone alters a recorded hash of an entity: that of the zone is as it was.
func TestEntitiesAreComparedBesideTheZone(t *testing.T) {
	b := recorded(t, meadow(), meadowConfig(), record.Config{}, 3)
	found := 0
	for i := len(b) / 2; i < len(b)-30; i++ {
		c := bytes.Clone(b)
		c[i]++
		rep, err := record.Replay(bytes.NewReader(sealed(c)), meadow(), record.Options{})
		if err == nil && rep.Difference != nil && rep.Difference.Recorded == rep.Difference.Replayed && len(rep.Difference.Entities) == 1 {
			found++
		}
	}
	if found < 10 {
		t.Errorf("%d altered hashes were noticed", found)
	}
}

func TestManyDifferingEntitiesAreCountedAndSomeDescribed(t *testing.T) {
	b := recorded(t, meadow(odd(0, idle)), meadowConfig(), record.Config{}, 10)
	rep := replayed(t, b, meadow(odd(5, func(z *game.Zone) {
		for e := range z.Entities {
			setHP(e, 3)
		}
	})), record.Options{MaxEntities: 4})
	if d := rep.Difference; d == nil || len(d.Entities) != 4 || d.More != 27 || !strings.Contains(d.String(), "and 27 more") {
		t.Errorf("%v", d)
	}
}

// wall is a map that nothing passes.
type wall struct{}

func (wall) Walk(x, y, _, _, _ int32) (nx, ny int32) { return x, y }
func (wall) Free(int32, int32, int32) bool           { return false }
func (wall) Clear(_, _, _, _ int32) bool             { return false }

func TestWhatIsNotOfThisProgramIsRefusedBeforeItIsStepped(t *testing.T) {
	renamed := meadow()
	renamed.Name = "heath"
	schema := meadow()
	schema.Schema.Fingerprint = protocol.NewFingerprint(3, 1, [4]byte{1})
	walled := meadowConfig()
	walled.Map = wall{}
	plain := recorded(t, meadow(), meadowConfig(), record.Config{}, 5)
	build := record.Build()
	for _, c := range []struct {
		name string
		b    []byte
		g    *game.Game
		o    record.Options
		say  string
	}{
		{"another game", plain, renamed, record.Options{}, `game: recorded "meadow", here "heath"`},
		{"another schema", plain, schema, record.Options{}, "schema: recorded "},
		{"another build", altered(t, meadow(), func(h *record.Header) { h.Build = "somebody's v1.2.3" }), meadow(), record.Options{}, "build: recorded somebody's v1.2.3, here " + build},
		{"a map that is missing", recorded(t, meadow(), walled, record.Config{}, 5), meadow(), record.Options{}, "configuration: Map: recorded set, here not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, err := record.Replay(bytes.NewReader(c.b), c.g, c.o)
			m := (*record.MismatchError)(nil)
			if !errors.As(err, &m) || !strings.Contains(err.Error(), c.say) || rep.Ticks != 0 {
				t.Errorf("%v after %d ticks, want %q", err, rep.Ticks, c.say)
			}
			c.o.Force = true
			rep, err = record.Replay(bytes.NewReader(c.b), c.g, c.o)
			if err != nil || len(rep.Mismatches) == 0 || rep.Ticks != 5 && rep.Difference == nil {
				t.Errorf("by force: %v, %+v", err, rep)
			}
		})
	}
	rep := replayed(t, recorded(t, meadow(), walled, record.Config{}, 5), meadow(), record.Options{Zone: game.Config{Map: wall{}}})
	if rep.Difference != nil || rep.Ticks != 5 {
		t.Errorf("with the map: %+v", rep)
	}
}

// altered is a short recording with another header.
func altered(t *testing.T, g *game.Game, change func(h *record.Header)) []byte {
	t.Helper()
	z := newZone(t, g, meadowConfig())
	h := record.HeaderOf(g, z)
	change(&h)
	var b bytes.Buffer
	r, err := record.Start(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, 5)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHeaderBringsBackFlagsAndTime(t *testing.T) {
	flags := map[string]string{"walkers": "300"}
	d, err := record.NewReader(bytes.NewReader(altered(t, meadow(), func(h *record.Header) { h.Flags = flags })))
	if err != nil {
		t.Fatal(err)
	}
	if h := d.Header(); h.Flags["walkers"] != "300" || !h.Started.IsZero() || len(h.Unknown)+len(h.Omitted) != 0 {
		t.Errorf("header %+v", h)
	}
}

func TestAStepThatPanicsIsAnErrorOfItsTick(t *testing.T) {
	g := meadow(odd(3, idle))
	b := recorded(t, g, meadowConfig(), record.Config{}, 5)
	rep, err := record.Replay(bytes.NewReader(b), g, record.Options{Prepare: func(_ *record.Header, c *game.Config) error {
		c.Observe = func(game.Phase, string) { panic("broken") }
		return nil
	}})
	p := (*record.PanicError)(nil)
	if !errors.As(err, &p) || p.Tick != meadowConfig().FirstTick || !strings.Contains(err.Error(), "broken") || rep.Ticks != 1 {
		t.Errorf("%v", err)
	}
}

func TestEachSeesEveryTickAndMayStop(t *testing.T) {
	b := recorded(t, meadow(), meadowConfig(), record.Config{}, 30)
	var ticks []uint32
	rep := replayed(t, b, meadow(), record.Options{Each: func(z *game.Zone, x *record.Tick) bool {
		ticks = append(ticks, x.Number)
		return len(ticks) < 12
	}})
	if len(ticks) != 12 || rep.Ticks != 12 || !rep.Stopped || rep.Difference != nil || ticks[11] != meadowConfig().FirstTick+11 {
		t.Errorf("%v, %+v", ticks, rep)
	}
}

func TestDescribeShowsEveryComponent(t *testing.T) {
	z := newZone(t, meadow(), meadowConfig())
	z.Step(nil)
	text := record.Describe(z, 3)
	for _, want := range []string{"everyone {", `"Transform":{"x":`, `"Vitals":{"hp":100}`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nwant %q", text, want)
		}
	}
	if record.Describe(z, 1<<40) != "" {
		t.Error("it describes who does not live")
	}
}

func TestInputsAreDescribedByTheNamesOfWhatTheySay(t *testing.T) {
	describe, err := record.DescribeInputs(newFrontier())
	if err != nil {
		t.Fatal(err)
	}
	for want, in := range map[string]game.Input{
		"Receive, session 7, frontier.ask, id 3: 5":                                     {Kind: game.Receive, Session: 7, Route: routeAsk, ID: 3, Payload: []byte{8, 5}},
		"Operate, \"ops\", frontier.raise, id 1: 4":                                     {Kind: game.Operate, Name: "ops", Route: routeRaise, ID: 1, Payload: []byte{8, 4}},
		"Receive, session 7, frontier.ask: 1 bytes that are no message of frontier.ask": {Kind: game.Receive, Session: 7, Route: routeAsk, Payload: []byte{0xff}},
		"Receive, session 7, route 9999: 0 bytes for route 9999, which nothing handles": {Kind: game.Receive, Session: 7, Route: 9999},
		"Join, session 7, player 1007, \"Ann\", gateway 1":                              {Kind: game.Join, Session: 7, Player: 1007, Name: "Ann", Gateway: 1},
		"Ask, zone 2, entity 5, number 8, route 1, 2 bytes":                             {Kind: game.Ask, Zone: 2, Entity: 5, Number: 8, Route: callStrike, Payload: []byte{8, 4}},
		"Done, number 8, \"too slow\"":                                                  {Kind: game.Done, Number: 8, Text: "too slow"},
		"InputKind(200)":                                                                {Kind: 200},
	} {
		if got := describe(&in); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
