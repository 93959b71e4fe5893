package gateway

import (
	"fmt"
	"math"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file bounds what one client may send: limits is what all sessions of a world share, limiter one session's, of its reader. Every now is the gateway's clock. Whether a frame may go on and
// what is to be done about its client are two things: an ECHO beyond the limit is taken and may yet be the one that the ladder warns for.

// Limits bounds what clients send, beside the frames per second of Config. The zero value is the default of each field.
type Limits struct {
	ByteRate   int           // payload bytes per second that a client may send for long; default 64 KiB
	ByteBurst  int           // and at once; default 2·ByteRate. A larger message passes when nothing else was sent
	JSONRate   int           // frames per second with payloads in JSON, each some thirty times as dear as another; they count among all frames too. Default 50
	JSONBurst  int           // and at once; default 2·JSONRate
	Violations Violations    // what becomes of those who send more
	Addresses  AddressLimits // bounds on what comes from one address
}

// validate fills in the defaults. maxConnections is Config.MaxConnections and frameRate Config.FrameRate, both checked.
func (l *Limits) validate(frameRate, maxConnections int) error {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"ByteRate", &l.ByteRate, 64 << 10}, {"ByteBurst", &l.ByteBurst, 0}, {"JSONRate", &l.JSONRate, 50}, {"JSONBurst", &l.JSONBurst, 0},
	} {
		if *f.value < 0 || *f.value > maxRate {
			return fmt.Errorf("gateway: Limits.%s is %d: need 1 to %d, or 0 for the default", f.name, *f.value, maxRate)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	if l.ByteBurst == 0 {
		l.ByteBurst = min(2*l.ByteRate, maxRate)
	}
	if l.JSONBurst == 0 {
		l.JSONBurst = min(2*l.JSONRate, maxRate)
	}
	if err := l.Violations.validate(frameRate); err != nil {
		return err
	}
	return l.Addresses.validate(maxConnections)
}

// maxRate bounds rates and bursts so that a burst's time fits 63 bits of nanoseconds: 2^31 tokens at 1 per second are 68 years.
const maxRate = math.MaxInt32

// meter is a token bucket kept as one number (GCRA, the generic cell rate algorithm of ITU-T I.371): the time at which the bucket will be full again. A full bucket is
// any time that has passed, so the zero value is full, and a bucket that nobody uses costs nothing to refill.
type meter time.Duration

// rate is the immutable half of a token bucket.
type rate struct {
	token float64       // ns in which one token comes
	burst time.Duration // in which an empty bucket fills
	size  float64       // of the bucket, in tokens
}

// newRate: perSecond above 0, burst at least 1.
func newRate(perSecond float64, burst int) rate {
	token := float64(time.Second) / perSecond
	return rate{token: token, burst: time.Duration(float64(burst) * token), size: float64(burst)}
}

// cost is the time that n tokens take to come. More than the bucket holds cost all that it holds: otherwise they never passed.
func (r *rate) cost(n float64) time.Duration {
	if n >= r.size {
		return r.burst
	}
	return time.Duration(n * r.token)
}

// after is the meter when cost has been taken at now. It is more than r.burst ahead of now if there were too few tokens.
func (m meter) after(cost, now time.Duration) time.Duration { return max(time.Duration(m), now) + cost }

// limits is what the limiters of all sessions of a world share. Immutable.
type limits struct {
	frames, bytes, json rate
	violations          Violations
	routes              []routeLimit // by route id
	own                 []rate       // of routes with a rate of their own; routeLimit.own counts them from 1
}

// routeLimit is kept small: the table is indexed by every frame of every client.
type routeLimit struct {
	cost uint32 // tokens, at least 1
	own  uint16 // 0: none
}

// newLimits makes the shared half of limiters from validated limits.
func newLimits(frameRate, frameBurst int, l *Limits, routes []protocol.Route) *limits {
	s := &limits{
		frames: newRate(float64(frameRate), frameBurst), bytes: newRate(float64(l.ByteRate), l.ByteBurst), json: newRate(float64(l.JSONRate), l.JSONBurst),
		violations: l.Violations,
	}
	top := 0
	for _, r := range routes {
		top = max(top, int(r.ID))
	}
	s.routes = make([]routeLimit, top+1)
	for i := range s.routes {
		s.routes[i].cost = 1
	}
	for _, r := range routes {
		one := routeLimit{cost: max(r.Cost, 1)}
		if r.Rate > 0 {
			s.own = append(s.own, newRate(r.Rate, int(max(r.Burst, 1))))
			one.own = uint16(len(s.own))
		}
		s.routes[r.ID] = one
	}
	return s
}

// limiter bounds one session's frames. It belongs to the session's reader goroutine.
type limiter struct {
	frames, bytes, json meter
	own                 []meter // of each of limits.own; nil until one is used
	ladder              ladder
}

// take pays for a frame: a token of the session's frames for each token of the route's cost, a token of its bytes for each byte of payload, one of its JSON frames if it
// is one, and the route's own. All or none: a frame that one bucket refuses takes nothing from the others.
//
// now is a monotonic time since any fixed moment. ok tells whether the frame may go on; step is what the session has to do about its client, and wait is after how long the
// frame would have been paid for. take allocates at a session's first frame of a route with a rate of its own, and then never again.
func (l *limiter) take(s *limits, f protocol.Frame, now time.Duration) (ok bool, step step, wait time.Duration) {
	route := routeLimit{cost: 1}
	if int(f.Route) < len(s.routes) {
		route = s.routes[f.Route]
	}
	tokens := float64(route.cost)
	frames, bytes, json := l.frames.after(s.frames.cost(tokens), now), l.bytes.after(s.bytes.cost(float64(len(f.Payload))), now), time.Duration(l.json)
	wait = max(frames-s.frames.burst, bytes-s.bytes.burst)
	if f.Flags&protocol.FlagJSON != 0 {
		json = l.json.after(s.json.cost(1), now)
		wait = max(wait, json-s.json.burst)
	}
	var own time.Duration
	if route.own != 0 {
		r := &s.own[route.own-1]
		if l.own == nil {
			l.own = make([]meter, len(s.own))
		}
		own = l.own[route.own-1].after(r.cost(tokens), now)
		wait = max(wait, own-r.burst)
	}
	if wait > now {
		if !exempt(f) {
			return false, l.ladder.climb(&s.violations, now), wait - now
		}
		// It takes what is there.
		frames, bytes, json = min(frames, now+s.frames.burst), min(bytes, now+s.bytes.burst), min(json, now+s.json.burst)
		step = l.ladder.climb(&s.violations, now)
		if step == stepTell {
			step = stepNone // nothing was refused
		}
	}
	l.frames, l.bytes, l.json = meter(frames), meter(bytes), meter(json)
	if route.own != 0 {
		l.own[route.own-1] = meter(own)
	}
	return true, step, 0
}

// exempt tells the frames that pass beyond the limit, though they are paid for: a lost ECHO would pause its client for good and a lost ACK would have its messages kept, and both
// cost and answer nothing; a BYE is the last.
func exempt(f protocol.Frame) bool {
	switch f.Type {
	case protocol.TypeAck:
		return true
	case protocol.TypeControl:
		return f.Route == protocol.RouteEcho && len(f.Payload) == protocol.EchoSize || f.Route == protocol.RouteBye && len(f.Payload) == 0
	}
	return false
}
