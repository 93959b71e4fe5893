package sock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const (
	maxStrangers = 1024             // peers that have not been accepted yet
	firstPause   = time.Millisecond // after a failed accept, doubled each time
	longestPause = time.Second
)

// listener is a transport.Listener over sockets of one kind.
type listener struct {
	nl   net.Listener
	kind string
	addr string
	cfg  transport.Config
	tls  *tls.Config
	gone func() error // runs once, at the end

	ready     chan transport.Conn
	strangers chan struct{} // has room for those that may still come
	ctx       context.Context
	cancel    context.CancelFunc
	all       sync.WaitGroup
	close     sync.Once
	closeErr  error
}

// newListener begins to accept. cfg is valid.
func newListener(nl net.Listener, kind, addr string, tlsCfg *tls.Config, cfg transport.Config, gone func() error) *listener {
	l := &listener{
		nl: nl, kind: kind, addr: addr, cfg: cfg, tls: tlsCfg, gone: gone,
		ready: make(chan transport.Conn), strangers: make(chan struct{}, maxStrangers),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.all.Go(l.run)
	return l
}

func (l *listener) Addr() string { return l.addr }

// Accept implements transport.Listener. After Close its error is a net.ErrClosed.
func (l *listener) Accept(ctx context.Context) (transport.Conn, error) {
	if l.ctx.Err() != nil {
		return nil, l.closed()
	}
	select {
	case c := <-l.ready:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.ctx.Done():
		return nil, l.closed()
	}
}

func (l *listener) closed() error {
	return fmt.Errorf("rpc: accept on %s: %w", l.addr, net.ErrClosed)
}

// Close implements transport.Listener. Peers that were not accepted yet are closed.
func (l *listener) Close() error {
	l.close.Do(func() {
		l.cancel()
		err := l.nl.Close()
		if l.gone != nil {
			err = errors.Join(err, l.gone())
		}
		l.all.Wait()
		if err != nil {
			l.closeErr = fmt.Errorf("rpc: close the listener on %s: %w", l.addr, err)
		}
	})
	return l.closeErr
}

// run accepts sockets until the listener is closed.
func (l *listener) run() {
	pause := firstPause
	for {
		nc, err := l.nl.Accept()
		switch {
		case err == nil:
		case l.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // a peer that went at once, or no descriptors left: others may fare better
			l.refused(l.addr, fmt.Errorf("accept: %w", err))
			if !l.rest(pause) {
				return
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		select {
		case l.strangers <- struct{}{}:
		default:
			l.refused(nc.RemoteAddr().String(), fmt.Errorf("%d peers are waiting to be accepted already", maxStrangers))
			_ = nc.Close()
			continue
		}
		l.all.Go(func() {
			defer func() { <-l.strangers }()
			l.receive(nc)
		})
	}
}

// rest waits, unless the listener is closed.
func (l *listener) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// receive makes a connection of a socket and hands it to Accept, or turns the peer away.
func (l *listener) receive(sock net.Conn) {
	c, peer, err := l.admit(sock)
	if err != nil {
		_ = sock.Close()
		if !errors.Is(err, errProbe) && l.ctx.Err() == nil {
			l.refused(peer.Addr, err)
		}
		return
	}
	select {
	case l.ready <- c:
	case <-c.done: // it went again
		_ = c.Close()
	case <-l.ctx.Done():
		_ = c.Close()
	}
}

func (l *listener) admit(sock net.Conn) (*conn, transport.Peer, error) {
	peer := transport.Peer{Addr: sock.RemoteAddr().String(), UID: -1}
	refuse := ""
	if l.kind == kindUnix {
		var err error
		if peer, err = unixPeer(sock, l.addr); err != nil {
			return nil, peer, err
		}
		peer.Addr = fmt.Sprintf("%s (process %d of user %d)", l.addr, peer.PID, peer.UID)
		if !allowed(&l.cfg, peer.UID) {
			refuse = fmt.Sprintf("user %d may not connect here", peer.UID)
		}
	}
	tune(sock)
	nc := sock
	if l.tls != nil {
		tc := tls.Server(sock, l.tls)
		if err := within(l.ctx, sock, func() error { return tc.HandshakeContext(l.ctx) }); err != nil {
			var record tls.RecordHeaderError
			if errors.As(err, &record) && string(record.RecordHeader[:len(magic)]) == magic {
				err = errors.New("it speaks without TLS, we do not")
				_, _ = sock.Write(preamble(stepRefused, "the client speaks without TLS, this server does not: dial with a TLS configuration"))
			}
			return nil, peer, fmt.Errorf("TLS handshake: %w", err)
		}
		state := tc.ConnectionState()
		nc, peer.TLS = tc, &state
	}
	if err := welcome(l.ctx, nc, sock, refuse); err != nil {
		return nil, peer, err
	}
	return newConn(l.kind, nc, sock, peer, &l.cfg), peer, nil
}

// refused reports a peer that was turned away.
func (l *listener) refused(addr string, err error) {
	if l.cfg.Refused != nil {
		l.cfg.Refused(addr, err)
	}
}
