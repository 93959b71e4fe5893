package plains

import (
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// side of the tests' world: 100 m, with the border in the middle and a wall of 1 m from (40, 30) to (60, 31).
const side = 100 * bind.QuantaPerMetre

// zones are the two of the tests' world.
func zones(t *testing.T) []game.Config {
	t.Helper()
	all, err := World(1, side, 2)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func open(t *testing.T, cfg Config) *gametest.World {
	t.Helper()
	return gametest.Open(t, New(cfg), zones(t)...)
}

// put moves a player's hero, in metres.
func put(c *gametest.Client, x, z float64) {
	c.Zone().Edit(func() { bind.Transform(c.Avatar()).SetPos(x, z) })
}

// stand has players join and stand somewhere; one whose place is beyond the border is there afterwards.
func stand(w *gametest.World, x, z float64, names ...string) (all []*gametest.Client) {
	for _, n := range names {
		all = append(all, w.Join(n))
	}
	w.Tick(1)
	for _, c := range all {
		if x > 50 {
			put(c, 57, z)
		}
	}
	w.Tick(3)
	for _, c := range all {
		put(c, x, z)
	}
	w.Tick(2)
	return all
}

func hero(c *gametest.Client) bind.Hero { return bind.Hero{Entity: c.Avatar()} }

// blow strikes and waits for what came of it.
func blow(t *testing.T, w *gametest.World, c *gametest.Client, target game.EntityID) (int32, protocol.ErrorCode) {
	t.Helper()
	id := c.Request(bind.RouteAttack, &plainsv1.AttackRequest{Target: uint64(target)})
	w.Tick(5)
	return answer(t, c, id)
}

// answer is what came of a blow: health left, or why not.
func answer(t *testing.T, c *gametest.Client, id uint32) (int32, protocol.ErrorCode) {
	t.Helper()
	var m plainsv1.AttackResponse
	ok, err := c.Reply(id, &m)
	if !ok {
		t.Fatalf("%s was not answered", c.Name)
	}
	if e, ok := err.(*game.Error); ok {
		return 0, e.Code
	}
	return m.Hp, 0
}

// wolfAt makes a wolf that lives at a place, in metres.
func wolfAt(t *testing.T, z *game.Zone, x, y float64, hp int32) (wolf bind.Wolf) {
	t.Helper()
	z.Edit(func() {
		var err error
		if wolf, err = bind.SpawnWolf(z, x, y); err != nil {
			t.Fatal(err)
		}
		of(z).settle(wolf)
		wolf.Vitals().SetHp(hp)
	})
	return wolf
}

func speak(c *gametest.Client, text string) { c.Push(bind.RouteSay, &plainsv1.Say{Text: text}) }
