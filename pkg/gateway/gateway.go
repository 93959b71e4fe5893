// Package gateway holds what belongs to a connection: the handshake, login, routes and limits, and each client's replication. It knows no game: routes
// and layouts arrive over its link.
//
// A gateway outlives its server. While it has none, requests to connect are answered with 503; when the link ends, every client is told so and sent away, and the gateway looks
// for a server until there is one again, of the same build or another.
//
// A Gateway is an http.Handler for the WebSocket path. Each connection has one reader goroutine; one flusher, which runs in Serve, owns the replicas, seals and
// writes. What they share of a session is behind the session's mutex. When Serve's context ends, every client is told, every connection is closed and
// every goroutine has ended before Serve returns.
package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// frameSlack is what a state frame may exceed its bound by, and the heads around it.
const frameSlack = 1 << 10

// Gateway serves connections. Make it with New, run it with Serve.
type Gateway struct {
	cfg  Config
	wake chan struct{}
	wg   sync.WaitGroup // readers

	mu       sync.Mutex
	stopped  bool
	world    *world        // nil: there is no server; only the flusher changes it
	up       chan struct{} // closed while there is a world
	connects uint64        // worlds so far
	open     int           // connections, from the upgrade on
	lastID   uint64
	opening  map[*session]bool   // upgraded, in their handshake
	sessions map[uint64]*session // secured
	ready    []*session          // have something for the flusher
	stale    bool                // sessions changed since the flusher listed them
	byReason map[string]uint64
	closed   Stats // of sessions that ended

	stateBytes, pairTicks, frames atomic.Uint64

	// The flusher's own:
	wait    time.Duration // before a server is sought, because the last one did not stay
	tick    uint32        // counts rounds of batches: the clock of the clients' flow
	ticks   uint64        // of zones, that the round at hand covers
	players map[uint64]*session
	downs   []link.Down
	batch   []*session
	bits    delta.Writer
	plain   []byte
	sealed  []byte
}

// Stats counts since the start, but for Connected, Connections and Sessions.
type Stats struct {
	Connected   bool   // there is a server
	Connects    uint64 // servers so far, the present one included
	Connections int    // open now
	Sessions    int    // of them logged in
	BytesIn     uint64
	BytesOut    uint64
	StateBytes  uint64 // payload of state frames
	StateFrames uint64
	PairTicks   uint64 // sum over ticks, and clients that could be sent to, of the entities in the client's view
	// Disconnects counts ended connections by the name of their reason.
	Disconnects map[string]uint64
}

// New makes a gateway, at rest and without a server.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Gateway{
		cfg: cfg, wake: make(chan struct{}, 1), up: make(chan struct{}), opening: map[*session]bool{}, sessions: map[uint64]*session{}, byReason: map[string]uint64{},
		players: map[uint64]*session{},
	}, nil
}

// MaxConnections is how many connections may be open at once.
func (g *Gateway) MaxConnections() int { return g.cfg.MaxConnections }

// Connected returns a channel that is closed while the gateway has a server; without one, it will be closed when there is one.
func (g *Gateway) Connected() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}

// Server is what the present server has said of itself; ok is false while there is none.
func (g *Gateway) Server() (h link.Hello, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.world == nil {
		return h, false
	}
	return g.world.hello, true
}

// enqueue puts a session on the flusher's list. The session's own flag keeps it from standing there more than twice: a tick may serve it meanwhile.
func (g *Gateway) enqueue(s *session) {
	g.mu.Lock()
	g.ready = append(g.ready, s)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counters.
func (g *Gateway) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.closed
	st.Connected, st.Connects, st.Connections = g.world != nil, g.connects, g.open
	st.Disconnects = make(map[string]uint64, len(g.byReason))
	for k, v := range g.byReason {
		st.Disconnects[k] = v
	}
	for _, s := range g.sessions {
		st.BytesIn += s.conn.BytesIn()
		st.BytesOut += s.conn.BytesOut()
		if s.playing.Load() {
			st.Sessions++
		}
	}
	st.StateBytes, st.PairTicks, st.StateFrames = g.stateBytes.Load(), g.pairTicks.Load(), g.frames.Load()
	return st
}

// Serve runs the flusher until ctx ends, then closes every connection and waits for their goroutines. It may be called once.
func (g *Gateway) Serve(ctx context.Context) error {
	tidy := time.NewTicker(time.Second)
	defer tidy.Stop()
	found := make(chan *world, 1)
	seek := func(wait time.Duration) { found <- g.seek(ctx, wait) }
	go seek(0) // one at a time: it ends with a world, or with ctx
	for {
		var ready <-chan struct{}
		if g.world != nil {
			ready = g.world.link.Ready()
		}
		select {
		case <-ctx.Done():
			if g.world == nil {
				if w := <-found; w != nil {
					_ = w.link.Close()
				}
			}
			g.stop()
			return nil
		case w := <-found:
			if w != nil {
				g.adopt(w)
			} else {
				found <- nil // ctx has ended
			}
		case <-ready:
			if err := g.receive(g.world); err != nil {
				wait := g.lose(g.world, err)
				go seek(wait)
			}
		case <-tidy.C:
			g.tidy(time.Now())
		case <-g.wake:
		}
		g.flushReady()
	}
}

// receive applies what the server sent and, if that completed a tick of a zone, builds every client's frame.
func (g *Gateway) receive(w *world) error {
	downs, err := w.link.Receive(g.downs[:0])
	g.downs = downs
	if err != nil {
		return err
	}
	ticked := false
	g.ticks = 0
	for i := range downs {
		d := &downs[i]
		switch d.Kind {
		case link.Batch:
			ticked = g.apply(w, d) || ticked
		case link.ToClient, link.Kick:
			g.toSession(d)
		case link.Broadcast:
			for _, s := range g.everyone() {
				if s.playing.Load() {
					s.push(protocol.Frame{Type: d.Type, Route: d.Route, Payload: d.Payload})
				}
			}
		}
	}
	clear(downs)
	if ticked {
		g.tick++
		for _, s := range g.everyone() {
			s.service(true)
		}
	}
	return nil
}

func (g *Gateway) toSession(d *link.Down) {
	g.mu.Lock()
	s := g.sessions[d.Session]
	g.mu.Unlock()
	switch {
	case s == nil: // gone meanwhile
	case d.Kind == link.Kick:
		s.kick(d.Code, d.Reason)
	default:
		s.push(protocol.Frame{Type: d.Type, Route: d.Route, ID: d.ID, Payload: d.Payload})
	}
}

// apply takes a batch and tells whether the zone's replica went on; if it did not, a snapshot is asked for.
func (g *Gateway) apply(w *world, d *link.Down) bool {
	z := w.zones[d.Zone]
	if z == nil {
		return false
	}
	switch err := z.rep.Apply(d.Payload); {
	case err == nil:
		z.lost = 0
		g.ticks++
		return true
	case errors.Is(err, replica.ErrStale):
		return false
	case !errors.Is(err, replica.ErrGap):
		g.cfg.Log.Error("damaged batch", "zone", d.Zone, "error", err)
	}
	if z.lost%21 == 0 { // at once, and again if the answer has not come after a second
		_ = w.link.Send(link.Up{Kind: link.RequestSnapshot, Zone: d.Zone}) // refused only by a closed link
	}
	z.lost++
	return false
}

// everyone lists the sessions in a stable order; the list is the flusher's until the next call.
func (g *Gateway) everyone() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stale {
		g.stale = false
		g.batch = g.batch[:0]
		for _, s := range g.sessions {
			g.batch = append(g.batch, s)
		}
		clear(g.batch[len(g.batch):cap(g.batch)]) // who has gone is not held
		sortSessions(g.batch)
	}
	return g.batch
}

func (g *Gateway) flushReady() {
	g.mu.Lock()
	ready := g.ready
	g.ready = nil
	g.mu.Unlock()
	for _, s := range ready {
		s.service(false)
	}
}

// tidy ends connections that have been silent for too long.
func (g *Gateway) tidy(now time.Time) {
	for _, s := range g.everyone() {
		if now.Sub(time.Unix(0, s.lastSeen.Load())) > g.cfg.Security.IdleTimeout {
			s.kick(protocol.DisconnectIdleTimeout, "")
		}
	}
}

// stop tells every client that the gateway ends, closes every connection and waits for the readers.
func (g *Gateway) stop() {
	const code = protocol.DisconnectServerShutdown
	g.mu.Lock()
	g.stopped = true
	w := g.world
	if w != nil {
		g.world, g.up = nil, make(chan struct{})
	}
	opening := make([]*session, 0, len(g.opening))
	for s := range g.opening {
		opening = append(opening, s)
	}
	g.mu.Unlock()
	for _, s := range opening { // not under the mutex: Close waits for a writer that may want it
		_ = s.conn.Close(uint16(code), code.String())
	}
	for _, s := range g.everyone() {
		s.kick(code, "")
		s.service(false)
	}
	if w != nil {
		_ = w.link.Close()
	}
	g.flushReady()
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	for {
		select { // a session that enrolled at the last moment is dropped here
		case <-done:
			return
		case <-g.wake:
			g.flushReady()
		}
	}
}
