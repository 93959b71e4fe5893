//go:build linux || darwin

package aoi

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

// fenced returns room for n elements between two pages that may not be
// touched, flush with the first or with the second.
func fenced[T any](t *testing.T, n int, flushRight bool) []T {
	t.Helper()
	page := syscall.Getpagesize()
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	pages := (size+page-1)/page + 2
	m, err := syscall.Mmap(-1, 0, pages*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("map %d pages: %v", pages, err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Errorf("unmap: %v", err)
		}
	})
	for _, fence := range [][]byte{m[:page], m[len(m)-page:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatalf("fence a page: %v", err)
		}
	}
	start := page
	if flushRight {
		start = len(m) - page - size
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(m[start:]))), n)
}

// fencedTileArena is a copy of an arena with fences around each of its arrays.
func fencedTileArena(t *testing.T, a *tileArena, flushRight bool) *tileArena {
	f := &tileArena{
		pos: fenced[positions](t, len(a.pos), flushRight), boxes: fenced[box](t, len(a.boxes), flushRight),
		occ: fenced[uint16](t, len(a.occ), flushRight), dirty: fenced[uint8](t, len(a.dirty), flushRight),
		list: fenced[uint32](t, len(a.list), flushRight), rows: fenced[row](t, len(a.rows), flushRight),
		eyes: fenced[eyes](t, 1, flushRight), out: fenced[diff](t, len(a.out), flushRight),
		live: a.live, moved: a.moved,
	}
	copy(f.pos, a.pos)
	copy(f.boxes, a.boxes)
	copy(f.occ, a.occ)
	copy(f.dirty, a.dirty)
	copy(f.list, a.list)
	copy(f.rows, a.rows)
	copy(f.eyes, a.eyes)
	return f
}

// A kernel that reads or writes one byte too far kills this test.
func TestKernelsStayInBounds(t *testing.T) {
	for _, k := range everyKernel(t) {
		for _, flushRight := range []bool{false, true} {
			for _, n := range []int{0, 1, 2, 31, 32, 33, 64, 65} {
				s := &tileSource{Rand: rand.New(rand.NewPCG(3, uint64(n)))}
				a := newTileArena(n, 3)
				a.fill(s, tileWorlds()[0])
				for b := range a.dirty {
					a.dirty[b] = 1
				}
				a.live = 0xffff
				f := fencedTileArena(t, a, flushRight)
				wantRows, want := plainTile(a)
				if got := k.tile(f.tile()); got != len(want) {
					t.Fatalf("%v: %d entries: %d diffs, want %d", k.kind, n, got, len(want))
				}
				for i, r := range wantRows {
					if f.rows[i] != r {
						t.Fatalf("%v: row %d of %d is %04x, want %04x", k.kind, i, n, f.rows[i], r)
					}
				}
				out := fenced[[2]uint16](t, n, flushRight)
				k.scan(f.tile().pos, unsafe.SliceData(f.list), n, 0, 0, 2500, 3025, unsafe.SliceData(out))
				for i, got := range out {
					if x, y := plainCircles(&a.pos[a.list[i]], 0, 0, 2500, 3025); got != [2]uint16{x, y} {
						t.Fatalf("%v: scan of entry %d of %d is %04x, want %04x %04x", k.kind, i, n, got, x, y)
					}
				}
				for j := range lanes {
					checkFencedRank(t, k, f, j, flushRight)
				}
			}
		}
	}
}

// checkFencedRank ranks with fences around the verdicts too, and around what
// says where everything is.
func checkFencedRank(t *testing.T, k kernel, f *tileArena, j int, flushRight bool) {
	t.Helper()
	out := fenced[verdict](t, len(f.list), flushRight)
	r := &fenced[ranking](t, 1, flushRight)[0]
	*r = *f.ranking(j, 0.5, out)
	want, possible, sure := plainVerdicts(f, j, r)
	if got := k.rank(r); got != len(want) || !slices.Equal(out[:got], want) || r.possible != possible || r.sure != sure {
		t.Fatalf("%v: eye %d of %d entries: %d possible, %d sure, verdicts %x, want %d, %d, %x",
			k.kind, j, len(f.list), r.possible, r.sure, out[:got], possible, sure, want)
	}
}

// Every row changes: the diffs fill all the room that a tile has.
func TestKernelsStayInBoundsWhenEverythingChanges(t *testing.T) {
	for _, k := range everyKernel(t) {
		for _, n := range []int{1, 32, 40} {
			a := newTileArena(n, 1)
			a.dirty[0], a.live, a.occ[0] = 1, 0xffff, 0xffff
			for j := range lanes {
				setEye(&a.eyes[0], j, 0, 0, 1, 1)
			}
			f := fencedTileArena(t, a, true)
			if got := k.tile(f.tile()); got != lanes*n {
				t.Errorf("%v: %d diffs, want %d", k.kind, got, lanes*n)
			}
		}
	}
}
