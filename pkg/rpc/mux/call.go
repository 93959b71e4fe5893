package mux

import (
	"context"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// prepare checks what can be checked before a slot is taken and returns the time that the call has; 0: no limit.
func (c *Conn) prepare(ctx context.Context, o *outgoing) (left time.Duration, err *status.Error) {
	if e := ctx.Err(); e != nil {
		s := status.Of(e)
		return 0, notSent(s.Code, "%s", s.Message)
	}
	if c.failed.Load() {
		return 0, unavailable(c.Err(), status.NotSent)
	}
	switch {
	case c.draining.Load():
		return 0, notSent(status.Unavailable, "the peer is draining")
	case c.leaving.Load():
		return 0, notSent(status.Unavailable, "this end is draining")
	case o.method == "" || len(o.method) > maxName:
		return 0, notSent(status.InvalidArgument, "a method's name has 1 to %d bytes, not %d", maxName, len(o.method))
	}
	if len(o.info.Metadata)%2 != 0 {
		return 0, notSent(status.InvalidArgument, "metadata of %d strings: a key has no value", len(o.info.Metadata))
	}
	left = o.info.Timeout
	if d, ok := ctx.Deadline(); ok {
		if l := time.Until(d); left <= 0 || l < left {
			if left = l; l <= 0 {
				return 0, notSent(status.DeadlineExceeded, "context deadline exceeded")
			}
		}
	}
	if left > 0 {
		o.arg = micros(left)
	}
	return left, o.measure(c.limit())
}

// begin takes a slot for a call whose request is about to be sent.
func (c *Conn) begin(o *outgoing, resp any, notify func(error)) (*call, *status.Error) {
	k := c.calls.take()
	if k == nil {
		return nil, notSent(status.ResourceExhausted, "%d calls are in flight on this connection, or given up and not yet answered; no more are allowed: raise MaxCalls or make fewer", c.cfg.MaxCalls)
	}
	o.many = c.calls.inFlight.Add(1) > 1
	o.id = k.id
	o.lane = c.lane(o.size)
	k.c, k.lane, k.resp, k.codec, k.notify, k.err = c, o.lane, resp, o.codec, notify, nil
	k.started = time.Time{}
	if n := c.counts.calls.Add(1); n&15 == 0 {
		k.started = time.Now()
	}
	k.state.Store(k.is(callSending))
	if t := o.info.Timeout; t > 0 && t < forever {
		k.deadline.Store(time.Now().Add(t).UnixNano())
		c.calls.watch()
	}
	return k, nil
}

// sent notes that the request is on its way. From then on anybody may end the call.
func (c *Conn) sent(k *call, id uint32) {
	k.state.CompareAndSwap(uint64(id)<<stateBits|callSending, uint64(id)<<stateBits|callWaiting) // unless the answer is there already
	if c.failed.Load() && k.claim(id) {                                                          // the connection ended before anybody could see the slot
		k.finish(unavailable(c.Err(), status.MaybeExecuted))
	}
}

// unsent takes back a call whose request could not be sent; false when it was answered nevertheless.
func (k *call) unsent() bool {
	return k.state.CompareAndSwap(k.is(callSending), k.is(callClaimed))
}

// Call asks the peer and waits for the answer, which is parsed into resp. The error is a *status.Error.
func (c *Conn) Call(ctx context.Context, method string, req, resp any, info *CallInfo) error {
	o := outgoing{header: header{typ: typeCall}, method: method, info: info, codec: info.Codec, value: req}
	if _, err := c.prepare(ctx, &o); err != nil {
		return err
	}
	k, err := c.begin(&o, resp, nil)
	if err != nil {
		return err
	}
	if err := o.lane.send(&o); err != nil {
		if !k.unsent() {
			<-k.done
		}
		c.calls.release(k)
		return err
	}
	c.sent(k, k.id)
	if done := ctx.Done(); done == nil {
		<-k.done
	} else {
		select {
		case <-k.done:
		case <-done:
			if k.claim(k.id) {
				s := *status.Of(ctx.Err())
				s.Fate = status.MaybeExecuted
				k.giveUp(s.Code)
				c.calls.release(k)
				return &s
			}
			<-k.done
		}
	}
	err = k.err
	c.calls.release(k)
	if err != nil {
		return err
	}
	return nil
}

// watch is the end of a context that an asynchronous call waits for.
type watch struct {
	mu   sync.Mutex
	stop func() bool
	over bool
}

func (w *watch) set(stop func() bool) {
	w.mu.Lock()
	w.stop = stop
	over := w.over
	w.mu.Unlock()
	if over {
		stop()
	}
}

func (w *watch) end() {
	w.mu.Lock()
	w.over = true
	stop := w.stop
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Go asks the peer; done is called exactly once, with nil when resp is filled. It runs on a goroutine of the connection, or on the caller's before Go returns when the
// call could not be made, and must not block. req must not change before done is called.
func (c *Conn) Go(ctx context.Context, method string, req, resp any, info *CallInfo, done func(error)) {
	o := outgoing{header: header{typ: typeCall}, method: method, info: info, codec: info.Codec, value: req}
	if _, err := c.prepare(ctx, &o); err != nil {
		done(err)
		return
	}
	var w *watch
	notify := done
	if ctx.Done() != nil {
		w = &watch{}
		notify = func(err error) { w.end(); done(err) }
	}
	k, err := c.begin(&o, resp, notify)
	if err != nil {
		done(err)
		return
	}
	id := o.id // the slot may be somebody else's as soon as the request is sent
	if err := o.lane.send(&o); err != nil {
		if k.unsent() {
			k.finish(err)
		}
		return
	}
	c.sent(k, id)
	if w != nil {
		w.set(context.AfterFunc(ctx, func() {
			if k.claim(id) {
				s := *status.Of(ctx.Err())
				s.Fate = status.MaybeExecuted
				k.giveUp(s.Code)
				k.finish(&s)
			}
		}))
	}
}

// Notify sends a message that has no answer. nil means that it was handed over, not that it was executed.
func (c *Conn) Notify(ctx context.Context, method string, req any, info *CallInfo) error {
	o := outgoing{header: header{typ: typeNotify}, method: method, info: info, codec: info.Codec, value: req}
	if _, err := c.prepare(ctx, &o); err != nil {
		return err
	}
	c.counts.calls.Add(1)
	o.id = c.notes.Add(1) // tells notifications in parts from each other
	if err := c.lane(o.size).send(&o); err != nil {
		return err
	}
	return nil
}
