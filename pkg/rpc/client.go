package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// Client calls the instances of a service, or one endpoint. It keeps a connection to each, made in the background and made again when it is lost, until Close.
// Any goroutine may use it.
type Client struct {
	cfg     ClientConfig
	epoch   uint64
	born    time.Time
	out     outgoing
	in      incoming
	methods methods
	peers   peers
	net     network
	budget  *balance.Budget
	picker  picker

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	view atomic.Pointer[view]

	mu      sync.Mutex
	targets []*target // instances to be connected to
	listed  bool      // the registry has answered, or none is asked
	watcher error     // why the registry cannot be watched
	closed  bool
	retried atomic.Uint64
}

// view is what picking needs to know. It is replaced, never changed, and changed is closed then.
type view struct {
	ready   []*Peer // by id
	known   map[string]bool
	listed  bool
	closed  bool
	changed chan struct{}
}

// NewClient makes a client and begins to connect; it does not wait for that, see Ready.
func NewClient(cfg ClientConfig) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	names, err := sizeNames(cfg.ID, cfg.Mux.Codecs)
	if err != nil {
		return nil, fmt.Errorf("rpc client: %w", err)
	}
	budget, err := balance.NewBudget(balance.BudgetConfig{Ratio: cfg.RetryBudget})
	if cfg.RetryBudget < 0 {
		budget, err = balance.NewBudget(balance.BudgetConfig{Ratio: -1, MinPerSecond: -1})
	}
	if err != nil {
		return nil, fmt.Errorf("rpc client: %w", err)
	}
	c := &Client{cfg: cfg, born: time.Now(), epoch: uint64(time.Now().UnixNano()), budget: budget}
	c.out.side, c.in.side = SideClient, SideServer
	c.out.codec, c.out.timeout, c.out.interceptors, c.out.streams = cfg.Codec, cfg.Timeout, cfg.Interceptors, cfg.StreamInterceptors
	c.out.plain = mux.CallInfo{Codec: cfg.Codec, Timeout: cfg.Timeout}
	c.out.tracer, c.out.metrics, c.in.tracer, c.in.metrics = cfg.Trace, cfg.Metrics, cfg.Trace, cfg.Metrics
	c.out.watched = len(cfg.Interceptors)+len(cfg.StreamInterceptors) > 0 || cfg.Trace != nil || cfg.Metrics != nil
	c.peers.out = &c.out
	c.methods.in, c.methods.peers, c.methods.names = &c.in, &c.peers, names
	c.net = network{inproc: cfg.InProc, tls: cfg.TLS, transport: cfg.Transport}
	c.picker.kind, c.picker.chance = cfg.Balance, balance.NewSource(rand.Uint64())
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.view.Store(&view{changed: make(chan struct{})})
	if cfg.Endpoint != "" {
		c.update([]registry.Instance{{Endpoints: []string{cfg.Endpoint}}})
	} else {
		c.wg.Go(c.watch)
	}
	return c, nil
}

// Register serves a method to the servers that this client is connected to: the way back.
func (c *Client) Register(m *mux.Method) { c.methods.add(m) }

// RegisterService notes a service that is served on the way back, so that connections made from now on tell of it.
func (c *Client) RegisterService(name string) { c.methods.addService(name) }

// Close ends all connections at once and waits for the client's goroutines; calls under way fail with UNAVAILABLE. It may be called twice, but not by a handler, an
// interceptor or a callback of the client.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.publish()
	c.mu.Unlock()
	c.cancel()
	for _, p := range c.peers.list() {
		_ = p.conn.Close() // never fails
	}
	c.wg.Wait()
	return nil
}

// Peers are the connections at hand, those that get no new calls any more included.
func (c *Client) Peers() []*Peer {
	list := c.peers.list()
	slices.SortFunc(list, func(a, b *Peer) int { return strings.Compare(a.ID(), b.ID()) })
	return list
}

// Ready waits for the first connection. When ctx ends before, the error says why there is none.
func (c *Client) Ready(ctx context.Context) error {
	for {
		v := c.view.Load()
		switch {
		case v.closed:
			return errClosed()
		case len(v.ready) > 0:
			return nil
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return c.unavailable()
		}
	}
}

func errClosed() *status.Error { return status.NotSentf(status.Unavailable, "the client is closed") }

// unavailable says why there is no connection and what to do about it.
func (c *Client) unavailable() *status.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.Endpoint != "" {
		t := c.targets[0]
		advice := ""
		for _, r := range t.refusals {
			if errors.Is(r.Err, fs.ErrNotExist) || errors.Is(r.Err, syscall.ECONNREFUSED) {
				advice = ": start the server that listens there"
			}
		}
		return status.NotSentf(status.Unavailable, "no connection to %s: %s%s", c.cfg.Endpoint, t.why(), advice)
	}
	var why []string
	for _, t := range c.targets {
		why = append(why, fmt.Sprintf("instance %q: %s", t.inst.ID, t.why()))
	}
	switch {
	case len(why) > 0:
		return status.NotSentf(status.Unavailable, "no connection to service %q: %s", c.cfg.Service, strings.Join(why, "; "))
	case c.watcher != nil:
		return status.NotSentf(status.Unavailable, "no connection to service %q: the registry cannot be asked: %v", c.cfg.Service, c.watcher)
	case !c.listed:
		return status.NotSentf(status.Unavailable, "no connection to service %q: the registry has not answered yet", c.cfg.Service)
	}
	return status.NotSentf(status.Unavailable,
		"no connection to service %q: the registry knows no instance of it: start a server that serves it, with the same registry", c.cfg.Service)
}

// publish makes the present state the view. The lock is held.
func (c *Client) publish() {
	v := &view{listed: c.listed, closed: c.closed, changed: make(chan struct{})}
	if !c.closed {
		v.known = make(map[string]bool, len(c.targets))
		for _, t := range c.targets {
			if t.peer != nil {
				v.ready = append(v.ready, t.peer)
			}
			v.known[t.inst.ID] = true
		}
	}
	slices.SortFunc(v.ready, func(a, b *Peer) int { return strings.Compare(a.ID(), b.ID()) })
	old := c.view.Swap(v)
	close(old.changed)
}

// watch follows the registry. While it cannot be asked, what was known stays.
func (c *Client) watch() {
	var wait backoff
	for {
		err := c.follow(&wait)
		if c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		first := c.watcher == nil
		c.watcher = err
		c.mu.Unlock()
		if first {
			c.cfg.Log.Warn("rpc: registry cannot be watched, known instances stay", "service", c.cfg.Service, "error", err)
		}
		if !wait.pause(c.ctx) {
			return
		}
	}
}

func (c *Client) follow(wait *backoff) (err error) {
	w, err := c.cfg.Registry.Watch(c.ctx, c.cfg.Service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for {
		all, err := w.Next(c.ctx)
		if err != nil {
			return err
		}
		wait.reset()
		c.update(all)
	}
}

// update makes the targets those of the registry.
func (c *Client) update(all []registry.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.watcher, c.listed = nil, true
	var keep []*target
	for _, t := range c.targets {
		at := slices.IndexFunc(all, func(i registry.Instance) bool {
			return i.ID == t.inst.ID && i.Epoch == t.inst.Epoch && i.State == registry.Ready
		})
		if at < 0 {
			t.peer = nil
			t.cancel() // its connection finishes what is under way
			continue
		}
		t.inst = all[at]
		if t.peer != nil {
			t.peer.weight.Store(int32(t.inst.Weight))
		}
		keep = append(keep, t)
	}
	for _, i := range all {
		if i.State != registry.Ready || slices.ContainsFunc(keep, func(t *target) bool { return t.inst.ID == i.ID && t.inst.Epoch == i.Epoch }) {
			continue
		}
		t := &target{c: c, inst: i}
		t.ctx, t.cancel = context.WithCancel(c.ctx)
		keep = append(keep, t)
		c.wg.Go(t.run)
	}
	c.targets = keep
	c.publish()
}

// Refusal is a transport that would have been better than the one in use, and why it was not to be had.
type Refusal struct {
	Endpoint  string // such as "shm:///run/world.sock"
	Transport string
	Err       error
}

// InstanceStats is what a client knows of one instance.
type InstanceStats struct {
	ID        string // as the registry, or the server itself, says
	Connected bool
	Transport string    // in use
	Refused   []Refusal // better transports, and why they failed; when not connected: all that were tried
	Err       error     // why there is no connection
	Conn      mux.Stats // of the connection
}

// ClientStats is what a client knows.
type ClientStats struct {
	Instances []InstanceStats // that should get calls
	Leaving   int             // connections that get no new calls and finish what is under way
	Retries   uint64
	Registry  error // why the registry cannot be watched at the moment
}

// Stats is the state of the client.
func (c *Client) Stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := ClientStats{Retries: c.retried.Load(), Registry: c.watcher, Leaving: len(c.peers.list())}
	for _, t := range c.targets {
		one := InstanceStats{ID: t.inst.ID, Refused: slices.Clone(t.refusals), Err: t.err}
		if p := t.peer; p != nil {
			one.ID, one.Connected, one.Transport, one.Conn = p.ID(), true, p.transport, p.Stats()
			st.Leaving--
		}
		st.Instances = append(st.Instances, one)
	}
	st.Leaving = max(0, st.Leaving)
	return st
}
