package game_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Kinds of zoo.
const (
	hero, plain, beast = game.Kind(1), game.Kind(2), game.Kind(3)
)

// zoo is the lab with layers: heroes, which players have for avatars, things without a layer, and beasts.
func zoo(t testing.TB) *lab {
	l := newLab(t)
	l.Schema = layered(t, "hero", "", "beast")
	return l
}

func ignore(t testing.TB, z *game.Zone, p *game.Player, layers ...string) {
	t.Helper()
	if err := z.Ignore(p, layers...); err != nil {
		t.Error(err)
	}
}

func TestIgnoredLayersLeaveTheViewAndComeBack(t *testing.T) {
	l := zoo(t)
	s := newStage(t, l.Game, game.Config{Width: 1000, EnterRadius: 300, LeaveRadius: 330}, 1, 2)
	me, other := player(t, s.Zone, 1).Avatar(), player(t, s.Zone, 2).Avatar()
	p := me.Player()
	spawned := func(k game.Kind) game.Entity {
		e, err := s.Spawn(k, 510, 500)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	thing, wolf := spawned(plain), spawned(beast)
	s.step()
	s.wantView("everything", 1, me, other, thing, wolf)
	ignore(t, s.Zone, p, "beast")
	s.step()
	s.wantView("no beasts", 1, me, other, thing)
	s.wantView("who ignores nothing", 2, me, other, thing, wolf)
	ignore(t, s.Zone, p, "beast", "")
	s.step()
	s.wantView("neither beasts nor things", 1, me, other)
	ignore(t, s.Zone, p, "hero")
	s.step()
	s.wantView("no heroes but its own", 1, me, thing, wolf)
	if _, ok := s.Visible(p, other.ID()); ok {
		t.Error("a rule takes what is ignored for visible")
	}
	spectate(t, s.Zone, p, 100, 100)
	s.step()
	s.wantView("a spectator ignores nothing", 1, me, other, thing, wolf)
	spectate(t, s.Zone, p, 0, 0)
	s.step()
	s.wantView("no spectator any more", 1, me, thing, wolf)
	ignore(t, s.Zone, p)
	s.step()
	s.wantView("everything again", 1, me, other, thing, wolf)

	err := s.Ignore(p, "beast", "wolves")
	if err == nil || !strings.Contains(err.Error(), `no kind has the layer "wolves": there are "", "hero", "beast"`) {
		t.Errorf("an unknown layer: %v", err)
	}
	s.step(leave(1))
	if err := s.Ignore(p, "beast"); err == nil || !strings.Contains(err.Error(), "not in zone") {
		t.Errorf("a player who has left: %v", err)
	}
}

// Whoever ignores the layer of its avatar sees its avatar, whichever it is, from when it has it until it has it no more.
func TestAPlayerWhoIgnoresItsKindSeesItselfOnly(t *testing.T) {
	l := zoo(t)
	s := newStage(t, l.Game, game.Config{Width: 1000, EnterRadius: 300, LeaveRadius: 330}, 1, 2)
	first, other := player(t, s.Zone, 1).Avatar(), player(t, s.Zone, 2).Avatar()
	p := first.Player()
	ignore(t, s.Zone, p, "hero")
	s.step()
	s.wantView("itself", 1, first)
	second, err := s.Spawn(hero, 600, 600)
	if err != nil {
		t.Fatal(err)
	}
	s.step()
	s.wantView("another hero comes", 1, first)
	if err := s.Control(p, second); err != nil {
		t.Fatal(err)
	}
	s.step()
	s.wantView("another avatar", 1, second)
	s.wantView("who ignores nothing", 2, first, second, other)
	s.step(disconnect(1))
	if _, ok := s.Visible(p, second.ID()); !ok {
		t.Error("without a connection it does not see itself")
	}
	if _, ok := s.Visible(p, first.ID()); ok {
		t.Error("without a connection it sees its avatar before")
	}
	s.close(1)
	s.open(1, 1|1<<32)
	s.step(connect(1, 1, 1|1<<32))
	s.wantView("back again", 1, second)
	spectate(t, s.Zone, p, 1000, 1000)
	s.step()
	s.wantView("with a spectator", 1, first, second, other)
	if err := s.Control(p, first); err != nil {
		t.Fatal(err)
	}
	spectate(t, s.Zone, p, 0, 0)
	s.step()
	s.wantView("the first again", 1, first)
	s.Despawn(first)
	s.step()
	s.wantView("nobody", 1)
}

func TestIgnoringHoldsAcrossBordersAndThroughHandOvers(t *testing.T) {
	l := zoo(t)
	w := l.open(row(2)...)
	anna := w.Join("anna")
	w.Tick(1)
	wolf, rock := l.spawn(w.Zone(1), beast, 1100, 500), l.spawn(w.Zone(1), plain, 1100, 510)
	behind := l.spawn(w.Zone(0), beast, 900, 510)
	want := func(what string, ids ...game.Entity) {
		t.Helper()
		for _, e := range []game.Entity{wolf, rock, behind} {
			if is := slices.Contains(ids, e); anna.Sees(e.ID()) != is {
				t.Errorf("%s: it sees %v, want of %d that this is %v", what, anna.View(), e.ID(), is)
			}
		}
		if !anna.Sees(anna.Avatar().ID()) {
			t.Errorf("%s: it does not see itself", what)
		}
	}
	put := func(x int32) { w.Zone(0).Edit(func() { anna.Avatar().SetPosition(x, 500) }) }
	put(950)
	w.Tick(4)
	want("at the border", wolf, rock, behind)
	w.Zone(0).Edit(func() { ignore(t, w.Zone(0), anna.Player(), "beast", "hero") })
	w.Tick(4)
	want("ignoring, at the border", rock)
	anna.Cut()
	w.Tick(3)
	anna.Resume()
	w.Tick(4)
	want("connected again", rock)
	put(500)
	w.Tick(4)
	want("away from the border")
	put(960)
	w.Tick(4)
	want("at the border again", rock)
	w.Zone(0).Edit(func() { ignore(t, w.Zone(0), anna.Player()) })
	w.Tick(4)
	want("ignoring nothing, at the border", wolf, rock, behind)
	w.Zone(0).Edit(func() { ignore(t, w.Zone(0), anna.Player(), "beast", "hero") }) // in the tick of the crossing
	put(1060)
	w.Tick(16)
	if anna.Zone() != w.Zone(1) {
		t.Fatal("anna has not crossed")
	}
	want("beyond the border", rock)
	w.Zone(1).Edit(func() {
		e, err := w.Zone(1).Spawn(hero, 1050, 500)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Zone(1).Control(anna.Player(), e); err != nil {
			t.Fatal(err)
		}
	})
	w.Tick(4)
	want("with another avatar", rock)
	w.Zone(1).Edit(func() { ignore(t, w.Zone(1), anna.Player()) })
	w.Tick(4)
	want("ignoring nothing", wolf, rock, behind)
}

func TestMaxVisibleBoundsAvatarsAndVisitorsButNoSpectators(t *testing.T) {
	cfg := row(2)
	cfg[0].MaxVisible, cfg[1].MaxVisible = 5, 3
	l := newLab(t)
	w := l.open(cfg...)
	anna := w.Join("anna")
	w.Tick(1)
	var crowd []game.Entity
	for i := range int32(8) {
		crowd = append(crowd, l.spawn(w.Zone(0), 2, 900-i, 500))
		l.spawn(w.Zone(1), 2, 1100+i, 500)
	}
	w.Zone(0).Edit(func() { anna.Avatar().SetPosition(950, 500) })
	w.Tick(4)
	if home, beyond := w.Zone(0).Seen(anna.Session), w.Zone(1).Seen(anna.Session); home != 5 || beyond != 3 {
		t.Fatalf("of its own zone anna sees %d, want 5, of the next one %d, want 3", home, beyond)
	}
	for i, e := range crowd {
		if anna.Sees(e.ID()) != (i < 4) {
			t.Errorf("it is wrong of the entity that is %d away that anna sees it: %v", 50+i, i >= 4)
		}
	}
	w.Zone(0).Edit(func() { crowd[4].SetPosition(901, 500) }) // nearer by 2 in 50, which is no reason to change
	w.Tick(4)
	if !anna.Sees(crowd[3].ID()) || anna.Sees(crowd[4].ID()) {
		t.Error("who is a little nearer than those in view has taken the place of one of them")
	}
	w.Zone(0).Edit(func() { crowd[4].SetPosition(940, 500) })
	w.Tick(4)
	if anna.Sees(crowd[3].ID()) || !anna.Sees(crowd[4].ID()) {
		t.Error("who is much nearer than those in view has not taken the place of the last")
	}
	w.Zone(0).Edit(func() { spectate(t, w.Zone(0), anna.Player(), 2000, 2000) })
	w.Tick(4)
	if n := w.Zone(0).Seen(anna.Session); n != 9 {
		t.Errorf("as a spectator anna sees %d of 9", n)
	}
}

// Where a crowd stands in one place there is no nearest.
func TestAPlayerInACrowdOfOnePlaceSeesItself(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{Width: 1000, EnterRadius: 300, MaxVisible: 3})
	var all []*gametest.Client
	for i := range 10 {
		all = append(all, w.Join(fmt.Sprint("player ", i)))
	}
	w.Tick(2)
	for _, c := range all {
		if n := w.Zone(0).Seen(c.Session); !c.Sees(c.Avatar().ID()) || n > 4 {
			t.Errorf("%s: sees %v", c.Name, c.View())
		}
	}
	w.Zone(0).Edit(func() {
		for _, c := range all {
			w.Zone(0).Despawn(c.Avatar())
		}
	})
	w.Tick(2)
	for _, c := range all {
		if n := w.Zone(0).Seen(c.Session); n != 0 || len(c.View()) != 0 {
			t.Errorf("%s: sees %v when all are gone", c.Name, c.View())
		}
	}
}

func TestLayersHaveABitEach(t *testing.T) {
	game32 := func(kinds int) *game.Game {
		l := deltatest.Layout()
		for i := range kinds - len(l.Kinds) {
			l.Kinds = append(l.Kinds, delta.Kind{ID: 100 + uint16(i), Name: fmt.Sprint("More", i), Components: []uint16{deltatest.Transform, deltatest.Vitals}})
		}
		for i := range l.Kinds {
			l.Kinds[i].Layer = fmt.Sprint("layer_", i)
		}
		if err := l.Finish(); err != nil {
			t.Fatal(err)
		}
		c, err := delta.NewCodec(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &game.Game{Name: "onion", Schema: game.Schema{Codec: c}, OnJoin: newLab(t).OnJoin}
	}
	if _, err := game.NewZone(game32(32), game.Config{}); err == nil || !strings.Contains(err.Error(), `33 layers, that of kinds without one included, and a zone tells 32 apart`) {
		t.Errorf("33 layers: %v", err)
	}
	z := newZone(t, game32(31), game.Config{Width: 1000, EnterRadius: 300})
	z.Step([]game.Input{attach(1), join(1, 1)})
	p := player(t, z, 1)
	last, err := z.Spawn(109, 500, 500)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 31 {
		names = append(names, fmt.Sprint("layer_", i))
	}
	for n, seen := range map[int]bool{30: true, 31: false, 0: true} {
		ignore(t, z, p, names[:n]...)
		z.Step(nil)
		if _, ok := z.Visible(p, last.ID()); ok != seen || z.Seen(1) < 1 {
			t.Errorf("ignoring the first %d of 31 layers: the last is seen: %v", n, ok)
		}
	}
	if err := z.Ignore(p, append(names, "")...); err == nil || !strings.Contains(err.Error(), "all 32 layers at once") {
		t.Errorf("all layers: %v", err)
	}
}

// What comes from elsewhere may name layers that this game does not have.
func TestUnknownLayersOfOtherZonesAreRefused(t *testing.T) {
	l := zoo(t)
	z := newZone(t, l.Game, row(2)[1])
	watch := game.Input{Kind: game.Watch, Session: 5, Gateway: 1, Conn: 5, X: 990, Y: 500, Enter: 300, Leave: 330, Ignores: 1 << 3, Zone: 1}
	z.Step([]game.Input{attach(1), watch})
	if z.Visitors() != 0 || z.Stats().Refused != 1 {
		t.Errorf("%d visitors, %d refused", z.Visitors(), z.Stats().Refused)
	}
	d := departure(t, func(l *lab) {
		l.Schema = layered(t, "hero", "", "beast", "bird")
		join := l.OnJoin
		l.OnJoin = func(z *game.Zone, p *game.Player) error { return cmp.Or(join(z, p), z.Ignore(p, "bird")) }
	})
	out := z.Step([]game.Input{{Kind: game.Arrive, Payload: d.Payload}})
	if len(out.Departures) != 1 || !strings.Contains(out.Departures[0].Refused, "ignored layers, which this game does not have") || z.Len() != 0 {
		t.Errorf("%+v", out.Departures)
	}
}
