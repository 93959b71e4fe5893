package aoi

import (
	"errors"
	"fmt"
	"math"
)

// Errors that callers may test for with errors.Is. What is refused is not stored.
var (
	ErrConfig   = errors.New("contradictory configuration")
	ErrHandle   = errors.New("no such entry")
	ErrPosition = errors.New("position not finite or out of bounds")
	ErrRadius   = errors.New("radius not finite, negative, or leave below enter")
	ErrFull     = errors.New("space is full")
)

const (
	// MaxBound is the largest magnitude of a bound, in the caller's unit:
	// squares of distances still fit a float32.
	MaxBound = 1e18
	// MaxEntries is the largest number of entries that one space can hold.
	MaxEntries = 1<<24 - 1

	defaultBound   = 1 << 24 // every integer up to here is a float32
	defaultEntries = 1 << 20
	// defaultHysteresis is leave ÷ enter where the caller names no leave radius.
	defaultHysteresis = 1.1
	maxWorkers        = 64
)

// Config describes a Space. The zero value works.
type Config struct {
	// MinX, MinZ, MaxX and MaxZ bound all positions, inclusively, in the
	// caller's unit of length. All four zero: ±2^24. They cost nothing: a
	// larger world needs no larger grid.
	MinX, MinZ, MaxX, MaxZ float32
	// CellSize is the side of a grid cell in the caller's unit of length; it
	// steers speed only. 0: cells follow the density of the entries.
	CellSize float32
	// MaxEntries bounds the entries. Those removed count until the Tick after
	// the one that reported them, when their handles are free again. 0: 2^20.
	MaxEntries int
	// Workers is how many goroutines share a Tick; 0: 1. What comes out does
	// not depend on it.
	Workers int
	// Kernel computes the distances. Auto, the zero value: the fastest that
	// this machine has. What comes out does not depend on it.
	Kernel Kernel
}

func (c Config) validate() (Config, error) {
	if c.MinX == 0 && c.MinZ == 0 && c.MaxX == 0 && c.MaxZ == 0 {
		c.MinX, c.MinZ, c.MaxX, c.MaxZ = -defaultBound, -defaultBound, defaultBound, defaultBound
	}
	for _, b := range [...]float32{c.MinX, c.MinZ, c.MaxX, c.MaxZ} {
		if !(b >= -MaxBound && b <= MaxBound) {
			return c, fmt.Errorf("aoi: bound %g beyond ±%g: %w", b, MaxBound, ErrConfig)
		}
	}
	if c.MinX >= c.MaxX || c.MinZ >= c.MaxZ {
		return c, fmt.Errorf("aoi: bounds [%g, %g] x [%g, %g] are empty: %w", c.MinX, c.MaxX, c.MinZ, c.MaxZ, ErrConfig)
	}
	if !(c.CellSize >= 0 && c.CellSize <= math.MaxFloat32) {
		return c, fmt.Errorf("aoi: cell size %g: %w", c.CellSize, ErrConfig)
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultEntries
	}
	if c.MaxEntries < 0 || c.MaxEntries > MaxEntries {
		return c, fmt.Errorf("aoi: max entries %d outside [1, %d]: %w", c.MaxEntries, MaxEntries, ErrConfig)
	}
	if c.Workers == 0 {
		c.Workers = 1
	}
	if c.Workers < 0 || c.Workers > maxWorkers {
		return c, fmt.Errorf("aoi: %d workers outside [1, %d]: %w", c.Workers, maxWorkers, ErrConfig)
	}
	if _, ok := kernelOf(c.Kernel); !ok {
		return c, fmt.Errorf("aoi: this machine has no kernel %q, only %v: %w", c.Kernel, Kernels(), ErrConfig)
	}
	return c, nil
}

// Opts says what an entry is. The zero value is a target that observes nothing:
// a monster, a chest.
type Opts struct {
	// Hidden entries are seen by no observer and found by no query: an
	// observer that is no entity (a spectator, a border), or stealth.
	Hidden bool
	// Layers says what the entry is, as a set of bits. 0: bit 0 alone.
	Layers uint32
	// Radius is the enter radius in the caller's unit; 0: not an observer.
	Radius float32
	// LeaveRadius is the radius beyond which a visible target is lost; at
	// least Radius. 0: 1.1 times Radius.
	LeaveRadius float32
	// Mask says which layers the observer sees: those of which it has a bit.
	// 0: all.
	Mask uint32
	// Nearest bounds how many targets the observer sees: the nearest, with a
	// bonus for those it sees already. 0: no bound.
	Nearest int
}

func checkRadii(enter, leave float32) error {
	if !(enter >= 0 && leave >= enter && leave <= math.MaxFloat32) || enter == 0 && leave > 0 {
		return fmt.Errorf("enter radius %g, leave radius %g: %w", enter, leave, ErrRadius)
	}
	return nil
}

func checkNearest(k int) error {
	if k < 0 || k > MaxEntries {
		return fmt.Errorf("nearest %d outside [0, %d]: %w", k, MaxEntries, ErrConfig)
	}
	return nil
}
