package movement_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
)

func checks(t testing.TB, r movement.Rules) *movement.Checks {
	t.Helper()
	c, err := movement.NewChecks(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// arrivals tells at which tick each message comes, if one is sent every tick from 1000 on, each takes up to jitter ticks more than the fastest, and none
// overtakes another.
func arrivals(r *rand.Rand, n int, jitter uint32) []uint32 {
	at, lag := make([]uint32, n), uint32(0)
	for i := range at {
		switch r.IntN(8) {
		case 0:
			lag = r.Uint32N(jitter + 1)
		case 1:
			lag = jitter // everything hangs
		case 2:
			lag = 0 // and comes at once
		}
		at[i] = 1000 + uint32(i) + lag
		if i > 0 {
			at[i] = max(at[i], at[i-1])
		}
	}
	return at
}

func TestHonestClientsAreNeverRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		hz := 5 + r.Uint32N(60)
		slack := 1 + r.Uint32N(20)
		jitter := r.Uint32N(slack) // fewer than slack
		rules := movement.Rules{MaxSpeed: 1 + r.Int32N(1000), MaxReach: 1 + r.Int32N(1<<20), TickHz: hz, SpeedSlack: slack, TimeSlack: slack + 1,
			InputsPerSecond: hz, Burst: jitter + 2}
		c := checks(t, rules)
		var g movement.Guard
		last, clock := uint32(0), 0.0
		angle := fixed.Angle(r.Uint32())
		for i, at := range arrivals(r, 3000, jitter) {
			if i == 0 {
				last = at
			}
			if r.IntN(10) == 0 {
				angle = fixed.Angle(r.Uint32())
			}
			way := fixed.Polar(rules.MaxSpeed, angle).Clamp(rules.MaxSpeed)
			clock += 1.0015 // a clock that runs 0.15 % too fast
			for what, v := range map[string]movement.Verdict{
				"speed": g.CheckSpeed(c, way.X, way.Y, at-last),
				"rate":  g.CheckRate(c, at),
				"time":  g.CheckTime(c, math.MaxUint32-500+uint32(clock), at),
				"reach": c.CheckReach(way.X, way.Y, way.X+way.Clamp(rules.MaxReach).X, way.Y+way.Clamp(rules.MaxReach).Y),
			} {
				if !v.OK() {
					t.Fatalf("%+v, jitter %d: message %d at %d: %s %v, %+v", rules, jitter, i, at, what, v, g)
				}
			}
			last = at
			if i%100 == 0 { // a hand-over
				var err error
				if g, err = movement.ParseGuard(g.Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := c.Counts(); n != (movement.Counts{Passed: 12_000}) {
			t.Fatalf("counted %+v", n)
		}
	}
}

func TestClientsThatRoundPlacesThemselvesNeedSomeSlack(t *testing.T) {
	for _, slack := range []int32{0, 2} {
		c := checks(t, movement.Rules{MaxSpeed: 3, SlackPath: slack})
		var g movement.Guard
		refused := 0
		x, y, px, py := 0.0, 0.0, int32(0), int32(0)
		for range 5000 {
			x, y = x+3*math.Cos(0.7), y+3*math.Sin(0.7)
			nx, ny := int32(math.Round(x)), int32(math.Round(y))
			if v := g.CheckSpeed(c, nx-px, ny-py, 1); !v.OK() {
				refused++
			}
			px, py = nx, ny
		}
		if (refused == 0) != (slack == 2) {
			t.Errorf("slack %d: %d refused", slack, refused)
		}
	}
}

// TestCheatsAreCaught plays cheats of several sizes, and holds the checks to the number of ticks that they state.
func TestCheatsAreCaught(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, k := range []float64{1.1, 1.25, 2, 10} {
		for _, jitter := range []uint32{0, 3} {
			c := checks(t, movement.Rules{MaxSpeed: 80, TickHz: 20})
			rules := c.Rules()
			var g movement.Guard
			allowed := int(math.Ceil(float64(rules.SpeedSlack)/(k-1))) + 1 + int(jitter)
			caught, last, way, all := -1, uint32(1000), 0.0, 0.0
			for i, at := range arrivals(r, 4*allowed+100, jitter) {
				step := int32(80 * k)
				all += float64(step)
				if g.CheckSpeed(c, step, 0, at-last).OK() {
					way += float64(step)
				} else if caught < 0 {
					caught = i
				}
				last = at
			}
			if caught < 0 || caught > allowed {
				t.Errorf("speed %g, jitter %d: caught after %d ticks, want at most %d", k, jitter, caught, allowed)
			}
			if most := float64(80 * (last - 1000 + rules.SpeedSlack)); way > most {
				t.Errorf("speed %g: came %g quanta far, of %g that it may", k, way, most)
			}

			g = movement.Guard{}
			allowed = int(math.Ceil(float64(rules.TimeSlack+1+jitter)/(k-1-float64(rules.TimeDrift)/1e6))) + 1
			caught = -1
			for i, at := range arrivals(r, 2*allowed, jitter) {
				if !g.CheckTime(c, uint32(float64(i)*k), at).OK() && caught < 0 {
					caught = i
				}
			}
			if caught < 0 || caught > allowed {
				t.Errorf("clock %g, jitter %d: caught after %d ticks, want at most %d", k, jitter, caught, allowed)
			}

			g = movement.Guard{}
			allowed = int(math.Ceil(float64(rules.Burst)/(k-1)*k)) + 1 // all inputs, those that are due and the others
			caught = -1
			for i := range 2*allowed + 2 {
				if !g.CheckRate(c, 1000+uint32(float64(i)/k)).OK() {
					caught = i
					break
				}
			}
			if caught < 0 || caught > allowed+1 {
				t.Errorf("%g times the inputs: caught after %d, want at most %d", k, caught, allowed)
			}
			if n := c.Counts(); n.TooFast == 0 || n.TooEarly == 0 || n.TooOften == 0 || n.TooFar != 0 {
				t.Errorf("counted %+v", n)
			}
		}
	}
}

func TestManySmallMovesCountAsMuchAsOne(t *testing.T) {
	c := checks(t, movement.Rules{MaxSpeed: 80, SpeedSlack: 2})
	var g movement.Guard
	moves := 0
	for g.CheckSpeed(c, 1, 1, 0).OK() {
		moves++
	}
	if moves != 113 { // 160 ÷ √2
		t.Errorf("%d moves by 1, 1 in a tick", moves)
	}
}

func TestNobodySavesUpTime(t *testing.T) {
	c := checks(t, movement.Rules{TimeSlack: 10})
	for name, claims := range map[string][][2]uint32{
		"by silence":               {{100, 100}, {101, 5000}, {112, 5000}},
		"by going back":            {{100, 100}, {5, 100}, {16, 100}},
		"by a jump":                {{100, 100}, {111, 100}},
		"by a jump across the end": {{math.MaxUint32 - 1, 7}, {9, 7}},
	} {
		var g movement.Guard
		for i, claim := range claims {
			v := g.CheckTime(c, claim[0], claim[1])
			if want := (movement.Verdict{Cause: movement.TooEarly, By: 1}); i < len(claims)-1 && !v.OK() || i == len(claims)-1 && v != want {
				t.Errorf("%s: claim %d: %v", name, i, v)
			}
		}
	}
}

func TestReach(t *testing.T) {
	c := checks(t, movement.Rules{MaxReach: 500})
	for _, w := range []struct {
		ax, ay, bx, by int32
		want           movement.Verdict
	}{
		{10, 10, 310, 410, movement.Verdict{}},
		{10, 10, 311, 410, movement.Verdict{Cause: movement.TooFar, By: 1}},
		{10, 10, 10, 1010, movement.Verdict{Cause: movement.TooFar, By: 500}},
		{math.MinInt32, 0, math.MaxInt32, 0, movement.Verdict{Cause: movement.TooFar, By: math.MaxInt32 - 500}},
	} {
		if v := c.CheckReach(w.ax, w.ay, w.bx, w.by); v != w.want {
			t.Errorf("%+v: %v", w, v)
		}
	}
	none := checks(t, movement.Rules{})
	var g movement.Guard
	if !none.CheckReach(0, 0, 1<<30, 0).OK() || !g.CheckSpeed(none, 1<<30, 0, 0).OK() {
		t.Error("what has no limit was refused")
	}
	if c.CheckReach(0, 0, 999, 0).String() != "too far by 499" || (movement.Verdict{}).String() != "ok" || movement.Cause(77).String() != "cause 77" {
		t.Error("words")
	}
}

func TestRulesThatCannotBeAreRefused(t *testing.T) {
	for i, r := range []movement.Rules{{MaxSpeed: -1}, {MaxSpeed: 1<<20 + 1}, {MaxSpeed: 1 << 20, SpeedSlack: 16}, {MaxReach: -1}, {SlackPath: 17}, {TickHz: 1001},
		{SpeedSlack: 1001}, {TimeSlack: 1001}, {InputsPerSecond: 10_001}, {Burst: 10_001}, {TimeDrift: 50_001}} {
		if _, err := movement.NewChecks(r); err == nil {
			t.Errorf("rules %d were taken", i)
		}
	}
}

// FuzzParseGuard: whatever a Guard says, the checks neither fail nor allow more than a fresh one would.
func FuzzParseGuard(f *testing.F) {
	f.Add(make([]byte, movement.GuardSize), int32(5), int32(-7), uint32(3))
	f.Add(slices.Repeat([]byte{0xff}, movement.GuardSize), int32(math.MinInt32), int32(math.MaxInt32), uint32(1<<31))
	f.Fuzz(func(t *testing.T, b []byte, dx, dy int32, tick uint32) {
		g, err := movement.ParseGuard(b)
		if err != nil {
			return
		}
		if again, err := movement.ParseGuard(g.Append(nil)); err != nil || again != g {
			t.Fatalf("%+v came back as %+v, %v", g, again, err)
		}
		c := checks(t, movement.Rules{MaxSpeed: 80})
		var fresh movement.Guard
		if v := g.CheckSpeed(c, dx, dy, tick); v.OK() && !fresh.CheckSpeed(c, dx, dy, 0).OK() {
			t.Fatal("a used guard let through what a fresh one does not")
		}
		g.CheckRate(c, tick)
		g.CheckTime(c, uint32(dx), tick)
		rules := c.Rules()
		if g.Spent > uint32(rules.MaxSpeed)*256*rules.SpeedSlack || g.Inputs > rules.Burst*rules.TickHz {
			t.Fatalf("the guard holds %+v", g)
		}
	})
}
