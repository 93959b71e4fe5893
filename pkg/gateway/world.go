package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// world is what the gateway knows of the server at the other end of one link. It comes with the link and goes with it: the next one may be of another build, or another
// game. A connection belongs to one world for life.
type world struct {
	link     link.Link
	hello    link.Hello
	security security.ServerConfig // with this game's schema
	routes   *protocol.Routes
	limits   *limits
	delivery []protocol.Delivery // by route

	converter *protocol.Converter // nil: the server has told no descriptors
	unsaid    sync.Once           // see noJSON

	// The flusher's own:
	since time.Time
	codec *delta.Codec
	zones map[uint32]*zone
	order []*zone // of opening

	ticked    bool   // batches were applied since the last round
	gathering bool   // the round waits for the other zones' batches
	gathered  uint32 // of this tick
}

// Waits between two attempts to find a server, doubling from the first to the last; each is shortened by chance, so that gateways that lost the same server do not
// come to the next one at one moment.
const (
	firstWait = 10 * time.Millisecond
	lastWait  = time.Second
)

// maxReasons bounds how many reasons why there is no server are logged until there is one.
const maxReasons = 8

// awayText is what players are told when their server has gone.
const awayText = "the world server is away; try again"

// CanServe tells whether the gateway could serve a server that says h, or why not: its layout may not fit the gateway's limits.
func (g *Gateway) CanServe(h link.Hello) error {
	_, err := g.know(h)
	return err
}

// know makes a world of what its server says.
func (g *Gateway) know(h link.Hello) (*world, error) {
	w := &world{hello: h, security: g.cfg.Security, zones: map[uint32]*zone{}}
	w.security.SchemaHash = h.Schema // a Fingerprint
	var err error
	if w.routes, err = protocol.NewRoutes(h.Routes...); err != nil {
		return nil, fmt.Errorf("gateway: routes of server's game %q: %w", h.Game, err)
	}
	if err := g.fits(w); err != nil {
		return nil, err
	}
	w.limits = newLimits(g.cfg.FrameRate, g.cfg.FrameBurst, &g.cfg.Limits, w.routes.All())
	if len(h.Descriptors) > 0 {
		if w.converter, err = protocol.NewConverter(w.routes, h.Descriptors); err != nil {
			return nil, fmt.Errorf("gateway: descriptors of server's game %q: %w", h.Game, err)
		}
	}
	layout, err := delta.ParseTable(h.Layout)
	if err != nil {
		return nil, fmt.Errorf("gateway: layout of server's game %q: %w", h.Game, err)
	}
	if r, _ := w.routes.Lookup(protocol.RouteLayout); len(h.Layout) > r.MaxBytes || len(h.Layout) > g.room()-16 {
		return nil, fmt.Errorf("gateway: the layout table of game %q has %d bytes, clients can be told %d: use fewer or shorter names in the schema", h.Game, len(h.Layout), min(r.MaxBytes, g.room()-16))
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
	if least := len(h.Layout) + 4<<10; g.cfg.QueueBytes < least {
		return nil, fmt.Errorf("gateway: QueueBytes of %d cannot hold the layout of game %q for a client that has to learn it: need %d", g.cfg.QueueBytes, h.Game, least)
	}
	w.codec = codec
	for _, info := range h.Zones {
		g.addZone(w, info)
	}
	return w, nil
}

// fits notes the routes' deliveries and tells whether their messages fit a record: one that does not could never be sent, or come.
func (g *Gateway) fits(w *world) error {
	for _, r := range w.routes.All() {
		w.delivery = append(w.delivery, make([]protocol.Delivery, int(r.ID)+1-len(w.delivery))...)
		w.delivery[r.ID] = r.Delivery
		if r.ID >= protocol.FirstGameRoute && r.MaxBytes+frameOverhead > g.room() {
			return fmt.Errorf("gateway: route %q of game %q has messages of up to %d bytes, a record has room for %d: raise RecordMax, or lower the route's max_bytes in the schema",
				r.Name, w.hello.Game, r.MaxBytes, g.room()-frameOverhead)
		}
	}
	return nil
}

// frameOverhead bounds the head of a frame, in bytes: type, and four numbers.
const frameOverhead = 1 + 3 + 5 + 5 + 5

// class is what may become of a frame for a client that is behind. A numbered one is never dropped, whatever its route says: its client would miss its number.
func (w *world) class(f protocol.Frame) protocol.Delivery {
	if f.Type == protocol.TypeError && f.ID == 0 && f.Flags&protocol.FlagREL == 0 {
		return protocol.AOIEvent // nobody waits for it, and whoever sends nonsense faster than it reads must not fill its queue with answers
	}
	if f.Type != protocol.TypePush || f.Flags&protocol.FlagREL != 0 || int(f.Route) >= len(w.delivery) {
		return protocol.Reliable
	}
	return w.delivery[f.Route]
}

// noJSON logs, once, that a message of this server's is not to be had in JSON: its routes and its messages contradict each other.
func (g *Gateway) noJSON(w *world, err error) {
	w.unsaid.Do(func() {
		g.cfg.Log.Error("a message of the server's is not to be had in JSON; this is said once", "game", w.hello.Game, "error", err)
	})
}

// stateOverhead bounds what stands around one entity's state in a record, in bytes: frame head, section header, index, id, kind and age.
const stateOverhead = 64

// seek looks for a server until it has one, or ctx ends: then it returns nil. It runs in a goroutine of its own, and only while there is no world.
func (g *Gateway) seek(ctx context.Context, wait time.Duration) *world {
	var said []string // reasons; each is logged once, not at each attempt
	for {
		if wait > 0 {
			t := time.NewTimer(wait/2 + rand.N(wait/2+1))
			select {
			case <-ctx.Done():
				t.Stop()
				return nil
			case <-t.C:
			}
		}
		w, err := g.connect(ctx)
		switch {
		case err == nil:
			return w
		case ctx.Err() != nil:
			return nil
		case len(said) < maxReasons && !slices.Contains(said, err.Error()):
			said = append(said, err.Error())
			g.cfg.Log.Warn("no world server; clients are sent away until there is one", "error", err)
		}
		wait = min(max(2*wait, firstWait), lastWait)
	}
}

func (g *Gateway) connect(ctx context.Context) (*world, error) {
	l, err := g.cfg.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w, err := g.know(l.Hello())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	w.link = l
	return w, nil
}

// adopt takes a world that was found: from now on clients are let in.
func (g *Gateway) adopt(w *world) {
	w.since = time.Now()
	g.mu.Lock()
	g.world = w
	g.connects++
	close(g.up)
	g.mu.Unlock()
	g.cfg.Log.Info("world server connected", "game", w.hello.Game, "schema", w.hello.Schema.String(), "zones", len(w.hello.Zones), "gateway", w.hello.Gateway)
}

// lose lets go of a world whose link has ended: every client is told and sent away. It returns how long to wait before the next attempt.
func (g *Gateway) lose(w *world, why error) time.Duration {
	g.mu.Lock()
	sessions := len(g.sessions)
	g.world, g.up = nil, make(chan struct{})
	opening := make([]*session, 0, len(g.opening))
	for s := range g.opening {
		opening = append(opening, s)
	}
	g.mu.Unlock()
	const code = protocol.DisconnectServerLost
	for _, s := range opening {
		g.wg.Go(func() { _ = s.conn.Close(uint16(code), code.String()) }) // it may wait for the socket; the flusher does not
	}
	_ = w.link.Close()
	for _, s := range g.everyone() {
		s.kick(code, awayText)
		s.service(false)
	}
	g.cfg.Log.Warn("world server lost; clients are sent away until there is one", "game", w.hello.Game, "sessions", sessions, "error", why)
	if time.Since(w.since) >= lastWait {
		g.wait = 0
	} else { // one that comes and goes is not asked in a hot loop
		g.wait = min(max(2*g.wait, firstWait), lastWait)
	}
	return g.wait
}
