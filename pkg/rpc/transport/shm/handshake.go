//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cloudwego/shmipc-go"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// connect does the client's part on a control socket whose peer was accepted.
func connect(ctx context.Context, g geometry, control *net.UnixConn, peer transport.Peer, cfg transport.Config) (*conn, error) {
	if err := sendControl(control, msgHello, appendHello(nil, g)); err != nil {
		return nil, err
	}
	if _, _, err := expectControl(control, msgWelcome, false); err != nil {
		return nil, err
	}
	manager, opposite, err := openSession(ctx, g, control)
	if err != nil {
		return nil, fmt.Errorf("open the shared memory: %w", err)
	}
	first, err := manager.GetStream()
	if err != nil {
		_ = manager.Close()
		closeFD(opposite)
		return nil, err
	}
	c := newConn(g, true, control, first.Session(), cfg)
	c.manager, c.opposite, c.peer = manager, opposite, peer
	if err := c.openLanes(ctx, first); err != nil {
		c.abort(err)
		return nil, err
	}
	return c, nil
}

// abort takes an unfinished connection apart.
func (c *conn) abort(err error) {
	c.fail(err)
	c.takeApart()
}

func (c *conn) openLanes(ctx context.Context, first *shmipc.Stream) error {
	socket, err := private(c.sess)
	if err != nil {
		return err
	}
	if err := sendControl(c.control, msgOpposite, nil, socket); err != nil {
		return err
	}
	streams := []*shmipc.Stream{first}
	for range c.lanes() { // the lanes and, last, the page's stream
		stream, err := c.sess.OpenStream()
		if err != nil {
			return err
		}
		streams = append(streams, stream)
	}
	for _, stream := range streams[:c.lanes()] {
		if err := c.addLane(ctx, stream); err != nil {
			return err
		}
	}
	for _, l := range c.list {
		if err := l.greet(kindHello); err != nil {
			return err
		}
	}
	page, err := sendPage(streams[c.lanes()])
	if err != nil {
		return err
	}
	if err := c.share(page); err != nil {
		return err
	}
	if _, _, err := expectControl(c.control, msgArmed, false); err != nil {
		return err
	}
	for _, l := range c.list {
		if err := l.greet(kindStart); err != nil {
			return err
		}
	}
	if err := c.awaitGuards(ctx); err != nil {
		return err
	}
	_, _, err = expectControl(c.control, msgReady, false)
	return err
}

// admit does the server's part on a control socket whose peer was accepted.
func admit(ctx context.Context, control *net.UnixConn, peer transport.Peer, cfg transport.Config) (*conn, error) {
	body, _, err := expectControl(control, msgHello, false)
	if err != nil {
		return nil, err
	}
	g, err := parseHello(body)
	if err != nil {
		return nil, err
	}
	if err := sendControl(control, msgWelcome, nil); err != nil {
		return nil, err
	}
	_, fd, err := expectControl(control, msgSocket, true)
	if err != nil {
		return nil, err
	}
	sess, err := serveSession(ctx, g, fd)
	if err != nil {
		return nil, fmt.Errorf("map the shared memory: %w", err)
	}
	c := newConn(g, false, control, sess, cfg)
	c.peer = peer
	if err := c.acceptLanes(ctx); err != nil {
		c.fail(err)
		return c, err
	}
	return c, nil
}

func (c *conn) acceptLanes(ctx context.Context) error {
	if _, err := private(c.sess); err != nil {
		return err
	}
	_, opposite, err := expectControl(c.control, msgOpposite, true)
	if err != nil {
		return err
	}
	c.opposite = opposite
	streams, err := c.acceptStreams(ctx)
	if err != nil {
		return err
	}
	// The page's stream came last: the dispatcher is done with the first blocks of the lanes, and cannot be in the middle of one when a callback is set.
	page, err := receivePage(ctx, streams[c.lanes()])
	if err != nil {
		return err
	}
	for _, stream := range streams[:c.lanes()] {
		if err := c.addLane(ctx, stream); err != nil {
			return err
		}
	}
	if err := c.share(page); err != nil {
		return err
	}
	if err := sendControl(c.control, msgArmed, nil); err != nil {
		return err
	}
	for _, l := range c.list {
		if err := l.greet(kindStart); err != nil {
			return err
		}
	}
	if err := c.awaitGuards(ctx); err != nil {
		return err
	}
	return sendControl(c.control, msgReady, nil)
}

func (c *conn) acceptStreams(ctx context.Context) ([]*shmipc.Stream, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.sess.Close() })
	var streams []*shmipc.Stream
	for range c.lanes() + 1 {
		stream, err := c.sess.AcceptStream()
		if err != nil {
			stop()
			return nil, errors.Join(context.Cause(ctx), err)
		}
		streams = append(streams, stream)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return streams, nil
}

// addLane makes a lane of a stream and sets its callback: before anything was sent to it on the client's side, between two blocks on the server's.
func (c *conn) addLane(ctx context.Context, stream *shmipc.Stream) error {
	out, in := toClient, toServer
	if c.client {
		out, in = in, out
	}
	i := len(c.list)
	l := &lane{c: c, index: i, stream: stream}
	l.w.out, l.r.in = c.class(i, out), c.class(i, in)
	l.r.inPlace = i > 0
	l.maxFrame = smallBlock - blockHeader
	if l.r.inPlace {
		l.maxFrame = bulkBlock - blockHeader
	} else {
		l.r.private = make([]byte, l.r.in.block-blockHeader)
	}
	l.w.full = fmt.Errorf("%w: lane %d, MaxBacklog %d bytes", transport.ErrBacklog, i, c.maxBacklog)
	l.guard.l = l
	l.guard.first = make(chan error, 1)
	l.guard.sealed, l.guard.freed = make(chan struct{}), make(chan struct{})
	if !c.client {
		if err := l.expectHello(ctx); err != nil {
			return err
		}
	}
	if err := stream.SetCallbacks(&l.guard); err != nil {
		return err
	}
	c.list = append(c.list, l)
	c.exposed = append(c.exposed, l)
	return nil
}

// share gives the lanes their counters.
func (c *conn) share(page []byte) (err error) {
	for i, l := range c.list {
		up, err := countersOf(page, i, toServer)
		if err != nil {
			return err
		}
		down, err := countersOf(page, i, toClient)
		if err != nil {
			return err
		}
		l.w.shared, l.r.shared = down, up
		if c.client {
			l.w.shared, l.r.shared = up, down
		}
	}
	return nil
}

// awaitGuards waits until the callback of every lane is running.
func (c *conn) awaitGuards(ctx context.Context) error {
	for _, l := range c.list {
		select {
		case err := <-l.guard.first:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("lane %d: no start block: %w", l.index, context.Cause(ctx))
		case <-c.sess.CloseChan():
			return errLibrary
		}
	}
	return nil
}

// begin gives the finished connection its goroutines.
func (c *conn) begin() {
	_ = c.control.SetDeadline(time.Time{})
	c.running = true
	go c.run()
	go c.mind()
	go c.listen()
}
