//go:build !race

package aoi

import "testing"

func TestKernelsAllocateNothing(t *testing.T) {
	w := newTileWalk()
	tile := w.tile()
	out := make([][2]uint16, 70)
	verdicts := make([]verdict, 70)
	for _, k := range everyKernel(t) {
		if n := testing.AllocsPerRun(5, func() {
			w.step()
			w.look(k.tile, tile)
		}); n != 0 {
			t.Errorf("%v: a tick of tiles makes %v allocations, want none", k.kind, n)
		}
		if n := testing.AllocsPerRun(5, func() {
			k.scan(tile.pos, &w.lists[0][0], len(w.lists[0]), 0, 0, 2500, 3025, &out[0])
		}); n != 0 {
			t.Errorf("%v: a scan makes %v allocations, want none", k.kind, n)
		}
		r := w.arena(0).ranking(0, 0.9, verdicts)
		if n := testing.AllocsPerRun(5, func() { k.rank(r) }); n != 0 {
			t.Errorf("%v: a rank makes %v allocations, want none", k.kind, n)
		}
	}
}
