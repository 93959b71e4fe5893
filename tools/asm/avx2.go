package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx2 writes the kernel for AVX2: two registers hold the 16 lanes of a block.
func (a *assembler) avx2(numbers Mem) {
	c := constants2{
		numbers:  numbers,
		bitLists: a.bitLists(),
		order:    a.order(),
		eight:    a.repeated("eight", 8),
		step:     a.repeated("step", 1<<8),
	}
	a.tile2(c)
	a.scan2(c.order)
	a.rank2(c.order)
}

// bitLists is the numbers of the bits set in each byte value, lowest first,
// in 8 bytes each.
func (a *assembler) bitLists() Mem {
	m := a.StaticGlobal("bitLists")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for value := range 256 {
		list, n := uint64(0), 0
		for bit := range 8 {
			if value>>bit&1 != 0 {
				list |= uint64(bit) << (8 * n)
				n++
			}
		}
		a.AppendDatum(U64(list))
	}
	return m
}

// order puts the 32-bit quarters right that packing two pairs of registers
// leaves interleaved.
func (a *assembler) order() Mem {
	m := a.StaticGlobal("order")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, quarter := range []U32{0, 4, 1, 5, 2, 6, 3, 7} {
		a.AppendDatum(quarter)
	}
	return m
}

// halves are the lanes 0 to 7 and 8 to 15.
type halves [2]reg.VecVirtual

func (a *assembler) halves() halves { return halves{a.YMM(), a.YMM()} }

// loadHalves loads 16 lanes.
func (a *assembler) loadHalves(base reg.Register, offset int) halves {
	h := a.halves()
	for i := range h {
		a.VMOVUPS(Mem{Base: base, Disp: offset + 32*i}, h[i])
	}
	return h
}

// repeated is 8 times the same number of 32 bits.
func (a *assembler) repeated(name string, value uint32) Mem {
	m := a.StaticGlobal(name)
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for range 8 {
		a.AppendDatum(U32(value))
	}
	return m
}

// constants2 are in memory.
type constants2 struct{ numbers, bitLists, order, eight, step Mem }

// tile2 works like the tile for AVX-512. What that one does with mask
// registers is done with bytes: a comparison gives 0 or −1 per lane. Elements
// are picked with lists of the bits that are set in a mask.
func (a *assembler) tile2(c constants2) {
	a.begin("tileAVX2", "tileFunc", "tileAVX2 is a tileFunc. It needs AVX2 and POPCNT.")
	t := a.tile()
	f := a.pairs()
	inOrder := a.YMM()
	a.VMOVDQU(c.order, inOrder)
	end := a.nextBatch(t)
	a.find2(t, f, end, c, inOrder)
	a.settle2(t, f, inOrder)
	a.report(t, f, a.changed2(f, c))
	a.finish(t)
}

// find2 is the first pass.
func (a *assembler) find2(t tile, f found, end reg.GPVirtual, c constants2, inOrder reg.VecVirtual) {
	e, boxes, occ, rows := a.field(t, "eyes"), a.field(t, "boxes"), a.field(t, "occ"), a.field(t, "rows")
	a.XORL(f.n.As32(), f.n.As32())
	x, z := a.loadHalves(e, eyeX), a.loadHalves(e, eyeZ)
	ids, zero := a.YMM(), a.YMM()
	a.VPXOR(zero, zero, zero)
	a.VPMOVZXBD(c.numbers, ids)

	block, need := a.eachEntry(t)
	row := a.GP64()
	a.MOVQ(t.entry, row)
	a.SHLQ(Imm(rowShift), row)

	a.Comment("Eyes that saw nothing, and eyes that saw everything")
	seen, full := a.YMM(), a.YMM()
	a.VMOVDQU(at(rows, row, 1, 0), seen)
	a.VPBROADCASTW(at(occ, block, 2, 0), full)
	a.VPCMPEQW(seen, full, full)
	a.VPCMPEQW(seen, zero, seen)
	a.VPACKSSWB(full, seen, seen)
	a.VPERMQ(U8(0b11_01_10_00), seen, seen)

	a.Comment("Distances to the nearest and the farthest point of the box")
	a.SHLQ(Imm(boxShift), block)
	far, near := [2]Op{}, [2]Op{}
	e = a.field(t, "eyes") // anew: for the loop, there is no register left
	for h := range x {
		minDX, maxDX := a.axis2(at(boxes, block, 1, boxMinX), at(boxes, block, 1, boxMaxX), x[h], zero)
		minDZ, maxDZ := a.axis2(at(boxes, block, 1, boxMinZ), at(boxes, block, 1, boxMaxZ), z[h], zero)
		min2, max2 := a.square2(minDX, minDZ), a.square2(maxDX, maxDZ)
		a.VCMPPS(greater, Mem{Base: e, Disp: eyeFar2 + 32*h}, min2, min2)
		a.VCMPPS(lessOrEqual, Mem{Base: e, Disp: eyeNear2 + 32*h}, max2, max2)
		far[h], near[h] = min2, max2
	}

	places := a.YMM()
	a.VMOVD(block.As32(), places.AsX())
	a.VPBROADCASTD(places.AsX(), places)

	a.Comment("Far eyes that saw nothing and near ones that saw everything are done")
	drop := a.GP64()
	a.gather2(far, near, inOrder)
	a.VPAND(seen, far[0], seen)
	a.VPMOVMSKB(seen, drop.As32())
	a.NOTL(drop.As32())
	a.ANDL(drop.As32(), need.As32())
	a.SHRL(Imm(16), drop.As32())
	a.ANDL(drop.As32(), need.As32())

	a.Comment("Write down the others")
	a.LEAQ(c.bitLists, drop)
	a.ADDQ(rows, row)
	for h := range 2 {
		half, pick, pairs := a.GP64(), a.YMM(), a.YMM()
		a.MOVBLZX(need.As8(), half.As32())
		a.VPMOVZXBD(at(drop, half, 8, 0), pick)
		a.VPMOVZXWD(Mem{Base: row, Disp: 16 * h}, pairs)
		a.VPSLLD(U8(16), pairs, pairs)
		a.VPOR(ids, pairs, pairs)
		if h == 1 {
			a.VPOR(c.eight, pairs, pairs)
		}
		a.VPERMD(pairs, pick, pairs)
		a.VMOVDQU(pairs, f.ids.Idx(f.n, 4))
		a.VMOVDQU(places, f.at.Idx(f.n, 4))
		a.POPCNTL(half.As32(), half.As32())
		a.ADDQ(half, f.n)
		if h == 0 {
			a.SHRL(Imm(8), need.As32())
		}
	}

	a.Label("skip")
	a.VPADDD(c.step, ids, ids)
	a.INCQ(t.entry)
	a.CMPQ(t.entry, end)
	a.JL(LabelRef("entry"))
}

// axis2 does for 8 eyes what axis512 does for 16.
func (a *assembler) axis2(low, high Mem, eye, zero reg.VecVirtual) (nearest, farthest reg.VecVirtual) {
	nearest, farthest = a.YMM(), a.YMM()
	under := a.YMM()
	a.VBROADCASTSS(low, under)
	a.VBROADCASTSS(high, farthest)
	a.VSUBPS(eye, under, under)
	a.VSUBPS(farthest, eye, farthest)
	a.VMAXPS(farthest, under, nearest)
	a.VMINPS(farthest, under, farthest)
	a.VMAXPS(zero, nearest, nearest)
	return nearest, farthest
}

// square2 returns dx² + dz², rounded after each operation. It spoils both.
func (a *assembler) square2(dx, dz reg.VecVirtual) reg.VecVirtual {
	a.VMULPS(dx, dx, dx)
	a.VMULPS(dz, dz, dz)
	a.VADDPS(dz, dx, dx)
	return dx
}

// gather2 makes of the results of two comparisons, 16 lanes of 32 bits each,
// 32 bytes in p[0]: those of p, then those of q.
func (a *assembler) gather2(p, q [2]Op, inOrder reg.VecVirtual) {
	a.VPACKSSDW(p[1], p[0], p[0])
	a.VPACKSSDW(q[1], q[0], q[0])
	a.VPACKSSWB(q[0], p[0], p[0])
	a.VPERMD(p[0], inOrder, p[0])
}

// settle2 is the second pass. It leaves in f.masks the slots within the enter
// radius in the lower half, and those within the leave radius in the upper.
func (a *assembler) settle2(t tile, f found, inOrder reg.VecVirtual) {
	next, eye, block, pos, eyes := a.eachPair(t, f)
	x, z, enter2, leave2 := a.YMM(), a.YMM(), a.YMM(), a.YMM()
	a.VBROADCASTSS(at(eyes, eye, 4, eyeX), x)
	a.VBROADCASTSS(at(eyes, eye, 4, eyeZ), z)
	a.VBROADCASTSS(at(eyes, eye, 4, eyeEnter2), enter2)
	a.VBROADCASTSS(at(eyes, eye, 4, eyeLeave2), leave2)
	enter, leave := a.circles2(at(pos, block, 8, 0), x, z, enter2, leave2)
	a.gather2(enter, leave, inOrder)
	a.VPMOVMSKB(enter[0], eye.As32())
	a.MOVL(eye.As32(), f.masks.Idx(next, 4))
	a.endPair(f, next)
}

// circles2 compares the distances of the targets of a block with two limits.
func (a *assembler) circles2(block Mem, x, z, a2, b2 reg.VecVirtual) (in, on [2]Op) {
	for h := range 2 {
		dx, dz, within := a.YMM(), a.YMM(), a.YMM()
		a.VSUBPS(block.Offset(32*h), x, dx)
		a.VSUBPS(block.Offset(posZ+32*h), z, dz)
		d2 := a.square2(dx, dz)
		a.VCMPPS(lessOrEqual, a2, d2, within)
		a.VCMPPS(lessOrEqual, b2, d2, d2)
		in[h], on[h] = within, d2
	}
	return in, on
}

// changed2 is the third pass. It returns the number of rows that changed.
func (a *assembler) changed2(f found, c constants2) (changed reg.GPVirtual) {
	changed = a.GP64()
	next, n, lists := a.GP64(), a.GP64(), a.GP64()
	a.XORL(next.As32(), next.As32())
	a.XORL(changed.As32(), changed.As32())
	a.LEAQ(c.bitLists, lists)
	place, zero := a.YMM(), a.YMM()
	a.VPMOVZXBD(c.numbers, place)
	a.VPXOR(zero, zero, zero)

	a.Label("compare")
	ids, old, now, leave, count := a.YMM(), a.YMM(), a.YMM(), a.YMM(), a.YMM()
	a.MOVQ(f.n, n)
	a.SUBQ(next, n)
	a.VMOVD(n.As32(), count.AsX())
	a.VPBROADCASTD(count.AsX(), count)
	a.VPCMPGTD(place, count, count)
	a.VMOVDQU(f.ids.Idx(next, 4), ids)
	a.VPSRLD(U8(16), ids, old)
	a.VMOVDQU(f.masks.Idx(next, 4), now)
	a.VPSRLD(U8(16), now, leave)
	a.VPBLENDW(U8(0b10101010), zero, now, now)
	a.VPAND(old, leave, leave)
	a.VPOR(leave, now, now)
	a.VPCMPEQD(old, now, leave)
	a.VPANDN(count, leave, count)
	a.VMOVMSKPS(count, n.As32())
	a.VPSLLD(U8(16), now, now)
	a.VPOR(old, now, now)
	a.VPMOVZXBD(at(lists, n, 8, 0), count)
	a.VPERMD(ids, count, ids)
	a.VPERMD(now, count, now)
	a.VMOVDQU(ids, f.ids.Idx(changed, 4))
	a.VMOVDQU(now, f.rows.Idx(changed, 4))
	a.POPCNTL(n.As32(), n.As32())
	a.ADDQ(n, changed)
	a.ADDQ(Imm(8), next)
	a.CMPQ(next, f.n)
	a.JL(LabelRef("compare"))
	return changed
}

// scan2 computes one block after the other.
func (a *assembler) scan2(order Mem) {
	a.begin("scanAVX2", "scanFunc", "scanAVX2 is a scanFunc. It needs AVX2.")
	s := a.scan()
	inOrder := a.YMM()
	a.VMOVDQU(order, inOrder)
	x, z, a2, b2 := a.YMM(), a.YMM(), a.YMM(), a.YMM()
	a.VBROADCASTSS(s.x, x)
	a.VBROADCASTSS(s.z, z)
	a.VBROADCASTSS(s.a2, a2)
	a.VBROADCASTSS(s.b2, b2)
	i, block := a.GP64(), a.GP64()
	a.XORL(i.As32(), i.As32())
	a.JMP(LabelRef("test"))

	a.Label("block")
	a.MOVL(at(s.list, i, 4, 0), block.As32())
	a.SHLQ(Imm(posShift), block)
	in, on := a.circles2(at(s.pos, block, 1, 0), x, z, a2, b2)
	a.gather2(in, on, inOrder)
	a.VPMOVMSKB(in[0], block.As32())
	a.MOVL(block.As32(), at(s.out, i, 4, 0))
	a.INCQ(i)
	a.Label("test")
	a.CMPQ(i, s.n)
	a.JL(LabelRef("block"))
	a.VZEROUPPER()
	a.RET()
}
