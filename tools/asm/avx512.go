package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx512 writes the kernel for AVX-512 F, BW, DQ and VL: one register holds
// all 16 lanes of a block.
func (a *assembler) avx512(numbers Mem) {
	a.tile512(numbers)
	a.scan512()
	a.rank512()
}

// tile512 works in passes over a batch of entries. The first tests the box of
// each entry against all eyes at once, and writes down the pairs (entry, eye)
// whose rows could change. The second computes the distances of one pair after
// the other. The third compares the new rows with the old ones, 16 pairs at
// once, and picks those that changed. No branch depends on where anyone
// stands: a loop over the eyes of each entry would be mispredicted at the end
// of nearly every entry, and a branch for a changed row at every change.
func (a *assembler) tile512(numbers Mem) {
	a.begin("tileAVX512", "tileFunc", "tileAVX512 is a tileFunc. It needs AVX-512 F, BW, DQ and VL.")
	t := a.tile()
	f := a.pairs()
	end := a.nextBatch(t)
	a.find512(t, f, end, numbers)
	a.settle512(t, f)
	a.report(t, f, a.changed512(f, numbers))
	a.finish(t)
}

// find512 is the first pass.
func (a *assembler) find512(t tile, f found, end reg.GPVirtual, numbers Mem) {
	e := a.field(t, "eyes")
	x, z, far2, near2 := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
	a.VMOVUPS(Mem{Base: e, Disp: eyeX}, x)
	a.VMOVUPS(Mem{Base: e, Disp: eyeZ}, z)
	a.VMOVUPS(Mem{Base: e, Disp: eyeFar2}, far2)
	a.VMOVUPS(Mem{Base: e, Disp: eyeNear2}, near2)
	zero, step, ids := a.ZMM(), a.ZMM(), a.ZMM()
	a.VPXORD(zero, zero, zero)
	a.VPTERNLOGD(U8(0xff), step, step, step)
	a.VPSRLD(U8(31), step, step)
	a.VPSLLD(U8(8), step, step)
	a.VPMOVZXBD(numbers, ids)
	boxes, occ, rows := a.field(t, "boxes"), a.field(t, "occ"), a.field(t, "rows")
	a.XORL(f.n.As32(), f.n.As32())

	block, need := a.eachEntry(t)
	need512, far, near := a.K(), a.K(), a.K()
	a.KMOVW(need.As32(), need512)
	old, full := a.YMM(), a.YMM()
	a.MOVQ(t.entry, need)
	a.SHLQ(Imm(rowShift), need)
	a.VMOVDQU(at(rows, need, 1, 0), old)
	a.VPBROADCASTW(at(occ, block, 2, 0), full)

	a.Comment("Distances to the nearest and the farthest point of the box, per axis")
	a.SHLQ(Imm(boxShift), block)
	minDX, maxDX := a.axis512(at(boxes, block, 1, boxMinX), at(boxes, block, 1, boxMaxX), x, zero)
	minDZ, maxDZ := a.axis512(at(boxes, block, 1, boxMinZ), at(boxes, block, 1, boxMaxZ), z, zero)
	min2 := a.square512(minDX, minDZ)
	max2 := a.square512(maxDX, maxDZ)

	a.Comment("Far eyes that saw nothing and near ones that saw everything are done")
	a.VCMPPS(greater, far2, min2, need512, far)
	a.VCMPPS(lessOrEqual, near2, max2, need512, near)
	a.VPTESTNMW(old, old, far, far)
	a.VPCMPEQW(full, old, near, near)
	a.KORW(near, far, far)
	a.KANDNW(need512, far, need512)

	a.Comment("Write down the others")
	wide := a.ZMM()
	a.VPMOVZXWD(old, wide)
	a.VPSLLD(U8(16), wide, wide)
	a.VPORD(ids, wide, wide)
	a.VPCOMPRESSD_Z(wide, need512, wide)
	a.VMOVDQU32(wide, f.ids.Idx(f.n, 4))
	a.VPBROADCASTD(block.As32(), wide)
	a.VMOVDQU32(wide, f.at.Idx(f.n, 4))
	a.KMOVW(need512, need.As32())
	a.POPCNTL(need.As32(), need.As32())
	a.ADDQ(need, f.n)

	a.Label("skip")
	a.VPADDD(step, ids, ids)
	a.INCQ(t.entry)
	a.CMPQ(t.entry, end)
	a.JL(LabelRef("entry"))
}

// axis512 returns per eye the distances along one axis to the nearest point of
// a box and to the farthest, whose sign is of no meaning.
func (a *assembler) axis512(low, high Mem, eye, zero reg.VecVirtual) (nearest, farthest reg.VecVirtual) {
	nearest, farthest = a.ZMM(), a.ZMM()
	over := a.ZMM()
	a.VBROADCASTSS(low, nearest)
	a.VSUBPS(eye, nearest, nearest)
	a.VSUBPS_BCST(high, eye, over)
	a.VMINPS(over, nearest, farthest)
	a.VMAXPS(over, nearest, nearest)
	a.VMAXPS(zero, nearest, nearest)
	return nearest, farthest
}

// square512 returns dx² + dz², rounded after each operation. It spoils both.
func (a *assembler) square512(dx, dz reg.VecVirtual) reg.VecVirtual {
	a.VMULPS(dx, dx, dx)
	a.VMULPS(dz, dz, dz)
	a.VADDPS(dz, dx, dx)
	return dx
}

// settle512 is the second pass. It leaves the slots within the enter radius in
// the first half of f.masks, and those within the leave radius in the second,
// 16 bits each.
func (a *assembler) settle512(t tile, f found) {
	next, eye, block, pos, eyes := a.eachPair(t, f)
	d2, dz := a.ZMM(), a.ZMM()
	a.VMOVUPS(at(pos, block, 8, 0), d2)
	a.VMOVUPS(at(pos, block, 8, posZ), dz)
	a.VSUBPS_BCST(at(eyes, eye, 4, eyeX), d2, d2)
	a.VSUBPS_BCST(at(eyes, eye, 4, eyeZ), dz, dz)
	a.square512(d2, dz)
	enter, leave := a.K(), a.K()
	a.VCMPPS_BCST(lessOrEqual, at(eyes, eye, 4, eyeEnter2), d2, enter)
	a.VCMPPS_BCST(lessOrEqual, at(eyes, eye, 4, eyeLeave2), d2, leave)
	a.KMOVW(enter, f.masks.Idx(next, 2))
	a.KMOVW(leave, f.masks.Offset(2*lanes*batch).Idx(next, 2))
	a.endPair(f, next)
}

// changed512 is the third pass. It returns the number of rows that changed.
func (a *assembler) changed512(f found, numbers Mem) (changed reg.GPVirtual) {
	changed = a.GP64()
	next, n := a.GP64(), a.GP64()
	a.XORL(next.As32(), next.As32())
	a.XORL(changed.As32(), changed.As32())
	place := a.ZMM()
	a.VPMOVZXBD(numbers, place)

	a.Label("compare")
	ids, old, now, leave := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
	count, differ := a.K(), a.K()
	a.MOVQ(f.n, n)
	a.SUBQ(next, n)
	a.VPBROADCASTD(n.As32(), now)
	a.VPCMPGTD(place, now, count)
	a.VMOVDQU32(f.ids.Idx(next, 4), ids)
	a.VPSRLD(U8(16), ids, old)
	a.VPMOVZXWD(f.masks.Idx(next, 2), now)
	a.VPMOVZXWD(f.masks.Offset(2*lanes*batch).Idx(next, 2), leave)
	a.VPTERNLOGD(U8(0xf8), old, leave, now) // now | leave&old
	a.VPCMPD(U8(4), old, now, count, differ)
	a.VPSLLD(U8(16), now, now)
	a.VPORD(old, now, now)
	a.VPCOMPRESSD_Z(ids, differ, ids)
	a.VPCOMPRESSD_Z(now, differ, now)
	a.VMOVDQU32(ids, f.ids.Idx(changed, 4))
	a.VMOVDQU32(now, f.rows.Idx(changed, 4))
	a.KMOVW(differ, n.As32())
	a.POPCNTL(n.As32(), n.As32())
	a.ADDQ(n, changed)
	a.ADDQ(Imm(lanes), next)
	a.CMPQ(next, f.n)
	a.JL(LabelRef("compare"))
	return changed
}

// scan512 computes one block after the other.
func (a *assembler) scan512() {
	a.begin("scanAVX512", "scanFunc", "scanAVX512 is a scanFunc. It needs AVX-512 F.")
	s := a.scan()
	x, z, a2, b2 := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
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
	dx, dz := a.ZMM(), a.ZMM()
	a.VSUBPS(at(s.pos, block, 1, 0), x, dx)
	a.VSUBPS(at(s.pos, block, 1, posZ), z, dz)
	d2 := a.square512(dx, dz)
	ka, kb := a.K(), a.K()
	a.VCMPPS(lessOrEqual, a2, d2, ka)
	a.VCMPPS(lessOrEqual, b2, d2, kb)
	a.KMOVW(ka, at(s.out, i, 4, 0))
	a.KMOVW(kb, at(s.out, i, 4, 2))
	a.INCQ(i)
	a.Label("test")
	a.CMPQ(i, s.n)
	a.JL(LabelRef("block"))
	a.VZEROUPPER()
	a.RET()
}
