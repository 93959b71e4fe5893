package aoi

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// twin is the dumb version: maps and every pair.
type twin struct {
	entries map[Handle]twinEntry
	sees    map[Pair]bool
	lost    map[Pair]bool // seen pairs whose target was removed since the last tick
}

type twinEntry struct {
	x, z, enter, leave float32
	hidden             bool
}

func newTwin() *twin {
	return &twin{entries: map[Handle]twinEntry{}, sees: map[Pair]bool{}, lost: map[Pair]bool{}}
}

func (w *twin) remove(h Handle) {
	delete(w.entries, h)
	for p := range w.sees {
		switch h {
		case p.Observer:
			delete(w.sees, p)
		case p.Target:
			delete(w.sees, p)
			w.lost[p] = true
		}
	}
	for p := range w.lost {
		if p.Observer == h {
			delete(w.lost, p)
		}
	}
}

func near(ax, az, bx, bz, r float32) bool {
	dx, dz := bx-ax, bz-az
	xx := float32(dx * dx)
	zz := float32(dz * dz)
	return xx+zz <= float32(r*r)
}

func (w *twin) tick() (leaves, enters map[Pair]bool) {
	leaves, enters = w.lost, map[Pair]bool{}
	w.lost = map[Pair]bool{}
	for a, o := range w.entries {
		for b, t := range w.entries {
			p := Pair{a, b}
			r := o.enter
			if w.sees[p] {
				r = o.leave
			}
			now := a != b && !t.hidden && o.enter > 0 && near(o.x, o.z, t.x, t.z, r)
			switch {
			case now && !w.sees[p]:
				enters[p], w.sees[p] = true, true
			case !now && w.sees[p]:
				leaves[p] = true
				delete(w.sees, p)
			}
		}
	}
	return leaves, enters
}

// rig feeds one or more spaces and the twin alike and compares them.
type rig struct {
	t       testing.TB
	spaces  []*Space
	twin    *twin
	live    []Handle
	resting map[Handle]int // handles that may not be given out, and how many ticks more
	ticks   int
}

func newRig(t testing.TB, cfg Config, spaces int) *rig {
	r := &rig{t: t, twin: newTwin(), resting: map[Handle]int{}}
	for range spaces {
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.spaces = append(r.spaces, s)
	}
	return r
}

func (r *rig) each(what string, f func(*Space) error) {
	r.t.Helper()
	for _, s := range r.spaces {
		if err := f(s); err != nil {
			r.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (r *rig) add(x, z float32, o Opts) Handle {
	r.t.Helper()
	var got []Handle
	r.each("add", func(s *Space) error {
		h, err := s.Add(x, z, o)
		got = append(got, h)
		return err
	})
	h := got[0]
	for _, g := range got {
		if g != h {
			r.t.Fatalf("equal spaces gave handles %v", got)
		}
	}
	if _, used := r.twin.entries[h]; used || r.resting[h] > 0 {
		r.t.Fatalf("handle %d given out while in use or still reported", h)
	}
	leave := o.LeaveRadius
	if leave == 0 {
		leave = o.Radius * 1.1
	}
	r.twin.entries[h] = twinEntry{x, z, o.Radius, leave, o.Hidden}
	r.live = append(r.live, h)
	return h
}

func (r *rig) move(h Handle, x, z float32) {
	r.t.Helper()
	r.each("move", func(s *Space) error { return s.Move(h, x, z) })
	e := r.twin.entries[h]
	e.x, e.z = x, z
	r.twin.entries[h] = e
}

func (r *rig) radius(h Handle, enter, leave float32) {
	r.t.Helper()
	r.each("set radius", func(s *Space) error { return s.SetRadius(h, enter, leave) })
	e := r.twin.entries[h]
	e.enter, e.leave = enter, leave
	r.twin.entries[h] = e
}

func (r *rig) hide(h Handle, hidden bool) {
	r.t.Helper()
	r.each("hide", func(s *Space) error { return s.SetHidden(h, hidden) })
	e := r.twin.entries[h]
	e.hidden = hidden
	r.twin.entries[h] = e
}

func (r *rig) remove(h Handle) {
	r.t.Helper()
	r.each("remove", func(s *Space) error { return s.Remove(h) })
	r.twin.remove(h)
	r.live = slices.DeleteFunc(r.live, func(l Handle) bool { return l == h })
	r.resting[h] = 2 // the Tick that reports, and the one that ends its Events
}

func (r *rig) tick() Events {
	r.t.Helper()
	r.ticks++
	leaves, enters := r.twin.tick()
	first := r.spaces[0].Tick()
	r.same("leaves", first.Leaves, leaves)
	r.same("enters", first.Enters, enters)
	for _, s := range r.spaces[1:] {
		if ev := s.Tick(); !slices.Equal(ev.Leaves, first.Leaves) || !slices.Equal(ev.Enters, first.Enters) {
			r.t.Fatalf("tick %d: equal spaces reported different events", r.ticks)
		}
	}
	for h, n := range r.resting {
		if n == 1 {
			delete(r.resting, h)
		} else {
			r.resting[h] = n - 1
		}
	}
	return first
}

func (r *rig) same(what string, got []Pair, want map[Pair]bool) {
	r.t.Helper()
	seen := map[Pair]bool{}
	closed := map[Handle]bool{}
	for i, p := range got {
		if seen[p] {
			r.t.Fatalf("tick %d: %s has %v twice", r.ticks, what, p)
		}
		if !want[p] {
			r.t.Fatalf("tick %d: %s has %v, the twin has not", r.ticks, what, p)
		}
		seen[p] = true
		if i > 0 && got[i-1].Observer != p.Observer {
			closed[got[i-1].Observer] = true
		}
		if closed[p.Observer] {
			r.t.Fatalf("tick %d: %s not grouped by observer", r.ticks, what)
		}
	}
	if len(got) != len(want) {
		r.t.Fatalf("tick %d: %d %s, the twin has %d", r.ticks, len(got), what, len(want))
	}
}

// check compares everything that can be asked, at any moment.
func (r *rig) check(queries [][3]float32) {
	r.t.Helper()
	s := r.spaces[0]
	if s.Len() != len(r.twin.entries) {
		r.t.Fatalf("len %d, want %d", s.Len(), len(r.twin.entries))
	}
	total := 0
	for a := range r.twin.entries {
		mine := map[Handle]bool{}
		s.Visible(a, func(b Handle) bool {
			if mine[b] || !r.twin.sees[Pair{a, b}] {
				r.t.Fatalf("%d sees %d: twice or wrongly", a, b)
			}
			mine[b] = true
			return true
		})
		total += len(mine)
	}
	if total != len(r.twin.sees) {
		r.t.Fatalf("%d pairs visible, want %d", total, len(r.twin.sees))
	}
	for p := range r.twin.sees {
		if !s.Sees(p.Observer, p.Target) {
			r.t.Fatalf("%v not seen", p)
		}
		if q := (Pair{p.Target, p.Observer}); s.Sees(q.Observer, q.Target) != r.twin.sees[q] {
			r.t.Fatalf("%v: sees is wrong", q)
		}
	}
	for _, q := range queries {
		found := map[Handle]bool{}
		s.Within(q[0], q[1], q[2], func(h Handle) bool {
			e, ok := r.twin.entries[h]
			if found[h] || !ok || e.hidden || !near(q[0], q[1], e.x, e.z, q[2]) {
				r.t.Fatalf("within %v found %d: twice or wrongly", q, h)
			}
			found[h] = true
			return true
		})
		n := 0
		for _, e := range r.twin.entries {
			if !e.hidden && near(q[0], q[1], e.x, e.z, q[2]) {
				n++
			}
		}
		if n != len(found) {
			r.t.Fatalf("within %v found %d, want %d", q, len(found), n)
		}
	}
}

// world is a setting for random operations.
type world struct {
	cfg              Config
	size             float32 // entries live in ±size
	step             float32
	radius           float32 // typical
	integer          bool
	entries, perTick int
}

var worlds = map[string]world{
	"metres":   {Config{}, 200, 1, 30, false, 120, 60},
	"quanta":   {Config{}, 1 << 24, 1 << 16, 1 << 22, true, 100, 60},
	"crowd":    {Config{MinX: -20, MinZ: -20, MaxX: 20, MaxZ: 20}, 20, 0.5, 15, false, 80, 40},
	"sparse":   {Config{}, 1 << 20, 500, 50000, false, 120, 60},
	"far away": {Config{MinX: 1e6, MinZ: -3, MaxX: 1e6 + 50, MaxZ: 3}, 0, 0.5, 3, false, 100, 50},
	"cells":    {Config{CellSize: 0.01}, 100, 2, 20, false, 100, 50},
	"lattice":  {Config{MinX: -8, MinZ: -8, MaxX: 8, MaxZ: 8}, 8, 1, 3, true, 90, 60},
}

func (w world) place(rnd *rand.Rand) (x, z float32) {
	at := func(lo, hi float32) float32 {
		switch rnd.IntN(20) {
		case 0:
			return lo
		case 1:
			return hi
		}
		v := lo + rnd.Float32()*(hi-lo)
		if w.integer {
			v = float32(int(v))
		}
		return min(max(v, lo), hi)
	}
	if w.size == 0 {
		return at(w.cfg.MinX, w.cfg.MaxX), at(w.cfg.MinZ, w.cfg.MaxZ)
	}
	return at(-w.size, w.size), at(-w.size, w.size)
}

func (w world) radii(rnd *rand.Rand) (enter, leave float32) {
	switch rnd.IntN(10) {
	case 0, 1:
		return 0, 0
	case 2:
		enter = w.radius * 1e3 // the whole world
	case 3:
		enter = w.radius / 50
	default:
		enter = w.radius * (0.5 + rnd.Float32())
	}
	if w.integer {
		enter = float32(int(enter)) + 1
	}
	return enter, enter * (1 + float32(rnd.IntN(3))*0.2)
}

func (w world) run(t testing.TB, seed uint64, ticks int) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, w.cfg, 2)
	bounds := r.spaces[0].cfg
	for range ticks {
		for range rnd.IntN(w.perTick) {
			if len(r.live) == 0 || len(r.live) < w.entries && rnd.IntN(3) == 0 {
				o := Opts{Hidden: rnd.IntN(8) == 0}
				o.Radius, o.LeaveRadius = w.radii(rnd)
				x, z := w.place(rnd)
				r.add(x, z, o)
				continue
			}
			h := r.live[rnd.IntN(len(r.live))]
			e := r.twin.entries[h]
			switch k := rnd.IntN(40); {
			case k < 3:
				r.remove(h)
			case k < 5:
				x, z := w.place(rnd)
				r.move(h, x, z)
			case k < 6: // on top of another
				o := r.twin.entries[r.live[rnd.IntN(len(r.live))]]
				r.move(h, o.x, o.z)
			case k < 8:
				enter, leave := w.radii(rnd)
				r.radius(h, enter, leave)
			case k < 9:
				r.hide(h, !e.hidden)
			default:
				dx, dz := (rnd.Float32()*2-1)*w.step, (rnd.Float32()*2-1)*w.step
				if w.integer {
					dx, dz = float32(int(dx*2)), float32(int(dz*2))
				}
				r.move(h, min(max(e.x+dx, bounds.MinX), bounds.MaxX), min(max(e.z+dz, bounds.MinZ), bounds.MaxZ))
			}
		}
		var queries [][3]float32
		for range 4 {
			x, z := w.place(rnd)
			enter, _ := w.radii(rnd)
			queries = append(queries, [3]float32{x, z, enter})
		}
		r.check(queries) // between ticks: strays, removals
		r.tick()
		r.check(queries)
	}
}

func TestRandomOperationsEqualBruteForceEveryTick(t *testing.T) {
	for name, w := range worlds {
		t.Run(name, func(t *testing.T) {
			seeds, ticks := uint64(8), 40
			switch {
			case testing.Short() && raced:
				seeds, ticks = 1, 25
			case testing.Short() || raced:
				seeds = 3
			}
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { w.run(t, seed, ticks) })
			}
		})
	}
}
