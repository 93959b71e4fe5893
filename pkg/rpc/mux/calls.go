package mux

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// maxSlots bounds the calls in flight: a slot is half an id.
const maxSlots = 1<<16 - 1

// sweepPeriod is how often calls with a limit of their own are looked at: so much later than due they may end.
const sweepPeriod = 10 * time.Millisecond

// calls is what this end has in flight.
type calls struct {
	slots    []call // never moves
	inFlight atomic.Int32
	used     atomic.Int32 // slots that were ever used: what has to be looked at
	latency  atomic.Int64 // ns, moving average
	sweeping atomic.Bool
	timed    chan struct{}

	mu   sync.Mutex
	free []*call // last in, first out: the warmest first
}

// States of a call. They stand in the low bits of call.state, its generation above them.
const (
	callIdle = iota
	callWaiting
	callClaimed // somebody is about to finish it: the reader, the clock or the end of the connection
)

// call is a slot. Whoever moves state from waiting owns the other fields.
type call struct {
	state    atomic.Uint64
	deadline atomic.Int64 // unix ns; 0: none
	slot     uint32
	gen      uint32
	resp     any
	codec    Codec
	started  time.Time // of a sample
	done     chan struct{}
	notify   func(error)
	err      *status.Error
	stop     func() bool // of the watch over an asynchronous call's context
	c        *Conn
	lane     *lane
}

func (s *calls) init(most int) {
	s.slots = make([]call, most)
	s.timed = make(chan struct{}, 1)
}

// take returns a slot, or nil when all are in use.
func (s *calls) take() *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		k := s.free[n-1]
		s.free = s.free[:n-1]
		return k
	}
	n := int(s.used.Load())
	if n == len(s.slots) {
		return nil
	}
	k := &s.slots[n]
	k.slot, k.done = uint32(n), make(chan struct{}, 1)
	s.used.Store(int32(n + 1))
	return k
}

func (s *calls) put(k *call) {
	k.resp, k.codec, k.notify, k.stop = nil, nil, nil, nil
	s.inFlight.Add(-1)
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

// arm makes the slot wait for an answer and returns the id that the answer will carry.
func (k *call) arm() uint32 {
	k.gen = (k.gen + 1) & 0xffff
	k.state.Store(uint64(k.gen)<<2 | callWaiting)
	return k.slot | k.gen<<16
}

// claim makes the caller of claim the one who finishes the call.
func (k *call) claim(gen uint32) bool {
	return k.state.CompareAndSwap(uint64(gen)<<2|callWaiting, uint64(gen)<<2|callClaimed)
}

// finish hands the result over. The call was claimed.
func (k *call) finish(err *status.Error) {
	k.err = err
	k.deadline.Store(0)
	k.state.Store(uint64(k.gen) << 2) // callIdle
	if f := k.notify; f != nil {
		if k.stop != nil {
			k.stop()
		}
		k.c.calls.put(k)
		if err == nil {
			f(nil)
		} else {
			f(err)
		}
		return
	}
	k.done <- struct{}{}
}

// find returns the call that an answer is for, claimed; nil if nobody waits for it any more.
func (s *calls) find(id uint32) *call {
	slot := int(id & 0xffff)
	if slot >= int(s.used.Load()) {
		return nil
	}
	if k := &s.slots[slot]; k.claim(id >> 16) {
		return k
	}
	return nil
}

func (s *calls) failAll(err *status.Error) {
	for i := range s.slots[:s.used.Load()] {
		k := &s.slots[i]
		if st := k.state.Load(); st&3 == callWaiting && k.claim(uint32(st>>2)) {
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
		if st := k.state.Load(); st&3 == callWaiting && k.deadline.Load() == d && k.claim(uint32(st>>2)) {
			k.cancel(uint32(i)|uint32(st>>2)<<16, status.DeadlineExceeded)
			e := status.New(status.DeadlineExceeded, "no answer within the call's time")
			e.Fate = status.MaybeExecuted
			k.finish(e)
		}
	}
	return any
}

// cancel tells the peer that nobody waits for the answer any more.
func (k *call) cancel(id uint32, code status.Code) {
	_ = k.lane.control(typeCancel, 0, id, uint32(code), nil) // behind the call itself
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
	if c.draining.Load() {
		return 0, notSent(status.Unavailable, "the peer is draining")
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

// begin puts a call on its way. The slot is the caller's once it returns without an error.
func (c *Conn) begin(o *outgoing, resp any, notify func(error)) (*call, *status.Error) {
	k := c.calls.take()
	if k == nil {
		return nil, notSent(status.ResourceExhausted, "%d calls are in flight on this connection, no more are allowed: raise MaxCalls or make fewer", c.cfg.MaxCalls)
	}
	o.many = c.calls.inFlight.Add(1) > 1
	k.c, k.lane, k.resp, k.codec, k.notify, k.err = c, c.lane(o.size), resp, o.codec, notify, nil
	k.started = time.Time{}
	if n := c.counts.calls.Add(1); n&15 == 0 {
		k.started = time.Now()
	}
	if t := o.info.Timeout; t > 0 {
		k.deadline.Store(time.Now().Add(t).UnixNano())
		c.calls.watch()
	}
	return k, nil
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
	o.id = k.arm()
	if err := k.lane.send(&o); err != nil {
		if !k.claim(k.gen) {
			<-k.done // ended meanwhile
		} else {
			k.retire()
		}
		c.calls.put(k)
		return err
	}
	if c.failed.Load() && k.claim(k.gen) { // the connection ended before anybody could see the slot
		k.retire()
		c.calls.put(k)
		return unavailable(c.Err(), status.MaybeExecuted)
	}
	if done := ctx.Done(); done == nil {
		<-k.done
	} else {
		select {
		case <-k.done:
		case <-done:
			if k.claim(k.gen) {
				s := *status.Of(ctx.Err())
				s.Fate = status.MaybeExecuted
				k.cancel(o.id, s.Code)
				k.retire()
				c.calls.put(k)
				return &s
			}
			<-k.done
		}
	}
	err = k.err
	c.calls.put(k)
	if err != nil {
		return err
	}
	return nil
}

// retire is finish for a call whose caller has claimed it.
func (k *call) retire() {
	k.deadline.Store(0)
	k.state.Store(uint64(k.gen) << 2) // callIdle
}

// Go asks the peer; done is called exactly once, with nil when resp is filled. It runs on a goroutine of the connection, or on the caller's before Go returns when the
// call could not be made, and must not block.
func (c *Conn) Go(ctx context.Context, method string, req, resp any, info *CallInfo, done func(error)) {
	o := outgoing{header: header{typ: typeCall}, method: method, info: info, codec: info.Codec, value: req}
	if _, err := c.prepare(ctx, &o); err != nil {
		done(err)
		return
	}
	k, err := c.begin(&o, resp, done)
	if err != nil {
		done(err)
		return
	}
	gen := (k.gen + 1) & 0xffff
	if ctx.Done() != nil { // set before anybody can finish the call
		k.stop = context.AfterFunc(ctx, func() {
			if k.claim(gen) {
				s := *status.Of(ctx.Err())
				s.Fate = status.MaybeExecuted
				k.cancel(k.slot|gen<<16, s.Code)
				k.finish(&s)
			}
		})
	}
	o.id = k.arm()
	if err := k.lane.send(&o); err != nil {
		if k.claim(gen) {
			k.finish(err)
		}
		return
	}
	if c.failed.Load() && k.claim(gen) {
		k.finish(unavailable(c.Err(), status.MaybeExecuted))
	}
	if ctx.Err() != nil && k.claim(gen) { // ended while the slot was not yet armed
		s := *status.Of(ctx.Err())
		s.Fate = status.MaybeExecuted
		k.cancel(o.id, s.Code)
		k.finish(&s)
	}
}

// Notify sends a message that has no answer. nil means that it was handed over, not that it was executed.
func (c *Conn) Notify(ctx context.Context, method string, req any, info *CallInfo) error {
	o := outgoing{header: header{typ: typeNotify}, method: method, info: info, codec: info.Codec, value: req}
	if _, err := c.prepare(ctx, &o); err != nil {
		return err
	}
	c.counts.calls.Add(1)
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
