package aoi

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
)

// op is one call, recorded so that a sequence can be played again in part: an
// entry is named by the number that its add has in the sequence, and what names
// nobody does nothing.
type op struct {
	kind         kind
	id           int
	x, z         float32 // position, centre, lower corner
	a, b         float32 // enter and leave; radius; upper corner
	dirX, dirZ   float32
	bits, mask   uint32 // Layers and Mask; Only
	n            int
	hidden, zero bool
}

type kind uint8

const (
	opTick kind = iota
	opAdd
	opMove
	opRadius
	opHidden
	opLayers
	opMask
	opNearest
	opRemove
	opRefused // calls that must fail and store nothing
	opWithin
	opBox
	opSector
	opNearestTo
	opSets // compares everything that is visible
	kinds
)

// rig feeds spaces and the twin alike and compares them.
type rig struct {
	cfg    Config
	vs     []variant
	bounds [4]float32
	spaces []*Space
	twin   *twin
	ids    []int // of an op → handle, -1 when gone
	live   []int // ids
	ticks  int
	last   Events // of the first space
	found  []Handle
	seen   []bool
}

// variant is what must make no difference to anything.
type variant struct {
	kernel  Kernel
	workers int
}

func (v variant) String() string { return fmt.Sprintf("%v with %d workers", v.kernel, v.workers) }

func (v variant) of(c Config) Config {
	c.Kernel, c.Workers = v.kernel, v.workers
	return c
}

// variants are all kernels of the machine, each with all these numbers of workers.
func variants(workers ...int) []variant {
	var all []variant
	for _, n := range workers {
		for _, k := range Kernels() {
			all = append(all, variant{k, n})
		}
	}
	return all
}

const rigEntries = 160 // MaxEntries where a Config names none: the twin is quadratic

func newRig(cfg Config, vs []variant) (*rig, error) {
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = rigEntries
	}
	r := &rig{cfg: cfg, vs: vs, bounds: [4]float32{cfg.MinX, cfg.MinZ, cfg.MaxX, cfg.MaxZ}, twin: newTwin(cfg.MaxEntries)}
	if r.bounds == [4]float32{} {
		r.bounds = [4]float32{-1 << 24, -1 << 24, 1 << 24, 1 << 24}
	}
	r.seen = make([]bool, cfg.MaxEntries)
	for _, v := range vs {
		s, err := New(v.of(cfg))
		if err != nil {
			return nil, fmt.Errorf("%v, %d workers: %w", v.kernel, v.workers, err)
		}
		r.spaces = append(r.spaces, s)
	}
	return r, nil
}

// play makes one call of every space, and the comparison that belongs to it.
func (r *rig) play(o op) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	switch o.kind {
	case opTick:
		return r.playTick()
	case opAdd:
		return r.playAdd(o)
	case opWithin, opBox, opSector, opNearestTo:
		return r.playQuery(o)
	case opSets:
		return r.compareSets()
	}
	if o.id >= len(r.ids) || r.ids[o.id] < 0 {
		return nil
	}
	h := Handle(r.ids[o.id])
	if o.kind == opRefused {
		return r.playRefused(h)
	}
	for i, s := range r.spaces {
		if err := o.set(s, h); err != nil {
			return fmt.Errorf("space %d: %w", i, err)
		}
	}
	r.note(o, h)
	return nil
}

// set makes the call of one space.
func (o op) set(s *Space, h Handle) error {
	switch o.kind {
	case opMove:
		return s.Move(h, o.x, o.z)
	case opRadius:
		return s.SetRadius(h, o.a, o.b)
	case opHidden:
		return s.SetHidden(h, o.hidden)
	case opLayers:
		return s.SetLayers(h, o.bits)
	case opMask:
		return s.SetMask(h, o.mask)
	case opNearest:
		return s.SetNearest(h, o.n)
	case opRemove:
		return s.Remove(h)
	}
	return fmt.Errorf("no operation %d", o.kind)
}

// note tells the twin.
func (r *rig) note(o op, h Handle) {
	e := &r.twin.entries[h]
	switch o.kind {
	case opMove:
		e.x, e.z = o.x, o.z
	case opRadius:
		e.enter, e.leave = o.a, o.b
	case opHidden:
		e.hidden = o.hidden
	case opLayers:
		e.layers = orOne(o.bits)
	case opMask:
		e.mask = orAll(o.mask)
	case opNearest:
		e.nearest = o.n
	case opRemove:
		r.twin.remove(h)
		r.ids[o.id] = -1
		i := slices.Index(r.live, o.id)
		r.live[i] = r.live[len(r.live)-1]
		r.live = r.live[:len(r.live)-1]
	}
}

func (o op) opts() Opts {
	return Opts{Hidden: o.hidden, Layers: o.bits, Radius: o.a, LeaveRadius: o.b, Mask: o.mask, Nearest: o.n}
}

func (r *rig) playAdd(o op) error {
	for len(r.ids) <= o.id {
		r.ids = append(r.ids, -1)
	}
	if r.ids[o.id] >= 0 {
		return nil
	}
	resting := 0
	for _, e := range r.twin.entries {
		if e.resting > 0 {
			resting++
		}
	}
	var got []Handle
	for i, s := range r.spaces {
		h, err := s.Add(o.x, o.z, o.opts())
		switch {
		case errors.Is(err, ErrFull) && len(r.live)+resting >= r.cfg.MaxEntries: // right
		case err != nil:
			return fmt.Errorf("space %d with %d entries and %d removed: %w", i, len(r.live), resting, err)
		default:
			got = append(got, h)
		}
	}
	if len(got) == 0 {
		return nil
	}
	if len(got) != len(r.spaces) || slices.Min(got) != slices.Max(got) {
		return fmt.Errorf("equal spaces gave the handles %v", got)
	}
	h := got[0]
	if int(h) >= r.cfg.MaxEntries {
		return fmt.Errorf("handle %d given out with room for %d", h, r.cfg.MaxEntries)
	}
	if int(h) < len(r.twin.entries) && (r.twin.entries[h].alive || r.twin.entries[h].resting > 0) {
		return fmt.Errorf("handle %d given out while in use or still reported", h)
	}
	r.twin.add(h, o.opts().entry(o.x, o.z))
	r.ids[o.id] = int(h)
	r.live = append(r.live, o.id)
	return nil
}

// playRefused tries what must be refused; that nothing was stored shows in what follows.
func (r *rig) playRefused(h Handle) error {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	dead := Handle(r.cfg.MaxEntries) + 5
	for i, e := range r.twin.entries {
		if !e.alive {
			dead = Handle(i)
		}
	}
	beyond := math.Nextafter32(r.bounds[2], inf)
	for i, s := range r.spaces {
		add := func(x, z float32, o Opts) error {
			_, err := s.Add(x, z, o)
			return err
		}
		x, z, _ := s.Position(h)
		for j, c := range []struct{ got, want error }{
			{s.Move(h, nan, z), ErrPosition}, {s.Move(h, x, -inf), ErrPosition}, {s.Move(h, beyond, z), ErrPosition},
			{add(x, nan, Opts{Radius: 1}), ErrPosition}, {add(beyond, z, Opts{}), ErrPosition},
			{s.SetRadius(h, nan, nan), ErrRadius}, {s.SetRadius(h, 2, 1), ErrRadius}, {s.SetRadius(h, -1, 1), ErrRadius},
			{s.SetRadius(h, 1, inf), ErrRadius}, {add(x, z, Opts{Radius: inf}), ErrRadius}, {add(x, z, Opts{LeaveRadius: 1}), ErrRadius},
			{s.Move(dead, x, z), ErrHandle}, {s.SetRadius(dead, 1, 1), ErrHandle}, {s.SetHidden(dead, true), ErrHandle},
			{s.SetLayers(dead, 1), ErrHandle}, {s.SetMask(dead, 1), ErrHandle}, {s.SetNearest(dead, 1), ErrHandle}, {s.Remove(dead), ErrHandle},
		} {
			if !errors.Is(c.got, c.want) {
				return fmt.Errorf("space %d, refusal %d: got %v, want %v", i, j, c.got, c.want)
			}
		}
		if s.SetNearest(h, -1) == nil || add(x, z, Opts{Nearest: -1}) == nil {
			return fmt.Errorf("space %d: a bound of -1 targets taken", i)
		}
	}
	return nil
}

func (r *rig) playTick() error {
	r.ticks++
	r.twin.tick()
	for i, s := range r.spaces {
		ev := s.Tick()
		if i == 0 {
			r.last = ev
			if err := errors.Join(r.twin.judge("leaves", ev.Leaves, r.twin.leaves), r.twin.judge("enters", ev.Enters, r.twin.enters)); err != nil {
				return fmt.Errorf("tick %d: %w", r.ticks, err)
			}
		} else if !slices.Equal(ev.Leaves, r.last.Leaves) || !slices.Equal(ev.Enters, r.last.Enters) {
			return fmt.Errorf("tick %d: %v reported %v, %v %v", r.ticks, r.vs[0], r.last, r.vs[i], ev)
		}
	}
	return nil
}

// compareSets compares what one space, each in its turn, says to see, handle by handle.
func (r *rig) compareSets() error {
	i := r.ticks % len(r.spaces)
	s, w := r.spaces[i], r.twin
	if s.Len() != len(r.live) {
		return fmt.Errorf("space %d: len %d, want %d", i, s.Len(), len(r.live))
	}
	for h := range w.entries {
		want := 0
		for _, saw := range w.row(Handle(h)) {
			if saw {
				want++
			}
		}
		r.found = r.found[:0]
		s.Visible(Handle(h), r.collect)
		if err := r.unique(r.found); err != nil {
			return fmt.Errorf("space %d: visible to %d: %w", i, h, err)
		}
		for _, b := range r.found {
			if !w.row(Handle(h))[b] {
				return fmt.Errorf("space %d: %d sees %d, wrongly", i, h, b)
			}
		}
		if len(r.found) != want {
			return fmt.Errorf("space %d: %d sees %v, the twin sees %d", i, h, r.found, want)
		}
		e := w.entries[h]
		if x, z, ok := s.Position(Handle(h)); ok != e.alive || x != e.x || z != e.z {
			return fmt.Errorf("space %d: %d is at (%g, %g) %v, want (%g, %g) %v", i, h, x, z, ok, e.x, e.z, e.alive)
		}
	}
	if len(w.entries) == 0 {
		return nil
	}
	a := Handle(r.ticks % len(w.entries))
	for b, saw := range w.row(a) {
		if s.Sees(a, Handle(b)) != saw {
			return fmt.Errorf("space %d: Sees(%d, %d) is not %v", i, a, b, saw)
		}
		if back := w.row(Handle(b))[a]; s.Sees(Handle(b), a) != back {
			return fmt.Errorf("space %d: Sees(%d, %d) is not %v", i, b, a, back)
		}
	}
	return nil
}

func (r *rig) collect(h Handle) bool {
	r.found = append(r.found, h)
	return true
}

func (r *rig) unique(hs []Handle) error {
	defer func() {
		for _, h := range hs {
			if int(h) < len(r.seen) {
				r.seen[h] = false
			}
		}
	}()
	for _, h := range hs {
		if int(h) >= len(r.seen) || r.seen[h] {
			return fmt.Errorf("%v: %d twice or never given out", hs, h)
		}
		r.seen[h] = true
	}
	return nil
}

// search is the four queries, over all layers or some.
type search interface {
	Within(x, z, radius float32, yield func(Handle) bool)
	Box(minX, minZ, maxX, maxZ float32, yield func(Handle) bool)
	Sector(x, z, radius, dirX, dirZ, half float32, yield func(Handle) bool)
	Nearest(x, z, radius float32, n int, yield func(Handle) bool)
}

// playQuery asks one space, each in its turn. A zero op asks over all layers.
func (r *rig) playQuery(o op) error {
	i := r.ticks % len(r.spaces)
	var q search = r.spaces[i]
	layers := uint32(math.MaxUint32)
	if !o.zero {
		q, layers = r.spaces[i].Only(o.bits), o.bits
	}
	r.found = r.found[:0]
	var want, may []Handle
	switch o.kind {
	case opWithin:
		q.Within(o.x, o.z, o.a, r.collect)
		want = r.twin.within(layers, o.x, o.z, o.a)
	case opBox:
		q.Box(o.x, o.z, o.a, o.b, r.collect)
		want = r.twin.box(layers, o.x, o.z, o.a, o.b)
	case opSector:
		q.Sector(o.x, o.z, o.a, o.dirX, o.dirZ, o.b, r.collect)
		want, may = r.twin.sector(layers, o.x, o.z, o.a, o.dirX, o.dirZ, o.b)
	case opNearestTo:
		q.Nearest(o.x, o.z, o.a, o.n, r.collect)
		want = r.twin.nearest(layers, o.x, o.z, o.a, o.n)
		if !slices.Equal(r.found, want) {
			return fmt.Errorf("space %d: %v found %v, want %v", i, o, r.found, want)
		}
		return nil
	}
	if may == nil {
		may = want
	}
	if err := r.unique(r.found); err != nil {
		return fmt.Errorf("space %d: %v: %w", i, o, err)
	}
	slices.Sort(r.found)
	if !subset(want, r.found) || !subset(r.found, may) {
		return fmt.Errorf("space %d: %v found %v, want %v", i, o, r.found, want)
	}
	return nil
}

// subset is of sorted slices.
func subset(a, b []Handle) bool {
	for _, h := range a {
		if _, ok := slices.BinarySearch(b, h); !ok {
			return false
		}
	}
	return true
}
