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

	// Linger is for how long a session waits for a client that has lost its connection, with its avatar in the world; default 60 s, negative: not at all.
	Linger         time.Duration
	OutboxBytes    int // that a client has not acknowledged, 64 counted for each message beside its payload; beyond, the session ends; default 256 KiB
	OutboxMessages int // that a client has not acknowledged; beyond, the session ends; default 4,096

	// MaxPlayers in the world at once, those who linger included; who comes later waits in the login queue. Default 0: no bound.
	MaxPlayers int
	// LoginRate is how many sessions per second enter the world for long, and at once; the others wait. Default 0: no bound.
	LoginRate  float64
	QueueMax   int           // sessions in the login queue; default 100,000
	QueueGrace time.Duration // for so long one in the queue may be without a connection and keep its place; default 2 min, negative: not at all

	// Directory of sessions; default: one in memory, for this server alone.
	Directory    link.Directory
	ClaimTimeout time.Duration // of one question to the directory; default 3 s

	// Services by route, for those of affinity SERVICE.
	Services       map[uint16]Service
	ServiceCalls   int           // under way at once, beyond which calls are refused; default 1,024
	ServiceTimeout time.Duration // of one call; default 5 s

	Log *slog.Logger // default: none
}

func (c *Config) validate() error {
	if c.CatchUp == 0 {
		c.CatchUp = 5
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, f := range []struct {
		v *int
		d int
	}{{&c.OutboxBytes, 256 << 10}, {&c.OutboxMessages, 4096}, {&c.QueueMax, 100_000}, {&c.ServiceCalls, 1024}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&c.Linger, time.Minute}, {&c.QueueGrace, 2 * time.Minute}, {&c.ServiceTimeout, 5 * time.Second}, {&c.ClaimTimeout, 3 * time.Second}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	switch {
	case c.CatchUp < 1:
		return fmt.Errorf("server: CatchUp of %d ticks, need at least 1", c.CatchUp)
	case c.OutboxBytes < 0 || c.OutboxMessages < 0 || c.MaxPlayers < 0 || c.LoginRate < 0 || c.LoginRate != c.LoginRate || c.QueueMax < 0 || c.ServiceCalls < 0 || c.ServiceTimeout < 0 || c.ClaimTimeout < 0:
		return fmt.Errorf("server: OutboxBytes %d, OutboxMessages %d, MaxPlayers %d, LoginRate %v, QueueMax %d, ServiceCalls %d, ServiceTimeout %v and ClaimTimeout %v must not be negative",
			c.OutboxBytes, c.OutboxMessages, c.MaxPlayers, c.LoginRate, c.QueueMax, c.ServiceCalls, c.ServiceTimeout, c.ClaimTimeout)
	case c.Linger > maxLinger || c.QueueGrace > maxLinger:
		return fmt.Errorf("server: Linger of %v and QueueGrace of %v: at most %v", c.Linger, c.QueueGrace, maxLinger)
	}
	return nil
}

// maxLinger keeps a ticket's life within that of its key.
const maxLinger = time.Hour

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

// Stats is what a server measured. Durations are of the steps of the last minute.
type Stats struct {
	Players, Entities   int
	Gateways            int    // joined now
	GatewaysLost        uint64 // whose link has ended while the server ran, for whatever reason
	Tick                uint32
	StepP50, StepP99    time.Duration
	Overruns            uint64 // ticks that began more than one tick late
	Skipped             uint64 // ticks given up because catching up would have taken too long
	Strangers           uint64 // messages of gateways about connections that are not theirs, or not any more, refused
	Sessions            int    // those that linger and those that wait included
	Lingering           int    // of them without a connection
	Queued              int    // of them in the login queue
	Resumed             uint64 // sessions that went on over another connection
	NotRecovered        uint64 // attempts at that which found nothing
	Unacknowledged      int    // bytes of numbered messages that clients have not acknowledged, refreshed twice a second
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

// Stats returns the latest measurements.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
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

// collect turns what has come since the last tick into the next one's inputs.
func (s *Server) collect() {
	s.mu.Lock()
	joining, opened, served, commands := s.joining, s.opened, s.served, s.commands
	s.joining, s.opened, s.served, s.commands = nil, nil, nil, nil
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
			s.lost(g, err)
		}
		return err != nil
	})
	for i := range opened {
		s.begin(&opened[i])
	}
	for i := range served {
		s.answer(&served[i])
	}
	for _, f := range commands {
		f()
	}
	s.expire()
	s.overflowed()
	s.admit()
	s.renew(time.Now())
	queued := s.queuedNow()
	s.count(func(st *Stats) {
		st.Gateways, st.Sessions, st.Lingering, st.Queued = len(s.gateways), len(s.sessions), len(s.lingering), queued
	})
}

// lost is the end of a gateway: its sessions linger, and their clients come back through another.
func (s *Server) lost(g *gateway, why error) {
	n := 0
	for k, c := range s.claims {
		if k.gateway == g.id {
			c.cancel()
			delete(s.claims, k)
		}
	}
	for _, x := range s.sessions {
		if x.conn != 0 && x.gateway == g.id {
			s.linger(x, false)
			n++
		}
	}
	s.inputs = append(s.inputs, game.Input{Kind: game.DetachGateway, Gateway: g.id})
	s.cfg.Log.Info("gateway left; its sessions linger", "gateway", g.id, "sessions", n, "tick", s.zone.Tick(), "error", why)
	s.count(func(st *Stats) { st.GatewaysLost++ })
}

func (s *Server) input(g *gateway, u *link.Up) {
	if u.Kind == link.RequestSnapshot {
		s.inputs = append(s.inputs, game.Input{Kind: game.RequestSnapshot, Gateway: g.id})
		return
	}
	if !g.owns(u.Conn) { // or one gateway could speak for the players of another, and end their sessions
		s.count(func(st *Stats) { st.Strangers++ })
		if !g.told {
			g.told = true
			s.cfg.Log.Error("a gateway speaks for a connection that is not its own; refused, and counted from now on", "gateway", g.id, "connection", u.Conn, "kind", u.Kind)
		}
		return
	}
	switch u.Kind {
	case link.OpenSession:
		s.open(g, u)
		return
	case link.ResumeSession:
		s.resume(g, u)
		return
	}
	key := connKey{g.id, u.Conn}
	x := s.conns[key]
	if x == nil || u.Epoch != x.epoch && !(u.Kind == link.CloseSession && u.Epoch == 0) { // a connection may end before it heard of its session
		if x == nil && u.Kind == link.CloseSession {
			if c := s.claims[key]; c != nil { // it has gone before its login was decided
				c.cancel()
				delete(s.claims, key)
			}
			return
		}
		s.count(func(st *Stats) { st.Strangers++ }) // overtaken: the session has ended or has another connection
		return
	}
	switch u.Kind {
	case link.CloseSession:
		if u.Code == 0 {
			s.linger(x, true)
		} else {
			s.end(x, 0, "")
		}
	case link.Ack:
		s.ack(x, u.Seq)
	case link.FromClient:
		s.fromClient(x, u)
	}
}

// fromClient passes on what a client says. Requests are numbered by their client, upwards: one that was seen before is not executed again, its answer comes or has come.
func (s *Server) fromClient(x *session, u *link.Up) {
	if u.ID != 0 {
		if u.ID <= x.seen {
			return
		}
		x.skip(u.ID)
	}
	r, ok := s.routes.Lookup(u.Route)
	switch {
	case ok && r.Affinity == protocol.Service:
		s.call(x, r, u)
	case x.place == playing:
		s.inputs = append(s.inputs, game.Input{Kind: game.Receive, Session: game.SessionID(x.id), Route: u.Route, ID: u.ID, Payload: u.Payload})
	default:
		s.refuse(x, r, u.ID, protocol.ErrorWrongState, "the session is not in the world yet")
	}
}

// maxMissed bounds how many refused requests of a connection are remembered.
const maxMissed = 64

// skip notes a request's id, and those before it that have not come: ids ascend, so they never will.
func (x *session) skip(id uint32) {
	for n := max(x.seen+1, id-min(id, maxMissed)); n < id; n++ {
		x.missed = append(x.missed, n)
	}
	if over := len(x.missed) - maxMissed; over > 0 {
		x.missed = x.missed[over:]
	}
	x.seen = id
}

// refusalOf is what a player is told of a claim that failed.
func refusalOf(err error) (protocol.DisconnectCode, string) {
	switch {
	case errors.Is(err, link.ErrTokenUsed):
		return protocol.DisconnectBadToken, "the login token has been used; get a new one"
	case errors.Is(err, link.ErrBarred):
		return protocol.DisconnectBanned, ""
	}
	return protocol.DisconnectOverloaded, "the login cannot be checked now; try again"
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
			st.Unacknowledged = 0
			for _, x := range s.sessions {
				st.Unacknowledged += x.out.bytes
			}
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
	s.pump() // what waits still goes, as far as there is room
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
