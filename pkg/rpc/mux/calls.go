package mux

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// maxSlots bounds the calls in flight.
const maxSlots = 1<<16 - 1

// sweepPeriod is how often calls with a limit of their own are looked at: so much later than due they may end.
const sweepPeriod = 10 * time.Millisecond

// calls is what this end has in flight. A call that was given up keeps its slot until its answer comes: an id is never used twice while the peer may still answer it.
type calls struct {
	slots    []call // never moves
	bits     int    // of an id that are the slot; the others are the generation
	inFlight atomic.Int32
	used     atomic.Int32 // slots that were ever used: what has to be looked at
	latency  atomic.Int64 // ns, moving average
	sweeping atomic.Bool
	timed    chan struct{}

	mu   sync.Mutex
	free []*call // last in, first out: the warmest first
}

// States of a call. They stand in the low bits of call.state, its id above them.
const (
	callIdle    = iota
	callSending // its request is being marshalled: only the answer may end it
	callWaiting
	callClaimed // somebody is about to finish it: the reader, the clock, its caller or the end of the connection
	callGivenUp // nobody waits, but the peer may still answer
	stateBits   = 3
)

// call is a slot. Whoever moves state to callClaimed owns the other fields but id, which the caller sets.
type call struct {
	state    atomic.Uint64
	answered atomic.Uint64 // id+1 whose answer came while the call was being given up
	deadline atomic.Int64  // unix ns; 0: none
	id       uint32        // of the call at hand, or the last one
	resp     any
	codec    Codec
	started  time.Time // of a sample
	done     chan struct{}
	notify   func(error)
	err      *status.Error
	gaveUp   bool // the peer has not answered
	c        *Conn
	lane     *lane
}

func (s *calls) init(most int) {
	s.slots = make([]call, most)
	s.bits = max(bits.Len(uint(most-1)), 1)
	s.timed = make(chan struct{}, 1)
}

// take returns a slot with a new id, or nil when all are in use.
func (s *calls) take() *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		k := s.free[n-1]
		s.free = s.free[:n-1]
		k.id += 1 << s.bits // the next generation
		return k
	}
	n := int(s.used.Load())
	if n == len(s.slots) {
		return nil
	}
	k := &s.slots[n]
	k.id, k.done = uint32(n)|1<<s.bits, make(chan struct{}, 1)
	s.used.Store(int32(n + 1))
	return k
}

func (k *call) is(state uint64) uint64 { return uint64(k.id)<<stateBits | state }

// release gives a slot back whose call is over: at once, or when its answer has come.
func (s *calls) release(k *call) {
	id, gaveUp := k.id, k.gaveUp
	k.resp, k.codec, k.notify, k.gaveUp = nil, nil, nil, false
	k.deadline.Store(0)
	s.inFlight.Add(-1)
	if gaveUp {
		k.state.Store(k.is(callGivenUp))
		if k.answered.Load() == uint64(id)+1 { // just now
			s.settle(k, id)
		}
		return
	}
	k.state.Store(k.is(callIdle))
	s.put(k)
}

// settle frees the slot of a call that was given up and has now been answered.
func (s *calls) settle(k *call, id uint32) {
	if k.state.CompareAndSwap(uint64(id)<<stateBits|callGivenUp, uint64(id)<<stateBits) { // callIdle
		s.put(k)
	}
}

func (s *calls) put(k *call) {
	s.mu.Lock()
	s.free = append(s.free, k)
	s.mu.Unlock()
}

// watch wakes the sweeper if it sleeps.
func (s *calls) watch() {
	if s.sweeping.CompareAndSwap(false, true) {
		select {
		case s.timed <- struct{}{}:
		default:
		}
	}
}

// claim makes the caller of claim the one who finishes the call of this id, if its request has been sent and nobody else is at it.
func (k *call) claim(id uint32) bool {
	return k.state.CompareAndSwap(uint64(id)<<stateBits|callWaiting, uint64(id)<<stateBits|callClaimed)
}

// finish hands the result over. The call was claimed.
func (k *call) finish(err *status.Error) {
	k.err = err
	f := k.notify
	if f == nil {
		k.done <- struct{}{}
		return
	}
	c := k.c
	c.calls.release(k)
	c.safely("a done function", func() {
		if err == nil {
			f(nil)
		} else {
			f(err)
		}
	})
}

// find returns the call that an answer is for, claimed; nil if nobody waits for it any more.
func (s *calls) find(id uint32) *call {
	slot := int(id & (1<<s.bits - 1))
	if slot >= int(s.used.Load()) {
		return nil
	}
	k := &s.slots[slot]
	for {
		st := k.state.Load()
		if st>>stateBits != uint64(id) {
			return nil
		}
		switch st & (1<<stateBits - 1) {
		case callSending, callWaiting:
			if k.state.CompareAndSwap(st, uint64(id)<<stateBits|callClaimed) {
				return k
			}
			continue
		case callClaimed:
			k.answered.Store(uint64(id) + 1)
		}
		s.settle(k, id)
		return nil
	}
}

func (s *calls) failAll(err *status.Error) {
	for i := range s.slots[:s.used.Load()] {
		k := &s.slots[i]
		if st := k.state.Load(); st&(1<<stateBits-1) == callWaiting && k.claim(uint32(st>>stateBits)) {
			k.finish(err)
		}
	}
}

// expire ends the calls whose time is over and tells whether any has a limit.
func (c *Conn) expire(now time.Time) bool {
	any, at := false, now.UnixNano()
	s := &c.calls
	for i := range s.slots[:s.used.Load()] {
		k := &s.slots[i]
		d := k.deadline.Load()
		if d == 0 {
			continue
		}
		any = true
		if d > at {
			continue
		}
		st := k.state.Load()
		if st&(1<<stateBits-1) != callWaiting || k.deadline.Load() != d || !k.claim(uint32(st>>stateBits)) {
			continue
		}
		e := status.New(status.DeadlineExceeded, "no answer within the call's time")
		e.Fate = status.MaybeExecuted
		k.giveUp(status.DeadlineExceeded)
		k.finish(e)
	}
	return any
}

// giveUp tells the peer that nobody waits for the answer any more. The call was claimed.
func (k *call) giveUp(code status.Code) {
	k.gaveUp = true
	_ = k.lane.control(typeCancel, 0, k.id, uint32(code), nil) // behind the call itself
}

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
	k.c, k.lane, k.resp, k.codec, k.notify, k.err = c, c.lane(o.size), resp, o.codec, notify, nil
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
	if err := k.lane.send(&o); err != nil {
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
	if err := k.lane.send(&o); err != nil {
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

// answered takes the answer to a call: body is the message, or the error of a code.
func (c *Conn) answered(h header, body []byte, late *[]func()) error {
	k := c.calls.find(h.id)
	if k == nil {
		c.counts.late.Add(1)
		return nil
	}
	var result *status.Error
	if h.typ == typeError {
		var err error
		if result, err = status.ParseWire(body); err != nil {
			result = status.Errorf(status.Internal, "the peer's error cannot be read: %v", err)
		} else if result.Code == status.OK {
			result.Code = status.Unknown
		}
		result.Fate = status.Answered
		if h.flags&flagNever != 0 {
			result.Fate = status.NotSent
		}
	} else if k.resp != nil {
		if err := unmarshal(k.codec, body, k.resp, false); err != nil {
			if f, ok := err.(faultError); ok {
				k.finish(unavailable(f, status.MaybeExecuted))
				return f
			}
			result = status.Errorf(status.Internal, "cannot parse the answer into %T: %v", k.resp, err)
		}
	}
	if !k.started.IsZero() {
		took := int64(time.Since(k.started))
		if old := c.calls.latency.Load(); old > 0 {
			took = old + (took-old)/8
		}
		c.calls.latency.Store(max(took, 1))
	}
	if k.notify != nil { // user code: not between Receive and Release
		*late = append(*late, func() { k.finish(result) })
		return nil
	}
	k.finish(result)
	return nil
}
