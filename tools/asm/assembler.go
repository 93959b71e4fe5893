package main

import (
	"fmt"
	"go/types"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets within what the pointers of a tile lead to, in bytes, and sizes as
// powers of two. [checkLayout] holds them against the Go types.
const (
	lanes = 16 // slots of a block

	posShift = 7
	posZ     = 64

	boxShift = 4
	boxMinX  = 0
	boxMinZ  = 4
	boxMaxX  = 8
	boxMaxZ  = 12

	rowShift = 5

	eyeX      = 0
	eyeZ      = 64
	eyeEnter2 = 128
	eyeLeave2 = 192
	eyeFar2   = 256
	eyeNear2  = 320

	diffBytes = 8
	diffAt    = 0
	diffOld   = 4
	diffNew   = 6 // written together with diffOld

	verdictShift    = 3
	verdictAt       = 0
	verdictPossible = 4
	verdictSure     = 6 // written together with verdictPossible
)

// checkLayout returns an error if a type of pkg/aoi is not as the constants
// say.
func checkLayout(pkg *types.Package) error {
	sizes := types.SizesFor("gc", "amd64")
	for name, size := range map[string]int64{
		"positions": 1 << posShift, "box": 1 << boxShift, "row": 1 << rowShift, "diff": diffBytes, "verdict": 1 << verdictShift,
	} {
		kind, err := lookup(pkg, name)
		if err != nil {
			return err
		}
		if got := sizes.Sizeof(kind); got != size {
			return fmt.Errorf("type %s has %d bytes, the generator counts on %d: change the constants in assembler.go", name, got, size)
		}
	}
	for name, want := range map[string][]int64{
		"positions": {0, posZ},
		"box":       {boxMinX, boxMinZ, boxMaxX, boxMaxZ},
		"eyes":      {eyeX, eyeZ, eyeEnter2, eyeLeave2, eyeFar2, eyeNear2},
		"diff":      {diffAt, diffOld, diffNew},
		"verdict":   {verdictAt, verdictPossible, verdictSure},
	} {
		kind, err := lookup(pkg, name)
		if err != nil {
			return err
		}
		if got := offsets(sizes, kind); !slices.Equal(got, want) {
			return fmt.Errorf("the fields of type %s are at %d, the generator counts on %d: change the constants in assembler.go", name, got, want)
		}
	}
	return nil
}

// lookup returns what a type name of pkg/aoi stands for.
func lookup(pkg *types.Package, name string) (types.Type, error) {
	object := pkg.Scope().Lookup(name)
	if object == nil {
		return nil, fmt.Errorf("pkg/aoi/kernel.go has no type %s, which the generator needs", name)
	}
	return object.Type().Underlying(), nil
}

// offsets returns where the fields of a struct are; of another type, nothing.
func offsets(sizes types.Sizes, kind types.Type) []int64 {
	s, ok := kind.(*types.Struct)
	if !ok {
		return nil
	}
	fields := make([]*types.Var, s.NumFields())
	for i := range fields {
		fields[i] = s.Field(i)
	}
	return sizes.Offsetsof(fields)
}

// batch is the number of entries whose candidates are found before their
// distances are computed: as many as a stack frame of moderate size holds.
const batch = 32

// Predicates of the comparisons: ordered, so that NaN compares false, and
// quiet.
var (
	lessOrEqual = operand.U8(18)
	greater     = operand.U8(30)
)

// assembler is avo's context with the types of pkg/aoi.
type assembler struct {
	*build.Context
	pkg *types.Package
}

// begin starts a function of the type that pkg/aoi gives a name.
func (a *assembler) begin(name, kind string, doc ...string) {
	a.Function(name)
	signature, err := lookup(a.pkg, kind)
	if err != nil {
		panic(err) // kernel.go and this generator do not fit
	}
	a.Signature(gotypes.NewSignature(a.pkg, signature.(*types.Signature)))
	a.Pragma("noescape")
	a.Doc(doc...)
}

// tile is the argument of a tileFunc, and what lives through the whole of it.
type tile struct {
	gotypes.Component
	entry reg.GPVirtual // number of the next entry
	out   reg.GPVirtual // place of the next diff
}

// tile begins the body of a tileFunc.
func (a *assembler) tile() tile {
	t := tile{a.Dereference(a.ParamIndex(0)), a.GP64(), a.GP64()}
	a.XORL(t.entry.As32(), t.entry.As32())
	a.Load(t.Field("out"), t.out)
	return t
}

// field loads a field of the tile. Passes load what they need: all fields
// together and the temporaries would be more than there are registers.
func (a *assembler) field(t tile, name string) reg.GPVirtual {
	into := a.GP64()
	a.Load(t.Field(name), into)
	return into
}

// inMemory is a field of the tile as an operand.
func (a *assembler) inMemory(t tile, name string) operand.Mem {
	basic, err := t.Field(name).Resolve()
	if err != nil {
		panic(err) // kernel.go and this generator do not fit
	}
	return basic.Addr
}

// nextBatch leads to done if no entry is left, and otherwise returns the entry
// at which to stop the batch.
func (a *assembler) nextBatch(t tile) (end reg.GPVirtual) {
	end = a.GP64()
	n := a.field(t, "n")
	a.Label("batch")
	a.CMPQ(t.entry, n)
	a.JGE(operand.LabelRef("done"))
	a.LEAQ(operand.Mem{Base: t.entry, Disp: batch}, end)
	a.CMPQ(end, n)
	a.CMOVQGT(n, end)
	return end
}

// finish ends a tileFunc: it returns the number of diffs.
func (a *assembler) finish(t tile) {
	a.Label("done")
	a.VZEROUPPER()
	a.SUBQ(a.field(t, "out"), t.out)
	a.SHRQ(operand.Imm(3), t.out)
	a.Store(t.out, a.ReturnIndex(0))
	a.RET()
}

// eachEntry begins the loop of the first pass: it loads the entry's block and
// the eyes that need a look at it. Without any, it leads to skip.
func (a *assembler) eachEntry(t tile) (block, need reg.GPVirtual) {
	list, dirty := a.field(t, "list"), a.field(t, "dirty")
	live, moved := a.inMemory(t, "live"), a.inMemory(t, "moved")
	block, need = a.GP64(), a.GP64()
	a.Label("entry")
	a.MOVL(at(list, t.entry, 4, 0), block.As32())
	a.MOVL(live, need.As32())
	a.CMPB(at(dirty, block, 1, 0), operand.Imm(0))
	a.CMOVLEQ(moved, need.As32())
	a.ANDL(live, need.As32())
	a.JZ(operand.LabelRef("skip"))
	return block, need
}

// found is the pairs (entry, eye) of a batch whose rows could change, in
// arrays of 32 bits on the stack. Vectors are stored whole, although their last
// elements may count for nothing: 16 for each entry are room enough.
type found struct {
	n     reg.GPVirtual // number of pairs
	ids   operand.Mem   // the row<<16 | (entry − first of the batch)<<8 | eye
	at    operand.Mem   // offset of the block's positions, in 8 bytes
	masks operand.Mem   // results of the second pass, a kernel's own
	rows  operand.Mem   // of the pairs that the third pass picks: the new row<<16 | the old one
}

// pairs allots the arrays.
func (a *assembler) pairs() found {
	array := func() operand.Mem { return a.AllocLocal(4 * lanes * batch) }
	f := found{n: a.GP64(), ids: array(), at: array(), masks: array()}
	f.rows = f.at // of no use any more when the third pass begins
	return f
}

// eachPair begins the loop of the second pass.
func (a *assembler) eachPair(t tile, f found) (next, eye, block, pos, eyes reg.GPVirtual) {
	a.TESTQ(f.n, f.n)
	a.JZ(operand.LabelRef("batch"))
	pos, eyes = a.field(t, "pos"), a.field(t, "eyes")
	next, eye, block = a.GP64(), a.GP64(), a.GP64()
	a.XORL(next.As32(), next.As32())
	a.Label("pair")
	a.MOVBLZX(f.ids.Idx(next, 4), eye.As32())
	a.MOVL(f.at.Idx(next, 4), block.As32())
	return next, eye, block, pos, eyes
}

// endPair ends it.
func (a *assembler) endPair(f found, next reg.GPVirtual) {
	a.INCQ(next)
	a.CMPQ(next, f.n)
	a.JL(operand.LabelRef("pair"))
}

// report writes the rows that changed, and the diffs. The third pass has moved
// them to the front of ids and rows.
func (a *assembler) report(t tile, f found, changed reg.GPVirtual) {
	a.TESTQ(changed, changed)
	a.JZ(operand.LabelRef("batch"))
	rows, next, first := a.field(t, "rows"), a.GP64(), a.GP64()
	a.XORL(next.As32(), next.As32())
	a.LEAQ(operand.Mem{Base: t.entry, Disp: -1}, first)
	a.ANDQ(operand.I8(-batch), first)
	a.SHLQ(operand.Imm(4), first)

	a.Label("change")
	eye, pair, row := a.GP64(), a.GP64(), a.GP32()
	a.MOVBLZX(f.ids.Idx(next, 4), eye.As32())
	a.MOVBLZX(f.ids.Offset(1).Idx(next, 4), pair.As32())
	a.MOVL(f.rows.Idx(next, 4), row)
	a.SHLL(operand.Imm(4), pair.As32())
	a.ADDL(first.As32(), pair.As32())
	a.ADDL(eye.As32(), pair.As32())
	a.MOVL(pair.As32(), operand.Mem{Base: t.out, Disp: diffAt})
	a.MOVL(row, operand.Mem{Base: t.out, Disp: diffOld})
	a.SHRL(operand.Imm(16), row)
	a.MOVW(row.As16(), at(rows, pair, 2, 0))
	a.ADDQ(operand.Imm(diffBytes), t.out)
	a.INCQ(next)
	a.CMPQ(next, changed)
	a.JL(operand.LabelRef("change"))
	a.JMP(operand.LabelRef("batch"))
}

// scan is the arguments of a scanFunc.
type scan struct {
	pos, list, n, out reg.GPVirtual
	x, z, a2, b2      operand.Mem
}

// scan begins the body of a scanFunc.
func (a *assembler) scan() scan {
	pointer := func(name string) reg.GPVirtual {
		into := a.GP64()
		a.Load(a.Param(name), into)
		return into
	}
	float := func(name string) operand.Mem {
		basic, err := a.Param(name).Resolve()
		if err != nil {
			panic(err) // kernel.go and this generator do not fit
		}
		return basic.Addr
	}
	return scan{
		pos: pointer("pos"), list: pointer("list"), n: pointer("n"), out: pointer("out"),
		x: float("x"), z: float("z"), a2: float("a2"), b2: float("b2"),
	}
}

// numbers is the bytes 0 to 15.
func (a *assembler) numbers() operand.Mem {
	m := a.StaticGlobal("numbers")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range lanes {
		a.AppendDatum(operand.U8(i))
	}
	return m
}

// at is the operand base + index·scale + offset.
func at(base, index reg.Register, scale uint8, offset int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: offset}
}
