package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// maxPushes is how many pushes wait for a command that wants one; the oldest make room.
const maxPushes = 1000

// message is something that came on a route.
type message struct {
	route   uint16
	payload json.RawMessage
}

// player is a client with what its commands need to know of it. Serve's goroutine tells, the goroutine of the commands asks.
type player struct {
	*client.Client
	names *names
	out   *printer
	watch *watcher

	convert converters // nil: the gateway does it

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something below has changed
	pushes  []message
	frames  int // state frames of this connection
	seen    int // entities in view
	avatar  bool
	zones   int
	queue   int // position; 0: not waiting
	pongs   int
	resumes int // times that the session came back
	fresh   bool
	game    string
	lost    time.Time
	away    bool // there is no connection
	ended   error
	socket  net.Conn
	shaken  time.Time     // when the last handshake ended; Serve's
	cutting bool          // the loss that comes is our own doing
	hold    chan struct{} // not nil: no connection is made before it is closed
}

// dial connects and logs in, and prints the report of it.
func dial(ctx context.Context, o *options, out *printer) (*player, error) {
	p := &player{names: newNames(), out: out, changed: make(chan struct{})}
	p.watch = &watcher{p: p, on: o.watch, old: map[int]string{}}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	began := time.Now()
	cfg, err := o.config(ctx)
	if err != nil {
		return nil, err
	}
	from := "keys by hand"
	if o.url == "" && o.keys == "" && o.root == "" {
		from = fmt.Sprintf("%s gave keys and a token, %s", o.server, took(time.Since(began)))
	}
	out.row("server", "%s", from)
	cfg.JSON = !o.protobuf
	if o.protobuf {
		if p.convert, err = p.names.converters(); err != nil {
			return nil, err
		}
	}
	cfg.Network.NetDial = p.netDial
	cfg.Trace = p.trace
	cfg.Reconnect.Attempt = time.Hour // a cut lasts until the resume
	cfg.Network.Timeout = time.Hour
	if p.Client, err = client.Dial(ctx, cfg); err != nil {
		return nil, advice(err)
	}
	report(out, p.Client, p.shaken)
	p.Mirror.Enter, p.Mirror.Leave = p.watch.enter, p.watch.leave
	return p, nil
}

// netDial makes the sockets, so that cut can end one as a bad network would.
func (p *player) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	p.mu.Lock()
	p.socket = nc
	p.mu.Unlock()
	return nc, err
}

func (p *player) trace(s client.Step) {
	if s.Name == "handshake" && s.Err == nil {
		p.shaken = time.Now()
	}
	outcome := took(s.Took)
	if s.Err != nil {
		outcome += ", failed: " + firstLine(s.Err)
	}
	if s.Name == "connect" {
		outcome += ", " + s.URL
	}
	p.out.row(s.Name, "%s", outcome)
	fields := []any{"step", s.Name, "url", s.URL, "ms", float64(s.Took.Microseconds()) / 1000}
	if s.Err != nil {
		fields = append(fields, "error", s.Err.Error())
	}
	p.out.event("step", "", fields...)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// serve reads until the end.
func (p *player) serve(ctx context.Context) error {
	err := p.ServeContext(ctx, client.Handler{
		State:   p.state,
		Push:    p.pushed,
		Error:   p.refused,
		Lost:    p.cutOff,
		Resumed: p.resumed,
		Zone:    p.zone,
		Pong: func(rtt time.Duration) {
			p.out.event("pong", "pong       "+took(rtt), "ms", float64(rtt.Microseconds())/1000)
			p.change(func() { p.pongs++ })
		},
		Queue: func(position, length uint32, eta time.Duration) {
			p.out.event("queue", fmt.Sprintf("queue      place %d of %d, about %v to go", position, length, eta), "position", position, "length", length, "eta_ms", eta.Milliseconds())
			p.change(func() { p.queue = int(position) })
		},
		Warning: func(code protocol.ErrorCode, text string) {
			p.out.event("warning", fmt.Sprintf("warning    %v: %s", code, text), "code", code.String(), "text", text)
		},
		Goaway: func(reason string, after time.Duration) {
			p.out.event("goaway", fmt.Sprintf("goaway     %s; leaving in %v", reason, after), "reason", reason, "after_ms", after.Milliseconds())
		},
	})
	p.change(func() { p.ended = err })
	return err
}

// change notes something and wakes whoever waits.
func (p *player) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *player) state() {
	_, own := p.Own()
	p.change(func() {
		p.frames++
		p.seen, p.avatar = p.Mirror.Live, own
	})
	p.watch.frame()
}

// What happens is printed before a command that waits for it goes on, and prints what comes after.

// zone is told that the session is in the world.
func (p *player) zone(z *mmov1.Zone) {
	game := ""
	if p.Layout != nil {
		game = p.Layout.Name
	}
	if p.watch.isOn() {
		p.out.event("zone", fmt.Sprintf("zone       %d of %q, %d Hz", z.Zone, game, z.TickHz), "zone", z.Zone, "epoch", z.Epoch, "game", game, "tick_hz", z.TickHz)
	}
	p.change(func() { p.zones, p.game, p.queue = len(p.Zones), game, 0 })
}

func (p *player) pushed(route uint16, payload []byte) {
	m := message{route, p.text(route, payload)}
	p.out.event("push", fmt.Sprintf("push       %s %s", p.routeName(route), m.payload), "route", route, "name", p.routeName(route), "message", m.payload)
	p.change(func() {
		if p.pushes = append(p.pushes, m); len(p.pushes) > maxPushes {
			p.pushes = p.pushes[1:]
		}
	})
}

func (p *player) refused(route uint16, _ uint32, err *client.Error) {
	p.out.event("error", fmt.Sprintf("error      %s: %s: %s", p.routeName(route), err.Code, err.Message), "route", route, "code", err.Code.String(), "text", err.Message)
}

func (p *player) routeName(route uint16) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.names.name(p.game, route)
}

func (p *player) cutOff(cause error) {
	p.mu.Lock()
	if p.cutting {
		cause = errors.New("the connection was cut on purpose")
	}
	p.mu.Unlock()
	p.out.event("lost", "lost       "+firstLine(cause), "cause", cause.Error())
	p.change(func() { p.lost, p.away = time.Now(), true })
}

func (p *player) resumed(recovered bool) {
	clear(p.watch.old)
	p.mu.Lock()
	away := time.Since(p.lost)
	p.mu.Unlock()
	word := "the session goes on, nothing was lost"
	if !recovered {
		word = "a new session: messages may be missing"
	}
	p.out.event("resumed", fmt.Sprintf("resumed    %s; suite %d, %s after the loss", word, p.Suite, took(away)), "recovered", recovered, "suite", p.Suite, "away_ms", float64(away.Microseconds())/1000)
	p.change(func() {
		p.resumes++
		p.cutting, p.away = false, false
		p.frames, p.seen, p.zones, p.avatar, p.fresh = 0, 0, 0, false, !recovered
	})
}

// cut ends the connection without a word, and holds the next one back.
func (p *player) cut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		return errors.New("the connection is cut already; resume comes next")
	}
	p.hold, p.cutting = make(chan struct{}), true
	return p.socket.Close()
}

// release lets the client come back, and waits until it has.
func (p *player) release(ctx context.Context) error {
	p.mu.Lock()
	before := p.resumes
	if p.hold == nil {
		p.mu.Unlock()
		return errors.New("nothing to resume: the connection was not cut")
	}
	close(p.hold)
	p.hold = nil
	p.mu.Unlock()
	return p.until(ctx, "the session to come back", func() bool { return p.resumes > before })
}

// until waits for a condition on what mu guards.
func (p *player) until(ctx context.Context, what string, ok func() bool) error {
	for {
		p.mu.Lock()
		done, ended, changed := ok(), p.ended, p.changed
		p.mu.Unlock()
		switch {
		case done:
			return nil
		case ended != nil:
			return fmt.Errorf("waiting for %s: %w", what, ended)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: it did not come in time", what)
		}
	}
}
