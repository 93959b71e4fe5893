// Package client is the Go client: what bots, tools and tests use. It speaks the same protocol as the TypeScript one, without that one's prediction, interpolation and
// reconnecting.
//
// Dial connects, shakes hands and logs in. Serve then reads in the caller's goroutine and calls the Handler in it; Push, Request and Flush may be called from any
// goroutine. The client ends when Serve returns or Close is called; it starts no goroutine of its own.
package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Config says whom to connect to, and as whom. URL, Security.Root, Security.Cert and Token are needed; Security.SchemaHash is set by Codec.
type Config struct {
	URL      string                // ws:// or wss://
	Security security.ClientConfig // keys and schema of the server; Now defaults to the present
	Network  network.DialConfig    // Subprotocol and OnDrain are set by the client
	Token    string                // of a login
	// Codec of the game's entities, as its bindings make it with NewCodec: what the bindings read needs it. nil: the server tells the layout, for programs that
	// know no game, which read views by that.
	Codec *delta.Codec
	Name  string // of the program; default "go"
}

// Handler is told what arrives; nil fields are skipped. Calls come from Serve's goroutine, payloads are valid until they return.
type Handler struct {
	State func()                                    // a state frame was applied to Mirror
	Push  func(route uint16, payload []byte)        // a game's message
	Error func(route uint16, id uint32, err *Error) // an error that answers no Request
}

// Error is an error that the server sent.
type Error struct {
	Code       protocol.ErrorCode
	Message    string
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("server says %s: %s", e.Code, e.Message) }

// KickError is what Serve returns after the server ended the session and said why.
type KickError struct {
	Code   protocol.DisconnectCode
	Reason string
}

// Error implements error.
func (e *KickError) Error() string { return fmt.Sprintf("kicked: %s: %s", e.Code, e.Reason) }

// ErrFull is returned for a message that finds no room: a megabyte waits for a connection that takes nothing, or it fits no record.
var ErrFull = errors.New("client: no room for the message")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("client: closed")

// Client is a connection that has logged in.
type Client struct {
	// Login, Zones and Mirror belong to Serve's goroutine. Mirror is this client's replica of what it sees.
	Login  *mmov1.LoginResponse
	Zones  []*mmov1.Zone
	Avatar *mmov1.Avatar // nil until the server has named it
	Status *mmov1.Status // the latest
	Mirror replica.Mirror
	Info   security.ServerInfo
	RTT    time.Duration // of the last ping

	own     *delta.Codec
	conn    *network.Conn
	keys    *security.Session
	handler Handler
	kicked  error
	epoch   time.Time

	mu      sync.Mutex
	out     []byte
	sealed  []byte
	stuck   []byte
	echo    uint16
	echoed  uint16
	lastID  uint32
	waiting map[uint32]chan reply
	ended   error
}

type reply struct {
	payload []byte
	err     error
}

// Dial connects, shakes hands and logs in, within ctx. A refused token is an *Error, another refusal of the server a *KickError.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = "go"
	}
	if cfg.Security.Now.IsZero() {
		cfg.Security.Now = time.Now()
	}
	cfg.Security.SchemaHash = protocol.Fingerprint{}
	if cfg.Codec != nil {
		cfg.Security.SchemaHash = protocol.FingerprintOf(cfg.Codec.Layout.Fingerprint)
	}
	c := &Client{waiting: map[uint32]chan reply{}, epoch: time.Now(), own: cfg.Codec}
	cfg.Network.Subprotocol = protocol.Subprotocol
	cfg.Network.OnDrain = func(*network.Conn) { _ = c.Flush() }
	conn, err := network.Dial(ctx, cfg.URL, cfg.Network)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c.conn = conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close(0, "") })
	defer stop()
	if err := c.begin(cfg); err != nil {
		_ = conn.Close(0, "")
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("log in at %s: %w", cfg.URL, err)
	}
	return c, nil
}

func (c *Client) begin(cfg Config) error {
	h, hs1, err := security.NewClient(cfg.Security)
	if err != nil {
		return err
	}
	if err := c.conn.Send(append(make([]byte, network.HeaderRoom), hs1...)); err != nil {
		return err
	}
	hs2, err := c.conn.Next()
	if err != nil {
		return err
	}
	b, err := protocol.Marshal(&mmov1.LoginRequest{Token: cfg.Token, Client: cfg.Name})
	if err != nil {
		return err
	}
	c.mu.Lock() // a transient writer of the first record may be calling Flush
	if c.keys, c.Info, err = h.Finish(hs2); err == nil {
		c.lastID = 1
		err = c.queue(func(out []byte) []byte { return protocol.AppendRequest(out, protocol.RouteLogin, 1, b) })
	}
	if err == nil && c.own != nil && c.Info.SchemaMatches {
		err = c.Mirror.Use(c.own, nil)
	}
	if err == nil {
		err = c.flush()
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for c.Login == nil {
		if err := c.record(); err != nil {
			if c.kicked != nil {
				return c.kicked
			}
			return err
		}
	}
	return nil
}

// Serve reads until the connection ends, and returns why: ErrClosed, a *KickError, or what went wrong.
func (c *Client) Serve(h Handler) error {
	c.handler = h
	for {
		if err := c.record(); err != nil {
			return c.finish(err)
		}
		if err := c.Flush(); err != nil {
			return c.finish(err)
		}
	}
}

// Close says goodbye and ends the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = ErrClosed
		c.out = protocol.AppendControl(c.out, protocol.RouteBye, nil)
		_ = c.flush() // if it cannot be said, the server sees the end all the same
	}
	c.mu.Unlock()
	return c.conn.Close(1000, "bye")
}

// finish fails what waits and remembers the end.
func (c *Client) finish(err error) error {
	if c.kicked != nil {
		err = c.kicked
	}
	c.mu.Lock()
	if c.ended == nil {
		c.ended = err
	}
	err = c.ended
	for id, w := range c.waiting {
		w <- reply{err: err}
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	_ = c.conn.Close(1000, "")
	return err
}

// record reads one record and handles its frames.
func (c *Client) record() error {
	b, err := c.conn.Next()
	if err != nil {
		return err
	}
	frames, err := c.keys.Opener.Open(b)
	if err != nil {
		return err
	}
	for len(frames) > 0 {
		var f protocol.Frame
		if f, frames, err = protocol.Next(frames); err != nil {
			return err
		}
		if err := c.frame(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) frame(f protocol.Frame) error {
	switch f.Type {
	case protocol.TypeState:
		if err := c.Mirror.Decode(f.Payload); err != nil {
			return err
		}
		c.mu.Lock()
		c.echo = c.Mirror.Frames
		c.mu.Unlock()
		if c.handler.State != nil {
			c.handler.State()
		}
	case protocol.TypeControl:
		return c.control(f)
	case protocol.TypeResponse:
		if c.Login == nil && f.Route == protocol.RouteLogin {
			c.Login = &mmov1.LoginResponse{}
			return protocol.Unmarshal(f.Payload, c.Login)
		}
		c.answer(f.ID, reply{payload: append([]byte(nil), f.Payload...)})
	case protocol.TypeError:
		return c.failed(f)
	case protocol.TypePush:
		return c.push(f)
	}
	return nil
}

func (c *Client) control(f protocol.Frame) error {
	switch f.Route {
	case protocol.RoutePong:
		sent, _, err := protocol.ParsePong(f.Payload)
		c.RTT = time.Since(c.epoch) - time.Duration(sent)*time.Microsecond
		return err
	case protocol.RouteKick:
		var k mmov1.Kick
		if err := protocol.Unmarshal(f.Payload, &k); err != nil {
			return err
		}
		c.kicked = &KickError{protocol.DisconnectCode(k.Code), k.Reason}
	}
	return nil
}

func (c *Client) push(f protocol.Frame) error {
	switch f.Route {
	case protocol.RouteZone:
		z := &mmov1.Zone{}
		if err := protocol.Unmarshal(f.Payload, z); err != nil {
			return err
		}
		c.Zones = append(c.Zones, z)
		return c.Mirror.OpenZone(uint8(min(z.Index, 255)), delta.Params{PositionBits: uint8(min(z.PositionBits, 255))}, z.Tick)
	case protocol.RouteLayout:
		return c.learn(f.Payload)
	case protocol.RouteAvatar:
		c.Avatar = &mmov1.Avatar{}
		return protocol.Unmarshal(f.Payload, c.Avatar)
	case protocol.RouteStatus:
		c.Status = &mmov1.Status{}
		return protocol.Unmarshal(f.Payload, c.Status)
	}
	if c.handler.Push != nil {
		c.handler.Push(f.Route, f.Payload)
	}
	return nil
}

// learn takes the layout of a server whose schema is not the client's own.
func (c *Client) learn(table []byte) error {
	l, err := delta.ParseTable(table)
	if err != nil {
		return err
	}
	codec, err := delta.NewCodec(l, nil)
	if err != nil {
		return err
	}
	if c.own == nil {
		return c.Mirror.Use(codec, nil)
	}
	if err := c.Mirror.Use(codec, c.own.Layout); err != nil {
		if l.Name != c.own.Layout.Name {
			return fmt.Errorf("%w: connect to a server of the other game", err)
		}
		mine, theirs := protocol.FingerprintOf(c.own.Layout.Fingerprint), protocol.FingerprintOf(l.Fingerprint)
		return fmt.Errorf("%w (%s)", err, protocol.SchemaMismatch(mine, theirs))
	}
	return nil
}

func (c *Client) failed(f protocol.Frame) error {
	var m mmov1.Error
	if err := protocol.Unmarshal(f.Payload, &m); err != nil {
		return err
	}
	e := &Error{protocol.ErrorCode(m.Code), m.Message, time.Duration(m.RetryAfterMs) * time.Millisecond}
	if c.Login == nil {
		return e
	}
	if f.ID != 0 && c.answer(f.ID, reply{err: e}) {
		return nil
	}
	if c.handler.Error != nil {
		c.handler.Error(f.Route, f.ID, e)
	}
	return nil
}

func (c *Client) answer(id uint32, r reply) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.waiting[id]
	if ok {
		delete(c.waiting, id)
		w <- r // has room for the one reply
	}
	return ok
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

// Push queues a message that is not answered; the next Flush sends it. It returns ErrFull when it cannot be queued.
func (c *Client) Push(route uint16, m proto.Message) error {
	b, err := protocol.Marshal(m)
	if err != nil {
		return fmt.Errorf("push on route %d: %w", route, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue(func(out []byte) []byte { return protocol.AppendPush(out, route, b) })
}

// maxQueue bounds what waits to be sent, in bytes.
const maxQueue = 1 << 20

// queue appends a frame to what waits; mu is held.
func (c *Client) queue(frame func([]byte) []byte) error {
	if c.ended != nil {
		return c.ended
	}
	before := len(c.out)
	c.out = frame(c.out)
	if len(c.out) > maxQueue || len(c.out)-before > c.room() {
		c.out = c.out[:before]
		return ErrFull
	}
	return nil
}

// room is the number of bytes of frames that fit a record.
func (c *Client) room() int { return int(c.Info.RecordMax) - security.Overhead }

// Ping queues a ping; RTT has its result once the answer is in.
func (c *Client) Ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.queue(func(out []byte) []byte { return protocol.AppendPing(out, uint64(time.Since(c.epoch).Microseconds())) }) // no room, no ping
}

// Request sends a message and waits for its answer. Serve must be running in another goroutine.
func (c *Client) Request(ctx context.Context, route uint16, req, resp proto.Message) error {
	b, err := protocol.Marshal(req)
	if err != nil {
		return fmt.Errorf("request on route %d: %w", route, err)
	}
	w := make(chan reply, 1)
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	if err = c.queue(func(out []byte) []byte { return protocol.AppendRequest(out, route, id, b) }); err == nil {
		c.waiting[id] = w
		if err = c.flush(); err != nil {
			delete(c.waiting, id)
		}
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("request on route %d: %w", route, err)
	}
	select {
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		return fmt.Errorf("request on route %d: %w", route, ctx.Err())
	case r := <-w:
		if r.err != nil {
			return fmt.Errorf("request on route %d: %w", route, r.err)
		}
		return protocol.Unmarshal(r.payload, resp)
	}
}

// Flush sends what was queued, and the echo that is due, as one record.
func (c *Client) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

func (c *Client) flush() error {
	if c.stuck != nil {
		if err := c.conn.Send(c.stuck); err != nil {
			return busyIsFine(err)
		}
		c.stuck = nil
	}
	if c.conn.Busy() {
		return nil // OnDrain flushes again
	}
	if c.echo != c.echoed && (len(c.out) > 0 || c.echo-c.echoed >= 2) { // an echo of its own at most every second frame
		c.out = protocol.AppendEcho(c.out, c.echo)
		c.echoed = c.echo
	}
	if len(c.out) == 0 {
		return nil
	}
	for len(c.out) > 0 {
		n := c.fit()
		if n == 0 { // the server allows records that hold nothing
			return ErrFull
		}
		c.sealed = append(c.sealed[:0], make([]byte, network.HeaderRoom)...)
		c.sealed = c.keys.Sealer.Seal(c.sealed, c.out[:n])
		c.out = append(c.out[:0], c.out[n:]...)
		if err := c.conn.Send(c.sealed); err != nil {
			if errors.Is(err, network.ErrBusy) {
				c.stuck = append([]byte(nil), c.sealed...)
			}
			return busyIsFine(err)
		}
		if c.conn.Busy() {
			return nil
		}
	}
	return nil
}

// fit is the length of the whole frames at the head of out that fit one record.
func (c *Client) fit() int {
	if len(c.out) <= c.room() {
		return len(c.out)
	}
	n := 0
	for n < len(c.out) {
		_, rest, err := protocol.Next(c.out[n:])
		if err != nil || len(c.out)-len(rest) > c.room() {
			break
		}
		n = len(c.out) - len(rest)
	}
	return n
}

func busyIsFine(err error) error {
	if errors.Is(err, network.ErrBusy) {
		return nil
	}
	return err
}
