package gateway

import (
	"maps"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Stats counts since the start, but for what is said to be of now.
type Stats struct {
	Connected   bool   // now: there is a server
	Draining    bool   // now: Drain was called
	Connects    uint64 // servers so far, the present one included
	Connections int    // open now
	Sessions    int    // of them logged in
	Addresses   int    // of clients that are remembered now, those without a bound left out
	BytesIn     uint64 // on the sockets, heads of records included
	BytesOut    uint64
	InRate      float64 // bytes per second, over the last second
	OutRate     float64
	StateBytes  uint64 // payload of state frames
	StateFrames uint64
	PairTicks   uint64 // sum over ticks, and clients that could be sent to, of the entities in the client's view
	// Disconnects counts ended connections by the name of their reason.
	Disconnects map[string]uint64
	// Counts are frames, refusals and queues.
	Counts Counts
}

// flow is what went through the sockets of the open sessions, and when that was counted.
type flow struct {
	at              time.Duration // since the gateway's start
	in, out         uint64
	inRate, outRate float64
}

// measure takes a second's look at the sockets. What sessions brought that ended since the last one is in closed.
func (g *Gateway) measure(now flow) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now.in += g.closed.BytesIn
	now.out += g.closed.BytesOut
	if d := (now.at - g.seen.at).Seconds(); d > 0 {
		// A session that ended while it was counted is there twice: then the next look may find less.
		now.inRate = float64(now.in-min(g.seen.in, now.in)) / d
		now.outRate = float64(now.out-min(g.seen.out, now.out)) / d
	}
	g.seen = now
}

// Stats returns the counters. It looks at every session.
func (g *Gateway) Stats() Stats {
	counts, addresses := g.counters.snapshot(), g.addresses.len()
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.closed
	st.Connected, st.Draining, st.Connects, st.Connections = g.world != nil, g.draining != 0, g.connects, g.open
	st.Disconnects = maps.Clone(g.byReason)
	for _, s := range g.sessions {
		st.BytesIn += s.conn.BytesIn()
		st.BytesOut += s.conn.BytesOut()
		if s.state.Load() != uint32(protocol.Secured) {
			st.Sessions++
		}
	}
	st.StateBytes, st.PairTicks, st.StateFrames = g.stateBytes.Load(), g.pairTicks.Load(), g.frames.Load()
	st.InRate, st.OutRate = g.seen.inRate, g.seen.outRate
	st.Counts, st.Addresses = counts, addresses
	return st
}
