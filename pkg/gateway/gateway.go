// Package gateway holds what belongs to a connection: the handshake, login, routes and limits, and each client's replication. It knows no game: routes
// and layouts arrive over its link.
//
// A Gateway is an http.Handler for the WebSocket path. Each connection has one reader goroutine; one flusher, which runs in Serve, owns the replicas, seals and
// writes. What they share of a session is behind the session's mutex. When Serve's context ends, every client is told, every connection is closed and
// every goroutine has ended before Serve returns.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// ErrServerLost is what Serve returns when the link to the server ends.
var ErrServerLost = errors.New("gateway: link to the server lost")

// frameSlack is what a state frame may exceed its bound by, and the heads around it.
const frameSlack = 1 << 10

// Gateway serves connections. Make it with New, run it with Serve.
type Gateway struct {
	cfg    Config
	routes *protocol.Routes
	layout []byte // table of the game's states, for clients that do not know it
	wake   chan struct{}
	wg     sync.WaitGroup // readers

	mu       sync.Mutex
	stopped  bool
	open     int // connections, from the upgrade on
	lastID   uint64
	opening  map[*session]bool   // upgraded, in their handshake
	sessions map[uint64]*session // secured
	ready    []*session          // have something for the flusher
	stale    bool                // sessions changed since the flusher listed them
	byReason map[string]uint64
	closed   Stats // of sessions that ended

	stateBytes, pairTicks, frames atomic.Uint64

	// The flusher's own:
	tick    uint32 // counts rounds of batches: the clock of the clients' flow
	ticks   uint64 // of zones, that the round at hand covers
	zones   map[uint32]*zone
	order   []*zone
	players map[uint64]*session
	downs   []link.Down
	batch   []*session
	bits    delta.Writer
	plain   []byte
	sealed  []byte
}

type zone struct {
	info link.Zone
	rep  *replica.Zone
	lost int // batches refused since the last good one
}

// Stats counts since the start, but for Connections and Sessions.
type Stats struct {
	Connections int // open now
	Sessions    int // of them logged in
	BytesIn     uint64
	BytesOut    uint64
	StateBytes  uint64 // payload of state frames
	StateFrames uint64
	PairTicks   uint64 // sum over ticks, and clients that could be sent to, of the entities in the client's view
	// Disconnects counts ended connections by the name of their reason.
	Disconnects map[string]uint64
}

// New makes a gateway for the server at the other end of cfg.Link.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	hello := cfg.Link.Hello()
	routes, err := protocol.NewRoutes(hello.Routes...)
	if err != nil {
		return nil, fmt.Errorf("gateway: routes of server's game %q: %w", hello.Game, err)
	}
	g := &Gateway{
		cfg: cfg, routes: routes, wake: make(chan struct{}, 1), opening: map[*session]bool{}, sessions: map[uint64]*session{}, byReason: map[string]uint64{},
		zones: map[uint32]*zone{}, players: map[uint64]*session{},
	}
	layout, err := delta.ParseTable(hello.Layout)
	if err != nil {
		return nil, fmt.Errorf("gateway: layout of server's game %q: %w", hello.Game, err)
	}
	if r, _ := routes.Lookup(protocol.RouteLayout); len(hello.Layout) > r.MaxBytes || len(hello.Layout) > g.room()-16 {
		return nil, fmt.Errorf("gateway: the layout table of game %q has %d bytes, clients can be told %d: use fewer or shorter names in the schema", hello.Game, len(hello.Layout), min(r.MaxBytes, g.room()-16))
	}
	codec, err := delta.NewCodec(layout, nil)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	for i := range layout.Kinds { // a state frame holds at least one entity, whatever it has come to
		if worst := codec.Kind(layout.Kinds[i].ID).Worst(delta.AOI)/8 + stateOverhead; worst > g.room() {
			return nil, fmt.Errorf("gateway: an entity of kind %q may take %d bytes, a record has room for %d: raise RecordMax, or lower max of the kind's lists, maps, strings or bytes in the schema",
				layout.Kinds[i].Name, worst, g.room())
		}
	}
	if least := len(hello.Layout) + 4<<10; cfg.QueueBytes < least {
		return nil, fmt.Errorf("gateway: QueueBytes of %d cannot hold the layout of game %q for a client that has to learn it: need %d", cfg.QueueBytes, hello.Game, least)
	}
	g.layout = hello.Layout
	for _, info := range hello.Zones {
		z := &zone{info: info, rep: replica.NewZone(info.ID, info.Epoch, codec, info.Params)}
		g.zones[info.ID] = z
		g.order = append(g.order, z)
	}
	return g, nil
}

// stateOverhead bounds what stands around one entity's state in a record, in bytes: frame head, section header, index, id, kind and age.
const stateOverhead = 64

// ServeHTTP upgrades a request to a connection.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.admit() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the gateway is full or stopping; try again later", http.StatusServiceUnavailable)
		return
	}
	cfg := g.cfg.Network
	s := &session{g: g, done: make(chan struct{})}
	cfg.OnDrain = func(*network.Conn) { s.notify() }
	conn, err := network.Upgrade(w, r, cfg)
	if err != nil {
		g.leave(s, "upgrade_refused")
		return
	}
	s.conn = conn
	g.mu.Lock()
	g.opening[s] = true
	stopped := g.stopped
	g.mu.Unlock()
	if stopped { // while the upgrade was under way
		_ = conn.Close(uint16(protocol.DisconnectServerShutdown), protocol.DisconnectServerShutdown.String())
	}
	go s.read() // counted by admit, ended by leave
}

func (g *Gateway) admit() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.open >= g.cfg.MaxConnections {
		g.byReason["refused_full"]++
		return false
	}
	g.open++
	g.wg.Add(1)
	return true
}

// leave is the end of what admit began.
func (g *Gateway) leave(s *session, reason string) {
	g.mu.Lock()
	g.open--
	delete(g.opening, s)
	g.byReason[reason]++
	g.mu.Unlock()
	g.wg.Done()
}

// enroll gives a secured connection its number; false when the gateway is stopping.
func (g *Gateway) enroll(s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	delete(g.opening, s)
	g.lastID++
	s.id = uint64(g.cfg.Link.Hello().Gateway)<<40 | g.lastID
	g.sessions[s.id] = s
	g.stale = true
	return true
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
	st.Connections = g.open
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
	for {
		select {
		case <-ctx.Done():
			g.stop(protocol.DisconnectServerShutdown)
			return nil
		case <-g.cfg.Link.Ready():
			if err := g.receive(); err != nil {
				g.stop(protocol.DisconnectServerLost)
				return ErrServerLost
			}
		case <-tidy.C:
			g.tidy(time.Now())
		case <-g.wake:
		}
		g.flushReady()
	}
}

// receive applies what the server sent and, if that completed a tick of a zone, builds every client's frame.
func (g *Gateway) receive() error {
	downs, err := g.cfg.Link.Receive(g.downs[:0])
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
			ticked = g.apply(d) || ticked
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
func (g *Gateway) apply(d *link.Down) bool {
	z := g.zones[d.Zone]
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
		_ = g.cfg.Link.Send(link.Up{Kind: link.RequestSnapshot, Zone: d.Zone}) // refused only by a closed link
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

// stop tells every client why, closes every connection and waits for the readers.
func (g *Gateway) stop(code protocol.DisconnectCode) {
	g.mu.Lock()
	g.stopped = true
	opening := make([]*session, 0, len(g.opening))
	for s := range g.opening {
		opening = append(opening, s)
	}
	g.mu.Unlock()
	for _, s := range opening { // not under the mutex: Close waits for a writer that may want it
		_ = s.conn.Close(uint16(code), code.String())
	}
	_ = g.cfg.Link.Close()
	for _, s := range g.everyone() {
		s.kick(code, "")
		s.service(false)
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
