package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	hellov1 "github.com/tianxia-mmo/tianxia/proto_define/hello/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/hello/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is the game of docs/game.md: the page's code is taken from it, see TestGuideShowsThisCode.

// Routes and calls that hello.proto does not declare.
const (
	routeRank uint16 = 70
	callHeal  uint16 = 1
)

// store is a database of the studio's.
type store interface {
	Rank(ctx context.Context, player uint64) (int32, error)
}

// duel is a game of heroes who set each other on fire.
type duel struct {
	*bind.Game
	burn  game.Timer
	store store
}

func newDuel(s store) *duel {
	d := &duel{Game: bind.NewGame(), store: s}
	d.burn = d.Timer("burn", d.burns) // timers, routes, calls and instances first: before any zone
	d.OnJoin(d.joins)
	d.OnRespawn(d.joins)
	d.OnMove(d.moves)
	d.OnAttack(d.attacks)
	d.OnDeath = d.dies
	d.OnLeave = func(z *game.Zone, p *game.Player) { delete(z.Data.(*scores).count, p.Session) }
	game.OnDeferred(d.Define(), protocol.Route{ID: routeRank, Name: "duel.rank"}, d.rank)
	game.OnCall(d.Define(), "heal", callHeal, d.healed)
	d.Instance("pit", func(key uint64) game.Config { return game.Config{Width: 100 * bind.QuantaPerMetre, Seed: key} })
	d.Setup = d.setUp
	return d
}

// scores are what one zone knows that belongs to no entity.
type scores struct {
	count map[game.SessionID]int
}

// setUp fills a new zone. Systems run in this order in every tick.
func (d *duel) setUp(z *game.Zone) error {
	z.Data = &scores{count: map[game.SessionID]int{}}
	z.System(z.Drift)
	z.Visit(game.Every(20).Shed(), bind.KindHero, func(e game.Entity) {
		if !e.Dead() {
			bind.Vitals(e).AddHp(1) // once a second, and less often under load
		}
	})
	return nil
}

func (d *duel) joins(_ *game.Zone, _ *game.Player, h bind.Hero) error {
	h.Vitals().SetHp(100)
	return nil
}

func (d *duel) moves(_ *game.Zone, _ *game.Player, h bind.Hero, m *hellov1.Move) error {
	h.Transform().SetVel(min(max(m.Vx, -5), 5), min(max(m.Vz, -5), 5))
	return nil
}

// attacks sets another hero on fire, if it is in view and near. What a client names is never believed.
func (d *duel) attacks(z *game.Zone, p *game.Player, h bind.Hero, m *hellov1.Attack) error {
	t, ok := z.Visible(p, game.EntityID(m.Target))
	if !ok || t.Dead() || z.Distance(h, t) > 3 {
		return &game.Error{Code: 1000, Message: "out of reach"}
	}
	t.SetOwner(h) // whose work the fire is: OnDeath asks
	d.burn.Cancel(t)
	d.burn.After(t, 1, 60)
	return bind.EmitHit(z, t, &hellov1.Hit{Target: m.Target, Damage: 60})
}

// burns takes one point, and again half a second later. It goes wherever the hero goes.
func (d *duel) burns(z *game.Zone, e game.Entity, left uint64) {
	if bind.Vitals(e).AddHp(-1) == 0 {
		z.Die(e, e.Owner(), 5*z.TickHz()) // back in five seconds
		return
	}
	if left > 1 {
		d.burn.After(e, z.TickHz()/2, left-1)
	}
}

// dies is called once, while the hero still exists.
func (d *duel) dies(z *game.Zone, _ game.Entity, by game.EntityID) {
	if killer, ok := z.Entity(by); ok && killer.Player() != nil { // it may be in another zone by now, or nowhere
		z.Data.(*scores).count[killer.Player().Session]++
	}
}

// rank asks the database, outside of the zone, and answers when it has answered.
func (d *duel) rank(z *game.Zone, p *game.Player, _ *wrapperspb.BoolValue, reply game.Reply[*wrapperspb.Int32Value]) error {
	id := p.ID // work gets copies: it runs while the zone goes on
	game.Go(z, game.Async{Name: "rank", Player: p},
		func(ctx context.Context) (int32, error) { return d.store.Rank(ctx, id) },
		func(rank int32, err error) { // in the zone again, in a later tick
			if err != nil {
				reply.Fail(err)
				return
			}
			_ = reply.Send(wrapperspb.Int32(rank))
		})
	return nil
}

// healed is what a hero does when it is called, in its own zone, whoever calls from wherever.
func (d *duel) healed(z *game.Zone, e game.Entity, from game.Caller, m *wrapperspb.Int32Value) (*wrapperspb.Int32Value, error) {
	if !z.SeenBy(from, e) || from.DistanceTo(e) > 10 {
		return nil, &game.Error{Code: 1001, Message: "too far away"}
	}
	return wrapperspb.Int32(bind.Vitals(e).AddHp(m.Value)), nil
}

// heal calls another hero by its id, in whatever zone it lives.
func heal(z *game.Zone, from bind.Hero, to game.EntityID, then func(hp int32, err error)) error {
	return game.Call(z, from, to, callHeal, wrapperspb.Int32(10), game.Async{Player: from.Player()}, func(hp *wrapperspb.Int32Value, err error) {
		then(hp.GetValue(), err)
	})
}

// descend sends a hero into a pit of its own.
func descend(z *game.Zone, h bind.Hero) error {
	return z.Transfer(h, game.Destination{Instance: "pit", Key: h.Player().ID, X: 50 * bind.QuantaPerMetre, Y: 50 * bind.QuantaPerMetre})
}

// program runs the game in a world of four zones.
func program() tianxia.App {
	return tianxia.App{Name: "duel", New: func(int) (*game.Game, []game.Config, error) {
		return newDuel(ranks{}).Define(), game.Grid(game.Config{Width: 400 * bind.QuantaPerMetre, Seed: 1}, 2, 2), nil
	}}
}

// ranks is a database of tests.
type ranks map[uint64]int32

func (r ranks) Rank(_ context.Context, player uint64) (int32, error) { return r[player], nil }

// arena opens two zones side by side, 100 m each.
func arena(t *testing.T) *gametest.World {
	size := game.Config{Width: 200 * bind.QuantaPerMetre, Height: 100 * bind.QuantaPerMetre, Seed: 1, Strict: true}
	return gametest.Open(t, newDuel(ranks{1: 7}).Define(), game.Grid(size, 2, 1)...)
}

func TestFireKillsAndHeroesComeBack(t *testing.T) {
	w := arena(t)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(1)
	w.Zone(0).Edit(func() { bind.Vitals(ben.Avatar()).SetHp(20) })
	ann.Push(bind.RouteAttack, &hellov1.Attack{Target: uint64(ben.Avatar().ID())})
	w.Tick(2)
	if hits := ben.Take(bind.RouteHit); len(hits) != 1 {
		t.Errorf("Ben was told of %d hits, want 1", len(hits))
	}
	first := ben.Avatar()
	for first.Alive() {
		w.Tick(1)
	}
	w.Tick(101)
	if h, ok := bind.HeroOf(ben.Avatar()); !ok || h.Vitals().Hp() != 100 {
		t.Error("Ben has not come back")
	}
	if n := w.Zone(0).Data.(*scores).count[ann.Session]; n != 1 {
		t.Errorf("Ann has killed %d, want 1", n)
	}
}

func TestFireGoesOnBeyondABorder(t *testing.T) {
	w := arena(t)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(1)
	ann.Push(bind.RouteAttack, &hellov1.Attack{Target: uint64(ben.Avatar().ID())})
	ben.Push(bind.RouteMove, &hellov1.Move{Vx: 5}) // 50 m to the border, beyond it 4 m more
	w.Tick(300)
	hp := bind.Vitals(ben.Avatar()).Hp()
	if ben.Zone() != w.Zone(1) || hp > 90 {
		t.Errorf("Ben is in zone %d with %d points", ben.Zone().Config().Zone, hp)
	}
}

func TestRankIsAskedOfTheDatabase(t *testing.T) {
	w := arena(t)
	ann := w.Join("Ann")
	w.Tick(1)
	id := ann.Request(routeRank, wrapperspb.Bool(true))
	w.Tick(2)
	var rank wrapperspb.Int32Value
	if ok, err := ann.Reply(id, &rank); !ok || err != nil || rank.Value != 7 {
		t.Errorf("answered %v, %v, with rank %d", ok, err, rank.Value)
	}
}

func TestHealingReachesAcrossABorder(t *testing.T) {
	w := arena(t)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(1)
	border := int32(100 * bind.QuantaPerMetre)
	w.Zone(0).Edit(func() {
		ann.Avatar().SetPosition(border-bind.QuantaPerMetre, border/2)
		if err := w.Zone(0).Transfer(ben.Avatar(), game.Destination{X: border + 5*bind.QuantaPerMetre, Y: border / 2}); err != nil {
			t.Fatal(err)
		}
		bind.Vitals(ben.Avatar()).SetHp(40)
	})
	w.Tick(5)
	hp := int32(0)
	w.Zone(0).Edit(func() {
		h, _ := bind.HeroOf(ann.Avatar())
		if err := heal(w.Zone(0), h, ben.Avatar().ID(), func(left int32, err error) { hp = left }); err != nil {
			t.Fatal(err)
		}
	})
	w.Tick(4)
	if ben.Zone() != w.Zone(1) || hp < 50 || hp > 52 {
		t.Errorf("Ben is in zone %d and has %d points", ben.Zone().Config().Zone, hp)
	}
}

func TestEveryHeroHasItsPit(t *testing.T) {
	w := arena(t)
	ann, ben := w.Join("Ann"), w.Join("Ben")
	w.Tick(1)
	w.Zone(0).Edit(func() {
		for h := range bind.Heroes(w.Zone(0)) {
			if err := descend(w.Zone(0), h); err != nil {
				t.Error(err)
			}
		}
	})
	w.Tick(2)
	if w.Zones() != 4 || ann.Zone() == ben.Zone() {
		t.Errorf("%d zones", w.Zones())
	}
}

func TestProgramHasAWorldOfFourZones(t *testing.T) {
	g, zones, err := program().New(0)
	if err != nil {
		t.Fatal(err)
	}
	w := gametest.Open(t, g, zones...)
	for i := range 4 {
		if n := len(game.NeighboursOf(w.Zone(i).Config(), zones, 0)); n != 3 {
			t.Errorf("zone %d has %d neighbours, want 3", i+1, n)
		}
	}
}

func TestSameInputsGiveTheSameHash(t *testing.T) {
	run := func() uint64 {
		w := arena(t)
		ann, ben := w.Join("Ann"), w.Join("Ben")
		w.Tick(1)
		ann.Push(bind.RouteAttack, &hellov1.Attack{Target: uint64(ben.Avatar().ID())})
		w.Tick(100)
		return w.Zone(0).Hash()
	}
	if first, second := run(), run(); first != second {
		t.Error("the rules are not deterministic: map order, time, global chance or goroutines")
	}
}

// TestGuideShowsThisCode holds docs/game.md to code that compiles and schemas that are there.
func TestGuideShowsThisCode(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	blocks := func(text, kind string) (found []string) {
		for _, piece := range strings.Split(text, "\n```"+kind+"\n")[1:] {
			block, _, _ := strings.Cut(piece, "\n```")
			found = append(found, block)
		}
		return found
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	english, chinese := read("../../docs/game.md"), read("../../docs/game.zh-CN.md")
	for kind, source := range map[string]string{"go": read("guide_test.go") + read("main.go"), "proto": read("../../proto_define/hello/v1/hello.proto")} {
		all := blocks(english, kind)
		if len(all) == 0 || !slices.Equal(all, blocks(chinese, kind)) {
			t.Errorf("the %s blocks of the two pages differ: copy those of the English one", kind)
		}
		for _, block := range all {
			if !strings.Contains(flat(source), flat(block)) {
				t.Errorf("this block of docs/game.md is not in the code, so nobody knows that it works:\n%s", block)
			}
		}
	}
	headings := regexp.MustCompile(`(?m)^#+ `)
	if a, b := headings.FindAllString(english, -1), headings.FindAllString(chinese, -1); !slices.Equal(a, b) {
		t.Errorf("the headings of the two pages differ: %q and %q", a, b)
	}
}
