package aoi

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
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
