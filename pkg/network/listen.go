package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	defaultHeaderTimeout = 5 * time.Second
	defaultMaxPending    = 1024
	defaultMaxBackoff    = time.Second

	firstBackoff = 5 * time.Millisecond
)

// ListenConfig describes a listener. The zero value works.
type ListenConfig struct {
	// Trusted are the addresses of load balancers that speak the PROXY protocol (version 1 or 2). They must open each connection with its
	// header, and everyone else is cut for sending one. Empty: nobody speaks it, and nothing is looked at.
	Trusted []netip.Prefix
	// HeaderTimeout bounds the wait for the header of a load balancer. Default 5 s.
	HeaderTimeout time.Duration
	// MaxPending is the largest number of connections whose header is awaited at a time; more wait in the kernel. Default 1,024.
	MaxPending int
	// MaxBackoff is the longest pause of Accept while the process or the system has no descriptor or memory left; it starts at 5 ms and doubles.
	// Default 1 s.
	MaxBackoff time.Duration
	// OnRetry is told each pause, for a log. nil: nobody is told.
	OnRetry func(err error, pause time.Duration)
	// OnRefused is told each connection that was cut for its PROXY protocol header (err wraps ErrProxyHeader), by the goroutine that read
	// it, and must not block. nil: nobody is told.
	OnRefused func(socket netip.AddrPort, err error)
}

// validate fills defaults and refuses contradictions.
func (c *ListenConfig) validate() error {
	if err := validPrefixes(c.Trusted); err != nil {
		return err
	}
	if err := fill("HeaderTimeout", &c.HeaderTimeout, defaultHeaderTimeout); err != nil {
		return err
	}
	if err := fill("MaxPending", &c.MaxPending, defaultMaxPending); err != nil {
		return err
	}
	if c.OnRefused == nil {
		c.OnRefused = func(netip.AddrPort, error) {}
	}
	return fill("MaxBackoff", &c.MaxBackoff, defaultMaxBackoff)
}

// Listen makes a listener of ln, which it owns, that a shortage cannot end: when descriptors or memory run out, Accept pauses and tries again. With
// Trusted set it reads PROXY protocol headers, in goroutines that Close ends and waits for; RemoteAddr of its connections is then
// what the load balancer told. Accept fails for good when ln does, or when cfg is wrong. Serve HTTP and Accept from it alike.
func Listen(ln net.Listener, cfg ListenConfig) net.Listener {
	if err := cfg.validate(); err != nil {
		return &misconfigured{Listener: ln, err: err}
	}
	l := &patient{Listener: ln, cfg: cfg, closed: make(chan struct{})}
	if len(cfg.Trusted) == 0 {
		return l
	}
	p := &proxied{
		patient: l, ready: make(chan net.Conn), over: make(chan struct{}),
		slots: make(chan struct{}, cfg.MaxPending), pending: map[net.Conn]bool{},
	}
	p.running.Go(p.pump)
	return p
}

type misconfigured struct {
	net.Listener
	err error
}

func (m *misconfigured) Accept() (net.Conn, error) { return nil, m.err }

// patient is a listener that outlives shortages.
type patient struct {
	net.Listener
	cfg    ListenConfig
	once   sync.Once
	closed chan struct{}
}

// Accept waits for the next connection.
func (p *patient) Accept() (net.Conn, error) {
	pause := firstBackoff
	for {
		nc, err := p.Listener.Accept()
		switch {
		case err == nil:
			return nc, nil
		case isAborted(err):
			continue
		case !isShortage(err):
			return nil, err
		}
		if p.cfg.OnRetry != nil {
			p.cfg.OnRetry(err, pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.closed:
			timer.Stop()
			return nil, fmt.Errorf("network: accept: %w", net.ErrClosed)
		}
		pause = min(2*pause, p.cfg.MaxBackoff)
	}
}

// Close ends the listener. It may be called twice.
func (p *patient) Close() error {
	err := p.Listener.Close()
	p.once.Do(func() { close(p.closed) })
	return err
}

// isAborted tells a fault of the one connection that was to be accepted.
func isAborted(err error) bool {
	return isAny(err, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO)
}

// isShortage tells a fault that passes without the listener's doing.
func isShortage(err error) bool {
	return isAny(err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH)
}

func isAny(err error, errnos ...syscall.Errno) bool {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// proxied is a listener that reads the headers of load balancers before it gives a connection out, so that a slow one delays nobody else.
type proxied struct {
	*patient
	ready   chan net.Conn
	slots   chan struct{} // as many as MaxPending
	running sync.WaitGroup

	over chan struct{} // closed when err is set
	err  error         // why accepting ended

	mu      sync.Mutex
	pending map[net.Conn]bool // connections whose header is awaited; nil after Close
}

// Accept waits for the next connection whose header is read, or that needs none.
func (p *proxied) Accept() (net.Conn, error) {
	select {
	case nc := <-p.ready:
		return nc, nil
	case <-p.over:
		return nil, p.err
	}
}

// pump accepts until the listener ends.
func (p *proxied) pump() {
	defer close(p.over)
	for {
		nc, err := p.patient.Accept()
		if err != nil {
			p.err = err
			return
		}
		socket := peerOf(nc)
		a := &accepted{Conn: nc, refuse: func(err error) { p.cfg.OnRefused(socket, err) }}
		if !trusts(p.cfg.Trusted, socket.Addr()) {
			a.watch = true
			p.give(a)
			continue
		}
		select {
		case p.slots <- struct{}{}:
			p.running.Go(func() { p.welcome(a) })
		case <-p.closed:
			_ = nc.Close()
		}
	}
}

// welcome reads the header of one connection and gives it out.
func (p *proxied) welcome(a *accepted) {
	if !p.await(a.Conn) {
		_ = a.Conn.Close()
		return
	}
	err := a.readHeader(time.Now().Add(p.cfg.HeaderTimeout))
	p.mu.Lock()
	delete(p.pending, a.Conn)
	p.mu.Unlock()
	<-p.slots
	if err != nil {
		_ = a.Conn.Close()
		a.refuse(err)
		return
	}
	p.give(a)
}

// await notes a connection so that Close can end its wait; false says that it is too late.
func (p *proxied) await(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		return false
	}
	p.pending[nc] = true
	return true
}

// give waits until someone accepts the connection.
func (p *proxied) give(nc net.Conn) {
	select {
	case p.ready <- nc:
	case <-p.closed:
		_ = nc.Close()
	}
}

// Close ends the listener and the connections that were not accepted, and waits for the goroutines that read their headers.
func (p *proxied) Close() error {
	err := p.patient.Close()
	p.mu.Lock()
	for nc := range p.pending {
		_ = nc.Close()
	}
	p.pending = nil
	p.mu.Unlock()
	p.running.Wait()
	return err
}
