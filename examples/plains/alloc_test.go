//go:build !race

package plains

import (
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestAPeacefulTickAllocatesNothing(t *testing.T) {
	cfg := zones(t)[0]
	z, err := game.NewZone(New(Config{Walkers: 200, Wolves: 20, Coins: 50, Den: true}), cfg)
	if err != nil {
		t.Fatal(err)
	}
	z.Step([]game.Input{{Kind: game.AttachGateway, Gateway: 1}})
	p := enter(z, 7)
	z.Edit(func() { p.Avatar().SetPosition(100, 100) })
	z.Step([]game.Input{input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 1, Vx: 1})})
	for range 300 {
		z.Step(nil)
	}
	if n := testing.AllocsPerRun(300, func() { z.Step(nil) }); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
}
