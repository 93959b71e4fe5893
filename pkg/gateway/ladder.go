package gateway

import (
	"fmt"
	"time"
)

// Violations says what becomes of a client that sends more than it may. Each frame beyond a limit is dropped and is one point; points decay with time. At Warn points the client
// is told by a WARNING, and when it still has Kick of them, Grace after it was told, it is kicked with code 4511. The zero value is the default of each field.
//
// A client that a lost network held up sends seconds' worth of frames at once when it is back: Grace lets it off. One that sends as if there were no tomorrow is not
// waited for: 16·Kick points, decayed or not, since the warning.
type Violations struct {
	Decay float64       // points that are forgotten per second; default a quarter of Config.FrameRate: who sends a quarter too much is never warned
	Warn  float64       // points; default Config.FrameRate
	Kick  float64       // points, more are not counted; default 5·Warn
	Grace time.Duration // from the warning to the kick at least; default 2 s
}

// validate fills in the defaults.
func (v *Violations) validate(frameRate int) error {
	if v.Decay == 0 {
		v.Decay = float64(frameRate) / 4
	}
	if v.Warn == 0 {
		v.Warn = float64(frameRate)
	}
	if v.Kick == 0 {
		v.Kick = min(5*v.Warn, maxRate)
	}
	if v.Grace == 0 {
		v.Grace = 2 * time.Second
	}
	if !(v.Decay > 0 && v.Warn >= 1 && v.Kick > v.Warn && v.Kick <= maxRate) || v.Grace < 0 {
		return fmt.Errorf("gateway: Limits.Violations with Decay %v, Warn %v, Kick %v and Grace %v: need a positive Decay, 1 ≤ Warn < Kick ≤ %d and no negative Grace", v.Decay, v.Warn, v.Kick, v.Grace, maxRate)
	}
	return nil
}

// step is what is to be done about a violation, beside dropping its frame.
type step uint8

const (
	stepNone step = iota
	stepTell      // answer it with an error: once a second
	stepWarn      // send a WARNING
	stepKick
)

// warnText is a WARNING's message.
const warnText = "you send too much and are sent away if you go on"

const (
	tellEvery = time.Second // between two errors for dropped frames
	hopeless  = 16          // ·Kick violations since the warning: there is no grace
)

// ladder counts the violations of one session. It belongs to the session's reader goroutine. The zero value is a client without fault.
type ladder struct {
	points float64       // at the time at
	at     time.Duration // of the last violation
	tell   time.Duration // from when on the next error may be sent
	warned bool          // forgotten when the points have come to nothing
	since  time.Duration // of the warning
	excess float64       // violations since then
}

// climb counts a violation and says what to do.
func (l *ladder) climb(v *Violations, now time.Duration) step {
	l.points = max(0, l.points-max(0, now-l.at).Seconds()*v.Decay)
	l.at = now
	if l.points == 0 {
		l.warned = false
	}
	l.points = min(l.points+1, v.Kick)
	if !l.warned {
		if l.points < v.Warn {
			return l.drop(now)
		}
		l.warned, l.since, l.excess = true, now, 0
		return stepWarn
	}
	if l.excess++; l.excess >= hopeless*v.Kick || l.points >= v.Kick && now-l.since >= v.Grace {
		return stepKick
	}
	return l.drop(now)
}

func (l *ladder) drop(now time.Duration) step {
	if now < l.tell {
		return stepNone
	}
	l.tell = now + tellEvery
	return stepTell
}
