// Package inproc carries frames between two parts of one process, as in the all-in-one binary and in tests.
//
// A lane is memory: writers append to it, the reader takes all of it at once and leaves an empty buffer in exchange. Nothing is copied besides what the writers
// fill in, and nothing is checked: both ends are this program.
//
// # Goroutines
//
// The package has none. Writers may be any goroutines, under the lane's lock; the reader, one goroutine, takes that lock for a moment.
//
// # Stopping
//
// Close ends both ends at once, with transport.ErrClosed for a reason. What was flushed before is still received at the other end; at the end that closed,
// Receive fails. Close must not be called with a lane locked.
package inproc

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// MaxFrame is the size of the largest frame of a lane, in bytes: that of the lanes over sockets, lest something works in one process only.
const MaxFrame = 64<<10 + 1<<10

const (
	defaultMaxBacklog = 16 << 20
	maxMaxBacklog     = 1 << 30 // sums of lengths stay within 32 bits
	maxWaiting        = 128     // connections that wait for Accept, of a listener
)

// Network is where listeners have names. Any goroutine may use it.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
}

// NewNetwork makes a network without listeners.
func NewNetwork() *Network { return &Network{listeners: make(map[string]*listener)} }

// Listen takes a name that no other listener of the network has; Close frees it. cfg bounds the listener's end of connections.
func (n *Network) Listen(name string, cfg transport.Config) (transport.Listener, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[name] != nil {
		return nil, fmt.Errorf("rpc: listen on inproc %q: the name is taken: close its listener first, or choose another", name)
	}
	l := &listener{network: n, name: name, cfg: cfg, ready: make(chan *conn, maxWaiting), done: make(chan struct{})}
	n.listeners[name] = l
	return l, nil
}

// Dial connects to the listener of this name. It waits, until ctx ends, only when 128 connections wait for Accept already. cfg bounds this end.
func (n *Network) Dial(ctx context.Context, name string, cfg transport.Config) (transport.Conn, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[name]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("rpc: dial inproc %q: nothing listens under this name; there are: %s", name, n.names())
	}
	a, b := pipe(name, &cfg, &l.cfg)
	if err := l.offer(ctx, b); err != nil {
		return nil, fmt.Errorf("rpc: dial inproc %q: %w", name, err)
	}
	return a, nil
}

func (n *Network) names() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.listeners) == 0 {
		return "none"
	}
	var names []string
	for name := range n.listeners {
		names = append(names, fmt.Sprintf("%q", name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Pipe makes the two ends of a connection. It panics when cfg is not valid.
func Pipe(cfg transport.Config) (a, b transport.Conn) {
	if err := validate(&cfg); err != nil {
		panic(err)
	}
	return pipe("pipe", &cfg, &cfg)
}

func validate(cfg *transport.Config) error {
	if cfg.MaxBacklog < 0 || cfg.MaxBacklog > maxMaxBacklog {
		return fmt.Errorf("rpc: MaxBacklog of %d bytes: it must be between 0, for the default, and %d", cfg.MaxBacklog, maxMaxBacklog)
	}
	if cfg.MaxBacklog == 0 {
		cfg.MaxBacklog = defaultMaxBacklog
	}
	return nil
}

// listener is a transport.Listener.
type listener struct {
	network *Network
	name    string
	cfg     transport.Config

	ready chan *conn
	done  chan struct{}

	mu     sync.RWMutex // read-locked while a connection is being put into ready
	closed bool
}

func (l *listener) Addr() string { return l.name }

// Accept implements transport.Listener. After Close its error is a net.ErrClosed.
func (l *listener) Accept(ctx context.Context) (transport.Conn, error) {
	select {
	case <-l.done: // before a connection that Close is about to end
		return nil, l.gone()
	default:
	}
	select {
	case c := <-l.ready:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.done:
		return nil, l.gone()
	}
}

func (l *listener) gone() error {
	return fmt.Errorf("rpc: accept on inproc %q: %w", l.name, net.ErrClosed)
}

// offer puts a connection before Accept.
func (l *listener) offer(ctx context.Context, c *conn) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return net.ErrClosed
	}
	select {
	case l.ready <- c:
		return nil
	case <-l.done:
		return net.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close implements transport.Listener. Connections that were not accepted yet are closed.
func (l *listener) Close() error {
	l.network.mu.Lock()
	first := l.network.listeners[l.name] == l
	if first {
		delete(l.network.listeners, l.name)
		close(l.done) // those who offer let go
	}
	l.network.mu.Unlock()
	if !first {
		return nil
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for {
		select {
		case c := <-l.ready:
			_ = c.Close()
		default:
			return nil
		}
	}
}

func pipe(name string, ours, theirs *transport.Config) (a, b *conn) {
	p := &shared{done: make(chan struct{})}
	there, back := newHalf(ours.MaxBacklog), newHalf(theirs.MaxBacklog)
	a, b = newConn(p, name, there, back), newConn(p, name, back, there)
	return a, b
}

func newConn(p *shared, name string, out, in *half) *conn {
	c := &conn{shared: p, out: out, in: in, peer: transport.Peer{Addr: name, PID: os.Getpid(), UID: os.Geteuid()}}
	c.lanes = []transport.Lane{&lane{conn: c}}
	return c
}
