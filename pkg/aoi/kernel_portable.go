package aoi

import (
	"math"
	"math/bits"
	"unsafe"
)

// element returns element i of the array that starts at first. Kernels get
// bare pointers because the vector ones cannot take slices without loading
// what they do not need; whoever fills a tile answers for the lengths.
func element[T any](first *T, i uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(first), uintptr(i)*unsafe.Sizeof(*first)))
}

// tilePortable says what every kernel computes. Entry by entry, an eye that
// moved or whose target block did sees, of the slots of that block,
//
//	{d² ≤ enter²} ∪ ({d² ≤ leave²} ∩ what it saw)
//
// It works in two passes over a batch of entries. The first drops the pairs
// (entry, eye) that are surely out of sight of one another, and were: nearly
// half of them. The second computes distances. Neither branches on where
// anyone stands, except where a row changes, which is rare: mispredicted
// branches would cost more than the arithmetic.
func tilePortable(t *tile) int {
	var p portable
	p.listEyes(t)
	count := uint32(0)
	for from := uint32(0); from < uint32(t.n); from += portableBatch {
		found, full := p.find(t, from, min(from+portableBatch, uint32(t.n)))
		count = p.settle(t, from, p.pairs[:found], full, count)
	}
	return int(count)
}

// portableBatch is the number of entries of which pairs are found before they
// are settled. A pair's place in its batch fits into a byte.
const portableBatch = 16

// portable is the working memory of tilePortable.
type portable struct {
	// Numbers of the live eyes, and of those that moved. A loop over them
	// costs less than one over the bits of a mask.
	all, movers   [lanes]uint8
	nAll, nMovers uint32
	prepared      bool // the arrays over eyes that follow are filled

	// Squares around the eyes, each a little larger than the circle of
	// leaving. A corner is two ranks, that of x in the lower half.
	low, high [lanes]uint64

	// The squares of the radii as bounds for the bits of d².
	enter, leave [lanes]uint64

	// Of the entries of the batch, where there is any eye to look.
	blocks [portableBatch]*positions
	occ    [portableBatch]uint16

	pairs [portableBatch * lanes]uint8 // (entry − first of the batch)<<4 | eye
}

// guards are the bits above the two 31-bit numbers of a corner. Set in the
// minuend of a subtraction, each stays set unless its number borrows.
const guards = 1<<63 | 1<<31

// rank returns 31 bits that order floats: a ≤ b implies rank(a) ≤ rank(b). Two
// neighbours may share a rank. NaN has no place in the order.
func rank(v float32) uint64 {
	i := int32(math.Float32bits(v))
	i ^= int32(uint32(i>>31) >> 1) // two's complement instead of sign and magnitude
	return uint64(uint32(i)^1<<31) >> 1
}

// bound returns b such that math.Float32bits(d2) < b means d2 ≤ r2, for every
// d2 that is a NaN or not negative.
func bound(r2 float32) uint64 {
	if r2 < 0 {
		return 0
	}
	return uint64(math.Float32bits(r2)) + 1
}

func (p *portable) listEyes(t *tile) {
	for need := t.live; need != 0; need &= need - 1 {
		j := uint32(bits.TrailingZeros32(need)) % lanes
		p.all[p.nAll%lanes] = uint8(j)
		p.nAll++
		p.movers[p.nMovers%lanes] = uint8(j)
		p.nMovers += t.moved >> j & 1
	}
}

// prepare fills the arrays over eyes.
func (p *portable) prepare(e *eyes) {
	p.prepared = true
	for _, j := range p.all[:p.nAll] {
		j %= lanes
		x, z, reach := float64(e.x[j]), float64(e.z[j]), math.Sqrt(max(float64(e.far2[j]), 0))
		// One rank further out, for the rounding to float32.
		p.low[j] = max(rank(float32(x-reach)), 1) - 1 | (max(rank(float32(z-reach)), 1)-1)<<32
		p.high[j] = rank(float32(x+reach)) + 1 | (rank(float32(z+reach))+1)<<32 | guards
		p.enter[j], p.leave[j] = bound(e.enter2[j]), bound(e.leave2[j])
	}
}

// find writes down the pairs of some entries whose rows could change, and
// returns their number. It also says whether eyes that see all of a block are
// frequent, judging by one eye of each entry.
func (p *portable) find(t *tile, from, to uint32) (found uint32, full bool) {
	blocks := (*positions)(unsafe.Pointer(t.pos))
	sample := uint32(0)
	for i := from; i < to; i++ {
		b := *element(t.list, i)
		looking := p.all[:p.nAll]
		if *element(t.dirty, b) == 0 {
			looking = p.movers[:p.nMovers]
		}
		if len(looking) == 0 {
			continue
		}
		if !p.prepared {
			p.prepare(t.eyes)
		}
		at := (i - from) % portableBatch
		row, occ := element(t.rows, i), *element(t.occ, b)
		p.blocks[at], p.occ[at] = element(blocks, b), occ
		if row[looking[0]%lanes] == occ {
			sample++
		}
		found = p.meet(looking, row, element(t.boxes, b), uint8(at<<4), found)
	}
	return found, sample*4 > to-from
}

// meet writes down the eyes whose square meets a box, and those that saw
// something in it. It returns the new number of pairs.
func (p *portable) meet(looking []uint8, row *row, box *box, first uint8, found uint32) uint32 {
	low := rank(box.minX) | rank(box.minZ)<<32
	high := rank(box.maxX) | rank(box.maxZ)<<32 | guards
	for _, j := range looking {
		j %= lanes
		meets := (high - p.low[j]) & (p.high[j] - low) // both guards: they do
		p.pairs[found%(portableBatch*lanes)] = first | j
		found += uint32(meets>>63&(meets>>31) | -uint64(row[j])>>63)
	}
	return found
}

// settle computes the rows of pairs and returns the new number of diffs.
func (p *portable) settle(t *tile, from uint32, pairs []uint8, full bool, count uint32) uint32 {
	rows := (*uint16)(unsafe.Pointer(element(t.rows, from)))
	for _, pair := range pairs {
		i, j := pair/lanes, pair%lanes
		x, z := t.eyes.x[j], t.eyes.z[j]
		old, occ := *element(rows, uint32(pair)), p.occ[i]
		if full && old == occ && nearBox(element(t.boxes, *element(t.list, from+uint32(i))), x, z, t.eyes.near2[j]) {
			continue
		}
		enter, leave := circles(p.blocks[i], occ, x, z, p.enter[j], p.leave[j])
		if now := enter | leave&old; now != old {
			*element(rows, uint32(pair)) = now
			*element(t.out, count) = diff{from*lanes + uint32(pair), old, now}
			count++
		}
	}
	return count
}

// nearBox says whether all of a box is within the root of near2.
func nearBox(box *box, x, z, near2 float32) bool {
	return greaterSquare(x-box.minX, box.maxX-x)+greaterSquare(z-box.minZ, box.maxZ-z) <= near2
}

// greaterSquare returns the greater of two squares. The greater of two floats without
// a sign has the greater bits: comparing those takes no branch.
func greaterSquare(a, b float32) float32 {
	return math.Float32frombits(max(math.Float32bits(a*a), math.Float32bits(b*b)))
}

// circles returns the slots of occ within two circles, given their bounds.
func circles(block *positions, occ uint16, x, z float32, enter, leave uint64) (a, b uint16) {
	var m, n uint64
	if occ >= 1<<8 {
		if occ >= 1<<12 {
			if occ >= 1<<14 {
				m, n = circle(block.x[15]-x, block.z[15]-z, enter, leave, m, n)
				m, n = circle(block.x[14]-x, block.z[14]-z, enter, leave, m, n)
			}
			m, n = circle(block.x[13]-x, block.z[13]-z, enter, leave, m, n)
			m, n = circle(block.x[12]-x, block.z[12]-z, enter, leave, m, n)
		}
		if occ >= 1<<10 {
			m, n = circle(block.x[11]-x, block.z[11]-z, enter, leave, m, n)
			m, n = circle(block.x[10]-x, block.z[10]-z, enter, leave, m, n)
		}
		m, n = circle(block.x[9]-x, block.z[9]-z, enter, leave, m, n)
		m, n = circle(block.x[8]-x, block.z[8]-z, enter, leave, m, n)
	}
	if occ >= 1<<4 {
		m, n = circle(block.x[7]-x, block.z[7]-z, enter, leave, m, n)
		m, n = circle(block.x[6]-x, block.z[6]-z, enter, leave, m, n)
		m, n = circle(block.x[5]-x, block.z[5]-z, enter, leave, m, n)
		m, n = circle(block.x[4]-x, block.z[4]-z, enter, leave, m, n)
	}
	m, n = circle(block.x[3]-x, block.z[3]-z, enter, leave, m, n)
	m, n = circle(block.x[2]-x, block.z[2]-z, enter, leave, m, n)
	m, n = circle(block.x[1]-x, block.z[1]-z, enter, leave, m, n)
	m, n = circle(block.x[0]-x, block.z[0]-z, enter, leave, m, n)
	return uint16(m), uint16(n)
}

// circle shifts into m whether d² is within enter, and into n whether it is
// within leave. The borrow of the comparison is the carry of the shift: two
// instructions for each. The conversions forbid the compiler to fuse
// multiplication and addition.
func circle(dx, dz float32, enter, leave, m, n uint64) (uint64, uint64) {
	d2 := uint64(math.Float32bits(float32(dx*dx) + float32(dz*dz)))
	_, in := bits.Sub64(d2, enter, 0)
	m, _ = bits.Add64(m, m, in)
	_, in = bits.Sub64(d2, leave, 0)
	n, _ = bits.Add64(n, n, in)
	return m, n
}

// scanPortable says what every scan computes.
func scanPortable(pos *float32, list *uint32, n int, x, z, a2, b2 float32, out *[2]uint16) {
	blocks := (*positions)(unsafe.Pointer(pos))
	inner, outer := bound(a2), bound(b2)
	for i := uint32(0); i < uint32(n); i++ {
		a, b := circles(element(blocks, *element(list, i)), 1<<lanes-1, x, z, inner, outer)
		*element(out, i) = [2]uint16{a, b}
	}
}

// rankPortable says what every rank computes: of each entry, the slots
//
//	({d² ≤ come} less what was seen) ∪ ({d² ≤ stay} ∩ what was seen)
//
// are possible, and the same with the other two limits is sure. Boxes out of
// reach are worth a test here.
func rankPortable(r *ranking) int {
	blocks := (*positions)(unsafe.Pointer(r.pos))
	reach := float32(max(r.come, r.stay)*(1+1e-6)) + 1e-37
	come, stay, sureCome, sureStay := bound(r.come), bound(r.stay), bound(r.sureCome), bound(r.sureStay)
	undecided := uint32(0)
	r.possible, r.sure = 0, 0
	for i := uint32(0); i < uint32(r.n); i++ {
		b, old := *element(r.list, i), *element(r.rows, i*lanes)
		var possible, sure uint16
		if element(r.boxes, b).to(r.x, r.z) <= reach {
			block := element(blocks, b)
			if old != 1<<lanes-1 {
				p, q := circles(block, 1<<lanes-1, r.x, r.z, come, sureCome)
				possible, sure = p&^old, q&^old
			}
			if old != 0 {
				p, q := circles(block, 1<<lanes-1, r.x, r.z, stay, sureStay)
				possible, sure = possible|p&old, sure|q&old
			}
			r.possible += bits.OnesCount16(possible)
			r.sure += bits.OnesCount16(sure)
		}
		if possible != old || sure != old {
			*element(r.out, undecided) = verdict{i, possible, sure}
			undecided++
		}
	}
	return int(undecided)
}

// to is the square of the distance from a box to a point. There are no NaN in
// a box, and comparisons are cheaper than max.
func (b *box) to(x, z float32) float32 {
	dx, dz := float32(0), float32(0)
	if b.minX > x {
		dx = b.minX - x
	} else if x > b.maxX {
		dx = x - b.maxX
	}
	if b.minZ > z {
		dz = b.minZ - z
	} else if z > b.maxZ {
		dz = z - b.maxZ
	}
	return dx*dx + dz*dz
}
