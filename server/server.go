// Package server is the zone host: it runs a zone's ticks, keeps its sessions, joins gateways to it, and measures all of it.
//
// A session lives here and outlives its connections: the server numbers its messages, keeps those that are not acknowledged, and gives them to whatever gateway
// the client comes back through. A gateway's death loses none.
//
// A Server owns one zone or several, which are stepped together, each by a goroutine of its own; what one hands over to another in a tick arrives in the next. Serve runs until its context
// ends; the other methods may be called from any goroutine, before and while it runs. The zones themselves (pkg/game) know neither time nor gateways: everything
// reaches them as inputs of a tick. Sessions, and what passes between zones, belong to the goroutine of Serve.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Server hosts zones.
type Server struct {
	cfg         Config
	game        *game.Game
	routes      *protocol.Routes
	table       []byte // of the layout
	descriptors []byte // of the routes' messages
	schema      protocol.Fingerprint
	hz          uint32
	stopped     chan struct{} // closed when Serve has ended

	directory link.Directory
	tickets   *tickets

	mu       sync.Mutex
	next     uint32 // number of the next gateway
	joining  []*gateway
	opened   []opened    // claims that were answered
	served   []served    // calls of services that were
	results  []result    // of zones' jobs
	made     []made      // instances
	told     []link.Zone // of the zones that are open: what a gateway that joins is told
	commands []func()    // of operators, for the zone's goroutine
	ended    bool
	stats    Stats

	asking sync.WaitGroup  // goroutines of claims and services
	ctx    context.Context // of Serve, for them

	// The goroutine of Serve only:
	hosts         []*host // zones that are stepped, in order of opening; players join in the first
	byZone        map[uint32]*host
	instances     map[instanceKey]*host
	instanceTicks uint32
	lastZone      uint32
	where         map[game.EntityID]*host // entities that live elsewhere than in the zone that numbered them
	asks          map[askKey]*asking
	refused       map[game.EntityID]int // hand-overs that were sent back, by their first entity: how often
	jobs          int
	sorted        int // zones whose percentiles were brought up to date
	groups        map[game.GroupID]*group
	operating     map[uint32]func(*game.Operated)
	lastCommand   uint32

	gateways    []*gateway
	ups         []link.Up
	times       ring
	sessions    map[uint64]*session
	byPlayer    map[uint64]*session
	conns       map[connKey]*session
	claims      map[connKey]*claim // that are being asked
	claiming    int                // goroutines that ask, those whose connection has gone included
	behind      map[*session]bool  // have numbered messages that are not on their way yet
	lingering   map[*session]bool
	lastSession uint64
	playing     int        // sessions in the world
	full        []*session // whose outbox is
	queue       queue
	calls       int // of services, under way
	ticketsTurn time.Time
	ticketsEnd  time.Time
}

type gateway struct {
	id   uint32
	port link.Port
	told bool        // that it spoke for a session of another
	knew []link.Zone // what it was told when it joined
	sent int         // bytes of numbered messages in this tick
}

// owns tells whether a connection is the gateway's: the upper 24 bits of its number are those of the gateway's own, which each counts on from.
func (g *gateway) owns(conn uint64) bool { return conn>>40 == uint64(g.id)&(1<<24-1) }

// New makes a server with its zone, at rest.
func New(cfg Config, g *game.Game) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	routes, err := g.Routes()
	if err != nil {
		return nil, err
	}
	descriptors, err := protocol.Descriptors(routes.All())
	if err != nil {
		return nil, fmt.Errorf("server: game %q: %w", g.Name, err)
	}
	s := &Server{
		cfg: cfg, game: g, routes: routes, descriptors: descriptors, directory: cfg.Directory, stopped: make(chan struct{}),
		byZone: map[uint32]*host{}, instances: map[instanceKey]*host{}, where: map[game.EntityID]*host{}, asks: map[askKey]*asking{}, refused: map[game.EntityID]int{}, groups: map[game.GroupID]*group{},
		operating: map[uint32]func(*game.Operated){},
		sessions:  map[uint64]*session{}, byPlayer: map[uint64]*session{}, conns: map[connKey]*session{}, claims: map[connKey]*claim{}, behind: map[*session]bool{}, lingering: map[*session]bool{},
	}
	if err := s.openZones(); err != nil {
		return nil, err
	}
	z := s.hosts[0].zone
	s.table, s.schema, s.hz = z.Layout().Table(), z.Fingerprint(), z.TickHz()
	s.lastSession = uint64(z.Config().Epoch) << 32 // no session of an earlier life has such a number
	s.instanceTicks = uint32(cfg.InstanceIdle * time.Duration(s.hz) / time.Second)
	if s.directory == nil {
		s.directory = newDirectory(time.Now())
	}
	if s.tickets, err = newTickets(s.lastSession); err != nil {
		return nil, err
	}
	s.cfg.Pipe.Tickets = s.tickets
	if s.cfg.StatusTick == 0 {
		s.cfg.StatusTick = s.hz
	}
	s.times.d = make([]time.Duration, 60*s.hz)
	for _, h := range s.hosts {
		s.stats.Entities += h.zone.Len()
	}
	return s, nil
}

// openZones makes the world's zones.
func (s *Server) openZones() error {
	epoch, first := epochAt(time.Now()), s.cfg.Zones[0].FirstTick
	var all []game.Config
	for _, c := range s.cfg.Zones {
		if c.Epoch == 0 {
			c.Epoch = epoch
		}
		c.FirstTick = first // they share the tick
		h, err := s.newHost(c)
		if err != nil {
			return err
		}
		s.hosts = append(s.hosts, h)
		s.byZone[h.id()] = h
		s.lastZone = max(s.lastZone, h.id())
		s.told = append(s.told, h.describe())
		all = append(all, h.cfg)
	}
	if err := checkZones(all); err != nil {
		return err
	}
	s.introduce()
	return nil
}

// now is the number of the tick that the zones have made last.
func (s *Server) now() uint32 { return s.hosts[0].zone.Tick() }

// Schema identifies the schema of the server's game: what both ends of a handshake compare.
func (s *Server) Schema() protocol.Fingerprint { return s.schema }

// epochAt numbers the life of a zone that begins now: a later start has a newer number. Steps of 32 ms make it last for two years each way around the wrap of uint32.
func epochAt(now time.Time) uint32 { return max(uint32(now.UnixMilli()>>5), 1) }

// Hello is what the server tells every gateway, without the number that each one gets.
func (s *Server) Hello() link.Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hello()
}

func (s *Server) hello() link.Hello {
	return link.Hello{Game: s.game.Name, Routes: s.routes.All(), Schema: s.schema, Layout: s.table, Descriptors: s.descriptors, Zones: slices.Clone(s.told)}
}

// Secret tells a gateway what a client's ticket stands for.
func (s *Server) Secret(ctx context.Context, ticket []byte) (link.Grant, error) {
	return s.tickets.Secret(ctx, ticket)
}

var _ link.Tickets = (*Server)(nil)

// Kick ends the session that a player has here, or is about to have, and its tickets with it.
func (s *Server) Kick(_ context.Context, player uint64, code protocol.DisconnectCode, reason string) error {
	return s.do(func() {
		if x := s.byPlayer[player]; x != nil {
			s.end(x, code, reason)
		}
		for _, c := range s.claims {
			if c.player == player {
				c.code, c.reason = code, reason
			}
		}
	})
}

// Bar shuts a player out until a time, whatever token it has. A session that it has is Kick's to end.
func (s *Server) Bar(ctx context.Context, player uint64, until time.Time) error {
	if err := s.directory.Bar(ctx, player, until); err != nil {
		return fmt.Errorf("bar player %d: %w", player, err)
	}
	return nil
}

// Unbar lets a player in again.
func (s *Server) Unbar(ctx context.Context, player uint64) error {
	if err := s.directory.Bar(ctx, player, time.Time{}); err != nil {
		return fmt.Errorf("unbar player %d: %w", player, err)
	}
	return nil
}

// do has the zone's goroutine do something before its next tick.
func (s *Server) do(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("server: it has stopped")
	}
	s.commands = append(s.commands, f)
	return nil
}

// Attach joins a gateway of this process to the zones: it is such a gateway's Connect. Closing the link detaches it. ctx is not needed: nothing waits.
func (s *Server) Attach(context.Context) (link.Link, error) {
	var l link.Link
	_, err := s.join(func(h link.Hello) (p link.Port) {
		l, p = link.Pipe(h, s.cfg.Pipe)
		return p
	})
	return l, err
}

// Join joins the gateway at the other end of a port, of whatever process, to the zones, and returns what it must be told before anything that the port carries: it is what
// link.Register calls. The server owns the port from then on: it closes it at its end, and detaches the gateway when the port is closed. A port that is refused stays the caller's.
func (s *Server) Join(p link.Port, who link.GatewayInfo) (link.Hello, error) {
	h, err := s.join(func(link.Hello) link.Port { return p })
	if err == nil {
		s.cfg.Log.Info("gateway joins", "gateway", h.Gateway, "instance", who.Instance, "build", who.Build, "transport", who.Transport)
	}
	return h, err
}

func (s *Server) join(open func(link.Hello) link.Port) (link.Hello, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return link.Hello{}, errors.New("server: join a gateway: the server has stopped")
	}
	s.next++
	h := s.hello()
	h.Gateway = s.next
	s.joining = append(s.joining, &gateway{id: s.next, port: open(h), knew: h.Zones})
	return h, nil
}

// Serve runs the zones until ctx ends, then closes all links. It may be called once. An error is that of a recording.
func (s *Server) Serve(ctx context.Context) (err error) {
	period := time.Second / time.Duration(s.hz)
	asking, stop := context.WithCancel(ctx)
	defer close(s.stopped)
	defer func() {
		stop()
		s.asking.Wait()
		for _, m := range s.made { // that nobody will open any more
			if m.new != nil && m.new.rec != nil {
				err = errors.Join(err, m.new.rec.Close())
			}
		}
	}()
	s.ctx = asking
	defer func() {
		s.close()
		for _, h := range s.hosts {
			err = errors.Join(err, h.stop())
		}
	}()
	for _, h := range s.hosts {
		if err := s.record(h); err != nil {
			return err
		}
		h.start()
	}
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		now := time.Now()
		late := now.Sub(next)
		if late > time.Duration(s.cfg.CatchUp)*period { // a machine that slept: the lost time is not made up
			skipped := late / period
			next = next.Add(skipped * period)
			s.count(func(st *Stats) { st.Skipped += uint64(skipped) })
		}
		s.tick(late > period, period)
		next = next.Add(period)
		timer.Reset(time.Until(next))
	}
}

// tick collects what has arrived, steps the zones and sends what comes out.
func (s *Server) tick(late bool, period time.Duration) {
	start := time.Now()
	s.collect()
	s.step()
	lost := uint64(0)
	for _, h := range s.hosts { // batches before messages: what those speak of should be in view by then
		lost += s.sendBatches(h)
	}
	for _, h := range s.hosts { // who has another home from now on is known before anything is said of it
		s.exchange(h)
	}
	for _, h := range s.hosts {
		s.emit(h)
	}
	s.pump()
	s.closeIdle()
	s.sortZone()
	s.judgeAll(time.Since(start), period)
	s.measure(time.Since(start), late, lost)
	if s.now()%s.cfg.StatusTick == 0 {
		s.status()
	}
}

func (s *Server) sendBatches(h *host) (lost uint64) {
	for _, b := range h.out.Batches {
		if g := s.gateway(b.Gateway); g != nil && g.port.Send(link.Down{Kind: link.Batch, Zone: h.id(), Payload: bytes.Clone(b.Bytes)}) != nil {
			lost++ // the gap in the sequence makes the gateway ask for a snapshot
		}
	}
	return lost
}

// emit carries out what a zone says to players and about them.
func (s *Server) emit(h *host) {
	out, groups := h.out, h.out.Groups
	for i := range out.Messages {
		for ; len(groups) > 0 && groups[0].At <= i; groups = groups[1:] {
			s.group(&groups[0])
		}
		if m := &out.Messages[i]; s.sessions[uint64(m.Session)] != nil {
			s.deliver(s.sessions[uint64(m.Session)], m)
		}
	}
	for i := range groups {
		s.group(&groups[i])
	}
	for i := range out.Kicks {
		k := &out.Kicks[i]
		if x := s.sessions[uint64(k.Session)]; x != nil {
			s.end(x, k.Code, k.Reason)
		}
	}
	for i := range out.Panics {
		p := &out.Panics[i]
		s.cfg.Log.Error("the game panicked; the call was ended", "zone", h.id(), "where", p.Where, "session", p.Session, "entity", p.Entity, "tick", h.zone.Tick(), "panic", p.Value, "stack", string(p.Stack))
		if p.Quarantined {
			s.cfg.Log.Error("it has panicked too often and is switched off in this zone; Release switches it on again", "zone", h.id(), "where", p.Where)
		}
	}
	for i := range out.Audits {
		s.audit(h.id(), &out.Audits[i])
	}
	for i := range out.Operated {
		s.operated(&out.Operated[i])
	}
}

func (s *Server) gateway(id uint32) *gateway {
	for _, g := range s.gateways {
		if g.id == id {
			return g
		}
	}
	return nil
}

// reliable sends what must not be lost on its way; a link that has no room for it is given up, and its sessions linger.
func (s *Server) reliable(gatewayID uint32, d link.Down) {
	g := s.gateway(gatewayID)
	if g == nil {
		return
	}
	if err := g.port.Send(d); errors.Is(err, link.ErrFull) {
		s.cfg.Log.Error("link given up: no room for a reliable message", "gateway", g.id, "connection", d.Conn, "tick", s.now())
		_ = g.port.Close() // the next collect finds it closed
		s.count(func(st *Stats) { st.LostLinks++ })
	}
}

func (s *Server) close() {
	s.pump() // what waits still goes, as far as there is room
	s.mu.Lock()
	s.ended = true
	joining := s.joining
	s.mu.Unlock()
	for _, g := range append(s.gateways, joining...) {
		_ = g.port.Close()
	}
}
