package mux

import (
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
