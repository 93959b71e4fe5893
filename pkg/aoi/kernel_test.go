package aoi

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// plainTile is the rule of visibility without any box: what every kernel
// must equal.
func plainTile(a *tileArena) (rows []row, diffs []diff) {
	rows = append(rows, a.rows...)
	for i, b := range a.list {
		need := a.live
		if a.dirty[b] == 0 {
			need &= a.moved
		}
		for j := range lanes {
			if need>>j&1 == 0 {
				continue
			}
			e := &a.eyes[0]
			enter, leave := plainCircles(&a.pos[b], e.x[j], e.z[j], e.enter2[j], e.leave2[j])
			old := rows[i][j]
			rows[i][j] = enter | leave&old
			if rows[i][j] != old {
				diffs = append(diffs, diff{uint32(i*lanes + j), old, rows[i][j]})
			}
		}
	}
	return rows, diffs
}

func plainCircles(block *positions, x, z, a2, b2 float32) (a, b uint16) {
	for s := range lanes {
		dx := block.x[s] - x
		dz := block.z[s] - z
		xx, zz := float32(dx*dx), float32(dz*dz)
		if d2 := xx + zz; d2 <= a2 {
			a |= 1 << s
		}
		if d2 := xx + zz; d2 <= b2 {
			b |= 1 << s
		}
	}
	return a, b
}

// checkTile runs a kernel over a copy of the rows and the room for diffs,
// with marks around them.
func (a *tileArena) checkTile(k kernel) error {
	const mark = 0xA5A5
	wantRows, want := plainTile(a)
	c := *a
	c.rows = make([]row, len(a.rows)+2)
	c.out = make([]diff, len(a.out)+2)
	for i := range c.out {
		c.out[i] = diff{mark, mark, mark}
	}
	for j := range lanes {
		c.rows[0][j], c.rows[len(c.rows)-1][j] = mark, mark
	}
	marks := c.rows[0]
	copy(c.rows[1:], a.rows)
	t := c.tile()
	t.rows, t.out = &c.rows[1], &c.out[1]
	n := k.tile(t)
	if c.rows[0] != marks || c.rows[len(c.rows)-1] != marks {
		return fmt.Errorf("%s: wrote outside of the rows", k.kind)
	}
	for i, got := range c.rows[1 : 1+len(a.rows)] {
		if got != wantRows[i] {
			return fmt.Errorf("%s: row %d of %d is %04x, want %04x", k.kind, i, t.n, got, wantRows[i])
		}
	}
	if n != len(want) {
		return fmt.Errorf("%s: %d diffs, want %d", k.kind, n, len(want))
	}
	for i, got := range c.out {
		expect := diff{mark, mark, mark}
		if i >= 1 && i <= n {
			expect = want[i-1]
		}
		if got != expect {
			return fmt.Errorf("%s: diff %d of %d is %x, want %x", k.kind, i-1, n, got, expect)
		}
	}
	return nil
}

// checkScan looks from each eye of the arena over its list.
func (a *tileArena) checkScan(k kernel) error {
	const mark = 0xA5A5
	out := make([][2]uint16, len(a.list)+2)
	e := &a.eyes[0]
	for j := range lanes {
		for i := range out {
			out[i] = [2]uint16{mark, mark}
		}
		k.scan(a.tile().pos, unsafe.SliceData(a.list), len(a.list), e.x[j], e.z[j], e.enter2[j], e.leave2[j], &out[1])
		for i, got := range out {
			want := [2]uint16{mark, mark}
			if i >= 1 && i <= len(a.list) {
				want[0], want[1] = plainCircles(&a.pos[a.list[i-1]], e.x[j], e.z[j], e.enter2[j], e.leave2[j])
			}
			if got != want {
				return fmt.Errorf("%s: scan from eye %d, entry %d of %d is %04x, want %04x", k.kind, j, i-1, len(a.list), got, want)
			}
		}
	}
	return nil
}

// everyKernel is the kernels of this machine.
func everyKernel(t testing.TB) (all []kernel) {
	for _, kind := range Kernels() {
		k, ok := kernelOf(kind)
		if !ok || k.kind != kind {
			t.Fatalf("kernelOf(%v) = %v, %v: Kernels lists it", kind, k.kind, ok)
		}
		all = append(all, k)
	}
	return all
}

func TestKernelsEqualThePlainRule(t *testing.T) { kernelsEqualThePlainRule(t, 1) }

func kernelsEqualThePlainRule(t *testing.T, rounds int) {
	for _, world := range tileWorlds() {
		for _, k := range everyKernel(t) {
			t.Run(world.name+"/"+k.kind.String(), func(t *testing.T) {
				s := &tileSource{Rand: rand.New(rand.NewPCG(1, 2))}
				changes := 0
				for round := range rounds * 71 {
					a := newTileArena(round%71, 1+s.below(9))
					a.fill(s, world)
					if err := a.checkTile(k); err != nil {
						t.Fatalf("round %d: %v", round, err)
					}
					if err := a.checkScan(k); round%8 == 0 && err != nil {
						t.Fatalf("round %d: %v", round, err)
					}
					_, diffs := plainTile(a)
					changes += len(diffs)
				}
				if changes == 0 {
					t.Fatal("nothing ever changed: the world tests nothing")
				}
			})
		}
	}
}

func TestKernelsFollowWalkers(t *testing.T) {
	steps := 20
	if testing.Short() || raced {
		steps = 5
	}
	for _, k := range everyKernel(t) {
		w := newTileWalk()
		diffs := 0
		for range steps {
			w.step()
			for b := range w.eyes {
				a := w.arena(b)
				if err := a.checkTile(k); err != nil {
					t.Fatal(err)
				}
				diffs += k.tile(a.tile())
			}
		}
		if diffs < w.live {
			t.Fatalf("%d diffs among %d walkers: nobody saw anybody", diffs, w.live)
		}
	}
}

// Every slot, every eye, and every place of an entry in its batch.
func TestKernelsFindALoneTarget(t *testing.T) {
	nan := float32(math.NaN())
	for _, k := range everyKernel(t) {
		for n := range 70 {
			for slot := range lanes {
				a := newTileArena(n+1, 2)
				for i := range lanes {
					a.pos[0].x[i], a.pos[1].x[i] = nan, nan
					setEye(&a.eyes[0], i, -3, -4, 25, 25)
				}
				a.dirty[1], a.live = 1, 1<<((slot+n)%lanes)
				a.list[n], a.pos[1].x[slot], a.occ[1] = 1, 0, 1<<slot
				if err := a.checkTile(k); err != nil {
					t.Fatal(err)
				}
				if got := k.tile(a.tile()); got != 1 || a.out[0].new != 1<<slot {
					t.Fatalf("%v: slot %d of entry %d: %d diffs, the first %x", k.kind, slot, n, got, a.out[0])
				}
			}
		}
	}
}

// A pair exactly at the radius is in, one float beyond it is out.
func TestKernelsAreExactAtTheRadius(t *testing.T) {
	up := func(v float32) float32 { return math.Nextafter32(v, math.MaxFloat32) }
	for _, k := range everyKernel(t) {
		a := newTileArena(1, 1)
		inf := float32(math.Inf(1))
		a.boxes[0], a.occ[0], a.dirty[0], a.live = box{-inf, -inf, inf, inf}, 0xffff, 1, 0xffff
		for slot := range lanes {
			a.pos[0].x[slot], a.pos[0].z[slot] = 3*float32(slot+1), 4*float32(slot+1)
		}
		for j := range lanes {
			r2 := 25 * float32((j+1)*(j+1))
			setEye(&a.eyes[0], j, 0, 0, r2, up(r2))
		}
		for j := range lanes {
			a.rows[0][j] = 1 << (j + 1) & 0xffff // just beyond what the eye reaches
		}
		k.tile(a.tile())
		for j, got := range a.rows[0] {
			if want := uint16(2<<j - 1); got != want {
				t.Errorf("%v: eye %d sees %04x, want %04x", k.kind, j, got, want)
			}
		}
	}
}

// (1+2⁻¹²)² = 1+2⁻¹¹+2⁻²⁴ is rounded to 1+2⁻¹¹, and that plus 2⁻²⁴ again.
// Added unrounded, whichever of the two squares is, it comes to 1+2⁻¹¹+2⁻²³.
func TestKernelsFuseNothing(t *testing.T) {
	long, short := float32(1+1.0/(1<<12)), float32(1.0/(1<<12))
	sum := float32(long*long) + float32(short*short)
	if fused := float32(float64(long)*float64(long) + float64(short)*float64(short)); sum == fused {
		t.Fatalf("the example does not tell fused arithmetic: %g", sum)
	}
	for _, k := range everyKernel(t) {
		a := newTileArena(1, 1)
		inf := float32(math.Inf(1))
		a.boxes[0], a.occ[0], a.dirty[0], a.live = box{-inf, -inf, inf, inf}, 0xffff, 1, 0xffff
		for i := range lanes {
			a.pos[0].x[i], a.pos[0].z[i] = long, short
			if i%2 != 0 {
				a.pos[0].x[i], a.pos[0].z[i] = short, long
			}
			setEye(&a.eyes[0], i, 0, 0, sum, sum)
		}
		if k.tile(a.tile()); a.rows[0][0] != 0xffff {
			t.Errorf("%v: sees %04x, want ffff: it does not round each square", k.kind, a.rows[0][0])
		}
	}
}

func FuzzKernels(f *testing.F) {
	f.Add(uint8(0), uint8(22), []byte{})
	f.Add(uint8(2), uint8(70), []byte(strings.Repeat("\x00\x00\x80\x3f", 100)))
	f.Add(uint8(11), uint8(3), []byte(strings.Repeat("\xff\xff\x7f\x7f\x01\x00\x00\x00", 100)))
	all := tileWorlds()
	f.Fuzz(func(t *testing.T, world, n uint8, data []byte) {
		s := &tileSource{data: data, Rand: rand.New(rand.NewPCG(uint64(world), uint64(n)))}
		a := newTileArena(int(n)%71, 1+s.below(5))
		a.fill(s, all[int(world)%len(all)])
		for _, k := range everyKernel(t) {
			if err := a.checkTile(k); err != nil {
				t.Fatal(err)
			}
			if err := a.checkScan(k); err != nil {
				t.Fatal(err)
			}
			if err := a.checkRank(k); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestKernelsAreNamedAndOrdered(t *testing.T) {
	names := map[Kernel]string{Auto: "auto", Portable: "portable", AVX2: "avx2", AVX512: "avx512", 9: "unknown"}
	for k, name := range names {
		if k.String() != name {
			t.Errorf("Kernel(%d) is called %q, want %q", k, k.String(), name)
		}
	}
	all := Kernels()
	if len(all) == 0 || all[0] != Portable {
		t.Fatalf("Kernels() = %v, want portable first", all)
	}
	for i := 1; i < len(all); i++ {
		if all[i] <= all[i-1] {
			t.Errorf("Kernels() = %v: not the slowest first", all)
		}
	}
	if auto, ok := kernelOf(Auto); !ok || auto.kind != all[len(all)-1] {
		t.Errorf("Auto is %v, want the last of %v", auto.kind, all)
	}
	if k, ok := kernelOf(9); ok {
		t.Errorf("Kernel(9) is %v, want none", k.kind)
	}
}

// The vector kernels and the tests count on these.
func TestLayoutOfKernelTypes(t *testing.T) {
	if size := unsafe.Sizeof(eyes{}); size != 384 {
		t.Errorf("eyes has %d bytes, want 384: six cache lines", size)
	}
	if size := unsafe.Sizeof(diff{}); size != 8 {
		t.Errorf("diff has %d bytes, want 8", size)
	}
	if size := unsafe.Sizeof(positions{}); bits.OnesCount(uint(size)) != 1 {
		t.Errorf("positions has %d bytes, want a power of two", size)
	}
}
