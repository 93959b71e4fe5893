// Package server is the zone host: it runs a zone's ticks, joins gateways to it, and measures both.
//
// A Server owns one zone. Serve runs the zone's only goroutine until its context ends; Attach, Join and Stats may be called from any goroutine, before and while it runs.
// The zone itself (pkg/game) knows neither time nor gateways: everything reaches it as inputs of a tick.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Config describes a server. Zero fields take their default.
type Config struct {
	Zone       game.Config     // of the one zone; Epoch: default: from the clock, so that no two starts share one
	Pipe       link.PipeConfig // bounds of the links to gateways of this process
	CatchUp    int             // ticks that a late zone makes in a row before it gives up the lost time; default 5
	StatusTick uint32          // ticks between two status messages to the players; default: a second
	Log        *slog.Logger    // default: none
}

func (c *Config) validate() error {
	if c.CatchUp == 0 {
		c.CatchUp = 5
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.CatchUp < 1 {
		return fmt.Errorf("server: CatchUp of %d ticks, need at least 1", c.CatchUp)
	}
	return nil
}

// Server hosts one zone.
type Server struct {
	cfg    Config
	zone   *game.Zone
	routes *protocol.Routes
	table  []byte // of the layout
	name   string

	mu      sync.Mutex
	next    uint32 // number of the next gateway
	joining []*gateway
	ended   bool
	stats   Stats

	gateways []*gateway // the zone's goroutine only
	ups      []link.Up
	inputs   []game.Input
	times    ring
}

type gateway struct {
	id   uint32
	port link.Port
	told bool // that it spoke for a session of another
}

// owns tells whether a session is the gateway's: the upper 24 bits of its number are those of the gateway's own, which each counts on from.
func (g *gateway) owns(session uint64) bool { return session>>40 == uint64(g.id)&(1<<24-1) }

// Stats is what a server measured. Durations are of the steps of the last minute.
type Stats struct {
	Players, Entities   int
	Gateways            int    // joined now
	GatewaysLost        uint64 // whose link has ended while the server ran, for whatever reason
	Tick                uint32
	StepP50, StepP99    time.Duration
	Overruns            uint64 // ticks that began more than one tick late
	Skipped             uint64 // ticks given up because catching up would have taken too long
	Strangers           uint64 // messages of gateways about sessions whose number is not of theirs, refused
	LostBatches         uint64 // refused by a link that was full
	LostLinks           uint64 // given up because a reliable message found no room
	ZoneStats           game.Stats
	ticks, refreshTicks uint64
}

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
	s := &Server{cfg: cfg, name: g.Name, zone: z, routes: routes, table: z.Layout().Table()}
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
		Game: s.name, Routes: s.routes.All(), Schema: s.zone.Fingerprint(), Layout: s.table,
		Zones: []link.Zone{{ID: c.Zone, Epoch: c.Epoch, Params: s.zone.Params(), TickHz: s.zone.TickHz(), QuantaPerMetre: 1 / s.zone.Quantum(),
			Width: c.Width, Height: c.Height, EnterRadius: c.EnterRadius, LeaveRadius: c.LeaveRadius}},
	}
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

// Stats returns the latest measurements.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Serve runs the zone until ctx ends, then closes all links. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	period := time.Second / time.Duration(s.zone.TickHz())
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

func (s *Server) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
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
	for i := range out.Messages {
		m := &out.Messages[i]
		s.reliable(m.Gateway, link.Down{Kind: link.ToClient, Session: uint64(m.Session), Type: m.Type, Route: m.Route, ID: m.ID, Payload: m.Payload})
	}
	for i := range out.Kicks {
		k := &out.Kicks[i]
		s.reliable(k.Gateway, link.Down{Kind: link.Kick, Session: uint64(k.Session), Code: k.Code, Reason: k.Reason})
	}
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

// reliable sends what must not be lost; a link that has no room for it is given up, and its sessions with it.
func (s *Server) reliable(gatewayID uint32, d link.Down) {
	g := s.gateway(gatewayID)
	if g == nil {
		return
	}
	if err := g.port.Send(d); errors.Is(err, link.ErrFull) {
		s.cfg.Log.Error("link given up: no room for a reliable message", "gateway", g.id, "session", d.Session, "tick", s.zone.Tick())
		_ = g.port.Close() // the next collect finds it closed
		s.count(func(st *Stats) { st.LostLinks++ })
	}
}

// collect turns what the gateways sent into the tick's inputs.
func (s *Server) collect() {
	s.inputs = s.inputs[:0]
	s.mu.Lock()
	joining := s.joining
	s.joining = nil
	s.mu.Unlock()
	for _, g := range joining {
		s.gateways = append(s.gateways, g)
		s.inputs = append(s.inputs, game.Input{Kind: game.AttachGateway, Gateway: g.id})
	}
	s.gateways = slices.DeleteFunc(s.gateways, func(g *gateway) bool {
		ups, err := g.port.Receive(s.ups[:0])
		for i := range ups {
			s.input(g, &ups[i])
		}
		clear(ups)
		s.ups = ups[:0]
		if err != nil {
			s.inputs = append(s.inputs, game.Input{Kind: game.DetachGateway, Gateway: g.id})
			s.cfg.Log.Info("gateway left; its sessions are over", "gateway", g.id, "tick", s.zone.Tick(), "error", err)
			s.count(func(st *Stats) { st.GatewaysLost++ })
		}
		return err != nil
	})
	s.count(func(st *Stats) { st.Gateways = len(s.gateways) })
}

func (s *Server) input(g *gateway, u *link.Up) {
	if u.Kind != link.RequestSnapshot && !g.owns(u.Session) { // or one gateway could speak for the players of another, and end their sessions
		s.count(func(st *Stats) { st.Strangers++ })
		if !g.told {
			g.told = true
			s.cfg.Log.Error("a gateway speaks for a session that is not its own; refused, and counted from now on", "gateway", g.id, "session", u.Session, "kind", u.Kind)
		}
		return
	}
	in := game.Input{Gateway: g.id, Session: game.SessionID(u.Session)}
	switch u.Kind {
	case link.OpenSession:
		in.Kind, in.Player, in.Name, in.Rights = game.Join, u.Player, u.Name, u.Rights
	case link.CloseSession:
		in.Kind = game.Leave
	case link.FromClient:
		in.Kind, in.Route, in.ID, in.Payload = game.Receive, u.Route, u.ID, u.Payload
	case link.RequestSnapshot:
		in.Kind = game.RequestSnapshot
	default:
		return
	}
	s.inputs = append(s.inputs, in)
}

func (s *Server) measure(step time.Duration, late bool, lost uint64) {
	s.times.add(step)
	s.count(func(st *Stats) {
		st.Players, st.Entities, st.Tick = s.zone.PlayerCount(), s.zone.Len(), s.zone.Tick()
		st.LostBatches += lost
		if late {
			st.Overruns++
		}
		if st.ticks++; st.ticks >= st.refreshTicks { // sorting a minute's steps is worth doing twice a second, not twenty times
			st.refreshTicks = st.ticks + uint64(s.zone.TickHz()+1)/2
			st.StepP50, st.StepP99 = s.times.percentiles()
			st.ZoneStats = s.zone.Stats()
		}
	})
}

// status tells every player how the server is.
func (s *Server) status() {
	st := s.Stats()
	b, err := protocol.Marshal(&mmov1.Status{
		Players: uint32(st.Players), Entities: uint32(st.Entities), TickOverruns: st.Overruns,
		TickUsP50: uint32(st.StepP50.Microseconds()), TickUsP99: uint32(st.StepP99.Microseconds()),
	})
	if err != nil {
		panic(fmt.Sprintf("server: status cannot be marshalled: %v", err))
	}
	for _, g := range s.gateways {
		_ = g.port.Send(link.Down{Kind: link.Broadcast, Type: protocol.TypePush, Route: protocol.RouteStatus, Payload: b}) // lossy by class: the next one comes
	}
}

func (s *Server) close() {
	s.mu.Lock()
	s.ended = true
	joining := s.joining
	s.mu.Unlock()
	for _, g := range append(s.gateways, joining...) {
		_ = g.port.Close()
	}
}

// ring keeps the durations of the last minute's steps.
type ring struct {
	d []time.Duration
	n int
}

func (r *ring) add(d time.Duration) {
	r.d[r.n%len(r.d)] = d
	r.n++
}

func (r *ring) percentiles() (p50, p99 time.Duration) {
	n := min(r.n, len(r.d))
	if n == 0 {
		return 0, 0
	}
	s := slices.Sorted(slices.Values(r.d[:n]))
	return s[n/2], s[n*99/100]
}
