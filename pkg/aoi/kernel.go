package aoi

// lanes is the number of slots of a block, of targets as of eyes.
const lanes = 16

// Kernel is one way of computing distances. Every kernel gives the same
// results, bit for bit; they differ in speed only.
type Kernel uint8

// The kernels, in the order of their speed.
const (
	Auto     Kernel = iota // the fastest that this machine has
	Portable               // plain Go, everywhere
	AVX2                   // amd64 with AVX2
	AVX512                 // amd64 with AVX-512 F, BW, DQ and VL
)

// String returns "auto", "portable", "avx2" or "avx512".
func (k Kernel) String() string {
	switch k {
	case Auto:
		return "auto"
	case Portable:
		return "portable"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return "unknown"
}

// Kernels returns the kernels that this machine has, the slowest first. It
// always begins with [Portable].
func Kernels() []Kernel {
	var all []Kernel
	for k := Portable; k <= AVX512; k++ {
		if _, ok := kernelOf(k); ok {
			all = append(all, k)
		}
	}
	return all
}

// kernelOf returns the functions of k; of the fastest kernel for Auto. It
// returns false if this machine has not got k.
func kernelOf(k Kernel) (kernel, bool) {
	switch k {
	case Auto:
		if found, ok := kernelOf(AVX512); ok {
			return found, true
		}
		if found, ok := kernelOf(AVX2); ok {
			return found, true
		}
		return kernelOf(Portable)
	case Portable:
		return kernel{Portable, tilePortable, scanPortable, rankPortable}, true
	}
	return vectorKernel(k)
}

// kernel is the inner loop of a space: the functions that compare distances.
type kernel struct {
	kind Kernel // never Auto
	tile tileFunc
	scan scanFunc
	rank rankFunc
}

// tileFunc brings the rows of a tile up to date, writes into out what changed,
// ordered by entry and eye, and returns how many diffs it wrote. It reads and
// writes nothing outside of what the fields of tile describe, and writes out
// only as far as it returns. [tilePortable] says what it computes.
type tileFunc func(t *tile) (diffs int)

// scanFunc writes for each of n listed blocks which of its targets have
// d² ≤ a2 and which d² ≤ b2, seen from (x, z).
type scanFunc func(pos *float32, list *uint32, n int, x, z, a2, b2 float32, out *[2]uint16)

// rankFunc counts, for an eye that sees the nearest only, the targets within
// two brackets of its bound, and writes into out the entries that these leave
// undecided, in order; it returns their number. An entry is decided if what is
// possible is sure and is what was seen: most are. It reads and writes nothing
// outside of what the fields of ranking describe. [rankPortable] says what it
// computes.
type rankFunc func(r *ranking) (undecided int)

// positions are the targets of one block. The x of an empty slot is NaN.
type positions struct{ x, z [lanes]float32 }

// box bounds a block: every target of it is inside, inclusively.
type box struct{ minX, minZ, maxX, maxZ float32 }

// row says which slots of one target block each of 16 eyes sees.
type row [lanes]uint16

// eyes is a block of observers. An absent one has the radii −1. The last two
// are for the tests of whole boxes, and have room for their rounding:
//
//	far2  at least leave2·(1 + 10⁻⁶) + 10⁻³⁷: a box beyond is out of sight
//	near2 at most  enter2·(1 − 10⁻⁶) − 10⁻³⁷: a box within is in sight
type eyes struct{ x, z, enter2, leave2, far2, near2 [lanes]float32 }

// diff is one change of a row.
type diff struct {
	at       uint32 // entry<<4 | eye
	old, new uint16 // the row's value of that eye
}

// tile is a block of eyes with all the target blocks in their reach. The
// vector kernels know the offsets of its fields on amd64.
type tile struct {
	pos   *float32 // of all target blocks, from number 0: x[16], z[16]; the x of an empty slot is NaN
	boxes *box     // of each target block
	occ   *uint16  // of each target block: its occupied slots
	dirty *uint8   // of each target block: not 0 if something in it moved, came or went
	list  *uint32  // n numbers of target blocks, the entries
	rows  *row     // n, one for each entry
	eyes  *eyes
	out   *diff  // room for 16·n
	n     int    // entries
	live  uint32 // eyes to look for, bits 0 to 15; an absent eye is not among them
	moved uint32 // eyes that moved or are new, bits 0 to 15
}

// ranking is an eye with all the target blocks in its reach. A target that the
// eye saw has other limits of d² than a newcomer. The vector kernels know the
// offsets of its fields on amd64.
type ranking struct {
	pos   *float32 // as those of tile
	boxes *box     // of each target block; a kernel may do without
	list  *uint32  // n numbers of target blocks, the entries
	rows  *uint16  // the eye's part of the first of n rows, which follow each other
	out   *verdict // room for n
	n     int      // entries
	x, z  float32

	come, stay         float32 // a newcomer, and one that was seen, is possible up to here
	sureCome, sureStay float32 // and sure up to here: not more than what is possible

	possible, sure int // results: the numbers of targets in all entries
}

// verdict is what the brackets say about an entry.
type verdict struct {
	at             uint32 // the entry
	possible, sure uint16 // slots
}
