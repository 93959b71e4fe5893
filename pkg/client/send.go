package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// outbox is the sending half of a connection; Client.mu guards it, and Serve's goroutine alone replaces conn and keys.
type outbox struct {
	conn   *network.Conn // nil: there is none
	keys   *security.Session
	room   int    // bytes of frames that fit a record
	frames []byte // what waits
	sealed []byte // room of the record that is sent
	stuck  []byte // a sealed record that the connection did not take yet
	echo   uint16 // state frames of this connection
	echoed uint16 // of them told
	spoke  bool   // something was sent since this was last asked
}

func (o *outbox) open(conn *network.Conn, keys *security.Session, room int) {
	*o = outbox{conn: conn, keys: keys, room: room, frames: o.frames[:0], sealed: o.sealed[:0]}
}

// close forgets the connection and what it was to send: pushes are lost with it, requests are kept elsewhere.
func (o *outbox) close() { *o = outbox{frames: o.frames[:0], sealed: o.sealed[:0], room: o.room} }

// Push queues a message that is not answered; the next Flush sends it. It returns ErrFull when it cannot be queued, and ErrAway while there is no connection.
func (c *Client) Push(route uint16, m proto.Message) error {
	b, flags, err := c.marshal(m)
	if err != nil {
		return fmt.Errorf("push on route %d: %w", route, err)
	}
	return c.push(route, flags, b)
}

// PushJSON is Push of a message written as JSON.
func (c *Client) PushJSON(route uint16, message []byte) error {
	return c.push(route, protocol.FlagJSON, message)
}

func (c *Client) push(route uint16, flags protocol.Flags, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil && c.session.phase != up {
		return ErrAway
	}
	return c.queue(protocol.Frame{Type: protocol.TypePush, Flags: flags, Route: route, Payload: payload})
}

// queue appends a frame to what waits; mu is held.
func (c *Client) queue(f protocol.Frame) error {
	if c.ended != nil {
		return c.ended
	}
	size := protocol.FrameSize(f)
	if size > c.out.room || len(c.out.frames)+size > maxQueue {
		return ErrFull
	}
	c.out.frames = protocol.AppendFrame(c.out.frames, f)
	return nil
}

// Ping queues a ping; RTT has its result once the answer is in.
func (c *Client) Ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.phase == up && c.ended == nil && len(c.out.frames) < maxQueue {
		c.out.frames = protocol.AppendPing(c.out.frames, uint64(time.Since(c.epoch).Microseconds()))
	}
}

// Request sends a message and waits for its answer, over a change of connections if need be: it is executed once at most. Serve must be running in another goroutine. An
// answer of the server that is an error is an *Error. If no answer can come any more, the error wraps ErrNotExecuted or ErrUnknownOutcome, and why.
func (c *Client) Request(ctx context.Context, route uint16, req, resp proto.Message) error {
	b, flags, err := c.marshal(req)
	var r reply
	if err == nil {
		r, err = c.ask(ctx, route, flags, b)
	}
	if err != nil {
		return fmt.Errorf("request on route %d: %w", route, err)
	}
	return parseAs(r.json, r.payload, resp)
}

// RequestJSON is Request of a message written as JSON. The answer is JSON.
func (c *Client) RequestJSON(ctx context.Context, route uint16, message []byte) (answer []byte, err error) {
	r, err := c.ask(ctx, route, protocol.FlagJSON, message)
	if err == nil && !r.json {
		err = fmt.Errorf("%w: a request in JSON was not answered in JSON", ErrBroken)
	}
	if err != nil {
		return nil, fmt.Errorf("request on route %d: %w", route, err)
	}
	return r.payload, nil
}

// ask makes a request and waits for its answer.
func (c *Client) ask(ctx context.Context, route uint16, flags protocol.Flags, payload []byte) (reply, error) {
	c.mu.Lock()
	r, err := c.queueRequest(route, flags, payload)
	c.mu.Unlock()
	if err != nil {
		return reply{}, err
	}
	select {
	case <-ctx.Done():
		c.mu.Lock()
		c.session.settled(r.id)
		c.mu.Unlock()
		return reply{}, ctx.Err()
	case a := <-r.answer:
		return a, a.err
	}
}

// queueRequest makes a request and sends it, if there is a connection; mu is held.
func (c *Client) queueRequest(route uint16, flags protocol.Flags, payload []byte) (*request, error) {
	if c.ended != nil {
		return nil, c.ended
	}
	r, err := c.session.ask(route, flags, payload)
	if err != nil {
		return nil, err
	}
	switch {
	case r.sent:
		err = c.queue(r.frame())
	case protocol.FrameSize(r.frame()) > c.out.room:
		err = ErrFull
	}
	if err != nil {
		c.session.settled(r.id)
		return nil, err
	}
	_ = c.flush() // Serve finds the end of the connection; the request outlives it
	return r, nil
}

// Flush sends what was queued, and the echo and acknowledgement that are due, as one record.
func (c *Client) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

// flush is Flush; mu is held.
func (c *Client) flush() error {
	o := &c.out
	if o.conn == nil {
		return nil
	}
	if o.stuck != nil {
		if err := o.conn.Send(o.stuck); err != nil {
			return busyIsFine(err)
		}
		o.stuck = nil
	}
	if o.conn.Busy() {
		return nil // OnDrain flushes again
	}
	if o.echo != o.echoed && (len(o.frames) > 0 || o.echo-o.echoed >= 2) { // an echo of its own at most every second frame
		o.frames = protocol.AppendEcho(o.frames, o.echo)
		o.echoed = o.echo
	}
	if s := &c.session; s.last != s.acked && s.ack(time.Now(), len(o.frames) > 0) {
		o.frames = protocol.AppendFrame(o.frames, protocol.Frame{Type: protocol.TypeAck, Seq: s.acknowledge()})
	}
	for len(o.frames) > 0 {
		n := o.fit()
		if n == 0 { // the server allows records that hold nothing
			return ErrFull
		}
		o.sealed = append(o.sealed[:0], make([]byte, network.HeaderRoom)...)
		o.sealed = o.keys.Sealer.Seal(o.sealed, o.frames[:n])
		o.frames, o.spoke = append(o.frames[:0], o.frames[n:]...), true
		if err := o.conn.Send(o.sealed); err != nil {
			if errors.Is(err, network.ErrBusy) {
				o.stuck = append([]byte(nil), o.sealed...)
			}
			return busyIsFine(err)
		}
		if o.conn.Busy() {
			return nil
		}
	}
	return nil
}

// fit is the length of the whole frames at the head of what waits that fit one record.
func (o *outbox) fit() int {
	if len(o.frames) <= o.room {
		return len(o.frames)
	}
	n := 0
	for n < len(o.frames) {
		_, rest, err := protocol.Next(o.frames[n:])
		if err != nil || len(o.frames)-len(rest) > o.room {
			break
		}
		n = len(o.frames) - len(rest)
	}
	return n
}

func busyIsFine(err error) error {
	if errors.Is(err, network.ErrBusy) {
		return nil
	}
	return err
}

// marshal encodes a message as this client's connections carry it.
func (c *Client) marshal(m proto.Message) (b []byte, flags protocol.Flags, err error) {
	if !c.cfg.JSON {
		b, err = protocol.Marshal(m)
		return b, 0, err
	}
	b, err = protojson.Marshal(m)
	return b, protocol.FlagJSON, err
}

// parse decodes a message of the server's.
func parse(f protocol.Frame, m proto.Message) error {
	if err := parseAs(f.Flags&protocol.FlagJSON != 0, f.Payload, m); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

func parseAs(json bool, b []byte, m proto.Message) error {
	if !json {
		return protocol.Unmarshal(b, m)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("parse %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}
