package movement

import (
	"fmt"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// Rules are the limits that clients' claims are held to. Zero fields take their default; MaxSpeed and MaxReach have none: 0 checks nothing.
type Rules struct {
	MaxSpeed  int32 // the farthest anyone may get in a tick, quanta; at most 2^20, and times SpeedSlack less than 2^24
	MaxReach  int32 // the farthest that anyone may act, quanta
	SlackPath int32 // quanta forgiven per claimed move, for clients that round places of their own; default 0, at most 16

	TickHz          uint32 // ticks per second; default 20, at most 1000
	SpeedSlack      uint32 // ticks of movement that may come at once; default half a second, at most 1000
	InputsPerSecond uint32 // default TickHz, at most 10 000
	Burst           uint32 // inputs that may come at once; default half a second of them and one, at most 10 000
	TimeSlack       uint32 // ticks that a client's clock may get ahead of where it was; default half a second, at most 1000
	TimeDrift       uint32 // of a client's clock that is forgiven for good, in ticks per million; default 2000, at most 50 000
}

func (r *Rules) validate() error {
	def := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	def(&r.TickHz, 20)
	def(&r.SpeedSlack, max(r.TickHz/2, 1))
	def(&r.InputsPerSecond, r.TickHz)
	def(&r.Burst, r.InputsPerSecond/2+1)
	def(&r.TimeSlack, max(r.TickHz/2, 1))
	def(&r.TimeDrift, 2000)
	switch {
	case r.MaxSpeed < 0 || r.MaxSpeed > 1<<20:
		return fmt.Errorf("movement rules: MaxSpeed of %d quanta per tick, need 0 … %d", r.MaxSpeed, 1<<20)
	case uint64(r.MaxSpeed)*uint64(r.SpeedSlack) >= 1<<24:
		return fmt.Errorf("movement rules: MaxSpeed of %d quanta for a SpeedSlack of %d ticks, need less than 2^24 quanta together", r.MaxSpeed, r.SpeedSlack)
	case r.MaxReach < 0 || r.SlackPath < 0 || r.SlackPath > 16:
		return fmt.Errorf("movement rules: MaxReach of %d and SlackPath of %d quanta, need 0 or more, and SlackPath at most 16", r.MaxReach, r.SlackPath)
	case r.TickHz > 1000 || r.SpeedSlack > 1000 || r.TimeSlack > 1000:
		return fmt.Errorf("movement rules: %d ticks per second, SpeedSlack of %d and TimeSlack of %d ticks, need at most 1000 each", r.TickHz, r.SpeedSlack, r.TimeSlack)
	case r.InputsPerSecond > 10_000 || r.Burst > 10_000 || r.TimeDrift > 50_000:
		return fmt.Errorf("movement rules: %d inputs per second, bursts of %d, a drift of %d in a million, need at most 10 000, 10 000 and 50 000", r.InputsPerSecond, r.Burst, r.TimeDrift)
	}
	return nil
}

// Cause says what is wrong with a claim.
type Cause uint8

// Causes. OK is none.
const (
	OK       Cause = iota
	TooFast        // By: quanta beyond what the player may have walked
	TooFar         // By: quanta beyond MaxReach, rounded up
	TooOften       // By: inputs that the player has not earned
	TooEarly       // By: ticks that the client's clock is too far ahead
	causes
)

// String names the cause in words.
func (c Cause) String() string {
	if c >= causes {
		return fmt.Sprintf("cause %d", uint8(c))
	}
	return [causes]string{"ok", "too fast", "too far", "too often", "too early"}[c]
}

// Verdict is what a check says: OK, or why the claim is refused and by how much, at least 1, in the units of the Cause.
type Verdict struct {
	Cause Cause
	By    int32
}

// OK says that nothing is wrong.
func (v Verdict) OK() bool { return v.Cause == OK }

// String says what is wrong and by how much, or "ok".
func (v Verdict) String() string {
	if v.OK() {
		return "ok"
	}
	return fmt.Sprintf("%s by %d", v.Cause, v.By)
}

// Counts are how many checks were made, and how many refused by cause.
type Counts struct{ Passed, TooFast, TooFar, TooOften, TooEarly uint64 }

// Checks hold claims to Rules and count verdicts. One of them serves all players of a zone.
type Checks struct {
	rules  Rules
	counts [causes]uint64
}

// NewChecks validates rules.
func NewChecks(r Rules) (*Checks, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	return &Checks{rules: r}, nil
}

// Rules returns those in force, with defaults filled in.
func (c *Checks) Rules() Rules { return c.rules }

// Counts returns what was counted.
func (c *Checks) Counts() Counts {
	n := &c.counts
	return Counts{n[OK], n[TooFast], n[TooFar], n[TooOften], n[TooEarly]}
}

func (c *Checks) refuse(why Cause, by int64) Verdict {
	c.counts[why]++
	return Verdict{why, int32(min(max(by, 1), math.MaxInt32))}
}

func (c *Checks) pass() Verdict {
	c.counts[OK]++
	return Verdict{}
}

// CheckReach holds what happens between two places to MaxReach: exactly that far is not too far.
func (c *Checks) CheckReach(ax, ay, bx, by int32) Verdict {
	if c.rules.MaxReach == 0 {
		return c.pass()
	}
	dx, dy := int64(bx)-int64(ax), int64(by)-int64(ay)
	way := fixed.Vec{X: clamped(dx), Y: clamped(dy)} // a way that does not fit is too far either way: MaxReach does
	if int64(way.X) == dx && int64(way.Y) == dy && way.Within(c.rules.MaxReach) {
		return c.pass()
	}
	beyond := int64(way.Length()) - int64(c.rules.MaxReach)
	if !way.Within(way.Length()) {
		beyond++ // the length was rounded down
	}
	return c.refuse(TooFar, beyond)
}

func clamped(v int64) int32 { return int32(min(max(v, math.MinInt32), math.MaxInt32)) }
