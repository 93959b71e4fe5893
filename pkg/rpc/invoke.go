package rpc

import (
	"context"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// Invoke implements Caller: it picks an instance, waits for one if there is none, and repeats the call where that is safe.
func (c *Client) Invoke(ctx context.Context, method string, req, resp any, o *CallOptions) error {
	if c.out.watched {
		return c.out.invoke(ctx, c, opCall, method, req, resp, o)
	}
	return c.call(ctx, opCall, method, req, resp, o)
}

// InvokeAsync implements Caller.
func (c *Client) InvokeAsync(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error)) {
	if c.out.watched {
		c.out.invokeAsync(ctx, c, method, req, resp, o, done)
		return
	}
	c.async(ctx, method, req, resp, o, done)
}

// Post implements Caller.
func (c *Client) Post(ctx context.Context, method string, req any, o *CallOptions) error {
	if c.out.watched {
		return c.out.invoke(ctx, c, opPost, method, req, nil, o)
	}
	return c.call(ctx, opPost, method, req, nil, o)
}

// Stream implements Caller. Opening is repeated like a call; a stream that was opened is not.
func (c *Client) Stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error) {
	if c.out.watched {
		return c.out.open(ctx, c, method, o)
	}
	return c.stream(ctx, method, o)
}

func (c *Client) lend() *CallOptions      { return c.out.lend() }
func (c *Client) giveBack(o *CallOptions) { c.out.giveBack(o) }

// now is a clock that costs little.
func (c *Client) now() time.Duration { return time.Since(c.born) }

// attempts is a call that did not succeed at once.
type attempts struct {
	c       *Client
	method  string
	o       CallOptions
	made    int
	began   time.Duration // on the client's clock; set when there is a timeout
	timeout time.Duration // of all attempts; 0: none
	tried   []*Peer
	err     error // of the last one
	wait    backoff
}

func (c *Client) call(ctx context.Context, op op, method string, req, resp any, o *CallOptions) error {
	info := c.out.borrow(o)
	var began time.Duration
	if info.Timeout > 0 {
		began = c.now()
	}
	p := c.quick(o)
	var err error
	if p != nil {
		c.budget.Call()
		if err = p.once(ctx, op, method, req, resp, info); err == nil {
			c.out.release(info)
			if o != nil {
				o.used = p
			}
			return nil
		}
	}
	timeout := info.Timeout
	c.out.release(info)
	return c.callAgain(ctx, op, method, req, resp, o, p, err, began, timeout)
}

// callAgain is what follows when the first attempt failed, or could not be made.
func (c *Client) callAgain(ctx context.Context, op op, method string, req, resp any, o *CallOptions, p *Peer, err error, began, timeout time.Duration) error {
	a := attempts{c: c, method: method, began: began, timeout: timeout}
	info := c.out.info(&a.o)
	if o != nil {
		a.o, info = *o, c.out.info(o)
	}
	for a.again(p, err) {
		if p = a.next(ctx, &info); p == nil {
			break
		}
		if err = p.once(ctx, op, method, req, resp, &info); err == nil {
			a.err = nil
			break
		}
	}
	if o != nil {
		o.used = a.last(p)
	}
	return a.err
}

func (p *Peer) once(ctx context.Context, op op, method string, req, resp any, info *mux.CallInfo) error {
	if op == opPost {
		return p.conn.Notify(ctx, method, req, info)
	}
	return p.conn.Call(ctx, method, req, resp, info)
}

func (c *Client) stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error) {
	info := c.out.streamInfo(o)
	a := attempts{c: c, method: method, began: c.now(), timeout: info.Timeout}
	if o != nil {
		a.o = *o
	}
	p := c.quick(o)
	var s *mux.Stream
	var err error
	if p != nil {
		c.budget.Call()
		s, err = p.conn.Open(ctx, method, &info)
	}
	for s == nil && a.again(p, err) {
		if p = a.next(ctx, &info); p == nil {
			break
		}
		s, err = p.conn.Open(ctx, method, &info)
	}
	if o != nil {
		o.used = a.last(p)
	}
	if s == nil {
		return nil, a.err
	}
	return s, nil
}

// async repeats and waits on a goroutine of its own, which it needs only when the first attempt fails.
func (c *Client) async(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error)) {
	var own CallOptions
	if o != nil {
		own = *o
	}
	p := c.quick(o)
	if p == nil {
		c.background(done, func() error {
			err := c.call(ctx, opCall, method, req, resp, &own)
			if own.held {
				o.used = own.used
			}
			return err
		})
		return
	}
	info := c.out.info(&own)
	a := &attempts{c: c, method: method, o: own, timeout: info.Timeout}
	if info.Timeout > 0 {
		a.began = c.now()
	}
	if o != nil {
		o.used = p
	}
	c.budget.Call()
	p.conn.Go(ctx, method, req, resp, &info, func(err error) {
		if err == nil || !a.may(p, err) {
			done(err)
			return
		}
		c.background(done, func() error { // it may wait, and this goroutine must not
			for a.again(p, err) {
				if p = a.next(ctx, &info); p == nil {
					break
				}
				if own.held {
					o.used = p
				}
				if err = p.conn.Call(ctx, method, req, resp, &info); err == nil {
					return nil
				}
			}
			return a.err
		})
	})
}

// background runs what may wait for an asynchronous call. Close waits for it, and makes it end.
func (c *Client) background(done func(error), call func() error) {
	c.mu.Lock()
	if c.closed { // nobody waits for goroutines any more
		c.mu.Unlock()
		done(errClosed())
		return
	}
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		done(call())
	}()
}

// again notes how the last attempt ended, if there was one, and tells whether there may be another.
func (a *attempts) again(p *Peer, err error) bool {
	if p == nil { // not even a first one
		return true
	}
	a.err = err
	if !a.may(p, err) {
		return false
	}
	a.tried = append(a.tried, p)
	if p.leaving() && status.Of(err).Fate == status.NotSent { // it met a connection on its way out and was nobody's load: no attempt, and it costs nothing
		return true
	}
	a.made++
	if !a.c.budget.Retry() {
		return false
	}
	a.c.retried.Add(1)
	if m := a.c.cfg.Metrics; m != nil {
		m.Retry(a.method)
	}
	return true
}

// may tells whether the error allows another attempt: what was answered is never repeated, what may have been executed only if that is harmless.
func (a *attempts) may(p *Peer, err error) bool {
	if a.o.NoRetry || a.made+1 >= a.c.cfg.MaxAttempts {
		return false
	}
	e := status.Of(err)
	switch {
	case e.Fate == status.Answered, e.Fate == status.MaybeExecuted && !a.o.Idempotent:
		return false
	case e.Code == status.Unavailable:
		return true
	case e.Code == status.ResourceExhausted && e.Fate == status.NotSent: // too much for this instance: only another one can help
		return a.o.Instance == "" && a.o.Key == "" && slices.ContainsFunc(a.c.view.Load().ready, func(q *Peer) bool { return q != p && !slices.Contains(a.tried, q) })
	}
	return false
}

// next is the instance of the next attempt, with the time that is left for it in info; nil when there is none in time, and then a.err says why.
func (a *attempts) next(ctx context.Context, info *mux.CallInfo) *Peer {
	p := a.pick(ctx)
	if p == nil || a.timeout <= 0 {
		return p
	}
	if info.Timeout = a.left(); info.Timeout > 0 {
		return p
	}
	if a.err == nil {
		a.err = status.NotSentf(status.DeadlineExceeded, "no time was left of %s", a.timeout)
	}
	return nil
}

// left is what is left of the timeout, if there is one; never negative.
func (a *attempts) left() time.Duration { return max(0, a.timeout-(a.c.now()-a.began)) }

// patience is how long to wait for an instance; without a bound, the end of ctx is the only one.
func (a *attempts) patience(ctx context.Context) (limit time.Duration, bounded bool) {
	if a.timeout > 0 {
		return a.left(), true
	}
	if _, ok := ctx.Deadline(); ok {
		return 0, false
	}
	return a.c.cfg.ConnectTimeout, true
}

// pick is next without the time that is left.
func (a *attempts) pick(ctx context.Context) *Peer {
	limit, bounded := a.patience(ctx)
	p, err := a.c.pick(ctx, &a.o, a.tried, limit, bounded)
	if p != nil && slices.Contains(a.tried, p) { // nobody else is there, so give it a moment
		most := 2 * maxBackoff // no bound
		if a.timeout > 0 {
			most = a.left()
		}
		if !a.wait.pauseUpTo(ctx, most) {
			return nil
		}
		limit, bounded = a.patience(ctx)
		p, err = a.c.pick(ctx, &a.o, a.tried, limit, bounded)
	}
	if err != nil && a.err == nil {
		a.err = err
	}
	return p
}

func (a *attempts) last(p *Peer) *Peer {
	if p == nil && len(a.tried) > 0 {
		return a.tried[len(a.tried)-1]
	}
	return p
}
