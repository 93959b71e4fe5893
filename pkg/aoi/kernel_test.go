package aoi

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// tileArena owns all that a tile points to.
type tileArena struct {
	pos   []positions
	boxes []box
	occ   []uint16
	dirty []uint8
	list  []uint32
	rows  []row
	eyes  []eyes // one
	out   []diff
	live  uint32
	moved uint32
}

// newTileArena has room for n entries and a number of target blocks.
func newTileArena(n, blocks int) *tileArena {
	return &tileArena{
		pos: make([]positions, blocks), boxes: make([]box, blocks), occ: make([]uint16, blocks), dirty: make([]uint8, blocks),
		list: make([]uint32, n), rows: make([]row, n), eyes: make([]eyes, 1), out: make([]diff, lanes*n),
	}
}

// tile points to everything.
func (a *tileArena) tile() *tile {
	return &tile{
		pos: (*float32)(unsafe.Pointer(unsafe.SliceData(a.pos))), boxes: unsafe.SliceData(a.boxes),
		occ: unsafe.SliceData(a.occ), dirty: unsafe.SliceData(a.dirty), list: unsafe.SliceData(a.list),
		rows: unsafe.SliceData(a.rows), eyes: &a.eyes[0], out: unsafe.SliceData(a.out),
		n: len(a.list), live: a.live, moved: a.moved,
	}
}

// setEye puts an eye into a block.
func setEye(e *eyes, j int, x, z, enter2, leave2 float32) {
	e.x[j], e.z[j], e.enter2[j], e.leave2[j] = x, z, enter2, leave2
	e.far2[j] = leave2*(1+1e-6) + 1e-37
	e.near2[j] = enter2*(1-1e-6) - 1e-37
}

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

// tileSource makes worlds out of bytes, and of chance when they are used up.
type tileSource struct {
	data []byte
	*rand.Rand
}

func (s *tileSource) bits() uint32 {
	if len(s.data) >= 4 {
		v := binary.LittleEndian.Uint32(s.data)
		s.data = s.data[4:]
		return v
	}
	return s.Uint32()
}

func (s *tileSource) below(n int) int { return int(s.bits()) % n }

func (s *tileSource) one(in int) bool { return s.below(in) == 0 }

// tileWorld is a kind of world.
type tileWorld struct {
	name   string
	coord  func(*tileSource) float32
	radius func(*tileSource) float32
}

// evenly is between −limit and limit.
func evenly(limit float32) func(*tileSource) float32 {
	return func(s *tileSource) float32 { return (float32(s.bits())/(1<<31) - 1) * limit }
}

// whole is an integer between −limit and limit: distances hit radii exactly.
func whole(limit int) func(*tileSource) float32 {
	return func(s *tileSource) float32 { return float32(s.below(2*limit+1) - limit) }
}

// exactly is one of some values.
func exactly(values ...float32) func(*tileSource) float32 {
	return func(s *tileSource) float32 { return values[s.below(len(values))] }
}

// anyFinite is any finite number.
func anyFinite(s *tileSource) float32 {
	v := math.Float32frombits(s.bits())
	if v-v != 0 {
		return 0
	}
	return v
}

func tileWorlds() []tileWorld {
	return []tileWorld{
		{"walk", evenly(80), exactly(50, 55, 30)},
		{"crowd", evenly(20), exactly(50, 30, 10)},
		{"lattice", whole(12), exactly(5, 10, 13, 0, 1)}, // 3-4-5, 6-8-10, 5-12-13
		{"diagonals", whole(4), exactly(math.Sqrt2, 2*math.Sqrt2, 5)},
		{"far from zero", func(s *tileSource) float32 { return 1<<24 - float32(s.below(64)) }, exactly(5, 10, 50)},
		{"vast", evenly(1 << 24), exactly(1<<23, 1<<25, 1000)},
		{"mixed radii", evenly(200), func(s *tileSource) float32 { return float32(math.Exp(float64(s.below(1000)) / 100)) }},
		{"whole world in view", evenly(1 << 24), exactly(1e19, 1e30, math.MaxFloat32)}, // r² is huge or +Inf
		{"denormal", evenly(1e-38), exactly(0, 1e-45, 1e-38, 1e-20)},
		{"tiny", evenly(1e-20), exactly(0, 1e-20, 2e-20, 1e-23)},
		{"one point", exactly(7), exactly(0, 1e-30, 3)},
		{"anything", anyFinite, func(s *tileSource) float32 { return float32(math.Abs(float64(anyFinite(s)))) }},
	}
}

// fill makes a tile, all of it at random.
func (a *tileArena) fill(s *tileSource, world tileWorld) {
	for b := range a.pos {
		a.fillBlock(s, world, b)
	}
	for i := range a.list {
		a.list[i] = uint32(s.below(len(a.pos)))
		for j := range a.rows[i] {
			switch s.below(4) {
			case 0:
				a.rows[i][j] = 0
			case 1:
				a.rows[i][j] = a.occ[a.list[i]]
			case 2:
				a.rows[i][j] = a.occ[a.list[i]] & uint16(s.bits())
			default: // holds slots that are empty now
				a.rows[i][j] = uint16(s.bits())
			}
		}
	}
	a.fillEyes(s, world)
}

func (a *tileArena) fillBlock(s *tileSource, world tileWorld, b int) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	a.dirty[b] = uint8(s.below(3)) << s.below(8)
	a.occ[b] = uint16(s.bits())
	if s.one(8) {
		a.occ[b] = 0xffff * uint16(s.below(2))
	}
	bounds := box{inf, inf, -inf, -inf}
	for slot := range lanes {
		p := &a.pos[b]
		if a.occ[b]>>slot&1 == 0 {
			p.x[slot], p.z[slot] = nan, exactly(0, 1, nan, inf, 1e30)(s)
			continue
		}
		x, z := world.coord(s), world.coord(s)
		p.x[slot], p.z[slot] = x, z
		bounds = box{min(bounds.minX, x), min(bounds.minZ, z), max(bounds.maxX, x), max(bounds.maxZ, z)}
	}
	switch s.below(4) {
	case 0:
		bounds = box{-inf, -inf, inf, inf}
	case 1: // loose
		slack := float32(math.Abs(float64(world.coord(s))))
		bounds = box{bounds.minX - slack, bounds.minZ - slack, bounds.maxX + slack, bounds.maxZ + slack}
	case 2: // loose on two sides
		bounds.minX, bounds.maxZ = min(bounds.minX, world.coord(s)), max(bounds.maxZ, world.coord(s))
	}
	a.boxes[b] = bounds
}

func (a *tileArena) fillEyes(s *tileSource, world tileWorld) {
	for j := range lanes {
		enter := world.radius(s)
		leave := max(enter, world.radius(s))
		x, z := world.coord(s), world.coord(s)
		if s.one(3) && len(a.pos) > 0 { // upon a target, or upon nothing
			if p := a.pos[s.below(len(a.pos))]; p.x[j] == p.x[j] {
				x, z = p.x[j], p.z[j]
			}
		}
		setEye(&a.eyes[0], j, x, z, enter*enter, leave*leave)
	}
	a.live, a.moved = s.bits()&0xffff, s.bits()&0xffff
	if s.one(4) {
		a.live = 0xffff
	}
	switch s.below(4) {
	case 0:
		a.moved = 0
	case 1:
		a.moved = 0xffff
	}
	for j := range lanes {
		if a.live>>j&1 == 0 && s.one(2) { // absent: nobody may look at it
			nan := float32(math.NaN())
			setEye(&a.eyes[0], j, nan, nan, -1, -1)
		} else if s.one(16) { // a radius of nothing
			setEye(&a.eyes[0], j, a.eyes[0].x[j], a.eyes[0].z[j], -1, -1)
		}
	}
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

func TestKernelsEqualThePlainRule(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
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
	for _, k := range everyKernel(t) {
		w := newTileWalk()
		diffs := 0
		for range 20 {
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

func TestKernelsFuseNothing(t *testing.T) {
	// dx² = 1+2⁻¹¹+2⁻²⁴ is rounded down to 1+2⁻¹¹. Added unrounded to
	// dz² = 2⁻²⁴, it would come to 1+2⁻¹¹+2⁻²³.
	dx, dz := float32(1+1.0/(1<<12)), float32(1.0/(1<<12))
	sum := float32(dx*dx) + float32(dz*dz)
	fused := float32(float64(dx)*float64(dx) + float64(dz)*float64(dz))
	if sum == fused {
		t.Fatalf("the example does not tell fused arithmetic: %g", sum)
	}
	for _, k := range everyKernel(t) {
		a := newTileArena(1, 1)
		inf := float32(math.Inf(1))
		a.boxes[0], a.occ[0], a.dirty[0], a.live = box{-inf, -inf, inf, inf}, 0xffff, 1, 0xffff
		for i := range lanes {
			a.pos[0].x[i], a.pos[0].z[i] = dx, dz
			setEye(&a.eyes[0], i, 0, 0, sum, sum)
		}
		if k.tile(a.tile()); a.rows[0][0] != 0xffff {
			t.Errorf("%v: sees %04x: it compares %g, want %g", k.kind, a.rows[0][0], fused, sum)
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
