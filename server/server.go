// Package server is the zone host: it runs a zone's ticks, keeps its sessions, joins gateways to it, and measures all of it.
//
// A session lives here and outlives its connections: the server numbers its messages, keeps those that are not acknowledged, and gives them to whatever gateway
// the client comes back through. A gateway's death loses none.
//
// A Server owns one zone. Serve runs the zone's only goroutine until its context ends; the other methods may be called from any goroutine, before and while it runs.
// The zone itself (pkg/game) knows neither time nor gateways: everything reaches it as inputs of a tick.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Server hosts one zone.
type Server struct {
	cfg         Config
	zone        *game.Zone
	routes      *protocol.Routes
	table       []byte // of the layout
	descriptors []byte // of the routes' messages
	name        string

	directory link.Directory
	tickets   *tickets

	mu       sync.Mutex
	next     uint32 // number of the next gateway
	joining  []*gateway
	opened   []opened // claims that were answered
	served   []served // calls of services that were
	commands []func() // of operators, for the zone's goroutine
	ended    bool
	stats    Stats

	asking sync.WaitGroup  // goroutines of claims and services
	ctx    context.Context // of Serve, for them

	// The zone's goroutine only:
	gateways    []*gateway
	ups         []link.Up
	inputs      []game.Input
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
	told bool // that it spoke for a session of another
	sent int  // bytes of numbered messages in this tick
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
	if cfg.Zone.Epoch == 0 {
		cfg.Zone.Epoch = epochAt(time.Now())
	}
	z, err := game.NewZone(g, cfg.Zone)
	if err != nil {
		return nil, err
	}
	descriptors, err := protocol.Descriptors(routes.All())
	if err != nil {
		return nil, fmt.Errorf("server: game %q: %w", g.Name, err)
	}
	s := &Server{
		cfg: cfg, name: g.Name, zone: z, routes: routes, table: z.Layout().Table(), descriptors: descriptors, directory: cfg.Directory,
		sessions: map[uint64]*session{}, byPlayer: map[uint64]*session{}, conns: map[connKey]*session{}, claims: map[connKey]*claim{}, behind: map[*session]bool{}, lingering: map[*session]bool{},
		lastSession: uint64(cfg.Zone.Epoch) << 32, // no session of an earlier life has such a number
	}
	if s.directory == nil {
		s.directory = newDirectory(time.Now())
	}
	if s.tickets, err = newTickets(s.lastSession); err != nil {
		return nil, err
	}
	s.cfg.Pipe.Tickets = s.tickets
	if s.cfg.StatusTick == 0 {
		s.cfg.StatusTick = z.TickHz()
	}
	s.times.d = make([]time.Duration, 60*z.TickHz())
	s.stats.Entities = z.Len()
	return s, nil
}

// Schema identifies the schema of the server's game: what both ends of a handshake compare.
func (s *Server) Schema() protocol.Fingerprint { return s.zone.Fingerprint() }

// epochAt numbers the life of a zone that begins now: a later start has a newer number. Steps of 32 ms make it last for two years each way around the wrap of uint32.
func epochAt(now time.Time) uint32 { return max(uint32(now.UnixMilli()>>5), 1) }

// Hello is what the server tells every gateway, without the number that each one gets.
func (s *Server) Hello() link.Hello {
	c := s.zone.Config()
	return link.Hello{
		Game: s.name, Routes: s.routes.All(), Schema: s.zone.Fingerprint(), Layout: s.table, Descriptors: s.descriptors,
		Zones: []link.Zone{{ID: c.Zone, Epoch: c.Epoch, Params: s.zone.Params(), TickHz: s.zone.TickHz(), QuantaPerMetre: 1 / s.zone.Quantum(),
			Width: c.Width, Height: c.Height, EnterRadius: c.EnterRadius, LeaveRadius: c.LeaveRadius}},
	}
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

// Attach joins a gateway of this process to the zone: it is such a gateway's Connect. Closing the link detaches it. ctx is not needed: nothing waits.
func (s *Server) Attach(context.Context) (link.Link, error) {
	var l link.Link
	_, err := s.join(func(h link.Hello) (p link.Port) {
		l, p = link.Pipe(h, s.cfg.Pipe)
		return p
	})
	return l, err
}

// Join joins the gateway at the other end of a port, of whatever process, to the zone, and returns what it must be told before anything that the port carries: it is what
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
	h := s.Hello()
	h.Gateway = s.next
	s.joining = append(s.joining, &gateway{id: s.next, port: open(h)})
	return h, nil
}

// Serve runs the zone until ctx ends, then closes all links. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	period := time.Second / time.Duration(s.zone.TickHz())
	asking, stop := context.WithCancel(ctx)
	defer func() { stop(); s.asking.Wait() }()
	s.ctx = asking
	defer s.close()
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
		s.tick(late > period)
		next = next.Add(period)
		timer.Reset(time.Until(next))
	}
}

// tick collects what has arrived, steps the zone and sends what comes out.
func (s *Server) tick(late bool) {
	start := time.Now()
	s.collect()
	out := s.zone.Step(s.inputs)
	lost := uint64(0)
	for _, b := range out.Batches { // before the messages: what they speak of should be in view by then
		if g := s.gateway(b.Gateway); g != nil && g.port.Send(link.Down{Kind: link.Batch, Zone: s.zone.Config().Zone, Payload: bytes.Clone(b.Bytes)}) != nil {
			lost++ // the gap in the sequence makes the gateway ask for a snapshot
		}
	}
	s.inputs = s.inputs[:0] // from here on those of the next tick
	for i := range out.Messages {
		m := &out.Messages[i]
		x := s.sessions[uint64(m.Session)]
		switch {
		case x == nil:
		case m.Numbered:
			s.number(x, letter{m.Type, m.Route, m.ID, m.Payload})
		default:
			s.send(x, 0, &letter{m.Type, m.Route, m.ID, m.Payload})
		}
	}
	for i := range out.Kicks {
		k := &out.Kicks[i]
		if x := s.sessions[uint64(k.Session)]; x != nil {
			s.end(x, k.Code, k.Reason)
		}
	}
	s.pump()
	for i := range out.Panics {
		p := &out.Panics[i]
		s.cfg.Log.Error("the game panicked; the call was ended", "where", p.Where, "session", p.Session, "tick", s.zone.Tick(), "panic", p.Value, "stack", string(p.Stack))
	}
	s.measure(time.Since(start), late, lost)
	if s.zone.Tick()%s.cfg.StatusTick == 0 {
		s.status()
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
		s.cfg.Log.Error("link given up: no room for a reliable message", "gateway", g.id, "connection", d.Conn, "tick", s.zone.Tick())
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
