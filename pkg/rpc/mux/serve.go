package mux

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// serving is what the peer asked for.
type serving struct {
	c     *Conn
	n     atomic.Int32
	later atomic.Int32 // answers that wait for the peer to take them
	idle  chan job     // workers that wait take from here
	large bufferPool

	mu      sync.Mutex
	workers int
	active  map[uint64]*callCtx // that may be cancelled; nil once the connection is over
	noted   uint64              // the last notification's key
}

func (s *serving) init(c *Conn) {
	s.c, s.idle, s.active = c, make(chan job), map[uint64]*callCtx{}
}

// job is a call to be executed.
type job struct {
	key   uint64 // in active
	ctx   *callCtx
	req   any
	codec Codec
	id    uint32
	reply bool
}

// enter makes a job end with the connection, and calls cancellable.
func (s *serving) enter(j *job) {
	s.mu.Lock()
	over := s.active == nil
	if !over {
		if j.key = uint64(j.id); !j.reply {
			s.noted++
			j.key = 1<<32 + s.noted
		}
		s.active[j.key] = j.ctx
	}
	s.mu.Unlock()
	if over {
		j.ctx.end(context.Canceled)
	}
}

func (s *serving) leave(j *job) {
	s.mu.Lock()
	if s.active[j.key] == j.ctx { // not one of a peer that used the id twice
		delete(s.active, j.key)
	}
	s.mu.Unlock()
}

func (s *serving) cancel(id uint32, code status.Code) {
	s.mu.Lock()
	ctx := s.active[uint64(id)]
	s.mu.Unlock()
	if ctx != nil {
		ctx.end(contextError(code))
	}
}

func contextError(code status.Code) error {
	if code == status.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

func (s *serving) cancelAll() {
	s.mu.Lock()
	active := s.active
	s.active = nil
	s.mu.Unlock()
	for _, ctx := range active {
		ctx.end(context.Canceled)
	}
}

// spawn has a worker execute the job: one that waits, or a new one.
func (s *serving) spawn(j job) {
	select {
	case s.idle <- j:
	default:
		go s.work(j)
	}
}

// work executes jobs until there are workers enough that wait.
func (s *serving) work(j job) {
	for {
		s.c.execute(&j, false)
		s.leave(&j)
		s.n.Add(-1)
		j = job{}
		s.mu.Lock()
		enough := s.workers >= s.c.cfg.Workers
		if !enough {
			s.workers++
		}
		s.mu.Unlock()
		if enough {
			return
		}
		var ok bool
		select {
		case j = <-s.idle:
			ok = true
		case <-s.c.over:
		}
		s.mu.Lock()
		s.workers--
		s.mu.Unlock()
		if !ok {
			return
		}
	}
}

// execute runs a handler and answers. A lane's reader must not wait: what it cannot send at once is sent by a goroutine of its own.
func (c *Conn) execute(j *job, reader bool) {
	m := j.ctx.Method
	var resp any
	var failure *status.Error
	if !m.Inline && !m.Borrow {
		failure = status.Of(j.ctx.Err()) // over before it began
	}
	if failure == nil {
		resp, failure = c.protected(j)
	}
	j.ctx.end(context.Canceled)
	c.counts.served.Add(1)
	if j.reply && !c.answer(j, resp, failure, reader) {
		return // whoever answers frees the request
	}
	c.free(j)
}

// free gives a request back whose answer was marshalled.
func (c *Conn) free(j *job) {
	if m := j.ctx.Method; m.Free != nil && !m.Borrow { // a request that refers to the connection's memory must not be filled again
		m.Free(j.req)
	}
}

// protected calls the handler; a panic, its own or that of the error it returned, is an error of the call, not of the process.
func (c *Conn) protected(j *job) (resp any, failure *status.Error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(j.ctx.Method.Name, r)
			failure = status.Errorf(status.Internal, "the handler of %s panicked", j.ctx.Method.Name)
		}
	}()
	resp, err := j.ctx.Method.Unary(j.ctx, j.req)
	return resp, status.Of(err) // a nil *status.Error in an error is none
}

func (c *Conn) panicked(method string, value any) {
	c.counts.panics.Add(1)
	if c.cfg.Panicked != nil {
		c.cfg.Panicked(method, value, debug.Stack())
	}
}

// safely runs code of the user that has nobody else to panic to.
func (c *Conn) safely(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked(what, r)
		}
	}()
	f()
}

// request takes a call or a notification.
func (l *lane) request(h header, ext *extension, body []byte) error {
	c := l.c
	reply := h.typ == typeCall
	no := func(code status.Code, format string, args ...any) {
		c.counts.refused.Add(1)
		if reply {
			c.refuse(h.id, code, format, args...)
		}
	}
	m, name, err := l.method(h, ext)
	if err != nil {
		return err
	}
	if m == nil || m.Unary == nil {
		no(status.Unimplemented, "%s has no method %q that answers calls", c.self(), name)
		return nil
	}
	k := c.decoder(h, ext, m)
	if k == nil {
		no(status.InvalidArgument, "method %q does not take the caller's codec", name)
		return nil
	}
	if c.leaving.Load() && reply {
		no(status.Unavailable, "%s is draining", c.self())
		return nil
	}
	if !m.Inline && !m.Borrow && c.serving.n.Load() >= int32(c.cfg.MaxServe) {
		no(status.ResourceExhausted, "%d calls of this connection are being served, no more are taken", c.cfg.MaxServe)
		return nil
	}
	req := m.New()
	if err := unmarshal(k, body, req, m.Borrow); err != nil {
		if f, ok := err.(faultError); ok {
			return f
		}
		no(status.InvalidArgument, "cannot parse the request of %q: %v", name, err)
		return nil
	}
	ctx := &callCtx{Incoming: Incoming{Conn: c, Method: m, Metadata: ext.metadata}}
	ctx.deadline = l.batch.due(h.arg)
	j := job{ctx: ctx, req: req, codec: k, id: h.id, reply: reply}
	if m.Borrow {
		l.cork()
		c.execute(&j, true)
		return nil
	}
	if m.Inline {
		l.batch.inline = append(l.batch.inline, j)
		return nil
	}
	c.serving.n.Add(1)
	c.serving.enter(&j)
	l.batch.spawn = append(l.batch.spawn, j)
	return nil
}

func (c *Conn) self() string {
	if c.cfg.Hello.Instance == "" {
		return "this end"
	}
	return fmt.Sprintf("instance %q", c.cfg.Hello.Instance)
}

// method finds out what a frame calls.
func (l *lane) method(h header, ext *extension) (*Method, string, error) {
	if ext.method != "" {
		n := named{name: ext.method, method: l.lookup(ext.method)}
		if h.method != 0 {
			if int(h.method) != len(l.methods)+1 || h.method > maxNumbers {
				return nil, "", fmt.Errorf("%w: method number %d after %d", errFrame, h.method, len(l.methods))
			}
			l.methods = append(l.methods, n)
		}
		return n.method, n.name, nil
	}
	if h.method == 0 || int(h.method) > len(l.methods) {
		return nil, "", fmt.Errorf("%w: method number %d of %d", errFrame, h.method, len(l.methods))
	}
	n := &l.methods[h.method-1]
	if n.method == nil { // it may have been registered meanwhile
		n.method = l.lookup(n.name)
	}
	return n.method, n.name, nil
}

func (l *lane) lookup(name string) *Method {
	if l.c.cfg.Handler == nil {
		return nil
	}
	return l.c.cfg.Handler.Lookup(name)
}

// decoder is the codec of a request; nil if the method does not take it or it is not known here.
func (c *Conn) decoder(h header, ext *extension, m *Method) Codec {
	number := h.flags >> codecShift & 3
	var k Codec
	if number == codecNamed {
		if m.Codec != nil && m.Codec.Name() == ext.codec {
			return m.Codec
		}
		k = c.codec(ext.codec)
	} else {
		k = c.theirs[number]
	}
	if m.Codec != nil {
		if k == nil || k.Name() != m.Codec.Name() {
			if k == nil && number < codecNamed && int(number) < len(c.peer.codecs) && c.peer.codecs[number] == m.Codec.Name() {
				return m.Codec
			}
			return nil
		}
		return m.Codec
	}
	return k
}
