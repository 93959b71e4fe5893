package game

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// TestWhoLeavesLeavesNoObserverBehind looks inside: an observer that nobody owns costs time in every tick and shows nowhere.
func TestWhoLeavesLeavesNoObserverBehind(t *testing.T) {
	z, err := NewZone(&Game{Name: "x", Schema: Schema{Codec: deltatest.Codec()}, OnJoin: func(z *Zone, p *Player) error {
		e, err := z.Spawn(1, 5, 5)
		if err != nil {
			return err
		}
		if _, err := z.Spectate(p, 1000); err != nil {
			return err
		}
		return z.Control(p, e)
	}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	z.Step([]Input{{Kind: AttachGateway, Gateway: 1}})
	for s := range SessionID(50) {
		z.Step([]Input{{Kind: Join, Gateway: 1, Session: s + 1, Conn: uint64(s) + 1}})
		if n := z.space.(*aoi.Space).Len(); n != 3 {
			t.Fatalf("player %d: %d entries in the interest index, want avatar, view and spectator", s, n)
		}
		z.Step([]Input{{Kind: Leave, Session: s + 1}})
	}
	for range 3 {
		z.Step(nil)
	}
	if n := z.space.(*aoi.Space).Len(); n != 0 || len(z.observer) > 10 || len(z.ents) > 3 {
		t.Errorf("%d entries in the interest index, %d places of observers, %d of entities after everyone has left", n, len(z.observer), len(z.ents))
	}
}
