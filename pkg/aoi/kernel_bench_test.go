package aoi

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// tileWalk is a world for the benchmarks: everyone is target and observer, 50
// of them within 50 units, blocks of 40 units and 3 units of skin around.
type tileWalk struct {
	pos   []positions
	vel   []positions
	boxes []box
	occ   []uint16
	dirty []uint8
	eyes  []eyes
	lists [][]uint32
	rows  [][]row
	out   []diff
	live  int
	rand  *rand.Rand
}

const (
	tileWalkSide = 20 // blocks
	tileWalkCell = 40
	tileWalkSkin = 3
	tileWalkStep = 0.25
)

func newTileWalk() *tileWalk {
	w := &tileWalk{rand: rand.New(rand.NewPCG(1, 2))}
	n := tileWalkSide * tileWalkSide
	w.pos, w.vel, w.boxes = make([]positions, n), make([]positions, n), make([]box, n)
	w.occ, w.dirty, w.eyes = make([]uint16, n), make([]uint8, n), make([]eyes, n)
	for b := range w.pos {
		w.settle(b)
	}
	longest := 0
	for b := range w.pos {
		list := w.reach(b)
		w.lists = append(w.lists, list)
		w.rows = append(w.rows, make([]row, len(list)))
		longest = max(longest, len(list))
	}
	w.out = make([]diff, lanes*longest)
	return w
}

// settle fills a block with as many walkers as 50 in view need on average,
// around two holes.
func (w *tileWalk) settle(b int) {
	minX, minZ := float32(b%tileWalkSide*tileWalkCell), float32(b/tileWalkSide*tileWalkCell)
	w.boxes[b] = box{minX - tileWalkSkin, minZ - tileWalkSkin, minX + tileWalkCell + tileWalkSkin, minZ + tileWalkCell + tileWalkSkin}
	w.dirty[b] = 1
	count := 0
	for range 1000 { // binomial: about Poisson
		if w.rand.Float64() < 50/(3.14159*50*50)*tileWalkCell*tileWalkCell/1000 {
			count++
		}
	}
	count = min(count, lanes)
	w.live += count
	e := &w.eyes[b]
	hole1, hole2 := -1, -1
	if count+2 <= lanes {
		hole1, hole2 = w.rand.IntN(count+2), w.rand.IntN(count+2)
	}
	for s := range lanes {
		e.enter2[s], e.leave2[s], e.far2[s], e.near2[s] = -1, -1, -1, -1
		w.pos[b].x[s], w.pos[b].z[s] = float32(math.NaN()), 0
		if s == hole1 || s == hole2 || count == 0 {
			continue
		}
		count--
		w.occ[b] |= 1 << s
		w.pos[b].x[s], w.pos[b].z[s] = minX+w.rand.Float32()*tileWalkCell, minZ+w.rand.Float32()*tileWalkCell
		w.vel[b].x[s], w.vel[b].z[s] = float32(w.rand.NormFloat64()*tileWalkStep*0.7), float32(w.rand.NormFloat64()*tileWalkStep*0.7)
		setEye(e, s, w.pos[b].x[s], w.pos[b].z[s], 50*50, 55*55)
	}
}

// reach lists the blocks that some eye of block b may see.
func (w *tileWalk) reach(b int) (list []uint32) {
	for c := range w.pos {
		dx := max(w.boxes[b].minX-w.boxes[c].maxX, w.boxes[c].minX-w.boxes[b].maxX, 0)
		dz := max(w.boxes[b].minZ-w.boxes[c].maxZ, w.boxes[c].minZ-w.boxes[b].maxZ, 0)
		if dx*dx+dz*dz <= 55*55 {
			list = append(list, uint32(c))
		}
	}
	return list
}

// step moves everyone, between the walls of their block.
func (w *tileWalk) step() {
	for b := range w.pos {
		p, v, box := &w.pos[b], &w.vel[b], &w.boxes[b]
		for s := range lanes {
			if w.occ[b]>>s&1 == 0 {
				continue
			}
			if x := p.x[s] + v.x[s]; x < box.minX || x > box.maxX {
				v.x[s] = -v.x[s]
			}
			if z := p.z[s] + v.z[s]; z < box.minZ || z > box.maxZ {
				v.z[s] = -v.z[s]
			}
			p.x[s], p.z[s] = p.x[s]+v.x[s], p.z[s]+v.z[s]
			w.eyes[b].x[s], w.eyes[b].z[s] = p.x[s], p.z[s]
		}
	}
}

// look runs one kernel over every tile and returns the number of diffs.
func (w *tileWalk) look(run tileFunc, t *tile) (diffs int) {
	for b := range w.eyes {
		w.aim(b, t)
		diffs += run(t)
	}
	return diffs
}

// aim points a tile to one block of eyes.
func (w *tileWalk) aim(b int, t *tile) {
	t.list, t.rows, t.n = unsafe.SliceData(w.lists[b]), unsafe.SliceData(w.rows[b]), len(w.lists[b])
	t.eyes, t.live, t.moved = &w.eyes[b], uint32(w.occ[b]), uint32(w.occ[b])
}

func (w *tileWalk) tile() *tile {
	return &tile{pos: &w.pos[0].x[0], boxes: &w.boxes[0], occ: &w.occ[0], dirty: &w.dirty[0], out: &w.out[0]}
}

// arena is the tile of one block of eyes.
func (w *tileWalk) arena(b int) *tileArena {
	return &tileArena{
		pos: w.pos, boxes: w.boxes, occ: w.occ, dirty: w.dirty, list: w.lists[b], rows: w.rows[b],
		eyes: w.eyes[b : b+1], out: w.out[:lanes*len(w.lists[b])], live: uint32(w.occ[b]), moved: uint32(w.occ[b]),
	}
}

// BenchmarkTile gives nanoseconds per eye and tick: the mean, and those of the
// best tick, which tells more on a machine that others use too.
func BenchmarkTile(b *testing.B) {
	for _, kind := range Kernels() {
		b.Run(kind.String(), func(b *testing.B) {
			run, _ := kernelOf(kind)
			w := newTileWalk()
			t := w.tile()
			w.look(run.tile, t)
			spent, best := time.Duration(0), time.Hour
			diffs := 0
			for b.Loop() {
				w.step()
				start := time.Now()
				diffs += w.look(run.tile, t)
				took := time.Since(start)
				spent += took
				best = min(best, took)
			}
			eyes := float64(b.N * w.live)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(spent.Nanoseconds())/eyes, "ns/eye")
			b.ReportMetric(float64(best.Nanoseconds())/float64(w.live), "best-ns/eye")
			b.ReportMetric(float64(diffs)/eyes, "diffs/eye")
		})
	}
}

// BenchmarkScan gives nanoseconds per listed block.
func BenchmarkScan(b *testing.B) {
	for _, kind := range Kernels() {
		b.Run(kind.String(), func(b *testing.B) {
			run, _ := kernelOf(kind)
			w := newTileWalk()
			out := make([][2]uint16, len(w.pos))
			blocks := 0
			for b.Loop() {
				for at, list := range w.lists {
					e := &w.eyes[at]
					run.scan(&w.pos[0].x[0], unsafe.SliceData(list), len(list), e.x[0], e.z[0], 50*50, 55*55, &out[0])
					blocks += len(list)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(blocks), "ns/block")
		})
	}
}
