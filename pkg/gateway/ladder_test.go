package gateway

import (
	"testing"
	"time"
)

func sampleViolations() *Violations {
	v := &Violations{}
	_ = v.validate(200) // Decay 50, Warn 200, Kick 1000, Grace 2 s
	return v
}

// climbing counts the steps of violations at a rate, from one time to another; it ends with a kick.
func climbing(l *ladder, perSecond float64, from, to time.Duration) (steps map[step]int, end time.Duration) {
	v, steps := sampleViolations(), map[step]int{}
	for now := from; now < to; now += time.Duration(float64(time.Second) / perSecond) {
		s := l.climb(v, now)
		if steps[s]++; s == stepKick {
			return steps, now
		}
	}
	return steps, to
}

func TestLadderDropsThenWarnsThenKicks(t *testing.T) {
	for _, c := range []struct {
		name      string
		perSecond float64 // violations
		kickAfter time.Duration
		kickUntil time.Duration // 0: never
		warned    int
	}{
		{"below the decay", 49, 0, 0, 0},
		{"a little above", 100, 19 * time.Second, 21 * time.Second, 1}, // 50 points per second stay
		{"far above", 2000, 2 * time.Second, 3 * time.Second, 1},
		{"a flood", 20_000, 700 * time.Millisecond, time.Second, 1}, // 16,000 after the warning
		{"as fast as it goes", 1e7, 1 * time.Millisecond, 3 * time.Millisecond, 1},
	} {
		var l ladder
		steps, end := climbing(&l, c.perSecond, 0, time.Minute)
		switch {
		case steps[stepWarn] != c.warned:
			t.Errorf("%s: %d warnings, want %d", c.name, steps[stepWarn], c.warned)
		case c.kickUntil == 0 && steps[stepKick] != 0:
			t.Errorf("%s: kicked after %v", c.name, end)
		case c.kickUntil != 0 && (end < c.kickAfter || end > c.kickUntil):
			t.Errorf("%s: ended after %v, want a kick within %v and %v", c.name, end, c.kickAfter, c.kickUntil)
		}
		if most := int(end/tellEvery) + 1; steps[stepTell] > most || steps[stepTell] == 0 {
			t.Errorf("%s: told %d times in %v, want once a second", c.name, steps[stepTell], end)
		}
	}
}

// A client that was cut off for half a minute may send all that it had to say at once.
func TestLadderForgivesWhatALostNetworkHeldUp(t *testing.T) {
	var l ladder
	steps, _ := climbing(&l, 10_000, time.Minute, time.Minute+300*time.Millisecond) // 3,000 frames too many
	if steps[stepWarn] != 1 || steps[stepKick] != 0 {
		t.Errorf("a burst: %v", steps)
	}
	v := sampleViolations()
	for now := time.Minute + time.Second; now < 2*time.Minute; now += time.Second {
		if s := l.climb(v, now); s == stepKick || s == stepWarn {
			t.Fatalf("a violation now and then after a burst: step %d", s)
		}
	}
}

func TestLadderWarnsAgainOnceAllIsForgotten(t *testing.T) {
	var l ladder
	for i := range 3 {
		from := time.Duration(i) * time.Minute
		if steps, _ := climbing(&l, 1000, from, from+time.Second); steps[stepWarn] != 1 {
			t.Errorf("round %d: %d warnings, want 1", i, steps[stepWarn])
		}
	}
}

func TestLadderBearsAClockThatStandsStill(t *testing.T) {
	var l ladder
	v := sampleViolations()
	for i := range 100_000 {
		if l.climb(v, 0) == stepKick {
			if i < hopeless*1000 {
				t.Errorf("kicked after %d violations, want %d at least", i, hopeless*1000)
			}
			return
		}
	}
	t.Error("never kicked")
}
