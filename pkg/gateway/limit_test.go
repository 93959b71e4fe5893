package gateway

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

const (
	routePlain   uint16 = 100
	routeDear    uint16 = 101 // costs 5
	routeChat    uint16 = 102 // 2 per second, burst 4
	routeTrade   uint16 = 103 // 1 per second, burst 6, costs 3
	routeUnknown uint16 = 9000
)

// sampleLimits: 200 frames per second and 400 at once, 64,000 bytes per second and 128,000 at once, 50 JSON frames per second and 100 at once.
func sampleLimits(t testing.TB) *limits {
	t.Helper()
	l := Limits{ByteRate: 64_000}
	if err := l.validate(200, 1000); err != nil {
		t.Fatal(err)
	}
	return newLimits(200, 400, &l, []protocol.Route{
		{ID: routePlain}, {ID: routeDear, Cost: 5}, {ID: routeChat, Rate: 2, Burst: 4}, {ID: routeTrade, Rate: 1, Burst: 6, Cost: 3},
	})
}

func push(route uint16, size int) protocol.Frame {
	return protocol.Frame{Type: protocol.TypePush, Route: route, Payload: make([]byte, size)}
}

func echoFrame() protocol.Frame {
	return protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteEcho, Payload: make([]byte, protocol.EchoSize)}
}

// passing is how many of n frames like f pass at one moment.
func passing(l *limiter, s *limits, f protocol.Frame, now time.Duration, n int) (passed int) {
	for range n {
		if ok, _, _ := l.take(s, f, now); ok {
			passed++
		}
	}
	return passed
}

func TestLimiterHoldsABurstAndRefillsAtItsRate(t *testing.T) {
	s := sampleLimits(t)
	json := push(routePlain, 1)
	json.Flags = protocol.FlagJSON
	jsonChat := push(routeChat, 1)
	jsonChat.Flags = protocol.FlagJSON
	for _, c := range []struct {
		name                     string
		frame                    protocol.Frame
		burst, tenth, afterHours int // that pass at once, 100 ms later, and long after
	}{
		{"frames", push(routePlain, 0), 400, 20, 400},
		{"frames of an unknown route", push(routeUnknown, 0), 400, 20, 400},
		{"frames of a dear route", push(routeDear, 0), 80, 4, 80},
		{"bytes", push(routePlain, 1000), 128, 6, 128},
		{"a message larger than the burst", push(routePlain, 200_000), 1, 0, 1},
		{"JSON", json, 100, 5, 100},
		{"a route with a rate", push(routeChat, 0), 4, 0, 4},
		{"a route with a rate, in JSON", jsonChat, 4, 0, 4},
		{"a dear route with a rate", push(routeTrade, 0), 2, 0, 2},
	} {
		var l limiter
		for _, step := range []struct {
			at   time.Duration
			want int
		}{{time.Hour, c.burst}, {time.Hour + 100*time.Millisecond, c.tenth}, {9 * time.Hour, c.afterHours}} {
			if got := passing(&l, s, c.frame, step.at, 1000); got != step.want {
				t.Errorf("%s: %d of 1000 passed at %v, want %d", c.name, got, step.at, step.want)
			}
		}
	}
}

func TestLimiterSaysWhenTheFrameWouldPass(t *testing.T) {
	s := sampleLimits(t)
	for _, f := range []protocol.Frame{push(routePlain, 0), push(routeDear, 10), push(routePlain, 5000), push(routeChat, 7), push(routeTrade, 0), push(routePlain, 300_000)} {
		var l limiter
		now := time.Minute
		passing(&l, s, f, now, 1000)
		ok, _, wait := l.take(s, f, now)
		if ok || wait <= 0 {
			t.Fatalf("route %d: taken %v, wait %v", f.Route, ok, wait)
		}
		if ok, _, _ = l.take(s, f, now+wait-1); ok {
			t.Errorf("route %d, %d bytes: passed before the %v that it was told to wait", f.Route, len(f.Payload), wait)
		}
		if ok, _, _ = l.take(s, f, now+wait); !ok {
			t.Errorf("route %d, %d bytes: refused after the %v that it was told to wait", f.Route, len(f.Payload), wait)
		}
	}
}

func TestRefusedFrameTakesNothing(t *testing.T) {
	s := sampleLimits(t)
	var l limiter
	passing(&l, s, push(routeChat, 900), 0, 300) // 4 pass
	if got := passing(&l, s, push(routePlain, 0), 0, 1000); got != 396 {
		t.Errorf("%d frames passed after 4 of another route and 296 refused, want 396", got)
	}
}

func TestRoutesHaveRatesOfTheirOwn(t *testing.T) {
	s := sampleLimits(t)
	var l limiter
	passing(&l, s, push(routeChat, 0), 0, 100)
	if got := passing(&l, s, push(routeTrade, 0), 0, 100); got != 2 {
		t.Errorf("%d frames of a route passed after another's rate was used up, want 2", got)
	}
}

func TestExemptFramesPassBeyondTheLimitButArePaidFor(t *testing.T) {
	s := sampleLimits(t)
	ack := protocol.Frame{Type: protocol.TypeAck, Seq: 7}
	bye := protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteBye}
	for _, f := range []protocol.Frame{echoFrame(), ack, bye} {
		var l limiter
		if got := passing(&l, s, f, 0, 500); got != 500 {
			t.Errorf("%d of 500 %vs of route %d passed", got, f.Type, f.Route)
		}
		if ok, _, _ := l.take(s, push(routePlain, 0), 0); ok {
			t.Errorf("%vs of route %d are not paid for", f.Type, f.Route)
		}
		// They make no debt: the rest of the frames pass as soon as tokens come.
		if ok, _, _ := l.take(s, push(routePlain, 0), 5*time.Millisecond); !ok {
			t.Errorf("%vs of route %d left a debt", f.Type, f.Route)
		}
	}
	malformed := protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteEcho}
	var l limiter
	if got := passing(&l, s, malformed, 0, 500); got != 400 {
		t.Errorf("%d of 500 malformed echoes passed, want 400", got)
	}
}

func TestFloodOfExemptFramesIsKicked(t *testing.T) {
	s := sampleLimits(t)
	var l limiter
	warned, n := 0, 0
	for now := time.Duration(0); now < 10*time.Second; now += 50 * time.Microsecond { // 20,000 per second
		n++
		ok, step, _ := l.take(s, echoFrame(), now)
		switch {
		case !ok:
			t.Fatal("an echo was refused")
		case step == stepTell:
			t.Fatal("an echo that passed is answered with an error")
		case step == stepWarn:
			warned++
		case step == stepKick:
			if warned != 1 {
				t.Errorf("kicked after %d warnings, want 1", warned)
			}
			return
		}
	}
	t.Errorf("%d echoes in 10 s and no kick", n)
}

// twin is a token bucket as everybody writes it, in ns worth of tokens.
type twin struct{ credit, burst, last time.Duration }

func (b *twin) refill(now time.Duration) {
	b.credit = min(b.burst, b.credit+now-b.last)
	b.last = now
}

func TestLimiterAgreesWithPlainBuckets(t *testing.T) {
	s := sampleLimits(t)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var l limiter
		bucket := func(x rate) *twin { return &twin{credit: x.burst, burst: x.burst} }
		frames, bytes, json := bucket(s.frames), bucket(s.bytes), bucket(s.json)
		own := map[uint16]*twin{routeChat: bucket(s.own[0]), routeTrade: bucket(s.own[1])}
		costs := map[uint16]time.Duration{routeDear: 5, routeTrade: 3}
		tokens := map[uint16]time.Duration{routeChat: time.Second / 2, routeTrade: time.Second}
		now := time.Duration(0)
		for i := range 20_000 {
			if r.IntN(4) == 0 {
				now += time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
			}
			f := push([]uint16{routePlain, routePlain, routeDear, routeChat, routeTrade, routeUnknown}[r.IntN(6)], r.IntN(600))
			if r.IntN(5) == 0 {
				f = echoFrame()
			} else if r.IntN(3) == 0 {
				f.Flags = protocol.FlagJSON
			}
			cost := max(1, costs[f.Route])
			pay := map[*twin]time.Duration{frames: cost * 5 * time.Millisecond, bytes: time.Duration(len(f.Payload)) * 15625}
			if f.Flags&protocol.FlagJSON != 0 {
				pay[json] = 20 * time.Millisecond
			}
			if b := own[f.Route]; b != nil {
				pay[b] = cost * tokens[f.Route]
			}
			want := true
			for b, ns := range pay {
				b.refill(now)
				want = want && b.credit >= ns
			}
			if want || exempt(f) {
				for b, ns := range pay {
					b.credit = max(0, b.credit-ns)
				}
			}
			if ok, _, _ := l.take(s, f, now); ok != (want || exempt(f)) {
				t.Fatalf("seed %d, frame %d, route %d of %d bytes at %v: taken %v, want %v", seed, i, f.Route, len(f.Payload), now, ok, want)
			}
		}
	}
}

func TestIdleLimiterIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(limiter{}); n > 120 {
		t.Errorf("a limiter takes %d bytes", n)
	}
	if n := unsafe.Sizeof(routeLimit{}); n != 8 {
		t.Errorf("a route's limit takes %d bytes, want 8", n)
	}
}

func TestLimitsAreValidated(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Limits)
		want   string
	}{
		{"bytes", func(l *Limits) { l.ByteRate = -1 }, "Limits.ByteRate is -1"},
		{"burst", func(l *Limits) { l.ByteBurst = -1 }, "Limits.ByteBurst is -1"},
		{"JSON", func(l *Limits) { l.JSONRate = 1 << 40 }, "Limits.JSONRate is 1099511627776"},
		{"no decay", func(l *Limits) { l.Violations.Decay = -1 }, "positive Decay"},
		{"kick before warning", func(l *Limits) { l.Violations.Kick = 10 }, "Warn < Kick"},
		{"grace", func(l *Limits) { l.Violations.Grace = -1 }, "no negative Grace"},
		{"bits", func(l *Limits) { l.Addresses.V4Bits = 33 }, "need 1-32"},
		{"entries", func(l *Limits) { l.Addresses.Entries = 1000 }, "need more than MaxConnections, 1000"},
		{"handshakes", func(l *Limits) { l.Addresses.Handshakes = -3 }, "must be positive"},
	} {
		var l Limits
		c.change(&l)
		if err := l.validate(200, 1000); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.want)
		}
	}
	var l Limits
	if err := l.validate(200, 20_000); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	if l.ByteRate != 64<<10 || l.ByteBurst != 128<<10 || l.JSONBurst != 100 || l.Violations.Warn != 200 || l.Addresses.Entries != 1<<16 {
		t.Errorf("defaults: %+v", l)
	}
}
