package game

import (
	"fmt"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// defaultTickHz is the tick rate of a game without a layout.
const defaultTickHz = 20

// Config describes a zone. Zero fields take their default.
type Config struct {
	Zone          uint32      // number of the zone; default 1
	Epoch         uint32      // of its ownership; default 1
	Seed          uint64      // of the zone's chance
	World         uint32      // zones of one world whose rectangles touch are neighbours; default 0: it stands alone, as an instance does
	X, Y          int32       // the zone's corner in its world, position quanta
	Width, Height int32       // position quanta; default 400 m; at most 2^24 (52 km), the exact range of the interest engine
	Margin        int32       // how far beyond a border with a neighbour the zone holds entities, quanta; beyond half of it they are handed over; default 8 m
	EnterRadius   int32       // of a player's view, quanta; default 50 m
	LeaveRadius   int32       // ≥ EnterRadius; default 1.1 × EnterRadius
	MaxSpectate   int32       // largest radius of a spectator's view, quanta; default: the whole zone
	MaxVisible    int         // how many entities of this zone an avatar's view shows, from whichever zone it looks: the nearest, where those in view count as if they stood at some 0.9 of their distance. The avatar is one of them, and always shown. Spectators are not bound. Default 0: all
	Map           Map         // what stands in the way; default: nothing
	Instance      string      // name of the template that this is a private copy of; set by whoever opens it
	Key           uint64      // tells copies of one template apart
	Tables        *tables.Set // the game's data tables to begin with; default: none

	Mailbox   int    // messages waiting per player before more are refused; default 256
	PerTick   int    // messages of one player that are handled per tick, so that a flood delays nobody else's; default 32
	MaxAhead  uint32 // ticks that a message may wait for its tick; default: a second
	FirstTick uint32 // default 1
	Rewind    uint32 // ticks of positions that Zone.Rewind knows; default 0: none, at most 1,024

	ReplyTicks uint32 // within which a deferred reply must be sent; default 5 s
	AsyncTicks uint32 // within which work and calls must answer; default 5 s
	MaxAsync   int    // work and calls under way at once; default 4,096
	MaxMine    int    // of them, for one player (Async.Player); default 32
	Panics     int    // of a handler, system or timer within PanicTicks, after which it is quarantined; of a handler, panics of as many players: one player's take it from that player alone; default 5
	PanicTicks uint32 // default: a minute

	// InterestWorkers is how many goroutines share the work of finding out who sees whom, while Step waits for them; default 1, at most 64. What comes out does not depend on it, and recordings do not hold it.
	// Several zones of a process are stepped in parallel already: it is for one zone with thousands of players.
	InterestWorkers int
	// Strict looks at every use of the zone whether it comes from the owner's goroutine, not only at every 64th: it costs a microsecond each.
	Strict bool
	// Observe, if set, is called at the end of each phase of a step, with an empty name, and of each handler, timer and system before it, with theirs: a shell measures
	// times by it. It must not touch the zone, but may ask for its Hash.
	Observe func(p Phase, name string)
}

// validate fills in defaults, given the position quantum in metres and the tick rate.
func (c *Config) validate(quantum float64, hz uint32) error {
	def := func(v *int32, d int32) {
		if *v == 0 {
			*v = d
		}
	}
	ticks := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	metres := func(n float64) int32 { return int32(min(max(math.Round(n/quantum), 1), 1<<23)) }
	if c.Zone == 0 {
		c.Zone = 1
	}
	ticks(&c.Epoch, 1)
	def(&c.Width, metres(400))
	def(&c.Height, c.Width)
	def(&c.Margin, min(metres(8), 1<<21))
	def(&c.EnterRadius, metres(50))
	def(&c.LeaveRadius, c.EnterRadius+c.EnterRadius/10)
	count(&c.Mailbox, 256)
	count(&c.PerTick, 32)
	count(&c.MaxAsync, 4096)
	count(&c.MaxMine, 32)
	count(&c.Panics, 5)
	ticks(&c.MaxAhead, hz)
	ticks(&c.FirstTick, 1)
	ticks(&c.ReplyTicks, 5*hz)
	ticks(&c.AsyncTicks, 5*hz)
	ticks(&c.PanicTicks, 60*hz)
	const limit = 1 << 24
	switch {
	case c.Width < 1 || c.Height < 1 || c.Width > limit || c.Height > limit:
		return fmt.Errorf("zone %d: %d × %d quanta, each side must be 1 … %d", c.Zone, c.Width, c.Height, limit)
	case c.Margin < 0 || c.Margin > limit/4:
		return fmt.Errorf("zone %d: margin of %d quanta, need 0 … %d", c.Zone, c.Margin, limit/4)
	case c.X > math.MaxInt32-2*limit || c.Y > math.MaxInt32-2*limit || c.X < math.MinInt32+2*limit || c.Y < math.MinInt32+2*limit:
		return fmt.Errorf("zone %d: corner at %d, %d: the world ends at ±%d quanta", c.Zone, c.X, c.Y, math.MaxInt32-2*limit)
	case c.EnterRadius < 1 || c.LeaveRadius < c.EnterRadius || c.LeaveRadius > limit:
		return fmt.Errorf("zone %d: enter radius %d and leave radius %d: need 1 ≤ enter ≤ leave ≤ %d", c.Zone, c.EnterRadius, c.LeaveRadius, limit)
	case c.MaxSpectate < 0:
		return fmt.Errorf("zone %d: MaxSpectate of %d quanta, need 0 or more", c.Zone, c.MaxSpectate)
	case c.MaxAhead > 1<<20 || c.ReplyTicks > 1<<20 || c.AsyncTicks > 1<<20 || c.PanicTicks > 1<<20:
		return fmt.Errorf("zone %d: MaxAhead %d, ReplyTicks %d, AsyncTicks %d and PanicTicks %d: need at most %d ticks", c.Zone, c.MaxAhead, c.ReplyTicks, c.AsyncTicks, c.PanicTicks, 1<<20)
	case c.Mailbox < 1 || c.Mailbox > maxWaiting:
		return fmt.Errorf("zone %d: mailbox of %d messages, need 1 … %d, which a hand-over has room for", c.Zone, c.Mailbox, maxWaiting)
	case c.PerTick < 1 || c.MaxAsync < 1 || c.MaxMine < 1 || c.Panics < 1:
		return fmt.Errorf("zone %d: PerTick %d, MaxAsync %d and Panics %d: need at least 1 each", c.Zone, c.PerTick, c.MaxAsync, c.Panics)
	case c.MaxVisible < 0 || c.MaxVisible > aoi.MaxEntries:
		return fmt.Errorf("zone %d: MaxVisible of %d entities, need 0, which means all, to %d", c.Zone, c.MaxVisible, aoi.MaxEntries)
	case c.InterestWorkers < 0 || c.InterestWorkers > 64:
		return fmt.Errorf("zone %d: %d InterestWorkers, need 0, which means 1, to 64", c.Zone, c.InterestWorkers)
	case c.Rewind > 1024:
		return fmt.Errorf("zone %d: Rewind of %d ticks, need at most 1,024", c.Zone, c.Rewind)
	}
	def(&c.MaxSpectate, 2*max(c.Width, c.Height))
	return nil
}

// Grid divides a zone, whose Width must be set (Height is as large by default), into columns and rows of zones of one world, numbered from its own number on, row by row.
func Grid(c Config, columns, rows int32) []Config {
	var all []Config
	if c.Height == 0 {
		c.Height = c.Width
	}
	if c.World == 0 && columns*rows > 1 {
		c.World = 1
	}
	if c.Height == 0 {
		c.Height = c.Width
	}
	for row := range rows {
		for column := range columns {
			z := c
			z.Zone = max(c.Zone, 1) + uint32(len(all))
			z.X, z.Width = c.X+cut(c.Width, column, columns), cut(c.Width, column+1, columns)-cut(c.Width, column, columns)
			z.Y, z.Height = c.Y+cut(c.Height, row, rows), cut(c.Height, row+1, rows)-cut(c.Height, row, rows)
			all = append(all, z)
		}
	}
	return all
}

// cut is where part i of n of a length begins.
func cut(length, i, n int32) int32 { return int32(int64(length) * int64(i) / int64(n)) }

// Map is what stands in the way in a zone's world, in world quanta: package terrain has several, a studio's own navigation mesh may be another. It is a function of its
// arguments: whatever changes is a part of the zone, as entities are. Several zones may share one.
type Map interface {
	// Walk tells how far a circle of a radius gets from a place that is free by a step: it slides along what is in the way.
	Walk(x, y, dx, dy, radius int32) (nx, ny int32)
	// Free tells whether a circle may be at a place.
	Free(x, y, radius int32) bool
	// Clear tells whether one place can be seen from the other.
	Clear(x0, y0, x1, y1 int32) bool
}
