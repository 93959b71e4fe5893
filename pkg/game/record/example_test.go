package record_test

import (
	"bytes"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Example records a small game, replays it, and then replays it after somebody has changed a rule.
func Example() {
	regain := uint32(1)
	g := &game.Game{Name: "infirmary", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Setup = func(z *game.Zone) error {
		patient, err := z.Spawn(1, 100, 100)
		if err != nil {
			return err
		}
		z.System(func() {
			health := patient.Cell(deltatest.Vitals) // generated bindings say bind.Vitals(patient).AddHp(…)
			health.Set(0, delta.AOI, health.W(0)+regain*(z.Tick()/3))
		})
		return nil
	}
	z, err := game.NewZone(g, game.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer // record.Open makes a real one
	r, err := record.Start(&file, record.HeaderOf(g, z))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5 {
		inputs := []game.Input{{Kind: game.AttachGateway, Gateway: 1}}
		z.Step(inputs)
		r.Tick(z, inputs)
	}
	if err := r.Close(); err != nil {
		fmt.Println(err)
		return
	}

	rep, err := record.Replay(bytes.NewReader(file.Bytes()), g, record.Options{})
	fmt.Println(rep.Ticks, rep.Hash == z.Hash(), rep.Difference == nil, err)

	regain = 2
	rep, err = record.Replay(bytes.NewReader(file.Bytes()), g, record.Options{})
	d := rep.Difference.Entities[0]
	fmt.Println("tick", rep.Difference.Tick, d.Replayed.Name, d.Replayed.Entity, err)
	fmt.Println(d.State)
	// Output:
	// 5 true true <nil>
	// tick 3 Plain1 1 <nil>
	// everyone {"tick":3,"Transform":{"x":100,"z":100,"vx":0,"vz":0,"yaw":0},"Vitals":{"hp":2}}
}
