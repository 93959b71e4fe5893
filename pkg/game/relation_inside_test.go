package game

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// TestChangingParentsLeavesNothingBehind looks inside: a list that grows with every change costs time in every tick and shows nowhere.
func TestChangingParentsLeavesNothingBehind(t *testing.T) {
	z, err := NewZone(&Game{Name: "x", Schema: Schema{Codec: deltatest.Codec()}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	Hold(z)
	cart, _ := z.Spawn(1, 5, 5)
	rider, _ := z.Spawn(1, 6, 5)
	for range 100 {
		for range 2 {
			if err := rider.SetParent(cart); err != nil {
				t.Fatal(err)
			}
			if err := rider.SetParent(nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := rider.SetParent(cart); err != nil {
			t.Fatal(err)
		}
		z.Step(nil)
		if len(z.parents) != 1 {
			t.Fatalf("%d parents", len(z.parents))
		}
	}
	z.Despawn(cart)
	z.Step(nil)
	if len(z.parents) != 0 || z.Len() != 0 {
		t.Errorf("%d parents, %d entities", len(z.parents), z.Len())
	}
}
