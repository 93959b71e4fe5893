package game_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// desk is a zone with an operator, who has no session, and whoever joins.
type desk struct {
	*testing.T
	z     *game.Zone
	slept game.Timer
	got   []string // what OnGive was told
}

func sit(t *testing.T, change func(g *game.Game)) *desk {
	t.Helper()
	d := &desk{T: t}
	g := &game.Game{Name: "test", Schema: schema()}
	d.slept = g.Timer("sleep", func(*game.Zone, game.Entity, uint64) {})
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 320, 640)
		if err != nil {
			return err
		}
		setHP(e, 40)
		return z.Control(p, e)
	}
	g.OnGive = func(_ *game.Zone, p *game.Player, what string, amount int64) error {
		if what == "fame" {
			return &game.Error{Code: 1001, Message: "fame is earned"}
		}
		d.got = append(d.got, p.Name, what, string(rune('0'+amount)))
		return nil
	}
	if change != nil {
		change(g)
	}
	d.z = newZone(t, g, game.Config{Zone: 3})
	d.z.Step([]game.Input{attach(1)})
	return d
}

// operate is a command of an operator with the right "gm". It returns what came of it, and its record.
func (d *desk) operate(route uint16, m, reply proto.Message) (game.Audit, error) {
	d.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		d.Fatal(err)
	}
	out := d.z.Step([]game.Input{{Kind: game.Operate, Name: "ops", Rights: []string{"gm"}, Route: route, ID: 9, Payload: b}})
	if len(out.Operated) != 1 || len(out.Audits) != 1 || out.Operated[0].ID != 9 {
		d.Fatalf("%d answers, %d records", len(out.Operated), len(out.Audits))
	}
	a := out.Audits[0]
	if a.By != "ops" || a.Session != 0 || a.Route != route || !strings.HasPrefix(a.Name, "gm.") || (a.Err == "") != (out.Operated[0].Err == nil) {
		d.Errorf("record %+v of %v", a, out.Operated[0].Err)
	}
	if err := out.Operated[0].Err; err != nil {
		return a, err
	}
	if err := proto.Unmarshal(out.Operated[0].Payload, reply); err != nil {
		d.Fatal(err)
	}
	return a, nil
}

// refused wants a refusal with words.
func (d *desk) refused(code protocol.ErrorCode, say string, route uint16, m proto.Message) {
	d.Helper()
	_, err := d.operate(route, m, nil)
	var e *game.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, say) {
		d.Errorf("%v, want %v with %q", err, code, say)
	}
}

func TestOperatorTeleportsPlayersAndEntities(t *testing.T) {
	d := sit(t, nil)
	d.z.Step([]game.Input{join(1, 7)})
	own := player(t, d.z, 7).Avatar()
	for _, m := range []*mmov1.TeleportRequest{{Player: "player 7", X: 20, Z: 30.5}, {Player: "1007", X: 21, Z: 30.5}, {Entity: uint64(own.ID()), X: 22, Z: 30.5}} {
		x, z := own.Position()
		var was mmov1.TeleportResponse
		if _, err := d.operate(protocol.RouteTeleport, m, &was); err != nil {
			t.Fatal(err)
		}
		if was.Entity != uint64(own.ID()) || was.X != float64(x)/320 || was.Z != float64(z)/320 {
			t.Errorf("it was at %v", &was)
		}
		if x, z := own.Position(); x != int32(m.X*320) || z != 9760 {
			t.Errorf("%v: it is at %d, %d", m, x, z)
		}
	}
}

func TestCommandsThatCannotBeDoneSayWhyAndWhatToDo(t *testing.T) {
	d := sit(t, nil)
	d.refused(protocol.ErrorWrongState, `no player "bob" in zone 3: there are no players here`, protocol.RouteTeleport, &mmov1.TeleportRequest{Player: "bob"})
	var in []game.Input
	for s := game.SessionID(1); s <= 10; s++ {
		in = append(in, join(1, s))
	}
	in[8].Name = "player 1" // of the tenth too
	in[9].Name = "player 1"
	in[1].Name = "1003" // the number of another
	d.z.Step(in)
	own := uint64(player(t, d.z, 3).Avatar().ID())
	for _, c := range []struct {
		code  protocol.ErrorCode
		say   string
		route uint16
		m     proto.Message
	}{
		{protocol.ErrorWrongState, `no player "bob" in zone 3; players here: "player 1", "1003", "player 3", "player 4", "player 5", "player 6", "player 7", "player 8" and 2 more`, protocol.RouteInspect, &mmov1.InspectRequest{Player: "bob"}},
		{protocol.ErrorMalformed, `3 players in zone 3 are called "player 1": name one by its number: 1001, 1009, 1010`, protocol.RouteGive, &mmov1.GiveRequest{Player: "player 1", What: "x", Amount: 1}},
		{protocol.ErrorMalformed, "name one of them", protocol.RouteInspect, &mmov1.InspectRequest{Player: "bob", Entity: 1}},
		{protocol.ErrorMalformed, "whoever commands has no living avatar", protocol.RouteInspect, &mmov1.InspectRequest{}},
		{protocol.ErrorWrongState, "no entity 77 in zone 3: its number is of zone 1, it may live there", protocol.RouteDespawn, &mmov1.DespawnRequest{Entity: 77}},
		{protocol.ErrorWrongState, "it has died, or gone over", protocol.RouteDespawn, &mmov1.DespawnRequest{Entity: own + 1000}},
		{protocol.ErrorMalformed, "give its id", protocol.RouteDespawn, &mmov1.DespawnRequest{}},
		{protocol.ErrorWrongState, `is the avatar of player "player 3": kick the player`, protocol.RouteDespawn, &mmov1.DespawnRequest{Entity: own}},
		{protocol.ErrorWrongState, "outside", protocol.RouteTeleport, &mmov1.TeleportRequest{Entity: own, X: -5, Z: 5, Zone: 3}},
		{protocol.ErrorWrongState, "teleport to -5, 5 m: ", protocol.RouteTeleport, &mmov1.TeleportRequest{Entity: own, X: -5, Z: 5}},
		{protocol.ErrorMalformed, "no place in a world", protocol.RouteTeleport, &mmov1.TeleportRequest{Entity: own, X: math.NaN()}},
		{protocol.ErrorMalformed, "no place in a world", protocol.RouteTeleport, &mmov1.TeleportRequest{Entity: own, X: 1e9}},
		{protocol.ErrorMalformed, `no kind "Wolf"; kinds of the game: Plain1, Plain2`, protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Wolf"}},
		{protocol.ErrorMalformed, "give both", protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Plain2", X: proto.Float64(3)}},
		{protocol.ErrorMalformed, "gives x and z", protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Plain2"}},
		{protocol.ErrorWrongState, "outside", protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Plain2", X: proto.Float64(-3), Z: proto.Float64(4)}},
		{protocol.ErrorMalformed, `no component "Bag"; kind "Plain1" has Transform, Vitals`, protocol.RouteInspect, &mmov1.InspectRequest{Entity: own, Components: []string{"Bag"}}},
		{protocol.ErrorMalformed, "whoever commands is none", protocol.RouteGive, &mmov1.GiveRequest{What: "gold", Amount: 1}},
		{protocol.ErrorMalformed, "what is empty", protocol.RouteGive, &mmov1.GiveRequest{Player: "player 3", Amount: 1}},
		{protocol.ErrorMalformed, "gives nothing", protocol.RouteGive, &mmov1.GiveRequest{Player: "player 3", What: "gold"}},
		{1001, "fame is earned", protocol.RouteGive, &mmov1.GiveRequest{Player: "player 3", What: "fame", Amount: 1}},
	} {
		d.refused(c.code, c.say, c.route, c.m)
	}
	var got mmov1.GiveResponse
	if _, err := d.operate(protocol.RouteGive, &mmov1.GiveRequest{Player: "1003", What: "gold", Amount: 2}, &got); err != nil || got.Player != 1002 {
		t.Errorf("a name of digits goes before a number: %v, %v", &got, err)
	}
	d.z.Despawn(player(t, d.z, 3).Avatar())
	d.refused(protocol.ErrorWrongState, `player "player 3" has no living avatar`, protocol.RouteTeleport, &mmov1.TeleportRequest{Player: "player 3"})
}

func TestOperatorSpawnsAndDespawns(t *testing.T) {
	d := sit(t, nil)
	var made mmov1.SpawnResponse
	if _, err := d.operate(protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Bearer", X: proto.Float64(0), Z: proto.Float64(10)}, &made); err != nil {
		t.Fatal(err)
	}
	e, ok := d.z.Entity(game.EntityID(made.Entity))
	if x, z := e.Position(); !ok || e.Kind() != game.Kind(deltatest.Bearer) || x != 0 || z != 3200 {
		t.Errorf("%v at %d, %d", ok, x, z)
	}
	var gone mmov1.DespawnResponse
	if _, err := d.operate(protocol.RouteDespawn, &mmov1.DespawnRequest{Entity: made.Entity}, &gone); err != nil || gone.Kind != "Bearer" || e.Alive() {
		t.Errorf("%v, %v, alive %v", err, &gone, e.Alive())
	}
}

func TestOperatorsDoNotDespawnWhatCarriesAPlayer(t *testing.T) {
	d := sit(t, nil)
	d.z.Step([]game.Input{join(1, 7)})
	var all []game.Entity
	for range 2 {
		e, err := d.z.Spawn(2, 320, 640)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	own := player(t, d.z, 7).Avatar()
	if err := errors.Join(own.SetParent(all[1]), all[1].SetParent(all[0])); err != nil {
		t.Fatal(err)
	}
	d.refused(protocol.ErrorWrongState, fmt.Sprintf(`entity %d is the parent of entity %d, the avatar of player "player 7"`, all[0].ID(), own.ID()), protocol.RouteDespawn, &mmov1.DespawnRequest{Entity: uint64(all[0].ID())})
	d.refused(protocol.ErrorWrongState, "belongs to entity", protocol.RouteTeleport, &mmov1.TeleportRequest{Player: "player 7", X: 5, Z: 5})
	in := d.inspect(&mmov1.InspectRequest{Entity: uint64(all[1].ID())})
	if in.Parent != fmt.Sprint(all[0].ID()) || !slices.Equal(in.Children, []string{fmt.Sprint(own.ID())}) {
		t.Errorf("parent %q, children %q", in.Parent, in.Children)
	}
}

// inspected is what InspectResponse.json holds.
type inspected struct {
	Entity, Kind, Owner, Parent string
	Zone, Tick                  uint32
	Position                    struct{ X, Z float64 }
	Player                      struct {
		ID, Name  string
		Connected bool
	}
	Children []string
	Timers   []struct {
		Name, Arg string
		Ticks     uint32
	}
	Components map[string]map[string]any
}

func (d *desk) inspect(m *mmov1.InspectRequest) (in inspected) {
	d.Helper()
	var reply mmov1.InspectResponse
	if _, err := d.operate(protocol.RouteInspect, m, &reply); err != nil {
		d.Fatal(err)
	}
	if err := json.Unmarshal([]byte(reply.Json), &in); err != nil {
		d.Fatalf("%v: %s", err, reply.Json)
	}
	return in
}

func TestInspectShowsAllThereIsToKnow(t *testing.T) {
	d := sit(t, nil)
	d.z.Step([]game.Input{join(1, 7)})
	own := player(t, d.z, 7).Avatar()
	d.slept.After(own, 40, 1<<63)
	d.slept.After(own, 20, 5)
	in := d.inspect(&mmov1.InspectRequest{Player: "player 7"})
	if in.Kind != "Plain1" || in.Zone != 3 || in.Tick != d.z.Tick() || in.Position.X != 1 || in.Position.Z != 2 || in.Player.ID != "1007" || in.Player.Name != "player 7" || !in.Player.Connected {
		t.Errorf("%+v", in)
	}
	if len(in.Timers) != 2 || in.Timers[0].Ticks != 19 || in.Timers[0].Arg != "5" || in.Timers[1].Arg != "9223372036854775808" || in.Timers[1].Name != "sleep" {
		t.Errorf("timers %+v", in.Timers)
	}
	if in.Components["Vitals"]["hp"] != 40. || in.Components["Transform"]["z"] != 640. || len(in.Components) != 2 {
		t.Errorf("components %v", in.Components)
	}
	if in := d.inspect(&mmov1.InspectRequest{Entity: uint64(own.ID()), Components: []string{"Vitals"}}); len(in.Components) != 1 {
		t.Errorf("components %v", in.Components)
	}
}

// TestManualShowsWhatInspectAnswers holds the examples of both languages against the answer.
func TestManualShowsWhatInspectAnswers(t *testing.T) {
	d := sit(t, nil)
	d.z.Step([]game.Input{join(1, 7)})
	d.slept.After(player(t, d.z, 7).Avatar(), 20, 5)
	var reply mmov1.InspectResponse
	if _, err := d.operate(protocol.RouteInspect, &mmov1.InspectRequest{Player: "player 7"}, &reply); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"commands.md", "commands.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "```json\n"+reply.Json+"\n```") {
			t.Errorf("%s does not show\n%s", name, reply.Json)
		}
		for _, r := range protocol.FrameworkRoutes() {
			if row := fmt.Sprintf("\n| %d | `%s` |", r.ID, r.Name); r.Right != "" && !strings.Contains(string(text), row) {
				t.Errorf("%s has no row %q", name, row)
			}
		}
	}
}

func TestInspectShowsFieldsOfEveryAudienceAndWhatIsLacking(t *testing.T) {
	l := &delta.Layout{Name: "test", TickHz: 20, Components: []delta.Component{
		{ID: 1, Name: "Purse", Fields: []delta.Field{
			{ID: 1, Name: "seen", Type: delta.Uint32}, {ID: 2, Name: "own", Type: delta.Uint32, Audience: delta.Owner}, {ID: 3, Name: "secret", Type: delta.Uint64, Audience: delta.Server},
		}},
		{ID: 2, Name: "Wings", Fields: []delta.Field{{ID: 1, Name: "span", Type: delta.Uint32}}},
	}, Kinds: []delta.Kind{{ID: 1, Name: "Chest", Components: []uint16{1, 2}, Optional: []uint16{2}}}}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	codec, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := sit(t, func(g *game.Game) { g.Schema.Codec, g.OnJoin = codec, nil })
	e, err := d.z.Spawn(1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	e.Cell(1).Set64(2, delta.Server, 1<<40)
	in := d.inspect(&mmov1.InspectRequest{Entity: uint64(e.ID())})
	if purse := in.Components["Purse"]; len(purse) != 3 || purse["secret"] != "1099511627776" || purse["own"] != 0. {
		t.Errorf("purse %v", purse)
	}
	if wings, there := in.Components["Wings"]; !there || wings != nil {
		t.Errorf("wings that are lacking: %v, %v", wings, there)
	}
	e.Add(2)
	if wings := d.inspect(&mmov1.InspectRequest{Entity: uint64(e.ID())}).Components["Wings"]; len(wings) != 1 {
		t.Errorf("wings: %v", wings)
	}
	d.refused(protocol.ErrorWrongState, `of kind "Chest" has no place`, protocol.RouteTeleport, &mmov1.TeleportRequest{Entity: uint64(e.ID())})
}

func TestInspectOfWhatIsTooLargeNamesTheComponents(t *testing.T) {
	d := sit(t, nil)
	e, err := d.z.Spawn(game.Kind(deltatest.Bearer), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	e.Cell(deltatest.Bag).Edit(delta.AOI).V[0].B = []byte(strings.Repeat("\x01", 4000)) // six bytes of JSON each
	d.refused(protocol.ErrorTooLarge, "name some of its components: Transform, Bag, Vitals", protocol.RouteInspect, &mmov1.InspectRequest{Entity: uint64(e.ID())})
	if in := d.inspect(&mmov1.InspectRequest{Entity: uint64(e.ID()), Components: []string{"Vitals"}}); len(in.Components) != 1 {
		t.Error(in)
	}
}

func TestGamesThatGiveNothingSayIt(t *testing.T) {
	d := sit(t, func(g *game.Game) { g.OnGive = nil })
	d.refused(protocol.ErrorUnknownRoute, `game "test" hands nothing out`, protocol.RouteGive, &mmov1.GiveRequest{Player: "x", What: "gold", Amount: 1})
}

// TestPlayersWithTheRightCommandAndOthersAreRefused: on record are both.
func TestPlayersWithTheRightCommandAndOthersAreRefused(t *testing.T) {
	d := sit(t, nil)
	master := join(1, 7)
	master.Rights = []string{"spectate", "gm"}
	d.z.Step([]game.Input{master, join(1, 8)})
	own := player(t, d.z, 7).Avatar()
	out := d.z.Step([]game.Input{send(7, protocol.RouteTeleport, 3, &mmov1.TeleportRequest{X: 5, Z: 6}), send(8, protocol.RouteTeleport, 4, &mmov1.TeleportRequest{X: 5, Z: 6})})
	if x, z := own.Position(); x != 1600 || z != 1920 {
		t.Errorf("at %d, %d", x, z)
	}
	at := slices.IndexFunc(out.Messages, func(m game.Message) bool { return m.Session == 8 })
	if at < 0 {
		t.Fatal("who has not got the right is not answered")
	}
	if code, says := failure(t, out.Messages[at]); code != protocol.ErrorNotAllowed || !strings.Contains(says, `gm.teleport needs the right "gm"`) {
		t.Errorf("%v %q", code, says)
	}
	if len(out.Audits) != 2 || out.Audits[0].Err != "" || out.Audits[0].Player != 1007 || out.Audits[1].Session != 8 || !strings.Contains(out.Audits[1].Err, "right") {
		t.Errorf("records %+v", out.Audits)
	}
	out = d.z.Step([]game.Input{send(7, protocol.RouteSpawn, 5, &mmov1.SpawnRequest{Kind: "Plain2"})})
	var made mmov1.SpawnResponse
	if len(out.Messages) == 0 || proto.Unmarshal(out.Messages[0].Payload, &made) != nil {
		t.Fatalf("%+v", out.Messages)
	}
	e, _ := d.z.Entity(game.EntityID(made.Entity))
	if x, z := e.Position(); x != 1600 || z != 1920 {
		t.Errorf("without a place it is not made beside the avatar, but at %d, %d", x, z)
	}
	d.z.Step([]game.Input{send(7, protocol.RouteGive, 6, &mmov1.GiveRequest{What: "gold", Amount: 3})})
	if !slices.Equal(d.got, []string{"player 7", "gold", "3"}) {
		t.Errorf("given: %v", d.got)
	}
}

func TestArgumentsOfCommandsAreShownAsJSON(t *testing.T) {
	g := &game.Game{Name: "test"}
	b := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	long := g.Arguments(protocol.RouteGive, b(&mmov1.GiveRequest{What: strings.Repeat("金", 3000)}))
	for have, want := range map[string]string{
		g.Arguments(protocol.RouteGive, b(&mmov1.GiveRequest{Player: "bob", What: "gold", Amount: -5})): `{"player":"bob","what":"gold","amount":"-5"}`,
		g.Arguments(protocol.RouteInspect, nil):                                                         `{}`,
		g.Arguments(protocol.RouteGive, []byte{255}):                                                    "1 bytes that are no message of gm.give",
		g.Arguments(99, nil): "0 bytes for route 99, which nothing handles",
		long[:20]:            `{"what":"金金金` + "金"[:2],
	} {
		if have != want {
			t.Errorf("%s\nwant\n%s", have, want)
		}
	}
	if len(long) > 4200 || !strings.HasSuffix(long, "金… (9011 bytes)") {
		t.Errorf("%d bytes, the end is %q", len(long), long[len(long)-30:])
	}
}
