package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// attempt makes a connection to the gateway whose turn it is, with the ticket or with a login, until the session lives on it. It is Dial's, or Serve's goroutine.
func (c *Client) attempt(ctx context.Context, resume bool) error {
	at := c.at
	c.at = (at + 1) % len(c.urls)
	url := c.urls[at]
	err := c.connect(ctx, url, resume)
	if reject := (*security.Reject)(nil); errors.As(err, &reject) && reject.Cert != nil && ctx.Err() == nil {
		c.cfg.Security.Cert = *reject.Cert // the server has a new key, which the root vouches for
		err = c.connect(ctx, url, resume)
	}
	if err == nil {
		c.at, c.Gateway = at, url
	}
	return err
}

func (c *Client) connect(ctx context.Context, url string, resume bool) error {
	began := time.Now()
	conn, err := network.Dial(ctx, url, c.cfg.Network)
	c.trace("connect", url, began, err)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close(0, "") })
	defer stop()
	if err := c.begin(ctx, conn, url, resume); err != nil {
		if c.kicked != nil {
			err = c.kicked
		}
		c.drop()
		_ = conn.Close(0, "") // where drop did not know of it
		if login := (*loginError)(nil); ctx.Err() != nil && !errors.As(err, &login) {
			err = ctx.Err()
		}
		return fmt.Errorf("log in at %s: %w", url, err)
	}
	return nil
}

// begin makes a session live on a connection.
func (c *Client) begin(ctx context.Context, conn *network.Conn, url string, resume bool) error {
	c.kicked, c.pending, c.recovered = nil, nil, false
	began := time.Now()
	keys, err := c.shake(conn, resume)
	c.trace("handshake", url, began, err)
	if err != nil {
		return err
	}
	if err := c.open(conn, keys); err != nil {
		return err
	}
	began = time.Now()
	step := "login"
	if resume {
		step = "resume"
		err = c.resume()
		c.trace(step, url, began, err)
		if lost := (*lostSession)(nil); errors.As(err, &lost) && c.cfg.Login != nil { // the connection is good for a login
			c.forget(notRecovered(err, lost))
			step, began, err = "login", time.Now(), c.login(c.life) // an attempt may take less time than a person who types a password; then the next one has the token
			c.trace(step, url, began, err)
		}
	} else {
		err = c.login(ctx)
		c.trace(step, url, began, err)
	}
	if err != nil {
		return err
	}
	c.silent, c.heard = 0, true
	return conn.SetReadDeadline(time.Now().Add(c.Info.IdleTimeout / silences))
}

// shake makes the keys of a connection.
func (c *Client) shake(conn *network.Conn, resume bool) (*security.Session, error) {
	cfg := c.cfg.Security
	if cfg.Now.IsZero() {
		cfg.Now = time.Now()
	} else {
		cfg.Now = cfg.Now.Add(time.Since(c.epoch))
	}
	c.Suite, c.Cert = security.SuiteNK, cfg.Cert
	if resume {
		c.Suite = security.SuiteNKpsk2
		c.mu.Lock()
		cfg.Resume = &security.Resumption{Ticket: c.session.ticket.bytes, Secret: c.session.ticket.secret}
		c.mu.Unlock()
	}
	h, hs1, err := security.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	if err := conn.Send(append(make([]byte, network.HeaderRoom), hs1...)); err != nil {
		return nil, err
	}
	hs2, err := conn.Next()
	if err != nil {
		return nil, err
	}
	keys, info, err := h.Finish(hs2)
	if err == nil {
		c.Info = info
	}
	return keys, err
}

// open takes a connection with keys into use, with an empty view.
func (c *Client) open(conn *network.Conn, keys *security.Session) error {
	c.mu.Lock()
	c.out.open(conn, keys, int(c.Info.RecordMax)-security.Overhead)
	c.session.open(c.Info.AckEvery, c.Info.AckAfter)
	c.left = nil
	c.mu.Unlock()
	if c.Mirror.Leave != nil {
		for i := range c.Mirror.Entities {
			if e := &c.Mirror.Entities[i]; e.Live {
				c.Mirror.Leave(i, e)
			}
		}
	}
	c.Mirror = replica.Mirror{Enter: c.Mirror.Enter, Leave: c.Mirror.Leave, Move: c.Mirror.Move}
	c.Zones, c.Layout = nil, nil
	if c.cfg.Codec != nil && c.Info.SchemaMatches {
		c.Layout = c.cfg.Codec.Layout
		return c.Mirror.Use(c.cfg.Codec, nil)
	}
	return nil
}

// resume asks for the session with a RESUME and waits for the answer: nil, *lostSession, or what went wrong.
func (c *Client) resume() error {
	c.mu.Lock()
	b, flags, err := c.marshal(&mmov1.Resume{LastSeq: c.session.resume()})
	if err == nil {
		err = c.queue(protocol.Frame{Type: protocol.TypeControl, Flags: flags, Route: protocol.RouteResume, Payload: b})
	}
	if err == nil {
		err = c.flush()
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.answered()
}

// login begins a new session with a token and waits for the answer.
func (c *Client) login(ctx context.Context) error {
	if err := c.fetch(ctx); err != nil {
		return err
	}
	c.Login, c.Avatar, c.Status = nil, nil, nil
	b, flags, err := c.marshal(&mmov1.LoginRequest{Token: c.token, Client: c.cfg.Name})
	if err != nil {
		return err
	}
	c.mu.Lock()
	f := protocol.Frame{Type: protocol.TypeRequest, Flags: flags, Route: protocol.RouteLogin, ID: c.session.nextID(), Payload: b}
	if err = c.queue(f); err == nil {
		err = c.flush()
	}
	if err == nil && c.cfg.Login != nil {
		c.token = "" // it may be good for one login only
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.answered()
}

// fetch gets the token of the next login, unless there is one.
func (c *Client) fetch(ctx context.Context) error {
	if c.token != "" || c.cfg.Login == nil {
		return nil
	}
	token, err := c.cfg.Login(ctx)
	if err != nil {
		return &loginError{err}
	}
	c.token = token
	return nil
}

// answered handles what comes until the login or the RESUME was answered. What comes behind the answer stays for Serve.
func (c *Client) answered() error {
	for {
		if err := c.step(); err != nil {
			return err
		}
		c.mu.Lock()
		done := c.session.phase == up
		c.mu.Unlock()
		if done {
			return nil
		}
	}
}

// resumed takes the answer to a RESUME.
func (c *Client) resumed(m *mmov1.Resumed) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.phase != opening || c.Suite != security.SuiteNKpsk2 {
		return fmt.Errorf("%w: RESUMED, and nobody asked", ErrBroken)
	}
	if !m.Recovered {
		return &lostSession{m.Reason}
	}
	c.recovered = true
	if c.Login != nil {
		c.Login.Queued = m.Queued
	}
	c.queueAll(c.session.resumed(m.LastRequest))
	return c.flush()
}

// loggedIn takes the answer to a login.
func (c *Client) loggedIn(f protocol.Frame) error {
	m := &mmov1.LoginResponse{}
	if err := parse(f, m); err != nil {
		return err
	}
	c.Login = m
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queueAll(c.session.loggedIn())
	return c.flush()
}

// queueAll queues requests that waited for a connection; mu is held. One that fits no record of this connection fails.
func (c *Client) queueAll(list []*request) {
	var tooLarge []*request // list is a part of what settled changes
	for _, r := range list {
		if f := r.frame(); protocol.FrameSize(f) <= c.out.room {
			c.out.frames = protocol.AppendFrame(c.out.frames, f)
		} else {
			tooLarge = append(tooLarge, r)
		}
	}
	for _, r := range tooLarge {
		c.session.settled(r.id).fail(ErrFull)
	}
}
