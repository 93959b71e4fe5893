package main

import (
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// brute is the rule of visibility and nothing else: every pair is looked at in every tick.
type brute struct {
	w         *world
	observers []int32
	row       []int32 // of an observer, by entity; -1: not an observer
	sees      sets
	before    sets // sees of the tick before
}

// sets are one set of entities per observer, as bits.
type sets struct {
	words int // of 64 entities each, per observer
	bits  []uint64
}

func newSets(observers, entities int) sets {
	words := (entities + 63) / 64
	return sets{words, make([]uint64, observers*words)}
}

func (s sets) of(row int32) []uint64 { return s.bits[int(row)*s.words : int(row+1)*s.words] }

func (s sets) has(row, target int32) bool { return s.of(row)[target/64]>>(target%64)&1 != 0 }

func (s sets) flip(row, target int32) { s.of(row)[target/64] ^= 1 << (target % 64) }

func newBrute(w *world) *brute {
	b := &brute{w: w, row: make([]int32, len(w.x))}
	for i := range w.x {
		b.row[i] = -1
		if w.opts[i].Radius > 0 {
			b.row[i] = int32(len(b.observers))
			b.observers = append(b.observers, int32(i))
		}
	}
	b.sees, b.before = newSets(len(b.observers), len(w.x)), newSets(len(b.observers), len(w.x))
	return b
}

// tick looks at every pair.
func (b *brute) tick() {
	b.sees, b.before = b.before, b.sees
	var all sync.WaitGroup
	parts := runtime.GOMAXPROCS(0)
	for part := range parts {
		from, to := len(b.observers)*part/parts, len(b.observers)*(part+1)/parts
		all.Go(func() {
			var list []uint64
			for row := from; row < to; row++ {
				list = b.look(int32(row), list)
			}
		})
	}
	all.Wait()
}

// look fills the row of an observer; list is scratch.
func (b *brute) look(row int32, list []uint64) []uint64 {
	w, o := b.w, b.observers[row]
	x, z, enter2, leave2 := w.x[o], w.z[o], square(w.opts[o].Radius), square(w.opts[o].LeaveRadius)
	old, sees := b.before.of(row), b.sees.of(row)
	count := 0
	for i := range sees {
		now := uint64(0)
		xs, zs := w.x[64*i:min(64*i+64, len(w.x))], w.z[64*i:min(64*i+64, len(w.x))]
		for j := range xs {
			d2 := distance2(xs[j]-x, zs[j]-z)
			switch {
			case d2 <= enter2:
				now |= 1 << j
			case d2 <= leave2:
				now |= old[i] & (1 << j)
			}
		}
		if int(o)/64 == i {
			now &^= 1 << (o % 64)
		}
		sees[i] = now
		count += bits.OnesCount64(now)
	}
	if k := w.opts[o].Nearest; k > 0 && count > k {
		list = b.nearest(row, k, list[:0])
	}
	return list
}

// nearest keeps k of the row: the nearest, where those seen before have an advantage, equally near ones by handle, which is by number. list is scratch: them, in order.
func (b *brute) nearest(row int32, k int, list []uint64) []uint64 {
	w, o := b.w, b.observers[row]
	sees := b.sees.of(row)
	for i, word := range sees {
		for ; word != 0; word &= word - 1 {
			t := int32(64*i + bits.TrailingZeros64(word))
			key := distance2(w.x[t]-w.x[o], w.z[t]-w.z[o])
			if b.before.has(row, t) {
				key *= stays
			}
			c := uint64(math.Float32bits(key))<<32 | uint64(t) // floats from 0 on have the order of their bits
			if len(list) == k {
				if c > list[k-1] {
					continue
				}
				list = list[:k-1]
			}
			at, _ := slices.BinarySearch(list, c)
			list = slices.Insert(list, at, c)
		}
	}
	clear(sees)
	for _, c := range list {
		b.sees.flip(row, int32(uint32(c)))
	}
	return list
}

// replay keeps the sets that follow from the events of a space.
type replay struct {
	sets
	wrong int // events that say what cannot be
}

// apply the events of a tick, leaves first. before is what was seen before it: a pair may change once.
func (r *replay) apply(b *brute, c *crew, ev aoi.Events) {
	for _, p := range ev.Leaves {
		r.change(b, c.pair(p), true)
	}
	for _, p := range ev.Enters {
		r.change(b, c.pair(p), false)
	}
}

func (r *replay) change(b *brute, p pair, leaves bool) {
	row := b.row[p.observer]
	if row < 0 || r.has(row, p.target) != leaves || b.before.has(row, p.target) != leaves {
		r.wrong++
		return
	}
	r.flip(row, p.target)
}

// differ counts the pairs in which two sets differ, and names the first.
func (s sets) differ(other sets) (n int, row, target int32) {
	for i := range s.bits {
		if d := s.bits[i] ^ other.bits[i]; d != 0 {
			if n == 0 {
				row, target = int32(i/s.words), int32(i%s.words*64+bits.TrailingZeros64(d))
			}
			n += bits.OnesCount64(d)
		}
	}
	return n, row, target
}
