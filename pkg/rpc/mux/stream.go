package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// ErrWouldBlock answers TrySend when the receiver has not read enough yet.
var ErrWouldBlock = errors.New("rpc: no credit: the stream's receiver is behind")

// Stream is a sequence of messages in both directions, in order. One goroutine may receive and any may send. It ends when the accepting end's handler returns, when it is
// cancelled or with the connection; then nothing of it is left.
type Stream struct {
	c      *Conn
	l      *lane
	id     uint32
	accept bool // this end's handler serves it
	codec  Codec
	ctx    *callCtx
	method *Method
	stop   func() bool // of the watch over the opener's context

	sending sync.Mutex // one message after the other

	mu      sync.Mutex
	arrived sync.Cond // something to receive, or the end
	room    sync.Cond // credit, or the end
	credit  int       // bytes that may be sent
	in      []byte    // messages that arrived: u32 size, bytes
	unread  int       // bytes that arrived and were not received, with what messages cost
	owed    int       // bytes read and not yet credited
	peerEnd bool      // the peer sends nothing more
	sentEnd bool
	err     error // set once the stream is over; io.EOF: well

	// The receiver's own:
	out  []byte // messages being read
	rest []byte // of out
}

// perMessage is what a message costs a stream's credit besides its bytes, so that empty ones are not free.
const perMessage = 16

// Open begins a stream. Its end comes at the latest with ctx.
func (c *Conn) Open(ctx context.Context, method string, info *CallInfo) (*Stream, error) {
	o := outgoing{header: header{typ: typeOpen}, method: method, info: info, codec: info.Codec}
	if _, err := c.prepare(ctx, &o); err != nil {
		return nil, err
	}
	x := &Stream{c: c, codec: info.Codec, l: c.lanes[0], ctx: &callCtx{Incoming: Incoming{Conn: c}}, credit: int(min(c.peer.window, math.MaxInt32))}
	x.arrived.L, x.room.L = &x.mu, &x.mu
	if d, ok := ctx.Deadline(); ok {
		x.ctx.deadline = d
	}
	c.streams.mu.Lock()
	switch {
	case c.streams.opened == nil:
		c.streams.mu.Unlock()
		return nil, unavailable(c.Err(), status.NotSent)
	case len(c.streams.opened) >= c.cfg.MaxCalls:
		c.streams.mu.Unlock()
		return nil, notSent(status.ResourceExhausted, "%d streams are open on this connection, no more are allowed", c.cfg.MaxCalls)
	}
	for {
		c.streams.last++
		if c.streams.last&(1<<31-1) != 0 && c.streams.opened[c.streams.last|1<<31] == nil {
			break
		}
	}
	x.id = c.streams.last | 1<<31 // a range that calls' cancels rarely meet; the maps are separate anyway
	c.streams.opened[x.id] = x
	c.streams.mu.Unlock()
	if info.Bulk && len(c.bulk) > 0 {
		x.l = c.bulk[x.id%uint32(len(c.bulk))]
	}
	o.id = x.id
	if err := x.l.send(&o); err != nil {
		x.end(err)
		return nil, err
	}
	c.counts.calls.Add(1)
	if ctx.Done() != nil {
		x.mu.Lock()
		x.stop = context.AfterFunc(ctx, func() { x.Cancel(ctx.Err()) })
		if x.err != nil { // over already: nobody else will stop the watch
			x.stop()
		}
		x.mu.Unlock()
	}
	if info.Timeout > 0 {
		t := time.AfterFunc(info.Timeout, func() { x.Cancel(context.DeadlineExceeded) })
		x.ctx.AfterFunc(func() { t.Stop() })
	}
	return x, nil
}

// opened accepts a stream of the peer.
func (l *lane) opened(h header, ext *extension) error {
	c := l.c
	m, name, err := l.method(h, ext)
	if err != nil {
		return err
	}
	no := func(code status.Code, format string, args ...any) error {
		c.counts.refused.Add(1)
		e := status.Errorf(code, format, args...)
		return l.control(typeEnd, flagAnswer|flagNever, h.id, uint32(code), e.AppendWire(nil))
	}
	if m == nil || m.Stream == nil {
		return no(status.Unimplemented, "%s has no method %q that serves streams", c.self(), name)
	}
	k := c.decoder(h, ext, m)
	switch {
	case k == nil:
		return no(status.InvalidArgument, "method %q does not take the caller's codec", name)
	case c.leaving.Load():
		return no(status.Unavailable, "%s is draining", c.self())
	case c.serving.n.Load() >= int32(c.cfg.MaxServe):
		return no(status.ResourceExhausted, "%d calls of this connection are being served, no more are taken", c.cfg.MaxServe)
	}
	x := &Stream{c: c, l: l, id: h.id, accept: true, codec: k, method: m, credit: int(min(c.peer.window, math.MaxInt32)),
		ctx: &callCtx{Incoming: Incoming{Conn: c, Method: m, Metadata: ext.metadata}}}
	x.arrived.L, x.room.L = &x.mu, &x.mu
	x.ctx.deadline = l.batch.due(h.arg)
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	if c.streams.accepted == nil {
		return nil
	}
	if c.streams.accepted[h.id] != nil {
		return fmt.Errorf("%w: stream %d is open already", errFrame, h.id)
	}
	c.streams.accepted[h.id] = x
	c.serving.n.Add(1)
	if h.arg > 0 {
		x.ctx.AfterFunc(func() { x.end(status.Of(x.ctx.Err())) }) // wakes a handler that waits for messages
	}
	l.batch.open = append(l.batch.open, x)
	return nil
}

// serve runs the handler of an accepted stream.
func (x *Stream) serve() {
	e := func() (e *status.Error) {
		defer func() {
			if r := recover(); r != nil {
				x.c.panicked(x.method.Name, r)
				e = status.Errorf(status.Internal, "the handler of %s panicked", x.method.Name)
			}
		}()
		return status.Of(x.method.Stream(x.ctx, x))
	}()
	x.c.counts.served.Add(1)
	x.c.serving.n.Add(-1)
	x.sending.Lock() // behind the last message
	x.mu.Lock()
	tell := x.err == nil
	x.mu.Unlock()
	if tell {
		body := []byte{}
		code := status.OK
		if e != nil {
			if code = e.Code; code == status.OK {
				code = status.Unknown
			}
			body = e.AppendWire(nil)
		}
		o := outgoing{header: header{typ: typeEnd, flags: flagAnswer, id: x.id, arg: uint32(code)}, codec: encoded{}, value: &body, size: len(body)}
		x.c.answerLater(x.l, &o)
	}
	x.sending.Unlock()
	var err error = io.EOF
	if e != nil {
		err = e
	}
	x.end(err)
}

// end ends the stream at this end.
func (x *Stream) end(err error) {
	x.mu.Lock()
	first := x.err == nil
	if first {
		x.err = err
	}
	stop := x.stop
	x.arrived.Broadcast()
	x.room.Broadcast()
	x.mu.Unlock()
	if !first {
		return
	}
	x.c.streams.remove(x)
	x.ctx.end(ending(err))
	if stop != nil {
		stop()
	}
}

func ending(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Context ends with the stream. At the accepting end it tells of the call: see IncomingFrom.
func (x *Stream) Context() context.Context { return x.ctx }

// Conn is the connection that the stream runs on.
func (x *Stream) Conn() *Conn { return x.c }

// Send sends a message, and waits first until the receiver has read enough of the earlier ones. After the stream's end it returns io.EOF if the end was a good one, whose
// result Recv tells, and the reason otherwise.
func (x *Stream) Send(v any) error { return x.send(v, true) }

// TrySend is Send that does not wait: ErrWouldBlock when there is no credit.
func (x *Stream) TrySend(v any) error { return x.send(v, false) }

func (x *Stream) send(v any, wait bool) error {
	flags := uint8(0)
	if x.accept {
		flags = flagAnswer
	}
	o := outgoing{header: header{typ: typeData, flags: flags, id: x.id}, codec: x.codec, value: v}
	if err := o.measure(x.c.limit()); err != nil {
		return err
	}
	x.mu.Lock()
	for x.credit <= 0 && x.err == nil && !x.sentEnd {
		if !wait {
			x.mu.Unlock()
			return ErrWouldBlock
		}
		x.room.Wait()
	}
	if err := x.err; err != nil {
		x.mu.Unlock()
		return err
	}
	if x.sentEnd {
		x.mu.Unlock()
		return notSent(status.FailedPrecondition, "message sent after CloseSend")
	}
	x.credit -= o.size + perMessage
	x.mu.Unlock()
	x.sending.Lock()
	err := x.l.send(&o)
	x.sending.Unlock()
	if err == nil {
		return nil
	}
	x.mu.Lock()
	x.credit += o.size + perMessage
	x.room.Broadcast()
	x.mu.Unlock()
	return err
}

// CloseSend tells the peer that nothing more comes from this end. At the accepting end it does nothing: returning from the handler ends the stream.
func (x *Stream) CloseSend() error {
	if x.accept {
		return nil
	}
	x.sending.Lock()
	defer x.sending.Unlock()
	x.mu.Lock()
	again := x.sentEnd || x.err != nil
	x.sentEnd = true
	x.room.Broadcast()
	x.mu.Unlock()
	if again {
		return nil
	}
	return x.l.control(typeEnd, 0, x.id, 0, nil)
}

// Recv waits for the next message and parses it into v. io.EOF tells that the sender is done, at the opening end: and that the handler returned no error.
func (x *Stream) Recv(v any) error {
	if len(x.rest) == 0 {
		if err := x.wait(); err != nil {
			return err
		}
	}
	n := int(binary.LittleEndian.Uint32(x.rest))
	b := x.rest[4 : 4+n]
	x.rest = x.rest[4+n:]
	err := unmarshal(x.codec, b, v, false)
	x.settle(n + perMessage)
	if err != nil {
		return status.Errorf(status.Internal, "cannot parse the stream's message into %T: %v", v, err)
	}
	return nil
}

// wait waits for messages.
func (x *Stream) wait() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.in) == 0 {
		switch {
		case x.err != nil:
			return x.err
		case x.peerEnd:
			return io.EOF
		}
		x.arrived.Wait()
	}
	if cap(x.out) > 1<<20 { // a burst must not be held for good
		x.out = nil
	}
	x.in, x.out = x.out[:0], x.in
	x.rest = x.out
	return nil
}

// settle gives the sender back what was read, a quarter of the window at a time.
func (x *Stream) settle(n int) {
	x.mu.Lock()
	x.owed += n
	x.unread -= n
	x.c.unread.Add(int64(-n))
	give := 0
	if x.owed >= x.c.cfg.Window/4 && x.err == nil {
		give, x.owed = x.owed, 0
	}
	x.mu.Unlock()
	if give > 0 {
		flags := uint8(0)
		if x.accept {
			flags = flagAnswer
		}
		_ = x.c.lanes[0].control(typeCredit, flags, x.id, uint32(give), nil)
	}
}

// Cancel ends the stream at both ends, with err for the reason; nil means cancelled.
func (x *Stream) Cancel(err error) {
	if err == nil {
		err = context.Canceled
	}
	e := status.Of(err)
	if !x.accept {
		own := *e
		own.Fate, e = status.MaybeExecuted, &own
	}
	x.mu.Lock()
	tell := x.err == nil
	x.mu.Unlock()
	x.end(e)
	if !tell {
		return
	}
	if x.accept {
		_ = x.l.control(typeEnd, flagAnswer, x.id, uint32(e.Code), e.AppendWire(nil))
		return
	}
	_ = x.l.control(typeAbandon, 0, x.id, uint32(e.Code), nil) // never before what opened it
}

func (x *Stream) ended(h header, body []byte) error {
	if h.flags&flagAnswer == 0 { // the opener will send nothing more
		x.mu.Lock()
		x.peerEnd = true
		x.arrived.Broadcast()
		x.mu.Unlock()
		return nil
	}
	if h.arg == 0 {
		x.end(io.EOF)
		return nil
	}
	e, err := status.ParseWire(body)
	if err != nil {
		e = status.Errorf(status.Code(h.arg), "the peer's error cannot be read: %v", err)
	}
	e.Fate = status.Answered
	if h.flags&flagNever != 0 {
		e.Fate = status.NotSent
	}
	x.end(e)
	return nil
}

// Err is how the stream ended: nil before, io.EOF for a good end.
func (x *Stream) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}
