package rpc

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// Peer is one connection and whoever is at its other end. It is a Caller as long as the connection lives, on whichever side it was opened; then calls fail with
// UNAVAILABLE.
type Peer struct {
	conn      *mux.Conn
	id        string
	transport string
	out       *outgoing

	draining chan struct{} // closed when the peer wants no new calls
	drained  sync.Once
	weight   atomic.Int32 // a client's peers only
}

// ID of the instance at the other end.
func (p *Peer) ID() string { return p.id }

// Epoch tells processes apart that had the same id one after the other.
func (p *Peer) Epoch() uint64 { return p.conn.Peer().Hello.Epoch }

// Transport is "shm", "uds", "tcp", "tls" or "inproc".
func (p *Peer) Transport() string { return p.transport }

// Info is all that is known about the other end.
func (p *Peer) Info() mux.Peer { return p.conn.Peer() }

// Done is closed when the connection has ended.
func (p *Peer) Done() <-chan struct{} { return p.conn.Done() }

// Err is why the connection has ended; nil before.
func (p *Peer) Err() error { return p.conn.Err() }

// InFlight is the number of calls that wait for the peer's answer.
func (p *Peer) InFlight() int { return p.conn.InFlight() }

// Latency is a moving average of the time that answers took; 0 when unknown.
func (p *Peer) Latency() time.Duration { return p.conn.Latency() }

// Weight is the share of calls that the instance asked for, compared with others; at least 1.
func (p *Peer) Weight() int { return max(1, int(p.weight.Load())) }

// Stats counts since the connection began.
func (p *Peer) Stats() mux.Stats { return p.conn.Stats() }

// Close ends the connection at once and waits for its goroutines, which run Inline and Borrowed handlers: those must not call it. It does not wait for other
// handlers of the peer's calls; their context ends.
func (p *Peer) Close() error { return p.conn.Close() }

// Drain asks the peer for no new calls, waits until nothing is under way, and closes.
func (p *Peer) Drain(ctx context.Context) error { return p.conn.Drain(ctx) }

// Invoke implements Caller. Nothing is repeated: there is one connection.
func (p *Peer) Invoke(ctx context.Context, method string, req, resp any, o *CallOptions) error {
	if p.out.watched {
		return p.out.invoke(ctx, p, opCall, method, req, resp, o)
	}
	info := p.out.borrow(o)
	err := p.conn.Call(ctx, method, req, resp, info)
	p.out.release(info)
	return err
}

// InvokeAsync implements Caller.
func (p *Peer) InvokeAsync(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error)) {
	if p.out.watched {
		p.out.invokeAsync(ctx, p, method, req, resp, o, done)
		return
	}
	p.async(ctx, method, req, resp, o, done)
}

// Post implements Caller.
func (p *Peer) Post(ctx context.Context, method string, req any, o *CallOptions) error {
	if p.out.watched {
		return p.out.invoke(ctx, p, opPost, method, req, nil, o)
	}
	info := p.out.borrow(o)
	err := p.conn.Notify(ctx, method, req, info)
	p.out.release(info)
	return err
}

// Stream implements Caller.
func (p *Peer) Stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error) {
	if p.out.watched {
		return p.out.open(ctx, p, method, o)
	}
	return p.stream(ctx, method, o)
}

func (p *Peer) call(ctx context.Context, op op, method string, req, resp any, o *CallOptions) error {
	if o != nil {
		o.used = p
	}
	info := p.out.borrow(o)
	err := p.once(ctx, op, method, req, resp, info)
	p.out.release(info)
	return err
}

func (p *Peer) async(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error)) {
	if o != nil {
		o.used = p
	}
	info := p.out.borrow(o)
	p.conn.Go(ctx, method, req, resp, info, done)
	p.out.release(info)
}

func (p *Peer) stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error) {
	if o != nil {
		o.used = p
	}
	info := p.out.streamInfo(o)
	return p.conn.Open(ctx, method, &info)
}

// background needs nobody who waits: the call ends with the connection at the latest.
func (p *Peer) background(done func(error), call func() error) {
	go func() { done(call()) }()
}

func (p *Peer) lend() *CallOptions      { return p.out.lend() }
func (p *Peer) giveBack(o *CallOptions) { p.out.giveBack(o) }

// sendAway asks the peer to make no new calls and waits until it has closed the connection, which it does when nothing of its own is under way: only it knows
// what it had sent before it was asked.
func (p *Peer) sendAway(ctx context.Context) {
	p.conn.GoAway("draining")
	select {
	case <-p.Done():
	case <-ctx.Done():
		_ = p.conn.Drain(ctx) // closes
	}
}

// leaving tells whether calls are certain to be refused.
func (p *Peer) leaving() bool { return p.conn.Draining() || p.conn.Err() != nil }

// goaway marks the peer as wanting no new calls.
func (p *Peer) goaway() { p.drained.Do(func() { close(p.draining) }) }

// peers are the connections of one client or server. Looking one up takes no lock: the map is copied when it changes.
type peers struct {
	out *outgoing

	mu  sync.Mutex
	all atomic.Pointer[map[*mux.Conn]*Peer]
}

// of is the peer of a connection. It is made if it is not there yet: a handler may run before mux.Start has returned.
func (ps *peers) of(conn *mux.Conn) *Peer {
	if all := ps.all.Load(); all != nil {
		if p := (*all)[conn]; p != nil {
			return p
		}
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	next := map[*mux.Conn]*Peer{}
	if all := ps.all.Load(); all != nil {
		if p := (*all)[conn]; p != nil {
			return p
		}
		maps.Copy(next, *all)
	}
	who := conn.Peer()
	p := &Peer{conn: conn, id: who.Hello.Instance, transport: who.Transport, out: ps.out, draining: make(chan struct{})}
	select {
	case <-conn.Done(): // forgotten, or about to be: a late handler's peer is nobody else's
		return p
	default:
	}
	next[conn] = p
	ps.all.Store(&next)
	return p
}

// forget drops a connection that is done.
func (ps *peers) forget(conn *mux.Conn) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	all := ps.all.Load()
	if all == nil || (*all)[conn] == nil {
		return
	}
	next := maps.Clone(*all)
	delete(next, conn)
	ps.all.Store(&next)
}

// sweep drops every connection that has ended. It is for those whose handshake failed in the end: a handler that ran meanwhile may have made them a peer, and
// nobody else knows them.
func (ps *peers) sweep() {
	ps.mu.Lock() // whoever makes a peer just now is waited for
	all := ps.all.Load()
	ps.mu.Unlock()
	if all == nil {
		return
	}
	for conn := range *all {
		if conn.Err() != nil {
			ps.forget(conn)
		}
	}
}

// list is all of them, in no order.
func (ps *peers) list() []*Peer {
	all := ps.all.Load()
	if all == nil {
		return nil
	}
	list := make([]*Peer, 0, len(*all))
	for _, p := range *all {
		list = append(list, p)
	}
	return list
}
