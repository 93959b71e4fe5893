package game

import "fmt"

// Quanta of the state's layout: positions in 1/320 m, velocities in 1/16 m/s, which at 20 ticks per second is one position quantum per tick.
const (
	QuantaPerMetre   = 320
	VelocityPerMetre = 16 // velocity quanta per m/s
	TickHz           = 20
	FullTurn         = 1024 // yaw units
)

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
	MaxAhead      uint32 // ticks that a message may wait for its tick; default 20
	FirstTick     uint32 // default 1
}

func (c *Config) validate() error {
	def := func(v *int32, d int32) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Zone == 0 {
		c.Zone = 1
	}
	if c.Epoch == 0 {
		c.Epoch = 1
	}
	def(&c.Width, 400*QuantaPerMetre)
	def(&c.Height, c.Width)
	def(&c.EnterRadius, 50*QuantaPerMetre)
	def(&c.LeaveRadius, c.EnterRadius+c.EnterRadius/10)
	if c.Mailbox == 0 {
		c.Mailbox = 256
	}
	if c.MaxAhead == 0 {
		c.MaxAhead = 20
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
