package aoi

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// twin is the dumb version of a Space: every pair, every tick. Arrays by handle
// instead of maps, because a hundred million operations pass through it.
type twin struct {
	stride  int         // handles are below
	entries []twinEntry // up to the highest handle given out
	sees    []bool      // [observer·stride + target], as of the last tick, less what was removed
	lost    []Pair      // seen pairs whose target was removed since the last tick

	leaves, enters []Pair // of the last tick
	marks          []uint8
	now            []bool
	near           []contender
}

type twinEntry struct {
	alive, hidden bool
	resting       int8 // ticks for which the handle may not be given out
	x, z          float32
	enter, leave  float32
	layers, mask  uint32
	nearest       int
}

type contender struct {
	key float32
	h   Handle
}

func newTwin(entries int) *twin {
	return &twin{
		stride: entries,
		sees:   make([]bool, entries*entries),
		marks:  make([]uint8, entries*entries),
		now:    make([]bool, entries),
	}
}

// entry is what Opts mean once their zeros are filled in.
func (o Opts) entry(x, z float32) twinEntry {
	e := twinEntry{alive: true, hidden: o.Hidden, x: x, z: z, enter: o.Radius, leave: o.LeaveRadius, layers: o.Layers, mask: o.Mask, nearest: o.Nearest}
	if e.leave == 0 {
		e.leave = min(e.enter*1.1, math.MaxFloat32)
	}
	e.layers, e.mask = orOne(e.layers), orAll(e.mask)
	return e
}

func orOne(layers uint32) uint32 {
	if layers == 0 {
		return 1
	}
	return layers
}

func orAll(mask uint32) uint32 {
	if mask == 0 {
		return math.MaxUint32
	}
	return mask
}

func (w *twin) row(observer Handle) []bool { return w.sees[int(observer)*w.stride:][:len(w.entries)] }

func (w *twin) add(h Handle, e twinEntry) {
	for int(h) >= len(w.entries) {
		w.entries = append(w.entries, twinEntry{})
	}
	w.entries[h] = e
}

func (w *twin) remove(h Handle) {
	w.entries[h] = twinEntry{resting: 2} // the Tick that reports, and the one that ends its Events
	clear(w.row(h))
	w.lost = slices.DeleteFunc(w.lost, func(p Pair) bool { return p.Observer == h })
	for o := range w.entries {
		if saw := &w.sees[o*w.stride+int(h)]; *saw {
			*saw = false
			w.lost = append(w.lost, Pair{Handle(o), h})
		}
	}
}

// square is d², every operation rounded to float32.
func square(ax, az, bx, bz float32) float32 {
	dx, dz := bx-ax, bz-az
	xx := float32(dx * dx)
	zz := float32(dz * dz)
	return xx + zz
}

func (w *twin) tick() {
	w.leaves = append(w.leaves[:0], w.lost...)
	w.enters, w.lost = w.enters[:0], w.lost[:0]
	for h := range w.entries {
		e := &w.entries[h]
		if e.alive {
			w.look(Handle(h), e)
		} else if e.resting > 0 {
			e.resting--
		}
	}
}

func (w *twin) look(self Handle, o *twinEntry) {
	saw, near := w.row(self), w.near[:0]
	if o.enter > 0 {
		enter2, leave2 := float32(o.enter*o.enter), float32(o.leave*o.leave)
		for b := range w.entries {
			t := &w.entries[b]
			if !t.alive || t.hidden || t.layers&o.mask == 0 || Handle(b) == self {
				continue
			}
			d2 := square(o.x, o.z, t.x, t.z)
			switch {
			case saw[b] && d2 <= leave2:
				near = append(near, contender{float32(d2 * 0.8125), Handle(b)})
			case !saw[b] && d2 <= enter2:
				near = append(near, contender{d2, Handle(b)})
			}
		}
	}
	if o.nearest > 0 && len(near) > o.nearest {
		slices.SortFunc(near, nearer)
		near = near[:o.nearest]
	}
	w.near = near
	nows := w.now[:len(saw)]
	clear(nows)
	for _, c := range near {
		nows[c.h] = true
	}
	for b, now := range nows {
		switch {
		case now && !saw[b]:
			w.enters = append(w.enters, Pair{self, Handle(b)})
		case !now && saw[b]:
			w.leaves = append(w.leaves, Pair{self, Handle(b)})
		}
	}
	copy(saw, nows)
}

func nearer(a, b contender) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.h, b.h))
}

// judge compares the events of a tick, as sets, and finds a pair named twice.
func (w *twin) judge(what string, got, want []Pair) error {
	defer func() {
		for _, p := range want {
			w.marks[int(p.Observer)*w.stride+int(p.Target)] = 0
		}
	}()
	for _, p := range want {
		w.marks[int(p.Observer)*w.stride+int(p.Target)] = 1
	}
	for _, p := range got {
		if max(int(p.Observer), int(p.Target)) >= len(w.entries) {
			return fmt.Errorf("%s: %v names a handle never given out", what, p)
		}
		m := &w.marks[int(p.Observer)*w.stride+int(p.Target)]
		switch *m {
		case 0:
			return fmt.Errorf("%s: %v is too much", what, p)
		case 2:
			return fmt.Errorf("%s: %v twice", what, p)
		}
		*m = 2
	}
	for _, p := range want {
		if w.marks[int(p.Observer)*w.stride+int(p.Target)] == 1 {
			return fmt.Errorf("%s: %v is missing", what, p)
		}
	}
	return nil
}

// find returns what a query finds: everything shown whose layers match and that pred admits, by handle.
func (w *twin) find(layers uint32, pred func(*twinEntry) bool) []Handle {
	var found []Handle
	for h := range w.entries {
		if e := &w.entries[h]; e.alive && !e.hidden && e.layers&layers != 0 && pred(e) {
			found = append(found, Handle(h))
		}
	}
	return found
}

func (w *twin) within(layers uint32, x, z, r float32) []Handle {
	return w.find(layers, func(e *twinEntry) bool { return r >= 0 && square(x, z, e.x, e.z) <= float32(r*r) })
}

func (w *twin) box(layers uint32, minX, minZ, maxX, maxZ float32) []Handle {
	return w.find(layers, func(e *twinEntry) bool { return e.x >= minX && e.x <= maxX && e.z >= minZ && e.z <= maxZ })
}

// nearest is in the order in which Nearest must yield.
func (w *twin) nearest(layers uint32, x, z, r float32, n int) []Handle {
	found := w.within(layers, x, z, r)
	slices.SortFunc(found, func(a, b Handle) int {
		p, q := &w.entries[a], &w.entries[b]
		return nearer(contender{square(x, z, p.x, p.z), a}, contender{square(x, z, q.x, q.z), b})
	})
	return found[:min(max(n, 0), len(found))]
}

// sector returns what must be found, and what may be: an entry within a
// millionth of a radian of an edge is either.
func (w *twin) sector(layers uint32, x, z, r, dirX, dirZ, half float32) (must, may []Handle) {
	inside := func(slack float64) func(*twinEntry) bool {
		return func(e *twinEntry) bool {
			dx, dz := float64(e.x)-float64(x), float64(e.z)-float64(z)
			angle := math.Abs(math.Atan2(float64(dirX)*dz-float64(dirZ)*dx, float64(dirX)*dx+float64(dirZ)*dz))
			return r >= 0 && square(x, z, e.x, e.z) <= float32(r*r) && (dx == 0 && dz == 0 || angle <= float64(half)+slack)
		}
	}
	return w.find(layers, inside(-1e-6)), w.find(layers, inside(1e-6))
}
