package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Between two attempts to connect.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = time.Second
)

// backoff is the time between two attempts: twice as long each time, with a quarter of jitter either way, so that the clients of a server that comes back do
// not come all at once.
type backoff struct{ last time.Duration }

func (b *backoff) reset() { b.last = 0 }

// next is how long to wait now.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, minBackoff), maxBackoff)
	return b.last*3/4 + rand.N(b.last/2)
}

// pause waits; false when ctx ended.
func (b *backoff) pause(ctx context.Context) bool { return b.pauseUpTo(ctx, 2*maxBackoff) } // which is longer than any

// pauseUpTo is pause that waits no longer than that.
func (b *backoff) pauseUpTo(ctx context.Context, most time.Duration) bool {
	t := time.NewTimer(min(b.next(), most))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// target is an instance to be connected to. Its goroutine dials, and dials again, until the instance is gone or the client closed.
type target struct {
	c      *Client
	ctx    context.Context // ends when no new calls are to go there
	cancel context.CancelFunc

	// Under the client's lock:
	inst     registry.Instance
	peer     *Peer // that gets calls; nil: none
	refusals []Refusal
	err      error // of the last attempt to connect; nil when connected

	// The goroutine's own:
	told   string // refusals that were logged
	failed bool   // that connecting fails was logged
}

// why is the reason that there is no connection. The client's lock is held.
func (t *target) why() string {
	if t.err == nil {
		return "still connecting"
	}
	return t.err.Error()
}

func (t *target) run() {
	defer t.cancel()
	var wait backoff
	for {
		p := t.dial()
		if p == nil {
			if !wait.pause(t.ctx) {
				return
			}
			continue
		}
		began := time.Now()
		t.use(p)
		select {
		case <-p.Done():
			t.drop(p, p.Err())
			t.report()
			if !errors.Is(p.Err(), transport.ErrClosed) {
				t.c.cfg.Log.Warn("rpc: connection lost", "instance", p.ID(), "transport", p.transport, "error", p.Err())
			}
		case <-p.draining:
			t.drop(p, errors.New("it is draining"))
			t.leave(p)
		case <-t.ctx.Done():
			t.leave(p)
			return
		}
		if time.Since(began) > maxBackoff { // it was not just a connection that breaks at once
			wait.reset()
		}
		if !wait.pause(t.ctx) {
			return
		}
	}
}

// use lets the connection have calls.
func (t *target) use(p *Peer) {
	c := t.c
	if c.cfg.Metrics != nil {
		c.cfg.Metrics.Connected(SideClient, p.transport)
	}
	if c.cfg.OnConnect != nil {
		c.cfg.OnConnect(p)
	}
	c.wg.Go(func() { // until it has ended, also when it left balancing before
		<-p.Done()
		c.peers.forget(p.conn)
		if c.cfg.Metrics != nil {
			c.cfg.Metrics.Disconnected(SideClient, p.transport)
		}
		if c.cfg.OnDisconnect != nil {
			c.cfg.OnDisconnect(p, p.Err())
		}
		_ = p.Close() // waits for what is left of it
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	t.err, t.failed = nil, false
	if t.ctx.Err() == nil {
		p.weight.Store(int32(t.inst.Weight))
		t.peer = p
		c.publish()
	}
}

// drop takes the connection out of balancing.
func (t *target) drop(p *Peer, why error) {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	t.err = why
	if t.peer == p {
		t.peer = nil
		c.publish()
	}
}

// lingering is how long a connection that left balancing is kept even when nothing is under way: callers may have picked it just before. They pay nothing for
// being sure.
const lingering = 50 * time.Millisecond

// leave lets a connection finish what is under way.
func (t *target) leave(p *Peer) {
	c := t.c
	c.wg.Go(func() {
		late := time.NewTimer(lingering)
		defer late.Stop()
		select {
		case <-late.C:
		case <-p.Done():
		case <-c.ctx.Done():
		}
		_ = p.conn.Drain(c.ctx) // that the client was closed first is no error
	})
}

// report tells the registry that the instance cannot be reached, so that others need not find out themselves.
func (t *target) report() {
	if r := t.c.cfg.Registry; r != nil && t.c.cfg.Service != "" && t.c.ctx.Err() == nil {
		t.c.mu.Lock()
		id, epoch := t.inst.ID, t.inst.Epoch
		t.c.mu.Unlock()
		r.Report(id, epoch)
	}
}

// dial tries the routes to the instance, the best first, and returns a connection, or nil and leaves the reason in t.err.
func (t *target) dial() *Peer {
	c := t.c
	c.mu.Lock()
	inst := t.inst
	c.mu.Unlock()
	elsewhere := inst.Host != "" && inst.Host != c.cfg.Host
	var refusals []Refusal
	for _, e := range inst.Endpoints {
		routes, err := parseEndpoint(e)
		if err != nil {
			refusals = append(refusals, Refusal{Endpoint: e, Err: err})
			continue
		}
		for _, r := range routes {
			if elsewhere && r.local() {
				continue
			}
			p, err := c.connect(t.ctx, r, &inst)
			if t.ctx.Err() != nil {
				if p != nil {
					_ = p.Close()
					c.peers.forget(p.conn)
				}
				return nil
			}
			if err == nil {
				if better := t.better(r, p, &inst, refusals); better != nil {
					p, refusals = better, refusals[:len(refusals)-1]
				}
				t.connected(p, refusals)
				return p
			}
			refusals = append(refusals, Refusal{Endpoint: r.String(), Transport: r.kind, Err: err})
		}
	}
	t.refused(&inst, refusals)
	return nil
}

// better tries shared memory once more when nobody listened there and the plain socket next to it answered: the server may have been starting just then.
func (t *target) better(r route, p *Peer, inst *registry.Instance, refusals []Refusal) *Peer {
	if r.kind != kindUds || len(refusals) == 0 {
		return nil
	}
	last := refusals[len(refusals)-1]
	shared := route{kindShm, r.addr}
	if last.Endpoint != shared.String() || !errors.Is(last.Err, fs.ErrNotExist) && !errors.Is(last.Err, syscall.ECONNREFUSED) {
		return nil
	}
	q, err := t.c.connect(t.ctx, shared, inst)
	if err != nil {
		return nil
	}
	_ = p.Close()
	t.c.peers.forget(p.conn)
	return q
}

func (t *target) connected(p *Peer, refusals []Refusal) {
	c := t.c
	c.mu.Lock()
	t.refusals = refusals
	c.mu.Unlock()
	if c.cfg.Metrics != nil {
		for _, r := range refusals {
			c.cfg.Metrics.Refused(r.Transport)
		}
	}
	told := list(refusals)
	if told == "" || told == t.told { // once is enough, however often it connects
		return
	}
	t.told = told
	message := "rpc: better transport refused"
	if refusals[0].Transport == kindShm && p.transport == kindUds {
		message = "rpc: shared memory refused, using uds"
	}
	c.cfg.Log.Warn(message, "instance", p.ID(), "using", p.transport, "refused", told)
}

func (t *target) refused(inst *registry.Instance, refusals []Refusal) {
	err := errors.New(list(refusals))
	if len(refusals) == 0 {
		err = fmt.Errorf("it runs on another machine (%s) and names no tcp or tls endpoint, only %s", inst.Host, strings.Join(inst.Endpoints, ", "))
	}
	c := t.c
	c.mu.Lock()
	t.err, t.refusals = err, refusals
	c.mu.Unlock()
	t.report()
	if !t.failed {
		t.failed = true
		c.cfg.Log.LogAttrs(t.ctx, slog.LevelWarn, "rpc: cannot connect, trying on", slog.String("instance", inst.ID), slog.Any("error", err))
	}
}

func list(refusals []Refusal) string {
	var b strings.Builder
	for i, r := range refusals {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %v", r.Endpoint, r.Err)
	}
	return b.String()
}

// connect dials one route and shakes hands.
func (c *Client) connect(ctx context.Context, r route, inst *registry.Instance) (*Peer, error) {
	dialling, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	t, err := c.net.dial(dialling, r)
	if err != nil {
		return nil, err
	}
	cfg := c.cfg.Mux
	cfg.Hello = mux.Hello{Instance: c.cfg.ID, Epoch: c.epoch, Services: c.methods.list(), Token: c.cfg.Token}
	cfg.Handler = &c.methods
	cfg.Owner = &c.peers
	cfg.Dialled = true
	cfg.Accept = func(peer mux.Hello) error { return c.expected(&peer, inst) }
	cfg.Draining = func(conn *mux.Conn, note string) {
		c.peers.of(conn).goaway()
		if c.cfg.Mux.Draining != nil {
			c.cfg.Mux.Draining(conn, note)
		}
	}
	cfg.Panicked = panicked(c.cfg.Log, c.cfg.Mux.Panicked)
	stop := context.AfterFunc(ctx, func() { _ = t.Close() })
	conn, err := mux.Start(t, cfg)
	stop()
	if err != nil {
		c.peers.sweep()
		return nil, err
	}
	return c.peers.of(conn), nil
}

// expected refuses a server that is not the one that the registry told of: its socket may have been taken over by another process.
func (c *Client) expected(peer *mux.Hello, inst *registry.Instance) error {
	if inst.ID != "" && peer.Instance != inst.ID || inst.Epoch != 0 && peer.Epoch != inst.Epoch {
		return fmt.Errorf("instance %q of epoch %d was expected, instance %q of epoch %d answered: the registry is behind", inst.ID, inst.Epoch, peer.Instance, peer.Epoch)
	}
	if c.cfg.Mux.Accept != nil {
		return c.cfg.Mux.Accept(*peer)
	}
	return nil
}

// panicked logs a handler's panic, and passes it on.
func panicked(log *slog.Logger, also func(string, any, []byte)) func(string, any, []byte) {
	return func(method string, value any, stack []byte) {
		log.Error("rpc: handler panicked", "method", method, "panic", fmt.Sprint(value), "stack", string(stack))
		if also != nil {
			also(method, value, stack)
		}
	}
}
