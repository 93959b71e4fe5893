package game

import (
	"fmt"
	"math"
)

// defaultTickHz is the tick rate of a game without a layout.
const defaultTickHz = 20

// Config describes a zone. Zero fields take their default.
type Config struct {
	Zone          uint32 // number of the zone; default 1
	Epoch         uint32 // of its ownership; default 1
	Seed          uint64 // of the zone's chance
	Width, Height int32  // position quanta; default 400 m; at most 2^24 (52 km), the exact range of the interest engine
	EnterRadius   int32  // of a player's view, quanta; default 50 m
	LeaveRadius   int32  // ≥ EnterRadius; default 1.1 × EnterRadius
	MaxSpectate   int32  // largest radius of a spectator's view, quanta; default: the whole zone
	Mailbox       int    // messages waiting per player before more are refused; default 256
	MaxAhead      uint32 // ticks that a message may wait for its tick; default: a second
	FirstTick     uint32 // default 1
}

// validate fills in defaults, given the position quantum in metres and the tick rate.
func (c *Config) validate(quantum float64, hz uint32) error {
	def := func(v *int32, d int32) {
		if *v == 0 {
			*v = d
		}
	}
	metres := func(n float64) int32 { return int32(min(max(math.Round(n/quantum), 1), 1<<23)) }
	if c.Zone == 0 {
		c.Zone = 1
	}
	if c.Epoch == 0 {
		c.Epoch = 1
	}
	def(&c.Width, metres(400))
	def(&c.Height, c.Width)
	def(&c.EnterRadius, metres(50))
	def(&c.LeaveRadius, c.EnterRadius+c.EnterRadius/10)
	if c.Mailbox == 0 {
		c.Mailbox = 256
	}
	if c.MaxAhead == 0 {
		c.MaxAhead = hz
	}
	if c.FirstTick == 0 {
		c.FirstTick = 1
	}
	const limit = 1 << 24
	switch {
	case c.Width < 1 || c.Height < 1 || c.Width > limit || c.Height > limit:
		return fmt.Errorf("zone %d: %d × %d quanta, each side must be 1 … %d", c.Zone, c.Width, c.Height, limit)
	case c.EnterRadius < 1 || c.LeaveRadius < c.EnterRadius || c.LeaveRadius > limit:
		return fmt.Errorf("zone %d: enter radius %d and leave radius %d: need 1 ≤ enter ≤ leave ≤ %d", c.Zone, c.EnterRadius, c.LeaveRadius, limit)
	case c.MaxSpectate < 0:
		return fmt.Errorf("zone %d: MaxSpectate of %d quanta, need 0 or more", c.Zone, c.MaxSpectate)
	case c.MaxAhead > 1<<20:
		return fmt.Errorf("zone %d: MaxAhead of %d ticks, need at most %d", c.Zone, c.MaxAhead, 1<<20)
	case c.Mailbox < 1:
		return fmt.Errorf("zone %d: mailbox of %d messages, need at least 1", c.Zone, c.Mailbox)
	}
	def(&c.MaxSpectate, 2*max(c.Width, c.Height))
	return nil
}
