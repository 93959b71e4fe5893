package sink_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// wolves is game data with one monster that has so many hit points.
func wolves(hp string) fstest.MapFS {
	return fstest.MapFS{
		"monsters.csv": {Data: []byte("id,name,hp,drop\n7,Wolf," + hp + ",fur\n")},
		"items.yaml":   {Data: []byte("fur: {price: 12, against: [7]}\n")},
		"tempers.yaml": {Data: []byte("SAD: {pulse: [50]}\n")},
	}
}

func TestAZoneHasItsTablesAndTakesOthersBetweenTicks(t *testing.T) {
	g := bind.NewGame()
	var seen []int32
	g.Setup = func(z *game.Zone) error {
		z.System(func() {
			if wolf, ok := bind.TablesOf(z).Monsters.Of(7); ok {
				seen = append(seen, wolf.Hp)
			}
		})
		return nil
	}
	first, err := bind.LoadTables(wolves("30"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := game.NewZone(g.Game, game.Config{Zone: 1, Tables: first.Set()})
	if err != nil {
		t.Fatal(err)
	}
	z.Step(nil)
	second, err := tables.Load(wolves("45"), g.Schema.Tables)
	if err != nil {
		t.Fatal(err)
	}
	z.Step([]game.Input{{Kind: game.UseTables, Payload: second.Append(nil)}})
	z.Step([]game.Input{{Kind: game.UseTables, Payload: []byte("no tables")}})
	if len(seen) != 3 || seen[0] != 30 || seen[1] != 45 || seen[2] != 45 {
		t.Errorf("the system saw %v, want 30, 45, 45: what does not parse changes nothing", seen)
	}
	if z.Tables().Fingerprint() != second.Fingerprint() || !first.Set().Schema().Equal(g.Schema.Tables) {
		t.Error("the zone has other tables than it was given")
	}
}

func TestAZoneWithoutTablesSaysWhatToDo(t *testing.T) {
	z, err := game.NewZone(bind.NewGame().Game, game.Config{Zone: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "put their Set() into game.Config.Tables") {
			t.Errorf("it said %v", r)
		}
	}()
	bind.TablesOf(z)
}
