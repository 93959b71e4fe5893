package aoi

import (
	"fmt"
	"math"
)

// Handle names an entry of one Space: dense, small, reused, fit to index the
// caller's own arrays.
//
// A removed handle is not given out again until the Tick after the one that
// reported its leaves: while Events are valid, no handle in them changes hands.
type Handle uint32

// Pair says that Observer began or ceased to see Target.
type Pair struct{ Observer, Target Handle }

// Events is what one Tick changed. Both slices are valid until the next Tick.
// Apply Leaves first. Each holds a pair at most once, none is in both, and their
// order is a function of the calls made so far and nothing else: the same for
// every kernel and any number of workers.
type Events struct{ Leaves, Enters []Pair }

// Space is a set of entries on a plane. Make it with New; it belongs to one
// goroutine. See the package comment for costs.
type Space struct {
	cfg     Config
	kernel  kernel
	reach   float64 // largest magnitude of a coordinate
	entries []entry // by handle

	live     int
	spare    []Handle // may be given out
	removed  []Handle // since the last Tick
	reported []Handle // as removed, by the last Tick

	grids   [2]grid
	now     uint8 // the grid that takes entries; the other one is being emptied
	targets targets
	watch   watch
	nowhere uint32 // chain of the full blocks of hidden entries
	strays  []Handle
	unmade  []uint32 // blocks of eyes whose lists are missing or too short
	closed  []Handle // observers that see nothing any more, until the next Tick has said so
	remask  map[Handle]uint32
	crowds  []crowd // by handle, if any observer ever sees the nearest only

	changed bool // anything, since the last Tick
	moves   bool // somebody did, since the last Tick
	first   bool // nothing has been told yet
	care    upkeep
	tick    uint32 // counts those in which anything changed

	leaves, enters pairs
	shards         []shard
	busy           int // shards in use in this Tick
	pointed        bool
	nodes          []node
	pool           pool

	// Scratch space.
	found  []uint32
	rooms  []uint32
	kept   []row
	marks  []uint32 // by target block: its place in the list at hand, from 1
	hits   []hit
	ranked []uint64
	bits   [][2]uint16
}

// entry is where the two halves of an entry are kept.
type entry struct {
	target uint32 // slot; none: there is no such entry
	eye    uint32 // slot; none: observes nothing
	layers uint32
}

// New returns an empty space.
func New(cfg Config) (*Space, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	s := &Space{cfg: cfg, nowhere: none, first: true}
	s.kernel, _ = kernelOf(cfg.Kernel)
	s.targets.hidden = none
	s.reach = float64(max(-cfg.MinX, cfg.MaxX, -cfg.MinZ, cfg.MaxZ))
	s.grids[0].lay(s.side(float64(max(cfg.MaxX-cfg.MinX, cfg.MaxZ-cfg.MinZ))/64), 0)
	s.shards = make([]shard, cfg.Workers)
	for i := range s.shards {
		s.shards[i].open(s, i)
	}
	return s, nil
}

// Kernel returns the kernel in use; never Auto.
func (s *Space) Kernel() Kernel { return s.kernel.kind }

// Len returns the number of entries.
func (s *Space) Len() int { return s.live }

// Add puts an entry at (x, z), in the caller's unit. It sees and is seen from
// the next Tick on; queries find it at once.
func (s *Space) Add(x, z float32, o Opts) (Handle, error) {
	if !s.inside(x, z) {
		return 0, fmt.Errorf("aoi: add entry: %w", s.outside(x, z))
	}
	if o.LeaveRadius == 0 {
		// The minimum only matters for radii near the end of float32.
		o.LeaveRadius = min(o.Radius*defaultHysteresis, math.MaxFloat32)
	}
	if err := checkRadii(o.Radius, o.LeaveRadius); err != nil {
		return 0, fmt.Errorf("aoi: add entry: %w", err)
	}
	if err := checkNearest(o.Nearest); err != nil {
		return 0, fmt.Errorf("aoi: add entry: %w", err)
	}
	h, err := s.take()
	if err != nil {
		return 0, fmt.Errorf("aoi: add entry: %w", err)
	}
	e := &s.entries[h]
	e.layers = layersOf(o.Layers)
	layers := e.layers
	if o.Hidden {
		layers = 0
	}
	e.target = s.put(h, x, z, layers)
	if o.Nearest > 0 {
		s.bound(h, o.Nearest)
	}
	if o.Mask != 0 {
		s.wear(h, o.Mask)
	}
	if o.Radius > 0 {
		s.look(h, o.Radius, o.LeaveRadius)
	}
	s.live++
	s.changed = true
	return h, nil
}

func layersOf(l uint32) uint32 {
	if l == 0 {
		return 1
	}
	return l
}

func (s *Space) take() (Handle, error) {
	if n := len(s.spare); n > 0 {
		h := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return h, nil
	}
	n := len(s.entries)
	if n >= s.cfg.MaxEntries {
		return 0, fmt.Errorf("%d entries: %w", n, ErrFull)
	}
	s.entries = append(s.entries, entry{none, none, 0})
	if s.crowds != nil {
		s.crowds = append(s.crowds, crowd{})
	}
	return Handle(n), nil
}

// Move puts h at (x, z), in the caller's unit, however far that is. The last
// Move before a Tick counts; a position that is not finite or out of bounds is
// refused and the old one stays.
func (s *Space) Move(h Handle, x, z float32) error {
	if !s.has(h) || !s.inside(x, z) {
		return s.refuse(h, x, z)
	}
	e, t := &s.entries[h], &s.targets
	b := e.target >> slotShift
	i := b<<(slotShift+1) | e.target&laneMask
	if t.pos[i] == x && t.pos[i+lanes] == z {
		return nil
	}
	if t.boxes[b].holds(x, z) {
		t.pos[i], t.pos[i+lanes] = x, z
		t.dirty[b] = 1
	} else {
		layers := t.layers[b]
		t.vacate(e.target)
		e.target = s.put(h, x, z, layers)
	}
	s.changed, s.moves = true, true
	return nil
}

func (s *Space) refuse(h Handle, x, z float32) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: move entry %d: %w", h, ErrHandle)
	}
	return fmt.Errorf("aoi: move entry %d: %w", h, s.outside(x, z))
}

// SetRadius changes what h observes from the next Tick on: radii in the caller's
// unit, leave ≥ enter. Both 0: it observes nothing, and the next Tick reports
// that it left everything it saw.
func (s *Space) SetRadius(h Handle, enter, leave float32) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: set radius of entry %d: %w", h, ErrHandle)
	}
	if err := checkRadii(enter, leave); err != nil {
		return fmt.Errorf("aoi: set radius of entry %d: %w", h, err)
	}
	s.look(h, enter, leave)
	s.changed = true
	return nil
}

// look makes, changes or closes the eye of h.
func (s *Space) look(h Handle, enter, leave float32) {
	e, w := &s.entries[h], &s.watch
	if e.eye == none {
		if enter == 0 {
			return
		}
		x, z := s.targets.position(e.target)
		e.eye = s.seat(h, x, z, float64(leave), s.crowds != nil && s.crowds[h].k > 0, s.maskOf(h))
		delete(s.remask, h)
	} else if enter > 0 {
		s.stray(e.eye)
	}
	b, lane := e.eye>>slotShift, e.eye&laneMask
	w.moved[b] |= 1 << lane
	w.capped[b] &^= 1 << lane
	if enter == 0 {
		w.eyes[b].close(int(lane))
		s.closed = append(s.closed, h)
		return
	}
	w.eyes[b].open(int(lane), enter, leave)
	s.recap(h)
}

// SetNearest bounds how many targets h sees from the next Tick on: the k nearest,
// where one that h sees already counts as if it stood at some 0.9 of its distance
// (0.8125 of d²), so that those at the edge do not flicker. Equally near ones are
// taken in the order of their handles. 0: no bound.
func (s *Space) SetNearest(h Handle, k int) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: set nearest of entry %d: %w", h, ErrHandle)
	}
	if err := checkNearest(k); err != nil {
		return fmt.Errorf("aoi: set nearest of entry %d: %w", h, err)
	}
	s.bound(h, k)
	if e := s.entries[h].eye; e != none {
		b, bit := e>>slotShift, uint16(1)<<(e&laneMask)
		s.watch.capped[b] &^= bit
		s.watch.moved[b] |= bit
		if s.watch.eyes[b].enter2[e&laneMask] >= 0 {
			s.recap(h)
			s.stray(e)
		}
	}
	s.changed = true
	return nil
}

// SetHidden hides h from all observers from the next Tick on, and from queries
// at once, or shows it.
func (s *Space) SetHidden(h Handle, hide bool) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: hide entry %d: %w", h, ErrHandle)
	}
	e := &s.entries[h]
	layers := e.layers
	if hide {
		layers = 0
	}
	s.recast(e, h, layers)
	return nil
}

// SetLayers changes what h is, from the next Tick on for observers and at once
// for queries: a set of bits, 0 for bit 0 alone. Who sees h and has a bit of
// the new ones in its mask goes on seeing it.
func (s *Space) SetLayers(h Handle, layers uint32) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: set layers of entry %d: %w", h, ErrHandle)
	}
	e := &s.entries[h]
	e.layers = layersOf(layers)
	if s.targets.layers[e.target>>slotShift] != 0 {
		s.recast(e, h, e.layers)
	}
	return nil
}

// recast moves a target to a block of other layers.
func (s *Space) recast(e *entry, h Handle, layers uint32) {
	if s.targets.layers[e.target>>slotShift] == layers {
		return
	}
	x, z := s.targets.position(e.target)
	s.targets.vacate(e.target)
	e.target = s.put(h, x, z, layers)
	s.changed = true
}

// SetMask changes which layers h sees from the next Tick on. 0: all.
func (s *Space) SetMask(h Handle, mask uint32) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: set mask of entry %d: %w", h, ErrHandle)
	}
	s.wear(h, mask)
	if e := s.entries[h].eye; e != none {
		s.watch.moved[e>>slotShift] |= 1 << (e & laneMask)
		s.stray(e)
	}
	s.changed = true
	return nil
}

// wear keeps the mask of an entry until its eye's block says it.
func (s *Space) wear(h Handle, mask uint32) {
	if s.remask == nil {
		s.remask = map[Handle]uint32{}
	}
	if mask == 0 {
		mask = ^uint32(0)
	}
	s.remask[h] = mask
}

// maskOf is the mask that an observer is to have.
func (s *Space) maskOf(h Handle) uint32 {
	if m, ok := s.remask[h]; ok {
		return m
	}
	if e := s.entries[h].eye; e != none {
		return s.watch.mask[e>>slotShift]
	}
	return ^uint32(0)
}

// Remove takes h out. Observers that saw it get a leave at the next Tick, and
// Sees, Visible and the queries do not mention it from now on. What h itself saw
// is forgotten without events: its owner has dropped it.
func (s *Space) Remove(h Handle) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: remove entry %d: %w", h, ErrHandle)
	}
	e := &s.entries[h]
	s.targets.vacate(e.target)
	if e.eye != none {
		s.watch.forget(e.eye)
		s.rise(e.eye)
	}
	*e = entry{none, none, 0}
	delete(s.remask, h)
	if s.crowds != nil {
		s.crowds[h] = crowd{}
	}
	s.removed = append(s.removed, h)
	s.live--
	s.changed = true
	return nil
}

// Position returns where h is, in the caller's unit; ok is false if there is no h.
func (s *Space) Position(h Handle) (x, z float32, ok bool) {
	if !s.has(h) {
		return 0, 0, false
	}
	x, z = s.targets.position(s.entries[h].target)
	return x, z, true
}

func (s *Space) has(h Handle) bool {
	return uint(h) < uint(len(s.entries)) && s.entries[h].target != none
}

// inside is false for NaN, which compares with nothing.
func (s *Space) inside(x, z float32) bool {
	return x >= s.cfg.MinX && x <= s.cfg.MaxX && z >= s.cfg.MinZ && z <= s.cfg.MaxZ
}

func (s *Space) outside(x, z float32) error {
	return fmt.Errorf("(%g, %g) with bounds [%g, %g] x [%g, %g]: %w",
		x, z, s.cfg.MinX, s.cfg.MaxX, s.cfg.MinZ, s.cfg.MaxZ, ErrPosition)
}
