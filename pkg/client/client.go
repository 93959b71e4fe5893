// Package client is the Go client: what bots, tools and tests use. It speaks the same protocol as the TypeScript one, without that one's prediction and interpolation.
//
// Dial connects, shakes hands and logs in. Serve then reads in the caller's goroutine and calls the Handler in it. When the connection is lost, Serve makes another one,
// at any of the gateways, and goes on with the session: numbered messages arrive once and in order, requests are executed once at most, the view begins anew. Push,
// Request, Flush and Close may be called from any goroutine. The client ends when Serve returns or Close is called; it starts no goroutine of its own.
package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Config says whom to connect to, and as whom. URL, Security.Root, Security.Cert and Token (or Login) are needed; Security.SchemaHash is set by Codec.
type Config struct {
	URL      string                // ws://, wss://, tcp:// or tls://
	URLs     []string              // more gateways of the same world, tried in turn when one cannot be reached
	Security security.ClientConfig // keys and schema of the server; Now defaults to the present
	Network  network.DialConfig    // Subprotocol and OnDrain are set by the client
	Token    string                // of the first login
	// Login, if set, gets a token: for the first login if Token is empty, and for a new one when the session is lost. nil: Serve ends then. An error ends the client;
	// a login service that may be away for a moment is for Login to try again.
	Login func(ctx context.Context) (token string, err error)
	// Codec of the game's entities, as its bindings make it with NewCodec: what the bindings read needs it. nil: the server tells the layout, for programs that
	// know no game, which read views by that.
	Codec *delta.Codec
	Name  string // of the program; default "go"
	// JSON makes a connection whose messages are JSON instead of protobuf, for programs that know the names of a game but not its messages: payloads come to the Handler
	// as JSON. State stays binary.
	JSON bool
	// Reconnect says what to do about a lost connection. The zero value resumes the session.
	Reconnect Reconnect
	// Trace, if set, is told of every step on the way to a session, in Dial's and Serve's goroutine.
	Trace func(Step)
}

func (c *Config) validate() error {
	if c.Name == "" {
		c.Name = "go"
	}
	c.Security.SchemaHash = protocol.Fingerprint{}
	if c.Codec != nil {
		c.Security.SchemaHash = protocol.FingerprintOf(c.Codec.Layout.Fingerprint)
	}
	if c.URL == "" && len(c.URLs) == 0 {
		return errors.New("client: no URL of a gateway, as in ws://127.0.0.1:8080/ws")
	}
	return c.Reconnect.validate()
}

// gateways are the URLs in the order in which they are tried.
func (c *Config) gateways() []string {
	if c.URL == "" {
		return c.URLs
	}
	return append([]string{c.URL}, c.URLs...)
}

// Step is one step on the way to a session.
type Step struct {
	Name string // connect, handshake, login or resume
	URL  string // of the gateway
	Took time.Duration
	Err  error // why it failed
}

// Handler is told what arrives; nil fields are skipped. Calls come from Serve's goroutine, payloads are valid until they return.
type Handler struct {
	State func()                                    // a state frame was applied to Mirror
	Push  func(route uint16, payload []byte)        // a game's message
	Error func(route uint16, id uint32, err *Error) // an error that answers no Request

	// Zone is told of each row of Zones: the session is in the world. Rows come while it plays, too, and one with the index of an earlier row takes its place.
	Zone func(z *mmov1.Zone)
	// Pong is told the round trip time of a ping.
	Pong func(rtt time.Duration)
	// Lost is told why a connection ended that the client is about to replace.
	Lost func(cause error)
	// Resumed is told that there is a connection again; Mirror and Zones are empty and fill anew. recovered: the session goes on, no message is missing. Otherwise the
	// client has logged in anew: messages may be missing, and the requests that waited have failed.
	Resumed func(recovered bool)
	// Queue tells the place in the login queue, from 1; 0: the session is let in now. eta is 0 where the server cannot tell.
	Queue func(position, length uint32, eta time.Duration)
	// Warning comes before a kick that can be avoided.
	Warning func(code protocol.ErrorCode, message string)
	// Goaway tells that the gateway wants to be rid of the connection. After the time the client resumes elsewhere by itself, unless that is off.
	Goaway func(reason string, after time.Duration)
}

// Client is a player's session, over one connection after the other.
type Client struct {
	// These belong to Serve's goroutine. Mirror is this client's replica of what it sees; the view of a new connection begins empty.
	Login   *mmov1.LoginResponse
	Zones   []*mmov1.Zone // one per row of Mirror, in no order
	Avatar  *mmov1.Avatar // nil until the server has named it
	Status  *mmov1.Status // the latest
	Mirror  replica.Mirror
	Layout  *delta.Layout       // of the Mirror's frames; nil until it is known
	Info    security.ServerInfo // of the latest connection, as are Gateway, Suite and Cert
	RTT     time.Duration       // of the last ping
	Gateway string              // URL
	Suite   uint8               // of the handshake
	Cert    security.KeyCert    // of the server key that was used

	cfg       Config
	handler   Handler
	epoch     time.Time // of RTT's clock
	urls      []string
	at        int    // index in urls of the gateway to try next
	token     string // of the next login, if one was had and not used yet
	recovered bool   // the connection goes on with the session that there was
	kicked    error
	pending   []byte // frames of the record that was read last
	silent    int    // times in a row that a third of IdleTimeout passed without a record
	heard     bool   // a record since the last of these times
	broken    int    // connections in a row that a broken server ended

	life context.Context // ends with the client
	end  context.CancelFunc

	mu      sync.Mutex
	session session
	out     outbox
	leaveAt time.Time // when to follow a GOAWAY; zero: there was none
	goaway  string    // its reason
	left    error     // the connection was closed because of it
	timer   *time.Timer
	wakeAt  time.Time // when timer runs; zero: it does not
	ended   error
}

// Dial connects, shakes hands and logs in, within ctx. A refused token is an *Error, another refusal of the server a *KickError. It tries every gateway once.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, urls: cfg.gateways(), token: cfg.Token, epoch: time.Now()}
	c.cfg.Network.Subprotocol = protocol.Subprotocol
	c.cfg.Network.OnDrain = func(*network.Conn) { _ = c.Flush() } // Serve finds the end of the connection
	c.life, c.end = context.WithCancel(context.Background())
	var failed []error
	for range c.urls {
		err := c.attempt(ctx, false)
		if err == nil {
			return c, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil || judge(err) == over {
			break
		}
	}
	c.end()
	return nil, errors.Join(failed...)
}

// Serve reads until the client ends, over as many connections as it takes, and returns why: ErrClosed, a *KickError, what wraps ErrNotRecovered, or what went wrong.
func (c *Client) Serve(h Handler) error { return c.ServeContext(context.Background(), h) }

// ServeContext is Serve, ending as by Close when ctx does.
func (c *Client) ServeContext(ctx context.Context, h Handler) error {
	c.handler = h
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	for {
		err := c.read()
		if err = c.comeBack(err); err != nil {
			return c.finish(err)
		}
	}
}

// Close says goodbye and ends the session and its connection.
func (c *Client) Close() error {
	c.mu.Lock()
	conn := c.out.conn
	if c.ended == nil {
		c.ended = ErrClosed
		if conn != nil {
			c.out.frames = protocol.AppendControl(c.out.frames, protocol.RouteBye, nil)
			_ = c.flush() // if it cannot be said, the server sees the end all the same
		}
	}
	c.mu.Unlock()
	c.end()
	if conn == nil {
		return nil
	}
	return conn.Close(1000, "bye")
}

// read handles what arrives until the connection ends, and returns why.
func (c *Client) read() error {
	for {
		err := c.step()
		if err == nil && len(c.pending) == 0 {
			err = c.Flush()
		}
		if err != nil {
			return c.lost(err)
		}
	}
}

// lost puts the connection away and returns why it ended.
func (c *Client) lost(err error) error {
	c.mu.Lock()
	left := c.left
	c.left = nil
	c.mu.Unlock()
	if c.kicked != nil {
		err, c.kicked = c.kicked, nil
	} else if left != nil {
		err = left
	} else if closed := (*network.CloseError)(nil); errors.As(err, &closed) && !closed.Local && closed.Code >= 4000 && closed.Code <= 4999 {
		err = &KickError{protocol.DisconnectCode(closed.Code), closed.Reason}
	}
	if c.broken++; !brokenBy(err) {
		c.broken = 0
	}
	c.drop()
	return err
}

// drop closes the connection and forgets what it had; the session stays.
func (c *Client) drop() {
	c.mu.Lock()
	conn := c.out.conn
	c.out.close()
	c.session.lost()
	c.leaveAt = time.Time{}
	c.mu.Unlock()
	c.pending = nil
	if conn != nil {
		_ = conn.Close(1000, "")
	}
}

// comeBack makes a new connection after one ended for cause. nil: there is one; else why there is none.
func (c *Client) comeBack(cause error) error {
	if c.cfg.Reconnect.Off || c.closed() {
		return cause
	}
	if movesOn(cause) {
		c.at = (c.at + 1) % len(c.urls)
	}
	b := comeback{cfg: c.cfg.Reconnect, gateways: len(c.urls), chance: rand.Int64N, since: time.Now(), cause: cause, broken: c.broken}
	for told := false; ; told = true {
		wait, resume, err := b.next(time.Now(), c.expires(b.since), c.cfg.Login != nil)
		if err != nil {
			return err
		}
		if !told && c.handler.Lost != nil {
			c.handler.Lost(cause)
		}
		if !c.sleep(wait) {
			return cause
		}
		if !resume {
			c.forget(notRecovered(b.failure, cause))
			err = c.fetch(c.life)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(c.life, c.cfg.Reconnect.Attempt)
			err = c.attempt(ctx, resume)
			cancel()
		}
		if err == nil {
			if c.handler.Resumed != nil {
				c.handler.Resumed(c.recovered)
			}
			return nil
		}
		if c.closed() {
			return cause
		}
		b.attempts++
		b.failure = err
	}
}

// closed tells whether Close was called. The life's end comes a moment later than the goodbye, and the server may be quicker.
func (c *Client) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended != nil
}

// expires is when the ticket is worth nothing any more, for a connection that was lost at a time; zero: there is none.
func (c *Client) expires(lost time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.ticket.bytes == nil || !c.cfg.Security.Cert.Allows(security.SuiteNKpsk2) {
		return time.Time{}
	}
	return lost.Add(c.session.ticket.linger)
}

// sleep waits, and tells whether the client still lives.
func (c *Client) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.life.Done():
		return false
	}
}

// forget gives the session up and fails what waits for it.
func (c *Client) forget(why error) {
	c.mu.Lock()
	failed := c.session.forget()
	c.mu.Unlock()
	for _, r := range failed {
		r.fail(why)
	}
}

// finish fails what waits and remembers the end.
func (c *Client) finish(err error) error {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = err
	}
	err = c.ended
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.end()
	c.drop()
	c.forget(err)
	return err
}

// Own is the entity that this client controls, if it is in view. For Serve's goroutine.
func (c *Client) Own() (*replica.Entity, bool) {
	if c.Avatar == nil {
		return nil, false
	}
	for i := range c.Mirror.Entities {
		if e := &c.Mirror.Entities[i]; e.Live && e.ID == c.Avatar.Entity {
			return e, true
		}
	}
	return nil, false
}

func (c *Client) trace(name, url string, began time.Time, err error) {
	if c.cfg.Trace != nil {
		c.cfg.Trace(Step{Name: name, URL: url, Took: time.Since(began), Err: err})
	}
}
