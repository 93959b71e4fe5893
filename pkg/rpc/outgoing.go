package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// ClientInfo is what interceptors learn of a call that is being made, and may change. It is theirs until they return.
type ClientInfo struct {
	Method  string
	Options *CallOptions // never nil
	OneWay  bool         // nobody answers; resp is nil
}

// ClientInterceptor stands around calls, the first of the configuration outermost. It must call next on its own goroutine, before it returns, and may do so
// more than once or not at all. Asynchronous calls pass on a goroutine of their own.
type ClientInterceptor func(ctx context.Context, info *ClientInfo, req, resp any, next func(ctx context.Context, req, resp any) error) error

// ClientStreamInterceptor stands around the opening of streams.
type ClientStreamInterceptor func(ctx context.Context, info *ClientInfo, next func(ctx context.Context) (*mux.Stream, error)) (*mux.Stream, error)

type op uint8

const (
	opCall op = iota
	opPost
)

// core is what makes calls once interceptors, tracer and metrics have been passed. o may be nil; if it is not, the peer that was used is noted in it.
type core interface {
	call(ctx context.Context, op op, method string, req, resp any, o *CallOptions) error
	async(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error))
	stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error)
	// background runs call on a goroutine of its own and then done.
	background(done func(error), call func() error)
}

// outgoing is what all calls of a client, or of a server's peers, have in common. It does not change.
type outgoing struct {
	side         string
	codec        Codec
	timeout      time.Duration
	interceptors []ClientInterceptor
	streams      []ClientStreamInterceptor
	tracer       Tracer
	metrics      Metrics
	watched      bool // there is an interceptor, a tracer or metrics; else calls take the short way

	plain   mux.CallInfo // of a call without options
	infos   sync.Pool    // of *mux.CallInfo
	options sync.Pool    // of *CallOptions
	states  sync.Pool    // of *outState
}

// borrow is a call's options as the layer below takes them, by pointer: without options always the same ones, else lent by a pool. They go to release.
func (g *outgoing) borrow(o *CallOptions) *mux.CallInfo {
	if o == nil {
		return &g.plain
	}
	i := g.own()
	*i = g.info(o)
	return i
}

// own is lent, and may be changed.
func (g *outgoing) own() *mux.CallInfo {
	if i, ok := g.infos.Get().(*mux.CallInfo); ok {
		return i
	}
	return &mux.CallInfo{}
}

func (g *outgoing) release(i *mux.CallInfo) {
	if i != &g.plain {
		*i = mux.CallInfo{}
		g.infos.Put(i)
	}
}

func (g *outgoing) info(o *CallOptions) mux.CallInfo {
	i := mux.CallInfo{Codec: o.Codec, Metadata: o.Metadata, Timeout: o.Timeout}
	if i.Codec == nil {
		i.Codec = g.codec
	}
	switch {
	case i.Timeout == 0:
		i.Timeout = g.timeout
	case i.Timeout < 0:
		i.Timeout = 0
	}
	return i
}

// streamInfo is info for a stream, for which the default timeout does not count.
func (g *outgoing) streamInfo(o *CallOptions) mux.CallInfo {
	if o == nil {
		return mux.CallInfo{Codec: g.codec}
	}
	i := g.info(o)
	i.Timeout, i.Bulk = max(0, o.Timeout), o.Bulk
	return i
}

func (g *outgoing) lend() *CallOptions {
	if o, ok := g.options.Get().(*CallOptions); ok {
		return o
	}
	return &CallOptions{}
}

func (g *outgoing) giveBack(o *CallOptions) { g.options.Put(o) }

// outState is one call on its way through the interceptors. They are reused, with their next function, so that passing costs no allocation.
type outState struct {
	g    *outgoing
	core core
	op   op
	o    CallOptions
	info ClientInfo
	at   int
	next func(ctx context.Context, req, resp any) error
}

func (s *outState) step(ctx context.Context, req, resp any) error {
	if s.at == len(s.g.interceptors) {
		return s.core.call(ctx, s.op, s.info.Method, req, resp, s.info.Options)
	}
	at := s.at
	s.at++
	err := s.g.interceptors[at](ctx, &s.info, req, resp, s.next)
	s.at = at // whoever called may call again
	return err
}

// invoke is the long way of a call.
func (g *outgoing) invoke(ctx context.Context, c core, op op, method string, req, resp any, o *CallOptions) error {
	s, ok := g.states.Get().(*outState)
	if !ok {
		s = &outState{g: g}
		s.next = s.step
	}
	s.core, s.op, s.at = c, op, 0
	if o != nil {
		s.o = *o
	}
	s.info = ClientInfo{Method: method, Options: &s.o, OneWay: op == opPost}
	var end func(error)
	if g.tracer != nil {
		ctx, end = g.trace(ctx, method, &s.o)
	}
	var began time.Time
	if g.metrics != nil {
		began = time.Now()
	}
	err := s.step(ctx, req, resp)
	if g.metrics != nil {
		g.metrics.Call(g.side, method, transportOf(s.info.Options.used), status.CodeOf(err), time.Since(began))
	}
	if end != nil {
		end(err)
	}
	s.core, s.o, s.info = nil, CallOptions{}, ClientInfo{}
	g.states.Put(s)
	return err
}

// invokeAsync is the long way of an asynchronous call. Interceptors are written for calls that wait, so with them a goroutine waits.
func (g *outgoing) invokeAsync(ctx context.Context, c core, method string, req, resp any, o *CallOptions, done func(error)) {
	own := CallOptions{}
	if o != nil {
		own = *o
	}
	if len(g.interceptors) > 0 {
		c.background(done, func() error { return g.invoke(ctx, c, opCall, method, req, resp, &own) })
		return
	}
	own.held = true
	var end func(error)
	if g.tracer != nil {
		ctx, end = g.trace(ctx, method, &own)
	}
	var began time.Time
	if g.metrics != nil {
		began = time.Now()
	}
	c.async(ctx, method, req, resp, &own, func(err error) {
		if g.metrics != nil {
			g.metrics.Call(g.side, method, transportOf(own.used), status.CodeOf(err), time.Since(began))
		}
		if end != nil {
			end(err)
		}
		done(err)
	})
}

// open is the long way of a stream. Its metrics are those of the opening; a trace ends with the stream.
func (g *outgoing) open(ctx context.Context, c core, method string, o *CallOptions) (*mux.Stream, error) {
	own := CallOptions{}
	if o != nil {
		own = *o
	}
	var end func(error)
	if g.tracer != nil {
		ctx, end = g.trace(ctx, method, &own)
	}
	var began time.Time
	if g.metrics != nil {
		began = time.Now()
	}
	info := &ClientInfo{Method: method, Options: &own}
	next := func(ctx context.Context) (*mux.Stream, error) { return c.stream(ctx, method, info.Options) }
	for i := len(g.streams) - 1; i >= 0; i-- {
		inner, around := next, g.streams[i]
		next = func(ctx context.Context) (*mux.Stream, error) { return around(ctx, info, inner) }
	}
	s, err := next(ctx)
	if g.metrics != nil {
		g.metrics.Call(g.side, method, transportOf(info.Options.used), status.CodeOf(err), time.Since(began))
	}
	switch {
	case end == nil:
	case err != nil:
		end(err)
	default:
		context.AfterFunc(s.Context(), func() {
			if err := s.Context().Err(); err == context.DeadlineExceeded {
				end(err)
			} else {
				end(nil)
			}
		})
	}
	return s, err
}

// trace begins a trace and sends it along.
func (g *outgoing) trace(ctx context.Context, method string, o *CallOptions) (context.Context, func(error)) {
	ctx, parent, end := g.tracer.ClientCall(ctx, method)
	if len(parent) > 0 {
		o.Metadata = append(o.Metadata[:len(o.Metadata):len(o.Metadata)], traceKey, string(parent))
	}
	return ctx, end
}

func transportOf(p *Peer) string {
	if p == nil {
		return ""
	}
	return p.transport
}
