// Package gateway holds what belongs to a connection: the handshake, login, routes and limits, and each client's replication. It knows no game: routes
// and layouts arrive over its link.
//
// A gateway outlives its server. While it has none, requests to connect are answered with 503; when the link ends, every client is told so and sent away, and the gateway looks
// for a server until there is one again, of the same build or another.
//
// A Gateway is an http.Handler for the WebSocket path; ServeTCP takes connections without HTTP, and Plain those of developers, without encryption. Each connection has one reader
// goroutine; one flusher, which runs in Serve, owns the replicas, seals and writes. What they share of a session is behind the session's mutex. Drain asks the clients to go elsewhere,
// at their leisure. When Serve's context ends, every client is told, every connection is closed and every goroutine has ended before Serve returns.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// frameSlack is what a state frame may exceed its bound by, and the heads around it.
const frameSlack = 1 << 10

// Gateway serves connections. Make it with New, run it with Serve.
type Gateway struct {
	cfg       Config
	start     time.Time // of the monotonic clock by which limits and queues go
	queue     queueLimits
	addresses *addresses
	counters  *counters
	wake      chan struct{}
	over      chan struct{}  // closed when Serve ends
	wg        sync.WaitGroup // readers

	mu       sync.Mutex
	stopped  bool
	draining time.Duration // over which clients are to leave; 0: they may stay
	gone     chan struct{} // of a drain: closed when there is no connection any more
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
	seen     flow  // as of the last second's look

	stateBytes, pairTicks, frames atomic.Uint64

	keys atomic.Pointer[keys] // that took the place of those in cfg.Security; nil: none did

	// The flusher's own:
	at       time.Duration // since start, of this round
	wait     time.Duration // before a server is sought, because the last one did not stay
	tick     uint32        // counts rounds of batches: the clock of the clients' flow
	ticks    uint64        // of the world, that the round at hand covers
	downs    []link.Down
	eventful bool       // the round at hand has events
	spare    []*session // room for ready
	batch    []*session
	bits     delta.Writer
	plain    []byte
	sealed   []byte
}

// New makes a gateway, at rest and without a server.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, start: time.Now(), addresses: newAddresses(cfg.Limits.Addresses), counters: newCounters(),
		wake: make(chan struct{}, 1), over: make(chan struct{}), up: make(chan struct{}),
		opening: map[*session]bool{}, sessions: map[uint64]*session{}, byReason: map[string]uint64{},
	}
	g.queue = newQueueLimits(cfg.QueueBytes, cfg.QueueAge, g.room())
	return g, nil
}

// clock is the monotonic time of limits and queues.
func (g *Gateway) clock() time.Duration { return time.Since(g.start) }

// keys are what the gateway answers handshakes with.
type keys struct{ current, previous security.ServerKey }

// Rekey has the gateway answer the handshakes to come with other keys; previous may be empty. Connections that are there keep theirs. It may be called at any time.
func (g *Gateway) Rekey(current, previous security.ServerKey) error {
	c := g.cfg.Security
	c.Current, c.Previous = current, previous
	if err := c.Validate(); err != nil {
		return fmt.Errorf("gateway: other keys: %w", err)
	}
	g.keys.Store(&keys{current, previous})
	return nil
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
			g.at = g.clock()
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
			g.at = g.clock()
			if err := g.receive(g.world); err != nil {
				wait := g.lose(g.world, err)
				go seek(wait)
			}
		case <-tidy.C:
			g.tidy()
		case <-g.wake:
		}
		g.at = g.clock()
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
	batches := 0
	for i := range downs {
		d := &downs[i]
		switch d.Kind {
		case link.Batch:
			batches++
			w.ticked = g.apply(w, d) || w.ticked
		case link.ToClient, link.Kick, link.Opened, link.Entered, link.NotRecovered:
			g.toSession(d)
		case link.Broadcast:
			g.broadcast(w, d)
		case link.ZoneOpened:
			g.openZone(w, d)
		case link.ZoneClosed:
			g.closeZone(w, d.Zone)
		}
	}
	// A message is behind the batches of its tick: there is none to wait for.
	if w.ticked && (batches < len(downs) || !w.gathers()) {
		g.round(w)
	}
	clear(downs)
	return nil
}

// round builds every client's frame.
func (g *Gateway) round(w *world) {
	w.ticked, w.gathering = false, false
	g.tick++
	g.ticks, g.eventful = 0, false
	for _, z := range w.order {
		g.eventful = g.eventful || z.rep.Eventful()
		g.ticks = max(g.ticks, z.ticks) // the zones step together
		z.ticks = 0
	}
	for _, s := range g.everyone() {
		s.service(true)
	}
	for _, z := range w.order {
		z.rep.Settle()
	}
}

func (g *Gateway) toSession(d *link.Down) {
	g.mu.Lock()
	s := g.sessions[d.Conn]
	g.mu.Unlock()
	if s == nil || s.dropped || !s.asked { // gone meanwhile
		return
	}
	switch d.Kind {
	case link.Kick:
		s.kick(d.Code, string(d.Payload))
	case link.Opened:
		s.opened(d)
	case link.Entered:
		s.enter(d.Zone)
	case link.NotRecovered:
		s.notRecovered(string(d.Payload))
	default:
		f := protocol.Frame{Type: d.Type, Route: d.Route, ID: d.ID, Payload: d.Payload}
		if d.Seq != 0 {
			f.Flags, f.Seq = protocol.FlagREL, d.Seq
		}
		s.push(f)
	}
}

// broadcast sends a message to everyone who is in the world.
func (g *Gateway) broadcast(w *world, d *link.Down) {
	f := protocol.Frame{Type: d.Type, Route: d.Route, Payload: d.Payload}
	said := protocol.Frame{} // f in JSON, made once for all who want it
	for _, s := range g.everyone() {
		switch {
		case !s.entered:
		case !s.json.Load() || s.texts != nil:
			s.push(f)
		default:
			if said.Payload == nil {
				said = g.inJSON(w, f)
			}
			s.push(said)
		}
	}
}

// inJSON is a frame for clients with its payload in JSON; as it is if that cannot be.
func (g *Gateway) inJSON(w *world, f protocol.Frame) protocol.Frame {
	b, _, err := appendJSON(w.converter, nil, nil, f, g.queue.frame)
	if err == nil {
		f, _, err = protocol.Next(b)
	}
	if err != nil {
		g.noJSON(w, err) // it goes as it is
	}
	return f
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
		z.ticks++
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
	g.ready = g.spare[:0]
	g.mu.Unlock()
	for _, s := range ready {
		s.service(false)
	}
	clear(ready) // who has gone is not held
	g.spare = ready
}

// tidy looks after every session, once a second: ends those that have been silent for too long or do not keep up, and lets quiet ones rest.
func (g *Gateway) tidy() {
	g.at = g.clock()
	var queues Queues
	now := flow{at: g.at}
	for _, s := range g.everyone() {
		quiet := g.at - time.Duration(s.lastSeen.Load())
		if quiet > g.cfg.Security.IdleTimeout {
			s.kick(protocol.DisconnectIdleTimeout, "")
		}
		frames, bytes, age, ok := s.lookAtQueue()
		if !ok {
			s.kick(protocol.DisconnectSlowConsumer, "")
		}
		queues.add(frames, bytes, age)
		now.in += s.conn.BytesIn()
		now.out += s.conn.BytesOut()
		if quiet > restAfter && s.asked && s.deep.Swap(false) {
			s.conn.Rouse()
		}
	}
	g.counters.queued(queues)
	g.measure(now)
}

// stop tells every client that the gateway ends, closes every connection and waits for the readers.
func (g *Gateway) stop() {
	const code = protocol.DisconnectServerShutdown
	g.mu.Lock()
	g.stopped = true
	close(g.over)
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
