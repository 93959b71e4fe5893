package movement

import (
	"encoding/binary"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// Guard is what checks remember of one player: leaky buckets, and the ticks at which they were last looked at. The zero Guard has never been used; it is plain
// data, to be copied, held by a component field by field, or kept by Append and ParseGuard. What is refused changes nothing, except that time passes.
type Guard struct {
	Spent      uint32 // movement taken in advance, 1/256 quanta
	Inputs     uint32 // inputs taken in advance, 1/TickHz inputs
	Ahead      uint32 // how far the client's clock is ahead of where it was at its slowest, 2^-20 ticks
	InputTick  uint32 // of the last CheckRate
	ClientTick uint32 // of the last CheckTime that passed
	ServerTick uint32
	Begun      uint32 // 1 after the first CheckTime
}

// Units of a Guard.
const (
	pathUnit = 256
	timeUnit = 1 << 20
)

// CheckSpeed holds a move of (dx, dy) quanta to MaxSpeed. ticks is how many have passed for the zone since the last call for this player: 0 if that was in
// the same tick. Straight lines are measured, so claims of places may be as far apart as the client likes.
//
// Whoever moves at most MaxSpeed per tick and whose messages take a time that varies by fewer than SpeedSlack ticks is never refused. Whoever moves k times as
// fast without end (k > 1) is refused after at most SpeedSlack ÷ (k − 1) + 1 ticks, and from then on is on average as fast as all others. After a teleport by
// the game, call nothing: the next claim starts from the new place.
func (g *Guard) CheckSpeed(c *Checks, dx, dy int32, ticks uint32) Verdict {
	r := &c.rules
	if r.MaxSpeed == 0 {
		return c.pass()
	}
	speed := uint64(r.MaxSpeed) * pathUnit
	most := speed * uint64(r.SpeedSlack)
	spent := min(uint64(g.Spent), most)
	spent -= min(spent, speed*uint64(ticks))
	g.Spent = uint32(spent)
	way := path(dx, dy)
	way -= min(way, uint64(r.SlackPath)*pathUnit)
	if spent+way > most {
		return c.refuse(TooFast, int64((spent+way-most+pathUnit-1)/pathUnit))
	}
	g.Spent = uint32(spent + way)
	return c.pass()
}

// path is a length in 1/256 quanta, rounded down; that of a long way is rounded down to whole quanta.
func path(dx, dy int32) uint64 {
	const fine = 1 << 22
	if dx < fine && dx > -fine && dy < fine && dy > -fine {
		return uint64(fixed.Vec{X: dx * pathUnit, Y: dy * pathUnit}.Length())
	}
	return uint64(fixed.Vec{X: dx, Y: dy}.Length()) * pathUnit
}

// CheckRate holds the number of inputs to InputsPerSecond: call it once for each, at the zone's tick.
//
// Whoever sends at most that many, evenly, and whose messages take a time that varies by at most j ticks is never refused if Burst ≥ (j + 1) · InputsPerSecond
// ÷ TickHz + 1. Whoever sends k times as many is refused after at most Burst ÷ (k − 1) inputs that were due, and one.
func (g *Guard) CheckRate(c *Checks, tick uint32) Verdict {
	r := &c.rules
	most := r.Burst * r.TickHz
	g.Inputs = min(g.Inputs, most)
	if passed := int32(tick - g.InputTick); passed > 0 || g.Inputs == 0 {
		g.Inputs -= uint32(min(uint64(g.Inputs), uint64(max(passed, 0))*uint64(r.InputsPerSecond)))
		g.InputTick = tick
	}
	if g.Inputs+r.TickHz > most {
		return c.refuse(TooOften, int64((g.Inputs+2*r.TickHz-1-most)/r.TickHz))
	}
	g.Inputs += r.TickHz
	return c.pass()
}

// CheckTime holds a client's clock to the zone's: call it for each input with the tick that the client means it for and the tick at which it came. Only how
// the two move against each other matters, not how far they are apart.
//
// Whoever's clock runs at most TimeDrift too fast, and whose messages' delay and own lead together vary by fewer than TimeSlack ticks, is never refused.
// Whoever lets the clock run k times as fast is refused after at most (TimeSlack + 1 + how much the delay varies) ÷ (k − 1 − TimeDrift/10^6) + 1 ticks, and
// cannot save up time by being silent, or by going back.
func (g *Guard) CheckTime(c *Checks, clientTick, serverTick uint32) Verdict {
	r := &c.rules
	if g.Begun == 0 {
		g.Begun, g.ClientTick, g.ServerTick, g.Ahead = 1, clientTick, serverTick, 0
		return c.pass()
	}
	passed := int64(max(int32(serverTick-g.ServerTick), 0))
	gained := int64(int32(clientTick-g.ClientTick)) * timeUnit
	forgiven := passed*timeUnit + passed*int64(r.TimeDrift)*timeUnit/1_000_000
	most := int64(r.TimeSlack) * timeUnit
	ahead := max(min(int64(g.Ahead), most)+gained-forgiven, 0)
	if ahead > most {
		return c.refuse(TooEarly, (ahead-most+timeUnit-1)/timeUnit)
	}
	g.Ahead, g.ClientTick = uint32(ahead), clientTick
	if passed > 0 {
		g.ServerTick = serverTick
	}
	return c.pass()
}

// GuardSize is the length of a kept Guard: its seven fields in order, 4 bytes each, little-endian.
const GuardSize = 28

// Append appends a Guard, for hand-overs and stores.
func (g *Guard) Append(b []byte) []byte {
	for _, v := range [...]uint32{g.Spent, g.Inputs, g.Ahead, g.InputTick, g.ClientTick, g.ServerTick, g.Begun} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// ParseGuard reads what Append wrote. Any values do: the checks limit them.
func ParseGuard(b []byte) (Guard, error) {
	if len(b) != GuardSize {
		return Guard{}, fmt.Errorf("movement guard of %d bytes: need %d", len(b), GuardSize)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	return Guard{word(0), word(1), word(2), word(3), word(4), word(5), word(6)}, nil
}
