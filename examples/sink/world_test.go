package sink_test

import (
	"testing"

	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
)

// TestOneThingForTheWholeWorldIsCalledFromEveryZone is what docs/game.md advises: an entity without a place that the first zone spawns first.
func TestOneThingForTheWholeWorldIsCalledFromEveryZone(t *testing.T) {
	g := bind.NewGame()
	g.Setup = func(z *game.Zone) error {
		if z.Config().Zone != 1 {
			return nil
		}
		only, err := bind.SpawnStatue(z)
		if err == nil && only.ID() != 1 {
			t.Errorf("the first entity of zone 1 has the id %d", only.ID())
		}
		return err
	}
	var callers []game.Caller
	g.OnNudge(func(z *game.Zone, e game.Entity, from game.Caller, _ *pb.Nudge) error {
		if e.Kind() != bind.KindStatue || z.Config().Zone != 1 {
			t.Errorf("%v of zone %d was called", e.ID(), z.Config().Zone)
		}
		callers = append(callers, from)
		return nil
	})
	w := gametest.Open(t, g.Define(), game.Grid(game.Config{Width: 200 * bind.QuantaPerMetre, Height: 100 * bind.QuantaPerMetre, Seed: 1}, 2, 1)...)
	w.Tick(1)
	done := 0
	for i := range w.Zones() {
		z := w.Zone(i)
		z.Edit(func() {
			err := bind.AskNudge(z, nil, 1, &pb.Nudge{}, game.Async{}, func(err error) {
				if err == nil {
					done++
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	w.Tick(4)
	if done != 2 || len(callers) != 2 || callers[0] != (game.Caller{}) {
		t.Errorf("%d of 2 calls were answered, callers %+v", done, callers)
	}
}
