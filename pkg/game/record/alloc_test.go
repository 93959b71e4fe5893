//go:build !race

package record_test

import (
	"io"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// TestTickAllocatesNothing records a zone whose entities all move, with inputs in every tick.
func TestTickAllocatesNothing(t *testing.T) {
	for name, c := range map[string]record.Config{"entities": {}, "world": {Detail: record.World}, "inputs": {Detail: record.Inputs}} {
		t.Run(name, func(t *testing.T) {
			g := meadow()
			z := newZone(t, g, meadowConfig())
			h := record.HeaderOf(g, z)
			c.FlushTicks, c.QueueBytes = 2, 1<<30
			h.Config = c
			r, err := record.Start(io.Discard, h)
			if err != nil {
				t.Fatal(err)
			}
			in := []game.Input{
				{Kind: game.Receive, Session: 900, Route: routeHeal, ID: 1, Payload: []byte{8, 1}},
				{Kind: game.Leave, Session: 901}, {Kind: game.Shed},
			}
			other := newZone(t, g, meadowConfig())
			for range 500 {
				z.Step(in)
				r.Tick(z, in)
				other.Step(in)
			}
			alone := testing.AllocsPerRun(200, func() { other.Step(in) })
			if n := testing.AllocsPerRun(200, func() { z.Step(in); r.Tick(z, in) }); n > alone {
				t.Errorf("%v allocations per tick, of which %v are the zone's", n, alone)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
