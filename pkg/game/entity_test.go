package game_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

func spawn(t testing.TB, z *game.Zone, x, y int32) game.Entity {
	t.Helper()
	e, err := z.Spawn(1, x, y)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSlotsAreUsedAgainButIdsNever(t *testing.T) {
	z := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{})
	a, b := spawn(t, z, 1, 1), spawn(t, z, 2, 2)
	z.Step(nil)
	z.Despawn(a)
	if c := spawn(t, z, 3, 3); c.Slot() == a.Slot() {
		t.Error("a slot was used again within the tick of its despawn: replicas cannot tell the two apart")
	}
	if a.Alive() || a.ID() == 0 || !b.Alive() || z.Len() != 2 {
		t.Errorf("alive %v, %v; %d entities", a.Alive(), b.Alive(), z.Len())
	}
	z.Step(nil)
	d := spawn(t, z, 4, 4)
	if d.Slot() != a.Slot() || d.ID() == a.ID() || a.Alive() {
		t.Errorf("the new entity has slot %d (want %d) and id %d; the old one lives: %v", d.Slot(), a.Slot(), d.ID(), a.Alive())
	}
	if e, ok := z.Entity(d.ID()); !ok || e != d {
		t.Errorf("looked up %v, %v", e, ok)
	}
	for _, id := range []game.EntityID{0, a.ID(), 999} {
		if e, ok := z.Entity(id); ok {
			t.Errorf("entity %d was found: %v", id, e)
		}
	}
	var ids []game.EntityID
	for e := range z.Entities {
		ids = append(ids, e.ID())
	}
	if !slices.Equal(ids, []game.EntityID{4, 2, 3}) {
		t.Errorf("entities %v, want those of slots 0, 1, 2", ids)
	}
	for e := range z.Entities { // a loop that ends early
		if e != d {
			t.Errorf("first is %v", e)
		}
		break
	}
}

func TestEntityThatComesAndGoesWithinATickWasNeverThere(t *testing.T) {
	s := newStage(t, withAvatars(), game.Config{}, 7)
	me := player(t, s.Zone, 7).Avatar()
	z := s.Zone
	z.Despawn(spawn(t, z, 110, 110))
	s.step()
	s.wantView("after a ghost", 7, me)
	next := spawn(t, z, 120, 120)
	s.step()
	s.wantView("its slot's next entity", 7, me, next)
}

func TestStateIsWhatWasSet(t *testing.T) {
	z := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{Width: 1000, Height: 500})
	e, err := z.Spawn(3, 999, 499)
	if err != nil {
		t.Fatal(err)
	}
	e.SetPosition(0, 7)
	e.SetVelocity(-5, 6)
	setYaw(e, fullTurn+3)
	setHP(e, 65535)
	if want := (deltatest.State{X: 0, Z: 7, VX: -5, VZ: 6, Yaw: 3, HP: 65535}); !stateOf(e).Equal(want) || e.Kind() != 3 {
		t.Errorf("state %+v of kind %d, want %+v of kind 3", stateOf(e), e.Kind(), want)
	}
	for _, at := range [][2]int32{{-1, 0}, {0, -1}, {1000, 0}, {0, 500}} {
		if _, err := z.Spawn(1, at[0], at[1]); err == nil || !strings.Contains(err.Error(), "outside the zone of 1000 × 500 quanta") {
			t.Errorf("spawn at %v: %v", at, err)
		}
	}
	if z.Len() != 1 {
		t.Errorf("%d entities", z.Len())
	}
}

func TestMisusePanicsWithAdvice(t *testing.T) {
	z := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{Width: 1000})
	dead, alive := spawn(t, z, 1, 1), spawn(t, z, 1, 1)
	z.Despawn(dead)
	for name, do := range map[string]func(){
		"State": func() { stateOf(dead) }, "Kind": func() { dead.Kind() }, "SetPosition": func() { dead.SetPosition(1, 1) },
		"SetVelocity": func() { dead.SetVelocity(1, 1) }, "Cell": func() { setYaw(dead, 1) }, "Position": func() { dead.Position() },
		"Despawn": func() { z.Despawn(dead) }, "Control": func() { _ = z.Control(&game.Player{}, dead) },
		"after its slot has a new owner": func() {
			z.Step(nil)
			spawn(t, z, 5, 5)
			setHP(dead, 1)
		},
	} {
		t.Run(name, func(t *testing.T) { panics(t, "entity 1 does not live here (any more): keep its id", do) })
	}
	panics(t, "entity 0 does not live", func() { game.Entity{}.Kind() })
	for _, at := range [][2]int32{{-1, 0}, {0, -1}, {1000, 0}, {0, 1000}} {
		panics(t, "is outside the zone of 1000 × 1000 quanta: clamp it", func() { alive.SetPosition(at[0], at[1]) })
	}
	if s := stateOf(alive); s.X != 1 || s.Z != 1 {
		t.Errorf("a refused position moved the entity to %d, %d", s.X, s.Z)
	}
}

// TestARangeOfThePositionHoldsForEveryWayToMove: a value outside of it would damage the bits behind it.
func TestARangeOfThePositionHoldsForEveryWayToMove(t *testing.T) {
	l := deltatest.Layout()
	x := &l.Components[0].Fields[0]
	x.Bits, x.Min, x.Limit = 7, 100, 200
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	z := newZone(t, &game.Game{Name: "x", Schema: game.Schema{Codec: c}}, game.Config{Width: 1000})
	if _, err := z.Spawn(1, 99, 5); err == nil || !strings.Contains(err.Error(), `for kind "Plain1", 100 to 200 and`) {
		t.Errorf("spawn outside the range: %v", err)
	}
	e := spawn(t, z, 195, 5)
	panics(t, "outside the range that the schema states", func() { e.SetPosition(201, 5) })
	e.SetVelocity(9, 0)
	z.Drift()
	if x, _ := e.Position(); x != 200 {
		t.Errorf("drifted to %d, want the end of the range", x)
	}
	if vx, _ := e.Velocity(); vx != 0 {
		t.Errorf("at the end of the range it still moves with %d", vx)
	}
}

// TestCellOutlivesASpawn: the zone's storage grows, and what is set through an older cell is sent all the same.
func TestCellOutlivesASpawn(t *testing.T) {
	s := newStage(t, withAvatars(), game.Config{}, 7)
	me := player(t, s.Zone, 7).Avatar()
	s.step()
	cell := me.Cell(deltatest.Vitals)
	for range 100 {
		spawn(t, s.Zone, 1, 1)
	}
	cell.Set(0, delta.AOI, 50)
	s.step()
	if got := s.eyes[7].sees(s.Tick())[me.ID()].HP; got != 50 {
		t.Errorf("the client sees health %d, want 50", got)
	}
	s.Despawn(me)
	panics(t, "does not live", func() { cell.Set(0, delta.AOI, 1) })
}

// TestZeroConfigFitsAnyQuantum: defaults are in metres, and hold whatever a schema's quantum is.
func TestZeroConfigFitsAnyQuantum(t *testing.T) {
	for _, quantum := range []float64{1e-6, 1e-5, 0.003125, 1, 200} {
		l := deltatest.Layout()
		for i := range 2 {
			l.Components[0].Fields[i].Quantum, l.Components[0].Fields[i+2].Quantum = quantum, quantum*20
		}
		l.Kinds[0].Sees = quantum / 5
		if err := l.Finish(); err != nil {
			t.Fatal(err)
		}
		c, err := delta.NewCodec(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		g := &game.Game{Name: "x", Schema: game.Schema{Codec: c}}
		g.OnJoin = func(z *game.Zone, p *game.Player) error {
			e, err := z.Spawn(1, 0, 0)
			if err != nil {
				return err
			}
			return z.Control(p, e)
		}
		z, err := game.NewZone(g, game.Config{})
		if err != nil {
			t.Errorf("quantum %v: %v", quantum, err)
			continue
		}
		z.Step([]game.Input{attach(1), join(1, 7)})
		if z.Seen(7) != 1 {
			t.Errorf("quantum %v: a player with the shortest sight sees %d entities, want itself", quantum, z.Seen(7))
		}
	}
}

func TestDriftMovesInWholeQuantaAndStopsAtTheWalls(t *testing.T) {
	z := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{Width: 1000, Height: 500})
	a, b, c := spawn(t, z, 10, 10), spawn(t, z, 995, 498), spawn(t, z, 7, 7)
	a.SetVelocity(5, -3)
	b.SetVelocity(4, 4)
	for range 3 {
		z.Drift()
	}
	for _, w := range []struct {
		e            game.Entity
		x, y, vx, vy int32
	}{{a, 25, 1, 5, -3}, {b, 999, 499, 0, 0}, {c, 7, 7, 0, 0}} {
		x, y := w.e.Position()
		vx, vy := w.e.Velocity()
		if x != w.x || y != w.y || vx != w.vx || vy != w.vy {
			t.Errorf("entity %d is at %d, %d with %d, %d, want %+v", w.e.ID(), x, y, vx, vy, w)
		}
	}
}

func TestWithinFindsWhatStandsThereNow(t *testing.T) {
	z := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{Width: 1000})
	near, edge, far, gone := spawn(t, z, 500, 500), spawn(t, z, 503, 504), spawn(t, z, 503, 505), spawn(t, z, 500, 501)
	z.Step(nil)
	z.Despawn(gone)
	far.SetPosition(900, 900)
	fresh := spawn(t, z, 496, 503)
	var found []game.EntityID
	for e := range withinOf(z, 500, 500, 5) {
		found = append(found, e.ID())
	}
	slices.Sort(found)
	if want := []game.EntityID{near.ID(), edge.ID(), fresh.ID()}; !slices.Equal(found, want) {
		t.Errorf("within 5 quanta: %v, want %v", found, want)
	}
}

func withinOf(z *game.Zone, x, y, r int32) func(func(game.Entity) bool) {
	return func(yield func(game.Entity) bool) { z.Within(x, y, r, yield) }
}

func TestConfigRefusesContradictions(t *testing.T) {
	for _, c := range []struct {
		cfg game.Config
		say string
	}{
		{game.Config{Width: -1}, "each side must be 1 …"},
		{game.Config{Width: 1<<24 + 1}, "each side must be 1 …"},
		{game.Config{Width: 100, Height: -5}, "each side must be 1 …"},
		{game.Config{EnterRadius: -1}, "need 1 ≤ enter ≤ leave"},
		{game.Config{EnterRadius: 100, LeaveRadius: 99}, "enter radius 100 and leave radius 99"},
		{game.Config{EnterRadius: 1 << 24}, "need 1 ≤ enter ≤ leave"},
		{game.Config{EnterRadius: 1<<31 - 1}, "need 1 ≤ enter ≤ leave"},
		{game.Config{Mailbox: -1}, "mailbox of -1 messages"},
		{game.Config{MaxVisible: -1}, "MaxVisible of -1 entities, need 0, which means all, to "},
		{game.Config{MaxVisible: 1 << 24}, "MaxVisible of 16777216 entities"},
		{game.Config{InterestWorkers: -1}, "-1 InterestWorkers, need 0, which means 1, to 64"},
		{game.Config{InterestWorkers: 65}, "65 InterestWorkers"},
	} {
		c.cfg.Zone = 5
		if _, err := game.NewZone(&game.Game{Name: "x", Schema: schema()}, c.cfg); err == nil || !strings.Contains(err.Error(), c.say) || !strings.HasPrefix(err.Error(), "zone 5: ") {
			t.Errorf("%+v: %v, want %q of zone 5", c.cfg, err, c.say)
		}
	}
	c := newZone(t, &game.Game{Name: "x", Schema: schema()}, game.Config{}).Config()
	want := game.Config{Zone: 1, Epoch: 1, Width: 128_000, Height: 128_000, EnterRadius: 16_000, LeaveRadius: 17_600, MaxSpectate: 256_000, Margin: 2560, Mailbox: 256, PerTick: 32, MaxAhead: 20,
		FirstTick: 1, ReplyTicks: 100, AsyncTicks: 100, MaxAsync: 4096, MaxMine: 32, Panics: 5, PanicTicks: 1200}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults %+v, want %+v", c, want)
	}
}

func TestGameThatCannotRunSaysWhy(t *testing.T) {
	twice, _ := tiny()
	game.OnPush(twice, protocol.Route{ID: routePoke, Name: "tiny.again"}, func(*game.Zone, *game.Player, *emptypb.Empty) error { return nil })
	reserved := &game.Game{Name: "low", Schema: schema()}
	game.OnPush(reserved, protocol.Route{ID: 33, Name: "low.thing"}, func(*game.Zone, *game.Player, *emptypb.Empty) error { return nil })
	broken := errors.New("no map for this zone")
	for _, c := range []struct {
		g   *game.Game
		say string
	}{
		{twice, `game "tiny": route 66 "tiny.again" has two handlers`},
		{reserved, `game "low": route 33`},
		{&game.Game{Name: "unset", Schema: schema(), Setup: func(*game.Zone) error { return broken }}, `zone 1: set up game "unset": no map for this zone`},
	} {
		if _, err := game.NewZone(c.g, game.Config{}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
	if _, err := game.NewZone(&game.Game{Setup: func(*game.Zone) error { return broken }}, game.Config{}); !errors.Is(err, broken) {
		t.Errorf("%v does not wrap its cause", err)
	}
}

func TestSystemsRunInTheOrderOfAdding(t *testing.T) {
	var ran []int
	z := newZone(t, &game.Game{Name: "x", Schema: schema(), Setup: func(z *game.Zone) error {
		for i := range 3 {
			z.System(func() { ran = append(ran, i) })
		}
		return nil
	}}, game.Config{})
	z.Step(nil)
	z.Step(nil)
	if !slices.Equal(ran, []int{0, 1, 2, 0, 1, 2}) {
		t.Errorf("ran %v", ran)
	}
}
