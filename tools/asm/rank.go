package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ranking is the argument of a rankFunc, and what lives through the whole of it.
type ranking struct {
	argument                gotypes.Component
	pos, list, rows, out, n reg.GPVirtual
	entry                   reg.GPVirtual // number of the next
	undecided               reg.GPVirtual // entries so far
	possible, both          reg.GPVirtual // slots so far: the possible, and those and the sure together
}

// ranking begins the body of a rankFunc.
func (a *assembler) ranking() ranking {
	argument := a.Dereference(a.ParamIndex(0))
	load := func(name string) reg.GPVirtual {
		into := a.GP64()
		a.Load(argument.Field(name), into)
		return into
	}
	zero := func() reg.GPVirtual {
		into := a.GP64()
		a.XORL(into.As32(), into.As32())
		return into
	}
	return ranking{
		argument: argument,
		pos:      load("pos"), list: load("list"), rows: load("rows"), out: load("out"), n: load("n"),
		entry: zero(), undecided: zero(), possible: zero(), both: zero(),
	}
}

// limits are an eye's place and its limits of d² in every lane.
type limits struct{ x, z, come, stay, sureCome, sureStay reg.VecVirtual }

// limits loads them into registers of one kind.
func (a *assembler) limits(r ranking, register func() reg.VecVirtual) limits {
	load := func(name string) reg.VecVirtual {
		basic, err := r.argument.Field(name).Resolve()
		if err != nil {
			panic(err) // kernel.go and this generator do not fit
		}
		into := register()
		a.VBROADCASTSS(basic.Addr, into)
		return into
	}
	return limits{load("x"), load("z"), load("come"), load("stay"), load("sureCome"), load("sureStay")}
}

// eachRow begins the loop over the entries: it loads the place of the entry's
// block and what the eye saw of it.
func (a *assembler) eachRow(r ranking) (block Mem, old reg.GPVirtual) {
	number := a.GP64()
	old = a.GP64()
	a.JMP(LabelRef("test"))
	a.Label("entry")
	a.MOVL(at(r.list, r.entry, 4, 0), number.As32())
	a.SHLQ(Imm(posShift), number)
	a.MOVWLZX(Mem{Base: r.rows}, old.As32())
	return at(r.pos, number, 1, 0), old
}

// endRow ends it, and the function: it counts the slots of both, the sure ones
// above the possible, writes both down, and keeps what it wrote if it is not
// twice what the eye saw. Nobody could foretell a branch here.
func (a *assembler) endRow(r ranking, old, both reg.GPVirtual) {
	count := a.GP64()
	a.MOVL(r.entry.As32(), at(r.out, r.undecided, 1<<verdictShift, verdictAt))
	a.MOVL(both.As32(), at(r.out, r.undecided, 1<<verdictShift, verdictPossible))
	a.IMUL3L(U32(1<<16+1), old.As32(), old.As32())
	a.SUBL(both.As32(), old.As32())
	a.NEGL(old.As32()) // carries if there is a difference
	a.ADCQ(Imm(0), r.undecided)
	a.MOVWLZX(both.As16(), count.As32())
	a.POPCNTL(count.As32(), count.As32())
	a.ADDQ(count, r.possible)
	a.POPCNTL(both.As32(), both.As32())
	a.ADDQ(both, r.both)
	a.ADDQ(Imm(1<<rowShift), r.rows)
	a.INCQ(r.entry)

	a.Label("test")
	a.CMPQ(r.entry, r.n)
	a.JL(LabelRef("entry"))
	a.VZEROUPPER()
	a.SUBQ(r.possible, r.both)
	a.Store(r.possible, r.argument.Field("possible"))
	a.Store(r.both, r.argument.Field("sure"))
	a.Store(r.undecided, a.ReturnIndex(0))
	a.RET()
}

// rank512 compares each d² with one limit, which depends on whether the target
// was seen: half the comparisons of four masks to be combined.
func (a *assembler) rank512() {
	a.begin("rankAVX512", "rankFunc", "rankAVX512 is a rankFunc. It needs AVX-512 F and BW, and POPCNT.")
	r := a.ranking()
	l := a.limits(r, a.ZMM)
	block, old := a.eachRow(r)
	seen, possible, sure := a.K(), a.K(), a.K()
	a.KMOVW(old.As32(), seen)
	d2, dz, limit, sureLimit := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
	a.VSUBPS(block, l.x, d2)
	a.VSUBPS(block.Offset(posZ), l.z, dz)
	a.square512(d2, dz)
	a.VBLENDMPS(l.stay, l.come, seen, limit)
	a.VBLENDMPS(l.sureStay, l.sureCome, seen, sureLimit)
	a.VCMPPS(lessOrEqual, limit, d2, possible)
	a.VCMPPS(lessOrEqual, sureLimit, d2, sure)
	a.KUNPCKWD(possible, sure, sure)
	both := a.GP64()
	a.KMOVD(sure, both.As32())
	a.endRow(r, old, both)
}

// rank2 does the same for 8 lanes at once.
func (a *assembler) rank2(order Mem) {
	shifts := a.shifts()
	a.begin("rankAVX2", "rankFunc", "rankAVX2 is a rankFunc. It needs AVX2 and POPCNT.")
	r := a.ranking()
	l := a.limits(r, a.YMM)
	inOrder := a.YMM()
	a.VMOVDQU(order, inOrder)
	block, old := a.eachRow(r)
	row := a.YMM()
	a.VPBROADCASTW(Mem{Base: r.rows}, row)
	possible, sure := [2]Op{}, [2]Op{}
	for h := range 2 {
		d2, dz, seen, limit := a.YMM(), a.YMM(), a.YMM(), a.YMM()
		a.VSUBPS(block.Offset(32*h), l.x, d2)
		a.VSUBPS(block.Offset(posZ+32*h), l.z, dz)
		a.square2(d2, dz)
		a.VPSLLVD(shifts.Offset(32*h), row, seen)
		a.VBLENDVPS(seen, l.stay, l.come, limit)
		a.VBLENDVPS(seen, l.sureStay, l.sureCome, seen)
		a.VCMPPS(lessOrEqual, limit, d2, limit)
		a.VCMPPS(lessOrEqual, seen, d2, seen)
		possible[h], sure[h] = limit, seen
	}
	a.gather2(possible, sure, inOrder)
	both := a.GP64()
	a.VPMOVMSKB(possible[0], both.As32())
	a.endRow(r, old, both)
}

// shifts brings bit i of a word to the top of the 32-bit lane i.
func (a *assembler) shifts() Mem {
	m := a.StaticGlobal("shifts")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for lane := range lanes {
		a.AppendDatum(U32(31 - lane))
	}
	return m
}
