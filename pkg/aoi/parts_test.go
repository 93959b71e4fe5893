package aoi

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Every set must survive whatever happens to the others: pages are shared.
func TestListsKeepEachSetApart(t *testing.T) {
	seeds, rounds := uint64(4), 3000
	if raced {
		seeds, rounds = 1, 1000
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var m lists
		sets := make([]list, 12)
		want := make([][]uint32, len(sets))
		for range rounds {
			i := rnd.IntN(len(sets))
			n := 0
			switch rnd.IntN(8) {
			case 0: // none
			case 1:
				n = pageSlots - 1 + rnd.IntN(3)
			case 2:
				n = rnd.IntN(3 * pageSlots)
			default:
				n = rnd.IntN(200)
			}
			if rnd.IntN(40) == 0 { // everybody goes: the page being written becomes empty too
				for j := range sets {
					m.release(&sets[j])
					want[j] = nil
				}
			}
			b := m.replace(&sets[i], n)
			want[i] = want[i][:0]
			for k := range n {
				slot := rnd.Uint32() >> 8
				store(b, k, slot)
				want[i] = append(want[i], slot)
			}
			for j, l := range sets {
				if int(l.n) != len(want[j]) {
					t.Fatalf("set %d has %d slots, want %d", j, l.n, len(want[j]))
				}
				if l.n == 0 {
					continue
				}
				b := m.bytes(l)
				for k, slot := range want[j] {
					if load(b, k) != slot {
						t.Fatalf("set %d slot %d is %d, want %d", j, k, load(b, k), slot)
					}
				}
			}
		}
		if len(m.sets) > 40 || len(m.large) > len(sets) {
			t.Errorf("%d pages and %d large sets for %d sets", len(m.sets), len(m.large), len(sets))
		}
	}
}

// A window walks each cell at most once however it wraps, and holds the cell of
// every position inside the circle.
func TestWindowWalksEachCellOnce(t *testing.T) {
	cfg, err := Config{MinX: -300, MinZ: -300, MaxX: 300, MaxZ: 300}.validate()
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{0, 64, 65, 1000} {
		var d index
		d.choose(n, 16, 300)
		for c := range d.cols*d.rows + 1 {
			d.start = append(d.start, c) // one slot per cell
		}
		for range 2000 {
			p := point{rnd.Float32()*600 - 300, rnd.Float32()*600 - 300}
			r := rnd.Float32() * 100
			w := d.window(p, r, &cfg)
			var cells []uint32
			for k := range w.nz {
				a, b := d.runs(w, k)
				for _, run := range []run{a, b} {
					for s := run.from; s < run.to; s++ {
						cells = append(cells, s)
					}
				}
			}
			slices.Sort(cells)
			if len(slices.Compact(slices.Clone(cells))) != len(cells) || len(cells) != int(w.nx*w.nz) {
				t.Fatalf("window %v walks a cell twice", w)
			}
			for range 20 {
				q := point{p.x + (rnd.Float32()*2-1)*r, p.z + (rnd.Float32()*2-1)*r}
				if max(q.x, -q.x, q.z, -q.z) > 300 || dist2(p, q) > r*r {
					continue
				}
				if _, ok := slices.BinarySearch(cells, d.geometry.cell(q)); !ok {
					t.Fatalf("window around %v of radius %v misses %v", p, r, q)
				}
			}
		}
	}
}
