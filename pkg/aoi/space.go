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
// Apply Leaves first. Each is grouped by observer, holds a pair at most once,
// and its order is a function of the calls made so far and nothing else.
type Events struct{ Leaves, Enters []Pair }

// Space is a set of entries on a plane. Make it with New; it belongs to one
// goroutine. See the package comment for costs.
type Space struct {
	cfg   Config
	reach float32 // largest magnitude of a coordinate

	// By handle.
	flags []uint8
	pos   []point
	cell  []uint32 // of pos
	slot  []uint32 // in index, since the last sort
	obs   []observer

	live     int
	free     []Handle // may be given out
	removed  []Handle // since the last Tick
	reported []Handle // as removed, by the last Tick

	index index
	last  renumbering
	lists lists
	radii [1 << (32 - 1 - radiusShift)]uint32 // observers by class of enter radius

	radiiChanged bool
	changed      bool // anything, since the last Tick
	queries      int  // running calls of Within
	autoCell     float32

	leaves, enters pairs
	masked         []mask
}

const (
	alive  = 1 << iota
	hidden // nobody sees it
	stray  // in index.strays
)

// observer is the looking half of an entry.
type observer struct {
	enter          float32 // 0: not an observer
	enter2, leave2 float32 // squares; below 0: not an observer
	visible        list    // slots of the last Tick
}

// New returns an empty space.
func New(cfg Config) (*Space, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	s := &Space{cfg: cfg}
	s.reach = max(-cfg.MinX, cfg.MaxX, -cfg.MinZ, cfg.MaxZ)
	s.autoCell = max(cfg.MaxX-cfg.MinX, cfg.MaxZ-cfg.MinZ) / 64 // until somebody observes
	s.sort()
	return s, nil
}

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
	h, err := s.take()
	if err != nil {
		return 0, fmt.Errorf("aoi: add entry: %w", err)
	}
	s.flags[h] = alive | stray
	if o.Hidden {
		s.flags[h] |= hidden
	}
	s.pos[h] = point{x, z}
	s.cell[h] = s.index.geometry.cell(s.pos[h])
	s.index.strays = append(s.index.strays, uint32(h))
	s.obs[h] = observer{enter2: -1, leave2: -1}
	s.setRadii(h, o.Radius, o.LeaveRadius)
	s.live++
	s.changed = true
	return h, nil
}

func (s *Space) take() (Handle, error) {
	if n := len(s.free); n > 0 {
		h := s.free[n-1]
		s.free = s.free[:n-1]
		return h, nil
	}
	n := len(s.flags)
	if n >= s.cfg.MaxEntries {
		return 0, fmt.Errorf("%d entries: %w", n, ErrFull)
	}
	s.flags = append(s.flags, 0)
	s.pos = append(s.pos, point{})
	s.cell = append(s.cell, 0)
	s.slot = append(s.slot, 0)
	s.obs = append(s.obs, observer{})
	return Handle(n), nil
}

// Move puts h at (x, z), in the caller's unit, however far that is. The last
// Move before a Tick counts; a position that is not finite or out of bounds is
// refused and the old one stays.
func (s *Space) Move(h Handle, x, z float32) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: move entry %d: %w", h, ErrHandle)
	}
	if !s.inside(x, z) {
		return fmt.Errorf("aoi: move entry %d: %w", h, s.outside(x, z))
	}
	p := point{x, z}
	if p == s.pos[h] {
		return nil
	}
	s.pos[h] = p
	s.changed = true
	if c := s.index.geometry.cell(p); c != s.cell[h] {
		s.cell[h] = c
		if s.flags[h]&stray == 0 {
			s.flags[h] |= stray
			s.index.strays = append(s.index.strays, uint32(h))
		}
	}
	return nil
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
	s.setRadii(h, enter, leave)
	s.changed = true
	return nil
}

// setRadii keeps observer and histogram in step.
func (s *Space) setRadii(h Handle, enter, leave float32) {
	o := &s.obs[h]
	if o.enter > 0 {
		s.radii[radiusClass(o.enter)]--
	}
	o.enter, o.enter2, o.leave2 = enter, -1, -1
	if enter > 0 {
		s.radii[radiusClass(enter)]++
		// Past 1e19 a square is +Inf, which holds for every distance: right.
		o.enter2, o.leave2 = enter*enter, leave*leave
	}
	s.radiiChanged = true
}

// SetHidden hides h from all observers from the next Tick on, or shows it.
func (s *Space) SetHidden(h Handle, hide bool) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: hide entry %d: %w", h, ErrHandle)
	}
	s.flags[h] &^= hidden
	if hide {
		s.flags[h] |= hidden
	}
	s.changed = true
	return nil
}

// Remove takes h out. Observers that saw it get a leave at the next Tick, and
// Sees, Visible and Within do not mention it from now on. What h itself saw is
// forgotten without events: its owner has dropped it.
func (s *Space) Remove(h Handle) error {
	if !s.has(h) {
		return fmt.Errorf("aoi: remove entry %d: %w", h, ErrHandle)
	}
	s.setRadii(h, 0, 0)
	s.lists.release(&s.obs[h].visible)
	s.flags[h] = 0
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
	return s.pos[h].x, s.pos[h].z, true
}

func (s *Space) has(h Handle) bool { return uint(h) < uint(len(s.flags)) && s.flags[h]&alive != 0 }

// inside is false for NaN, which compares with nothing.
func (s *Space) inside(x, z float32) bool {
	return x >= s.cfg.MinX && x <= s.cfg.MaxX && z >= s.cfg.MinZ && z <= s.cfg.MaxZ
}

func (s *Space) outside(x, z float32) error {
	return fmt.Errorf("(%g, %g) with bounds [%g, %g] x [%g, %g]: %w",
		x, z, s.cfg.MinX, s.cfg.MaxX, s.cfg.MinZ, s.cfg.MaxZ, ErrPosition)
}
