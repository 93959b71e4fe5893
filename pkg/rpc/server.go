package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Server serves methods on any number of endpoints and connections. Any goroutine may use it.
type Server struct {
	cfg     ServerConfig
	epoch   uint64
	out     outgoing
	in      incoming
	methods methods
	peers   peers
	net     network

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex // never held while waiting for the registry or for a listener to close
	listeners []listener
	without   []Refusal // transports that could not be listened on
	addrs     []string
	phase     phase
	unlist    context.CancelFunc // ends an attempt to register; nil before there is one

	greeting sync.WaitGroup // connections that shake hands; added to under mu, and not any more once draining

	listing      sync.Mutex // held while the registry is told, so that it hears of changes in their order; taken before mu
	registration registry.Registration

	refusals refusals
}

// refusals counts peers that were turned away. Its lock is its own: a listener that is being closed waits for those who count.
type refusals struct {
	mu   sync.Mutex
	n    uint64
	last error
	told time.Time // when the log was told of one
}

type listener struct {
	transport.Listener
	route route
}

// phase of a server; it never goes back.
type phase uint8

const (
	phaseNew phase = iota
	phaseListening
	phaseServing
	phaseDraining
	phaseClosed
)

// NewServer makes a server; Serve makes it run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	names, err := sizeNames(cfg.ID, cfg.Mux.Codecs)
	if err != nil {
		return nil, fmt.Errorf("rpc server: %w", err)
	}
	s := &Server{cfg: cfg, epoch: uint64(time.Now().UnixNano())}
	s.out.side, s.in.side = SideClient, SideServer
	s.out.codec, s.out.tracer, s.out.metrics, s.in.tracer, s.in.metrics = cfg.Codec, cfg.Trace, cfg.Metrics, cfg.Trace, cfg.Metrics
	s.out.plain = mux.CallInfo{Codec: cfg.Codec}
	s.out.watched = cfg.Trace != nil || cfg.Metrics != nil
	s.in.interceptors, s.in.streams = cfg.Interceptors, cfg.StreamInterceptors
	s.peers.out = &s.out
	s.methods.in, s.methods.peers, s.methods.names = &s.in, &s.peers, names
	s.net = network{inproc: cfg.InProc, tls: cfg.TLS, transport: cfg.Transport}
	s.net.transport.Refused = s.turnedAway
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Register serves a method, from now on and on all connections. A service that is new is told to the registry.
func (s *Server) Register(m *mux.Method) {
	if s.methods.add(m) {
		s.tell()
	}
}

// RegisterService notes a service for clients to look for, besides those of the registered methods' names.
func (s *Server) RegisterService(name string) {
	if s.methods.addService(name) {
		s.tell()
	}
}

// tell updates the registry.
func (s *Server) tell() {
	s.listing.Lock()
	defer s.listing.Unlock()
	s.mu.Lock()
	phase, i := s.phase, s.instance()
	s.mu.Unlock()
	if s.registration == nil || phase > phaseDraining {
		return
	}
	if err := s.registration.Update(i); err != nil {
		s.cfg.Log.Warn("rpc: registry not updated", "instance", s.cfg.ID, "error", err)
	}
}

// Listen binds the endpoints, which takes a socket's name from nobody who lives. Serve does it if nobody has; before it, connections wait.
func (s *Server) Listen() error {
	bound, err := s.listen()
	if err != nil {
		unbind(bound)
	}
	return err
}

// listen is Listen, which returns what has to be closed when it failed.
func (s *Server) listen() ([]listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseNew {
		return nil, fmt.Errorf("rpc server %s: listens already, or is closed", s.cfg.ID)
	}
	for _, e := range s.cfg.Endpoints {
		if err := s.bind(e); err != nil {
			s.addrs, s.without = nil, nil
			return s.takeListeners(), fmt.Errorf("rpc server %s: listen on %s: %w", s.cfg.ID, e, err)
		}
	}
	s.phase = phaseListening
	return nil, nil
}

// bind listens on every route of an endpoint. Shared memory that is only one of two ways may be missing.
func (s *Server) bind(endpoint string) error {
	routes, err := parseEndpoint(endpoint)
	if err != nil {
		return err
	}
	for _, r := range routes { // the best first: whoever finds the plain socket finds shared memory too
		l, err := s.net.listen(r)
		if err != nil && len(routes) > 1 && r.kind == kindShm {
			s.without = append(s.without, Refusal{r.String(), r.kind, err})
			s.cfg.Log.Warn("rpc: no shared memory, using uds", "instance", s.cfg.ID, "endpoint", endpoint, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		bound := route{r.kind, r.addr}
		if !r.local() {
			bound.addr = l.Addr()
		}
		s.listeners = append(s.listeners, listener{l, bound})
		if a := advertised(endpoint, bound); !slices.Contains(s.addrs, a) {
			s.addrs = append(s.addrs, a)
		}
	}
	return nil
}

// takeListeners leaves the server without them. The lock is held; unbind them when it is not: closing one waits for peers that it is refusing, whose refusal
// the configuration's functions are told of.
func (s *Server) takeListeners() []listener {
	l := s.listeners
	s.listeners = nil
	return l
}

func unbind(all []listener) {
	for _, l := range all {
		_ = l.Close() // nothing can be done about it
	}
}

// Addrs are the endpoints that are listened on, as clients can dial them: with the ports that were got.
func (s *Server) Addrs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addrs)
}

// Instance is what the registry is told.
func (s *Server) Instance() registry.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instance()
}

func (s *Server) instance() registry.Instance {
	i := registry.Instance{
		ID: s.cfg.ID, Epoch: s.epoch, Services: s.methods.list(), Endpoints: slices.Clone(s.addrs), Host: s.cfg.Host, Weight: s.cfg.Weight, Labels: s.cfg.Labels,
	}
	if len(s.cfg.Advertise) > 0 {
		i.Endpoints = slices.Clone(s.cfg.Advertise)
	}
	if s.phase >= phaseDraining {
		i.State = registry.Draining
	}
	return i
}

// Serve listens if Listen was not called, registers the instance, and serves until ctx ends; then it drains for DrainTimeout at most and closes. It returns nil
// when it was asked to stop, by ctx, Drain or Close.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	fresh := s.phase == phaseNew
	s.mu.Unlock()
	if fresh {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	if err := s.begin(ctx); err != nil {
		_ = s.Close()
		return err
	}
	select {
	case <-s.ctx.Done():
		return nil
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	err := s.Drain(draining)
	if errors.Is(err, context.DeadlineExceeded) { // what was left is cut off, as was said
		s.cfg.Log.Warn("rpc: drained for too long, calls were cut off", "instance", s.cfg.ID, "timeout", s.cfg.DrainTimeout)
		err = nil
	}
	return err
}

// begin accepts connections and registers. That it was asked to stop meanwhile is no error.
func (s *Server) begin(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.phase != phaseListening {
		s.mu.Unlock()
		return fmt.Errorf("rpc server %s: serves already, or is closed", s.cfg.ID)
	}
	s.phase, s.unlist = phaseServing, cancel
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
	s.mu.Unlock()
	if s.cfg.Registry == nil {
		return nil
	}
	s.listing.Lock()
	defer s.listing.Unlock()
	s.mu.Lock()
	stop, i := s.phase >= phaseDraining, s.instance()
	s.mu.Unlock()
	if stop {
		return nil
	}
	r, err := s.cfg.Registry.Register(ctx, i) // whoever drains or closes now waits for the lock, and finds it registered
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("rpc server %s: register: %w", s.cfg.ID, err)
	}
	if err == nil {
		s.registration = r
	}
	return nil
}

// accept takes connections; each shakes hands on a goroutine of its own, so that nobody waits for somebody else.
func (s *Server) accept(l listener) {
	var wait backoff
	for {
		t, err := l.Accept(s.ctx)
		if err == nil {
			wait.reset()
			s.wg.Go(func() { s.connected(t) })
			continue
		}
		if s.stopping() || s.ctx.Err() != nil {
			return
		}
		if wait.last == 0 {
			s.cfg.Log.Warn("rpc: cannot accept, trying on", "endpoint", l.route.String(), "error", err)
		}
		if !wait.pause(s.ctx) {
			return
		}
	}
}

// connected runs a connection to its end.
func (s *Server) connected(t transport.Conn) {
	cfg := s.cfg.Mux
	cfg.Hello = mux.Hello{Instance: s.cfg.ID, Epoch: s.epoch, Services: s.methods.list(), Token: s.cfg.Token}
	cfg.Handler = &s.methods
	cfg.Accept = s.welcome
	cfg.Owner, cfg.Dialled = &s.peers, false
	cfg.Panicked = panicked(s.cfg.Log, s.cfg.Mux.Panicked)
	s.mu.Lock()
	if s.phase >= phaseDraining {
		s.mu.Unlock()
		_ = t.Close()
		return
	}
	s.greeting.Add(1)
	s.mu.Unlock()
	stop := context.AfterFunc(s.ctx, func() { _ = t.Close() })
	conn, err := mux.Start(t, cfg)
	stop()
	var p *Peer
	if err == nil {
		p = s.peers.of(conn)
		if s.stopping() { // Drain may have looked for peers before this was one, and waits for others who shake hands
			conn.GoAway("draining")
		}
	}
	s.greeting.Done()
	if err != nil {
		s.peers.sweep()
		if !errors.Is(err, transport.ErrClosed) {
			s.turnedAway(t.Peer().Addr, err)
		}
		return
	}
	if s.cfg.Metrics != nil {
		s.cfg.Metrics.Connected(SideServer, p.transport)
	}
	if s.cfg.OnConnect != nil {
		s.cfg.OnConnect(p)
	}
	select {
	case <-conn.Done():
	case <-s.ctx.Done():
	}
	_ = conn.Close() // waits for what is left of it
	s.peers.forget(conn)
	if s.cfg.Metrics != nil {
		s.cfg.Metrics.Disconnected(SideServer, p.transport)
	}
	if s.cfg.OnDisconnect != nil {
		s.cfg.OnDisconnect(p, conn.Err())
	}
}

// stopping tells whether the server drains, or is closed.
func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase >= phaseDraining
}

func (s *Server) welcome(peer mux.Hello) error {
	switch {
	case s.stopping():
		return fmt.Errorf("instance %q is draining: connect to another", s.cfg.ID)
	case s.cfg.Mux.Accept != nil:
		return s.cfg.Mux.Accept(peer)
	}
	return nil
}

// turnedAway counts peers that were refused.
func (s *Server) turnedAway(addr string, err error) {
	r := &s.refusals
	r.mu.Lock()
	r.n++
	r.last = err
	tell := time.Since(r.told) > time.Second // whoever knocks all the time must not fill the log
	if tell {
		r.told = time.Now()
	}
	n := r.n
	r.mu.Unlock()
	if tell {
		s.cfg.Log.Warn("rpc: peer refused", "instance", s.cfg.ID, "peer", addr, "error", err, "so_far", n)
	}
	if s.cfg.Transport.Refused != nil {
		s.cfg.Transport.Refused(addr, err)
	}
}
