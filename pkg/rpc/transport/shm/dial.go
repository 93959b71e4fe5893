//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Dial connects to a Listener at path. It takes 3 s at most, less if ctx ends before. The shared memory is the dialler's: its size and the number of lanes are cfg's here, not the listener's.
func Dial(ctx context.Context, path string, cfg transport.Config) (transport.Conn, error) {
	quiet()
	c, err := dial(ctx, path, cfg)
	if err != nil {
		return nil, fmt.Errorf("rpc shm: dial %s: %w", path, err)
	}
	return c, nil
}

func dial(ctx context.Context, path string, cfg transport.Config) (*conn, error) {
	if err := errors.Join(checkPath(path), settle(&cfg)); err != nil {
		return nil, err
	}
	g := geometry{shared: cfg.SharedMemory, bulk: cfg.BulkLanes}
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody listens there: %w", err)
	case err != nil:
		return nil, errors.Join(context.Cause(ctx), err)
	}
	control := raw.(*net.UnixConn)
	c, err := greetServer(ctx, control, path, g, cfg)
	if err != nil {
		_ = control.Close()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, transport.ErrPeerRefused) {
			err = fmt.Errorf("the server did not finish the handshake: %w", errors.Join(cause, err))
		}
		return nil, err
	}
	return c, nil
}

func greetServer(ctx context.Context, control *net.UnixConn, path string, g geometry, cfg transport.Config) (*conn, error) {
	// Whoever waits on the control socket wakes up when ctx ends.
	stop := context.AfterFunc(ctx, func() { _ = control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	pid, uid, err := credentials(control)
	if err != nil {
		return nil, err
	}
	if !cfg.AllowUID(uid) {
		return nil, fmt.Errorf("%w: the server runs as user %d, which is not allowed to share memory with user %d", transport.ErrPeerRefused, uid, os.Geteuid())
	}
	c, err := connect(ctx, g, control, transport.Peer{Addr: path, PID: pid, UID: uid}, cfg)
	if err != nil {
		return nil, whyRefused(control, err)
	}
	if !stop() {
		err := context.Cause(ctx)
		c.abort(err)
		return nil, err
	}
	c.begin()
	return c, nil
}

// whyRefused looks whether the server has said why the handshake ended, which says more than err does.
func whyRefused(control *net.UnixConn, err error) error {
	if errors.Is(err, transport.ErrPeerRefused) {
		return err
	}
	_ = control.SetReadDeadline(time.Now().Add(goodbyeLimit))
	for {
		kind, body, fd, readErr := receiveControl(control)
		closeFD(fd)
		if readErr != nil {
			return err
		}
		if kind == msgRefused {
			return fmt.Errorf("%w: %s", transport.ErrPeerRefused, printable(body))
		}
	}
}
