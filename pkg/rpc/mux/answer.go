package mux

import (
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// answer sends the result of a call. False: it will be sent by another goroutine, which frees the request then.
func (c *Conn) answer(j *job, resp any, failure *status.Error, reader bool) bool {
	if c.failed.Load() { // the handler may have returned because of it: the caller must not take that for an answer
		return true
	}
	if failure != nil {
		c.answerError(j.id, failure, 0, reader)
		return true
	}
	o := outgoing{header: header{typ: typeReply, id: j.id}, codec: j.codec, value: resp}
	if e := o.measure(c.limit()); e != nil {
		c.answerError(j.id, e, 0, reader)
		return true
	}
	l := c.lane(o.size)
	if !reader || headerSize+o.size <= l.max {
		e := l.send(&o)
		switch {
		case e == nil:
			return true
		case e.Code == status.Unavailable:
			c.Fail(e)
			return true
		case e.Code != status.ResourceExhausted:
			c.answerError(j.id, e, 0, reader)
			return true
		}
	}
	// The peer is behind, or the answer has many parts. At most as many answers wait as calls may be served.
	if !reader {
		c.answerLater(l, &o)
		return true
	}
	if c.serving.later.Add(1) > int32(c.cfg.MaxServe) {
		c.Fail(fmt.Errorf("rpc: %d answers wait, and the peer takes none", c.cfg.MaxServe))
		return true
	}
	later := *j
	if later.ctx.Method.Borrow { // its memory is lent until we return
		b := make([]byte, o.size)
		if err := marshal(o.codec, b, o.value); err != nil {
			c.serving.later.Add(-1)
			c.answerError(j.id, notSent(status.Internal, "cannot marshal %T: %v", o.value, err), 0, true)
			return true
		}
		o.codec, o.value = encoded{}, &b
	}
	out := o
	c.goroutine.Go(func() {
		defer c.serving.later.Add(-1)
		c.answerLater(l, &out)
		c.free(&later)
	})
	return false
}

// answerLater sends an answer as soon as the peer takes it. It is for goroutines that may wait.
func (c *Conn) answerLater(l *lane, o *outgoing) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		e := l.send(o)
		switch {
		case e == nil:
			return
		case e.Code == status.Unavailable:
			c.Fail(e)
			return
		case e.Code != status.ResourceExhausted:
			c.answerError(o.id, e, 0, false)
			return
		}
		select {
		case <-look.C:
		case <-c.over:
			return
		}
	}
}

// answerError answers a call with an error.
func (c *Conn) answerError(id uint32, e *status.Error, flags uint8, reader bool) {
	if e.Code == status.OK {
		e = status.New(status.Internal, e.Message)
	}
	body := e.AppendWire(nil)
	o := outgoing{header: header{typ: typeError, flags: flags, id: id, arg: uint32(e.Code)}, codec: encoded{}, value: &body, size: len(body)}
	if reader && headerSize+len(body) > c.lanes[0].max {
		c.goroutine.Go(func() { c.answerLater(c.lanes[0], &o) })
		return
	}
	if e := c.lanes[0].send(&o); e != nil { // it takes not even an error
		c.Fail(e)
	}
}

// refuse answers a call that was not and will not be executed.
func (c *Conn) refuse(id uint32, code status.Code, format string, args ...any) {
	c.answerError(id, status.Errorf(code, format, args...), flagNever, true)
}
