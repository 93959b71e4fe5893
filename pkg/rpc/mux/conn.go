package mux

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func (c *Config) validate() error {
	for _, f := range []struct {
		v    *int
		d    int
		name string
	}{
		{&c.MaxMessage, 4 << 20, "MaxMessage"}, {&c.MaxCalls, 4096, "MaxCalls"}, {&c.MaxServe, 4096, "MaxServe"}, {&c.Workers, 64, "Workers"},
		{&c.Window, 256 << 10, "Window"}, {&c.BulkBytes, 16 << 10, "BulkBytes"},
	} {
		if *f.v == 0 {
			*f.v = f.d
		}
		if *f.v < 1 || *f.v > 1<<30 {
			return fmt.Errorf("rpc: %s of %d: need 1 to 2^30", f.name, *f.v)
		}
	}
	if c.MaxCalls > maxSlots {
		return fmt.Errorf("rpc: MaxCalls of %d: at most %d calls fit a connection", c.MaxCalls, maxSlots)
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = time.Second
	}
	if c.HelloTimeout == 0 {
		c.HelloTimeout = 3 * time.Second
	}
	if c.HelloTimeout < 0 {
		return fmt.Errorf("rpc: HelloTimeout of %s: need more than 0", c.HelloTimeout)
	}
	h := hello{Hello: c.Hello, codecs: c.codecNames()}
	if n := len(h.append(nil)); n > maxExt {
		return fmt.Errorf("rpc: names of instance, services and codecs take %d bytes, %d fit: serve fewer services on one connection", n, maxExt)
	}
	return nil
}

// Check tells what is wrong with the limits of a configuration; nil if nothing is.
func (c Config) Check() error { return c.validate() }

func (c *Config) codecNames() []string {
	names := make([]string, 0, len(c.Codecs))
	for _, k := range c.Codecs {
		names = append(names, k.Name())
	}
	return names
}

// Conn is one connection.
type Conn struct {
	cfg   Config
	t     transport.Conn
	lanes []*lane
	bulk  []*lane // lanes[1:]

	numbered [codecNamed]string // names of our codecs that have a number
	own      hello
	peer     hello             // set before greeted is closed
	theirs   [codecNamed]Codec // that the peer's numbers mean; nil: unknown here

	greeted   chan struct{} // the peer's hello was accepted
	welcomed  chan struct{} // and it has accepted ours
	over      chan struct{} // the connection has ended; err says why
	ended     chan struct{} // and nothing of it is left
	failOnce  sync.Once
	failed    atomic.Bool
	err       error
	heard     atomic.Bool // since the last beat
	pongs     atomic.Uint32
	drainOnce sync.Once
	draining  atomic.Bool // the peer wants no new calls
	leaving   atomic.Bool // we want none
	goroutine sync.WaitGroup

	calls   calls
	serving serving
	streams streams

	nextBulk atomic.Uint32
	notes    atomic.Uint32 // notifications sent
	unread   atomic.Int64  // bytes of all streams that nobody has received yet
	counts   struct{ calls, served, refused, panics, late atomic.Uint64 }
}

// lane is a transport's lane and what its writers and its reader know.
type lane struct {
	transport.Lane
	c       *Conn
	index   int
	max     int           // size of a frame
	gather  int           // frames that may wait for others before they are flushed
	large   chan struct{} // a place for each message in parts
	waiting atomic.Int32  // writers on their way: the last one flushes

	// Under the lane's lock:
	flusher  bool // somebody has promised to flush
	gathered int  // frames since the last flush
	numbers  map[string]uint16

	// The reader's own:
	welcomed bool
	methods  []named // by number, from 1
	parts    map[uint64]*parts
	batch    batch
}

// named is a method that the peer gave a number to.
type named struct {
	name   string
	method *Method
}

// How many frames wait for each other, if there are so many: measured with 64 callers of 64 bytes. With more, the two ends take turns instead of working at the same
// time; with fewer, each wakes the other too often. gatherEager is for transports whose Flush is cheap.
const (
	gatherFrames = 16
	gatherEager  = 4
)

// maxNumbers bounds the methods that get a number, per lane.
const maxNumbers = 4096

// Start shakes hands over t and runs the connection. If that fails, t is closed.
func Start(t transport.Conn, cfg Config) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		_ = t.Close()
		return nil, err
	}
	c := &Conn{
		cfg: cfg, t: t, greeted: make(chan struct{}), welcomed: make(chan struct{}), over: make(chan struct{}), ended: make(chan struct{}),
	}
	c.calls.init(cfg.MaxCalls)
	c.serving.init(c)
	c.streams.init()
	for i, k := range cfg.Codecs {
		if i < codecNamed {
			c.numbered[i] = k.Name()
		}
	}
	gather := gatherFrames
	if e, ok := t.(transport.Eager); ok && e.Eager() {
		gather = gatherEager
	}
	for i, tl := range t.Lanes() {
		c.lanes = append(c.lanes, &lane{Lane: tl, c: c, index: i, max: tl.MaxFrame(), gather: gather, large: make(chan struct{}, largeAtOnce), numbers: map[string]uint16{}, parts: map[uint64]*parts{}})
	}
	c.bulk = c.lanes[1:]
	c.own = hello{Hello: cfg.Hello, version: version, window: uint32(cfg.Window), message: uint32(cfg.MaxMessage), codecs: cfg.codecNames()}
	_, _ = rand.Read(c.own.nonce[:]) // never fails
	if err := c.lanes[0].control(typeHello, 0, 0, 0, c.own.append(nil)); err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("rpc: hello: %w", err)
	}
	for _, l := range c.lanes {
		c.goroutine.Go(l.read)
	}
	go c.live()
	timeout := time.NewTimer(cfg.HelloTimeout)
	defer timeout.Stop()
	select {
	case <-c.welcomed:
		return c, nil
	case <-c.over:
	case <-timeout.C:
		c.Fail(fmt.Errorf("rpc: the peer at %s has not answered the hello within %s", t.Peer().Addr, cfg.HelloTimeout))
	}
	<-c.ended
	return nil, c.err
}

// greet takes the peer's hello.
func (c *Conn) greet(body []byte) error {
	h, err := parseHello(body)
	if err == nil {
		select {
		case <-c.greeted:
			return fmt.Errorf("%w: a second hello", errFrame)
		default:
		}
	}
	if err == nil && c.cfg.Accept != nil {
		err = c.cfg.Accept(h.Hello)
	}
	if err != nil {
		return c.refusePeer(err)
	}
	c.peer = h
	for i, name := range h.codecs {
		if i < codecNamed {
			c.theirs[i] = c.codec(name)
		}
	}
	close(c.greeted)
	_ = c.lanes[0].tell(typeWelcome, 0, 0, 0, proof(c.cfg.Hello.Token, c.cfg.Dialled, c.own.nonce, h.nonce)) // to a peer that has gone: its reason is still to be read
	return nil
}

// welcome takes the peer's proof that it knows the token, and with it its word that it has accepted us.
func (c *Conn) welcome(body []byte) error {
	select {
	case <-c.greeted:
	default:
		return fmt.Errorf("%w: a welcome before the hello", errFrame)
	}
	select {
	case <-c.welcomed:
		return fmt.Errorf("%w: a second welcome", errFrame)
	default:
	}
	if !hmac.Equal(body, proof(c.cfg.Hello.Token, !c.cfg.Dialled, c.peer.nonce, c.own.nonce)) {
		return c.refusePeer(errors.New("the tokens differ: both ends need the same cluster token"))
	}
	close(c.welcomed)
	return nil
}

// refusePeer ends the connection with a peer that does not fit.
func (c *Conn) refusePeer(err error) error {
	err = fmt.Errorf("%w: %w", transport.ErrPeerRefused, err)
	c.bye(err)
	c.Fail(err) // before the peer's answer to that can be the reason
	return err
}

// codec finds one of ours by name.
func (c *Conn) codec(name string) Codec {
	for _, k := range c.cfg.Codecs {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

// live beats, gives up calls whose time is over, and cleans up at the end.
func (c *Conn) live() {
	period := c.cfg.Heartbeat
	if period <= 0 {
		period = time.Hour
	}
	beat := time.NewTicker(period)
	sweep := time.NewTicker(time.Hour)
	sweep.Stop()
	defer beat.Stop()
	defer sweep.Stop()
	silent, idle := 0, 0
	for {
		select {
		case <-c.over:
			c.bury()
			return
		case <-c.calls.timed: // the first call with a limit of its own after a quiet time
			idle = 0
			sweep.Reset(sweepPeriod)
		case now := <-sweep.C:
			if c.expire(now) {
				idle = 0
			} else if idle++; idle > 100 {
				sweep.Stop()
				c.calls.sweeping.Store(false)
				if c.expire(now) { // one that came in between
					c.calls.watch()
				}
			}
		case <-beat.C:
			if c.cfg.Heartbeat <= 0 {
				continue
			}
			if c.heard.Swap(false) {
				silent = 0
				continue
			}
			select {
			case <-c.welcomed:
			default:
				continue // the handshake has a limit of its own
			}
			if silent++; silent >= 3 {
				c.Fail(fmt.Errorf("rpc: nothing heard from the peer for %s", time.Duration(silent)*c.cfg.Heartbeat))
				continue
			}
			_ = c.lanes[0].control(typePing, 0, 0, 0, nil) // a broken lane shows elsewhere
		}
	}
}

// bury ends everything that hangs on the connection.
func (c *Conn) bury() {
	gone := unavailable(c.err, status.MaybeExecuted)
	c.calls.failAll(gone)
	c.streams.failAll(gone)
	c.serving.cancelAll()
	_ = c.t.Close()
	c.goroutine.Wait()
	c.streams.failAll(gone) // one that was opened meanwhile
	c.serving.cancelAll()
	close(c.ended)
}

// unavailable is the error of a connection that is over.
func unavailable(cause error, fate status.Fate) *status.Error {
	e := status.Errorf(status.Unavailable, "connection lost: %v", cause)
	e.Fate = fate
	return e
}

// Fail ends the connection at once, with err for its reason. It may be called from any goroutine; the first reason counts.
func (c *Conn) Fail(err error) {
	c.failOnce.Do(func() {
		c.err = err
		c.failed.Store(true)
		close(c.over)
	})
}

// bye tells the peer why the connection ends, if it listens.
func (c *Conn) bye(reason error) {
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	_ = c.lanes[0].tell(typeBye, 0, 0, 0, []byte(text[:min(len(text), 1024)]))
}

// Close ends the connection, tells the peer, and waits for the connection's goroutines. It may be called twice, but not by an inline handler or a done function.
func (c *Conn) Close() error {
	if !c.failed.Load() {
		c.bye(nil)
	}
	c.Fail(transport.ErrClosed)
	<-c.ended
	return nil
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.over }

// Err is why the connection has ended; nil before.
func (c *Conn) Err() error {
	if c.failed.Load() {
		return c.err
	}
	return nil
}

// Owner is what the connection's Config said.
func (c *Conn) Owner() any { return c.cfg.Owner }

// Peer is who is at the other end.
func (c *Conn) Peer() Peer {
	return Peer{Hello: c.peer.Hello, Transport: c.t.Kind(), Peer: c.t.Peer()}
}

// InFlight is the number of calls that wait for an answer.
func (c *Conn) InFlight() int { return int(c.calls.inFlight.Load()) }

// Latency is a moving average of the time that answers took, of a sample of the calls; 0 when unknown.
func (c *Conn) Latency() time.Duration { return time.Duration(c.calls.latency.Load()) }

// Draining tells whether the peer asked for no new calls.
func (c *Conn) Draining() bool { return c.draining.Load() }

// Stats counts.
func (c *Conn) Stats() Stats {
	return Stats{
		Stats: c.t.Stats(), Calls: c.counts.calls.Load(), Served: c.counts.served.Load(), InFlight: c.InFlight(), Serving: int(c.serving.n.Load()),
		Streams: c.streams.len(), Refused: c.counts.refused.Load(), Panics: c.counts.panics.Load(), Late: c.counts.late.Load(),
	}
}

// GoAway asks the peer to make no new calls; calls that it makes nevertheless are refused unexecuted. What is under way goes on.
func (c *Conn) GoAway(note string) {
	c.leaving.Store(true)
	_ = c.lanes[0].control(typeGoaway, 0, 0, 0, []byte(note[:min(len(note), 1024)]))
}
