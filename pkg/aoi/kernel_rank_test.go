package aoi

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// ranking points to one eye of an arena, with brackets around its radii, and to
// room for the verdicts.
func (a *tileArena) ranking(j int, lower float32, out []verdict) *ranking {
	e := &a.eyes[0]
	r := &ranking{
		pos: a.tile().pos, boxes: unsafe.SliceData(a.boxes), list: unsafe.SliceData(a.list), n: len(a.list),
		out: unsafe.SliceData(out), x: e.x[j], z: e.z[j],
		come: e.enter2[j], stay: e.leave2[j],
		possible: -7, sure: -7, // to be overwritten
	}
	if lower > 0 && e.enter2[j] >= 0 {
		r.sureCome, r.sureStay = r.come*lower, r.stay*lower
	} else {
		r.sureCome, r.sureStay = min(lower, r.come), min(lower, r.stay)
	}
	if len(a.rows) > 0 {
		r.rows = &a.rows[0][j]
	}
	return r
}

// plainVerdicts is what every kernel must equal: no boxes, four limits for
// each target.
func plainVerdicts(a *tileArena, j int, r *ranking) (out []verdict, possible, sure int) {
	for i, b := range a.list {
		old := a.rows[i][j]
		come, sureCome := plainCircles(&a.pos[b], r.x, r.z, r.come, r.sureCome)
		stay, sureStay := plainCircles(&a.pos[b], r.x, r.z, r.stay, r.sureStay)
		v := verdict{uint32(i), come&^old | stay&old, sureCome&^old | sureStay&old}
		possible += bits.OnesCount16(v.possible)
		sure += bits.OnesCount16(v.sure)
		if v.possible != old || v.sure != old {
			out = append(out, v)
		}
	}
	return out, possible, sure
}

// checkRank ranks for each eye of the arena, with marks around the verdicts.
func (a *tileArena) checkRank(k kernel) error {
	mark := verdict{0xA5A5, 0xA5A5, 0xA5A5}
	for j := range lanes {
		out := make([]verdict, len(a.list)+2)
		out[0], out[len(out)-1] = mark, mark
		r := a.ranking(j, []float32{0.9, 1, 0, -1}[j%4], out[1:len(out)-1])
		want, possible, sure := plainVerdicts(a, j, r)
		n := k.rank(r)
		if out[0] != mark || out[len(out)-1] != mark {
			return fmt.Errorf("%s: wrote outside of the verdicts", k.kind)
		}
		if n != len(want) || r.possible != possible || r.sure != sure {
			return fmt.Errorf("%s: eye %d of %d entries: %d undecided, %d possible, %d sure, want %d, %d, %d",
				k.kind, j, len(a.list), n, r.possible, r.sure, len(want), possible, sure)
		}
		for i, got := range out[1 : 1+n] {
			if got != want[i] {
				return fmt.Errorf("%s: eye %d: verdict %d of %d is %x, want %x", k.kind, j, i, n, got, want[i])
			}
		}
	}
	return nil
}

func TestKernelsRankLikeThePlainRule(t *testing.T) { kernelsRankLikeThePlainRule(t, 1) }

func kernelsRankLikeThePlainRule(t *testing.T, rounds int) {
	for _, world := range tileWorlds() {
		for _, k := range everyKernel(t) {
			t.Run(world.name+"/"+k.kind.String(), func(t *testing.T) {
				s := &tileSource{Rand: rand.New(rand.NewPCG(5, 6))}
				for round := range rounds * 71 {
					a := newTileArena(round%71, 1+s.below(9))
					a.fill(s, world)
					if err := a.checkRank(k); err != nil {
						t.Fatalf("round %d: %v", round, err)
					}
				}
			})
		}
	}
}

// Each slot has each of the four limits: a target exactly there is in, one
// float beyond it is out.
func TestKernelsRankExactlyAtEachLimit(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, k := range everyKernel(t) {
		for slot := range lanes {
			for limit := range 4 {
				a := newTileArena(1, 1)
				a.boxes[0] = box{-inf, -inf, inf, inf}
				for i := range lanes {
					a.pos[0].x[i] = float32(math.NaN())
				}
				a.pos[0].x[slot], a.pos[0].z[slot] = 3, 4
				a.rows[0][3] = uint16(limit&1) << slot // it was seen: other limits
				out := make([]verdict, 1)
				for _, in := range []bool{true, false} {
					at := float32(25)
					if !in {
						at = math.Nextafter32(25, 0)
					}
					r := a.ranking(3, 1, out)
					limits := [4]float32{-1, -1, -1, -1} // come, stay, and the sure ones
					limits[limit&1], limits[limit] = inf, at
					r.come, r.stay, r.sureCome, r.sureStay = limits[0], limits[1], limits[2], limits[3]
					k.rank(r)
					got := r.possible
					if limit >= 2 {
						got = r.sure
					}
					if got == 1 != in {
						t.Errorf("%v: slot %d: limit %d at %g: %d possible, %d sure", k.kind, slot, limit, at, r.possible, r.sure)
					}
				}
			}
		}
	}
}

func TestKernelsFuseNothingInRanks(t *testing.T) {
	long, short := float32(1+1.0/(1<<12)), float32(1.0/(1<<12))
	sum := float32(long*long) + float32(short*short)
	inf := float32(math.Inf(1))
	for _, k := range everyKernel(t) {
		a := newTileArena(1, 1)
		a.boxes[0] = box{-inf, -inf, inf, inf}
		for i := range lanes {
			a.pos[0].x[i], a.pos[0].z[i] = long, short
			if i%2 != 0 {
				a.pos[0].x[i], a.pos[0].z[i] = short, long
			}
		}
		a.rows[0][0] = 0x0f0f
		setEye(&a.eyes[0], 0, 0, 0, sum, sum)
		r := a.ranking(0, 1, make([]verdict, 1))
		if k.rank(r); r.possible != lanes || r.sure != lanes {
			t.Errorf("%v: %d possible, %d sure, want %d each: it does not round each square", k.kind, r.possible, r.sure, lanes)
		}
	}
}

// A list that is longer than a verdict's entry has room in 16 bits.
func TestKernelsRankListsOfAnyLength(t *testing.T) {
	const n = 1<<16 + 3
	for _, k := range everyKernel(t) {
		a := newTileArena(n, 2)
		nan := float32(math.NaN())
		for i := range lanes {
			a.pos[0].x[i], a.pos[1].x[i] = nan, nan
		}
		a.pos[1].x[5], a.list[n-1] = 0, 1
		out := make([]verdict, n)
		r := a.ranking(0, 1, out)
		r.come, r.sureCome = 1, 1
		if got := k.rank(r); got != 1 || out[0] != (verdict{n - 1, 1 << 5, 1 << 5}) {
			t.Errorf("%v: %d verdicts, the first %x", k.kind, got, out[0])
		}
	}
}

// BenchmarkRank gives nanoseconds per listed block, and how many of them are
// left undecided.
func BenchmarkRank(b *testing.B) {
	for _, kind := range Kernels() {
		b.Run(kind.String(), func(b *testing.B) {
			run, _ := kernelOf(kind)
			w := newTileWalk()
			w.look(run.tile, w.tile())
			out := make([]verdict, len(w.pos))
			blocks, undecided := 0, 0
			for b.Loop() {
				for at := range w.lists {
					a := w.arena(at)
					r := a.ranking(0, 0.7, out)
					undecided += run.rank(r)
					blocks += r.n
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(blocks), "ns/block")
			b.ReportMetric(float64(undecided)/float64(blocks), "undecided/block")
		})
	}
}
