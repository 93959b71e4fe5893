//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// maxHandshakes is how many peers may be in their handshake, or wait for Accept, at a time; more are refused.
const maxHandshakes = 128

// listener accepts on one goroutine and greets every peer on one of its own. Close ends them all.
type listener struct {
	path   string
	cfg    transport.Config
	socket *net.UnixListener
	ready  chan *conn
	slots  chan struct{}
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	close  func() error
}

// Listen binds a unix socket at path, readable and writable for its owner only. A socket that a dead process left there is replaced. cfg.SharedMemory and cfg.BulkLanes are the dialler's to choose.
func Listen(path string, cfg transport.Config) (transport.Listener, error) {
	quiet()
	err := errors.Join(checkPath(path), settle(&cfg))
	var socket *net.UnixListener
	if err == nil {
		socket, err = bind(path)
	}
	if err != nil {
		return nil, fmt.Errorf("rpc shm: listen on %s: %w", path, err)
	}
	l := &listener{path: path, cfg: cfg, socket: socket, ready: make(chan *conn), slots: make(chan struct{}, maxHandshakes)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.close = sync.OnceValue(func() error {
		l.cancel()
		err := l.socket.Close()
		l.work.Wait()
		return err
	})
	l.work.Go(l.serve)
	return l, nil
}

// bind makes the socket. Two processes that replace the same stale socket are kept apart by a lock on its directory.
func bind(path string) (*net.UnixListener, error) {
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	if path[0] != '@' {
		unlock, err := lockDirectory(path)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	socket, err := net.ListenUnix("unix", addr)
	if errors.Is(err, syscall.EADDRINUSE) && path[0] != '@' {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		socket, err = net.ListenUnix("unix", addr)
	}
	if err != nil {
		return nil, err
	}
	if path[0] != '@' {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(err, socket.Close())
		}
	}
	return socket, nil
}

func lockDirectory(path string) (unlock func(), err error) {
	dir := "."
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			dir = path[:i+1]
			break
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the directory: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("a file that is no socket is in the way: remove it, or use another path: %w", syscall.EADDRINUSE)
	}
	probe, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = probe.Close()
		return fmt.Errorf("a living process listens there: stop it, or use another path: %w", syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("tell whether a living process listens there: %w", err)
	}
	return os.Remove(path)
}

func (l *listener) Addr() string { return l.path }
func (l *listener) Close() error { return l.close() }

func (l *listener) Accept(ctx context.Context) (transport.Conn, error) {
	for {
		select {
		case c := <-l.ready:
			if c.Err() != nil { // it ended while it waited
				continue
			}
			return c, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.ctx.Done():
			return nil, fmt.Errorf("rpc shm: listener %s: %w", l.path, net.ErrClosed)
		}
	}
}

// serve accepts until the listener is closed. Errors of accepting, out of descriptors for one, pass: it waits and goes on.
func (l *listener) serve() {
	pause := time.Duration(0)
	for {
		control, err := l.socket.AcceptUnix()
		if err != nil {
			if l.ctx.Err() != nil {
				return
			}
			l.cfg.Refused(l.path, fmt.Errorf("rpc shm: accept on %s: %w", l.path, err))
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-l.ctx.Done():
				return
			}
			continue
		}
		pause = 0
		select {
		case l.slots <- struct{}{}:
			l.work.Go(func() {
				defer func() { <-l.slots }()
				l.greet(control)
			})
		default:
			refuse(control, errors.New("too many peers are connecting: try again later"))
			l.cfg.Refused(l.path, fmt.Errorf("rpc shm: %d peers are connecting already", maxHandshakes))
		}
	}
}

// greet takes one peer through the handshake and hands the connection to Accept.
func (l *listener) greet(control *net.UnixConn) {
	addr := "unknown process"
	c, err := l.handshake(control, &addr)
	if err != nil {
		refuse(control, err)
		if c != nil {
			c.abort(err)
		}
		if l.ctx.Err() == nil {
			l.cfg.Refused(addr, fmt.Errorf("rpc shm: peer %s on %s: %w", addr, l.path, err))
		}
		return
	}
	c.begin()
	select {
	case l.ready <- c:
	case <-c.done:
		_ = c.Close()
	case <-l.ctx.Done():
		_ = c.Close()
	}
}

func (l *listener) handshake(control *net.UnixConn, addr *string) (*conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	pid, uid, err := credentials(control)
	if err != nil {
		return nil, err
	}
	*addr = fmt.Sprintf("pid %d", pid)
	if !l.cfg.AllowUID(uid) {
		return nil, fmt.Errorf("user %d is not allowed", uid)
	}
	c, err := admit(ctx, control, transport.Peer{Addr: *addr, PID: pid, UID: uid}, l.cfg)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(fmt.Errorf("it did not finish the handshake: %w", cause), err)
	}
	return c, err
}

// refuse tells a peer why, if it still listens, and hangs up.
func refuse(control *net.UnixConn, reason error) {
	text := reason.Error()
	_ = control.SetWriteDeadline(time.Now().Add(goodbyeLimit))
	_ = sendControl(control, msgRefused, []byte(text[:min(len(text), maxControlBody)]))
	_ = control.Close()
}
